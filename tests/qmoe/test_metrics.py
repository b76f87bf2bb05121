from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from qmoe.metrics import (
    ACCURACY_RANGE,
    Score,
    accuracy,
    expert_load,
    mean_score,
    paired_difference,
    routing_entropy,
    wilson,
)


@given(st.integers(1, 3000), st.data(), st.sampled_from([0.5, 0.9, 0.95, 0.999]))
def test_wilson_agrees_with_scipy(n: int, data: st.DataObject, level: float) -> None:
    k = data.draw(st.integers(0, n))
    ours = wilson(k, n, level)
    theirs = stats.binomtest(k, n).proportion_ci(level, "wilson")
    assert ours.value == k / n
    assert ours.low == pytest.approx(theirs.low, abs=1e-12)
    assert ours.high == pytest.approx(theirs.high, abs=1e-12)


def test_wilson_ends_are_exact_and_no_trial_says_nothing() -> None:
    assert wilson(0, 7).low == 0.0
    assert wilson(7, 7).high == 1.0
    nothing = wilson(0, 0)
    assert math.isnan(nothing.value)
    assert (nothing.low, nothing.high) == (0.0, 1.0)


@pytest.mark.parametrize(("k", "n"), [(-1, 3), (4, 3)])
def test_wilson_refuses_impossible_counts(k: int, n: int) -> None:
    with pytest.raises(ValueError, match="successes"):
        wilson(k, n)


@pytest.mark.parametrize("level", [0.0, 1.0, 95.0])
def test_a_level_is_between_0_and_1(level: float) -> None:
    with pytest.raises(ValueError, match="level"):
        mean_score([0.1, 0.2], level)


def test_mean_score_is_the_t_interval() -> None:
    values = np.random.default_rng(0).normal(0.9, 0.02, 30)
    ours = mean_score(values, 0.9)
    low, high = stats.t.interval(0.9, 29, values.mean(), stats.sem(values))
    assert (ours.low, ours.high) == (pytest.approx(low), pytest.approx(high))


def test_mean_score_of_few_or_equal_values() -> None:
    alone = mean_score([0.7])
    assert alone.value == 0.7
    assert math.isnan(alone.low)
    assert math.isnan(alone.high)
    assert not alone.has_interval
    assert mean_score([0.1, 0.1, 0.1]) == Score(0.1, 0.1, 0.1)
    with pytest.raises(ValueError, match="no values"):
        mean_score([])


def test_mean_score_keeps_to_its_limits() -> None:
    assert mean_score([0.99, 1.0, 1.0]).high > 1
    assert mean_score([0.99, 1.0, 1.0], limits=ACCURACY_RANGE).high == 1.0


def test_overlapping_splits_widen_the_interval_as_nadeau_and_bengio_say() -> None:
    values = [0.9, 0.92, 0.95, 0.91]
    plain, corrected = mean_score(values), mean_score(values, overlap=0.25)
    assert corrected.high - corrected.value == pytest.approx(
        (plain.high - plain.value) * math.sqrt((1 / 4 + 0.25) / (1 / 4))
    )


def test_paired_difference_is_the_paired_t_test() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.normal(0.9, 0.02, 30), rng.normal(0.89, 0.02, 30)
    ours = paired_difference(a, b)
    theirs = stats.ttest_rel(a, b).confidence_interval(0.95)
    assert (ours.low, ours.high) == (pytest.approx(theirs.low), pytest.approx(theirs.high))


def test_paired_differences_that_are_degenerate_are_defined() -> None:
    assert paired_difference([0.5, 0.75], [0.25, 0.5]) == Score(0.25, 0.25, 0.25)
    assert paired_difference([0.5, 0.7], [0.5, 0.7]) == Score(0.0, 0.0, 0.0)
    assert not paired_difference([0.5], [0.4]).has_interval
    with pytest.raises(ValueError, match="pairs"):
        paired_difference([0.5, 0.6], [0.4])


def test_two_equal_learners_are_told_apart_as_often_as_the_level_says() -> None:
    # 2,000 studies at 95 %: misses are binomial with mean 100 and deviation 9.7; 5 of them allowed.
    rng = np.random.default_rng(2)
    misses = 0
    for _ in range(2000):
        found = paired_difference(rng.normal(0.9, 0.01, 10), rng.normal(0.9, 0.01, 10))
        misses += not found.low <= 0 <= found.high
    assert abs(misses - 100) < 5 * math.sqrt(2000 * 0.05 * 0.95)


def test_accuracy_counts_per_seed() -> None:
    predicted = np.array([[0, 1, 1, 0], [0, 0, 0, 0]])
    labels = np.array([[0, 1, 0, 0], [1, 1, 1, 1]])
    assert np.array_equal(accuracy(predicted, labels), [0.75, 0.0])
    assert accuracy(predicted[0], labels[0]) == 0.75
    with pytest.raises(ValueError, match="no predictions"):
        accuracy(np.array([], dtype=np.int64), np.array([], dtype=np.int64))


def test_entropy_of_even_and_of_sharp_gates() -> None:
    even = np.full((4, 10), 0.25)
    sharp = np.eye(4)[:, np.arange(10) % 4]
    assert routing_entropy(even) == pytest.approx(2.0)
    assert routing_entropy(sharp) == 0.0
    assert math.copysign(1.0, float(routing_entropy(sharp))) == 1.0


def test_load_and_entropy_take_seeds_first() -> None:
    gates = np.random.default_rng(3).dirichlet(np.ones(4), (5, 20)).transpose(0, 2, 1)
    loads, entropies = expert_load(gates), routing_entropy(gates)
    assert loads.shape == (5, 4)
    assert loads.sum(axis=1) == pytest.approx(np.ones(5))
    for seed in range(5):
        assert loads[seed] == pytest.approx(expert_load(gates[seed]))
        expected = np.mean([stats.entropy(column, base=2) for column in gates[seed].T])
        assert np.asarray(entropies)[seed] == pytest.approx(expected)
