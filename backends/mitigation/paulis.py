"""Paulis on the wires of a circuit, and what gates make of them.

A Pauli on a wire is 0, 1, 2 or 3 for I, X, Y, Z, as in the order of a `Channel`. In this order the
product of two is their XOR, up to a phase, and they commute if they are equal or one is I. On k
wires the index is in base 4, the first wire most significant.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from qmoe.channel import transfer_matrix
from qmoe.circuit import GATES, Circuit, Op, affine, negate

Placed = Mapping[int, Sequence[tuple[int, int]]]
"""(wire, Pauli) pairs by the number of ops that stand before them."""

_GATE = {1: "x", 2: "y", 3: "z"}
_AXIS = {"rx": 1, "ry": 2, "rz": 3, "rzz": 3}


def digits(index: int, wires: int) -> tuple[int, ...]:
    """The Pauli of each wire.

    >>> digits(6, 2)
    (1, 2)
    """
    return tuple(index >> 2 * k & 3 for k in reversed(range(wires)))


def signs(wires: int) -> NDArray[np.float64]:
    """(4^k, 4^k): 1 where two Paulis commute, -1 where they do not."""
    one = np.array([[1, 1, 1, 1], [1, 1, -1, -1], [1, -1, 1, -1], [1, -1, -1, 1]], dtype=np.float64)
    out: NDArray[np.float64] = np.ones((1, 1))
    for _ in range(wires):
        out = np.asarray(np.kron(out, one), dtype=np.float64)
    return out


def gates(qubits: Iterable[int], paulis: Iterable[int]) -> tuple[Op, ...]:
    """Paulis as gates x, y, z; I is none."""
    return tuple(Op(_GATE[p], (q,)) for q, p in zip(qubits, paulis, strict=True) if p)


def images(op: Op) -> tuple[int, ...] | None:
    """U P U^-1 of each Pauli P on the op's wires, signs left out; None if U is no Clifford gate.

    A free angle makes none.

    >>> images(Op("cx", (0, 1)))[4]  # X on the control spreads to the target
    5
    """
    parts = [affine(angle) for angle in op.angles]
    if any(part.features or part.weights for part in parts):
        return None
    return _images(op.gate, tuple(part.offset for part in parts))


@cache
def _images(gate: str, angles: tuple[float, ...]) -> tuple[int, ...] | None:
    ptm = np.abs(transfer_matrix([GATES[gate].unitary(*angles)]))
    if (ptm.max(0) < 1 - 1e-9).any():
        return None
    return tuple(int(row) for row in ptm.argmax(0))


def moved(circuit: Circuit, placed: Placed) -> tuple[Circuit, tuple[int, ...]]:
    """The circuit without the Paulis placed in it: all of them moved to its end.

    A Pauli passes a Clifford gate as another Pauli, and any rotation by changing signs of its
    angles, which stay affine. So the gates and their places stay, and of the Paulis only this is
    left: the bits (measured,) of the outcome, 1 where they flip it.
    """
    frame = [0] * circuit.num_qubits
    ops: list[Op] = []
    for place in range(len(circuit.ops) + 1):
        for qubit, pauli in placed.get(place, ()):
            frame[qubit] ^= pauli
        if place < len(circuit.ops):
            op = circuit.ops[place]
            before = [frame[q] for q in op.qubits]
            if any(before) and not op.is_mark:
                op, after = _passed(op, before)
                for qubit, pauli in zip(op.qubits, after, strict=True):
                    frame[qubit] = pauli
            ops.append(op)
    flips = tuple(int(frame[q] in (1, 2)) for q in circuit.measured)
    return replace(circuit, ops=tuple(ops)), flips


def _passed(op: Op, paulis: Sequence[int]) -> tuple[Op, Sequence[int]]:
    """The gate V and the Paulis Q with V P = Q V in place of U P, up to a phase: V = Q U P."""
    if op.gate == "phased_xz":
        (pauli,) = paulis
        x, z, axis = op.angles
        if pauli in (2, 3):
            x = negate(x)
        if pauli in (1, 2):
            z, axis = negate(z), negate(axis)
        return Op(op.gate, op.qubits, (x, z, axis)), paulis
    if op.gate in _AXIS:
        axis = _AXIS[op.gate]
        odd = sum(pauli not in (0, axis) for pauli in paulis) % 2
        return (Op(op.gate, op.qubits, (negate(op.angles[0]),)) if odd else op), paulis
    table = images(op)
    if table is None:
        raise ValueError(f"got {op.gate}; expected a rotation or a Clifford gate")
    index = sum(pauli << 2 * k for k, pauli in enumerate(reversed(paulis)))
    return op, digits(table[index], len(paulis))
