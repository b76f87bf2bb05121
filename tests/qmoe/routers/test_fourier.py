from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.stats import kstest

from qmoe.errors import InputError
from qmoe.routers import build
from qmoe.routers.base import AutogradGradient
from qmoe.routers.fourier import FourierRouter


def drawn(router, seeds: int = 2) -> torch.Tensor:
    return torch.from_numpy(np.stack([router.init(np.random.default_rng(s)) for s in range(seeds)]))


def points(d: int, lead: int = 1, batch: int = 6) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(d).uniform(0, np.pi, size=(lead, d, batch)))


def test_logits_are_the_formula():
    router = FourierRouter(3, 2, features=5)
    weights, x = drawn(router), points(3)
    out = router(weights, x)
    fused = router.forward(weights, router.prepare(x))[0]
    for s in range(2):
        linear, bias, w, b = np.split(weights[s].numpy(), np.cumsum([2 * 5, 2, 5 * 3]))
        rows = np.sqrt(2 / 5) * np.cos(w.reshape(5, 3) @ x[0].numpy() + b[:, None])
        expected = linear.reshape(2, 5) @ rows + bias[:, None]
        assert np.abs(out[s].numpy() - expected).max() < 1e-13
        assert np.abs(fused[s].numpy() - expected).max() < 1e-13


def test_the_frozen_numbers_have_the_distributions_of_the_paper():
    router = FourierRouter(4, 2, features=2_000, bandwidth=0.5)
    w, b = np.split(drawn(router, 1)[0, router.trained :].numpy(), [4 * 2_000])
    # fixed draws; a wrong scale or range gives p-values below 1e-9 at these sizes
    assert kstest(w, "norm", args=(0, 2)).pvalue > 0.001
    assert kstest(b, "uniform", args=(-np.pi, 2 * np.pi)).pvalue > 0.001


@pytest.mark.parametrize("bandwidth", [0.5, 2.0])
def test_inner_products_estimate_the_gaussian_kernel(bandwidth):
    m = 20_000
    router = FourierRouter(2, 1, features=m, bandwidth=bandwidth)
    x = points(2, batch=8)
    _, rows = router.forward(drawn(router, 1), x)
    found = (rows[0].T @ rows[0]).numpy()
    distance = np.square(x[0].numpy()[:, :, None] - x[0].numpy()[:, None]).sum(0)
    # each of the m terms lies within [-2, 2] (Hoeffding); 64 pairs at 1e-6 together
    bound = 4 * math.sqrt(math.log(2 * 64 / 1e-6) / (2 * m))
    assert np.abs(found - np.exp(-distance / (2 * bandwidth**2))).max() < bound
    assert bound < 0.15


@pytest.mark.parametrize("lead", [1, 2])
def test_only_the_linear_map_has_a_gradient(lead):
    router = FourierRouter(2, 3)
    weights, x = drawn(router), points(2, lead)
    out, saved = router.forward(weights, router.prepare(x))
    grad = torch.from_numpy(np.random.default_rng(1).normal(size=tuple(out.shape)))
    found = router.backward(weights, saved, grad)
    plain = AutogradGradient(router)
    expected = plain.backward(weights, plain.forward(weights, x)[1], grad)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    for gradient in (found, expected):
        assert (gradient[:, router.counts.actual :] == 0).all()
        assert (gradient[:, : router.counts.actual].abs() > 0).all()


def test_new_weights_and_new_features_are_seen():
    router = FourierRouter(2, 3)
    weights, x = drawn(router), points(2)
    router.forward(weights, x)
    weights[:, router.trained] += 1  # in place, as an optimiser would
    for w, f in ((weights, x), (weights, x + 1), (weights.flip(0), x + 1), (weights, x)):
        torch.testing.assert_close(router.forward(w, f)[0], router(w, f), rtol=0, atol=1e-13)


def test_the_scale_multiplies_what_is_trained():
    router = FourierRouter(3, 2)
    one, small = (router.init(np.random.default_rng(3), scale) for scale in (1.0, 0.1))
    trained = router.counts.actual
    assert np.array_equal(small[:trained], 0.1 * one[:trained])
    assert np.array_equal(small[trained:], one[trained:])


def test_counts_and_names():
    router = build("random-fourier", 2, 4)
    assert (router.label, router.family) == ("random Fourier m=32", "random-fourier")
    assert tuple(router.counts) == (4 * 33, 4 * 33, 32 * 3)
    assert router.size == 4 * 33 + 32 * 3
    assert tuple(router.cost) == (32 * 2 + 4 * 32, 0)
    assert build("random-fourier", 2, 4, bandwidth=0.5).label != router.label


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"features": 0}, "random features 0"),
        ({"bandwidth": 0.0}, "bandwidth 0.0; expected > 0"),
        ({"bandwidth": -1.0}, "bandwidth -1.0"),
        ({"bandwidth": math.nan}, "finite"),
    ],
)
def test_what_is_no_kernel_is_refused(options, message):
    with pytest.raises(InputError, match=message):
        build("random-fourier", 2, 4, **options)
