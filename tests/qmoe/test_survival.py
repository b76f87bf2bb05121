from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from qmoe.arrays import Floats
from qmoe.metrics import Score, wilson
from qmoe.stats import Sample, judge
from qmoe.survival import race, restricted, time_to_target

INF = math.inf
times = st.lists(
    st.one_of(st.integers(0, 12).map(float), st.just(INF)), min_size=2, max_size=20
).map(np.array)


@given(times)
def test_the_restricted_mean_is_the_area_under_the_kaplan_meier_curve(t: Floats) -> None:
    horizon = 10.0
    arrivals = stats.CensoredData(t[t <= horizon], right=np.full(np.sum(t > horizon), horizon))
    curve = stats.ecdf(arrivals).sf
    edges = np.concatenate([[0.0], curve.quantiles[curve.quantiles < horizon], [horizon]])
    area = float(np.sum(np.diff(edges) * curve.evaluate(edges[:-1])))
    assert time_to_target(t, horizon).restricted.value == pytest.approx(area)


def test_the_figures_of_a_case_worked_by_hand() -> None:
    found = time_to_target(np.array([1.0, 2.0, 10.0, 11.0, INF]), horizon=10.0)
    # Survival is .8 from 1, .6 from 2, .4 from 10 on: more than half have arrived at 10.
    assert found.restricted.value == pytest.approx((1 + 2 + 10 + 10 + 10) / 5)
    assert found.restricted.high == 10.0  # a t interval would reach 11.8
    assert found.median == 10.0
    assert found.never == wilson(2, 5)
    assert found.seeds == 5


def test_a_median_needs_more_than_half_to_arrive() -> None:
    assert time_to_target(np.array([1.0, 2.0, INF, INF]), 5.0).median == INF
    assert time_to_target(np.array([1.0, 2.0, 3.0, INF]), 5.0).median == 3.0
    assert time_to_target(np.array([1.0, 2.0, 7.0, INF]), 5.0).median == INF


def test_nobody_arriving_and_everybody_at_once_are_defined() -> None:
    never, at_once = np.full(4, INF), np.full(4, 3.0)
    found = race(never, never, 7.0)
    assert found.a.restricted == Score(7.0, 7.0, 7.0)
    assert found.a.median == INF
    assert found.a.never.value == 1.0
    assert found.difference == Score(0.0, 0.0, 0.0)
    assert found.logrank_p == 1.0
    tied = race(at_once, at_once, 7.0)
    assert (tied.a.median, tied.difference.value, tied.logrank_p) == (3.0, 0.0, 1.0)
    apart = race(at_once, never, 7.0)
    assert apart.difference == Score(-4.0, -4.0, -4.0)
    assert apart.logrank_p < 0.05


@given(times, st.data())
def test_the_log_rank_aside_agrees_with_scipy_and_swaps(a: Floats, data: st.DataObject) -> None:
    b = np.array(data.draw(st.lists(st.sampled_from(a), min_size=len(a), max_size=len(a))))
    horizon = 10.0
    there, back = race(a, b, horizon), race(b, a, horizon)
    assert there.difference.value == pytest.approx(-back.difference.value)
    assert there.logrank_p == pytest.approx(back.logrank_p)
    both = np.concatenate([a, b])
    if np.any(both <= horizon) and not np.all(both == both[0]):
        x, y = (
            stats.CensoredData(t[t <= horizon], right=np.full(np.sum(t > horizon), horizon))
            for t in (a, b)
        )
        assert there.logrank_p == pytest.approx(float(stats.logrank(x, y).pvalue))
    else:
        assert there.logrank_p == 1.0


def test_the_difference_is_paired() -> None:
    rng = np.random.default_rng(0)
    seeds = rng.uniform(5, 50, 30)  # hard seeds are slow for both
    a, b = seeds, seeds + rng.normal(2.0, 0.5, 30)
    found = race(a, b, 60.0)
    expected = stats.ttest_rel(a, b).confidence_interval(0.95)
    assert found.difference.low == pytest.approx(expected.low)
    assert found.difference.high < 0
    assert found.logrank_p > 0.2  # the same data without their pairing


def test_restricted_times_go_to_judge_negated() -> None:
    rng = np.random.default_rng(1)
    a = rng.uniform(10, 20, 30)
    b = np.where(np.arange(30) < 5, INF, a + 5)
    sample = Sample(
        "moons", -restricted(a, 40.0), -restricted(b, 40.0), "new data + new init", True
    )
    assert judge([sample], margin=1.0)[0].word == "better"


@pytest.mark.parametrize("horizon", [0.0, -1.0, INF, math.nan])
def test_a_horizon_is_finite_and_above_0(horizon: float) -> None:
    with pytest.raises(ValueError, match="horizon"):
        restricted(np.array([1.0]), horizon)


@pytest.mark.parametrize("bad", [[], [math.nan, 1.0], [-1.0]])
def test_times_are_not_negative_and_not_nan(bad: list[float]) -> None:
    with pytest.raises(ValueError, match="times"):
        time_to_target(np.array(bad, dtype=np.float64), 5.0)
