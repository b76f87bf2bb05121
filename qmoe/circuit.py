"""The one circuit type, in three stages: ansatz (weights and features free), template, bound.

Features x and weights theta enter as affine angles in radians. The circuit starts from the
all-zeros state and ends with a computational-basis measurement of `measured`: the outcome index
is big-endian over `measured`, in its order, so the first measured qubit is the most significant
bit. Marks (`mark_embedding`, `mark_layer`) have no effect; they carry structure that noise
placements need, and vanish on export.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, SupportsFloat

from qmoe.angles import (
    Affine,
    Angle,
    Feature,
    Sum,
    Weight,
    add,
    affine,
    angle_of,
    finite,
    negate,
    normal,
    scaled,
    whole,
)
from qmoe.errors import InputError, unknown
from qmoe.gates import GATES, MARKS, Gate

__all__ = [
    "GATES",
    "MARKS",
    "Affine",
    "Angle",
    "Circuit",
    "Feature",
    "Gate",
    "Op",
    "Sum",
    "Weight",
    "add",
    "affine",
    "angle_of",
    "negate",
    "scaled",
]


@dataclass(frozen=True, slots=True)
class Op:
    """One gate on given qubits with given angles, in normal form.

    Raises:
        InputError: An unknown gate, a wrong number of qubits or angles, or a repeated qubit.

    >>> Op("ry", (0,), (Sum((Feature(0),)),))
    Op(gate='ry', qubits=(0,), angles=(Feature(index=0, scale=1.0),))
    """

    __no_type_check__ = True  # __post_init__ takes more types than it stores, and checks them

    gate: str
    qubits: tuple[int, ...]
    angles: tuple[Angle, ...] = ()

    def __post_init__(self) -> None:
        row = GATES.get(self.gate) if isinstance(self.gate, str) else None
        if row is None:
            raise unknown("gate", str(self.gate), GATES)
        qubits = tuple(whole(qubit, "qubit") for qubit in _listed(self.qubits, "qubits"))
        angles = tuple(normal(angle) for angle in _listed(self.angles, "angles"))
        if row.num_qubits is not None and len(qubits) != row.num_qubits:
            raise InputError(
                got=f"{row.name} on qubits {qubits}",
                expected=f"{row.num_qubits} qubits",
                do="correct the qubits",
            )
        if len(angles) != row.num_angles:
            raise InputError(
                got=f"{row.name} with {len(angles)} angles",
                expected=f"{row.num_angles}",
                do="correct the angles",
            )
        if len(set(qubits)) != len(qubits):
            raise InputError(
                got=f"{row.name} on qubits {qubits}",
                expected="qubits that differ",
                do="name each qubit once",
            )
        object.__setattr__(self, "qubits", qubits)
        object.__setattr__(self, "angles", angles)

    @property
    def is_mark(self) -> bool:
        """Whether the op is a zero-effect mark."""
        return self.gate in MARKS

    def bound(self, weights: Mapping[int, float], features: Mapping[int, float]) -> Op:
        """The op with numbers put in, radians, by index; what has no number stays free."""
        if not self.angles:
            return self
        parts = [affine(angle).value(weights, features) for angle in self.angles]
        angles = tuple(angle_of(part.features, part.weights, part.offset) for part in parts)
        return Op(self.gate, self.qubits, angles)

    def inverse(self) -> tuple[Op, ...]:
        """The ops that undo this one, up to a global phase; a mark is its own inverse."""
        return tuple(Op(*step) for step in GATES[self.gate].inverse(self.qubits, self.angles))

    def lower(self) -> tuple[Op, ...]:
        """The op in rx, ry, rz and gates without angles, up to a global phase."""
        return tuple(Op(*step) for step in GATES[self.gate].lower(self.qubits, self.angles))


@dataclass(frozen=True, slots=True)
class Circuit:
    """Ops in order on `num_qubits` qubits, then a measurement of `measured`.

    Attributes:
        num_qubits: The size of the register, at least 1.
        ops: The ops in order.
        measured: The measured qubits, most significant bit of the outcome first; at least one.
        num_features: How many features an input has; stored, as the ops need not use the last.
        num_weights: How many weights there are; stored likewise.

    Raises:
        InputError: A qubit, feature or weight index out of range, or a repeated measured qubit.
    """

    __no_type_check__ = True  # as for Op

    num_qubits: int
    ops: tuple[Op, ...]
    measured: tuple[int, ...]
    num_features: int = 0
    num_weights: int = 0

    def __post_init__(self) -> None:
        measured = tuple(whole(q, "measured qubit") for q in _listed(self.measured, "measured"))
        object.__setattr__(self, "num_qubits", whole(self.num_qubits, "num_qubits", 1))
        object.__setattr__(self, "ops", tuple(_listed(self.ops, "ops")))
        object.__setattr__(self, "measured", measured)
        object.__setattr__(self, "num_features", whole(self.num_features, "num_features"))
        object.__setattr__(self, "num_weights", whole(self.num_weights, "num_weights"))
        if not measured or len(set(measured)) != len(measured):
            raise InputError(
                got=f"measured {measured}",
                expected="one or more qubits that differ",
                do="name each measured qubit once",
            )
        _in_range("measured qubit", measured, self.num_qubits, "num_qubits")
        for op in self.ops:
            if not isinstance(op, Op):
                raise InputError(got=f"op {op!r}", expected="an Op", do="build it with Op(...)")
            _in_range(f"qubit of {op.gate}", op.qubits, self.num_qubits, "num_qubits")
            for part in map(affine, op.angles):
                _in_range("feature index", part.features, self.num_features, "num_features")
                _in_range("weight index", part.weights, self.num_weights, "num_weights")

    def bind_weights(self, weights: Iterable[SupportsFloat]) -> Circuit:
        """The template: weights (num_weights,) put in as numbers, features still free."""
        values = _values(weights, self.num_weights, "weights")
        return replace(self, ops=tuple(op.bound(values, {}) for op in self.ops), num_weights=0)

    def bind(self, features: Iterable[SupportsFloat]) -> Circuit:
        """The circuit of one input: features (num_features,), in radians, put in as numbers."""
        values = _values(features, self.num_features, "features")
        return replace(self, ops=tuple(op.bound({}, values) for op in self.ops), num_features=0)

    def inverse(self) -> Circuit:
        """The circuit that undoes this one, up to a global phase; marks keep their places."""
        return replace(self, ops=tuple(step for op in reversed(self.ops) for step in op.inverse()))

    def folded(self, scale: int) -> Circuit:
        """The circuit U (U^-1 U)^k with scale = 2k + 1: equal in action, `scale` times as noisy.

        Unitary folding for zero-noise extrapolation (arXiv 2005.10921). The number of two-qubit
        gates is multiplied by exactly `scale`, as long as nothing simplifies the result.

        Raises:
            InputError: `scale` is not an odd whole number of at least 1.
        """
        if whole(scale, "fold scale", 1) % 2 == 0:
            raise InputError(
                got=f"fold scale {scale}", expected="1, 3, 5, ...", do="pass an odd scale"
            )
        undo = self.inverse().ops
        return replace(self, ops=self.ops + (undo + self.ops) * (int(scale) // 2))

    def simplify(self) -> Circuit:
        """The circuit with the same outcome distribution and fewer gates; see qmoe.simplify."""
        from qmoe.simplify import simplify

        return simplify(self)

    @property
    def digest(self) -> str:
        """The SHA-256 (hex) of the canonical JSON with angles rounded to 12 decimal places."""
        from qmoe.serial import digest

        return digest(self)

    def to_json(self) -> str:
        """The canonical JSON text; `from_json` reads it back exactly."""
        from qmoe.serial import to_json

        return to_json(self)

    @staticmethod
    def from_json(text: str) -> Circuit:
        """The circuit that a JSON text describes; the text is not trusted.

        Raises:
            InputError: The text is no circuit of a known format.
        """
        from qmoe.serial import from_json

        return from_json(text)

    def to_qasm3(self) -> str:
        """The circuit as OpenQASM 3 text; free features and weights are inputs, marks vanish."""
        from qmoe.serial import to_qasm3

        return to_qasm3(self)


def _listed(values: object, what: str) -> tuple[Any, ...]:
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise InputError(got=f"{what} {values!r}", expected="a tuple", do="put it in a tuple")
    return tuple(values)


def _in_range(what: str, indices: Iterable[int], count: int, limit: str) -> None:
    for index in indices:
        if index >= count:
            raise InputError(
                got=f"{what} {index}",
                expected=f"less than {limit} = {count}",
                do=f"correct the index or {limit}",
            )


def _values(values: Iterable[SupportsFloat], count: int, what: str) -> dict[int, float]:
    listed = [finite(value, what) for value in _listed(values, what)]
    if len(listed) != count:
        raise InputError(
            got=f"{len(listed)} {what}",
            expected=f"{count}",
            do=f"pass one number for each of {what}",
        )
    return dict(enumerate(listed))
