"""Our circuits as qiskit's and back.

Features are the ParameterVector "x", weights "theta", radians. The first measured qubit is read
into the highest bit of the classical register "c", so qiskit's bitstring, read as a binary
number, is our outcome index: `int(bitstring, 2)`. qiskit names the last qubit of a matrix the
most significant, we the first: channels change hands with their qubits reversed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qmoe.channel import Channel
from qmoe.circuit import GATES, Angle, Circuit, Feature, Op, Weight, add, affine, scaled
from qmoe.errors import FitError, InputError

if TYPE_CHECKING:
    from qiskit import QuantumCircuit

FEATURES, WEIGHTS = "x", "theta"
IDLE = ("barrier", "delay")  # what a transpiled circuit may hold besides gates and measurements


def to_qiskit(
    circuit: Circuit,
    physical: Sequence[int] | None = None,
    target_size: int | None = None,
    *,
    steps: Iterable[Op | Channel] | None = None,
    measure: bool = True,
) -> QuantumCircuit:
    """The circuit in qiskit's gates; marks vanish, a barrier stands before the measurement.

    Args:
        circuit: Any circuit; free features and weights become parameters.
        physical: The qubit of the result for each qubit of the circuit; None leaves them.
        target_size: How many qubits the result has; None takes as many as needed.
        steps: Gates and noise in order, in place of the circuit's own ops.
        measure: False leaves out barrier and measurement.
    """
    from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
    from qiskit.circuit import ParameterVector

    places = range(circuit.num_qubits) if physical is None else physical
    size = max(places) + 1 if target_size is None else target_size
    out = QuantumCircuit(QuantumRegister(size, "q"))
    x = ParameterVector(FEATURES, circuit.num_features)
    theta = ParameterVector(WEIGHTS, circuit.num_weights)
    for step in circuit.ops if steps is None else steps:
        qubits = [places[qubit] for qubit in step.qubits]
        if isinstance(step, Channel):
            out.append(_noise(step), qubits[::-1])
        elif not step.is_mark:
            for op in step.lower() if step.gate == "phased_xz" else (step,):
                angles = [_expression(angle, x, theta) for angle in op.angles]
                getattr(out, op.gate)(*angles, *qubits)
    if measure:
        bits = ClassicalRegister(len(circuit.measured), "c")
        out.add_register(bits)
        out.barrier(places)
        out.measure([places[qubit] for qubit in circuit.measured], bits[::-1])
    return out


def from_qiskit_native(
    compiled: QuantumCircuit, num_features: int = 0, num_weights: int = 0
) -> tuple[Circuit, tuple[int, ...]]:
    """A transpiled circuit of `to_qiskit` over its active qubits, and the physical qubit of each.

    Qubits are numbered in the order of their physical numbers; angles stay affine.

    Raises:
        FitError: It has a gate that the gate table does not know.
    """
    symbols = _symbols(compiled)
    read: dict[int, int] = {}
    steps = []
    for instruction in compiled.data:
        name = instruction.operation.name
        qubits = tuple(compiled.find_bit(qubit).index for qubit in instruction.qubits)
        if name == "measure":
            read[compiled.find_bit(instruction.clbits[0]).index] = qubits[0]
        elif name not in IDLE:
            steps.append(_op(name, qubits, instruction.operation.params, symbols))
    physical = sorted({*read.values(), *(qubit for op in steps for qubit in op.qubits)})
    place = {qubit: k for k, qubit in enumerate(physical)}
    native = Circuit(
        num_qubits=len(physical),
        ops=tuple(Op(op.gate, tuple(place[q] for q in op.qubits), op.angles) for op in steps),
        measured=tuple(place[read[bit]] for bit in sorted(read, reverse=True)),
        num_features=num_features,
        num_weights=num_weights,
    )
    return native, tuple(physical)


def bindings(compiled: QuantumCircuit, features: ArrayLike) -> NDArray[np.float64]:
    """The features (batch, d) as values (batch, len(compiled.parameters)).

    Columns stand in the order of `compiled.parameters`, which leaves out features that no gate
    uses: it is what a PUB takes, and `dict(zip(compiled.parameters, row))` binds one input.
    """
    x = np.asarray(features, dtype=np.float64)
    return x[:, [parameter.index for parameter in compiled.parameters]]


def read_angle(value: Any, symbols: Mapping[Any, Angle]) -> Angle:
    """The affine angle of one of qiskit's numbers or expressions.

    Args:
        value: A number or a ParameterExpression.
        symbols: What each parameter stands for.

    Raises:
        InputError: It is not affine in the parameters.
    """
    found: list[Angle] = []
    free = list(getattr(value, "parameters", ()))
    for parameter in free:
        slope = value.gradient(parameter)
        if getattr(slope, "parameters", ()):
            raise InputError(
                got=f"the angle {value}",
                expected="a sum of numbers and multiples of parameters",
                do="compute other functions of an input before it enters the circuit",
            )
        found.append(scaled(symbols[parameter], float(_plain(slope))))
    offset = value.bind(dict.fromkeys(free, 0.0)) if free else value
    return add(*found, float(_plain(offset)))


def _expression(angle: Angle, x: Any, theta: Any) -> Any:
    part = affine(angle)
    terms = [_times(scale, x[index]) for index, scale in part.features.items()]
    terms += [_times(scale, theta[index]) for index, scale in part.weights.items()]
    if not terms:
        return part.offset
    return sum(terms[1:], terms[0] + part.offset if part.offset else terms[0])


def _times(scale: float, parameter: Any) -> Any:
    return parameter if scale == 1.0 else scale * parameter


def _noise(channel: Channel) -> Any:
    from qiskit.quantum_info import PTM, SuperOp

    return SuperOp(PTM(channel.ptm)).to_instruction()


def _symbols(compiled: QuantumCircuit) -> dict[Any, Angle]:
    kinds: dict[str, type[Feature | Weight]] = {FEATURES: Feature, WEIGHTS: Weight}
    return {p: kinds[p.vector.name](p.index) for p in compiled.parameters}


def _op(name: str, qubits: tuple[int, ...], angles: Any, symbols: Mapping[Any, Angle]) -> Op:
    if name not in GATES:
        raise FitError(
            got=f"the gate {name} in a compiled circuit",
            expected=f"one of {', '.join(gate for gate in GATES if not GATES[gate].is_mark)}",
            do="choose a target with other native gates",
        )
    return Op(name, qubits, tuple(read_angle(angle, symbols) for angle in angles))


def _plain(value: Any) -> Any:
    """The number behind an expression without parameters, and any other value as it is."""
    return value.numeric() if hasattr(value, "numeric") else value
