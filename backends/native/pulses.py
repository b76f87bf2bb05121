"""Circuits in IonQ's native gates: pulses about axes in the XY plane, and the ZZ gate.

GPI2 and GPI turn a qubit by pi/2 and pi about the axis cos(a) X + sin(a) Y; in the gate table they
are phased_xz(pi/2, 0, a) and phased_xz(pi, 0, a). The fully entangling ZZ is rzz(pi/2), a CZ but
for rotations about Z. Those take no time: each turns the axes of all later pulses on its qubit, and
is gone at the measurement (https://docs.ionq.com/guides/getting-started-with-native-gates). So
features and weights end up in the axes, still affine.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import replace

from qmoe.circuit import Angle, Circuit, Op, add, affine, negate
from qmoe.errors import FitError

QUARTER = math.pi / 2
EXACT = 1e-12  # angles that differ by less are the same pulse


def pulses(circuit: Circuit) -> Circuit:
    """The circuit in native gates, gate by gate, equal in distribution; marks vanish.

    A native circuit passes unchanged, and every cz or rzz(+-pi/2) is one ZZ whatever stands around
    it, so a fold keeps its two-qubit gates. x and y are one pulse each, z none.

    Raises:
        FitError: Another gate than phased_xz, cz, rzz(+-pi/2), x, y, z; `phased` makes the first
            two of all others.
    """
    drive = _Drive()
    for op in circuit.ops:
        drive.apply(op)
    return replace(circuit, ops=tuple(drive.ops))


class _Drive:
    """The pulses so far, and per qubit the rotation about Z that later axes still have to take."""

    def __init__(self) -> None:
        self.ops: list[Op] = []
        self.frames: defaultdict[int, Angle] = defaultdict(float)

    def apply(self, op: Op) -> None:
        match op:
            case Op("x", (qubit,)):
                self._rotate(qubit, math.pi, 0.0)
            case Op("y", (qubit,)):
                self._rotate(qubit, math.pi, QUARTER)
            case Op("z", (qubit,)):
                self._turn(qubit, math.pi)
            case Op("phased_xz", (qubit,), (x, z, axis)):
                self._rotate(qubit, x, axis)
                self._turn(qubit, z)
            case Op("cz", qubits):  # RZZ(pi/2), then RZ(-pi/2) on both
                self._couple(qubits, -QUARTER)
            case Op("rzz", qubits, (angle,)) if (quarters := _quarters(angle)) in (1, 3):
                # RZZ(-pi/2) is RZZ(pi/2), then Z on both
                self._couple(qubits, math.pi if quarters == 3 else 0.0)
            case _ if not op.is_mark:
                raise FitError(
                    got=f"the gate {op.gate} on qubits {op.qubits}",
                    expected="phased_xz, cz, rzz by pi/2 or -pi/2, x, y, z",
                    do="compile the circuit, or write it in these gates",
                )

    def _turn(self, qubit: int, angle: Angle) -> None:
        self.frames[qubit] = add(self.frames[qubit], angle)

    def _couple(self, qubits: tuple[int, ...], turn: float) -> None:
        self.ops.append(Op("rzz", qubits, (QUARTER,)))
        for qubit in qubits:
            self._turn(qubit, turn)

    def _rotate(self, qubit: int, angle: Angle, axis: Angle) -> None:
        """A rotation by any angle about an axis in the XY plane: none, one or two pulses."""
        seen = add(axis, negate(self.frames[qubit]))
        match _quarters(angle):
            case 0:
                pass
            case 1:
                self._pulse(qubit, QUARTER, seen)
            case 2:
                self._pulse(qubit, math.pi, seen)
            case 3:
                self._pulse(qubit, QUARTER, add(seen, math.pi))
            case None:
                # RZ(a - pi/2) RX(-pi/2) RZ(t) RX(pi/2) RZ(pi/2 - a), t in the second axis
                self._pulse(qubit, QUARTER, add(seen, -QUARTER))
                self._pulse(qubit, QUARTER, add(seen, QUARTER, negate(angle)))
                self._turn(qubit, angle)

    def _pulse(self, qubit: int, size: float, axis: Angle) -> None:
        self.ops.append(Op("phased_xz", (qubit,), (size, 0.0, axis)))


def _quarters(angle: Angle) -> int | None:
    """The angle in quarter turns, 0 to 3; None if it is free or no whole number of them."""
    part = affine(angle)
    nearest = round(part.offset / QUARTER)
    if part.features or part.weights or abs(part.offset - nearest * QUARTER) > EXACT:
        return None
    return nearest % 4
