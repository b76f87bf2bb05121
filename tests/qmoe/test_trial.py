"""Trials: one list for all families, spread over every setting."""

from __future__ import annotations

from collections import Counter

import pytest

from qmoe.errors import InputError
from qmoe.trial import EMBEDDING_SCALES, RATES, Trial, search


def test_the_first_trial_is_the_default_and_the_list_is_reproducible():
    assert search(1) == (Trial(),)
    assert search(12)[0] == Trial()
    assert search(12) == search(12) != search(12, root=1)
    assert len(set(search(12))) == 12


def test_every_value_of_every_setting_is_tried_about_equally_often():
    trials = search(25)[1:]  # 24 points: a whole number per value
    for name, values in (
        ("scaler", 3),
        ("init_scale", 2),
        ("gate", 2),
        ("embedding_scale", len(EMBEDDING_SCALES)),
    ):
        assert set(Counter(getattr(t, name) for t in trials).values()) == {24 // values}
    rates = sorted(t.learning_rate for t in trials)
    assert RATES[0] <= rates[0] < 0.024 and 0.43 < rates[-1] <= RATES[1]


@pytest.mark.parametrize("count", [0, -1])
def test_no_trials_is_an_error(count):
    with pytest.raises(InputError, match="number of trials"):
        search(count)


@pytest.mark.parametrize(
    "wrong", [{"learning_rate": 0.0}, {"scaler": "none"}, {"penalty": -1.0}, {"init_scale": 0.0}]
)
def test_a_wrong_setting_is_an_error(wrong):
    with pytest.raises(InputError):
        Trial(**wrong)
