"""The dephased router's table of coefficients against its stochastic matrices on every input."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from qmoe.routers.base import AutogradGradient
from qmoe.routers.dephased import MOST_POINTS, DephasedRouter

CASES = {
    "one layer": (2, 4, {"layers": 1}),
    "two layers": (2, 4, {"layers": 2}),
    "twelve layers": (2, 4, {"layers": 12}),
    "one feature": (1, 4, {"layers": 2}),
    "four features": (4, 4, {"layers": 3}),
    "ring": (3, 8, {"layers": 2, "entangler": "ring"}),
    "measured": (2, 2, {"num_qubits": 3, "measured": (2, 0)}),
    "parity": (3, 2, {"outcome_map": "parity", "measured": (0, 2, 1)}),
    "three experts": (2, 3, {}),
    "one expert": (2, 1, {}),
    "eight qubits": (2, 4, {"num_qubits": 8, "measured": (3, 7)}),
    "notebook": (3, 4, {"ansatz": "notebook", "layers": 3}),
    "uploads": (2, 4, {"ansatz": "reupload", "layers": 2}),
    "one upload": (2, 4, {"ansatz": "reupload", "layers": 1}),
    "five features": (5, 4, {"layers": 2}),
}
PLAIN = {"uploads", "five features"}


def case(name: str):
    d, experts, options = CASES[name]
    router = DephasedRouter(d, experts, **options)
    weights = [router.init(np.random.default_rng(s)) for s in range(3)]
    return router, torch.from_numpy(np.stack(weights))


def points(d: int, lead: int, batch: int = 40) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(d).uniform(-7, 7, size=(lead, d, batch)))


@pytest.mark.parametrize("lead", [1, 3])
@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients_are_those_of_the_matrices(name, lead):
    router, weights = case(name)
    x = points(router.num_features, lead)
    plain = AutogradGradient(router)
    expected, kept = plain.forward(weights, x)
    out, saved = router.forward(weights, router.prepare(x))
    torch.testing.assert_close(out, expected, rtol=0, atol=1e-12)
    assert not out.requires_grad
    grad = torch.from_numpy(np.random.default_rng(2).normal(size=tuple(out.shape)))
    slope = plain.backward(weights, kept, grad)
    torch.testing.assert_close(router.backward(weights, saved, grad), slope, rtol=0, atol=1e-12)
    if router.num_experts > 1:
        assert slope.abs().max() > 0.1


@pytest.mark.parametrize("name", CASES)
def test_a_table_is_used_where_it_is_exact_and_small(name):
    router, _ = case(name)
    rows = router.prepare(points(router.num_features, 1)).shape[1]
    assert router.tabled == (name not in PLAIN)
    assert rows == (router.num_features if name in PLAIN else 3**router.num_features)
    assert 3**4 <= MOST_POINTS < 3**5


def test_single_precision_stays_single():
    router, weights = case("ring")
    x = points(3, 1)
    out, _ = router.forward(weights.float(), router.prepare(x.float()))
    assert out.dtype == torch.float32
    torch.testing.assert_close(out.double(), router(weights, x), rtol=0, atol=1e-5)
