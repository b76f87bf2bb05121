"""Which measured outcome feeds which expert.

An outcome map is a fixed 0/1 matrix (expert, outcome) that sums outcome probabilities; outcomes
are big-endian over the measured qubits. `adapter`, a learned linear map to logits, is the fourth
choice and belongs to the routers that offer it, because its parameters count.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

from qmoe.arrays import Floats
from qmoe.errors import InputError, unknown

OUTCOME_MAPS = ("modulo", "marginal", "parity", "adapter")


def outcome_matrix(
    name: str, num_experts: int, num_measured: int
) -> Float64[Floats, "expert outcome"]:
    """The matrix of an outcome map; its columns each have a single 1.

    modulo: outcome i feeds expert i mod E. marginal: only the first ceil(log2 E) measured qubits
    count, the others are summed out; their value mod E is the expert. parity: bit j of the
    expert is the parity of measured qubits j, j + k, j + 2k, ... with k = ceil(log2 E), mod E.

    Raises:
        InputError: An unknown map, or more experts than outcomes.

    >>> outcome_matrix("modulo", 2, 2).astype(int).tolist()
    [[1, 0, 1, 0], [0, 1, 0, 1]]
    >>> outcome_matrix("marginal", 2, 2).astype(int).tolist()
    [[1, 1, 0, 0], [0, 0, 1, 1]]
    >>> outcome_matrix("parity", 2, 2).astype(int).tolist()
    [[1, 0, 0, 1], [0, 1, 1, 0]]
    """
    if name not in OUTCOME_MAPS[:-1]:
        raise unknown("outcome map", name, OUTCOME_MAPS[: -1 if name == "adapter" else None])
    outcomes = 2**num_measured
    if num_experts > outcomes:
        raise InputError(
            got=f"{num_experts} experts and {num_measured} measured qubits",
            expected=f"at most {outcomes} experts",
            do="measure more qubits, use fewer experts or outcome map 'adapter'",
        )
    bits = (num_experts - 1).bit_length()
    index = np.arange(outcomes)
    if name == "modulo":
        expert = index % num_experts
    elif name == "marginal":
        expert = (index >> (num_measured - bits)) % num_experts
    else:
        expert = np.zeros(outcomes, dtype=int)
        for j in range(bits):
            flips = sum((index >> (num_measured - 1 - q)) & 1 for q in range(j, num_measured, bits))
            expert |= (flips % 2) << (bits - 1 - j)
        expert %= num_experts
    matrix = np.zeros((num_experts, outcomes))
    matrix[expert, index] = 1
    return matrix


def uneven(num_experts: int, num_measured: int) -> tuple[str, ...]:
    """The warning where a uniform distribution over outcomes does not reach experts equally."""
    if 2**num_measured % num_experts == 0:
        return ()
    return (
        f"{2**num_measured} outcomes over {num_experts} experts: "
        "a uniform distribution favours the first experts",
    )
