"""What a benchmark says: one row per implementation, plain values and printed lines."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from benchmarks.figures.speed.timing import Timing


@dataclass(frozen=True, slots=True)
class Row:
    """One implementation on one workload.

    Attributes:
        section: "router" or "training".
        work: The size, as printed.
        name: The implementation.
        timing: Seconds of one step (router) or of the whole run per model (training); None where
            it was not timed, and `note` says why.
        ratio: Its median over that of ours; None for ours and where nothing was timed.
        difference: The largest difference from ours, in probabilities and gradients (router) or
            in losses (training); None for ours.
        first: Seconds of the first call, compilation included, per model in training.
        note: What a reader must know about the row.
    """

    section: str
    work: str
    name: str
    timing: Timing | None = None
    ratio: float | None = None
    difference: float | None = None
    first: float | None = None
    note: str = ""


HEADER = (
    f"  {'':42} {'median':>10} {'quartiles':>21} {'x ours':>8} {'differs':>8} {'first call':>10}"
)


def line(row: Row) -> str:
    """One printed line of a table."""
    if row.timing is None:
        return f"  {row.name:42} {row.note}"
    spread = f"{_seconds(row.timing.low)} .. {_seconds(row.timing.high)}"
    ratio = "1" if row.ratio is None else f"{row.ratio:.3g}"
    difference = "" if row.difference is None else f"{row.difference:.0e}"
    first = "" if row.first is None else _seconds(row.first)
    text = (
        f"  {row.name:42} {_seconds(row.timing.median):>10} {spread:>21} {ratio:>8}"
        f" {difference:>8} {first:>10}"
    )
    return f"{text}  {row.note}".rstrip()


def table(title: str, rows: Iterable[Row]) -> str:
    """The rows of one workload under their title."""
    return "\n".join([title, HEADER, *map(line, rows)])


def _seconds(value: float) -> str:
    """A duration in the unit that reads best."""
    for factor, unit in ((1.0, "s"), (1e3, "ms"), (1e6, "us")):
        if value * factor >= 1 or unit == "us":
            break
    return f"{value * factor:.3g} {unit}"
