"""Somebody's own PennyLane function as a router circuit.

PennyLane has no symbols, so the function is called with numbers: once at a random point, once
with each parameter moved by one, and twice more to see that the angles really are affine.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.registry import require
from qmoe.circuit import Angle, Circuit, Op, angle_of
from qmoe.errors import InputError

# PennyLane's names of the gates that the gate table has; it decomposes all others to these.
_GATES = {
    "PauliX": "x",
    "PauliY": "y",
    "PauliZ": "z",
    "Hadamard": "h",
    "S": "s",
    "SX": "sx",
    "RX": "rx",
    "RY": "ry",
    "RZ": "rz",
    "PhaseShift": "rz",  # up to a global phase
    "CNOT": "cx",
    "CZ": "cz",
    "ECR": "ecr",
    "IsingZZ": "rzz",
}
_IDLE = ("Barrier", "WireCut", "Snapshot", "Identity", "GlobalPhase")
_TOLERANCE = 1e-9
_SEED = 0  # of the points where the function is called; any would do


def from_pennylane(
    function: Callable[..., Any], num_features: int = 0, weights: int | tuple[int, ...] = 0
) -> Circuit:
    """A quantum function, QNode or tape as a Circuit.

    A function is called as `function(x, theta)` with x of shape (num_features,) and theta of the
    shape `weights`, radians; an argument without entries is left out. Weight i of the circuit is
    entry i of theta.ravel(). Whole-number wires are taken in rising order, others as they
    appear. The outcome index is big-endian over the wires of its qml.probs, in their order
    (likewise of qml.counts, qml.sample, and of one Pauli-Z expectation per wire); over all wires
    where it returns nothing.

    Args:
        function: Gates whose angles are affine in x and theta. Other gates and templates are
            decomposed by PennyLane.
        num_features: The length of x.
        weights: The shape of theta: a number, or what `Template.shape(...)` of PennyLane gives.

    Raises:
        InputError: Angles that are not affine, gates that depend on values, a gate that cannot
            be decomposed, a measurement in the middle, or PennyLane is not installed.

    >>> import pennylane as qml
    >>> from_pennylane(lambda x: qml.RY(2 * x[0], wires=0), 1).ops
    (Op(gate='ry', qubits=(0,), angles=(Feature(index=0, scale=2.0),)),)
    """
    qml = require("dev", "pennylane")
    shape = (weights,) if isinstance(weights, int) else tuple(weights)
    size = num_features + math.prod(shape)

    def record(point: NDArray[np.float64]) -> _Recorded:
        arguments = (point[:num_features], point[num_features:].reshape(shape))
        called = [argument for argument in arguments if argument.size]
        if isinstance(function, qml.tape.QuantumScript):
            return _recorded(qml, function)
        if isinstance(function, qml.QNode):
            return _recorded(qml, qml.workflow.construct_tape(function)(*called))
        return _recorded(qml, qml.tape.make_qscript(function)(*called))

    base, *checks = np.random.default_rng(_SEED).uniform(0.5, 1.5, size=(3, size))
    found = record(base)
    moved = [record(base + unit).angles_like(found) - found.angles for unit in np.eye(size)]
    slopes = np.array(moved).reshape(size, len(found.angles)).T
    offsets = found.angles - slopes @ base
    for point in checks:
        angles = record(point).angles_like(found)
        if not np.allclose(slopes @ point + offsets, angles, rtol=0, atol=_TOLERANCE):
            raise InputError(
                got="a function with an angle that is not affine in its arguments",
                expected="sums of numbers and of multiples of features and weights",
                do="move other functions into the classical part of the router",
            )
    affine = [
        angle_of(
            {i: _clean(slope) for i, slope in enumerate(row[:num_features])},
            {i: _clean(slope) for i, slope in enumerate(row[num_features:])},
            _clean(offset),
        )
        for row, offset in zip(slopes, offsets, strict=True)
    ]
    return found.circuit(affine, num_features, math.prod(shape))


@dataclass(frozen=True)
class _Recorded:
    """What a function did when it was called with numbers.

    Attributes:
        gates: Name, wires and number of angles of each gate, in order.
        angles: All angles in order.
        wires: All wires in order.
        measured: The measured wires in order.
    """

    gates: tuple[tuple[str, tuple[Any, ...], int], ...]
    angles: NDArray[np.float64]
    wires: tuple[Any, ...]
    measured: tuple[Any, ...]

    def angles_like(self, other: _Recorded) -> NDArray[np.float64]:
        """The angles, if the gates are those of another call.

        Raises:
            InputError: They are not.
        """
        if (self.gates, self.measured) != (other.gates, other.measured):
            raise InputError(
                got="a function whose gates depend on the values of its arguments",
                expected="the same gates for all features and weights",
                do="let only angles depend on them",
            )
        return self.angles

    def circuit(self, angles: Sequence[Angle], num_features: int, num_weights: int) -> Circuit:
        """The circuit of these gates with other angles."""
        index = {wire: i for i, wire in enumerate(self.wires)}
        left = iter(angles)
        ops = tuple(
            Op(name, tuple(index[wire] for wire in wires), tuple(next(left) for _ in range(count)))
            for name, wires, count in self.gates
        )
        measured = tuple(index[wire] for wire in self.measured)
        return Circuit(len(index), ops, measured, num_features, num_weights)


def _recorded(qml: Any, tape: Any) -> _Recorded:
    """A tape decomposed by PennyLane to gates of the gate table."""
    known = {*_GATES, *_IDLE}
    with warnings.catch_warnings():
        # What cannot be decomposed stays, with a warning; it is refused by name below.
        warnings.filterwarnings("ignore", "Operator .* does not define a decomposition")
        (simple,), _ = qml.transforms.decompose(tape, gate_set=known)
    gates = []
    angles: list[float] = []
    for operation in simple.operations:
        if operation.name in _IDLE:
            continue
        if operation.name not in _GATES:
            raise _refused(operation.name)
        values = [np.asarray(value, dtype=np.float64) for value in operation.data]
        if any(value.ndim for value in values):
            raise _refused(f"a batch of values in {operation.name}")
        angles += map(float, values)
        gates.append((_GATES[operation.name], tuple(operation.wires), len(values)))
    wires = list(simple.wires)
    if all(isinstance(wire, int) for wire in wires):
        wires.sort()
    measured = _measured(qml, simple) or wires
    return _Recorded(tuple(gates), np.array(angles), tuple(wires), tuple(measured))


def _measured(qml: Any, tape: Any) -> list[Any]:
    """The wires of the measurements, in order; none for what measures all."""
    kinds = qml.measurements
    outcomes = (kinds.ProbabilityMP, kinds.CountsMP, kinds.SampleMP)
    wires: list[Any] = []
    for measurement in tape.measurements:
        of_z = measurement.obs is not None and measurement.obs.name == "PauliZ"
        if not (of_z or (measurement.obs is None and isinstance(measurement, outcomes))):
            raise _refused(f"the measurement {measurement}")
        wires += list(measurement.wires)
    return wires


def _clean(value: float) -> float:
    """A coefficient without what subtracting calls did to its last bits."""
    steps = round(24 * value / math.pi)
    if abs(24 * value / math.pi - steps) < 1e-10:
        return math.pi * (steps / 24)
    return round(float(value), 12)


def _refused(what: str) -> InputError:
    return InputError(
        got=f"a function with {what}",
        expected="gates, then qml.probs of some wires",
        do="remove it, or write it with gates that PennyLane can decompose",
    )
