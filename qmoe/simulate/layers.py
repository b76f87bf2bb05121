"""A circuit as alternating layers: one-qubit gates on every wire, then a signed permutation.

Every engine works on this form. Gates are lowered to rotations and angle-free gates (one row each
of the gate table), one-qubit gates fall into the earliest layer that can take them, and the only
two-qubit gates left, CZ and CX, compose to "permute the amplitudes, flip some signs". Global
phases are dropped. Basis states are big-endian: qubit 0 is the most significant bit.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from qmoe.circuit import GATES, Affine, Angle, Circuit, affine

Kind = Literal["feature", "weight"]
IDENTITY = np.eye(2, dtype=complex)
_PAULI = {
    "x": np.array([[0, 1], [1, 0]], dtype=complex),
    "y": np.array([[0, -1j], [1j, 0]], dtype=complex),
    "z": np.array([[1, 0], [0, -1]], dtype=complex),
}


@dataclass(frozen=True, slots=True)
class Slot:
    """A one-qubit gate cos(a/2) even + sin(a/2) odd, with `a` the affine angle in radians.

    A rotation has even = I and odd = -i P; an angle-free gate has `angle` None and odd = 0.
    """

    even: NDArray[np.complex128]
    odd: NDArray[np.complex128]
    angle: Affine | None


@dataclass(frozen=True, slots=True)
class SignedPermutation:
    """psi_out[i] = sign[i] * psi_in[source[i]]; `source` is None where nothing moves."""

    source: NDArray[np.int64] | None
    sign: NDArray[np.int8] | None


NO_MOVE = SignedPermutation(None, None)


@dataclass(frozen=True, slots=True)
class Layer:
    """One-qubit gates per qubit (in order of time), then a signed permutation.

    kind: "feature" if any angle depends on a feature, else "weight" (constants included).
    """

    kind: Kind
    slots: tuple[tuple[Slot, ...], ...]
    entangler: SignedPermutation


@dataclass(frozen=True, slots=True)
class Layered:
    """A circuit in layers; the first layer is of kind "feature" and acts on the all-zeros state."""

    num_qubits: int
    measured: tuple[int, ...]
    num_features: int
    num_weights: int
    layers: tuple[Layer, ...]
    real: bool


@dataclass(slots=True)
class _Open:
    """A layer while gates still fall into it."""

    kind: Kind | None
    slots: list[list[Slot]]
    moves: list[tuple[str, tuple[int, ...]]] = field(default_factory=list)


def layered(circuit: Circuit, *, at_marks: bool = False) -> Layered:
    """The layers of a circuit whose qubits are all active (see `qmoe.simplify.compact`).

    Features and weights go into layers of different kinds unless one angle holds both, so that
    what depends on weights alone is computed once per step and not once per sample.
    at_marks: layers end where the ansatz says so, at each `mark_layer`, and features stand with
    weights in one layer (the dephased control measures after every published layer).
    """
    n = circuit.num_qubits
    rows: list[_Open] = [_Open("feature", [[] for _ in range(n)])]
    # frontier[q] is the earliest place a one-qubit gate on q may take: (row, after its entangler?)
    frontier = [0] * n
    entangled = [False] * n
    floor = 0
    for op in circuit.ops:
        if op.gate == "mark_layer" and at_marks:
            rows.append(_Open(None, [[] for _ in range(n)]))
            floor = len(rows) - 1
        if GATES[op.gate].is_mark:
            continue
        for gate, qubits, angles in GATES[op.gate].lower(op.qubits, op.angles):
            if len(qubits) == 1:
                slot, kind = _slot(gate, angles)
                q = qubits[0]
                start = max(frontier[q] + entangled[q], floor)
                at = _row_for_gate(rows, start, n, kind, mixed=at_marks)
                rows[at].slots[q].append(slot)
                frontier[q], entangled[q] = at, False
            else:
                at = max(floor, *(frontier[q] for q in qubits))
                rows[at].moves.append((gate, qubits))
                for q in qubits:
                    frontier[q], entangled[q] = at, True
    layers = tuple(
        Layer(r.kind or "weight", tuple(tuple(s) for s in r.slots), _compose(n, tuple(r.moves)))
        for r in rows
        if r is rows[0] or r.moves or any(r.slots)
    )
    real = all(
        np.isrealobj(np.real_if_close(m)) for w in layers for q in w.slots for s in q
        for m in (s.even, s.odd)
    )  # fmt: skip
    return Layered(n, circuit.measured, circuit.num_features, circuit.num_weights, layers, real)


def _row_for_gate(rows: list[_Open], start: int, n: int, kind: Kind | None, *, mixed: bool) -> int:
    """The first row from `start` whose kind takes the gate; a new one at the end if none does."""
    for i in range(start, len(rows)):
        row = rows[i]
        if mixed or kind is None or row.kind is None or row.kind == kind:
            row.kind = "feature" if "feature" in (row.kind, kind) else row.kind or kind
            return i
    rows.append(_Open(kind, [[] for _ in range(n)]))
    return len(rows) - 1


def _slot(gate: str, angles: tuple[Angle, ...]) -> tuple[Slot, Kind | None]:
    row = GATES[gate]
    if row.axis is not None:
        angle = affine(angles[0])
        kind: Kind | None = "feature" if angle.features else "weight" if angle.weights else None
        return Slot(IDENTITY, -1j * _PAULI[row.axis], angle), kind
    matrix = row.unitary()
    pivot = matrix.flat[np.argmax(np.abs(matrix))]
    matrix = matrix * (abs(pivot) / pivot)
    return Slot(matrix, np.zeros((2, 2), dtype=complex), None), None


@lru_cache(maxsize=256)
def _compose(n: int, moves: tuple[tuple[str, tuple[int, ...]], ...]) -> SignedPermutation:
    """The signed permutation of a sequence of CZ and CX gates on n qubits."""
    if not moves:
        return NO_MOVE
    index = np.arange(2**n)
    source, sign = index, np.ones(2**n, dtype=np.int8)
    for gate, (a, b) in moves:
        first, second = (index >> (n - 1 - a)) & 1, (index >> (n - 1 - b)) & 1
        if gate == "cz":
            sign = np.where(first & second, -sign, sign).astype(np.int8)
        elif gate == "cx":
            step = index ^ (first << (n - 1 - b))
            source, sign = source[step], sign[step]
        else:  # the gate table lowers to nothing else; a new row that does must say so here
            raise AssertionError(f"no signed permutation for {gate!r}")
    moved = None if np.array_equal(source, index) else source
    flipped = None if (sign == 1).all() else sign
    return SignedPermutation(moved, flipped)
