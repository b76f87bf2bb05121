"""Somebody's own Cirq circuit as a router circuit."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from backends.cirq.circuits import Parameters, read_op
from backends.registry import require
from qmoe.circuit import Circuit, Feature, Op, Weight
from qmoe.errors import InputError, unknown

if TYPE_CHECKING:
    import cirq


def from_cirq(
    circuit: cirq.AbstractCircuit,
    features: Sequence[str] = ("x",),
    weights: Sequence[str] = ("theta",),
) -> Circuit:
    """A Cirq circuit with named symbols as a Circuit.

    The qubits are taken in their sorted order. The outcome index is big-endian over the measured
    qubits: measurements in the order of their keys (m2 before m10), each in its own order of
    qubits. A circuit without measurements measures all its qubits. Gates that the gate table
    lacks are decomposed by Cirq, equal up to a global phase.

    Args:
        circuit: The circuit; every angle is a sum of numbers and multiples of symbols, radians.
        features: The names of the features, in order: each a symbol, or the common part of
            numbered ones, "x" for x_0, x_1, ..., for x0, x1, ... and for x[0], x[1], ...
        weights: The names of the weights likewise.

    Raises:
        InputError: A symbol of another name, an angle that is not affine, a channel, a
            measurement that is not at the end, or control by a measured value.

    >>> import cirq, sympy
    >>> mine = cirq.Circuit(cirq.ry(2 * sympy.Symbol("a")).on(cirq.q(1)))
    >>> from_cirq(mine, features=["a"]).ops
    (Op(gate='ry', qubits=(0,), angles=(Feature(index=0, scale=2.0),)),)
    """
    require("cirq", "cirq")
    import cirq

    if not circuit.are_all_measurements_terminal():
        raise _refused("a measurement that a gate follows")
    named, counts = _parameters(sorted(cirq.parameter_names(circuit)), features, weights)
    qubits = sorted(circuit.all_qubits())
    index = {qubit: i for i, qubit in enumerate(qubits)}
    ops: list[Op] = []
    measurements: list[tuple[str, tuple[int, ...]]] = []
    for operation in _taken_apart(circuit, index, named):
        if cirq.is_measurement(operation):
            measured = tuple(index[qubit] for qubit in operation.qubits)
            gate = operation.gate
            if not isinstance(gate, cirq.MeasurementGate) or gate.confusion_map:
                raise _refused(f"the measurement {operation}")
            ops += _flips(measured, gate.full_invert_mask())
            measurements.append((cirq.measurement_key_name(operation), measured))
        elif operation.qubits:  # what has none is a global phase
            read = read_op(operation, index, named)
            if read is None:
                raise _refused(f"the operation {operation}")
            ops += read
    measurements.sort(key=lambda item: _natural(item[0]))
    order = tuple(qubit for _, each in measurements for qubit in each)
    return Circuit(len(qubits), tuple(ops), order or tuple(range(len(qubits))), *counts)


def _taken_apart(circuit: Any, index: dict[Any, int], named: Parameters) -> Iterator[Any]:
    import cirq

    def keep(operation: Any) -> bool:
        if cirq.is_measurement(operation) or not operation.qubits:
            return not isinstance(operation.untagged, cirq.CircuitOperation)
        return operation.gate is not None and read_op(operation, index, named) is not None

    for operation in circuit.all_operations():
        if any(isinstance(tag, cirq.VirtualTag) for tag in operation.tags):
            continue
        yield from cirq.decompose(operation, keep=keep, on_stuck_raise=None)


def _flips(qubits: Iterable[int], mask: Iterable[bool]) -> list[Op]:
    """The X gates that stand for a measurement with inverted bits."""
    return [Op("x", (qubit,)) for qubit, flip in zip(qubits, mask, strict=True) if flip]


def _parameters(
    symbols: Sequence[str], features: Sequence[str], weights: Sequence[str]
) -> tuple[dict[str, Feature | Weight], tuple[int, int]]:
    """What each symbol stands for, and how many features and weights there are."""
    named: dict[str, Feature | Weight] = {}
    counts = []
    for kind, names in ((Feature, features), (Weight, weights)):
        first = 0
        for name in [names] if isinstance(names, str) else names:
            places = {symbol: _place(symbol, name) for symbol in symbols if symbol not in named}
            found = {symbol: place for symbol, place in places.items() if place is not None}
            named |= {symbol: kind(first + place) for symbol, place in found.items()}
            first += max(found.values(), default=-1) + 1
        counts.append(first)
    for symbol in symbols:
        if symbol not in named:
            raise unknown("parameter", symbol, [*features, *weights])
    return named, (counts[0], counts[1])


def _place(symbol: str, name: str) -> int | None:
    """The number of a symbol among those of a name; None if it is not one of them."""
    if symbol == name:
        return 0
    match = re.fullmatch(re.escape(name) + r"(?:_?(\d{1,6})|\[(\d{1,6})\])", symbol)
    return int(match[1] or match[2]) if match else None


def _natural(key: str) -> list[tuple[int, str]]:
    """A sort key by which the numbers in names count as numbers."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", key)]


def _refused(what: str) -> InputError:
    return InputError(
        got=f"a circuit with {what}",
        expected="gates that Cirq can decompose to those of the gate table, then measurements",
        do="write it with other gates, or remove it",
    )
