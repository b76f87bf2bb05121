"""Predictions: intervals that hold what they promise, of the same scoring, on that calibration."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from backends import load
from hardware_runs.comparison import compared, departures, lines
from hardware_runs.outcome import Outcome
from hardware_runs.predict_plan import predict_plan, probabilities
from hardware_runs.rescore import ExactAnswers, rescore
from hardware_runs.schedule import features
from tests.hardware_runs.measured import drawn, ideal, job, kept, right, scheduled, simulated
from tests.hardware_runs.planned import planned

NOISY = "twin:ibm:fake_boston"
FIGURES = ("accuracy", "distance")


@pytest.fixture(scope="module")
def noisy():
    plan = planned(NOISY, inputs=4, block=2)
    return plan, scheduled(plan)


def test_each_execution_has_the_probabilities_of_its_circuit_and_numbers(noisy):
    plan, schedule = noisy
    found = probabilities(plan, schedule)
    backend = load("ibm:fake_boston")  # the vendor's simulator, no transfer matrices
    rng = np.random.default_rng(0)
    for k in rng.choice(len(found), 25, replace=False):
        one = schedule.executions[k]
        item = schedule.items[one.item]
        x = features(plan, schedule, one)[None]
        compiled = replace(item.compiled, spec=backend.spec)
        assert found[k] == pytest.approx(backend.probabilities(compiled, x)[0], abs=1e-9)
    raw = next(k for k, one in enumerate(schedule.executions) if one.kind == "data")
    one = schedule.executions[raw]
    router = plan.routers[one.router]
    exact = ideal(router, [router.X[one.row]])[0]
    assert 0 < abs(found[raw] - exact).sum() / 2 < 0.1  # the right answer, with noise


def test_an_interval_holds_as_many_experiments_as_it_promises(noisy, unchecked):
    """One more experiment lies inside with a chance that is Beta(repeats + 1 - 2 r, 2 r)."""
    plan, schedule = noisy
    repeats, rank = 39, 1  # 2 of 40 places are outside
    found = predict_plan(plan, schedule, seed=3, repeats=repeats)["treatments"]
    rng, times, exact = np.random.default_rng(4), 50, ExactAnswers(plan)
    chances = probabilities(plan, schedule)
    inside = {(name, figure): 0 for name in found for figure in FIGURES}
    below = dict.fromkeys(inside, 0)
    for _ in range(times):
        told = rescore(plan, schedule, drawn(chances, 40, rng), exact=exact).treatments
        for name, figure in inside:
            _, low, high = found[name][figure]
            value = getattr(told[name], figure).value
            inside[name, figure] += low <= value <= high
            below[name, figure] += value < found[name][figure][0]
    held = stats.betabinom(times, repeats + 1 - 2 * rank, 2 * rank)
    for (name, figure), count in inside.items():
        assert count >= held.ppf(1e-4), (name, figure)
        if figure == "distance":  # continuous, so that it is not held more often either
            assert count <= held.ppf(1 - 1e-4)
            assert 0.2 * times < below[name, figure] < 0.8 * times


def test_predictions_are_of_their_seed_and_calibration(noisy, unchecked):
    plan, schedule = noisy
    first = predict_plan(plan, schedule, seed=1, repeats=9)
    assert first == predict_plan(plan, schedule, seed=1, repeats=9)
    assert first != predict_plan(plan, schedule, seed=2, repeats=9)
    assert first["calibrated_at"] == schedule.compiled.calibrated_at is not None
    assert json.loads(json.dumps(first, allow_nan=False)) == first


def test_where_noise_is_unknown_nothing_is_predicted(noisy):
    plan, schedule = noisy
    unknown = replace(schedule, compiled=replace(schedule.compiled, noisy=None))
    found = predict_plan(plan, unknown, seed=0)
    assert found["treatments"] == {}


def test_without_noise_and_nearly_without_shots_the_exact_figures_are_predicted(unchecked):
    plan = planned("torch", inputs=4, block=2, shots=10**6, treatments=("none",))
    found = predict_plan(plan, scheduled(plan), seed=0, repeats=5)["treatments"]["none"]
    exact = np.mean([right(r, range(4), ideal(r, r.X)).mean() for r in plan.routers])
    assert found["accuracy"] == pytest.approx([exact] * 3)
    assert max(found["distance"]) < 2e-3


# --- beside what was measured


def test_the_first_prediction_counts_and_later_calibrations_are_named():
    plan = planned("torch", inputs=4, block=2)
    schedule, measured = simulated(plan)
    outcome = rescore(plan, schedule, measured)
    value = outcome.treatments["none"].accuracy.value
    ends = {
        "none": {"accuracy": [value, value, value], "distance": [0.9, 0.9, 0.95]},
        "zne": {"accuracy": [0.5, 0.4, 0.6]},  # not measured
    }
    first = {"calibrated_at": "2026-11-01", "treatments": ends}
    second = {"calibrated_at": "2026-11-02", "treatments": {}}
    records = kept(plan, schedule, measured, predictions=(first, second))
    failed = {**job("r00-b00-p00", 9, 40, "failed"), "words": "qubit 3 is down"}
    records = replace(records, jobs=(*records.jobs, failed))
    sides = compared(records, outcome)
    assert [(each["figure"], each["inside"]) for each in sides] == [
        ("accuracy", True),
        ("total variation", False),
    ]
    assert departures(records, outcome) == (
        "job r00-b00-p00 failed: qubit 3 is down",
        "calibrations changed on the way: 2026-11-01, 2026-11-02",
    )
    told = "\n".join(lines(records, outcome, sides))
    assert "total variation [0.900, 0.950]" in told and "OUTSIDE" in told
    assert "departure        job r00-b00-p00 failed: qubit 3 is down" in told
    assert compared(kept(plan, schedule, measured), outcome) == []


def test_lines_say_where_nothing_is_said():
    plan = planned("torch", inputs=4, block=2)
    schedule, _ = simulated(plan)
    outcome = rescore(plan, schedule, {})
    assert isinstance(outcome, Outcome)
    told = list(lines(kept(plan, schedule, {}, sources=()), outcome, []))
    assert "nothing collected" in told[0] and told[1] == "no block counts: nothing is said"
