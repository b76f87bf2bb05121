"""How figures are written on the page, and the sentence that sums a data set up."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pandas as pd

from qmoe.metrics import Score
from qmoe.results import BEST_CONTROL, QUANTUM, comparisons

ON = {"test": "held-out test", "train": "training data"}
"""What `accuracy_on` is called on the page."""

_SOURCES = {
    "exact": "exact simulation",
    "sampled": "simulation, sampled shots",
    "twin": "simulated twin of a device",
    "snapshot": "simulated device snapshot",
    "synthetic": "simulation with made-up noise",
    "hosted-simulator": "hosted simulator",
    "loopback": "loopback, not a vendor's endpoint",
    "device": "quantum hardware",
}


def source_label(source: str) -> str:
    """What a source is called on the page."""
    return _SOURCES.get(source, source)


def number(value: float | int, spec: str = ".3f") -> str:
    """A number with a true minus sign; an en dash where there is none.

    >>> number(-0.0123, "+.3f")
    '−0.012'
    >>> number(float("nan"))
    '–'
    """
    if not math.isfinite(value):
        return "–"
    text = f"{value:{spec}}"
    # A rounded zero has no sign worth showing.
    if float(text.replace(",", "")) == 0:
        text = text.replace("-", "").replace("+", "")
    return text.replace("-", "−")


def interval(score: Score, spec: str = ".3f") -> str:
    r"""The interval alone, in brackets, with a space that does not break.

    >>> interval(Score(0.98, 0.979, 0.986))
    '[0.979,\xa00.986]'
    """
    if not score.has_interval:
        return "no interval"
    return f"[{number(score.low, spec)},\xa0{number(score.high, spec)}]"


def written(score: Score, spec: str = ".3f") -> str:
    r"""A figure with its interval, for running text; it stays on one line.

    >>> written(Score(-0.004, -0.0061, 0.0012), "+.3f")
    '−0.004\xa0[−0.006,\xa0+0.001]'
    """
    return f"{number(score.value, spec)}\xa0{interval(score, spec)}"


@dataclass(frozen=True, slots=True)
class Headline:
    """The first thing said of a data set: who leads, and the quantum router beside the controls.

    `best` is the router with the highest mean accuracy; `quantum` the quantum router, with
    several of them the one with the highest mean validation accuracy; `difference` is quantum
    minus `against`, over `seeds` paired seeds. None where the run has no such router.
    """

    best: str
    best_score: Score
    quantum: str | None
    quantum_score: Score | None
    against: str | None
    difference: Score | None
    seeds: int
    to_best: Score | None

    @property
    def sentence(self) -> str:
        """The verdict line, without a verdict: the routers were not tuned alike."""
        text = f"{self.best} has the highest mean accuracy, {written(self.best_score)}"
        if self.quantum is None:
            return f"{text}. There is no quantum router here to compare it with."
        if self.against is None or self.difference is None:
            return f"{text}. There is no control here to compare it with."
        if self.best == self.quantum:
            return f"{text}: {written(self.difference, '+.3f')} against {self.against}."
        if self.to_best is None or self.quantum_score is None:
            return f"{text}."
        return (
            f"{text}; {self.quantum} reaches {written(self.quantum_score)}, "
            f"a paired difference of {written(self.to_best, '+.3f')}."
        )


def headline(rows: pd.DataFrame, group: pd.DataFrame) -> Headline | None:
    """The headline of one data set, from its rows of `summary` and of `load`; None without any.

    Where a validation part exists the quantum router is set against the best control, chosen on
    it per seed; elsewhere against the control with the highest mean accuracy.
    """
    rows = rows.dropna(subset=["accuracy"])
    if rows.empty:
        return None
    best = _highest(rows, "accuracy")
    quantum = rows[rows["family"] == QUANTUM]
    controls = rows[rows["family"] != QUANTUM]
    if quantum.empty:
        return Headline(str(best["router"]), _score(best), None, None, None, None, 0, None)
    chosen = _highest(quantum, "accuracy_validation")
    name = str(chosen["router"])
    against, difference, seeds = _against(group, controls, name)
    return Headline(
        best=str(best["router"]),
        best_score=_score(best),
        quantum=name,
        quantum_score=_score(chosen),
        against=against,
        difference=difference,
        seeds=seeds,
        to_best=_paired(group, name, str(best["router"])),
    )


def _against(
    group: pd.DataFrame, controls: pd.DataFrame, quantum: str
) -> tuple[str | None, Score | None, int]:
    table = comparisons(group)
    table = table[table["router"] == quantum]
    chosen = table[table["control"] == BEST_CONTROL]
    if chosen.empty and not controls.empty:
        chosen = table[table["control"] == _highest(controls, "accuracy")["router"]]
    if chosen.empty:
        return None, None, 0
    row = chosen.iloc[0]
    name = str(row["control"])
    shown = f"the {name}" if name == BEST_CONTROL else name
    return shown, _score(row, "difference"), int(row["seeds"])


def _highest(rows: pd.DataFrame, column: str) -> pd.Series[Any]:
    """The first row with the highest value; the first of all where the column is empty."""
    return rows.sort_values(column, ascending=False, kind="stable").iloc[0]


def _paired(group: pd.DataFrame, router: str, control: str) -> Score | None:
    table = comparisons(group, baseline=router)
    table = table[table["control"] == control]
    return None if table.empty else _score(table.iloc[0], "difference")


def _score(row: pd.Series[Any], name: str = "accuracy") -> Score:
    return Score(float(row[name]), float(row[f"{name}_low"]), float(row[f"{name}_high"]))
