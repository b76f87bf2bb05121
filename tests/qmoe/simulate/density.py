"""An oracle with noise: one density matrix, Kraus operators, numpy, one input at a time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from qmoe.channel import Channel
from qmoe.circuit import Op
from qmoe.simulate.reference import op_matrix


def probabilities(
    steps: Iterable[Op | Channel],
    num_qubits: int,
    measured: Sequence[int],
    weights: NDArray[np.float64],
    features: NDArray[np.float64],
    confusion: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """(batch, 2^m) from weights (P,) and features (batch, d)."""
    listed = list(steps)
    kraus = {step: step.kraus() for step in listed if isinstance(step, Channel)}
    rows = []
    for x in features:
        rho = np.zeros((2,) * (2 * num_qubits), dtype=complex)
        rho[(0,) * (2 * num_qubits)] = 1
        for step in listed:
            if isinstance(step, Channel):
                rho = sum(_sandwich(k, step.qubits, rho) for k in kraus[step])
            elif not step.is_mark:
                rho = _sandwich(op_matrix(step, weights, x), step.qubits, rho)
        p = np.diag(rho.reshape(2**num_qubits, -1)).real.reshape((2,) * num_qubits)
        others = [q for q in range(num_qubits) if q not in measured]
        row = p.transpose(*measured, *others).reshape(2 ** len(measured), -1).sum(1)
        rows.append(row if confusion is None else confusion @ row)
    return np.array(rows).reshape(len(features), 2 ** len(measured))


def _sandwich(matrix: NDArray, qubits: Sequence[int], rho: NDArray) -> NDArray:
    """K rho K^+."""
    n, k = rho.ndim // 2, len(qubits)
    for tensor, axes in ((matrix, list(qubits)), (matrix.conj(), [n + q for q in qubits])):
        moved = np.tensordot(tensor.reshape((2,) * (2 * k)), rho, (range(k, 2 * k), axes))
        rho = np.moveaxis(moved, range(k), axes)
    return rho
