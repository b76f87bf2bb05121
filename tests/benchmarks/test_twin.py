"""The twin benchmark compares like with like: agreement and bookkeeping, never times."""

from __future__ import annotations

import numpy as np
import pytest

import backends
from benchmarks.figures import twin
from benchmarks.figures.by_hand import by_hand
from qmoe.ansatz import paper, reupload

pytestmark = pytest.mark.xdist_group("ibm")


@pytest.mark.parametrize("circuit", [paper(3, 2, measured=(2, 0, 1)), reupload(2, 2)], ids="pr")
def test_all_routes_give_the_probabilities_of_the_device(circuit):
    rng = np.random.default_rng(0)
    target = backends.load(twin.TARGET)
    found = target.compile(circuit).bind_weights(rng.normal(size=circuit.num_weights))
    x = rng.normal(size=(3, circuit.num_features))
    expected = target.probabilities(found, x)
    routes = [twin.twin(found, x), twin.aer(found, x)()]
    if circuit.num_qubits == 3:
        routes.append(by_hand(found, x))
    for got in routes:
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-9)


def test_the_first_row_is_ours_and_the_others_are_ratios_to_it():
    rows = twin.against_aer("one upload", paper(2, 1), inputs=3, rounds=1)
    assert rows[0].name == twin.OURS and "compiling" in rows[0].note
    assert rows[0].ratio is None and len(rows) == 4
    for row in rows[1:]:
        assert row.ratio == row.timing.median / rows[0].timing.median
        assert row.difference < 1e-9
