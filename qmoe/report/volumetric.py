"""What width and depth each target carries, as a grid of how much of random circuits is left."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.patches import Rectangle

from qmoe.evidence import Evidence
from qmoe.figure import Figure
from qmoe.metrics import Score
from qmoe.record import Scalar
from qmoe.report.labels import shortened
from qmoe.report.stored import measured, score_of, whole_of
from qmoe.report.svg import COLOUR, Drawing
from qmoe.report.words import number, source_label

STUDY: Final = "volumetric"
CARRIED: Final = 2 / 3
"""The share from which a target carries a circuit: the convention of quantum volume,
arXiv:1811.12926, there of heavy outputs and here of total variation."""

# Beyond this the shade would hide the number on it.
_STRONGEST = 0.5
_UNKNOWN = "–"


@dataclass(frozen=True, slots=True)
class Carried:
    """One width and number of layers on one target; `note` says why it does not fit.

    `share` is 1 - TV(target, ideal) / TV(uniform, ideal): 1 where the target is ideal, 0 where it
    says as little as a fair coin. It is nan where the circuit does not fit or nobody asked.
    """

    width: int
    layers: int
    share: Score
    draws: int
    inputs: int
    depth: float
    two_qubit_gates: float
    note: str

    @property
    def known(self) -> bool:
        """Whether it has a share."""
        return math.isfinite(self.share.value)

    @property
    def fits(self) -> bool:
        """Whether the target can run it, as far as that is known."""
        return self.known or not self.note

    @property
    def carried(self) -> bool:
        """Whether at least two thirds are left."""
        return self.known and self.share.value >= CARRIED


@dataclass(frozen=True, slots=True)
class Grid:
    """One target; `note` says why it was left out, and `drawing` is None then."""

    target: str
    source: str
    cells: tuple[Carried, ...]
    note: str
    drawing: Drawing | None


@dataclass(frozen=True, slots=True)
class Volumetric:
    """The grids of a run, and over how many draws of weights and inputs they are means."""

    draws: int
    inputs: int
    grids: tuple[Grid, ...]

    @property
    def cells(self) -> tuple[tuple[Grid, Carried], ...]:
        """The cells of all targets."""
        return tuple((grid, cell) for grid in self.grids for cell in grid.cells)


def volumetric(evidence: Evidence | None) -> Volumetric | None:
    """The study of a run, targets in the order asked for; None where it asked nothing."""
    by_target: dict[str, list[Figure]] = {}
    for figure in (f for part in measured(evidence, STUDY) for f in part):
        by_target.setdefault(str(figure.labels.get("target", "")), []).append(figure)
    if not by_target:
        return None
    cells = {target: _cells(figures) for target, figures in by_target.items()}
    every = [cell for found in cells.values() for cell in found]
    widths = sorted({cell.width for cell in every})
    layers = sorted({cell.layers for cell in every})
    grids = []
    for place, (target, figures) in enumerate(by_target.items()):
        found = cells[target]
        source = next((str(f.labels["source"]) for f in figures if "source" in f.labels), "")
        key = f"volumetric-{place + 1}"
        grids.append(
            Grid(
                target=target,
                source=source,
                cells=found,
                note="" if found else next((f.note for f in figures if f.note), "not run"),
                drawing=_drawing(target, source, found, widths, layers, key) if found else None,
            )
        )
    return Volumetric(
        draws=max((cell.draws for cell in every), default=0),
        inputs=max((cell.inputs for cell in every), default=0),
        grids=tuple(grids),
    )


def volumetric_table(found: Volumetric) -> pd.DataFrame:
    """A row per target, width and layers, for other programs; one for a target left out."""
    rows: list[dict[str, Scalar]] = []
    for grid in found.grids:
        about: dict[str, Scalar] = {"target": grid.target, "source": grid.source}
        rows += [
            about
            | {
                "width": cell.width,
                "layers": cell.layers,
                "draws": cell.draws,
                "inputs": cell.inputs,
                "share": cell.share.value,
                "share_low": cell.share.low,
                "share_high": cell.share.high,
                "carried": cell.carried,
                "fits": cell.fits,
                "depth": cell.depth,
                "two_qubit_gates": cell.two_qubit_gates,
                "note": cell.note,
            }
            for cell in grid.cells
        ] or [about | {"note": grid.note}]
    frame = pd.DataFrame(rows)
    counts = [c for c in ("width", "layers", "draws", "inputs") if c in frame]
    return frame.astype(dict.fromkeys(counts, "Int64"))


def _cells(figures: Sequence[Figure]) -> tuple[Carried, ...]:
    named: dict[tuple[int, int], dict[str, Figure]] = {}
    for figure in figures:
        place = whole_of(figure.labels.get("width", 0)), whole_of(figure.labels.get("layers", 0))
        if all(place):
            named.setdefault(place, {})[figure.name] = figure
    return tuple(_cell(*place, named[place]) for place in sorted(named))


def _cell(width: int, layers: int, by_name: dict[str, Figure]) -> Carried:
    first = by_name.get("carried")
    labels = first.labels if first else {}
    return Carried(
        width=width,
        layers=layers,
        share=score_of(first),
        draws=whole_of(labels.get("draws", 0)),
        inputs=whole_of(labels.get("inputs", 0)),
        depth=score_of(by_name.get("volumetric depth")).value,
        two_qubit_gates=score_of(by_name.get("volumetric two-qubit gates")).value,
        note=first.note if first else "",
    )


def _drawing(
    target: str,
    source: str,
    cells: Sequence[Carried],
    widths: Sequence[int],
    layers: Sequence[int],
    key: str,
) -> Drawing:
    """Width against layers, with one place for what any target of the run was asked."""
    named = {(cell.width, cell.layers): cell for cell in cells}
    height = 0.62 + max(0.3 * len(widths), 0.5)

    def draw(figure: Canvas) -> None:
        axes = figure.add_axes((0.14, 0.42 / height, 0.84, 1 - 0.62 / height))
        axes.grid(visible=False)
        for row, width in enumerate(widths):
            for column, depth in enumerate(layers):
                _draw(axes, column, row, named.get((width, depth)))
        for column, row in ((c, r) for r in range(len(widths)) for c in range(len(layers))):
            # on top of the neighbours' edges
            cell = named.get((widths[row], layers[column]))
            if cell is not None and cell.carried:
                axes.add_patch(_box(column, row, COLOUR["ink"], 1.8))
        axes.set_xlim(-0.55, len(layers) - 0.45)
        axes.set_ylim(-0.55, len(widths) - 0.45)
        axes.set_xticks(range(len(layers)), [str(depth) for depth in layers])
        axes.set_yticks(range(len(widths)), [str(width) for width in widths])
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        axes.set_xlabel("layers", labelpad=2)
        axes.set_ylabel("qubits", labelpad=6)
        figure.text(0.14, 1 - 0.13 / height, shortened(source_label(source), 44), fontsize=8)

    told = "; ".join(_told(cell) for cell in cells)
    alt = f"Share of random circuits that {target} ({source_label(source)}) carries. {told}."
    return Drawing(draw, (3.4, height), key, alt)


def _draw(axes: Axes, column: int, row: int, cell: Carried | None) -> None:
    box = _box(column, row, COLOUR["rule"], 0.7)
    text = _UNKNOWN
    if cell is not None and cell.known:
        share = min(max(cell.share.value, 0.0), 1.0)
        inner = Rectangle((column - 0.5, row - 0.5), 1, 1, linewidth=0)
        inner.set_facecolor(COLOUR["c1"])
        inner.set_alpha(_STRONGEST * share)
        axes.add_patch(inner)
        text = number(cell.share.value, ".2f")
    elif cell is not None and not cell.fits:
        hatched = _box(column, row, COLOUR["rule"], 0.7)
        hatched.set_hatch("////")
        axes.add_patch(hatched)
        text = "no\nfit"
    axes.add_patch(box)
    axes.text(column, row, text, ha="center", va="center", fontsize=8)


def _box(column: int, row: int, colour: str, width: float) -> Rectangle:
    return Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, edgecolor=colour, linewidth=width)


def _told(cell: Carried) -> str:
    place = f"width {cell.width}, layers {cell.layers}"
    if cell.known:
        return f"{place}: {cell.share:.3f}{', carried' if cell.carried else ''}"
    return f"{place}: {'unknown' if cell.fits else f'does not fit, {cell.note}'}"
