"""What is left of one router on each target: accuracy, total variation, and fidelity expected."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from qmoe.metrics import Score
from qmoe.report.kinds import kind_of, mark, point
from qmoe.report.labels import beside, named, shortened
from qmoe.report.scale import NICE
from qmoe.report.svg import COLOUR, Drawing
from qmoe.report.targets import UNTREATED, TargetRow, Targets
from qmoe.report.words import number, written

# Characters of a name that fit to the left of its marks, and in the list below a picture.
_LONGEST = 24
_ROW = 0.32


def accuracy_by_target(found: Targets) -> Drawing | None:
    """Accuracy with its interval per target, against line and band of the exact router.

    None where nothing but the exact router ran.
    """
    rows, exact = _others(found), found.baseline
    if not rows:
        return None

    def marks(axes: Axes) -> None:
        if exact is not None:
            _level(axes, exact.accuracy)
        for place, row in enumerate(rows):
            mark(axes, row.accuracy, place, kind_of(row.source))

    told = "; ".join(f"{_described(row)}: {written(row.accuracy)}" for row in rows)
    line = f" Exact router: {written(exact.accuracy)}." if exact else ""
    alt = f"Accuracy of {found.router} by target. {told}.{line}"
    label = "accuracy (dashed: exact router)" if exact else "accuracy"
    return _by_target(rows, marks, label, f"{found.key}-accuracy", alt)


def distance_by_target(found: Targets) -> Drawing | None:
    """Total variation to the ideal router per target with what shots alone cause; None as above."""
    rows = [row for row in _others(found) if math.isfinite(row.distance.value)]
    if not rows:
        return None

    def marks(axes: Axes) -> None:
        for place, row in enumerate(rows):
            mark(axes, row.distance, place, kind_of(row.source))
            if row.shots and math.isfinite(row.floor):
                ends = [place - 0.36, place + 0.36]
                axes.plot([row.floor] * 2, ends, color=COLOUR["ink"], linewidth=1.6)
        axes.set_xlim(left=0)

    told = "; ".join(
        f"{_described(row)}: {written(row.distance)}"
        + (f", floor {number(row.floor)}" if row.shots else ", exact probabilities")
        for row in rows
    )
    alt = f"Total variation of {found.router} to the ideal router by target. {told}."
    label = "total variation (bar: shots alone)"
    return _by_target(rows, marks, label, f"{found.key}-distance", alt)


def fidelity_by_target(found: Targets) -> Drawing | None:
    """Measured Hellinger fidelity against the expected one; None where no target has both."""
    rows = [
        row
        for row in _others(found)
        if math.isfinite(row.fidelity) and math.isfinite(row.measured_fidelity.value)
    ]
    if not rows:
        return None
    plot, text_line = 2.7, 0.155
    height = plot + 0.08 + text_line * len(rows)

    def draw(figure: Figure) -> None:
        low = 1 - plot / height
        axes = figure.add_axes((0.15, low + 0.42 / height, 0.82, (plot - 0.52) / height))
        points = [(row.fidelity, row.measured_fidelity.value) for row in rows]
        ends = [_ends(row.measured_fidelity) for row in rows]
        lowest = min(v for (x, _), pair in zip(points, ends, strict=True) for v in (x, *pair))
        room = 0.07 * (1 - lowest) or 0.01
        axes.set_xlim(lowest - room, 1 + room)
        axes.set_ylim(lowest - room, 1 + room)
        axes.axline((1, 1), slope=1, color=COLOUR["ink-2"], linewidth=0.8, linestyle=(0, (4, 3)))
        for row, (x, y), pair in zip(rows, points, ends, strict=True):
            kind = kind_of(row.source)
            axes.plot([x, x], pair, color=kind.colour, linewidth=1.3, solid_capstyle="butt")
            point(axes, x, y, kind)
        taken = [((x, a), (x, b)) for (x, _), (a, b) in zip(points, ends, strict=True)]
        # the dashed line, in pieces: labels keep off the box about each
        line = [(float(v), float(v)) for v in np.linspace(lowest, 1, 30)]
        taken += zip(line, line, strict=True)
        beside(axes, points, [str(k + 1) for k in range(len(rows))], taken)
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=NICE))
        axes.yaxis.set_major_locator(MaxNLocator(5, steps=NICE))
        axes.set_xlabel("expected fidelity of the circuit (dashed: equal)", labelpad=2)
        axes.set_ylabel("Hellinger fidelity", labelpad=2)
        for place, row in enumerate(rows):
            y = low - (0.06 + text_line * (place + 0.5)) / height
            names = ": ".join(shortened(text, _LONGEST) for text in (row.target, _about(row)))
            figure.text(0.03, y, f"{place + 1}  {names}", fontsize=8, va="center")

    told = "; ".join(
        f"{_described(row)}: expected {number(row.fidelity)}, "
        f"measured {written(row.measured_fidelity)}"
        for row in rows
    )
    alt = f"Measured Hellinger fidelity against expected fidelity of {found.router}. {told}."
    return Drawing(draw, (3.9, height), f"{found.key}-fidelity", alt)


def _others(found: Targets) -> list[TargetRow]:
    """The rows that ran beside the exact router."""
    return [row for row in found.rows if row.ran and row is not found.baseline]


def _by_target(
    rows: Sequence[TargetRow], marks: Callable[[Axes], None], label: str, key: str, alt: str
) -> Drawing:
    """A line per target: its name, below it what it is and what was done, and its marks."""
    height = 0.55 + _ROW * len(rows)

    def draw(figure: Figure) -> None:
        axes = figure.add_axes((0.4, 0.45 / height, 0.575, _ROW * len(rows) / height))
        axes.set_ylim(len(rows) - 0.5, -0.5)
        marks(axes)
        axes.set_yticks([])
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=NICE))
        axes.set_xlabel(label, labelpad=2)
        for place, row in enumerate(rows):
            named(axes, place, *(shortened(t, _LONGEST) for t in (row.target, _about(row))))

    return Drawing(draw, (4.4, height), key, alt)


def _about(row: TargetRow) -> str:
    word = kind_of(row.source).word
    return word if row.mitigation == UNTREATED else f"{word}, {row.mitigation}"


def _described(row: TargetRow) -> str:
    return f"{row.name} ({kind_of(row.source).word})"


def _level(axes: Axes, score: Score) -> None:
    """The exact router as a dashed line with its band."""
    if score.has_interval:
        axes.axvspan(score.low, score.high, color=COLOUR["ink-2"], alpha=0.16, linewidth=0)
    axes.axvline(score.value, color=COLOUR["ink-2"], linewidth=1.0, linestyle=(0, (4, 3)))


def _ends(score: Score) -> tuple[float, float]:
    return (score.low, score.high) if score.has_interval else (score.value, score.value)
