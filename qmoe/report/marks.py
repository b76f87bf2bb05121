"""Marks: the colour and shape that stand for a router everywhere on the page."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from qmoe.columns import QUANTUM
from qmoe.report.svg import COLOUR

# Matplotlib's marker and the same shape in a 12 x 12 box, for use beside names.
_SHAPES = (
    ("o", "M6 2a4 4 0 1 1 0 8a4 4 0 1 1 0-8z"),
    ("s", "M2.5 2.5h7v7h-7z"),
    ("^", "M6 2l4.4 7.8H1.6z"),
    ("D", "M6 1.2L10.8 6 6 10.8 1.2 6z"),
    ("v", "M6 10L1.6 2.2h8.8z"),
    ("P", "M4.4 1.8h3.2v2.6h2.6v3.2H7.6v2.6H4.4V7.6H1.8V4.4h2.6z"),
    ("X", "M3.6 1.6L6 4l2.4-2.4 2 2L8 6l2.4 2.4-2 2L6 8l-2.4 2.4-2-2L4 6 1.6 3.6z"),
    ("*", "M6 1l1.5 3.3 3.6.4-2.7 2.4.8 3.6L6 8.9l-3.2 1.8.8-3.6L.9 4.7l3.6-.4z"),
)
_CONTROLS = tuple(f"c{i}" for i in range(1, 8))


@dataclass(frozen=True, slots=True)
class Mark:
    """How a router is drawn: `name` of a CSS colour variable, marker, and its outline as a path."""

    name: str
    marker: str
    path: str

    @property
    def colour(self) -> str:
        """The colour for matplotlib, which the page turns into its own."""
        return COLOUR[self.name]


def marks(routers: Iterable[tuple[str, str]]) -> dict[str, Mark]:
    """The mark of each router, from (name, family) in order of appearance.

    Quantum routers share the accent colour and differ in shape; controls go through seven colours
    and eight shapes, which are unlike for 56 of them.
    """
    found: dict[str, Mark] = {}
    quantum = controls = 0
    for name, family in routers:
        if name in found:
            continue
        if family == QUANTUM:
            found[name] = Mark("accent", *_SHAPES[quantum % len(_SHAPES)])
            quantum += 1
        else:
            # From the second shape on: the first belongs to the first quantum router.
            shape = _SHAPES[(controls + 1) % len(_SHAPES)]
            found[name] = Mark(_CONTROLS[controls % len(_CONTROLS)], *shape)
            controls += 1
    return found
