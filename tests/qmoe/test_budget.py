from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from qmoe.arrays import Floats
from qmoe.budget import best_of, expected_best

tables = st.tuples(st.integers(1, 7), st.integers(1, 3)).flatmap(
    # Few different values, so that ties are common.
    lambda shape: arrays(np.float64, shape, elements=st.integers(0, 8).map(lambda i: i / 8))
)


@given(tables)
def test_it_is_the_mean_over_all_sets_of_k_trials(values: Floats) -> None:
    curves = expected_best(values)
    for k in range(1, len(values) + 1):
        sets = [values[list(c)].max(0) for c in itertools.combinations(range(len(values)), k)]
        assert curves[k - 1] == pytest.approx(np.mean(sets, axis=0), abs=1e-12)


@given(tables)
def test_it_rises_from_the_mean_to_the_maximum(values: Floats) -> None:
    curves = expected_best(values)
    assert curves[0] == pytest.approx(values.mean(0))
    assert curves[-1] == pytest.approx(values.max(0))
    assert np.all(np.diff(curves, axis=0) >= -1e-12)


def test_the_order_of_the_trials_does_not_matter() -> None:
    rng = np.random.default_rng(0)
    values = rng.uniform(size=(12, 3))
    assert expected_best(rng.permutation(values)) == pytest.approx(expected_best(values))


def test_many_trials_stay_exact() -> None:
    # of 1..N the largest of k is k (N + 1) / (k + 1) on average
    N = 300
    k = np.arange(1, N + 1)
    found = expected_best(np.arange(1.0, N + 1)[:, None])[:, 0]
    assert found == pytest.approx(k * (N + 1) / (k + 1), rel=1e-9)


def test_it_is_unbiased_where_drawing_with_replacement_is_not() -> None:
    # The best of 6 uniform figures is 6/7. 4,000 seeds of 8 trials; 5 standard errors allowed.
    values = np.random.default_rng(1).uniform(size=(8, 4000))
    ours = expected_best(values)[5]
    error = ours.std(ddof=1) / math.sqrt(4000)
    assert abs(ours.mean() - 6 / 7) < 5 * error
    share = np.arange(9) / 8
    theirs = np.diff(share**6) @ np.sort(values, axis=0)
    assert theirs.mean() < 6 / 7 - 5 * error


def test_intervals_are_over_seeds() -> None:
    values = np.random.default_rng(2).uniform(0.8, 0.9, (12, 10))
    third = expected_best(values)[2]
    low, high = stats.t.interval(0.9, 9, third.mean(), stats.sem(third))
    found = best_of(values, level=0.9)
    assert len(found) == 12
    assert (found[2].low, found[2].high) == (pytest.approx(low), pytest.approx(high))
    wider = best_of(values, level=0.9, overlap=0.25)[2]
    assert wider.high - wider.low > high - low


@pytest.mark.parametrize("bad", [np.empty((0, 3)), np.array([[0.5, math.nan]])])
def test_every_trial_needs_a_figure(bad: Floats) -> None:
    with pytest.raises(ValueError, match="trial"):
        expected_best(bad)
