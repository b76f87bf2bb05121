"""`predict`: intervals hold a fresh experiment as often as they promise, under the twin's noise."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from scipy.stats import beta, binom

from backends.base import sample
from backends.compiled import as_given
from backends.conformance.predict import ideal, predicted
from backends.twin import predict
from qmoe.agreement import total_variation
from qmoe.ansatz import paper
from qmoe.circuit import Circuit, Op
from qmoe.errors import InputError
from qmoe.noise import NoiseModel

pytestmark = pytest.mark.usefixtures("unchecked")

MODEL = NoiseModel(depolarizing=0.02, read_1_of_0=0.01, read_0_of_1=0.05)
STRONGER = NoiseModel(depolarizing=0.1, read_1_of_0=0.05, read_0_of_1=0.4)
ROWS, SHOTS = 16, 200
REPEATS, EXPERIMENTS = 79, 300
"""The second from below and from above of 79: exactly 76 / 80 = 95 % for a continuous figure."""


def router(noise: NoiseModel = MODEL):
    """A compiled circuit with random weights, and features (ROWS, 2)."""
    rng = np.random.default_rng(7)
    circuit = paper(2, 2)
    circuit = circuit.bind_weights(rng.uniform(-np.pi, np.pi, circuit.num_weights))
    return as_given("modelled", circuit, noise), rng.uniform(-np.pi, np.pi, (ROWS, 2))


def figures():
    """Accuracy of a vote of two experts, total variation and top-1 agreement with the ideal."""
    found, x = router()
    truth = ideal(found.native, x)
    labels = truth[:, :2].sum(1) + np.random.default_rng(1).normal(0, 0.1, ROWS) > 0.5
    return {
        "accuracy": lambda f: ((f[:, :2].sum(1) > 0.5) == labels).mean(),
        "total variation": lambda f: total_variation(f, truth).mean(),
        "top-1": lambda f: (f.argmax(1) == truth.argmax(1)).mean(),
    }


@pytest.fixture(scope="module")
def intervals():
    """Predictions of each figure, from one seed each."""
    told, x = router()
    return {
        name: [predict(told, x, SHOTS, f, seed=k, repeats=REPEATS) for k in range(EXPERIMENTS)]
        for name, f in figures().items()
    }


def covered(name: str, intervals, real) -> int:
    """How many of the experiments on a real target lie in their own intervals."""
    figure, p = figures()[name], predicted(real, router()[1])
    return sum(
        expected.low <= figure(sample(p, SHOTS, 10_000 + k) / SHOTS) <= expected.high
        for k, expected in enumerate(intervals[name])
    )


@pytest.mark.parametrize("name", figures())
def test_a_fresh_experiment_is_covered_as_promised(name, intervals):
    hits = covered(name, intervals, router()[0])
    # each hit has chance .95 or, where figures tie, more; a fixed test errs once in 100,000
    assert hits >= binom.ppf(1e-5, EXPERIMENTS, 0.95)
    if name == "total variation":  # of two experiments it is hardly ever the same
        assert hits <= binom.ppf(1 - 1e-5, EXPERIMENTS, 0.95) < EXPERIMENTS


@pytest.mark.parametrize("name", figures())
def test_much_stronger_noise_is_not_covered(name, intervals):
    hits = covered(name, intervals, router(STRONGER)[0])
    assert hits < binom.ppf(1e-5, EXPERIMENTS, 0.5)


def test_the_value_is_the_expected_figure():
    found, x = router()
    p = predicted(found, x)
    score = predict(found, x, SHOTS, lambda f: f[:, 0].mean(), seed=3)
    error = np.sqrt((p[:, 0] * (1 - p[:, 0])).sum() / SHOTS) / ROWS / np.sqrt(400)
    assert abs(score.value - p[:, 0].mean()) < 5 * error
    assert score.low < score.value < score.high


@pytest.mark.parametrize(
    ("repeats", "level", "rank"), [(400, 0.95, 10), (39, 0.95, 1), (99, 0.8, 10)]
)
def test_the_ends_are_those_of_the_rank_promised(repeats, level, rank):
    found = as_given("modelled", Circuit(1, (Op("ry", (0,), (1.3,)),), (0,)), NoiseModel(px=0.1))
    chance = predicted(found, np.zeros((1, 0)))[0, 0]
    score = predict(
        found, np.zeros((1, 0)), 10**6, lambda f: f[0, 0], seed=5, repeats=repeats, level=level
    )
    low, high = round(score.low * 10**6), round(score.high * 10**6)
    inside = binom.cdf(high, 10**6, chance) - binom.cdf(low - 1, 10**6, chance)
    # what two order statistics hold between them is a beta variable (Wilks 1941)
    held = beta(repeats + 1 - 2 * rank, 2 * rank)
    assert held.ppf(1e-6) < inside < held.ppf(1 - 1e-6)


def test_one_seed_gives_one_prediction():
    found, x = router()
    ask = partial(predict, found, x, 50, figures()["total variation"], repeats=50)
    assert ask(seed=4) == ask(seed=4) != ask(seed=5)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"shots": 0}, "shots 0"),
        ({"shots": -5}, "shots -5"),
        ({"repeats": 38}, "at least 39"),
        ({"repeats": 0}, "repeats 0"),
        ({"repeats": 400, "level": 0.999}, "at least 1999"),
        ({"level": 1.0}, "level 1.0"),
        ({"seed": -1}, "seed -1"),
        ({"features": np.zeros((2, 5))}, "shape"),
    ],
)
def test_what_cannot_be_predicted_is_refused(changes, said):
    found, x = router()
    options = {"features": x, "shots": 10, "figure": np.mean, "seed": 0} | changes
    with pytest.raises(InputError, match=said):
        predict(found, **options)


def test_free_weights_and_unknown_noise_are_refused():
    circuit = paper(2, 1)
    x = np.zeros((1, 2))
    with pytest.raises(InputError, match="free weights"):
        predict(as_given("modelled", circuit, MODEL), x, 10, np.mean, seed=0)
    bare = as_given("modelled", circuit.bind_weights([0.0, 0.0]))
    with pytest.raises(InputError, match="no calibration"):
        predict(replace(bare, noisy=None), x, 10, np.mean, seed=0)
