"""Searches: what every trial of a run scored on validation, and the expected best of k trials."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float64
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from qmoe.arrays import Floats
from qmoe.budget import best_of
from qmoe.evidence import Evidence
from qmoe.metrics import Score
from qmoe.report.marks import Mark
from qmoe.report.plots import off_scale
from qmoe.report.scale import NICE, focus
from qmoe.report.svg import Drawing

Place = tuple[str, str, str, str, str, int]
"""A group, by the columns of `qmoe.columns.LIKE`."""
Searched = Mapping[str, Float64[Floats, "trial seed"]]
"""Validation accuracy of every trial, by router."""
Searches = Mapping[Place, Searched]


def searches(evidence: Evidence | None) -> dict[Place, dict[str, Float64[Floats, "trial seed"]]]:
    """Every search of more than one trial, by group; empty for a run without evidence."""
    found: dict[Place, dict[str, Float64[Floats, "trial seed"]]] = {}
    if evidence is None:
        return found
    for study in evidence.studies:
        asked = evidence.asked_by(study)
        for result in evidence.results:
            if result.key not in asked or len(result.validation_correct) < 2:
                continue
            counts = np.array(result.validation_correct, dtype=np.float64)  # None becomes nan
            if not np.isfinite(counts).all():  # the choice of another cell, trained anew
                continue
            place = (study, result.protocol, result.dataset, result.population)
            group = found.setdefault((*place, "exact", result.experts), {})
            group[result.router] = counts / result.rows["validation"]
    return found


def best_of_trials(
    found: Searched, overlap: float, marks: Mapping[str, Mark], key: str
) -> Drawing | None:
    """Expected best validation accuracy against the number of trials, a line per router.

    None where nothing was searched. `overlap` as in `qmoe.metrics.mean_score`.
    """
    curves = {name: [s.value for s in best_of(v, overlap=overlap)] for name, v in found.items()}
    if not curves:
        return None
    span = focus([Score(line[-1], line[0], line[-1]) for line in curves.values()])

    def draw(figure: Figure) -> None:
        axes = figure.add_axes((0.14, 0.155, 0.845, 0.825))
        if span is not None:
            room = 0.06 * (span[1] - span[0]) or 0.01
            axes.set_ylim(span[0] - 2 * room, span[1] + room)
        low, high = axes.get_ylim()
        for name, line in curves.items():
            k = np.arange(1, len(line) + 1)
            mark = marks[name]
            if not low <= line[-1] <= high:
                off_scale(axes, 1.0, line[-1], mark, below=bool(line[-1] < low))
                continue
            axes.plot(k, line, color=mark.colour, linewidth=1.1)
            axes.plot(k[-1:], line[-1:], mark.marker, color=mark.colour, markersize=5, mew=0)
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
        axes.yaxis.set_major_locator(MaxNLocator(6, steps=NICE))
        axes.set_xlabel("trials searched")
        axes.set_ylabel("expected best, validation")

    told = "; ".join(
        f"{name}: {line[0]:.3f} with 1 trial, {line[-1]:.3f} with {len(line)}"
        for name, line in curves.items()
    )
    return Drawing(draw, (4.4, 2.9), key, f"Expected best validation accuracy. {told}.")
