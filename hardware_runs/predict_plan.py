"""What the twin of a target expects of a whole plan: simulated counts through the same scoring.

Only the shots differ from one simulated experiment to the next; that the device is as its
calibration says is taken for granted, and is what the experiment tests.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.twin import noisy_probabilities
from hardware_runs.outcome import Outcome
from hardware_runs.plan import Plan
from hardware_runs.rescore import ExactAnswers, rescore
from hardware_runs.schedule import Schedule, features

REPEATS = 100
FORMAT = 1


def predict_plan(
    plan: Plan, schedule: Schedule, *, seed: int, repeats: int = REPEATS
) -> dict[str, Any]:
    """The predicted figures, JSON values: by treatment [mean, low, high] of each, 95 %.

    The ends are, of `repeats` simulated experiments, the r-th from below and from above with
    2 r <= (repeats + 1) / 20, as in `backends.twin.predict`. Without a known noise there are
    none.
    """
    tree: dict[str, Any] = {
        "format": FORMAT,
        "calibrated_at": schedule.compiled.calibrated_at,
        "seed": seed,
        "repeats": repeats,
        "treatments": {},
    }
    if schedule.compiled.noisy is None:
        return tree
    found: dict[str, dict[str, list[float]]] = {}
    for outcome in _simulated(plan, schedule, seed, repeats):
        for name, treated in outcome.treatments.items():
            figures = found.setdefault(name, {"accuracy": [], "retention": [], "distance": []})
            figures["accuracy"].append(treated.accuracy.value)
            figures["distance"].append(treated.distance.value)
            if treated.retention is not None:
                figures["retention"].append(treated.retention.value)
    rank = max(1, int((repeats + 1) * 0.05 / 2 + 1e-9))
    for name, figures in found.items():
        tree["treatments"][name] = {
            figure: [float(np.mean(values)), values[rank - 1], values[-rank]]
            for figure, values in ((key, sorted(each)) for key, each in figures.items())
            if len(values) == repeats
        }
    return tree


def probabilities(plan: Plan, schedule: Schedule) -> NDArray[np.float64]:
    """What the noise of the target gives each execution (execution, 2^m), readout included."""
    out = np.empty((len(schedule.executions), schedule.compiled.num_outcomes))
    for number, item in enumerate(schedule.items):
        places = [k for k, each in enumerate(schedule.executions) if each.item == number]
        if not places:
            continue
        x = np.stack([features(plan, schedule, schedule.executions[k]) for k in places])
        out[places] = noisy_probabilities(item.compiled, x)
    clipped = np.clip(out, 0, None)
    return np.asarray(clipped / clipped.sum(1, keepdims=True))


def _simulated(plan: Plan, schedule: Schedule, seed: int, repeats: int) -> Iterator[Outcome]:
    chances, exact = probabilities(plan, schedule), ExactAnswers(plan)
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(8,)))
    for _ in range(repeats):
        measured = {
            (number, k): counts
            for number in range(plan.design.count)
            for k, counts in enumerate(rng.multinomial(plan.design.shots, chances))
        }
        yield rescore(plan, schedule, measured, exact=exact)
