"""Tables as text: what a rendering of them starts from, whatever they show."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from qmoe.metrics import Score
from qmoe.report.words import number, source_label, written

MISSING: Final = "–"
INTERVAL: Final = "[95\xa0% interval]"
EMULATED: Final = "synthetic"
"""The source of noise studies and of emulated devices, whose rows name none of their own."""
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*")


@dataclass(frozen=True, slots=True)
class Column:
    """The head of a column: its name, unit ("" for plain fractions and names), and side."""

    name: str
    unit: str = ""
    right: bool = False

    @property
    def text(self) -> str:
        """Name and unit on one line."""
        return f"{self.name} {self.unit}" if self.unit else self.name


WHERE: Final = (Column("Target"), Column("Source"))
"""The first columns of every table whose rows may come from different sources."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A table as plain text, figures as the page writes them; a missing one is an en dash.

    `key` is unique in a report and safe in a file's name. `source` says where the figures come
    from; where rows differ in that, a column says it as well.
    """

    key: str
    title: str
    note: str
    head: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    source: str

    def __post_init__(self) -> None:
        if not _KEY.fullmatch(self.key):
            raise ValueError(f"got key {self.key!r}; expected letters, digits and hyphens")
        if any(len(row) != len(self.head) for row in self.rows):
            raise ValueError(f"got rows of {self.key!r} that are no rows of {len(self.head)} cells")


def scored(score: Score, spec: str = ".3f") -> str:
    r"""A figure with its interval, alone where it has none, or an en dash.

    >>> scored(Score(0.98, 0.979, 0.986)), scored(Score(math.nan, math.nan, math.nan))
    ('0.980\xa0[0.979,\xa00.986]', '–')
    """
    if not math.isfinite(score.value):
        return MISSING
    return written(score, spec) if score.has_interval else number(score.value, spec)


def sources_of(found: Iterator[str] | Sequence[str]) -> str:
    """What sources are called, each once; a source of several experiments names several."""
    names = dict.fromkeys(name for text in found for name in text.split(", ") if name)
    return "; ".join(source_label(name) for name in names) or "nothing collected"


def pruned(table: Shown) -> Shown:
    """Without the columns that have nothing in any row; the source always stays."""
    kept = [
        k
        for k, column in enumerate(table.head)
        if column in WHERE or not table.rows or any(row[k] != MISSING for row in table.rows)
    ]
    rows = tuple(tuple(row[k] for k in kept) for row in table.rows)
    return replace(table, head=tuple(table.head[k] for k in kept), rows=rows)
