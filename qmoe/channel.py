"""A noise channel on given qubits as a real Pauli-transfer matrix.

Paulis stand in the order I, X, Y, Z, the first qubit most significant. A state is the vector of
its Pauli expectations, r[b] = tr(P_b rho), and a channel takes r to `ptm @ r`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from jaxtyping import Complex128, Float64
from numpy.typing import ArrayLike

from qmoe.angles import whole
from qmoe.arrays import Floats
from qmoe.errors import InputError
from qmoe.gates import Matrix, Qubits

MOST_QUBITS = 3
# Calibrations and vendors' Kraus operators preserve the trace to about nine digits only.
ROUNDING = 1e-6
NEGLIGIBLE = 1e-14

_PAULIS = np.array(
    [[[1, 0], [0, 1]], [[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]],
    dtype=np.complex128,
)


@dataclass(frozen=True, slots=True, eq=False)
class Channel:
    """A linear map of states of at most three qubits that keeps the trace; equal by content.

    Attributes:
        qubits: The qubits it acts on, which differ.
        ptm: (4^k, 4^k), read-only; the first row is (1, 0, ..., 0).

    Raises:
        InputError: Another shape, entries beyond [-1, 1], or a trace that is not kept.
    """

    __no_type_check__ = True  # __post_init__ takes more types than it stores, and checks them

    qubits: Qubits
    ptm: Float64[Floats, "paulis paulis"]

    def __post_init__(self) -> None:
        qubits = tuple(whole(qubit, "qubit of a channel") for qubit in self.qubits)
        if not 1 <= len(qubits) <= MOST_QUBITS or len(set(qubits)) != len(qubits):
            raise InputError(
                got=f"a channel on qubits {qubits}",
                expected=f"1 to {MOST_QUBITS} that differ",
                do="correct the qubits",
            )
        ptm = np.array(self.ptm, dtype=np.float64) + 0.0  # -0.0 + 0.0 is 0.0: equal bytes
        size = 4 ** len(qubits)
        if ptm.shape != (size, size):
            raise InputError(
                got=f"a transfer matrix of shape {ptm.shape}",
                expected=f"({size}, {size}) for {len(qubits)} qubits",
                do="correct the matrix or the qubits",
            )
        if not (np.abs(ptm) <= 1 + ROUNDING).all():
            raise InputError(
                got="a transfer matrix with entries that are not in [-1, 1]",
                expected="expectations of Paulis",
                do="correct the matrix",
            )
        if np.abs(ptm[0] - np.eye(1, size)[0]).max() > ROUNDING:
            raise InputError(
                got="a transfer matrix whose first row is not (1, 0, ..., 0)",
                expected="a channel that keeps the trace",
                do="correct the matrix or the Kraus operators",
            )
        ptm.flags.writeable = False
        object.__setattr__(self, "qubits", qubits)
        object.__setattr__(self, "ptm", ptm)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Channel):
            return NotImplemented
        return self.qubits == other.qubits and self.ptm.tobytes() == other.ptm.tobytes()

    def __hash__(self) -> int:
        return hash((self.qubits, self.ptm.tobytes()))

    @staticmethod
    def from_kraus(qubits: Iterable[int], kraus: Iterable[ArrayLike]) -> Channel:
        """The channel of Kraus operators (2^k, 2^k), first qubit most significant.

        Raises:
            InputError: Their squares do not add up to the identity.

        >>> Channel.from_kraus((0,), [[[0, 1], [1, 0]]]).ptm.diagonal()
        array([ 1.,  1., -1., -1.])
        """
        matrices = [np.asarray(matrix, dtype=np.complex128) for matrix in kraus]
        return Channel(tuple(qubits), transfer_matrix(matrices))

    @staticmethod
    def from_unitary(qubits: Iterable[int], matrix: ArrayLike) -> Channel:
        """The noise-free channel of a unitary (2^k, 2^k), first qubit most significant."""
        return Channel.from_kraus(qubits, [matrix])

    @property
    def fidelity(self) -> float:
        """The entanglement (process) fidelity to the identity: trace(ptm) / 4^k."""
        return float(np.trace(self.ptm)) / len(self.ptm)

    def on(self, qubits: Iterable[int]) -> Channel:
        """The same map on other qubits."""
        return Channel(tuple(qubits), self.ptm)

    def kraus(self) -> tuple[Matrix, ...]:
        """Kraus operators (2^k, 2^k), first qubit most significant; at most 4^k, largest first.

        Raises:
            InputError: The map is not completely positive, so it has none.
        """
        dim = 2 ** len(self.qubits)
        basis = _basis(len(self.qubits))
        superoperator = basis @ self.ptm @ basis.conj().T / dim
        choi = superoperator.reshape((dim,) * 4).transpose(0, 2, 1, 3).reshape(dim**2, dim**2)
        values, vectors = np.linalg.eigh(choi)
        if values[0] < -ROUNDING:
            raise InputError(
                got=f"a transfer matrix on qubits {self.qubits} with Choi eigenvalue {values[0]:g}",
                expected="a completely positive map",
                do="correct the matrix",
            )
        return tuple(
            np.sqrt(value) * vector.reshape(dim, dim)
            for value, vector in zip(values[::-1], vectors.T[::-1], strict=True)
            if value > NEGLIGIBLE
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON values; `from_dict` reads them back equal."""
        return {"qubits": list(self.qubits), "ptm": self.ptm.tolist()}

    @staticmethod
    def from_dict(tree: object) -> Channel:
        """The channel that `to_dict` wrote; the values are not trusted.

        Raises:
            InputError: Other keys or types, or no channel.
        """
        if not isinstance(tree, Mapping) or set(tree) != {"qubits", "ptm"}:
            raise InputError(
                got="a channel with other keys", expected="qubits, ptm", do="restore the file"
            )
        qubits, rows = tree["qubits"], tree["ptm"]
        if not isinstance(qubits, list) or not isinstance(rows, list) or not _numbers(rows):
            raise InputError(
                got="a channel that is not made of numbers",
                expected="a list of qubits and a matrix",
                do="restore the file",
            )
        return Channel(tuple(qubits), np.array(rows, dtype=np.float64))


def is_identity(channel: Channel, tolerance: float = 1e-12) -> bool:
    """Whether a channel changes no Pauli expectation by more than `tolerance`."""
    return bool(np.abs(channel.ptm - np.eye(len(channel.ptm))).max() <= tolerance)


def transfer_matrix(kraus: Sequence[Complex128[Matrix, "row column"]]) -> Float64[Floats, "p p"]:
    """The Pauli-transfer matrix (4^k, 4^k) of Kraus operators: ptm[a, b] = tr(P_a E(P_b)) / 2^k.

    Raises:
        InputError: No operators, or operators that are not all (2^k, 2^k).
    """
    shapes = {matrix.shape for matrix in kraus}
    num_qubits = len(kraus[0]).bit_length() - 1 if shapes else 0
    if shapes != {(2**num_qubits, 2**num_qubits)} or not 1 <= num_qubits <= MOST_QUBITS:
        raise InputError(
            got=f"Kraus operators of shapes {sorted(shapes)}",
            expected=f"one or more (2^k, 2^k), k <= {MOST_QUBITS}",
            do="correct the operators",
        )
    # Row-major vec(K rho K^+) is (K kron K*) vec(rho).
    superoperator = np.sum([np.kron(matrix, matrix.conj()) for matrix in kraus], axis=0)
    basis = _basis(num_qubits)
    ptm: Floats = np.ascontiguousarray((basis.conj().T @ superoperator @ basis).real)
    return ptm / (1 << num_qubits)


@cache
def _basis(num_qubits: int) -> Matrix:
    """(4^k, 4^k): column b is P_b, row by row."""
    paulis = np.ones((1, 1, 1), dtype=np.complex128)
    for _ in range(num_qubits):
        count, dim = 4 * len(paulis), 2 * paulis.shape[1]
        paulis = np.einsum("aij,bkl->abikjl", paulis, _PAULIS).reshape(count, dim, dim)
    return paulis.reshape(len(paulis), -1).T


def _numbers(rows: list[Any]) -> bool:
    """Whether it is a square of at most 64 rows of plain numbers near [-1, 1]; copies nothing."""
    size = len(rows)
    return size <= 4**MOST_QUBITS and all(
        isinstance(row, list)
        and len(row) == size
        and all(type(x) in (int, float) and abs(x) < 2 for x in row)
        for row in rows
    )
