"""Circuits with the same outcome distribution and fewer gates.

Everything here keeps the distribution over `measured`, from the all-zeros state, and nothing
else: global phases, unmeasured qubits and phases of measured ones are free. Each rule asks one
question of the gate table, computed from the matrices: with which Pauli does a gate commute on
each of its qubits? Two gates that share such a Pauli on every common qubit commute.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TypeAlias

import numpy as np

from qmoe.angles import Angle, add, affine
from qmoe.circuit import Circuit, Op
from qmoe.gates import GATES, Axis, Matrix

# Sums such as 0.1 + 0.2 - 0.3 leave rounding behind; a rotation by less moves no probability
# by more than this.
NEGLIGIBLE = 1e-13

_Wires: TypeAlias = tuple[frozenset[Axis], ...]
_Key: TypeAlias = tuple[str, tuple[int, ...]]


def simplify(circuit: Circuit) -> Circuit:
    """The circuit with same-axis rotations merged, self-inverse pairs cancelled, and pruned.

    Gates meet across gates and marks that commute with them; a merged rotation stands where the
    earlier one was. Marks survive. Simplifying twice changes nothing more. num_features and
    num_weights stay, also where their last use is gone.
    """
    ops = circuit.ops
    while True:
        after = _prune(_merge(ops), circuit.measured)
        if after == ops:
            return replace(circuit, ops=ops)
        ops = after


def prune(circuit: Circuit) -> Circuit:
    """The circuit without gates that the distribution cannot see; nothing is merged.

    Dropped are gates outside the light cone of the measured qubits, diagonal gates before the
    measurement, and gates that only give the all-zeros state a phase.
    """
    return replace(circuit, ops=_prune(circuit.ops, circuit.measured))


def compact(circuit: Circuit) -> tuple[Circuit, tuple[int, ...]]:
    """The circuit relabelled onto its active qubits, and the old qubit of each new one.

    Active are the measured qubits and those that a gate acts on. Marks make no qubit active: one
    that names qubits keeps the active ones, and goes if it has named only others.
    """
    active = set(circuit.measured)
    active.update(qubit for op in circuit.ops if not op.is_mark for qubit in op.qubits)
    old = tuple(sorted(active))
    new = {qubit: index for index, qubit in enumerate(old)}
    ops = []
    for op in circuit.ops:
        qubits = tuple(new[qubit] for qubit in op.qubits if qubit in active)
        if qubits or not op.qubits:
            ops.append(Op(op.gate, qubits, op.angles))
    measured = tuple(new[qubit] for qubit in circuit.measured)
    return replace(circuit, num_qubits=len(old), ops=tuple(ops), measured=measured), old


def cone_features(circuit: Circuit) -> frozenset[int]:
    """The features that the outcome distribution can depend on: those that pruning leaves."""
    pruned = _prune(circuit.ops, circuit.measured)
    return frozenset(i for op in pruned for angle in op.angles for i in affine(angle).features)


@dataclass
class _Wire:
    """What a merging pass remembers of one qubit: positions that something cannot move past.

    `blockers[axis]` lists the gates that do not commute with that Pauli here, `gates` all of
    them. Dropped gates are forgotten when they surface.
    """

    blockers: dict[Axis, list[int]] = field(default_factory=lambda: {"x": [], "y": [], "z": []})
    gates: list[int] = field(default_factory=list)

    def note(self, position: int, axes: frozenset[Axis]) -> None:
        self.gates.append(position)
        for axis, positions in self.blockers.items():
            if axis not in axes:
                positions.append(position)

    def open_since(self, position: int, axes: frozenset[Axis], kept: Sequence[Op | None]) -> bool:
        """Whether the gate at `position` still commutes with all that came after it here."""
        stacks = [self.blockers[axis] for axis in axes] or [self.gates]
        for stack in stacks:
            while stack and kept[stack[-1]] is None:
                stack.pop()
        return any(not stack or stack[-1] <= position for stack in stacks)


def _merge(ops: Sequence[Op]) -> tuple[Op, ...]:
    """One pass that merges rotations and cancels pairs, in time linear in the ops."""
    kept: list[Op | None] = []
    wires: defaultdict[int, _Wire] = defaultdict(_Wire)
    # Per gate and qubits, the positions of those still there: the last is the one to meet.
    latest: defaultdict[_Key, list[int]] = defaultdict(list)
    for op in ops:
        if op.is_mark:
            kept.append(op)
            continue
        if _is_identity(op):
            continue
        row, axes = GATES[op.gate], _axes(op.gate)
        qubits = tuple(sorted(op.qubits)) if _is_symmetric(op.gate) else op.qubits
        meets = latest[op.gate, qubits]
        if (row.axis or _is_self_inverse(op.gate)) and meets:
            position = meets[-1]
            earlier = kept[position]
            if earlier is not None and all(
                wires[q].open_since(position, a, kept) for q, a in zip(op.qubits, axes, strict=True)
            ):
                merged = _joined(earlier, op) if row.axis else None
                kept[position] = merged
                if merged is None:
                    meets.pop()
                continue
        meets.append(len(kept))
        for qubit, commuting in zip(op.qubits, axes, strict=True):
            wires[qubit].note(len(kept), commuting)
        kept.append(op)
    return tuple(op for op in kept if op is not None)


def _joined(earlier: Op, later: Op) -> Op | None:
    """Two rotations about one axis as one; None where they undo each other."""
    op = replace(earlier, angles=(add(earlier.angles[0], later.angles[0]),))
    return None if _is_identity(op) else op


def _prune(ops: tuple[Op, ...], measured: tuple[int, ...]) -> tuple[Op, ...]:
    while True:
        after = _drop_leading(_drop_trailing(ops, measured))
        if len(after) == len(ops):
            return after
        ops = after


def _drop_trailing(ops: Sequence[Op], measured: tuple[int, ...]) -> list[Op]:
    """The ops that the measurement can see, found from the end.

    A gate can be moved to the very end if on each of its qubits it commutes with Z, as all kept
    gates after it do. There it acts, for each value of those qubits, on qubits that nobody looks
    at: the distribution is the same without it.
    """
    seen = set(measured)  # qubits that are measured or that a kept gate acts on
    mixed: set[int] = set()  # qubits on which a kept gate does not commute with Z
    kept = []
    for op in reversed(ops):
        if op.is_mark:
            kept.append(op)
            continue
        wires = list(zip(op.qubits, _axes(op.gate), strict=True))
        if any(q in seen and (q in mixed or "z" not in axes) for q, axes in wires):
            kept.append(op)
            seen.update(op.qubits)
            mixed.update(q for q, axes in wires if "z" not in axes)
    return kept[::-1]


def _drop_leading(ops: Sequence[Op]) -> tuple[Op, ...]:
    """The ops that do more to the state than give it a phase, found from the start.

    A qubit is still |0> as long as the kept gates commute with Z on it.
    """
    moved: set[int] = set()
    kept = []
    for op in ops:
        if not op.is_mark:
            zeros = tuple(q not in moved for q in op.qubits)
            if _is_idle(op.gate, zeros):
                continue
            axes = _axes(op.gate)
            moved.update(q for q, a in zip(op.qubits, axes, strict=True) if "z" not in a)
        kept.append(op)
    return tuple(kept)


def _is_identity(op: Op) -> bool:
    """Whether a gate with bound angles is the identity, up to a phase."""
    row = GATES[op.gate]
    if not op.angles or any(_is_free(angle) for angle in op.angles):
        return False
    values = [affine(angle).offset for angle in op.angles]
    if row.axis:
        return abs(math.remainder(values[0], math.tau)) < NEGLIGIBLE
    return _is_scalar(row.unitary(*values))


def _is_free(angle: Angle) -> bool:
    part = affine(angle)
    return bool(part.features or part.weights)


def _is_scalar(matrix: Matrix) -> bool:
    return bool(np.allclose(matrix, matrix[0, 0] * np.eye(len(matrix)), rtol=0, atol=NEGLIGIBLE))


@cache
def _probes(gate: str) -> tuple[Matrix, ...]:
    """The gate's matrix at angles without special relations: what holds there holds always."""
    row = GATES[gate]
    return tuple(
        row.unitary(*(math.sqrt(first + 2 * k) for k in range(row.num_angles))) for first in (2, 3)
    )


@cache
def _axes(gate: str) -> _Wires:
    """For each qubit of the gate, the Paulis on that qubit that the gate commutes with."""
    paulis: dict[Axis, Matrix] = {
        "x": np.array([[0, 1], [1, 0]], dtype=complex),
        "y": np.array([[0, -1j], [1j, 0]]),
        "z": np.diag([1, -1]).astype(complex),
    }
    size = len(_probes(gate)[0])
    wires = []
    for position in range(size.bit_length() - 1):
        commuting: set[Axis] = set()
        for axis, pauli in paulis.items():
            left = np.kron(np.eye(2**position), pauli)
            whole = np.kron(left, np.eye(size // len(left)))
            if all(np.allclose(m @ whole, whole @ m, rtol=0, atol=1e-12) for m in _probes(gate)):
                commuting.add(axis)
        wires.append(frozenset(commuting))
    return tuple(wires)


@cache
def _is_symmetric(gate: str) -> bool:
    """Whether a two-qubit gate is the same with its qubits exchanged."""
    swap = np.eye(4)[[0, 2, 1, 3]]
    return all(len(m) == 4 and np.array_equal(swap @ m @ swap, m) for m in _probes(gate))


@cache
def _is_self_inverse(gate: str) -> bool:
    return GATES[gate].num_angles == 0 and _is_scalar(_probes(gate)[0] @ _probes(gate)[0])


@cache
def _is_idle(gate: str, zeros: tuple[bool, ...]) -> bool:
    """Whether the gate, with some of its qubits in |0>, gives the others but a phase."""
    axes = _axes(gate)
    if any(zero and "z" not in a for zero, a in zip(zeros, axes, strict=True)):
        return False
    shape = (2,) * (2 * len(zeros))
    index = tuple(0 if zero else slice(None) for zero in zeros)
    size = 2 ** (len(zeros) - sum(zeros))
    blocks = [matrix.reshape(shape)[index + index].reshape(size, size) for matrix in _probes(gate)]
    return all(np.allclose(b, b[0, 0] * np.eye(size), rtol=0, atol=1e-12) for b in blocks)
