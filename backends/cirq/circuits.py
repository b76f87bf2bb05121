"""Circuits to Cirq and back: features and weights as symbols, angles as exponents of pi.

Feature i is the symbol `x_i`, weight i is `theta_i`; both stay in radians, so an exponent reads
`scale / pi * x_i + offset / pi`. Nothing here optimises: one op is one Cirq operation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from backends.native.phased import lowered, phased
from qmoe.circuit import GATES, Angle, Circuit, Feature, Op, Weight, affine, angle_of, scaled
from qmoe.errors import InputError

__all__ = [
    "exponent",
    "from_cirq_native",
    "lowered",
    "parameters",
    "phased",
    "read_angle",
    "read_op",
    "resolvers",
    "to_cirq",
    "to_op",
]

Parameters = Mapping[str, Feature | Weight]


def to_cirq(circuit: Circuit, qubits: Sequence[Any], key: str = "m") -> Any:
    """The circuit as a cirq.Circuit on `qubits`, ending in one measurement in its own moment.

    Every gate stands as late as it can, since a qubit that waits in |0> does not relax. Marks
    vanish. The measurement has the order of `measured`, so its integer is the outcome index.
    """
    import cirq

    body = cirq.Circuit(to_op(op, qubits) for op in circuit.ops if not op.is_mark)
    measurement = cirq.measure(*(qubits[q] for q in circuit.measured), key=key)
    return cirq.align_right(body) + cirq.Circuit(measurement)


def to_op(op: Op, qubits: Sequence[Any]) -> Any:
    """One op that is no mark as a Cirq operation."""
    import cirq

    fixed: dict[str, Any] = {
        "x": cirq.X,
        "y": cirq.Y,
        "z": cirq.Z,
        "h": cirq.H,
        "s": cirq.S,
        "sx": cirq.X**0.5,
        "cx": cirq.CNOT,
        "cz": cirq.CZ,
    }
    # global_shift makes them the rotations of the gate table, phase included
    turns: dict[str, Callable[..., Any]] = {
        "rx": cirq.XPowGate,
        "ry": cirq.YPowGate,
        "rz": cirq.ZPowGate,
        "rzz": cirq.ZZPowGate,
    }
    targets = [qubits[q] for q in op.qubits]
    exponents = [exponent(angle) for angle in op.angles]
    if op.gate in fixed:
        return fixed[op.gate].on(*targets)
    if op.gate in turns:
        return turns[op.gate](exponent=exponents[0], global_shift=-0.5).on(*targets)
    if op.gate == "phased_xz":
        x, z, axis = exponents
        gate = cirq.PhasedXZGate(x_exponent=x, z_exponent=z, axis_phase_exponent=axis)
        return gate.on(*targets)
    return cirq.MatrixGate(GATES[op.gate].unitary(), name=op.gate).on(*targets)  # ecr


def exponent(angle: Angle) -> Any:
    """An angle over pi: a float, or a sympy expression where something is free."""
    import sympy

    part = affine(angle)
    terms = [sympy.Symbol(f"x_{i}") * (scale / math.pi) for i, scale in part.features.items()]
    terms += [sympy.Symbol(f"theta_{i}") * (scale / math.pi) for i, scale in part.weights.items()]
    offset = part.offset / math.pi
    return sympy.Add(*terms, offset) if terms else offset


def resolvers(features: ArrayLike) -> list[Any]:
    """One cirq.ParamResolver for each row of features (batch, d), radians."""
    import cirq

    rows = np.asarray(features, dtype=np.float64)
    return [cirq.ParamResolver({f"x_{i}": float(v) for i, v in enumerate(row)}) for row in rows]


def parameters(num_features: int, num_weights: int) -> dict[str, Feature | Weight]:
    """What each of our own symbols stands for."""
    named: dict[str, Feature | Weight] = {f"x_{i}": Feature(i) for i in range(num_features)}
    return named | {f"theta_{i}": Weight(i) for i in range(num_weights)}


def from_cirq_native(
    circuit: Any, qubits: Sequence[Any], *, num_features: int, num_weights: int
) -> Circuit:
    """A compiled cirq.Circuit read back gate by gate; qubit i of the result is `qubits[i]`.

    Reading what `to_cirq` made of the result gives the result again, to the last bit.

    Raises:
        InputError: A gate that is not in the table, or an angle that is not affine.
    """
    import cirq

    index = {qubit: i for i, qubit in enumerate(qubits)}
    named = parameters(num_features, num_weights)
    ops: list[Op] = []
    measured: list[int] = []
    for operation in circuit.all_operations():
        if cirq.is_measurement(operation):
            measured += [index[q] for q in operation.qubits]
            continue
        read = read_op(operation, index, named)
        if read is None:
            raise InputError(
                got=f"the operation {operation}",
                expected="a gate of qmoe.circuit.GATES",
                do="compile the circuit to gates of that table first",
            )
        ops += read
    return Circuit(len(qubits), tuple(ops), tuple(measured), num_features, num_weights)


def read_op(operation: Any, index: Mapping[Any, int], named: Parameters) -> tuple[Op, ...] | None:
    """A Cirq operation as ops, up to a global phase; None where the gate table has nothing alike.

    named: What each symbol stands for; symbols are angles in radians.
    """
    import cirq

    gate = operation.gate
    qubits = tuple(index[q] for q in operation.qubits)

    def angle(value: Any) -> Angle:
        return read_angle(value, named)

    match gate:
        case cirq.PhasedXZGate():
            angles = (gate.x_exponent, gate.z_exponent, gate.axis_phase_exponent)
            return (Op("phased_xz", qubits, tuple(map(angle, angles))),)
        case cirq.PhasedXPowGate():
            turn, axis = angle(gate.exponent), angle(gate.phase_exponent)
            return (Op("phased_xz", qubits, (turn, 0.0, axis)),)
        case cirq.HPowGate(exponent=1):
            return (Op("h", qubits),)
        case cirq.XPowGate(dimension=2):
            return (_named_or_turn(qubits, "rx", angle(gate.exponent), {1.0: "x", 0.5: "sx"}),)
        case cirq.YPowGate():
            return (_named_or_turn(qubits, "ry", angle(gate.exponent), {1.0: "y"}),)
        case cirq.ZPowGate(dimension=2):
            return (_named_or_turn(qubits, "rz", angle(gate.exponent), {1.0: "z", 0.5: "s"}),)
        case cirq.CXPowGate(exponent=1):
            return (Op("cx", qubits),)
        case cirq.CZPowGate(exponent=1):
            return (Op("cz", qubits),)
        case cirq.CZPowGate():
            half = scaled(angle(gate.exponent), 0.5)
            turns = tuple(Op("rz", (q,), (half,)) for q in qubits)
            return (*turns, Op("rzz", qubits, (scaled(half, -1.0),)))
        case cirq.ZZPowGate():
            return (Op("rzz", qubits, (angle(gate.exponent),)),)
        case cirq.IdentityGate():
            return ()
        case cirq.MatrixGate() if gate == cirq.MatrixGate(GATES["ecr"].unitary()):
            return (Op("ecr", qubits),)
    return None


def read_angle(value: Any, named: Parameters) -> Angle:
    """An exponent of pi as an angle in radians.

    Raises:
        InputError: It is not affine, or has a symbol that stands for nothing.
    """
    import sympy

    if not isinstance(value, sympy.Basic):
        return _radians(float(value))
    rest = sympy.expand(value)
    features: dict[int, float] = {}
    weights: dict[int, float] = {}
    for symbol in sorted(rest.free_symbols, key=str):
        slope = sympy.diff(rest, symbol)
        if slope.free_symbols or str(symbol) not in named:
            raise InputError(
                got=f"the angle pi * ({value})",
                expected=f"a sum of numbers and of multiples of {_listing(named)}",
                do="name every parameter, and let angles depend on them linearly",
            )
        parameter = named[str(symbol)]
        scales = features if isinstance(parameter, Feature) else weights
        scales[parameter.index] = _radians(float(slope)) * parameter.scale
    return angle_of(
        features, weights, _radians(float(rest.subs(dict.fromkeys(rest.free_symbols, 0))))
    )


def _radians(value: float) -> float:
    """An exponent times pi, without what the detour over pi did to the last bits.

    Multiples of pi / 24 and decimals of 14 digits survive any number of conversions unchanged.
    """
    steps = round(24 * value)
    if abs(24 * value - steps) < 1e-12:
        return math.pi * (steps / 24)
    return float(f"{math.pi * value:.14g}")


def _named_or_turn(
    qubits: tuple[int, ...], turn: str, angle: Angle, known: Mapping[float, str]
) -> Op:
    for exponent_, name in known.items():
        if angle == math.pi * exponent_:
            return Op(name, qubits)
    return Op(turn, qubits, (angle,))


def _listing(named: Parameters) -> str:
    return ", ".join(list(named)[:6]) + (", ..." if len(named) > 6 else "") or "no parameters"
