"""Plots over seeds: accuracy against parameters, and expert load."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator
from numpy.typing import NDArray

from qmoe.arrays import Floats
from qmoe.metrics import ACCURACY_RANGE, Score, mean_score
from qmoe.report.marks import Mark
from qmoe.report.scale import NICE, focus
from qmoe.report.svg import COLOUR, Drawing
from qmoe.results import ranked_loads

# Routers with the same number of parameters are set this factor apart, so that none hides another.
_APART = 1.13
# No logarithm of 0: a router without parameters stands here, and the axis says 0.
_ZERO = 0.5
# Characters of a name that fit beside its bars.
_LONGEST = 20


def accuracy_against_parameters(
    rows: pd.DataFrame, marks: dict[str, Mark], key: str, on: str
) -> Drawing:
    """Mean accuracy with its interval against router parameters, one mark per router.

    `rows` are rows of `qmoe.results.summary` of one data set; `on` names the scored part.
    """
    rows = rows.dropna(subset=["accuracy"])

    def draw(figure: Figure) -> None:
        axes = figure.add_axes((0.14, 0.155, 0.845, 0.825))
        scores = [_score(row) for row in rows.itertuples()]
        span = focus(scores)
        if span is not None:
            room = 0.06 * (span[1] - span[0]) or 0.01
            # Room below for the arrows of routers that are off the scale.
            axes.set_ylim(span[0] - 2 * room, span[1] + room)
        for name, x, score in zip(
            rows["router"], _spread(rows["router_parameters"]), scores, strict=True
        ):
            _interval(axes, x, score, marks[name])
        _parameter_axis(axes, rows["router_parameters"].to_numpy())
        axes.set_xlabel("trainable router parameters (log scale)")
        axes.set_ylabel(f"mean accuracy, {on}")
        axes.yaxis.set_major_locator(MaxNLocator(6, steps=NICE))

    told = "; ".join(
        f"{row.router}: {row.router_parameters} parameters, accuracy {row.accuracy:.3f}"
        for row in rows.itertuples()
    )
    alt = f"Mean accuracy against trainable router parameters. {told}."
    return Drawing(draw, (4.4, 2.9), key, alt)


def expert_load(
    groups: dict[str, pd.DataFrame], marks: dict[str, Mark], key: str
) -> Drawing | None:
    """Mean load of each router's experts, busiest first, with intervals; None without loads.

    `groups` maps a router to its rows of `qmoe.results.load`.
    """
    loads = {name: ranked_loads(rows) for name, rows in groups.items()}
    loads = {name: values for name, values in loads.items() if values.size}
    if not loads:
        return None
    means = {name: values.mean(axis=0) for name, values in loads.items()}
    count = max(values.shape[1] for values in loads.values())
    height = 0.75 + len(loads) * (0.14 + 0.085 * count)

    def draw(figure: Figure) -> None:
        axes = figure.add_axes((0.31, 0.5 / height, 0.67, 1 - 0.56 / height))
        for place, (name, values) in enumerate(loads.items()):
            _load_bars(axes, place, values, marks[name])
        axes.axvline(1 / count, color=COLOUR["ink-2"], linewidth=0.8, linestyle=(0, (4, 3)))
        labels = [name if len(name) <= _LONGEST else name[: _LONGEST - 1] + "…" for name in loads]
        axes.set_yticks(range(len(loads)), labels, parse_math=False)
        axes.set_ylim(len(loads) - 0.5, -0.5)
        axes.set_xlim(0, min(1.0, 1.2 * max(values.max() for values in means.values())))
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="y", visible=False)
        axes.set_xlabel("mean share of the gate weight")

    told = "; ".join(
        f"{name}: {', '.join(f'{v:.2f}' for v in values)}" for name, values in means.items()
    )
    return Drawing(draw, (4.4, height), key, f"Expert load, busiest expert first. {told}.")


def _score(row: Any) -> Score:
    return Score(float(row.accuracy), float(row.accuracy_low), float(row.accuracy_high))


def _interval(axes: Axes, x: float, score: Score, mark: Mark) -> None:
    low, high = axes.get_ylim()
    if not low <= score.value <= high:
        off_scale(axes, x, score.value, mark, below=bool(score.value < low))
        return
    if score.has_interval:
        ends = [score.low, score.high]
        axes.plot([x, x], ends, color=mark.colour, linewidth=1.3, solid_capstyle="butt")
    axes.plot([x], [score.value], mark.marker, color=mark.colour, markersize=5, markeredgewidth=0)


def off_scale(axes: Axes, x: float, value: float, mark: Mark, *, below: bool) -> None:
    """The mark at the edge with an arrow and its value, in place of a point."""
    axes.plot(
        [x],
        [0.035 if below else 0.965],
        mark.marker,
        color=mark.colour,
        markersize=5,
        markeredgewidth=0,
        transform=axes.get_xaxis_transform(),
    )
    axes.annotate(
        f"{'↓' if below else '↑'} {value:.3f}",
        (x, 0.035 if below else 0.965),
        xycoords=axes.get_xaxis_transform(),
        xytext=(6, 0),
        textcoords="offset points",
        va="center",
    )


def _spread(parameters: pd.Series[int]) -> Floats:
    counts = parameters.to_numpy(dtype=np.float64)
    placed: Floats = np.zeros(counts.shape)
    for count in np.unique(counts):
        same = np.flatnonzero(counts == count)
        offsets = np.arange(same.size, dtype=np.float64) - (same.size - 1) / 2
        placed[same] = max(count, _ZERO) * _APART**offsets
    return placed


def _parameter_axis(axes: Axes, counts: NDArray[Any]) -> None:
    axes.set_xscale("log")
    low, high = max(counts.min(initial=1), _ZERO), counts.max(initial=1)
    axes.set_xlim(low / 1.6, max(high, 2 * low) * 1.6)
    axes.xaxis.set_major_locator(LogLocator(base=10, subs=(1.0, 2.0, 5.0), numticks=12))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: "0" if x <= _ZERO else f"{x:,.0f}"))


def _load_bars(axes: Axes, place: int, values: Floats, mark: Mark) -> None:
    experts = values.shape[1]
    height = 0.8 / experts
    for rank, column in enumerate(values.T):
        share = mean_score(column, limits=ACCURACY_RANGE)
        y = place + (rank - (experts - 1) / 2) * height
        # Paler from the busiest to the least busy expert.
        alpha = 0.85 - 0.55 * rank / max(experts - 1, 1)
        axes.barh(y, share.value, height * 0.86, color=mark.colour, alpha=alpha, linewidth=0)
        if share.has_interval:
            ends = [share.low, share.high]
            axes.plot(ends, [y, y], color=COLOUR["ink"], linewidth=0.9, solid_capstyle="butt")
