from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from qmoe.ansatz import ANSATZE, build
from qmoe.errors import InputError
from qmoe.metrics import Score
from qmoe.seeds import stream
from qmoe.simulate import reference
from qmoe.trainability import COSTS, decay_rate, gradient_variance, gradients, mean_square

WIDTH = {"outcome": 2, "global": 9, "local": 1}


def one_layer(n: int, cost: str) -> tuple[float, float]:
    """Second and fourth moment of the gradient of the product of cos^2(a / 2), or of cos(a).

    sin(a) / 2 for the turned qubit, cos^2(a / 2) for each other measured one, a uniform: means of
    sin^2, sin^4, cos^4, cos^8 are 1/2, 3/8, 3/8, 35/128.
    """
    if cost == "local":
        return 1 / 2, 3 / 8
    others = min(WIDTH[cost], n) - 1
    return 1 / 8 * (3 / 8) ** others, 3 / 8 / 16 * (35 / 128) ** others


@pytest.mark.parametrize("cost", COSTS)
@pytest.mark.parametrize("n", [1, 2, 4, 7])
def test_one_layer_has_the_closed_form(n, cost):
    second, fourth = one_layer(n, cost)
    found = gradient_variance(n, 1, cost=cost, samples=2000)
    assert abs(found.value - second) < 5 * math.sqrt((fourth - second**2) / 2000)
    assert found.low < found.value < found.high


@pytest.mark.parametrize("cost", COSTS)
@pytest.mark.parametrize("layers", [2, 12])
def test_weights_at_zero_leave_one_layer_of_any_depth(layers, cost):
    # at angle 0 the further layers are CZs, which no outcome sees; inputs stand for the angles
    second, fourth = one_layer(3, cost)
    found = gradient_variance(3, layers, cost=cost, init_scale=1e-9, samples=1000)
    assert abs(found.value - second) < 5 * math.sqrt((fourth - second**2) / 1000)


@pytest.mark.parametrize("n", [2, 3])
def test_deep_circuits_reach_the_two_design(n):
    """A Haar-random orthogonal matrix V after the turned qubit: the limit of 1803.11173.

    The gradient is half the difference of the cost in two orthogonal states. For a row of V the
    squares are Dirichlet(1/2, ..., 1/2): variance 2 (N - 1) / (N^2 (N + 2)), covariance
    -2 / (N^2 (N + 2)). For Z of trace 0: variance 2 / (N + 2), covariance -1 / (N - 1) of it.
    """
    N = 2**n
    limit = {"global": 1 / (N * (N + 2)), "local": N / ((N + 2) * (N - 1))}
    for cost, expected in limit.items():
        found = gradient_variance(n, 40, cost=cost, samples=500, level=0.9999)
        assert found.low < expected < found.high


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    truth = one_layer(2, "outcome")[0]
    draws = gradients(2, 1, ansatz="paper", init_scale=1.0, cost="outcome", samples=40_000, root=0)
    found = [mean_square(part) for part in draws.reshape(400, 100)]
    assert gradient_variance(2, 1, samples=40_000) == mean_square(draws)
    hits = sum(score.low < truth < score.high for score in found)
    # 5 deviations of a binomial below 95 %: a delta-method interval is not exact
    assert 400 * 0.95 - 5 * math.sqrt(400 * 0.95 * 0.05) < hits < 400


@given(
    st.sampled_from(sorted(ANSATZE)), st.sampled_from(COSTS), st.integers(1, 3), st.integers(1, 3)
)
@settings(max_examples=25, deadline=None)
def test_gradients_are_differences_of_the_reference(ansatz, cost, n, layers):
    found = gradients(n, layers, ansatz=ansatz, init_scale=0.5, cost=cost, samples=3, root=5)
    circuit = build(ansatz, n, layers, measured=range(min(n, WIDTH[cost])))
    angles = 0.5 * stream(5, n, "init").uniform(-np.pi, np.pi, (3, circuit.num_weights))
    inputs = stream(5, n, "data").uniform(-np.pi, np.pi, (3, n))
    for value, w, x in zip(found, angles, inputs, strict=True):
        step = 1e-5 * np.eye(len(w))[0]
        up, down = (reference.probabilities(circuit, w + s, x) for s in (step, -step))
        slope = (up - down) / 2e-5
        assert value == pytest.approx(
            slope[0] - slope[1] if cost == "local" else slope[0], abs=1e-8
        )


@pytest.mark.parametrize("init_scale", [0.1, 1.0])
@pytest.mark.parametrize("ansatz", sorted(ANSATZE))
def test_the_mean_gradient_is_zero_so_that_the_mean_square_is_the_variance(ansatz, init_scale):
    for cost in COSTS:
        found = gradients(
            2, 3, ansatz=ansatz, init_scale=init_scale, cost=cost, samples=2000, root=0
        )
        assert found.std() > 0.01
        assert abs(found.mean()) < 5 * found.std() / math.sqrt(2000)


def test_the_same_root_gives_the_same_figure_and_another_another():
    first = gradient_variance(3, 2, root=1)
    assert first == gradient_variance(3, 2, root=1)
    assert first != gradient_variance(3, 2, root=2)


def test_the_decay_rate_is_a_least_squares_line_through_logarithms():
    sizes, rng = np.array([2, 3, 5, 8, 10]), np.random.default_rng(0)
    values = np.exp(-0.9 * sizes + 0.2 * rng.normal(size=5))
    line = stats.linregress(sizes, np.log(values))
    half = stats.t.ppf(0.95, 3) * line.stderr
    found = decay_rate(
        {int(n): Score(float(v), 0.0, 1.0) for n, v in zip(sizes, values, strict=True)}, 0.9
    )
    assert found.value == pytest.approx(-line.slope, abs=1e-12)
    assert (found.low, found.high) == pytest.approx((found.value - half, found.value + half))


def test_the_decay_rate_of_a_global_cost_is_that_of_its_closed_form():
    found = decay_rate(
        {n: gradient_variance(n, 1, cost="global", samples=4000) for n in (1, 2, 3, 4)}
    )
    # each logarithm is off by its relative error; the slope's deviation follows
    errors = []
    for n in (1, 2, 3, 4):
        second, fourth = one_layer(n, "global")
        errors.append(math.sqrt((fourth / second**2 - 1) / 4000))
    deviation = (
        math.sqrt(sum((d * e) ** 2 for d, e in zip((-1.5, -0.5, 0.5, 1.5), errors, strict=True)))
        / 5
    )
    assert abs(found.value - math.log(8 / 3)) < 5 * deviation


def test_two_sizes_give_a_rate_without_an_interval_and_one_gives_none():
    quarter = {2: Score(0.4, 0.3, 0.5), 4: Score(0.1, 0.05, 0.2)}
    assert decay_rate(quarter).value == pytest.approx(math.log(2))
    assert not decay_rate(quarter).has_interval
    for few in ({2: Score(0.4, 0.3, 0.5)}, {2: Score(0.4, 0.3, 0.5), 3: Score(0.0, 0.0, 0.0)}):
        with pytest.raises(ValueError, match="two or more variances above 0"):
            decay_rate(few)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cost": "globl"}, "did you mean 'global'"),
        ({"samples": 1}, "number of samples 1"),
        ({"init_scale": 0.0}, "init scale 0.0"),
        ({"ansatz": "other"}, "ansatz 'other'"),
    ],
)
def test_bad_input_is_one_line(options, message):
    with pytest.raises(InputError, match=message):
        gradient_variance(2, 1, **options)
    with pytest.raises(InputError, match="number of layers 0"):
        gradient_variance(2, 0)
