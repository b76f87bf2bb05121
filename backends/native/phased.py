"""Circuits in phased_xz and cz (Willow's own gates), features and weights still free."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from qmoe.circuit import Angle, Circuit, Op, add, affine, negate
from qmoe.errors import FitError
from qmoe.gates import GATES
from qmoe.simplify import NEGLIGIBLE

_HALF = math.pi / 2
# Gates without angles in rx, ry, rz, h and cz, in circuit order, up to a global phase.
_STEPS: dict[str, tuple[tuple[str, tuple[int, ...], float | None], ...]] = {
    "x": (("rx", (0,), math.pi),),
    "y": (("ry", (0,), math.pi),),
    "z": (("rz", (0,), math.pi),),
    "s": (("rz", (0,), _HALF),),
    "sx": (("rx", (0,), _HALF),),
    "h": (("rz", (0,), math.pi), ("ry", (0,), _HALF)),
    "cx": (("h", (1,), None), ("cz", (0, 1), None), ("h", (1,), None)),
    "ecr": (("s", (0,), None), ("sx", (1,), None), ("cx", (0, 1), None), ("x", (0,), None)),
}


def phased(circuit: Circuit) -> Circuit:
    """The circuit in phased_xz and cz, with the same outcome distribution; marks vanish.

    Z rotations cost nothing: each is carried along its wire, past every cz, into the axis of the
    gates that follow, and dropped before the measurement, so affine angles stay affine and every
    phased_xz has z = 0. Neighbours on a wire that turn about one axis are merged.
    """
    wires = _Wires()
    for op in circuit.ops:
        if not op.is_mark:
            wires.add(op)
    ops = tuple(op for op in wires.ops if op is not None)
    return replace(circuit, ops=ops)


def lowered(native: Circuit) -> Circuit:
    """A changed native circuit in Willow's gates, gate by gate: x, y, z become one phased_xz each.

    A z is then a physical gate, as noisy as any other. Marks vanish.

    Raises:
        FitError: Another gate.
    """
    single = {
        "x": (math.pi, 0.0, 0.0),
        "y": (math.pi, 0.0, _HALF),
        "z": (0.0, math.pi, 0.0),
    }
    ops = []
    for op in native.ops:
        if op.gate in single:
            ops.append(Op("phased_xz", op.qubits, single[op.gate]))
        elif op.gate in ("phased_xz", "cz"):
            ops.append(op)
        elif not op.is_mark:
            raise FitError(
                got=f"the gate {op.gate} on qubits {op.qubits}",
                expected="phased_xz, cz, x, y, z",
                do="compile the circuit, or write it in these gates",
            )
    return replace(native, ops=tuple(ops))


@dataclass
class _Wires:
    """Ops so far, the Z rotation pending on each wire, and each wire's last op if it may merge."""

    ops: list[Op | None] = field(default_factory=list)
    pending: dict[int, Angle] = field(default_factory=dict)
    last: dict[int, int] = field(default_factory=dict)

    def add(self, op: Op) -> None:
        if op.gate in _STEPS:
            for gate, places, angle in _STEPS[op.gate]:
                qubits = tuple(op.qubits[place] for place in places)
                self.add(Op(gate, qubits, () if angle is None else (angle,)))
        elif op.gate == "cz":
            for qubit in op.qubits:
                self.last.pop(qubit, None)
            self.ops.append(op)
        elif op.gate == "rz":
            self._pend(op.qubits[0], op.angles[0])
        elif op.gate in ("rx", "ry"):
            self._turn(op.qubits[0], op.angles[0], _HALF if op.gate == "ry" else 0.0)
        elif op.gate == "phased_xz":
            x, z, axis = op.angles
            self._turn(op.qubits[0], x, axis)
            self._pend(op.qubits[0], z)
        else:
            for step in GATES[op.gate].lower(op.qubits, op.angles):  # rzz
                self.add(Op(*step))

    def _pend(self, qubit: int, angle: Angle) -> None:
        self.pending[qubit] = _wrapped(add(self.pending.get(qubit, 0.0), angle))

    def _turn(self, qubit: int, x: Angle, axis: Angle) -> None:
        axis = _wrapped(add(axis, negate(self.pending.get(qubit, 0.0))))
        if qubit in self.last:
            earlier = self.ops[self.last[qubit]]
            apart = None if earlier is None else _constant(add(axis, negate(earlier.angles[2])))
            if earlier is not None and apart is not None and _is_turn(apart, math.pi):
                same = _is_turn(apart, 2 * math.pi)
                x, axis = add(earlier.angles[0], x if same else negate(x)), earlier.angles[2]
                self.ops[self.last.pop(qubit)] = None
        size = _constant(x)
        if size is None or not _is_turn(size, 2 * math.pi):
            self.last[qubit] = len(self.ops)
            self.ops.append(Op("phased_xz", (qubit,), (x, 0.0, axis)))


def _constant(angle: Angle) -> float | None:
    part = affine(angle)
    return None if part.features or part.weights else part.offset


def _is_turn(angle: float, period: float) -> bool:
    return abs(math.remainder(angle, period)) < NEGLIGIBLE


def _wrapped(angle: Angle) -> Angle:
    """The angle with its offset in [-pi, pi]: a whole turn more is the same axis."""
    offset = affine(angle).offset
    return add(angle, math.remainder(offset, math.tau) - offset)
