"""The gate table: one row holds everything the project knows about a gate.

Angles are radians. Matrices are complex, (2^k, 2^k), with the first qubit the most significant
bit of the index. `inverse` and `lower` are equal in action: up to a global phase.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qmoe.angles import Angle, add, negate

Matrix: TypeAlias = NDArray[np.complex128]
Axis: TypeAlias = Literal["x", "y", "z"]
Qubits: TypeAlias = tuple[int, ...]
Angles: TypeAlias = tuple[Angle, ...]
Step: TypeAlias = tuple[str, Qubits, Angles]
Rewrite: TypeAlias = Callable[[Qubits, Angles], tuple[Step, ...]]

MARKS = ("mark_embedding", "mark_layer")


@dataclass(frozen=True, slots=True)
class Gate:
    """One row of the table.

    Attributes:
        name: The gate's name in an Op.
        num_qubits: How many qubits it acts on; None for marks, which take any number. A mark
            without qubits speaks of all of them.
        num_angles: How many angles it takes.
        matrix: Angles (floats) to unitary; None for marks.
        inverse: Qubits and affine angles to the steps that undo the gate, in circuit order.
        lower: Qubits and affine angles to steps among rx, ry, rz and gates without angles.
        real: Every matrix entry is real, whatever the angles.
        diagonal: The matrix is diagonal, whatever the angles.
        axis: The Pauli axis of the rotations rx, ry and rz, else None.
        qasm: The name in OpenQASM 3; empty for marks, which are not exported.
        definition: The OpenQASM 3 definition, where stdgates.inc has none.
    """

    name: str
    num_qubits: int | None
    num_angles: int
    matrix: Callable[..., Matrix] | None
    inverse: Rewrite
    lower: Rewrite
    real: bool = False
    diagonal: bool = False
    axis: Axis | None = None
    qasm: str = ""
    definition: str = ""

    @property
    def is_mark(self) -> bool:
        """Whether the row is a zero-effect mark, which carries structure and has no matrix."""
        return self.matrix is None

    def unitary(self, *angles: float) -> Matrix:
        """The matrix at the given angles; a mark has none and raises TypeError."""
        if self.matrix is None:
            raise TypeError(f"{self.name} is a mark and has no matrix")
        return self.matrix(*angles)


def _same(name: str) -> Rewrite:
    """The rewrite that leaves a gate as it is: `lower` of most, `inverse` of the self-inverse."""
    return lambda qubits, angles: ((name, qubits, angles),)


def _negated(name: str) -> Rewrite:
    return lambda qubits, angles: ((name, qubits, tuple(negate(angle) for angle in angles)),)


def _constant(entries: ArrayLike) -> Callable[[], Matrix]:
    matrix = np.array(entries, dtype=np.complex128)
    matrix.flags.writeable = False
    return lambda: matrix


def _rx(angle: float) -> Matrix:
    c, s = math.cos(angle / 2), math.sin(angle / 2)
    return np.array([[c, -1j * s], [-1j * s, c]])


def _ry(angle: float) -> Matrix:
    c, s = math.cos(angle / 2), math.sin(angle / 2)
    return np.array([[c, -s], [s, c]], dtype=np.complex128)


def _rz(angle: float) -> Matrix:
    return np.diag(np.exp(np.array([-0.5j, 0.5j]) * angle))


def _rzz(angle: float) -> Matrix:
    return np.diag(np.exp(np.array([-0.5j, 0.5j, 0.5j, -0.5j]) * angle))


def _lower_ecr(qubits: Qubits, _: Angles) -> tuple[Step, ...]:
    first, second = qubits[:1], qubits[1:]
    return ("s", first, ()), ("sx", second, ()), ("cx", qubits, ()), ("x", first, ())


def _lower_rzz(qubits: Qubits, angles: Angles) -> tuple[Step, ...]:
    cx: Step = ("cx", qubits, ())
    return cx, ("rz", qubits[1:], angles), cx


def _phased_xz(x: float, z: float, axis: float) -> Matrix:
    """Z^z Z^a X^x Z^-a, Cirq's PhasedXZGate with exponents angle / pi."""
    phase = np.exp(0.5j * (x + z))
    return np.asarray(phase * (_rz(z + axis) @ _rx(x) @ _rz(-axis)))


def _lower_phased_xz(qubits: Qubits, angles: Angles) -> tuple[Step, ...]:
    x, z, axis = angles
    return (
        ("rz", qubits, (negate(axis),)),
        ("rx", qubits, (x,)),
        ("rz", qubits, (add(z, axis),)),
    )


def _inverse_phased_xz(qubits: Qubits, angles: Angles) -> tuple[Step, ...]:
    # (Z^z Z^a X^x Z^-a)^-1 = Z^a X^-x Z^-a Z^-z = Z^-z Z^(a+z) X^-x Z^-(a+z)
    x, z, axis = angles
    return (("phased_xz", qubits, (negate(x), negate(z), add(axis, z))),)


def _inverse_sx(qubits: Qubits, _: Angles) -> tuple[Step, ...]:
    # Conjugation by Z turns sqrt(X) into sqrt(X)^-1, in gates that IBM devices have.
    return ("rz", qubits, (math.pi,)), ("sx", qubits, ()), ("rz", qubits, (-math.pi,))


def _inverse_s(qubits: Qubits, _: Angles) -> tuple[Step, ...]:
    return (("rz", qubits, (-math.pi / 2,)),)


def _self_inverse(name: str, entries: ArrayLike, *, real: bool, diagonal: bool = False) -> Gate:
    """The row of an angle-free gate that is its own inverse and has its name in stdgates.inc."""
    matrix = _constant(entries)
    num_qubits = len(matrix()).bit_length() - 1
    same = _same(name)
    return Gate(name, num_qubits, 0, matrix, same, same, real, diagonal, qasm=name)


def _rotation(axis: Axis, matrix: Callable[[float], Matrix]) -> Gate:
    name = f"r{axis}"
    real, diagonal = axis == "y", axis == "z"
    return Gate(name, 1, 1, matrix, _negated(name), _same(name), real, diagonal, axis, qasm=name)


def _mark(name: str) -> Gate:
    return Gate(name, None, 0, None, _same(name), _same(name), real=True, diagonal=True)


_ROWS = (
    _self_inverse("x", [[0, 1], [1, 0]], real=True),
    _self_inverse("y", np.array([[0, -1j], [1j, 0]]), real=False),
    _self_inverse("z", [[1, 0], [0, -1]], real=True, diagonal=True),
    _self_inverse("h", np.array([[1, 1], [1, -1]]) / math.sqrt(2), real=True),
    Gate("s", 1, 0, _constant(np.diag([1, 1j])), _inverse_s, _same("s"), diagonal=True, qasm="s"),
    Gate(
        "sx",
        1,
        0,
        _constant(np.array([[1 + 1j, 1 - 1j], [1 - 1j, 1 + 1j]]) / 2),
        _inverse_sx,
        _same("sx"),
        qasm="sx",
    ),
    _rotation("x", _rx),
    _rotation("y", _ry),
    _rotation("z", _rz),
    _self_inverse("cx", np.eye(4)[[0, 1, 3, 2]], real=True),
    _self_inverse("cz", np.diag([1, 1, 1, -1]), real=True, diagonal=True),
    Gate(
        "ecr",  # the two-qubit gate of IBM's Eagle devices: RZX(pi/4) X RZX(-pi/4), X on the first
        2,
        0,
        _constant(
            np.array([[0, 0, 1, 1j], [0, 0, 1j, 1], [1, -1j, 0, 0], [-1j, 1, 0, 0]]) / math.sqrt(2)
        ),
        _same("ecr"),
        _lower_ecr,
        qasm="ecr",
        definition="gate ecr a, b { s a; sx b; cx a, b; x a; }",
    ),
    Gate(
        "rzz",
        2,
        1,
        _rzz,
        _negated("rzz"),
        _lower_rzz,
        diagonal=True,
        qasm="rzz",
        definition="gate rzz(t) a, b { cx a, b; rz(t) b; cx a, b; }",
    ),
    Gate(
        "phased_xz",
        1,
        3,
        _phased_xz,
        _inverse_phased_xz,
        _lower_phased_xz,
        qasm="phased_xz",
        definition="gate phased_xz(t, u, v) a { rz(-v) a; rx(t) a; rz(u + v) a; }",
    ),
    *map(_mark, MARKS),
)

GATES: Mapping[str, Gate] = MappingProxyType({gate.name: gate for gate in _ROWS})
