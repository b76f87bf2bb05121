"""Distances to the ideal router, the floor that shots set, and what routing is retained."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmoe.agreement import retention, shot_floor, total_variation
from qmoe.errors import InputError


def test_distances_of_known_rows():
    p = np.array([[1.0, 0.0, 0.0], [0.5, 0.25, 0.25]])
    q = np.array([[0.0, 1.0, 0.0], [0.25, 0.5, 0.25]])
    assert total_variation(p, q).tolist() == [1.0, 0.25]
    assert total_variation(p, p).tolist() == [0.0, 0.0]


@given(st.integers(1, 60), st.floats(0, 1))
def test_the_floor_is_the_mean_deviation_summed_over_all_counts(shots, p):
    exact = sum(
        math.comb(shots, k) * p**k * (1 - p) ** (shots - k) * abs(k / shots - p)
        for k in range(shots + 1)
    )
    found = shot_floor(np.array([[p, 1 - p]]), shots)[0]
    assert found == pytest.approx(exact, abs=1e-12)


def test_the_floor_is_what_sampling_gives_on_average():
    p = np.random.default_rng(1).dirichlet(np.ones(8))
    draws = np.random.default_rng(2).multinomial(200, p, size=20_000) / 200
    found = total_variation(draws, np.broadcast_to(p, draws.shape))
    # the mean of values in [0, 1]: Hoeffding, failure below 1e-9
    assert abs(found.mean() - shot_floor(p[None], 200)[0]) < math.sqrt(math.log(2e9) / 40_000)


def test_no_shots_have_no_floor():
    with pytest.raises(InputError):
        shot_floor(np.array([[1.0]]), 0)


class TestRetention:
    EVEN = np.arange(200) % 2 == 0
    IDEAL = np.ones(200, dtype=bool)

    def test_the_ideal_router_retains_all_and_an_even_gate_nothing(self):
        assert retention(self.IDEAL, self.IDEAL, self.EVEN, 0).value == 1.0
        assert retention(self.EVEN, self.IDEAL, self.EVEN, 0).value == 0.0

    def test_half_the_gain_is_half(self):
        right = self.EVEN | (np.arange(200) < 100)
        score = retention(right, self.IDEAL, self.EVEN, 0)
        assert score.value == pytest.approx(0.5)
        assert score.low < 0.5 < score.high and score == retention(right, self.IDEAL, self.EVEN, 0)

    def test_without_room_there_is_none(self):
        assert retention(self.IDEAL, self.IDEAL, self.IDEAL, 0) is None
        nearly = np.arange(200) >= 3
        assert retention(self.IDEAL, self.IDEAL, nearly, 0) is None

    def test_with_little_room_there_is_no_interval(self):
        nearly = np.arange(200) >= 5
        score = retention(nearly, self.IDEAL, nearly, 0)
        assert score.value == 0.0 and not score.has_interval
