"""The count of multiply-adds against a simulation that counts its own multiplications."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from qmoe.ansatz import build
from qmoe.circuit import GATES, Circuit, Op, affine
from qmoe.simplify import compact
from qmoe.simulate import reference
from qmoe.simulate.cost import multiply_adds

CIRCUITS = {
    "paper": build("paper", 3, 2),
    "paper, one measured": build("paper", 4, 3, entangler="ring", measured=(2,)),
    "reupload": build("reupload", 2, 3),
    "notebook": build("notebook", 2, 3),
    "notebook, one measured": build("notebook", 3, 2, measured=(1,)),
    "every gate": Circuit(
        3,
        (
            *(Op("h", (q,)) for q in range(3)),
            *(Op(gate, (0,)) for gate in ("s", "sx", "y", "sx")),
            Op("rzz", (0, 2), (0.3,)),
            Op("phased_xz", (1,), (0.1, 0.2, 0.7)),
            Op("cx", (1, 2)),
            Op("rx", (2,), (0.4,)),
        ),
        (0, 1, 2),
    ),
}


class Counter:
    """Multiplications of real numbers, one by one."""

    def __init__(self) -> None:
        self.count = 0

    def times(self, a: complex, b: complex, real_state: bool) -> complex:
        """An entry of a matrix with an amplitude; an entry 0, 1, -1, i, -i takes no product."""
        if min(abs(a - unit) for unit in (0, 1, -1, 1j, -1j)) > 1e-12:
            parts = sum(abs(part) > 1e-12 for part in (a.real, a.imag))
            self.count += int(parts) * (1 if real_state else 2)
        return a * b


def counted(circuit: Circuit, theta: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, int]:
    """Probabilities over all qubits of a circuit, and the multiplications that they took."""
    counter, n = Counter(), circuit.num_qubits
    ops = [op for op in circuit.ops if not op.is_mark]
    real_state = all(GATES[op.gate].real for op in ops)
    weights, features = dict(enumerate(theta)), dict(enumerate(x))
    state = [1 + 0j] + [0j] * (2**n - 1)
    for op in ops:
        angles = [affine(a).value(weights, features).offset for a in op.angles]
        matrix = GATES[op.gate].unitary(*angles)
        after = [0j] * 2**n
        for out in range(2**n):
            for column in range(len(matrix)):
                row, source = 0, out
                for k, q in enumerate(reversed(op.qubits)):
                    place = n - 1 - q
                    row |= ((out >> place) & 1) << k
                    source = (source & ~(1 << place)) | (((column >> k) & 1) << place)
                after[out] += counter.times(matrix[row, column], state[source], real_state)
        state = after
    squares = [a.real**2 + a.imag**2 for a in state]
    return np.array(squares), counter.count + len(state) * (1 if real_state else 2)


@pytest.mark.parametrize("name", CIRCUITS)
def test_the_count_is_that_of_a_simulation_that_counts(name):
    circuit = CIRCUITS[name]
    rng = np.random.default_rng(3)
    theta, x = rng.uniform(-3, 3, circuit.num_weights), rng.uniform(-3, 3, circuit.num_features)
    active = compact(circuit.simplify())[0]
    found, count = counted(active, theta, x)
    everything = replace(active, measured=tuple(range(active.num_qubits)))
    np.testing.assert_allclose(found, reference.probabilities(everything, theta, x), atol=1e-12)
    assert multiply_adds(circuit) == count


def test_counts_by_hand():
    # two RY of two products on each of four amplitudes, and four squares
    assert multiply_adds(build("paper", 2, 1)) == 2 * 8 + 4
    # the last CZ is invisible; the first costs nothing
    assert multiply_adds(build("paper", 2, 2)) == 4 * 8 + 4
    # complex: per amplitude RX and RY take two entries of two products, RZ one of four, squares two
    assert multiply_adds(build("notebook", 2, 1)) == 2 * 16 + 2 * 16 + 4 * 16 + 8
    # what the measured qubit cannot see is not simulated
    assert multiply_adds(build("paper", 9, 1, measured=(4,))) == 4 + 2
    assert multiply_adds(Circuit(2, (), (0,))) == 2
