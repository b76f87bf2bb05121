"""Progress of long work: a bar on a terminal, silence elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol, runtime_checkable

Advance = Callable[[int], None]


@runtime_checkable
class Progress(Protocol):
    """Opens a task and gives a function that is told how many of its units are done."""

    def __call__(self, title: str, total: int) -> AbstractContextManager[Advance]:
        """A task of `total` units; the bar, if any, goes away when the block ends."""
        ...


@contextmanager
def silent(title: str, total: int) -> Iterator[Advance]:
    """No bar."""
    yield lambda done: None


@contextmanager
def bar(title: str, total: int) -> Iterator[Advance]:
    """A bar on standard error, so that standard output stays for results."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:3.0f} %"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(title, total=total)
        yield lambda done: progress.update(task, completed=done)


def choose(*, wanted: bool = True) -> Progress:
    """The bar where standard error is a terminal and nobody asked for quiet."""
    return bar if wanted and sys.stderr.isatty() else silent
