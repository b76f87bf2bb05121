"""Routing confusion: the expert an ideal router asks first against the one asked on a target."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.patches import Rectangle

from qmoe.arrays import Floats
from qmoe.figure import Figure
from qmoe.metrics import Score
from qmoe.record import Scalar
from qmoe.report.stored import score_of, whole_of
from qmoe.report.svg import COLOUR, Drawing
from qmoe.report.words import number, source_label

CONFUSION: Final = "routing confusion"
LOAD: Final = "expert load"
UNTREATED: Final = "none"
IDEAL: Final = "exact"
"""Source, or treatment, of the router that the others are compared with."""

# Beyond this the shade would hide the number on it.
_STRONGEST = 0.5
# Confusions that are told to a reader who cannot see them.
_TOLD = 3


@dataclass(frozen=True, slots=True, eq=False)
class Confusion:
    """One target as it is or with one treatment.

    `shares` (ideal, asked) sums to 1; `loads` and `ideal` are the mean gate weights of each expert
    there and on the ideal router. All are empty where a run does not have them.
    """

    target: str
    treatment: str
    source: str
    shares: tuple[tuple[Score, ...], ...]
    loads: tuple[Score, ...]
    ideal: tuple[Score, ...]
    drawing: Drawing

    @property
    def name(self) -> str:
        """The target, with its treatment if there is one."""
        treated = self.treatment != UNTREATED
        return f"{self.target} + {self.treatment}" if treated else self.target

    @property
    def experts(self) -> int:
        """How many experts it tells of."""
        return max(len(self.shares), len(self.loads))

    @property
    def title(self) -> str:
        """The same with its source."""
        return f"{self.name} ({source_label(self.source)})"


@dataclass(frozen=True, slots=True, eq=False)
class Confusions:
    """A card per target and treatment, and all their numbers for other programs."""

    cards: tuple[Confusion, ...]
    table: pd.DataFrame

    @property
    def experts(self) -> int:
        """How many experts the largest of them tells of."""
        return max(card.experts for card in self.cards)


class _Scale(NamedTuple):
    """What is equal in all cards, so that they compare: experts, largest share and load."""

    experts: int
    share: float
    load: float

    @classmethod
    def of(cls, groups: Sequence[Sequence[Figure]], ideal: Sequence[Score]) -> _Scale:
        figures = [figure for found in groups for figure in found]
        loads = (*ideal, *(score_of(f) for f in figures if f.name == LOAD))
        ends = [v for s in loads for v in (s.value, s.high) if math.isfinite(v)]
        return cls(
            experts=max((_experts(f) for f in figures), default=0),
            share=max((f.value or 0.0 for f in figures if f.name == CONFUSION), default=0.0) or 1.0,
            load=min(1.0, 1.15 * max(ends, default=0.0)) or 1.0,
        )


def confusions(figures: Sequence[Figure], key: str) -> Confusions | None:
    """The cards of figures of one group, in their order; None where none has what they show.

    The figures are `routing confusion` and `expert load`, others are ignored. `key` begins the
    keys of the drawings.
    """
    groups: dict[tuple[str, str], list[Figure]] = {}
    for figure in figures:
        if figure.name in (CONFUSION, LOAD) and figure.value is not None:
            groups.setdefault((str(figure.labels["target"]), _treatment(figure)), []).append(figure)
    if not groups:
        return None
    ideal = next((_loads(found) for found in groups.values() if _is_ideal(found[0])), ())
    scale = _Scale.of([found for found in groups.values() if not _is_ideal(found[0])], ideal)
    cards: list[Confusion] = []
    for (target, treatment), found in groups.items():
        if _is_ideal(found[0]):
            continue
        source = str(found[0].labels.get("source", ""))
        shares, loads = _shares(found, scale.experts), _loads(found)
        named = f"{target}, treatment {treatment}, {source_label(source)}"
        drawing = _drawing(named, shares, loads, ideal, scale, f"{key}-{len(cards) + 1}")
        cards.append(Confusion(target, treatment, source, shares, loads, ideal, drawing))
    return Confusions(tuple(cards), pd.DataFrame(list(_rows(groups)))) if cards else None


def _rows(groups: Mapping[tuple[str, str], Sequence[Figure]]) -> Iterator[dict[str, Scalar | None]]:
    """One row per share and per load."""
    for (target, treatment), found in groups.items():
        for figure in found:
            labels, score = figure.labels, score_of(figure)
            yield {
                "figure": figure.name,
                "target": target,
                "treatment": treatment,
                "source": labels.get("source", ""),
                "router": labels.get("router", ""),
                "dataset": labels.get("dataset", ""),
                "inputs": whole_of(labels.get("inputs", 0)),
                "shots": whole_of(labels.get("shots", 0)),
                "ideal": whole_of(labels.get("ideal", 0)),
                "asked": whole_of(labels.get("asked", labels.get("expert", 0))),
                "value": score.value,
                "low": score.low,
                "high": score.high,
            }


def _treatment(figure: Figure) -> str:
    return str(figure.labels.get("treatment", figure.labels.get("mitigation", UNTREATED)))


def _is_ideal(figure: Figure) -> bool:
    return IDEAL in (figure.labels.get("source"), _treatment(figure))


def _experts(figure: Figure) -> int:
    return max(whole_of(figure.labels.get(name, 0)) for name in ("ideal", "asked", "expert"))


def _shares(figures: Sequence[Figure], experts: int) -> tuple[tuple[Score, ...], ...]:
    named = {
        (whole_of(f.labels["ideal"]), whole_of(f.labels["asked"])): score_of(f)
        for f in figures
        if f.name == CONFUSION
    }
    if not named:
        return ()
    every = range(1, experts + 1)
    # nobody asked about an expert that this target does not have
    none = Score(0.0, math.nan, math.nan)
    return tuple(tuple(named.get((i, j), none) for j in every) for i in every)


def _loads(figures: Sequence[Figure]) -> tuple[Score, ...]:
    named = {whole_of(f.labels["expert"]): score_of(f) for f in figures if f.name == LOAD}
    return tuple(named[expert] for expert in sorted(named))


def _drawing(
    named: str,
    asked: Sequence[Sequence[Score]],
    loads: Sequence[Score],
    ideal: Sequence[Score],
    scale: _Scale,
    key: str,
) -> Drawing:
    """The matrix of shares, and below it the load of the experts in its columns."""
    shares = np.array([[score.value for score in row] for row in asked], dtype=np.float64)
    # inches
    matrix = max(min(0.36, 2.6 / scale.experts), 0.19) * scale.experts if shares.size else 0.0
    matrix = max(matrix, 0.95) if shares.size else 0.0
    load, title, foot = (0.85 if loads else 0.0), 0.24, 0.42
    height = foot + sum(size + title for size in (matrix, load) if size)

    def draw(figure: Canvas) -> None:
        if shares.size:
            bottom = height - title - matrix
            axes = figure.add_axes((0.17, bottom / height, 0.81, matrix / height))
            _draw_shares(axes, shares, scale.share)
            axes.set_title("% of inputs, by first expert", loc="left", pad=4)
            axes.tick_params(labelbottom=not loads)
        if loads:
            axes = figure.add_axes((0.17, foot / height, 0.81, load / height))
            _draw_loads(axes, loads, ideal)
            axes.set_ylim(0, scale.load)
            legend = " (filled: target, hollow: ideal)" if ideal else ""
            axes.set_title(f"expert load{legend}", loc="left", pad=4)
        axes.set_xlim(0.5, scale.experts + 0.5)
        axes.set_xlabel("expert on the target", labelpad=2)

    return Drawing(draw, (3.4, height), key, f"{named}. {' '.join(_told(shares, loads, ideal))}")


def _draw_shares(axes: Axes, shares: Floats, strongest: float) -> None:
    experts = len(shares)
    axes.grid(visible=False)
    for i in range(experts):
        for j in range(experts):
            share = float(shares[i, j])
            box = Rectangle((j + 0.5, i + 0.5), 1, 1, linewidth=0, facecolor=COLOUR["c1"])
            box.set_alpha(_STRONGEST * share / strongest)
            axes.add_patch(box)
            axes.text(j + 1, i + 1, _percent(share), ha="center", va="center", fontsize=8)
    for i in range(experts):
        edge = COLOUR["ink-2"]
        axes.add_patch(
            Rectangle((i + 0.5, i + 0.5), 1, 1, fill=False, edgecolor=edge, linewidth=0.9)
        )
    axes.set_xlim(0.5, experts + 0.5)
    axes.set_ylim(experts + 0.5, 0.5)
    axes.set_xticks(range(1, experts + 1))
    axes.set_yticks(range(1, experts + 1))
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_ylabel("ideal first expert", labelpad=6)


def _draw_loads(axes: Axes, loads: Sequence[Score], ideal: Sequence[Score]) -> None:
    apart = 0.13 if ideal else 0.0
    drawn = ((loads, -apart, "o", COLOUR["c1"], COLOUR["c1"]),)
    beside = ((ideal, apart, "D", COLOUR["ink-2"], "none"),) if ideal else ()
    for scores, shift, marker, colour, face in (*drawn, *beside):
        for expert, score in enumerate(scores, start=1):
            x = expert + shift
            if score.has_interval:
                ends = [score.low, score.high]
                axes.plot([x, x], ends, color=colour, linewidth=1.2, solid_capstyle="butt")
            axes.plot(
                [x],
                [score.value],
                marker,
                color=colour,
                markerfacecolor=face,
                markersize=4.5 if marker == "o" else 4,
                markeredgewidth=0.9,
            )
    axes.set_xticks(range(1, len(loads) + 1))
    axes.tick_params(axis="x", length=0)
    axes.grid(axis="x", visible=False)
    axes.set_ylabel("mean weight", labelpad=2)


def _percent(share: float) -> str:
    """A share in whole percent.

    >>> [_percent(v) for v in (0.0, 0.002, 0.25, 0.999, 1.0)]
    ['0', '<1', '25', '>99', '100']
    """
    if not math.isfinite(share):
        return "–"
    if 0 < share < 0.005:
        return "<1"
    if 0.995 <= share < 1:
        return ">99"
    return number(100 * share, ".0f")


def _told(shares: Floats, loads: Sequence[Score], ideal: Sequence[Score]) -> Iterator[str]:
    if shares.size:
        yield f"First expert as ideal on {100 * float(np.trace(shares)):.1f} % of inputs."
        other = np.where(np.eye(len(shares), dtype=bool), 0.0, shares)
        ranked = np.argsort(-other, axis=None, kind="stable")[:_TOLD]
        found = [(int(k) // len(shares), int(k) % len(shares)) for k in ranked]
        most = [
            f"{i + 1} becomes {j + 1} on {100 * other[i, j]:.1f} %" for i, j in found if other[i, j]
        ]
        yield f"Most often {'; '.join(most)}." if most else "No input changed its first expert."
    if loads:
        yield f"Expert load {', '.join(number(s.value, '.2f') for s in loads)}."
    if ideal:
        yield f"Ideal load {', '.join(number(s.value, '.2f') for s in ideal)}."
