"""Circuits to Braket and back: features and weights as free parameters, angles in radians.

Feature i is the free parameter `x<i>`, weight i is `theta<i>` (Braket keeps the names `b` and `q`
for itself). Nothing here optimises: one op is one Braket instruction, except where said.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from qmoe.channel import Channel
from qmoe.circuit import Angle, Circuit, Feature, Op, Weight, affine, angle_of
from qmoe.errors import FitError, InputError

GATES = {
    "x": "X",
    "y": "Y",
    "z": "Z",
    "h": "H",
    "s": "S",
    "sx": "V",
    "rx": "Rx",
    "ry": "Ry",
    "rz": "Rz",
    "cx": "CNot",
    "cz": "CZ",
    "ecr": "ECR",
    "rzz": "ZZ",
}
"""Braket's name of each gate of the table but phased_xz."""

_BACK = {theirs: ours for ours, theirs in GATES.items()}
_PARAMETER = re.compile(r"^(x|theta)(\d+)$")


def to_braket(
    circuit: Circuit,
    qubits: Sequence[int] | None = None,
    *,
    native: Collection[str] = (),
    verbatim: bool = False,
    measure: bool = True,
) -> Any:
    """The circuit as a braket.circuits.Circuit; marks vanish.

    Args:
        circuit: Features and weights may be free.
        qubits: The device's own number of each qubit; None: the same numbers.
        native: Braket's names of a device's native gates, for phased_xz: with gpi2 it is a pulse
            of IonQ's, with prx one of IQM's, else rz, rx, rz.
        verbatim: Gates stand in a verbatim box: the device runs them as they are.
        measure: Ends in a measurement of `measured`, in its order.

    Raises:
        FitError: A phased_xz that is no native gate.
    """
    from braket.circuits import Circuit as BraketCircuit

    places = range(circuit.num_qubits) if qubits is None else qubits
    body = BraketCircuit()
    for op in circuit.ops:
        for instruction in to_instructions(op, places, native):
            body.add_instruction(instruction)
    made = BraketCircuit().add_verbatim_box(body) if verbatim and body.instructions else body
    if measure:
        made.measure([places[qubit] for qubit in circuit.measured])
    return made


def to_instructions(op: Op, qubits: Sequence[int], native: Collection[str] = ()) -> list[Any]:
    """One op as Braket instructions; a mark has none, phased_xz without native gates three."""
    from braket.circuits import Instruction, gates

    if op.is_mark:
        return []
    if op.gate == "phased_xz" and not native:
        return [each for step in op.lower() for each in to_instructions(step, qubits)]
    if op.gate == "phased_xz":
        name, angles = _pulse(op, native)
    else:
        name, angles = GATES[op.gate], op.angles
    gate = getattr(gates, name)(*map(parameter, angles))
    return [Instruction(gate, [qubits[qubit] for qubit in op.qubits])]


def parameter(angle: Angle) -> Any:
    """An angle as Braket has it: a float, or an expression of free parameters."""
    from braket.circuits import FreeParameter

    part = affine(angle)
    terms = [FreeParameter(f"x{i}") * scale for i, scale in part.features.items()]
    terms += [FreeParameter(f"theta{i}") * scale for i, scale in part.weights.items()]
    return sum(terms[1:], terms[0]) + part.offset if terms else part.offset


def inputs(features: Iterable[float]) -> dict[str, float]:
    """The free parameters of one row of features, by name.

    >>> inputs([0.5, 1.0])
    {'x0': 0.5, 'x1': 1.0}
    """
    return {f"x{i}": float(value) for i, value in enumerate(features)}


def from_braket(
    circuit: Any, qubits: Sequence[int], *, num_features: int, num_weights: int
) -> Circuit:
    """A compiled Braket circuit read back gate by gate; qubit i of the result is `qubits[i]`.

    Raises:
        InputError: A gate that is not in the table, noise, or an angle that is not affine.
    """
    index = {int(qubit): i for i, qubit in enumerate(qubits)}
    steps = read_steps(circuit, index)
    ops = tuple(step for step in steps if isinstance(step, Op))
    if len(ops) != len(steps):
        raise InputError(
            got="a Braket circuit with noise", expected="gates", do="read it before adding noise"
        )
    return Circuit(len(qubits), ops, read_measured(circuit, index), num_features, num_weights)


def read_steps(circuit: Any, index: Mapping[int, int]) -> list[Op | Channel]:
    """Gates as ops and noise as channels, in order; measurements and boxes are left out.

    index: Our number of each of the device's qubits.

    Raises:
        InputError: A gate that is not in the table, or an angle that is not affine.
    """
    from braket.circuits import Gate, Noise

    steps: list[Op | Channel] = []
    for instruction in circuit.instructions:
        operator = instruction.operator
        qubits = tuple(index[int(qubit)] for qubit in instruction.target)
        if isinstance(operator, Noise):
            steps.append(Channel.from_kraus(qubits, operator.to_matrix()))
        elif isinstance(operator, Gate):
            steps.append(_read_gate(operator, qubits))
    return steps


def read_measured(circuit: Any, index: Mapping[int, int]) -> tuple[int, ...]:
    """The measured qubits, in the order of the measurement."""
    from braket.circuits.measure import Measure

    return tuple(
        index[int(qubit)]
        for instruction in circuit.instructions
        if isinstance(instruction.operator, Measure)
        for qubit in instruction.target
    )


def read_angle(value: Any) -> Angle:
    """A number or an expression of free parameters as an angle.

    Raises:
        InputError: It is not affine, or has a parameter that stands for nothing.
    """
    expression = getattr(value, "expression", value)
    if not hasattr(expression, "free_symbols"):
        return float(expression)
    features: dict[int, float] = {}
    weights: dict[int, float] = {}
    offset = 0.0
    for term, scale in expression.expand().as_coefficients_dict().items():
        match = _PARAMETER.match(str(term))
        if match is not None:
            (features if match[1] == "x" else weights)[int(match[2])] = float(scale)
        elif term.is_number:
            offset += float(term * scale)
        else:
            raise InputError(
                got=f"the angle {expression}",
                expected="a sum of numbers and of multiples of x0, ..., theta0, ...",
                do="name every parameter, and let angles depend on them linearly",
            )
    return angle_of(features, weights, offset)


def _pulse(op: Op, native: Collection[str]) -> tuple[str, tuple[Angle, ...]]:
    """Braket's name and angles of a phased_xz on a device."""
    x, z, axis = op.angles
    if z == 0.0 and "gpi2" in native:
        for size, name in ((math.pi / 2, "GPi2"), (math.pi, "GPi")):
            if not isinstance(x, Feature | Weight) and x == size:
                return name, (axis,)
    elif z == 0.0 and "prx" in native:
        return "PRx", (x, axis)
    raise FitError(
        got=f"phased_xz by {x} and {z}",
        expected=f"a native gate, one of {', '.join(sorted(native))}",
        do="compile the circuit for the device first",
    )


def _read_gate(gate: Any, qubits: tuple[int, ...]) -> Op:
    name = type(gate).__name__
    if name == "PRx":
        return Op("phased_xz", qubits, (read_angle(gate.angle_1), 0.0, read_angle(gate.angle_2)))
    if name in ("GPi", "GPi2"):
        size = math.pi if name == "GPi" else math.pi / 2
        return Op("phased_xz", qubits, (size, 0.0, read_angle(gate.angle)))
    if name not in _BACK:
        raise InputError(
            got=f"the Braket gate {name} on qubits {qubits}",
            expected=f"one of {', '.join((*_BACK, 'PRx', 'GPi', 'GPi2'))}",
            do="write the circuit in these gates",
        )
    angles = (read_angle(gate.angle),) if hasattr(gate, "angle") else ()
    return Op(_BACK[name], qubits, angles)
