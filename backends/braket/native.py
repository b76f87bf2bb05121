"""Circuits in the native gates of devices on Braket, features and weights still free.

Braket has no compiler for circuits with free parameters, so this is ours. Two sets of gates are
known: IQM's prx and cz, and IonQ's gpi, gpi2 and zz; in the gate table prx(t, a) is
phased_xz(t, 0, a), gpi and gpi2 are that with t = pi and pi/2, and zz is rzz. On both, rotations
about Z take no time and have no error: each turns the axes of the gates that follow on its qubit
and is gone at the measurement.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection
from dataclasses import replace

from backends.native.phased import phased
from backends.native.pulses import pulses
from qmoe.circuit import Angle, Circuit, Op, add, negate
from qmoe.errors import FitError

IQM, IONQ = ("prx", "cz"), ("gpi", "gpi2", "zz")


def known(gates: Collection[str]) -> tuple[str, ...]:
    """The set of gates, of the two that are known, that a device has.

    gates: Braket's names of its native gates.

    Raises:
        FitError: It has neither.

    >>> known(["cc_prx", "cz", "prx"])
    ('prx', 'cz')
    """
    lower = {gate.lower() for gate in gates}
    for each in (IQM, IONQ):
        if lower >= set(each):
            return each
    raise FitError(
        got=f"a device with the native gates {', '.join(sorted(gates))}",
        expected=f"{' and '.join(IQM)}, or {', '.join(IONQ)}",
        do="choose another device",
    )


def native_circuit(circuit: Circuit, gates: tuple[str, ...]) -> Circuit:
    """The circuit in native gates, with the same outcome distribution; marks vanish."""
    turned = phased(circuit)
    return turned if gates == IQM else pulses(turned)


def lowered(native: Circuit, gates: tuple[str, ...]) -> Circuit:
    """A changed native circuit in native gates again, gate by gate, nothing merged or dropped.

    x and y are one gate each; z, a rotation about Z, is none.

    Raises:
        FitError: A gate that is neither native nor x, y or z.
    """
    return _framed(native) if gates == IQM else pulses(native)


def _framed(native: Circuit) -> Circuit:
    frames: defaultdict[int, Angle] = defaultdict(float)  # what later axes have to take
    ops: list[Op] = []
    for op in native.ops:
        match op:
            case Op("x" | "y", (qubit,)):
                turn: tuple[Angle, ...] = (math.pi, 0.0, math.pi / 2 if op.gate == "y" else 0.0)
            case Op("z", (qubit,)):
                turn = (0.0, math.pi, 0.0)
            case Op("phased_xz", (qubit,), turn):
                pass
            case Op("cz"):
                ops.append(op)
                continue
            case _ if op.is_mark:
                continue
            case _:
                raise FitError(
                    got=f"the gate {op.gate} on qubits {op.qubits}",
                    expected="phased_xz, cz, x, y, z",
                    do="compile the circuit, or write it in these gates",
                )
        x, z, axis = turn
        if op.gate != "z":
            axis = add(axis, negate(frames[qubit]))
            ops.append(Op("phased_xz", (qubit,), (x, 0.0, axis)))
        frames[qubit] = add(frames[qubit], z)
    return replace(native, ops=tuple(ops))
