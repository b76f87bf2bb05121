"""What an exact simulation of a circuit costs, counted gate by gate: no clock, no engine."""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from qmoe.circuit import GATES, Circuit
from qmoe.simplify import compact


def multiply_adds(circuit: Circuit) -> int:
    """Real multiply-adds of the outcome distribution of one input.

    The state of the simplified circuit's active qubits meets one gate after the other, then the
    absolute squares are taken. Amplitudes are real numbers where all gates are real, else complex
    ones. Matrix entries 0, 1, -1, i and -i cost nothing, nor does making a matrix from its angles.

    >>> from qmoe.ansatz import paper
    >>> multiply_adds(paper(2, 1))  # two RY on four amplitudes, and four squares
    20
    """
    active = compact(circuit.simplify())[0]
    gates = [op.gate for op in active.ops if not op.is_mark]
    real = all(GATES[gate].real for gate in gates)
    amplitudes = 1 << active.num_qubits
    total = amplitudes * (1 if real else 2)
    for gate in gates:
        size, simple, mixed = _entries(gate)
        total += amplitudes * (simple if real else 2 * simple + 4 * mixed) // size
    return total


@cache
def _entries(gate: str) -> tuple[int, int, int]:
    """The matrix's rows, and its entries that cost: real or imaginary ones, and mixed ones."""
    row = GATES[gate]
    # angles without special relations: what is no unit here is none in general
    matrix = row.unitary(*(math.sqrt(2 + 2 * k) for k in range(row.num_angles))).round(12)
    mixed = (matrix.real != 0) & (matrix.imag != 0)
    free = np.isin(matrix, (0, 1, -1, 1j, -1j))
    return len(matrix), int((~free & ~mixed).sum()), int(mixed.sum())
