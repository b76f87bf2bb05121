"""The headline of a group of figures: who leads, and the quantum router beside the controls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from qmoe.columns import QUANTUM
from qmoe.compare import BEST_CONTROL, comparisons
from qmoe.metrics import Score
from qmoe.report.words import number, percent, typeset, written

TESTED = ("better", "worse", "equivalent", "inconclusive")
"""Verdicts that a test gave."""


@dataclass(frozen=True, slots=True)
class Headline:
    """The first thing said of a group.

    `best` is the router with the highest mean accuracy; `quantum` the quantum router, with
    several of them the one with the highest mean validation accuracy; `difference` is quantum
    minus `against` with its interval at `level`, over `seeds` paired seeds, and `verdict` with
    its `reason` is what was judged of it. None and empty where the run has no such router.
    """

    best: str
    best_score: Score
    quantum: str | None = None
    quantum_score: Score | None = None
    to_best: Score | None = None
    against: str | None = None
    difference: Score | None = None
    level: float = 0.95
    seeds: int = 0
    verdict: str = ""
    reason: str = ""

    @property
    def sentence(self) -> str:
        """Who has the highest mean accuracy, and where the quantum router stands."""
        text = f"{self.best} has the highest mean accuracy, {written(self.best_score)}"
        if self.quantum is None:
            return f"{text}. There is no quantum router here to compare it with."
        if self.against is None:
            return f"{text}. There is no control here to compare it with."
        if self.best == self.quantum or self.to_best is None or self.quantum_score is None:
            return f"{text}."
        return (
            f"{text}; {self.quantum} reaches {written(self.quantum_score)}, "
            f"a paired difference of {written(self.to_best, '+.3f')}."
        )

    @property
    def compared(self) -> str:
        """What the verdict is about; empty where nothing is compared."""
        if self.difference is None:
            return ""
        shown = number(self.difference.value, "+.3f")
        # The reason of a verdict that was tested for has the interval that belongs to it.
        if self.verdict not in TESTED and self.difference.has_interval:
            shown = f"{written(self.difference, '+.3f')} at {percent(self.level)}"
        return f"{self.quantum} against {self.against}: {shown}."

    @property
    def judged(self) -> str:
        """The verdict with its reason, as a sentence; empty where there is none."""
        return sentence(self.verdict, self.reason)


def sentence(verdict: str, reason: str) -> str:
    """A verdict with its reason, for a page or a terminal.

    >>> sentence("untuned", "there is no validation part to choose on")
    'Untuned: there is no validation part to choose on.'
    """
    return f"{verdict[0].upper()}{verdict[1:]}: {typeset(reason)}." if verdict else ""


def headline(rows: pd.DataFrame, group: pd.DataFrame, compared: pd.DataFrame) -> Headline | None:
    """The headline of one group, from its rows of `summary`, `load` and `comparisons`.

    Where a validation part exists the quantum router is set against the best control, chosen on
    it per seed; elsewhere against the control with the highest mean accuracy. None without any
    accuracy.
    """
    rows = rows.dropna(subset=["accuracy"])
    if rows.empty:
        return None
    best = _highest(rows, "accuracy")
    name, score = str(best["router"]), _score(best)
    quantum = rows[rows["family"] == QUANTUM]
    if quantum.empty:
        return Headline(name, score)
    chosen = _highest(quantum, "accuracy_validation")
    router = str(chosen["router"])
    pairs = compared[compared["router"] == router]
    found = pairs[pairs["control"] == BEST_CONTROL]
    controls = rows[rows["family"] != QUANTUM]
    if found.empty and not controls.empty:
        found = pairs[pairs["control"] == _highest(controls, "accuracy")["router"]]
    to_best = _paired(group, router, name)
    if found.empty:
        return Headline(name, score, router, _score(chosen), to_best)
    row = found.iloc[0]
    control = str(row["control"])
    return Headline(
        best=name,
        best_score=score,
        quantum=router,
        quantum_score=_score(chosen),
        to_best=to_best,
        against=f"the {control}" if control == BEST_CONTROL else control,
        difference=_score(row, "difference"),
        level=float(row["level"]),
        seeds=int(row["seeds"]),
        verdict=str(row["verdict"]),
        reason=str(row["reason"]),
    )


def _highest(rows: pd.DataFrame, column: str) -> pd.Series[Any]:
    """The first row with the highest value; the first of all where the column is empty."""
    return rows.sort_values(column, ascending=False, kind="stable").iloc[0]


def _paired(group: pd.DataFrame, router: str, control: str) -> Score | None:
    table = comparisons(group[group["router"].isin([router, control])], baseline=router)
    return None if table.empty else _score(table.iloc[0], "difference")


def _score(row: pd.Series[Any], name: str = "accuracy") -> Score:
    return Score(float(row[name]), float(row[f"{name}_low"]), float(row[f"{name}_high"]))
