"""Parameter-shift gradients: what training costs on a target that can only be run.

A rotation exp(-i a P / 2) enters every outcome probability as a sine wave of its angle a, so that
its slope is half the difference of two executions, a quarter turn up and down (arXiv 1811.11184).
That holds on a noisy target too, as long as its noise does not depend on the angle. Rotations are
shifted on the compiled circuit, one at a time, and the chain rule leads from them to the weights:
a weight that stands in several of them costs a pair of circuits for each. The adjoint method,
which needs two passes over a state whatever the number of weights, has no counterpart here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from backends.base import Backend, Compiled
from backends.execute import execute
from backends.mitigation import load as mitigation
from qmoe.angles import whole
from qmoe.circuit import Angle, Circuit, Feature, Op, add, affine, scaled
from qmoe.errors import InputError

Array = NDArray[np.float64]


class Rotation(NamedTuple):
    """One rotation inside a gate, by the gate's angles in their order.

    angle: how much of each of them its own angle is the sum of. by: what turns it alone when it
    is added to them.
    """

    angle: tuple[float, ...]
    by: tuple[float, ...]


_PLAIN = (Rotation((1.0,), (1.0,)),)
ROTATIONS: Mapping[str, tuple[Rotation, ...]] = MappingProxyType(
    {
        **dict.fromkeys(("rx", "ry", "rz", "rzz"), _PLAIN),
        # phased_xz(x, z, axis) is rz(-axis), rx(x), rz(z + axis)
        "phased_xz": (
            Rotation((0.0, 0.0, -1.0), (0.0, 1.0, -1.0)),
            Rotation((1.0, 0.0, 0.0), (1.0, 0.0, 0.0)),
            Rotation((0.0, 1.0, 1.0), (0.0, 1.0, 0.0)),
        ),
    }
)
"""The gates whose angles are those of rotations."""


@dataclass(frozen=True, slots=True)
class ShiftCost:
    """What one gradient takes.

    Attributes:
        rotations: Rotations that weights turn, each with two circuits per input.
        inputs: Inputs that the cost sums over.
        shots: Shots of each circuit; 0 where probabilities are exact.
    """

    rotations: int
    inputs: int
    shots: int

    @property
    def executions(self) -> int:
        """Shifted circuits, each input counted, as `qmoe.gradient_cost` counts them."""
        return 2 * self.rotations * self.inputs

    @property
    def circuits(self) -> int:
        """All circuits: the shifted ones, and each input once as it is for the values."""
        return self.executions + self.inputs

    @property
    def total_shots(self) -> int:
        """Shots of all circuits."""
        return self.circuits * self.shots

    def __str__(self) -> str:
        shots = f", {self.total_shots:,} shots" if self.shots else ""
        inputs = f"each of {self.inputs:,} inputs"
        return (
            f"{self.circuits:,} circuits{shots} for one gradient: {inputs} as it is, and at 2 "
            f"shifts of each of {self.rotations} rotations; the adjoint method takes 2 passes over "
            f"the state of {inputs}, which a simulator alone can do"
        )


class ShiftGradient(NamedTuple):
    """What a target gave: outcomes as they are, the slope of each weight, and its standard error.

    values: (batch, 2^m). gradient, error: (num_weights,), the error from shots alone and without
    that of a cotangent that was made from the values; 0 where probabilities are exact.
    """

    values: Array
    gradient: Array
    error: Array


def shift_cost(circuit: Circuit, inputs: int, shots: int | None) -> ShiftCost:
    """What `shift_gradient` will take for a circuit with its weights free.

    The circuit as it is compiled (`Compiled.native`) is what counts: compiling merges rotations,
    and may spread one over several gates. shots: of each circuit; None for exact probabilities.

    Raises:
        InputError: A weight in a gate without a two-term rule, or a bad number.
    """
    rotations = sum(1 for _ in _turned(circuit))
    return ShiftCost(rotations, whole(inputs, "inputs"), 0 if shots is None else _enough(shots))


def shift_gradient(
    backend: Backend,
    circuit: Circuit | Compiled,
    weights: ArrayLike,
    features: ArrayLike,
    cotangent: ArrayLike | Callable[[Array], ArrayLike],
    *,
    shots: int | None,
    seed: int,
) -> ShiftGradient:
    """The slope in the weights of the sum of cotangent times outcome frequencies.

    The target compiles once, with weights free, and runs once: shifts are features of the circuit
    that it is asked to emit, and every shift of every input is a row. Unbiased under shots.

    Args:
        backend: Any target.
        circuit: The circuit, or what the target has compiled it to, weights free.
        weights: (num_weights,) radians.
        features: (batch, num_features) radians.
        cotangent: (batch, 2^m), the slope of the cost in each frequency; a function gets the
            measured frequencies and returns it.
        shots: Of each circuit; None takes exact probabilities, where the target has them.
        seed: Of the shots on simulated targets.

    Raises:
        InputError: A weight in a gate without a two-term rule, shapes that do not fit, fewer than
            2 shots, or a target without exact probabilities asked for them.
    """
    if shots is not None:
        _enough(shots)
    compiled = circuit if isinstance(circuit, Compiled) else backend.compile(circuit)
    ready, chain = _shiftable(compiled)
    x, w = (np.asarray(values, dtype=np.float64) for values in (features, weights))
    _, count = chain.shape
    if x.ndim != 2 or x.shape[1] != compiled.native.num_features or w.shape != (count,):
        raise InputError(
            got=f"features of shape {x.shape} and weights of shape {w.shape}",
            expected=f"(batch, {compiled.native.num_features}) and ({count},)",
            do="pass one row per input and one number per weight, radians",
        )
    bound = backend.emit(ready, compiled).bind_weights(w)
    steps = np.pi / 2 * np.eye(len(chain))
    settings = np.concatenate([np.zeros((1, len(chain))), steps, -steps])
    rows = np.concatenate([np.tile(x, (len(settings), 1)), settings.repeat(len(x), 0)], axis=1)
    found = execute(backend, bound, mitigation("none"), rows, shots, seed).quasi
    found = found.reshape(len(settings), len(x), compiled.num_outcomes)
    values = found[0]
    slope = np.asarray(cotangent(values) if callable(cotangent) else cotangent, dtype=np.float64)
    if slope.shape != values.shape:
        raise InputError(
            got=f"a cotangent of shape {slope.shape}",
            expected=f"{values.shape}",
            do="pass one number for each outcome of each input",
        )
    costs = np.einsum("sbo,bo->sb", found, slope)
    up, down = costs[1:].sum(1).reshape(2, -1)
    variance = np.zeros(len(chain))
    if shots is not None:
        spread = (np.einsum("sbo,bo->sb", found, slope**2) - costs**2) / (shots - 1)
        variance = spread[1:].sum(1).reshape(2, -1).sum(0)
    # two weights that turn one rotation share its pair; their errors are then correlated
    error = np.sqrt(np.maximum((chain**2).T @ variance, 0)) / 2
    return ShiftGradient(values, chain.T @ (up - down) / 2, error)


def _shiftable(compiled: Compiled) -> tuple[Circuit, Array]:
    """The native circuit with one more feature for the shift of each rotation, and the chain rule.

    The second: (rotation, weight), how much of each weight turns each rotation.
    """
    native = compiled.native
    turned = list(_turned(native))
    ops = list(native.ops)
    chain = np.zeros((len(turned), native.num_weights))
    for k, (place, rotation, turns) in enumerate(turned):
        shift = Feature(native.num_features + k)
        op = ops[place]
        angles = (add(a, scaled(shift, by)) for a, by in zip(op.angles, rotation.by, strict=True))
        ops[place] = Op(op.gate, op.qubits, tuple(angles))
        for index, scale in turns.items():
            chain[k, index] = scale
    features = native.num_features + len(turned)
    return replace(native, ops=tuple(ops), num_features=features), chain


def _turned(circuit: Circuit) -> Iterator[tuple[int, Rotation, dict[int, float]]]:
    """The rotations that weights turn: where their gate stands, and how much of each weight."""
    for place, op in enumerate(circuit.ops):
        if not any(affine(angle).weights for angle in op.angles):
            continue
        if op.gate not in ROTATIONS:
            raise InputError(
                got=f"a weight in {op.gate}, whose slope is not that of two shifts",
                expected=", ".join(sorted(ROTATIONS)),
                do="write the gate as rotations and gates without angles",
            )
        for rotation in ROTATIONS[op.gate]:
            turns = affine(_sum(op.angles, rotation.angle)).weights
            if turns:
                yield place, rotation, turns


def _sum(angles: tuple[Angle, ...], shares: tuple[float, ...]) -> Angle:
    return add(*(scaled(angle, share) for angle, share in zip(angles, shares, strict=True)))


def _enough(shots: int) -> int:
    """Shots from which a standard error can be told."""
    return whole(shots, "shots of each shifted circuit", 2)
