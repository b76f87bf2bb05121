"""What an experiment on a device said, as its page and a terminal show it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from qmoe.evidence import Evidence
from qmoe.figure import Figure
from qmoe.metrics import Score
from qmoe.record import Scalar
from qmoe.report.stored import measured, score_of, whole_of
from qmoe.report.words import counted, number, written

STUDY = "hardware"


@dataclass(frozen=True, slots=True)
class Treatment:
    """One treatment over all routers."""

    name: str
    accuracy: Score
    exact: float
    retention: Score
    distance: Score
    floor: float
    agreement: Score
    circuits: float
    shots: float
    gamma: float


@dataclass(frozen=True, slots=True)
class Expected:
    """A registered prediction beside what was measured."""

    treatment: str
    figure: str
    predicted: Score
    inside: bool


@dataclass(frozen=True, slots=True)
class Hardware:
    """One experiment on one target.

    `labels` has plan, suite, target, source and sizes; `nulls` name, accuracy and inputs;
    `repeats` number, accuracy, total variation and blocks left out.
    """

    labels: dict[str, Scalar]
    verdict: str
    word: str
    difference: Score
    treatments: tuple[Treatment, ...]
    expected: tuple[Expected, ...]
    nulls: tuple[tuple[str, float, int], ...]
    repeats: tuple[tuple[int, float, float, int], ...]
    changes: tuple[str, ...]
    departures: tuple[str, ...]
    billed: tuple[str, ...]

    @property
    def device(self) -> bool:
        """Whether a quantum device gave all of it."""
        return self.labels["source"] == "device"


def hardware(evidence: Evidence | None) -> tuple[Hardware, ...]:
    """The experiments of a run."""
    return tuple(_one(figures) for figures in measured(evidence, STUDY))


def hardware_table(found: Sequence[Hardware]) -> pd.DataFrame:
    """The treatments for other programs: one row per experiment and treatment."""
    rows = []
    for each in found:
        for row in each.treatments:
            line: dict[str, Scalar] = {**each.labels, "treatment": row.name, "exact": row.exact}
            for name in ("accuracy", "retention", "distance", "agreement"):
                score: Score = getattr(row, name)
                column = "total_variation" if name == "distance" else name
                line |= {column: score.value, f"{column}_low": score.low}
                line[f"{column}_high"] = score.high
            line |= {"floor": row.floor, "circuits": row.circuits, "shots_used": row.shots}
            rows.append(line)
    return pd.DataFrame(rows)


def hardware_lines(found: Sequence[Hardware]) -> Iterator[str]:
    """The same for a terminal."""
    for each in found:
        at = each.labels
        yield (
            f"{at['suite']} on {at['target']} ({at['source'] or 'nothing collected'}): "
            f"{counted(whole_of(at['routers']), 'router')}, {at['inputs']} inputs each"
        )
        for row in each.treatments:
            yield (
                f"  {row.name}: {written(row.accuracy)} (exact {number(row.exact)}), "
                f"R {number(row.retention.value, '.2f')}, TV {number(row.distance.value)} "
                f"(floor {number(row.floor)})"
            )
        yield f"    device minus exact: {each.verdict}"


def _one(figures: Sequence[Figure]) -> Hardware:
    by: dict[str, list[Figure]] = {}
    for figure in figures:
        by.setdefault(figure.name.removeprefix("hardware "), []).append(figure)
    main = by.get("minus exact accuracy", [])
    named = ("plan", "suite", "target", "source", "routers", "inputs", "shots", "repeats")
    return Hardware(
        labels={key: figures[0].labels[key] for key in (*named, "occasion", "calibrated")},
        verdict=main[0].note if main else "nothing counts",
        word=str(main[0].labels["word"]) if main else "nothing counts",
        difference=score_of(main[0] if main else None),
        treatments=tuple(_treatment(by, str(f.labels["treatment"])) for f in by["accuracy"])
        if "accuracy" in by
        else (),
        expected=tuple(
            Expected(
                str(f.labels["treatment"]),
                str(f.labels["figure"]),
                score_of(f),
                f.note == "inside",
            )
            for f in by.get("predicted", [])
        ),
        nulls=tuple(
            (str(f.labels["null"]), f.value or 0.0, whole_of(f.labels["asked"]))
            for f in by.get("null accuracy", [])
        ),
        repeats=tuple(_repeats(by)),
        changes=tuple(
            f"{f.labels['figure']} from repeat {f.value:.0f} on"
            for f in by.get("change", [])
            if f.value is not None
        ),
        departures=tuple(f.note for f in by.get("departure", [])),
        billed=tuple(f"{f.value:,.2f} {f.labels['unit']}" for f in by.get("billed", [])),
    )


def _treatment(by: dict[str, list[Figure]], name: str) -> Treatment:
    def of(figure: str) -> Score:
        same = (f for f in by.get(figure, []) if f.labels.get("treatment") == name)
        return score_of(next(same, None))

    return Treatment(
        name=name,
        accuracy=of("accuracy"),
        exact=of("exact accuracy").value,
        retention=of("retention"),
        distance=of("total variation"),
        floor=of("shot floor").value,
        agreement=of("top-1 agreement"),
        circuits=of("circuits").value,
        shots=of("shots").value,
        gamma=of("gamma").value,
    )


def _repeats(by: dict[str, list[Figure]]) -> Iterator[tuple[int, float, float, int]]:
    names = ("repeat accuracy", "repeat total variation", "blocks left out")
    for accuracy, distance, left in zip(*(by.get(name, []) for name in names), strict=True):
        place = whole_of(accuracy.labels["repeat"])
        yield place, accuracy.value or 0.0, distance.value or 0.0, int(left.value or 0)
