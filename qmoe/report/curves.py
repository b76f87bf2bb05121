"""Learning curves: means over seeds with their intervals, and their pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator
from numpy.typing import NDArray

from qmoe.arrays import Floats
from qmoe.metrics import ACCURACY_RANGE, mean_score
from qmoe.record import CurvePoint, Record
from qmoe.report.marks import Mark
from qmoe.report.scale import NICE
from qmoe.report.svg import Drawing

FIELDS = {"train_loss": "Training loss", "validation_accuracy": "Validation accuracy"}
_LIMITS = {"train_loss": (0.0, np.inf), "validation_accuracy": ACCURACY_RANGE}
_MAX_POINTS = 120


class Band(NamedTuple):
    """A mean curve over seeds with the ends of its 95 % Student t interval at each step."""

    steps: Floats
    mean: Floats
    low: Floats
    high: Floats


def bands(records: Sequence[Record]) -> dict[str, Band]:
    """The band of each of `FIELDS` that the records of one router hold; empty without curves.

    A seed that stopped early keeps its last value, so that every step averages over all seeds.
    """
    found = {}
    for field, limits in _LIMITS.items():
        curves = [_complete(record.curve, field) for record in records]
        curves = [curve for curve in curves if curve]
        if not curves:
            continue
        steps = np.unique([step for curve in curves for step, _ in curve])
        if steps.size > _MAX_POINTS:
            steps = steps[np.linspace(0, steps.size - 1, _MAX_POINTS).astype(int)]
        values = np.array([_held(curve, steps) for curve in curves])
        scores = [mean_score(column, limits=limits) for column in values.T]
        mean, low, high = (
            np.array([getattr(score, end) for score in scores]) for end in ("value", "low", "high")
        )
        found[field] = Band(steps.astype(np.float64), mean, low, high)
    return found


def learning_curves(
    router: str,
    curves: Mapping[str, Mapping[str, Band]],
    reference: str | None,
    marks: Mapping[str, Mark],
    key: str,
) -> Drawing | None:
    """Training loss and validation accuracy of a router over steps; None without any curve.

    `curves` holds the bands of every router of one data set, so that axes agree between pictures;
    the mean of `reference` is drawn dashed beside the others.
    """
    if not curves.get(router):
        return None
    fields = [field for field in FIELDS if any(field in band for band in curves.values())]

    def draw(figure: Figure) -> None:
        for place, field in enumerate(fields):
            width = 0.9 / len(fields)
            axes = figure.add_axes((0.1 + place * (width + 0.02), 0.2, width - 0.08, 0.68))
            if reference is not None and reference != router and field in curves[reference]:
                band = curves[reference][field]
                dashes = (0, (3, 2))
                colour = marks[reference].colour
                axes.plot(band.steps, band.mean, color=colour, linewidth=0.9, linestyle=dashes)
            if field in curves[router]:
                _draw(axes, curves[router][field], marks[router])
            _fit(axes, field, [bands[field] for bands in curves.values() if field in bands])

    told = ", ".join(
        f"{FIELDS[field].lower()} from {band.mean[0]:.3f} to {band.mean[-1]:.3f}"
        for field, band in curves[router].items()
    )
    return Drawing(draw, (4.2, 1.9), key, f"Learning curve of {router}: {told}.")


def _complete(curve: Sequence[CurvePoint], field: str) -> list[tuple[int, float]]:
    points = [(point.step, getattr(point, field)) for point in curve]
    return [(step, float(value)) for step, value in points if value is not None]


def _held(curve: Sequence[tuple[int, float]], steps: NDArray[Any]) -> Floats:
    """The values of a curve at `steps`, each kept until the next one."""
    at = np.searchsorted([step for step, _ in curve], steps, side="right") - 1
    held: Floats = np.array([value for _, value in curve])[np.maximum(at, 0)]
    return held


def _draw(axes: Axes, band: Band, mark: Mark) -> None:
    if np.isfinite(band.low).all():
        axes.fill_between(
            band.steps, band.low, band.high, color=mark.colour, alpha=0.25, linewidth=0
        )
    axes.plot(band.steps, band.mean, color=mark.colour, linewidth=1.4)


def _fit(axes: Axes, field: str, bands: Sequence[Band]) -> None:
    means = np.concatenate([band.mean for band in bands])
    if field == "train_loss" and means.min() > 0:
        axes.set_yscale("log")
        axes.set_ylim(means.min() / 1.25, means.max() * 1.25)
        axes.yaxis.set_major_locator(LogLocator(base=10, subs=(1.0, 2.0, 5.0), numticks=8))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
    else:
        room = 0.05 * float(np.ptp(means)) or 0.05
        axes.set_ylim(means.min() - room, means.max() + room)
        axes.yaxis.set_major_locator(MaxNLocator(4, steps=NICE))
    axes.set_xlim(0, max(1.0, *(band.steps[-1] for band in bands)))
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.set_title(FIELDS[field], loc="left")
    axes.set_xlabel("optimiser steps", labelpad=2)
