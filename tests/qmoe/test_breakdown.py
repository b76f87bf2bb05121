"""The breakdown point: fit and crossing by other routes, words and intervals on planted curves."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats
from scipy.interpolate import PchipInterpolator
from scipy.optimize import brentq
from sklearn.isotonic import IsotonicRegression

from benchmarks.figures.breakdown import CASES, STRENGTHS, measured
from qmoe.breakdown import FEWEST, _crossings, _decreasing, _tail, breakdown
from qmoe.metrics import mean_score

CURVES = arrays(
    np.float64,
    st.tuples(st.integers(1, 4), st.just(len(STRENGTHS))),
    elements=st.floats(-0.1, 0.1).map(lambda v: round(v, 4)),
)


def planted(mean, seeds=30, spread=0.004, stream=0):
    """Seeds around a mean curve that stays exactly what it is: noise is centred."""
    mean = np.asarray(mean, dtype=np.float64)
    drawn = spread * np.random.default_rng(stream).normal(size=(seeds, len(mean)))
    return mean + drawn - drawn.mean(axis=0)


@given(CURVES)
def test_the_fit_is_isotonic_regression(curves):
    for ours, curve in zip(_decreasing(curves), curves, strict=True):
        theirs = IsotonicRegression(increasing=False).fit_transform(STRENGTHS, curve)
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)


@given(CURVES)
def test_the_crossing_is_that_of_the_monotone_cubic_through_the_fit(curves):
    for found, curve in zip(_crossings(curves, STRENGTHS), curves, strict=True):
        fit = IsotonicRegression(increasing=False).fit_transform(STRENGTHS, curve).round(12)
        smooth = PchipInterpolator(STRENGTHS, fit)
        if curve[0] <= 0:
            assert found == 0
        elif fit[-1] > 0:
            assert found == math.inf
        elif 0 in fit:  # the first point of a plateau
            assert found <= STRENGTHS[fit <= 0][0]
            assert smooth(found) <= 1e-12 and smooth(found - 1e-4) > 0
        else:
            assert found == pytest.approx(brentq(smooth, 0, STRENGTHS[-1], xtol=1e-13), abs=1e-11)


def test_a_straight_mean_crosses_where_it_does_and_the_margin_moves_it():
    differences = planted(0.03 - 0.6 * STRENGTHS)
    found = breakdown(STRENGTHS, differences)
    assert found.word == "breaks at p [low, high]" and found.up_to == 0.2
    assert found.at.value == pytest.approx(0.05, abs=1e-9)
    assert found.at.low < 0.05 < found.at.high
    assert found.text == f"breaks at {found.at:.4f}"
    moved = breakdown(STRENGTHS, differences, margin=0.012)
    assert moved.at.value == pytest.approx(0.03, abs=1e-9)
    shifted = breakdown(STRENGTHS, differences - 0.012)
    assert shifted.at.low == pytest.approx(moved.at.low, abs=1e-9)


def test_other_units_change_nothing():
    differences = planted(0.03 - 0.6 * STRENGTHS)
    found = breakdown(STRENGTHS, differences).at
    percent = breakdown(STRENGTHS, 100 * differences).at
    assert percent.low == pytest.approx(found.low, abs=1e-9)
    wide = breakdown(10 * STRENGTHS, differences).at
    for one, other in zip(
        (wide.value, wide.low, wide.high), (found.value, found.low, found.high), strict=True
    ):
        assert one == pytest.approx(10 * other, abs=1e-9)


def test_everything_repeats_from_its_seed_and_no_global_state_is_touched():
    differences = planted(0.03 - 0.6 * STRENGTHS)
    before = np.random.get_state()[1].copy()
    assert breakdown(STRENGTHS, differences, seed=3) == breakdown(STRENGTHS, differences, seed=3)
    assert breakdown(STRENGTHS, differences, seed=3) != breakdown(STRENGTHS, differences, seed=4)
    assert np.array_equal(np.random.get_state()[1], before)


@pytest.mark.parametrize("seeds", [10, 30])
def test_where_only_levels_differ_the_interval_is_that_of_students_t(seeds):
    # one straight line per seed: the crossing of the mean is the mean level over the slope, and
    # the bootstrap of a mean is normal but for terms of 1/n, which the widening takes up
    levels = 0.03 + 0.004 * np.random.default_rng(seeds).normal(size=seeds)
    found = breakdown(STRENGTHS, levels[:, None] - 0.6 * STRENGTHS, resamples=40_000).at
    exact = mean_score(levels / 0.6)
    assert found.value == pytest.approx(exact.value, abs=1e-9)
    width = exact.high - exact.low
    assert found.low == pytest.approx(exact.low, abs=0.06 * width)
    assert found.high == pytest.approx(exact.high, abs=0.06 * width)


def test_the_tail_is_widened_for_few_seeds_and_for_few_only():
    # Hesterberg's z-percentile with the t and the variance of n - 1, by scipy.stats
    for n in (2, 10, 30, 300):
        t = stats.t.ppf(0.975, n - 1)
        assert _tail(n, 0.95) == pytest.approx(stats.norm.cdf(-t * math.sqrt(n / (n - 1))))
    assert _tail(10**6, 0.95) == pytest.approx(0.025, abs=1e-6)
    assert _tail(10, 0.95) < 0.01 < 0.018 < _tail(30, 0.95) < 0.02


FALLING, HELD, NONE = (v - 0.6 * STRENGTHS for v in (0.03, 0.2, -0.02))


@pytest.mark.parametrize(
    ("mean", "spread", "word", "text"),
    [
        (FALLING, 0.004, "breaks at p [low, high]", "breaks at 0.0500 ["),
        (HELD, 0.004, "does not break up to P", "does not break up to 0.2"),
        (NONE, 0.004, "no advantage at zero noise", "no advantage at zero noise"),
        (NONE + 0.02, 0.004, "no advantage at zero noise", "no advantage at zero noise"),
        (NONE + 0.02, 0.04, "undecided", "neither shown nor excluded, gone by"),
        (0.12 - 0.6 * STRENGTHS, 0.05, "undecided", "undecided: an advantage up to 0.1"),
        (0 * STRENGTHS, 0.04, "undecided", "excluded, not shown to break up to 0.2"),
        (0 * STRENGTHS, 0.004, "no advantage at zero noise", "no advantage at zero noise"),
    ],
)
def test_each_word_on_planted_curves(mean, spread, word, text):
    found = breakdown(STRENGTHS, planted(mean, spread=spread))
    assert found.word == word and text in found.text


def test_what_matters_at_zero_noise_is_fixed_by_the_caller():
    # shown to be above 0 or not is one question, and whether it could matter another
    slight = planted(NONE + 0.021, spread=0.004)
    assert breakdown(STRENGTHS, slight).word == "no advantage at zero noise"
    assert breakdown(STRENGTHS, slight, matters=0.001).word == "undecided"
    small = planted(NONE + 0.025, spread=0.004)
    assert breakdown(STRENGTHS, small).word == "breaks at p [low, high]"


def test_open_ends_of_an_undecided_crossing_are_said():
    start = breakdown(STRENGTHS, planted(NONE + 0.021, spread=0.04))
    assert start.at.low == 0 < start.at.value < start.at.high < math.inf
    end = breakdown(STRENGTHS, planted(0.12 - 0.6 * STRENGTHS, spread=0.05))
    assert 0 < end.at.low < end.at.value and end.at.high == math.inf
    assert end.text.endswith("not shown to break up to 0.2")


@pytest.mark.parametrize(
    ("curve", "word", "at"),
    [
        (FALLING, "breaks at p [low, high]", 0.05),
        (np.maximum(FALLING, 0), "breaks at p [low, high]", 0.05),  # touching is no advantage
        (HELD, "does not break up to P", math.inf),
        (0 * STRENGTHS, "no advantage at zero noise", 0.0),  # ties
        (NONE, "no advantage at zero noise", 0.0),
        (FALLING - FALLING[-1], "breaks at p [low, high]", 0.2),  # only just, at the last
    ],
)
def test_equal_seeds_have_an_interval_of_no_width(curve, word, at):
    found = breakdown(STRENGTHS, np.tile(curve, (30, 1)))
    assert found.word == word
    ends = (found.at.value, found.at.low, found.at.high)
    assert ends == pytest.approx((at,) * 3, abs=1e-9)


def test_ties_of_equal_terms_in_another_order_are_ties():
    # the sum of these is 0 in exact arithmetic only
    levels = np.array([0.1, 0.2, -0.3] * 10)
    assert levels.sum() != 0
    found = breakdown(STRENGTHS, levels[:, None] - 0 * STRENGTHS)
    assert found.at.value == 0 and found.word == "undecided"


@pytest.mark.parametrize("seeds", [1, 2, FEWEST - 1])
def test_too_few_seeds_have_a_value_and_no_interval(seeds):
    found = breakdown(STRENGTHS, planted(FALLING, seeds))
    assert found.word == "undecided" and f"{seeds} seed" in found.text
    assert found.at.value == pytest.approx(0.05, abs=1e-9) and not found.at.has_interval
    assert breakdown(STRENGTHS, planted(FALLING, FEWEST)).word == "breaks at p [low, high]"


def test_a_rise_under_noise_is_no_advantage_at_zero_noise():
    # the fit's first value is a mean over later strengths and above 0; the measured one is not
    mean = np.full(len(STRENGTHS), 0.05)
    mean[0] = -0.02
    assert _decreasing(mean[None])[0, 0] > 0
    assert breakdown(STRENGTHS, planted(mean)).word == "no advantage at zero noise"


def test_two_strengths_are_enough():
    at = np.array([0.0, 0.1])
    found = breakdown(at, planted([0.03, -0.03]))
    assert found.at.value == pytest.approx(0.05, abs=1e-9)


GOOD = np.zeros((30, 2))


@pytest.mark.parametrize(
    ("strengths", "differences", "options", "message"),
    [
        ([0.01, 0.02], GOOD, {}, "rising from 0"),
        ([0.0, 0.02, 0.02], np.zeros((30, 3)), {}, "rising from 0"),
        ([0.0], np.zeros((30, 1)), {}, "two or more"),
        ([0.0, math.nan], GOOD, {}, "rising from 0"),
        ([0.0, 0.1], GOOD[:0], {}, "no differences"),
        ([0.0, 0.1], GOOD + math.nan, {}, "nan"),
        ([0.0, 0.1], GOOD, {"margin": math.inf}, "margin inf"),
        ([0.0, 0.1], GOOD, {"level": 1.0}, "level 1.0"),
        ([0.0, 0.1], GOOD, {"matters": -0.01}, "matters -0.01"),
        ([0.0, 0.1], GOOD, {"resamples": 40}, "40 resamples"),
    ],
)
def test_what_gives_no_answer_is_refused(strengths, differences, options, message):
    with pytest.raises(ValueError, match=message):
        breakdown(np.array(strengths), differences, **options)


# Statistical tests: seeds are fixed, bounds are quantiles of the binomial distribution.


def test_the_interval_covers_a_planted_crossing():
    repeats = 200
    found = measured(CASES[4], 30, repeats, resamples=500)
    # 1 in 10,000 of estimators that cover in 95 % fall below, and as many above
    low, high = stats.binom.ppf([1e-4, 1 - 1e-4], repeats, 0.95) / repeats
    assert low <= found.coverage.value <= high


def test_without_an_advantage_one_is_seldom_claimed():
    repeats, claimed = 200, 0
    for repeat in range(repeats):
        rng = np.random.default_rng(repeat)
        differences = 0.006 * rng.normal(size=(30, 1)) + 0.004 * rng.normal(size=(30, 11))
        found = breakdown(STRENGTHS, differences, seed=repeat, resamples=500)
        claimed += found.word in ("breaks at p [low, high]", "does not break up to P")
    assert claimed <= stats.binom.ppf(1 - 1e-4, repeats, 0.025)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=str)
def test_coverage_and_mean_over_two_thousand_repeats(case):
    found = {seeds: measured(case, seeds, 2000) for seeds in (10, 30, 300)}
    for seeds in (30, 300):
        assert 0.92 <= found[seeds].coverage.value <= 0.98
    assert abs(found[10].mean - found[300].mean) <= 0.1 * case.crossing
