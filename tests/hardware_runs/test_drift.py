"""Change points: found where they are planted, and no oftener than the level where none is."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from hardware_runs.drift import FEWEST, change_points
from hardware_runs.predict_plan import probabilities
from hardware_runs.rescore import rescore
from tests.hardware_runs.measured import drawn, scheduled
from tests.hardware_runs.planned import planned


@pytest.mark.parametrize("length", [8, 24])
@pytest.mark.parametrize("level", [0.05, 0.2])
@pytest.mark.parametrize("kind", ["normal", "skewed", "few values"])
def test_series_without_a_change_seldom_have_one(kind, level, length):
    rng, times = np.random.default_rng(length), 300
    found = 0
    for seed in range(times):
        series = {
            "normal": rng.normal(size=length),
            "skewed": rng.exponential(size=length),
            "few values": rng.binomial(4, 0.8, size=length) / 4,
        }[kind]
        found += bool(change_points(series, seed=seed, level=level, permutations=199))
    assert found <= stats.binom.ppf(0.9999, times, level)
    if kind == "normal" and (length, level) != (8, 0.05):
        assert found >= stats.binom.ppf(0.0001, times, level)  # it is as sharp as it may be


def test_the_p_value_is_that_of_all_orders():
    """8 values, 70 ways to halve them: the found split is reached as the exact test has it."""
    series = np.array([0.9, 0.86, 0.93, 0.8, 0.84, 0.82, 0.79, 0.81])

    def statistic(order):
        n = len(order)
        return max(
            abs(order[:k].mean() - order[k:].mean()) * np.sqrt(k * (n - k) / n) for k in range(1, n)
        )

    rng = np.random.default_rng(0)
    seen = statistic(series)
    orders = [statistic(rng.permutation(series)) >= seen - 1e-12 for _ in range(20_000)]
    p = np.mean(orders)
    assert 0.04 < p < 0.2
    away = 5 * np.sqrt(p * (1 - p) / 9999)
    assert change_points(series, seed=1, level=p + away, permutations=9999)
    assert not change_points(series, seed=1, level=p - away, permutations=9999)


def test_planted_changes_are_found_where_they_are():
    rng = np.random.default_rng(1)
    hits = 0
    for seed in range(50):
        series = np.repeat([0.9, 0.8, 0.87], 12) + rng.normal(scale=0.01, size=36)
        hits += change_points(series, seed=seed) == (12, 24)
    # 10 and 7 standard deviations over 12 values each; a further one at most at the halved level
    assert hits >= 50 - stats.binom.ppf(0.999, 50, 0.05)


def test_shifted_turned_and_scaled_series_change_at_the_same_places():
    rng = np.random.default_rng(2)
    series = np.repeat([1.0, 0.0], 10) + rng.normal(scale=0.3, size=20)
    found = change_points(series, seed=0)
    assert found == (10,)
    assert change_points(5 + 3 * series, seed=0) == found
    assert change_points(-series, seed=0) == found
    assert change_points(series[::-1], seed=0) == (10,)


def test_short_and_constant_series_have_none():
    for length in range(FEWEST):
        assert change_points([0.0] * (length // 2) + [1.0] * (length - length // 2), seed=0) == ()
    assert change_points([0.1 + 0.2] * 10 + [0.3] * 10, seed=0) == ()
    # shorter ones could not be found: of n values, at least 2 k! (n - k)! orders reach any split
    for n in range(2, FEWEST):
        assert min(2 / len(list(combinations(range(n), k))) for k in range(1, n)) > 0.05


def test_a_device_that_changes_is_said_with_the_repeat(unchecked):
    plan = planned("torch", inputs=4, block=2, count=14, treatments=("none",))
    schedule = scheduled(plan)
    sharp = probabilities(plan, schedule)
    dull = sharp.copy()
    for k, one in enumerate(schedule.executions):
        if one.kind != "sentinel":
            dull[k] = 0.6 * sharp[k] + 0.1
    rng = np.random.default_rng(0)
    measured = {}
    for repeat in range(14):
        chances = sharp if repeat < 8 else dull
        measured |= {(repeat, k): row for (_, k), row in drawn(chances, 40, rng).items()}
    found = rescore(plan, schedule, measured)
    assert found.changes["total variation"] == (8,)
    # repeats that do not count have no place in the series, but keep their numbers
    fewer = {key: row for key, row in measured.items() if key[0] != 2}
    assert rescore(plan, schedule, fewer).changes["total variation"] == (8,)
    steady = replace(plan, design=replace(plan.design, count=8))
    assert rescore(steady, schedule, measured).changes["total variation"] == ()
