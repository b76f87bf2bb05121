"""The outcome of a run in a terminal, or as JSON: the figures of the page's first screen."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console, RenderableType

from qmoe.report.content import gather
from qmoe.report.rich_tables import Block, rendered, text_of
from qmoe.rundir import Run


def show(found: Iterable[Block]) -> None:
    """Prints blocks: fitted to a terminal, and as whole lines where none is there to read."""
    found = iter(found)
    if not sys.stdout.isatty():
        print(text_of(found))
        return
    console = Console(highlight=False)
    each: RenderableType
    for each in rendered(found):
        console.print(each)


def summary_json(runs: Run | Sequence[Run]) -> dict[str, Any]:
    """The tables of the report by name, but for the one with a row per seed."""
    tables = gather([runs] if isinstance(runs, Run) else runs).tables()
    tables.pop("results", None)
    return {name: json.loads(each.to_json(orient="records")) for name, each in tables.items()}
