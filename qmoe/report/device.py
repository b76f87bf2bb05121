"""The table of treatments: what devices keep of a router, and what is worth its shots there."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from qmoe.evidence import Evidence
from qmoe.figure import Figure
from qmoe.metrics import Score, paired_difference
from qmoe.record import Scalar
from qmoe.report.stored import measured, score_of, whole_of
from qmoe.results import ends

STUDY = "device"
ACCURACY = "device accuracy"
RAW = "none"


@dataclass(frozen=True, slots=True)
class TreatmentRow:
    """One treatment on one target, on test inputs under the later calibration.

    Means over routers with 95 % intervals; `gain` is the paired difference in accuracy to the
    raw target, nan for that itself. `circuits` and `shots` are of all test inputs together.
    """

    treatment: str
    accuracy: Score
    gain: Score
    retention: Score
    distance: Score
    agreement: Score
    circuits: float
    shots: float
    gamma: float

    @property
    def null(self) -> bool:
        """Whether it is a router that has nothing to say."""
        return self.treatment.startswith("null")


@dataclass(frozen=True, slots=True)
class DeviceTarget:
    """One target with its treatments; `note` says why it was not run."""

    target: str
    exact: Score
    floor: float
    by_accuracy: str
    by_distance: str
    verdict: str
    calibration: str
    rows: tuple[TreatmentRow, ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Devices:
    """All targets, and what was asked of each."""

    router: str
    dataset: str
    routers: int
    inputs: int
    shots: int
    targets: tuple[DeviceTarget, ...]


def devices(evidence: Evidence | None) -> Devices | None:
    """What a run found on devices, in the order asked for; None where it asked nothing."""
    found = measured(evidence, STUDY)
    ran = [figures[0] for figures in found if figures[0].value is not None]
    if not ran:
        return None
    labels = next(f.labels for figures in found for f in figures if f.labels.get("part") == "test")
    return Devices(
        router=str(labels["router"]),
        dataset=str(labels["dataset"]),
        routers=len(ran[0].per_seed),
        inputs=whole_of(labels["inputs"]),
        shots=whole_of(labels["shots"]),
        targets=tuple(_target(figures) for figures in found),
    )


def device_table(found: Devices) -> pd.DataFrame:
    """The treatments for other programs: one row per target and treatment."""
    rows = []
    for target in found.targets:
        for row in target.rows:
            line: dict[str, Scalar] = {
                "target": target.target,
                "treatment": row.treatment,
                "calibration": target.calibration,
                "router": found.router,
                "dataset": found.dataset,
                "routers": found.routers,
                "inputs": found.inputs,
                "shots_per_input": found.shots,
            }
            named = ("accuracy", "gain", "retention", "distance", "agreement")
            for name, column in zip(named, (*named[:3], "total_variation", named[4]), strict=True):
                score: Score = getattr(row, name)
                line |= ends(column, score)
            line |= {"circuits": row.circuits, "shots": row.shots, "gamma": row.gamma}
            rows.append(line)
    return pd.DataFrame(rows)


def _target(figures: Sequence[Figure]) -> DeviceTarget:
    first = figures[0]
    name = str(first.labels["target"])
    empty = Score(math.nan, math.nan, math.nan)
    if first.value is None:
        return DeviceTarget(name, empty, math.nan, "", "", "", "", (), first.note)
    by_name: dict[tuple[str, str], Figure] = {}
    for figure in figures:
        if figure.labels.get("part", "test") == "test":
            which = str(figure.labels.get("treatment", figure.labels.get("by", "")))
            by_name[figure.name, which] = figure
    raw = by_name[ACCURACY, RAW]
    treatments = [which for kind, which in by_name if kind == ACCURACY]
    return DeviceTarget(
        target=name,
        exact=score_of(by_name["exact accuracy", ""]),
        floor=score_of(by_name["device shot floor", ""]).value,
        by_accuracy=by_name["recommendation", "accuracy"].note,
        by_distance=by_name["recommendation", "distance"].note,
        verdict=_signed(by_name["device minus exact accuracy", ""]),
        calibration=str(raw.labels.get("calibration", "")),
        rows=tuple(_row(by_name, which, raw) for which in treatments),
    )


def _row(by_name: Mapping[tuple[str, str], Figure], which: str, raw: Figure) -> TreatmentRow:
    accuracy = by_name[ACCURACY, which]
    gain = Score(math.nan, math.nan, math.nan)
    if which != RAW:
        pairs = zip(accuracy.per_seed, raw.per_seed, strict=True)
        both = [(a, b) for a, b in pairs if a is not None and b is not None]
        if both:  # evidence made small for committing has no values by router
            gain = paired_difference([a for a, _ in both], [b for _, b in both])
    return TreatmentRow(
        treatment=which,
        accuracy=score_of(accuracy),
        gain=gain,
        retention=score_of(by_name.get(("device retention", which))),
        distance=score_of(by_name.get(("device total variation", which))),
        agreement=score_of(by_name.get(("device top-1 agreement", which))),
        circuits=score_of(by_name.get(("treatment circuits", which))).value,
        shots=score_of(by_name.get(("treatment shots", which))).value,
        gamma=score_of(by_name.get(("treatment gamma", which))).value,
    )


def _signed(figure: Figure) -> str:
    return f"{score_of(figure):+.3f}: {figure.note}"
