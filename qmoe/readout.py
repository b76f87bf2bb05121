"""Readout error as a confusion matrix, [read, true]: p_read = confusion @ p_true.

The outcome index is big-endian over the measured qubits, in their order; columns sum to 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Float64

from qmoe.arrays import Floats
from qmoe.channels import probability


def independent(
    read_1_of_0: Sequence[float], read_0_of_1: Sequence[float]
) -> Float64[Floats, "outcome outcome"]:
    """Every measured qubit misread by itself: P(read 1 | is 0) and P(read 0 | is 1) of each.

    >>> independent([0.25], [0.5]).tolist()
    [[0.75, 0.5], [0.25, 0.5]]
    """
    total: Floats = np.ones((1, 1))
    for zero, one in zip(read_1_of_0, read_0_of_1, strict=True):
        up, down = probability(zero, "readout error"), probability(one, "readout error")
        total = np.kron(total, np.array([[1 - up, down], [up, 1 - down]]))
    return total


def paired(
    num_measured: int, pairs: Iterable[tuple[int, int]], chance: float
) -> Float64[Floats, "outcome outcome"]:
    """Each pair of positions in the outcome read with both bits flipped, with this chance.

    >>> paired(2, [(0, 1)], 0.125)[:, 0].tolist()
    [0.875, 0.0, 0.0, 0.125]
    """
    size = 2**num_measured
    flipped = probability(chance, "readout error of a pair")
    total: Floats = np.eye(size)
    for first, second in pairs:
        both = (1 << (num_measured - 1 - first)) | (1 << (num_measured - 1 - second))
        total = (1 - flipped) * total + flipped * total[np.arange(size) ^ both]
    return total
