"""A whole training epoch as compiled loops: what many small steps of a small circuit need.

At two qubits a step is a few thousand arithmetic operations, and calling them one tensor at a
time costs far more than doing them. These numba functions do what `MixtureOfExperts.gradient` and
`qmoe.epochs.Adam` do, for one kind of model: a real circuit with one upload, read out as
probabilities, with linear experts. `qmoe.compiled` knows which models those are, and the tests
hold both ways to the same numbers.

One file, because numba's disk cache notices changes in the file of the calling function alone.
One seed after the other, because a seed's arrays fit the fastest cache. Samples are batch last and
the innermost loop runs over them, so that the compiler uses vector instructions; a library call
for the exponential would stop it, so there is a polynomial instead.
"""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import NamedTuple, no_type_check

import numba
import numpy as np

from qmoe.arrays import Floats, Ints
from qmoe.epochs import BETAS, EPS

PROBABILITY, SOFTMAX, TEMPERATURE = 0, 1, 2

# Run-time type checking (in the tests) wraps every function of a module, and a wrapped one cannot
# be compiled; the checker leaves alone what carries a decorator of this name.
_fast, _exact = (
    SimpleNamespace(no_type_check=numba.njit(cache=True, fastmath=relaxed, error_model="numpy"))
    # sums over a batch may be taken in another order; rounding tricks must not be simplified away
    for relaxed in ({"reassoc", "contract", "nsz"}, {"contract"})
)

_FIRST, _SECOND = BETAS
_LN2_HIGH, _LN2_LOW = 6.93145751953125e-1, 1.42860682030941723212e-6  # Cody and Waite's split
_ROUND = 1.5 * 2.0**52
_C = tuple(1 / math.factorial(k) for k in range(13))


@no_type_check
class Data(NamedTuple):
    """All samples: embedded states (s, dim, row), features (s, d, row), labels (s, row).

    The seed axis is 1 where all seeds share them.
    """

    states: Floats
    features: Floats
    labels: Ints


@no_type_check
class Block(NamedTuple):
    """The trainable layers: on each qubit RY(a) or a fixed gate, then a signed permutation.

    weight: (layer, qubit) which weight is in the angle, -1 for a fixed gate; half: (layer, qubit,
    2) factor and offset of the half angle; fixed: (layer, qubit, 2, 2); source, sign:
    (layer, dim); axis: dim zeros, a tuple because its length is part of its type, so that the
    compiler knows how often the loops over basis states run.
    """

    weight: Ints
    half: Floats
    fixed: Floats
    source: Ints
    sign: Floats
    axis: tuple[int, ...]


@no_type_check
class Head(NamedTuple):
    """The rest of the model: the expert that each basis state feeds, and the gate."""

    expert: Ints
    experts: int
    classes: int
    gate: int


@no_type_check
class Work(NamedTuple):
    """Scratch arrays of one batch, made once by `_scratch`."""

    states: Floats
    features: Floats
    labels: Ints
    amplitudes: Floats
    scores: Floats
    gates: Floats
    opinions: Floats
    logits: Floats
    d_scores: Floats
    row: Floats
    shifted: Floats
    moved: Floats
    before: Floats


@_fast.no_type_check
def run_epoch(
    weights: Floats,
    mean: Floats,
    square: Floats,
    first_step: int,
    rates: Floats,
    size: int,
    order: Ints,
    data: Data,
    block: Block,
    head: Head,
    losses: Floats,
) -> None:
    """One epoch of every seed in place: batches of `size` in the order (seed, row)."""
    rows = order.shape[1]
    gradient = np.zeros(weights.shape[1])
    whole = _scratch(size, data, block, head)
    rest = _scratch(rows % size if rows % size else 1, data, block, head)
    for s in range(weights.shape[0]):
        states = data.states[0 if data.states.shape[0] == 1 else s]
        features = data.features[0 if data.features.shape[0] == 1 else s]
        labels = data.labels[0 if data.labels.shape[0] == 1 else s]
        total, steps = 0.0, 0
        for start in range(0, rows, size):
            work = whole if start + size <= rows else rest
            for b in range(work.labels.shape[0]):
                row = order[s, start + b]
                work.labels[b] = labels[row]
                for i in range(states.shape[0]):
                    work.states[i, b] = states[i, row]
                for i in range(features.shape[0]):
                    work.features[i, b] = features[i, row]
            total += _gradient(weights[s], gradient, block, head, work)
            steps += 1
            _adam(weights[s], mean[s], square[s], gradient, first_step + steps, rates[s])
        losses[s] = total / steps


@_fast.no_type_check
def _scratch(size: int, data: Data, block: Block, head: Head) -> Work:
    dim, maps = data.states.shape[1], head.experts * head.classes
    most = max(head.experts, head.classes)
    return Work(
        np.empty((dim, size)),
        np.empty((data.features.shape[1], size)),
        np.empty(size, dtype=np.int64),
        np.empty((dim, size)),
        np.empty((head.experts, size)),
        np.empty((head.experts, size)),
        np.empty((maps, size)),
        np.empty((head.classes, size)),
        np.empty((head.experts, size)),
        np.empty((1, size)),
        np.empty((most, size)),
        np.empty((dim, dim)),
        np.empty((block.weight.shape[0], dim, dim)),
    )


@_fast.no_type_check
def _adam(
    weights: Floats, mean: Floats, square: Floats, gradient: Floats, step: int, rate: float
) -> None:
    """One update, as `qmoe.epochs.Adam`."""
    scale, rate = 1.0 / (1.0 - _SECOND**step), rate / (1.0 - _FIRST**step)
    for i in range(weights.shape[0]):
        mean[i] += (gradient[i] - mean[i]) * (1.0 - _FIRST)
        square[i] = square[i] * _SECOND + gradient[i] * gradient[i] * (1.0 - _SECOND)
        weights[i] -= rate * mean[i] / (np.sqrt(square[i] * scale) + EPS)


@_fast.no_type_check
def _gradient(weights: Floats, gradient: Floats, block: Block, head: Head, work: Work) -> float:
    """Writes the gradient of the mean cross-entropy of a batch, and returns the latter."""
    dim, count = block.source.shape[1], work.features.shape[0]
    total = _products(weights, block, work.before, work.moved)
    angles = weights.shape[0] - head.experts * head.classes * (count + 1)
    angles -= 1 if head.gate == TEMPERATURE else 0

    _product(total, work.states, work.amplitudes)
    loss: float = _head(weights, gradient, angles, head, work)

    # V = U^T dL/dU
    d_block, core = np.empty((dim, dim)), np.zeros((dim, dim))
    _correlate(work.amplitudes, work.states, d_block)
    for k in range(dim):
        for i in range(dim):
            for j in range(dim):
                core[i, j] += total[k, i] * d_block[k, j]
    for i in range(angles):
        gradient[i] = 0.0
    _block_gradient(gradient, block, work.before, core, work.moved)
    return loss


@_fast.no_type_check
def _products(weights: Floats, block: Block, before: Floats, moved: Floats) -> Floats:
    """The product of all layers; `before` (layer, dim, dim) gets the product before each."""
    layers, qubits = block.weight.shape
    dim = len(block.axis)
    total = np.zeros((dim, dim))
    for i in range(dim):
        total[i, i] = 1.0
    for layer in range(layers):
        for i in range(dim):
            for j in range(dim):
                before[layer, i, j] = total[i, j]
        for q in range(qubits):
            if block.weight[layer, q] >= 0:
                half = block.half[layer, q, 0] * weights[block.weight[layer, q]]
                half += block.half[layer, q, 1]
                a, c = math.cos(half), math.sin(half)
                b, d = -c, a
            else:
                a, b = block.fixed[layer, q, 0, 0], block.fixed[layer, q, 0, 1]
                c, d = block.fixed[layer, q, 1, 0], block.fixed[layer, q, 1, 1]
            stride = 1 << (qubits - 1 - q)
            for i in range(dim):
                if not i & stride:
                    for j in range(dim):
                        zero, one = total[i, j], total[i + stride, j]
                        total[i, j] = a * zero + b * one
                        total[i + stride, j] = c * zero + d * one
        for i in range(dim):
            for j in range(dim):
                moved[i, j] = total[i, j]
        for i in range(dim):
            sign, source = block.sign[layer, i], block.source[layer, i]
            for j in range(dim):
                total[i, j] = sign * moved[source, j]
    return total


@_fast.no_type_check
def _block_gradient(
    gradient: Floats, block: Block, before: Floats, core: Floats, moved: Floats
) -> None:
    """Adds dL/d(angle) of every RY: the trace of P V P^T with its generator, half of (0 -1; 1 0).

    P is the product before the layer, V = U^T dL/dU (`core`); `moved` is room for P V.
    """
    layers, qubits = block.weight.shape
    dim = len(block.axis)
    for layer in range(layers):
        for i in range(dim):
            for j in range(dim):
                moved[i, j] = 0.0
            for k in range(dim):
                factor = before[layer, i, k]
                for j in range(dim):
                    moved[i, j] += factor * core[k, j]
        for q in range(qubits):
            if block.weight[layer, q] < 0:
                continue
            stride = 1 << (qubits - 1 - q)
            slope = 0.0
            for i in range(dim):
                if not i & stride:
                    k = i + stride
                    for j in range(dim):
                        slope += moved[k, j] * before[layer, i, j]
                        slope -= moved[i, j] * before[layer, k, j]
            gradient[block.weight[layer, q]] += block.half[layer, q, 0] * slope


@_fast.no_type_check
def _head(weights: Floats, gradient: Floats, angles: int, head: Head, work: Work) -> float:
    """Gate and experts forward and back; amplitudes become their cotangent; the mean loss."""
    features, labels, amplitudes = work.features, work.labels, work.amplitudes
    scores, gates, d_scores = work.scores, work.gates, work.d_scores
    opinions, logits = work.opinions, work.logits
    experts, classes, expert = head.experts, head.classes, head.expert
    size, count = labels.shape[0], features.shape[0]
    maps = experts * classes
    biases = angles + maps * count
    _clear(scores)
    for i in range(amplitudes.shape[0]):
        e = expert[i]
        for b in range(size):
            scores[e, b] += amplitudes[i, b] * amplitudes[i, b]
    inverse = math.exp(-weights[-1]) if head.gate == TEMPERATURE else 1.0
    for e in range(experts):
        for b in range(size):
            gates[e, b] = scores[e, b]
    if head.gate != PROBABILITY:
        _softmax(gates, inverse, work.row, work.shifted)

    _clear(logits)
    for row in range(maps):
        e, k = row // classes, row % classes
        for b in range(size):
            opinions[row, b] = weights[biases + row]
        for j in range(count):
            factor = weights[angles + row * count + j]
            for b in range(size):
                opinions[row, b] += factor * features[j, b]
        for b in range(size):
            logits[k, b] += gates[e, b] * opinions[row, b]
    loss: float = _cross_entropy(logits, labels, work.row, work.shifted)

    _clear(d_scores)
    for row in range(maps):
        e, k = row // classes, row % classes
        slope = 0.0
        for b in range(size):
            d_scores[e, b] += logits[k, b] * opinions[row, b]
            opinions[row, b] = gates[e, b] * logits[k, b]
            slope += opinions[row, b]
        gradient[biases + row] = slope
        for j in range(count):
            slope = 0.0
            for b in range(size):
                slope += opinions[row, b] * features[j, b]
            gradient[angles + row * count + j] = slope

    if head.gate != PROBABILITY:
        to_log = _softmax_back(gates, scores, d_scores, inverse, work.row)
        if head.gate == TEMPERATURE:
            gradient[-1] = to_log
    for i in range(amplitudes.shape[0]):
        e = expert[i]
        for b in range(size):
            amplitudes[i, b] *= 2.0 * d_scores[e, b]
    return loss


@_fast.no_type_check
def _clear(rows: Floats) -> None:
    # as loops: a slice assignment takes numba a second to compile
    for r in range(rows.shape[0]):
        for b in range(rows.shape[1]):
            rows[r, b] = 0.0


@_fast.no_type_check
def _product(left: Floats, right: Floats, out: Floats) -> None:
    """The product left @ right, inner loop over the columns."""
    for i in range(left.shape[0]):
        for b in range(right.shape[1]):
            out[i, b] = left[i, 0] * right[0, b]
        for j in range(1, left.shape[1]):
            factor = left[i, j]
            for b in range(right.shape[1]):
                out[i, b] += factor * right[j, b]


@_fast.no_type_check
def _correlate(left: Floats, right: Floats, out: Floats) -> None:
    """The product left @ right.T, inner loop over the batch."""
    for i in range(left.shape[0]):
        for j in range(right.shape[0]):
            total = 0.0
            for b in range(left.shape[1]):
                total += left[i, b] * right[j, b]
            out[i, j] = total


@_fast.no_type_check
def _softmax(values: Floats, inverse: float, row: Floats, shifted: Floats) -> None:
    """softmax(values * inverse) over the first axis, in place; `row` and `shifted` are room."""
    rows, size = values.shape
    for b in range(size):
        row[0, b] = values[0, b]
    for r in range(1, rows):
        for b in range(size):
            row[0, b] = values[r, b] if values[r, b] > row[0, b] else row[0, b]
    for r in range(rows):
        for b in range(size):
            values[r, b] = (values[r, b] - row[0, b]) * inverse
    _exp(values, shifted)
    for b in range(size):
        row[0, b] = values[0, b]
    for r in range(1, rows):
        for b in range(size):
            row[0, b] += values[r, b]
    for r in range(rows):
        for b in range(size):
            values[r, b] /= row[0, b]


@_fast.no_type_check
def _softmax_back(
    gates: Floats, scores: Floats, slopes: Floats, inverse: float, row: Floats
) -> float:
    """Turns slopes from d(gates) into d(scores); returns the gradient to log T."""
    experts, size = gates.shape
    mean = row
    _clear(mean)
    for e in range(experts):
        for b in range(size):
            mean[0, b] += gates[e, b] * slopes[e, b]
    to_log = 0.0
    for e in range(experts):
        for b in range(size):
            slope = gates[e, b] * (slopes[e, b] - mean[0, b]) * inverse
            slopes[e, b] = slope
            to_log -= slope * scores[e, b]
    return to_log


@_fast.no_type_check
def _cross_entropy(logits: Floats, labels: Ints, row: Floats, shifted: Floats) -> float:
    """Turns logits into d(mean loss)/d(logits) in place; returns the mean loss."""
    classes, size = logits.shape
    _softmax(logits, 1.0, row, shifted)
    loss, likelihood = 0.0, 1.0
    for b in range(size):
        # one logarithm for many factors, before their product could underflow
        likelihood *= logits[labels[b], b]
        if likelihood < 1e-200:
            loss -= math.log(likelihood)
            likelihood = 1.0
    loss -= math.log(likelihood)
    for k in range(classes):
        for b in range(size):
            logits[k, b] /= size
    for b in range(size):
        logits[labels[b], b] -= 1.0 / size
    return loss / size


@_exact.no_type_check
def _exp(x: Floats, shifted: Floats) -> None:
    """exp(x) of a matrix in place for x <= 0, within 2 units in the last place.

    x = k ln 2 + r with |r| <= ln 2 / 2: Taylor's series of degree 12 for exp(r), and 2^k by its
    bit pattern. Adding 1.5 * 2^52 rounds to a whole number and leaves it in the low bits, hence
    `shifted`, room of the same size. x < -700 counts as -700.
    """
    for i in range(x.shape[0]):
        for b in range(x.shape[1]):
            value = -700.0 if x[i, b] < -700.0 else x[i, b]  # in this order a nan stays one
            x[i, b] = value
            shifted[i, b] = value * 1.4426950408889634 + _ROUND
        for b in range(x.shape[1]):
            k = shifted[i, b] - _ROUND
            r = (x[i, b] - k * _LN2_HIGH) - k * _LN2_LOW
            low = _C[9] + r * (_C[10] + r * (_C[11] + r * _C[12]))
            low = _C[5] + r * (_C[6] + r * (_C[7] + r * (_C[8] + r * low)))
            x[i, b] = _C[0] + r * (_C[1] + r * (_C[2] + r * (_C[3] + r * (_C[4] + r * low))))
    power = shifted.view(np.int64)
    for i in range(x.shape[0]):
        for b in range(x.shape[1]):
            power[i, b] = (power[i, b] + 1023) << 52
        for b in range(x.shape[1]):
            x[i, b] *= shifted[i, b]
