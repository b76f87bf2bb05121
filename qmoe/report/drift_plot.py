"""One experiment on a device: its repeats in time, and its prediction beside what came."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from qmoe.metrics import Score
from qmoe.record import Scalar
from qmoe.report.hardware import Hardware
from qmoe.report.kinds import kind_of, mark, point
from qmoe.report.labels import named, shortened
from qmoe.report.scale import NICE
from qmoe.report.svg import COLOUR, Drawing
from qmoe.report.words import counted, number, source_label, written
from qmoe.results import ends

FIGURES: Final = {
    "accuracy": "accuracy",
    "retention": "routing retention R",
    "total variation": "total variation",
    "agreement": "top-1 agreement",
}
"""What was predicted, by its name in a prediction, and how axes name it."""

_ATTRIBUTES: Final = {"total variation": "distance"}

_ABOUT: Final = ("plan", "suite", "target", "source")
_LONGEST = 18
_ROW = 0.32


class Predicted(NamedTuple):
    """A registered prediction of one figure of one treatment, and what was measured."""

    treatment: str
    figure: str
    predicted: Score
    measured: Score
    inside: bool

    @property
    def title(self) -> str:
        """What the figure is called on the page."""
        return FIGURES.get(self.figure, self.figure)


class Repeat(NamedTuple):
    """One repeat with the blocks left out of it, and the figures whose new level begins there."""

    number: int
    accuracy: float
    distance: float
    left_out: int
    changed: tuple[str, ...]


class Drift(NamedTuple):
    """What the page shows of one experiment in time and beside its prediction.

    `drawing` is None where nothing was repeated, `pictures` empty where nothing was predicted.
    """

    target: str
    origin: str
    repeats: tuple[Repeat, ...]
    predictions: tuple[Predicted, ...]
    drawing: Drawing | None
    pictures: tuple[Drawing, ...]

    @property
    def changed(self) -> bool:
        """Whether a new level of any figure begins at any repeat."""
        return any(repeat.changed for repeat in self.repeats)


def drift(found: Hardware, key: str) -> Drift:
    """One experiment; `key` begins the keys of its drawings."""
    return Drift(
        target=str(found.labels["target"]),
        origin=_origin(found),
        repeats=_repeats(found),
        predictions=predictions(found),
        drawing=_by_repeat(found, f"{key}-repeats"),
        pictures=tuple(_predicted(found, f"{key}-predicted")),
    )


def predictions(found: Hardware) -> tuple[Predicted, ...]:
    """What was predicted, in its order; nan for what was not measured."""
    by_name = {treatment.name: treatment for treatment in found.treatments}
    nothing = Score(math.nan, math.nan, math.nan)
    return tuple(
        Predicted(
            each.treatment,
            each.figure,
            each.predicted,
            getattr(by_name[each.treatment], _ATTRIBUTES.get(each.figure, each.figure))
            if each.treatment in by_name and each.figure in FIGURES
            else nothing,
            each.inside,
        )
        for each in found.expected
    )


def drift_table(found: Sequence[Hardware]) -> pd.DataFrame:
    """One row per experiment and repeat, for other programs; `change` names what changed there."""
    rows: list[dict[str, Scalar]] = []
    for each in found:
        about = {name: each.labels[name] for name in _ABOUT}
        for repeat in _repeats(each):
            rows.append(
                about
                | {"repeat": repeat.number, "accuracy": repeat.accuracy}
                | {"total_variation": repeat.distance, "blocks_left_out": repeat.left_out}
                | {"change": ", ".join(repeat.changed)}
            )
    return pd.DataFrame(rows)


def prediction_table(found: Sequence[Hardware]) -> pd.DataFrame:
    """One row per experiment, treatment and predicted figure, for other programs."""
    rows: list[dict[str, Scalar]] = []
    for each in found:
        for row in predictions(each):
            line: dict[str, Scalar] = {name: each.labels[name] for name in _ABOUT}
            line |= {"treatment": row.treatment, "figure": row.figure}
            for name, score in (("predicted", row.predicted), ("measured", row.measured)):
                line |= ends(name, score)
            rows.append(line | {"inside": row.inside})
    return pd.DataFrame(rows)


def _repeats(found: Hardware) -> tuple[Repeat, ...]:
    told = (re.fullmatch(r"(.*) from repeat (\d+) on", text) for text in found.changes)
    changes = [(int(match[2]), match[1]) for match in told if match]
    return tuple(
        Repeat(number, accuracy, distance, left_out, tuple(n for at, n in changes if at == number))
        for number, accuracy, distance, left_out in found.repeats
    )


def _by_repeat(found: Hardware, key: str) -> Drawing | None:
    """Accuracy and total variation by repeat, with a line where a new level begins."""
    repeats = _repeats(found)
    if not repeats:
        return None
    places = [repeat.number for repeat in repeats]
    series = {
        "accuracy": [repeat.accuracy for repeat in repeats],
        "total variation": [repeat.distance for repeat in repeats],
    }
    kind = kind_of(_source(found))

    def draw(figure: Figure) -> None:
        panels = [figure.add_axes((0.18, low, 0.79, 0.36)) for low in (0.61, 0.2)]
        for axes, (name, values) in zip(panels, series.items(), strict=True):
            axes.set_xlim(places[0] - 0.5, places[-1] + 0.5)
            axes.plot(places, values, color=kind.colour, linewidth=1.2)
            for repeat, y in zip(repeats, values, strict=True):
                point(axes, repeat.number, y, kind, hollow=bool(repeat.left_out))
                if name in repeat.changed:
                    # between two repeats
                    at, dashed = repeat.number - 0.5, (0, (4, 2))
                    axes.axvline(at, color=COLOUR["ink"], linewidth=1.0, linestyle=dashed)
            axes.yaxis.set_major_locator(MaxNLocator(4, steps=NICE))
            axes.xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))
            axes.set_ylabel(name, labelpad=2)
            axes.margins(y=0.12)
        panels[0].tick_params(labelbottom=False)
        panels[1].set_xlabel(
            f"repeat (dashed: change)\n{shortened(_origin(found), 36)}", labelpad=2
        )

    told = "; ".join(
        f"repeat {r.number}: accuracy {number(r.accuracy)}, total variation {number(r.distance)}"
        + (f", {counted(r.left_out, 'block')} left out" if r.left_out else "")
        + "".join(f", change of {figure}" for figure in r.changed)
        for r in repeats
    )
    alt = (
        f"Accuracy and total variation on {found.labels['target']} ({_origin(found)}) by repeat. "
        f"{told}."
    )
    return Drawing(draw, (3.4, 3.0), key, alt)


def _predicted(found: Hardware, key: str) -> Iterator[Drawing]:
    """For each predicted figure: its predicted interval and what was measured, by treatment."""
    every = predictions(found)
    for name in FIGURES:
        rows = [row for row in every if row.figure == name]
        if rows:
            yield _prediction(found, rows, f"{key}-{name.replace(' ', '-')}")


def _prediction(found: Hardware, rows: Sequence[Predicted], key: str) -> Drawing:
    title = rows[0].title
    kind = kind_of(_source(found))
    height = 0.68 + _ROW * len(rows)

    def draw(figure: Figure) -> None:
        axes = figure.add_axes((0.34, 0.58 / height, 0.63, _ROW * len(rows) / height))
        axes.set_ylim(len(rows) - 0.5, -0.5)
        for place, row in enumerate(rows):
            said = "inside" if row.inside else "outside"
            named(axes, place, shortened(row.treatment, _LONGEST), said)
            if row.predicted.has_interval:
                width, left = row.predicted.high - row.predicted.low, row.predicted.low
                grey = COLOUR["ink-2"]
                axes.barh(place, width, 0.62, left, color=grey, alpha=0.3, linewidth=0)
            mean = [row.predicted.value] * 2
            axes.plot(mean, [place - 0.31, place + 0.31], color=COLOUR["ink-2"], linewidth=1.2)
            mark(axes, row.measured, place, kind)
        axes.set_yticks([])
        # bars would stand at the very edge
        axes.use_sticky_edges = False
        axes.xaxis.set_major_locator(MaxNLocator(4, steps=NICE))
        axes.set_xlabel(f"{title}\nbar: predicted, mark: {kind.word}", labelpad=2)

    told = "; ".join(
        f"{row.treatment}: predicted {written(row.predicted)}, measured {written(row.measured)}, "
        f"{'inside' if row.inside else 'outside'}"
        for row in rows
    )
    place = f"{found.labels['target']} ({_origin(found)})"
    return Drawing(draw, (3.4, height), key, f"Predicted and measured {title} on {place}. {told}.")


def _source(found: Hardware) -> str:
    """The one source of all of it; a device beside another source is no device."""
    source = str(found.labels["source"])
    return "loopback" if "loopback" in source else source


def _origin(found: Hardware) -> str:
    """The sources of all of it, as the page names them."""
    sources = str(found.labels["source"]).split(", ")
    return ", ".join(source_label(source) or "nothing collected" for source in sources)
