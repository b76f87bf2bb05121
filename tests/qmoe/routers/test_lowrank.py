from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from qmoe.errors import InputError
from qmoe.routers import build
from qmoe.routers.base import AutogradGradient
from qmoe.routers.lowrank import LowRankTrigRouter
from qmoe.routers.trig import TrigRouter


def drawn(router, seeds: int = 2) -> torch.Tensor:
    return torch.from_numpy(np.stack([router.init(np.random.default_rng(s)) for s in range(seeds)]))


def points(d: int, lead: int = 1, batch: int = 7) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(d).uniform(-7, 7, size=(lead, d, batch)))


def taken_apart(router: LowRankTrigRouter, weights: np.ndarray):
    """v (j, r, part), C (e, r) and the biases of one seed."""
    d, r, e = router.num_features, router.rank, router.num_experts
    v = weights[: d * r * router.parts].reshape(d, r, router.parts)
    rest = weights[v.size :]
    return v, rest[: e * r].reshape(e, r), rest[e * r :]


@pytest.mark.parametrize(("d", "degree", "rank"), [(1, 1, 1), (2, 1, 8), (3, 2, 4), (16, 1, 8)])
def test_logits_are_the_formula(d, degree, rank):
    router = LowRankTrigRouter(d, 3, degree=degree, rank=rank)
    weights, x = drawn(router), points(d)
    out = router(weights, x)
    for s in range(2):
        v, c, bias = taken_apart(router, weights[s].numpy())
        for b in range(x.shape[2]):
            angles = x[0, :, b].numpy()
            products = np.ones(rank)
            for j, a in enumerate(angles):
                waves = [f(k * a) for k in range(1, degree + 1) for f in (math.cos, math.sin)]
                products *= 1 + v[j] @ np.array([1.0, *waves])
            assert out[s, :, b].numpy() == pytest.approx(c @ products + bias, abs=1e-12)


@pytest.mark.parametrize(("d", "degree"), [(1, 2), (2, 1), (3, 1)])
def test_at_full_rank_it_is_any_trig_product_router(d, degree):
    side = 2 * degree + 1
    trig = TrigRouter(d, 3, degree=degree)
    router = LowRankTrigRouter(d, 3, degree=degree, rank=side**d)
    table = np.random.default_rng(0).normal(size=(3, side**d))
    # term r is the row r alone: a product of one part per feature
    v = np.zeros((d, side**d, side))
    v[..., 0] = -1  # takes the added 1 away
    for row, parts in enumerate(np.ndindex(*(side,) * d)):
        for j, part in enumerate(parts):
            v[j, row, part] += 1
    weights = np.concatenate([v.ravel(), table.ravel(), np.zeros(3)])
    x = points(d)
    torch.testing.assert_close(
        router(torch.from_numpy(weights)[None], x),
        trig(torch.from_numpy(table).reshape(1, -1), x),
        rtol=0,
        atol=1e-12,
    )


def test_at_any_rank_it_is_the_trig_product_router_with_its_tensor():
    router = LowRankTrigRouter(3, 2, degree=1, rank=4)
    weights, x = drawn(router), points(3)
    tables = []
    for s in range(2):
        v, c, bias = taken_apart(router, weights[s].numpy())
        v[..., 0] += 1
        tensor = np.einsum("er,ra,rb,rc->eabc", c, *v)
        tensor[:, 0, 0, 0] += bias
        v[..., 0] -= 1
        tables.append(tensor.ravel())
    out = TrigRouter(3, 2)(torch.from_numpy(np.stack(tables)), x)
    torch.testing.assert_close(router(weights, x), out, rtol=0, atol=1e-12)


@pytest.mark.parametrize("lead", [1, 2])
@pytest.mark.parametrize("d", [1, 2, 5])
def test_the_gradient_is_that_of_autograd_also_where_a_factor_is_zero(d, lead):
    router = LowRankTrigRouter(d, 3, degree=2, rank=4)
    weights, x = drawn(router), points(d, lead)
    weights[:, : router.rank * router.parts] = 0
    weights[:, : router.rank * router.parts : router.parts] = -1  # all factors of feature 0
    out, saved = router.forward(weights, router.prepare(x))
    assert (saved.factors[:, 0] == 0).all()
    grad = torch.from_numpy(np.random.default_rng(1).normal(size=tuple(out.shape)))
    plain = AutogradGradient(router)
    expected = plain.backward(weights, plain.forward(weights, x)[1], grad)
    torch.testing.assert_close(router.backward(weights, saved, grad), expected, rtol=0, atol=1e-12)
    assert expected[:, : router.rank * router.parts].abs().max() > 1e-3


@pytest.mark.parametrize("d", [1, 2, 8, 16])
def test_products_neither_vanish_nor_blow_up_at_the_start(d):
    router = LowRankTrigRouter(d, 2, degree=2, rank=20_000)
    _, saved = router.forward(drawn(router, 1), router.prepare(points(d, batch=1)))
    products = saved.products[-1].flatten()
    # mean 1 and second moment m2 = (1 + 1/d)^d, over 20,000 independent terms. The fourth moment
    # (1 + 6/d + 3/d^2)^d is below e^6: five standard errors of the two means
    second = (1 + 1 / d) ** d
    fourth = (1 + 6 / d + 3 / d**2) ** d
    assert float(products.mean()) == pytest.approx(1, abs=5 * math.sqrt((second - 1) / 20_000))
    bound = 5 * math.sqrt((fourth - second**2) / 20_000)
    assert float(products.square().mean()) == pytest.approx(second, abs=bound)


def test_the_scale_multiplies_all_starting_numbers():
    router = LowRankTrigRouter(3, 2)
    one, small = (router.init(np.random.default_rng(3), scale) for scale in (1.0, 0.1))
    assert np.array_equal(small, 0.1 * one)


def test_sizes_grow_with_the_dimension_and_not_exponentially():
    router = build("low-rank-trig", 16, 4)
    assert (router.label, router.family) == ("low-rank trig D=1 r=8", "low-rank-trig")
    assert router.size == 16 * 8 * 3 + 4 * 9
    assert tuple(router.counts) == (router.size, router.size, 0)
    assert tuple(router.cost) == (16 * 8 * 2 + 8 * 15 + 4 * 8, 0)


@pytest.mark.parametrize("options", [{"rank": 0}, {"degree": 0}])
def test_no_terms_or_no_waves_are_refused(options):
    with pytest.raises(InputError, match=next(iter(options))):
        build("low-rank-trig", 2, 4, **options)
