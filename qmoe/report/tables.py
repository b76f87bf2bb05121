"""Table rows of the page, with the geometry of the small interval plots that stand in them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.ticker import MaxNLocator

from qmoe.metrics import Score
from qmoe.report.marks import Mark
from qmoe.report.scale import NICE, focus
from qmoe.report.words import number

WIDTH = 180.0
"""Width of an interval plot in its own units; values map to 6 .. WIDTH - 6."""

_EDGE = 6.0


@dataclass(frozen=True, slots=True)
class Axis:
    """A linear axis shared by the interval plots of one column: ticks and their places."""

    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]

    def place(self, value: float) -> float:
        """Where a value lies, in units of the plot; values off the axis lie at its end."""
        share = (value - self.low) / (self.high - self.low)
        share = min(max(share, 0.0), 1.0)
        return round(_EDGE + share * (WIDTH - 2 * _EDGE), 2)


@dataclass(frozen=True, slots=True)
class Drawn:
    """An interval plot: places of the value and of the ends (None without an interval).

    `off` is -1 or 1 where the value lies below or above the axis and an arrow stands for it.
    """

    value: float
    low: float | None
    high: float | None
    off: int = 0


@dataclass(frozen=True, slots=True)
class RouterRow:
    """A row of the tables of accuracy and of sizes; a cost is nan where no record has it."""

    router: str
    family: str
    mark: Mark
    accuracy: Score
    drawn: Drawn | None
    parameters_paper: int
    parameters: int
    model_parameters: int
    frozen: float
    multiply_adds: float
    circuits: float
    loads: tuple[float, ...]
    busiest: Score
    entropy: Score
    seeds: int
    missing: int
    trials: int


@dataclass(frozen=True, slots=True)
class DifferenceRow:
    """A row of a table of paired differences."""

    router: str
    control: str
    chosen: str
    difference: Score
    level: float
    drawn: Drawn | None
    seeds: int
    verdict: str
    reason: str


def router_rows(
    rows: pd.DataFrame, marks: dict[str, Mark]
) -> tuple[tuple[RouterRow, ...], Axis | None]:
    """Rows of `qmoe.results.summary` of one group, highest mean accuracy first."""
    ordered = rows.sort_values("accuracy", ascending=False, kind="stable", na_position="last")
    scores = [_score(row, "accuracy") for _, row in ordered.iterrows()]
    axis = axis_of(scores)
    made = tuple(
        RouterRow(
            router=row["router"],
            family=row["family"],
            mark=marks[row["router"]],
            accuracy=score,
            drawn=drawn_on(score, axis),
            parameters_paper=int(row["router_parameters_paper"]),
            parameters=int(row["router_parameters"]),
            model_parameters=int(row["model_parameters"]),
            frozen=float(row["frozen_numbers"]),
            multiply_adds=float(row["multiply_adds"]),
            circuits=float(row["circuits"]),
            loads=tuple(float(load) for load in row["load_ranked"].split()),
            busiest=_score(row, "busiest_expert_load"),
            entropy=_score(row, "routing_entropy"),
            seeds=int(row["seeds"]),
            missing=int(row["missing"]),
            trials=int(row["trials"]),
        )
        for (_, row), score in zip(ordered.iterrows(), scores, strict=True)
    )
    return made, axis


def difference_rows(rows: pd.DataFrame) -> tuple[tuple[DifferenceRow, ...], Axis | None]:
    """Rows of `qmoe.results.comparisons` of one group, in their order."""
    scores = [_score(row, "difference") for _, row in rows.iterrows()]
    axis = axis_of(scores, zero=True)
    made = tuple(
        DifferenceRow(
            router=row["router"],
            control=row["control"],
            chosen=row["chosen"],
            difference=score,
            level=float(row["level"]),
            drawn=drawn_on(score, axis),
            seeds=int(row["seeds"]),
            verdict=row["verdict"],
            reason=row["reason"],
        )
        for (_, row), score in zip(rows.iterrows(), scores, strict=True)
    )
    return made, axis


def axis_of(scores: Sequence[Score], *, zero: bool = False) -> Axis | None:
    """The axis that shows the scores, with 0 on it if asked for; None where there is none."""
    span = focus(scores)
    if span is None:
        return None
    low, high = (min(span[0], 0.0), max(span[1], 0.0)) if zero else span
    room = 0.03 * (high - low) or 0.01
    low, high = low - room, high + room
    ticks = [
        float(t) for t in MaxNLocator(3, steps=NICE).tick_values(low, high) if low <= t <= high
    ]
    digits = max((_digits(t) for t in ticks), default=0)
    return Axis(low, high, tuple((t, number(t, f".{digits}f")) for t in ticks))


def _digits(value: float) -> int:
    text = f"{value:.6f}".rstrip("0")
    return len(text.partition(".")[2])


def drawn_on(score: Score, axis: Axis | None) -> Drawn | None:
    """A score on an axis; None where either is missing."""
    if axis is None or not math.isfinite(score.value):
        return None
    off = -1 if score.value < axis.low else 1 if score.value > axis.high else 0
    if off or not score.has_interval:
        return Drawn(axis.place(score.value), None, None, off)
    return Drawn(axis.place(score.value), axis.place(score.low), axis.place(score.high), off)


def _score(row: pd.Series[Any], name: str) -> Score:
    return Score(float(row[name]), float(row[f"{name}_low"]), float(row[f"{name}_high"]))
