"""Gates and channels one after the other on a density matrix, in numpy, sharing no engine."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import numpy as np

from qmoe.channel import Channel
from qmoe.circuit import GATES, Circuit, Op, affine


def probabilities(steps: Iterable[Op | Channel], features: Any, like: Circuit) -> Any:
    """(batch, 2^m) of the measured qubits of `like`, from the all-zeros state."""
    return np.array([_one(steps, dict(enumerate(row)), like) for row in features])


def _one(steps: Iterable[Op | Channel], x: dict[int, float], like: Circuit) -> Any:
    n = like.num_qubits
    rho = np.zeros((2**n, 2**n), dtype=complex)
    rho[0, 0] = 1
    for step in steps:
        if isinstance(step, Channel):
            kraus = _kraus(step)
        elif step.is_mark:
            continue
        else:
            angles = [affine(angle).value({}, x).offset for angle in step.angles]
            kraus = (GATES[step.gate].unitary(*angles),)
        rho = sum(_on(k, step.qubits, _on(k, step.qubits, rho, n).conj().T, n) for k in kraus)
        rho = rho.conj().T
    diagonal = rho.diagonal().real.reshape((2,) * n)
    rest = tuple(q for q in range(n) if q not in like.measured)
    kept = sorted(like.measured)
    order = [kept.index(q) for q in like.measured]
    return diagonal.sum(rest).transpose(order).ravel()


def _on(matrix: Any, qubits: tuple[int, ...], rho: Any, n: int) -> Any:
    """matrix @ rho on some wires."""
    k = len(qubits)
    moved = np.tensordot(
        matrix.reshape((2,) * 2 * k), rho.reshape((2,) * n + (-1,)), (range(k, 2 * k), qubits)
    )
    return np.moveaxis(moved, range(k), qubits).reshape(2**n, -1)


@lru_cache(maxsize=256)
def _kraus(channel: Channel) -> Any:
    return channel.kraus()
