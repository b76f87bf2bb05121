"""The recommendation is `none` unless a paired interval on test inputs speaks for something."""

from __future__ import annotations

import numpy as np
import pytest

from hardware_runs.recommend import FEWEST, recommend
from qmoe.errors import InputError

RNG = np.random.default_rng(5)
RAW = RNG.normal(0.9, 0.02, 30)


def shifted(by: float, spread: float = 0.004) -> np.ndarray:
    return RAW + by + RNG.normal(0, spread, 30)


def test_what_is_better_on_both_parts_is_recommended() -> None:
    good, bad = shifted(0.02), shifted(-0.02)
    found = recommend(
        {"none": RAW, "bad": bad, "good": good},
        {"none": RAW, "bad": shifted(-0.02), "good": shifted(0.02)},
    )
    assert found.treatment == found.candidate == "good"
    assert found.difference.low > 0


def test_luck_on_validation_inputs_is_not_enough() -> None:
    found = recommend(
        {"none": RAW, "lucky": RAW + 0.01},
        {"none": RAW, "lucky": RAW + np.tile([0.01, -0.01], 15)},
    )
    assert (found.treatment, found.candidate) == ("none", "lucky")
    assert found.difference.low < 0 < found.difference.high
    assert "not shown" in found.reason


def test_what_turns_out_worse_is_said_to_be_worse() -> None:
    found = recommend({"none": RAW, "a": RAW + 0.01}, {"none": RAW, "a": shifted(-0.02)})
    assert found.treatment == "none"
    assert "worse on test" in found.reason


def test_the_test_part_chooses_nothing() -> None:
    """A treatment that only test inputs favour is no candidate."""
    found = recommend({"none": RAW, "a": RAW - 0.01}, {"none": RAW, "a": RAW + 0.05})
    assert (found.treatment, found.candidate) == ("none", "none")


def test_of_a_distance_less_is_better() -> None:
    tv = np.linspace(0.02, 0.03, 30)
    both = {"none": tv, "readout": tv - 0.01 + np.tile([1e-3, -1e-3], 15)}
    found = recommend(both, both, lower_is_better=True)
    assert found.treatment == "readout"
    assert found.difference.value == pytest.approx(0.01)


def test_few_checkpoints_recommend_nothing() -> None:
    few = RAW[: FEWEST - 1]
    part = {"none": few, "a": few + 0.05}
    assert recommend(part, part).treatment == "none"


def test_a_tie_is_no_reason_to_do_anything() -> None:
    assert recommend({"none": RAW, "a": RAW}, {"none": RAW, "a": RAW}).candidate == "none"


def test_false_recommendations_are_as_rare_as_the_interval_says() -> None:
    """With no difference anywhere at most 2.5 % of repeats, one-sided: 45 of 1000 is 4 sigma."""
    rng = np.random.default_rng(11)
    hits = 0
    for _ in range(1000):
        parts = [
            {name: rng.normal(0.9, 0.02, 30) for name in ("none", "a", "b", "c")} for _ in range(2)
        ]
        hits += recommend(*parts).treatment != "none"
    assert hits <= 45


@pytest.mark.parametrize(
    ("validation", "test"),
    [
        ({"a": [1.0]}, {"a": [1.0]}),
        ({"none": [1.0], "a": [1.0]}, {"none": [1.0]}),
        ({"none": [1.0]}, {"none": [1.0, 2.0]}),
    ],
)
def test_unpaired_figures_are_refused(validation: dict, test: dict) -> None:  # type: ignore[type-arg]
    with pytest.raises(InputError, match="score every treatment"):
        recommend(validation, test)
