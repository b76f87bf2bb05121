"""A compiled circuit and its inputs as Quantum Engine takes them, and what it returns as counts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.base import Compiled
from backends.queued import JobRef
from qmoe.angles import affine
from qmoe.circuit import Circuit
from qmoe.errors import InputError, QmoeError

MOST_COUNTS = 2**26  # of all rows together: half a gigabyte


def qubits(compiled: Compiled) -> list[Any]:
    """The cirq.GridQubits that a circuit was put on.

    Raises:
        InputError: It was compiled for another target.
    """
    import cirq

    found = [re.fullmatch(r"q\((-?\d+), (-?\d+)\)", name) for name in compiled.physical]
    if not all(found):
        raise InputError(
            got=f"the physical qubits {', '.join(compiled.physical[:3])}, ...",
            expected="qubits of a grid such as q(0, 6)",
            do="compile the circuit for this target",
        )
    return [cirq.GridQubit(int(each[1]), int(each[2])) for each in found if each]


def sweep(native: Circuit, x: NDArray[np.float64]) -> Any:
    """The features (row, d) that the circuit uses, one point a row."""
    import cirq

    used = sorted({i for op in native.ops for angle in op.angles for i in affine(angle).features})
    if not used:
        return [cirq.UnitSweep] * len(x)
    return cirq.Zip(*(cirq.Points(f"x_{i}", x[:, i].tolist()) for i in used))


def counts(measured: Sequence[Any], ref: JobRef) -> dict[int, NDArray[np.int64]]:
    """Counts (2^m,) by row of the bits (shot, m) of each row, the first bit most significant.

    Raises:
        QmoeError: They are not what the job was to return.
    """
    rows = [np.asarray(bits) for bits in measured]
    shapes = {bits.shape for bits in rows}
    width = rows[0].shape[-1] if rows and rows[0].ndim else 0
    if len(rows) != ref.rows or shapes != {(ref.shots, width)}:
        raise QmoeError(
            f"job {ref.id} returned {len(rows)} results of (shots, bits) {sorted(shapes)[:3]}, "
            f"not {ref.rows} of {ref.shots} shots"
        )
    if ref.rows * 2**width > MOST_COUNTS:
        raise QmoeError(f"job {ref.id} returned {width} bits a shot: too many outcomes to count")
    powers = 1 << np.arange(width)[::-1]
    return {
        row: np.bincount(bits.astype(np.int64) @ powers, minlength=2**width).astype(np.int64)
        for row, bits in enumerate(rows)
    }
