"""What ran a router: a device, the loopback of one or a simulation, told apart in drawings."""

from __future__ import annotations

from typing import Final, NamedTuple

from matplotlib.axes import Axes

from qmoe.metrics import Score
from qmoe.report.svg import COLOUR


class Kind(NamedTuple):
    """A kind of source: its word, which stands at every mark, its marker and name of a colour."""

    word: str
    marker: str
    name: str

    @property
    def colour(self) -> str:
        """The colour for matplotlib, which the page turns into its own."""
        return COLOUR[self.name]


SIMULATED: Final = Kind("simulated", "o", "c1")
LOOPBACK: Final = Kind("loopback", "s", "c4")
DEVICE: Final = Kind("device", "D", "accent")


def kind_of(source: str) -> Kind:
    """The kind of a source.

    >>> [kind_of(source).word for source in ("device", "loopback", "twin")]
    ['device', 'loopback', 'simulated']
    """
    return {"device": DEVICE, "loopback": LOOPBACK}.get(source, SIMULATED)


def mark(axes: Axes, score: Score, y: float | int, kind: Kind) -> None:
    """A score on a level line: its interval, if it has one, and its mark."""
    if score.has_interval:
        ends = [score.low, score.high]
        axes.plot(ends, [y, y], color=kind.colour, linewidth=1.4, solid_capstyle="butt")
    point(axes, score.value, y, kind)


def point(axes: Axes, x: float | int, y: float | int, kind: Kind, *, hollow: bool = False) -> None:
    """The mark alone."""
    axes.plot(
        [x],
        [y],
        kind.marker,
        color=kind.colour,
        markerfacecolor="none" if hollow else kind.colour,
        markersize=5.5,
        markeredgewidth=1.0 if hollow else 0.0,
    )
