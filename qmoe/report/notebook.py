"""Results in a notebook: the first screen as one small piece of HTML.

It has no script, and styles of its own; all data is escaped as on the page.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from qmoe.report.page import environment
from qmoe.report.rich_tables import Block, Grid, blocks, visible
from qmoe.report.words import number, typeset, written
from qmoe.rundir import Run

MAX_BYTES: Final = 100_000
LONGEST: Final = 2000
"""Characters of a sentence, which may name every router of a group."""
_MOST = 64


def run_html(run: Run) -> str:
    """A run: per group its routers, the headline and the verdicts; its targets and experiments.

    Less than `MAX_BYTES`; what does not fit is left to the page, and that is said.

    Raises:
        InputError: the run is damaged.
    """
    title = f"Run {run.id}, suite {run.suite}"
    return blocks_html(title, tuple(blocks(run)), f"qmoe report {run.id}")


def outcome_html(outcome: Any) -> str:
    """What an experiment on a device says, a `hardware_runs.outcome.Outcome`; sizes as above."""
    rows = tuple(
        (
            row.name,
            written(row.accuracy),
            number(sum(told.exact for told in row.by_router) / len(row.by_router)),
            "–" if row.retention is None else number(row.retention.value, ".2f"),
            number(row.distance.value),
            number(row.floor),
        )
        for row in outcome.treatments.values()
    )
    sources = ", ".join(outcome.sources) or "nothing collected"
    primary = outcome.primary
    said = "nothing counts" if primary is None else f"{primary.word}: {typeset(primary.reason)}"
    block = Block(
        f"{outcome.suite} on {outcome.target} ({sources})",
        Grid(("treatment", "accuracy", "exact", "R", "TV", "floor"), rows) if rows else None,
        (f"device minus exact: {said}", *outcome.departures),
    )
    return blocks_html(f"Plan {outcome.plan}", (block,), "")


def blocks_html(title: str, found: Sequence[Block], command: str) -> str:
    """Blocks as HTML of less than `MAX_BYTES`; `command` makes the page that has the rest."""
    template = environment().get_template("notebook.html.j2")
    most = _MOST
    while True:
        text = template.render(
            title=_cut(title),
            blocks=tuple(_shortened(found, most)),
            command=_cut(command),
            left_out=len(found) > most or any(_longer(block, most) for block in found),
        )
        if len(text.encode()) < MAX_BYTES or most == 1:
            return text
        most //= 2


def _shortened(found: Sequence[Block], most: int) -> Iterator[Block]:
    """The first blocks, `most` at most, with as many rows and sentences."""
    for block in found[:most]:
        grid = block.grid
        rows = tuple(tuple(map(_cut, row)) for row in grid.rows[:most]) if grid else ()
        yield Block(
            _cut(block.title),
            Grid(grid.headers, rows, grid.names) if grid else None,
            tuple(map(_cut, block.sentences[:most])),
        )


def _longer(block: Block, most: int) -> bool:
    rows = block.grid.rows if block.grid else ()
    texts = (block.title, *block.sentences, *(text for row in rows for text in row))
    return max(len(rows), len(block.sentences)) > most or max(map(len, texts)) > LONGEST


def _cut(text: str) -> str:
    return visible(text if len(text) <= LONGEST else text[: LONGEST - 1] + "…")
