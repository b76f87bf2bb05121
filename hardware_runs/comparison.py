"""Predicted against measured, and an outcome told in lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hardware_runs.outcome import Outcome
from hardware_runs.records import Records
from qmoe.metrics import Score

FIGURES = {"accuracy": "accuracy", "retention": "retention", "distance": "total variation"}


def compared(records: Records, outcome: Outcome) -> list[dict[str, Any]]:
    """What was expected of each treatment first, beside what was measured.

    The first prediction counts: it was registered before anything was sent. `inside` is whether
    the measured figure lies in the predicted interval, which holds 95 % where the device is as
    its calibration said.
    """
    found: list[dict[str, Any]] = []
    if not records.predictions:
        return found
    first = records.predictions[0]
    for name, figures in (first.get("treatments") or {}).items():
        treated = outcome.treatments.get(name)
        for figure, ends in figures.items():
            score = None if treated is None else getattr(treated, figure)
            if score is None:
                continue
            value = float(score.value)
            found.append(
                {
                    "treatment": name,
                    "figure": FIGURES[figure],
                    "predicted": list(ends),
                    "measured": value,
                    "inside": bool(ends[1] <= value <= ends[2]),
                    "calibrated_at": first.get("calibrated_at"),
                }
            )
    return found


def departures(records: Records, outcome: Outcome) -> tuple[str, ...]:
    """What was not as planned: in the outcome, in the jobs, and in the calibrations met."""
    found = list(outcome.departures)
    for job in records.jobs:
        if job["state"] in ("failed", "cancelled", "unsupported", "uncertain"):
            found.append(f"job {job['job']} {job['state']}: {job['words'] or 'no reason given'}")
    dates = dict.fromkeys(each.get("calibrated_at") for each in records.predictions)
    if len(dates) > 1:
        found.append(f"calibrations changed on the way: {', '.join(map(str, dates))}")
    return tuple(found)


def lines(records: Records, outcome: Outcome, sides: list[dict[str, Any]]) -> Iterator[str]:
    """The outcome as a person reads it."""
    where = ", ".join(outcome.sources) or "nothing collected"
    yield f"plan {outcome.plan}: {outcome.suite} on {outcome.target} ({where})"
    if outcome.primary is None:
        yield "no block counts: nothing is said"
    else:
        found = outcome.primary
        yield (
            f"{found.treatment} minus the exact router, accuracy: {_signed(found.difference)} "
            f"({100 * found.level:.4g} %) over {found.routers} routers: {found.word}; "
            f"{found.reason}"
        )
    for name, treated in outcome.treatments.items():
        kept = "n/a" if treated.retention is None else str(treated.retention)
        yield (
            f"{name:16} accuracy {treated.accuracy}, retention {kept}, total variation "
            f"{treated.distance} (shots alone {treated.floor:.3f}), top-1 {treated.agreement}"
        )
        yield (
            f"{'':16} {treated.circuits:,} circuits, {treated.shots:,} shots, gamma "
            f"{treated.gamma:.3g}, {treated.clipped:.4f} clipped"
        )
    for null in outcome.nulls:
        yield (
            f"{null.name:16} accuracy {null.accuracy:.3f} on {null.inputs} inputs, the router's "
            f"own {null.routed:.3f}"
        )
    for each in sides:
        low, high = each["predicted"][1:]
        word = "inside" if each["inside"] else "OUTSIDE"
        yield (
            f"predicted        {each['treatment']} {each['figure']} [{low:.3f}, {high:.3f}], "
            f"measured {each['measured']:.3f}: {word}"
        )
    for figure, places in outcome.changes.items():
        if places:
            yield f"change           {figure} from repeat {', '.join(map(str, places))} on"
    for text in departures(records, outcome):
        yield f"departure        {text}"


def _signed(score: Score) -> str:
    return f"{score:+.3f}"


def bills(records: Records) -> Mapping[str, float]:
    """What the jobs have cost so far, as far as known: money in USD, seconds of the device."""
    sums: dict[str, float] = {}
    for job in records.jobs:
        for name in ("money_usd", "device_seconds"):
            pair = (job["billed"] or {}).get(name)
            if pair is not None:
                sums[name] = sums.get(name, 0.0) + float(pair[1])
    return sums
