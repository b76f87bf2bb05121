"""Expert load over seeds, and the mark of a router that is off the scale."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from qmoe.arrays import Floats
from qmoe.metrics import ACCURACY_RANGE, mean_score
from qmoe.report.marks import Mark
from qmoe.report.svg import COLOUR, Drawing
from qmoe.results import ranked_loads

# Characters of a name that fit beside its bars.
_LONGEST = 20


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
