"""Noisy router circuits in torch, as real Pauli expectations: the simulator behind every twin.

Channels and gates are real maps of the 4^n Pauli expectations. What no feature reaches is done
once, on the outcomes' effects instead of on every input's state (the Heisenberg picture); what
features reach is done for each input, or, where that is less work, on a grid from which all
inputs follow as trigonometric polynomials. Everything is differentiable in weights and features.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

from qmoe.arrays import Floats
from qmoe.channel import Channel
from qmoe.circuit import Circuit, Op
from qmoe.errors import InputError
from qmoe.simulate import grid
from qmoe.simulate.blocks import Blocks, Step
from qmoe.simulate.clusters import Cluster, Clusters
from qmoe.simulate.factors import Factors, factors
from qmoe.simulate.program import with_seeds

MOST_QUBITS = 12
CHUNK = 2**18  # numbers per seed worked on at once: beyond the cache all slows down (measured)

_READ = np.array([[0.5, 0.5], [0.5, -0.5]])  # I and Z of one qubit to its outcomes


class Transfer:
    """A noisy circuit's outcome probabilities for many seeds and inputs.

    Shapes are batch last, as in `qmoe.simulate.Program`: weights (seed, P), features
    (1 | seed, d, batch), probabilities (seed, 2^m, batch). Angles in radians. dtype and device
    are those of the weights.

    method: "grid" for the polynomial in the features, "direct" for input by input, "auto" for
    what is less work.
    """

    def __init__(
        self,
        ops: Sequence[Op | Channel],
        measured: Sequence[int],
        *,
        confusion: Float64[Floats, "read outcome"] | None = None,
        method: str = "auto",
    ) -> None:
        self.factors = factors(ops, measured)
        n = self.factors.num_qubits
        if n > MOST_QUBITS:
            raise InputError(
                got=f"{n} qubits in the light cone of {len(measured)} measured ones",
                expected=f"at most {MOST_QUBITS} with noise",
                do="measure fewer qubits or use fewer layers",
            )
        self.degrees = grid.degrees(self.factors.body)
        if method not in ("auto", "grid", "direct") or (method == "grid" and self.degrees is None):
            raise InputError(
                got=f"method {method!r}",
                expected="auto or direct, or grid where all feature scales are whole numbers",
                do="leave it at auto",
            )
        self.method = method
        self.body, self.tail = Blocks(self.factors.body), Blocks(self.factors.tail)
        self.num_outcomes = 2 ** len(measured) if confusion is None else len(confusion)
        self.confusion = confusion
        self._read, self._embedded = _Kept(self._effects), _Kept(self._embedding)

    def __call__(
        self, weights: Float[Tensor, "seed weight"], features: Float[Tensor, "s feature batch"]
    ) -> Float[Tensor, "seed outcome batch"]:
        """Probabilities that autograd can follow to weights and features."""
        seeds, batch = max(weights.shape[0], features.shape[0]), features.shape[2]
        if not batch:
            return weights.new_zeros(seeds, self.num_outcomes, 0)
        if self.degrees is None or not self.grid_pays(batch):
            rows = _chunks(features, 4**self.factors.num_qubits)
            parts = [self._direct(weights, part).expand(-1, -1, part.shape[2]) for part in rows]
            out = torch.cat(parts, 2)
        else:
            block = self.coefficients(weights)
            rows = _chunks(features, block.shape[2])
            out = torch.cat([block @ grid.waves(self.degrees, part) for part in rows], 2)
        return out.expand(seeds, -1, batch)

    def coefficients(
        self, weights: Float[Tensor, "seed weight"]
    ) -> Float[Tensor, "t outcome point"]:
        """The probabilities as polynomials: they are these times `grid.waves` of the features.

        Only where all feature scales are whole numbers (`degrees` is not None). The seed axis has
        length 1 where no weight has a part.
        """
        assert self.degrees is not None
        if not self.body.weighted:  # one upload: the states are polynomials before any weight
            return self.effects(weights).mT @ self._embedded(weights)[0]
        points = grid.points(self.degrees, weights)
        values = self._direct(weights, points)
        return grid.coefficients(self.degrees, values.expand(-1, -1, points.shape[2]))

    def states(
        self, weights: Float[Tensor, "seed weight"], features: Float[Tensor, "s feature batch"]
    ) -> Float[Tensor, "t paulis last"]:
        """Pauli expectations behind the body; the weights have no part unless it is `weighted`."""
        return self._clusters(weights, features).all().tensor

    def effects(self, weights: Float[Tensor, "seed weight"]) -> Float[Tensor, "t paulis outcome"]:
        """The outcomes' effects before the tail: probabilities are these times the states."""
        back = Clusters([Cluster(tuple(range(self.factors.num_qubits)), self._read(weights))])
        matrices = self.tail.matrices(weights)
        for step in reversed(self.tail.steps):
            assert isinstance(step, Step)  # no feature reaches the tail
            back.map(step.qubits, matrices[step.index].mT)
        return back.all().tensor

    def grid_pays(self, batch: int) -> bool:
        """Whether a batch of this size is worth the grid."""
        if self.degrees is None or self.method != "auto":
            return self.method == "grid"
        size, outcomes = grid.size(self.degrees), self.num_outcomes
        each = (1 << 2 * self.factors.num_qubits) * (self.body.work + outcomes)
        return size * each + batch * size * (1 + outcomes) < batch * each

    def _direct(
        self, weights: Float[Tensor, "seed weight"], features: Float[Tensor, "s feature batch"]
    ) -> Float[Tensor, "t outcome last"]:
        """Input by input; axes of length 1 where neither weights nor features reach."""
        state, batch = self._clusters(weights, features), features.shape[2]
        work, outcomes = self.tail.work, self.num_outcomes
        if outcomes * (work / batch + 1) < work + outcomes:
            effects = self.effects(weights)
        else:
            effects = self._read(weights)
            _forward(self.tail, state, weights, features)
        final = state.all().tensor
        return effects.mT @ (final[0] if len(final) == 1 else final)

    def _clusters(
        self, weights: Float[Tensor, "seed weight"], features: Float[Tensor, "s feature batch"]
    ) -> Clusters:
        """The states behind the body, as far as gates have joined them."""
        ground = weights.new_tensor([1.0, 0.0, 0.0, 1.0]).view(1, 4, 1)
        state = Clusters([Cluster((q,), ground) for q in range(self.factors.num_qubits)])
        _forward(self.body, state, weights, features)
        return state

    def _embedding(self, like: Float[Tensor, "seed weight"]) -> Float[Tensor, "1 paulis point"]:
        """The states behind a body without weights, as polynomials in the features."""
        assert self.degrees is not None
        points = grid.points(self.degrees, like)
        with torch.no_grad():
            states = self.states(like, points)
            return grid.coefficients(self.degrees, states.expand(-1, -1, points.shape[2]))

    def _effects(self, like: Tensor) -> Float[Tensor, "1 paulis outcome"]:
        """The outcomes' effects where they are read, behind the tail."""
        return torch.from_numpy(_effects(self.factors, self.confusion))[None].to(like)


class _Kept:
    """A constant tensor, made once for each precision and device."""

    def __init__(self, make: Callable[[Tensor], Tensor]) -> None:
        self._make = make
        self._found: dict[tuple[torch.dtype, torch.device], Tensor] = {}

    def __call__(self, like: Tensor) -> Tensor:
        key = (like.dtype, like.device)
        if key not in self._found:
            self._found[key] = self._make(like)
        return self._found[key]


def transfer_probabilities(
    ops: Sequence[Op | Channel],
    num_qubits: int,
    measured: Sequence[int],
    weights: Float[Tensor, "*seed weight"],
    features: Float[Tensor, "*s batch feature"],
    *,
    num_features: int,
    num_weights: int,
    confusion: Float64[Floats, "o o"] | None = None,
) -> Float[Tensor, "*out batch outcome"]:
    """Outcome probabilities of gates and channels in order, from the all-zeros state.

    Shapes, bit order and gradients as `qmoe.simulate.probabilities`. confusion: (2^m, 2^m),
    [read, true], over the measured qubits.
    """
    shapes = Circuit(num_qubits, (), tuple(measured), num_features, num_weights)
    w, x, batched = with_seeds(shapes, weights, features)
    key = None if confusion is None else np.ascontiguousarray(confusion).tobytes()
    out = _transfer(tuple(ops), shapes.measured, key)(w, x).transpose(1, 2).contiguous()
    return out if batched else out[0]


@functools.lru_cache(maxsize=64)
def _transfer(
    ops: tuple[Op | Channel, ...], measured: tuple[int, ...], confusion: bytes | None
) -> Transfer:
    size = 2 ** len(measured)
    matrix = None if confusion is None else np.frombuffer(confusion).reshape(size, size)
    return Transfer(ops, measured, confusion=matrix)


def _forward(
    blocks: Blocks,
    state: Clusters,
    weights: Float[Tensor, "seed weight"],
    features: Float[Tensor, "s feature batch"],
) -> None:
    matrices = blocks.matrices(weights)
    for step in blocks.steps:
        if isinstance(step, Step):
            state.map(step.qubits, matrices[step.index])
            continue
        terms = (scale * features[:, index] for index, scale in step.scales.items())
        angle = functools.reduce(torch.add, terms)
        state.turn(step.qubits[0], step.axis, angle.cos(), angle.sin())


def _effects(
    found: Factors, confusion: Float64[Floats, "read outcome"] | None
) -> Float64[Floats, "paulis read"]:
    """(4^n, 2^m): the probability of each outcome is its column times the Pauli expectations."""
    walsh: Floats = np.ones((1, 1))
    place = np.zeros(1, dtype=np.int64)  # of I or Z on each measured qubit, among all Paulis
    for q in found.measured:
        walsh = np.kron(walsh, _READ)
        place = np.add.outer(place, (0, 3 * 4 ** (found.num_qubits - 1 - q))).ravel()
    read = walsh if confusion is None else walsh @ confusion.T
    total: Floats = np.zeros((4**found.num_qubits, read.shape[1]))
    total[place] = read
    return total


def _chunks(
    features: Float[Tensor, "s feature batch"], each: int
) -> Iterator[Float[Tensor, "s feature part"]]:
    yield from features.split(max(1, CHUNK // each), 2)
