"""Somebody's own qiskit circuit as a router circuit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from backends.ibm.circuits import read_angle
from qmoe.circuit import Angle, Circuit, Feature, Op, Weight
from qmoe.errors import InputError, unknown

if TYPE_CHECKING:
    from qiskit import QuantumCircuit

# What other gates are decomposed to, parameters kept; phased_xz is not qiskit's.
BASIS = ("x", "y", "z", "h", "s", "sx", "rx", "ry", "rz", "cx", "cz", "ecr", "rzz")


def from_qiskit(
    circuit: QuantumCircuit,
    features: Sequence[str] = ("x",),
    weights: Sequence[str] = ("theta",),
) -> Circuit:
    """A qiskit circuit with named parameters as a Circuit.

    The outcome index is the integer of qiskit's bitstring over the bits that are measured: the
    highest classical bit is the most significant. A circuit without measurements measures all
    its qubits, the last one most significant, as qiskit's measure_all does. Gates that the gate
    table lacks are decomposed, equal up to a global phase.

    Args:
        circuit: The circuit; every angle is a sum of numbers and multiples of parameters.
        features: The names of the features, in order: each a ParameterVector, of which every
            element is a feature in its order, or a single Parameter.
        weights: The names of the weights likewise.

    Raises:
        InputError: A parameter of another name, an angle that is not affine, a reset, a
            measurement that another gate follows, or control flow.

    >>> from qiskit import QuantumCircuit
    >>> from qiskit.circuit import Parameter
    >>> mine = QuantumCircuit(2)
    >>> _ = mine.ry(2 * Parameter("a"), 1)
    >>> from_qiskit(mine, features=("a",), weights=()).measured
    (1, 0)
    """
    gates, measured = _parts(circuit)
    symbols, counts = _symbols(circuit, features, weights)
    ops = []
    for instruction in _decomposed(gates).data:
        name = instruction.operation.name
        if name != "barrier":
            qubits = tuple(gates.find_bit(qubit).index for qubit in instruction.qubits)
            angles = (read_angle(angle, symbols) for angle in instruction.operation.params)
            ops.append(Op(name, qubits, tuple(angles)))
    return Circuit(circuit.num_qubits, tuple(ops), measured, *counts)


def _parts(circuit: QuantumCircuit) -> tuple[QuantumCircuit, tuple[int, ...]]:
    """The gates alone, and the measured qubits, highest classical bit first."""
    gates = circuit.copy_empty_like()
    read: dict[int, int] = {}
    for instruction in circuit.data:
        operation = instruction.operation
        qubits = [circuit.find_bit(qubit).index for qubit in instruction.qubits]
        if operation.name == "measure":
            bit = circuit.find_bit(instruction.clbits[0]).index
            if bit in read or qubits[0] in read.values():
                raise _refused(f"qubit {qubits[0]} or bit {bit} measured twice")
            read[bit] = qubits[0]
        elif operation.name in ("barrier", "delay"):
            continue
        elif instruction.clbits or getattr(operation, "blocks", ()) or operation.name == "reset":
            raise _refused(operation.name)
        elif set(qubits) & set(read.values()):
            raise _refused(f"{operation.name} after a measurement")
        else:
            gates.append(instruction)
    if not read:
        return gates, tuple(reversed(range(circuit.num_qubits)))
    return gates, tuple(read[bit] for bit in sorted(read, reverse=True))


def _symbols(
    circuit: QuantumCircuit, features: Sequence[str], weights: Sequence[str]
) -> tuple[Mapping[Any, Angle], tuple[int, int]]:
    """What each parameter stands for, and how many features and weights there are."""
    by_name: dict[str, list[Any]] = {}
    sizes: dict[str, int] = {}
    for parameter in circuit.parameters:
        vector = getattr(parameter, "vector", None)
        name = parameter.name if vector is None else vector.name
        by_name.setdefault(name, []).append(parameter)
        sizes[name] = 1 if vector is None else len(vector)
    symbols: dict[Any, Angle] = {}
    counts = []
    for kind, names in ((Feature, features), (Weight, weights)):
        first = 0
        for name in [names] if isinstance(names, str) else names:
            for parameter in by_name.pop(name, []):
                symbols[parameter] = kind(first + getattr(parameter, "index", 0))
            first += sizes.get(name, 0)
        counts.append(first)
    for name in by_name:
        raise unknown("parameter", name, [*features, *weights])
    return symbols, (counts[0], counts[1])


def _decomposed(gates: QuantumCircuit) -> QuantumCircuit:
    """The gates with those that the gate table lacks taken apart; the others as they are."""
    from qiskit import transpile
    from qiskit.exceptions import QiskitError

    if all(instruction.operation.name in BASIS for instruction in gates.data):
        return gates
    try:
        return transpile(gates, basis_gates=list(BASIS), optimization_level=0)
    except QiskitError as error:
        raise InputError(
            got=f"gates that qiskit cannot decompose ({error.message})",
            expected=f"what can be written with {', '.join(BASIS)}",
            do="decompose them yourself",
        ) from error


def _refused(what: str) -> InputError:
    return InputError(
        got=f"a circuit with {what}",
        expected="gates, then at most one measurement of each qubit",
        do="remove it: a router circuit is measured once, at its end",
    )
