"""A noisy circuit as few factors: constant transfer matrices, and one-qubit turns between them.

A factor acts on the vector of Pauli expectations. Numbers are merged here once, so that what is
left to do per weight and input is little. numpy only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from jaxtyping import Float64

from qmoe.angles import affine
from qmoe.arrays import Floats
from qmoe.channel import Channel, transfer_matrix
from qmoe.circuit import GATES, Op
from qmoe.gates import Axis, Qubits

# A turn about an axis takes the first of these Paulis towards the second (I, X, Y, Z = 0 to 3).
PLANES: Mapping[Axis, tuple[int, int]] = {"x": (2, 3), "y": (3, 1), "z": (1, 2)}


@dataclass(frozen=True, slots=True, eq=False)
class Fixed:
    """A constant map: (4^k, 4^k), first qubit most significant."""

    qubits: Qubits
    ptm: Float64[Floats, "p p"]


@dataclass(frozen=True, slots=True)
class Turn:
    """A rotation of one qubit by a linear angle in features alone or in weights alone."""

    qubits: Qubits
    axis: Axis
    of_features: bool
    scales: Mapping[int, float]


@dataclass(frozen=True, slots=True)
class Factors:
    """The factors that the measurement can see, over qubits numbered anew from 0.

    Attributes:
        num_qubits: How many qubits are left.
        measured: The measured ones, most significant bit first.
        body: What features have to be in place for, in order.
        tail: What comes after, the same for every input.
    """

    num_qubits: int
    measured: Qubits
    body: tuple[Fixed | Turn, ...]
    tail: tuple[Fixed | Turn, ...]


def factors(ops: Iterable[Op | Channel], measured: Sequence[int]) -> Factors:
    """The factors of a noisy circuit: outside the light cone dropped, constants merged."""
    seen = _seen([factor for op in ops for factor in _lowered(op)], measured)
    old = sorted({q for factor in seen for q in factor.qubits} | set(measured))
    new = {qubit: index for index, qubit in enumerate(old)}
    numbered = [replace(f, qubits=tuple(new[q] for q in f.qubits)) for f in seen]
    body, tail = _split(_merged(numbered, len(old)))
    return Factors(len(old), tuple(new[q] for q in measured), body, tail)


def product(first: Fixed, then: Fixed) -> Fixed:
    """Two constant maps as one, where the qubits of one are among those of the other."""
    if len(first.qubits) >= len(then.qubits):
        return Fixed(first.qubits, _on_rows(then, first.qubits, first.ptm))
    # (then @ wide(first)) = (wide(first)^T @ then^T)^T
    turned = Fixed(first.qubits, first.ptm.T)
    return Fixed(then.qubits, _on_rows(turned, then.qubits, then.ptm.T).T)


def turn_matrix(axis: Axis, angle: float) -> Float64[Floats, "4 4"]:
    """The transfer matrix of a rotation about a Pauli axis."""
    u, v = PLANES[axis]
    ptm: Floats = np.eye(4)
    ptm[u, u] = ptm[v, v] = np.cos(angle)
    ptm[v, u] = np.sin(angle)
    ptm[u, v] = -ptm[v, u]
    return ptm


def _on_rows(
    factor: Fixed, qubits: Qubits, matrix: Float64[Floats, "p p"]
) -> Float64[Floats, "p p"]:
    """The factor applied to the rows of a matrix over `qubits`."""
    k, size = len(factor.qubits), len(matrix)
    axes = [qubits.index(q) for q in factor.qubits]
    rows = matrix.reshape((4,) * len(qubits) + (size,))
    front = np.moveaxis(rows, axes, range(k))
    done = (factor.ptm @ front.reshape(4**k, -1)).reshape(front.shape)
    return np.ascontiguousarray(np.moveaxis(done, range(k), axes)).reshape(size, size)


@cache
def _gate(name: str) -> Float64[Floats, "p p"]:
    return transfer_matrix([GATES[name].unitary()])


def _lowered(op: Op | Channel) -> list[Fixed | Turn]:
    """Turns of features, then of weights, then numbers: about one axis they commute."""
    if isinstance(op, Channel):
        return [Fixed(op.qubits, op.ptm)]
    if op.is_mark:
        return []
    if not op.angles:
        return [Fixed(op.qubits, _gate(op.gate))]
    axis = GATES[op.gate].axis
    if axis is None:
        return [factor for step in op.lower() for factor in _lowered(step)]
    angle = affine(op.angles[0])
    found: list[Fixed | Turn] = []
    if angle.features:
        found.append(Turn(op.qubits, axis, True, angle.features))
    if angle.weights:
        found.append(Turn(op.qubits, axis, False, angle.weights))
    if angle.offset or not found:
        found.append(Fixed(op.qubits, turn_matrix(axis, angle.offset)))
    return found


def _seen(listed: Sequence[Fixed | Turn], measured: Sequence[int]) -> list[Fixed | Turn]:
    """The factors in the light cone: all keep the trace, so what nobody looks at can go."""
    live = set(measured)
    kept = []
    for factor in reversed(listed):
        if not live.isdisjoint(factor.qubits):
            live.update(factor.qubits)
            kept.append(factor)
    return kept[::-1]


class _Merging:
    """Factors in order, with the latest on each wire, so that constants meet their neighbours."""

    def __init__(self, num_qubits: int) -> None:
        self.kept: list[Fixed | Turn | None] = []
        self.last = [-1] * num_qubits  # position of the latest factor on each wire
        self.before: list[dict[int, int]] = []  # of each factor, what `last` was on its wires

    def add(self, factor: Fixed | Turn) -> None:
        """The next factor: into one that covers it, or over those that it covers."""
        if isinstance(factor, Fixed):
            position = self.last[factor.qubits[0]]
            top = self._top(position)
            if top and set(factor.qubits) <= set(top.qubits):
                self.kept[position] = product(top, factor)
                return
            for qubit in factor.qubits:
                position = self.last[qubit]
                top = self._top(position)
                if top and set(top.qubits) <= set(factor.qubits):
                    self.kept[position] = None
                    self._rewind(position)
                    factor = product(top, factor)
        self.before.append({qubit: self.last[qubit] for qubit in factor.qubits})
        for qubit in factor.qubits:
            self.last[qubit] = len(self.kept)
        self.kept.append(factor)

    def _top(self, position: int) -> Fixed | None:
        """The constant at a position, if nothing has come after it on any of its wires."""
        found = self.kept[position] if position >= 0 else None
        if isinstance(found, Fixed) and all(self.last[q] == position for q in found.qubits):
            return found
        return None

    def _rewind(self, position: int) -> None:
        for qubit, earlier in self.before[position].items():
            self.last[qubit] = earlier


def _merged(listed: Sequence[Fixed | Turn], num_qubits: int) -> list[Fixed | Turn]:
    """Constants multiplied into a neighbour that covers all their qubits."""
    merging = _Merging(num_qubits)
    for factor in listed:
        merging.add(factor)
    return [factor for factor in merging.kept if factor is not None]


def _split(
    listed: Sequence[Fixed | Turn],
) -> tuple[tuple[Fixed | Turn, ...], tuple[Fixed | Turn, ...]]:
    """Body and tail: the tail is what can be moved behind every turn by a feature."""
    held: set[int] = set()
    body, tail = [], []
    for factor in reversed(listed):
        by_feature = isinstance(factor, Turn) and factor.of_features
        if by_feature or not held.isdisjoint(factor.qubits):
            held.update(factor.qubits)
            body.append(factor)
        else:
            tail.append(factor)
    return tuple(body[::-1]), tuple(tail[::-1])
