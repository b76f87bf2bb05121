"""The Pareto front: routers that no other beats in both accuracy and cost."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from qmoe.metrics import Score
from qmoe.report.labels import beside, shortened
from qmoe.report.marks import Mark
from qmoe.report.plots import off_scale
from qmoe.report.scale import NICE, focus
from qmoe.report.svg import COLOUR, Drawing

COSTS: Final = {
    "router_parameters": "trainable router parameters",
    "multiply_adds": "multiply-adds per prediction, simulated",
}
"""Columns of `qmoe.results.summary` that say what a router costs, and how axes name them."""

# A ratio of the largest to the smallest cost beyond which the axis is logarithmic.
_WIDE = 20
# No logarithm of 0: a router that costs nothing stands here, relative to the least other cost.
_ZERO = 0.5
_LONGEST = 22
# Units of a drawing between routers of equal cost.
_APART = 6.5


def pareto_front(rows: pd.DataFrame, cost: str) -> list[str]:
    """The routers on the front, cheapest first, in the order of `rows` where costs are equal.

    A router is on it if no other has at least its accuracy and at most its cost, one of the two
    strictly; so routers that are equal in both are both on it. `rows` are of
    `qmoe.results.summary`, of one group; those without accuracy or cost are left out.

    >>> rows = {"router": ["a", "b", "c"], "accuracy": [0.9, 0.8, 0.95], "cost": [2, 3, 9]}
    >>> pareto_front(pd.DataFrame(rows), "cost")
    ['a', 'c']
    """
    known = rows.dropna(subset=["accuracy", cost]).sort_values(cost, kind="stable")
    front = []
    best = -math.inf
    for _, same in known.groupby(cost, sort=True):
        top = float(same["accuracy"].max())
        if top > best:
            front += [str(name) for name in same.loc[same["accuracy"] == top, "router"]]
            best = top
    return front


def pareto(rows: pd.DataFrame, marks: dict[str, Mark], key: str, on: str) -> tuple[Drawing, ...]:
    """Mean accuracy with its interval against each of `COSTS`, and the front as a step line.

    `rows` are of `qmoe.results.summary`, of one data set; `on` names the scored part. A cost that
    no router has gets no picture.
    """
    return tuple(
        _panel(rows.dropna(subset=["accuracy", cost]), marks, f"{key}-{place}", on, cost)
        for place, cost in enumerate(COSTS, start=1)
        if not rows.dropna(subset=["accuracy", cost]).empty
    )


def _panel(rows: pd.DataFrame, marks: dict[str, Mark], key: str, on: str, cost: str) -> Drawing:
    front = pareto_front(rows, cost)
    names = [str(name) for name in rows["router"]]
    table = rows[["accuracy", "accuracy_low", "accuracy_high"]].to_numpy(dtype=np.float64)
    scores = [Score(*(float(v) for v in row)) for row in table]
    costs = [float(value) for value in rows[cost]]
    known = {name: (x, score) for name, x, score in zip(names, costs, scores, strict=True)}

    def draw(figure: Figure) -> None:
        axes = figure.add_axes((0.14, 0.155, 0.815, 0.825))
        low, high = focus(scores) or (0.0, 1.0)
        room = 0.06 * (high - low) or 0.01
        axes.set_ylim(low - 2 * room, high + room)
        least = _cost_axis(axes, costs)
        drawn = _apart(axes, [max(x, least) for x in costs])
        places = dict(zip(names, zip(drawn, scores, strict=True), strict=True))
        for name, (x, score) in places.items():
            _mark(axes, x, score, marks[name])
        shown = [n for n in front if axes.get_ylim()[0] <= places[n][1].value]
        line = _step(axes, [(max(known[name][0], least), known[name][1].value) for name in shown])
        ends = [(s.low, s.high) if s.has_interval else (s.value,) * 2 for s in scores]
        intervals = [((x, a), (x, b)) for x, (a, b) in zip(drawn, ends, strict=True)]
        beside(
            axes,
            [(places[name][0], places[name][1].value) for name in shown],
            [shortened(name, _LONGEST) for name in shown],
            [*intervals, *pairwise(line)],
        )
        scale = " (log scale)" if axes.get_xscale() == "log" else ""
        axes.set_xlabel(f"{COSTS[cost]}{scale}")
        axes.set_ylabel(f"mean accuracy, {on}")
        axes.yaxis.set_major_locator(MaxNLocator(6, steps=NICE))

    told = "; ".join(
        f"{name}: {x:,.0f}, accuracy {score:.3f}{', on the front' if name in front else ''}"
        for name, (x, score) in known.items()
    )
    alt = f"Mean accuracy against {COSTS[cost]}, with the Pareto front. {told}."
    return Drawing(draw, (4.4, 2.9), key, alt)


def _cost_axis(axes: Axes, costs: list[float]) -> float:
    """Sets the scale and limits, and returns where a router stands that costs nothing."""
    positive = [x for x in costs if x > 0]
    least, most = min(positive, default=1.0), max(positive, default=1.0)
    low = least * _ZERO if min(costs) <= 0 else least
    if most / low <= _WIDE:
        room = 0.09 * (most - min(costs)) or 0.5 * most
        axes.set_xlim(min(costs) - room, most + room)
        axes.xaxis.set_major_locator(MaxNLocator(6, steps=NICE))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.5g}"))
        return min(costs)
    axes.set_xscale("log")
    room = (most / low) ** 0.08
    axes.set_xlim(low / room, most * room)
    decades = math.log10(most / low)
    between = (1.0, 2.0, 5.0) if decades < 1.8 else (1.0, 3.0) if decades < 3 else (1.0,)
    axes.xaxis.set_major_locator(LogLocator(base=10, subs=between, numticks=12))
    axes.xaxis.set_minor_locator(NullLocator())
    zero = low if min(costs) <= 0 else 0.0
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: "0" if x <= zero else f"{x:,.5g}"))
    return low


def _apart(axes: Axes, costs: list[float]) -> list[float]:
    """Where marks stand: routers of equal cost a little apart, so that none hides another."""
    scale = axes.get_xaxis_transform()
    along = [float(scale.transform((x, 0.0))[0]) for x in costs]
    step = _APART * axes.figure.dpi / 72
    for cost in set(costs):
        same = [k for k, x in enumerate(costs) if x == cost]
        for rank, k in enumerate(same):
            along[k] += (rank - (len(same) - 1) / 2) * step
    return [float(scale.inverted().transform((x, 0.0))[0]) for x in along]


def _step(axes: Axes, front: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """The best accuracy at any cost, from the cheapest router to the edge: its corners."""
    corners = front[:1]
    for x, y in [*front[1:], *((axes.get_xlim()[1], y) for _, y in front[-1:])]:
        corners += [(x, corners[-1][1]), (x, y)]
    dashed = (0, (4, 3))
    xs, ys = np.array(corners).reshape(-1, 2).T
    axes.plot(xs, ys, zorder=1, color=COLOUR["ink-2"], linewidth=0.9, linestyle=dashed)
    return corners


def _mark(axes: Axes, x: float, score: Score, mark: Mark) -> None:
    low, high = axes.get_ylim()
    if not low <= score.value <= high:
        off_scale(axes, x, score.value, mark, below=bool(score.value < low))
        return
    if score.has_interval:
        ends = [score.low, score.high]
        axes.plot([x, x], ends, color=mark.colour, linewidth=1.3, solid_capstyle="butt")
    axes.plot([x], [score.value], mark.marker, color=mark.colour, markersize=5, markeredgewidth=0)
