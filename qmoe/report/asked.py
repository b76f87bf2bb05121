"""The runs that a reader names: folders, ids, or plans in the ledger of hardware runs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from qmoe.dotted import named
from qmoe.errors import InputError
from qmoe.rundir import Run

_PLAN = re.compile(r"[0-9a-f]{8,64}")


def opened(names: Sequence[str], folder: Path) -> list[Run]:
    """The runs with these names, each once; a plan becomes a run below `folder`.

    Raises:
        InputError: no such run or plan, or a damaged one; a run that is named twice.
    """
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise InputError(
            got=f"run {min(twice)} twice", expected="each run once", do="leave one out"
        )
    return [_one(name, folder) for name in names]


def _one(name: str, folder: Path) -> Run:
    try:
        return Run.open(name)
    except InputError:
        # an id of the ledger looks like no folder: hexadecimal digits alone
        if not _PLAN.fullmatch(name) or Path(name).exists():
            raise
    # a room above: imported by name, when it is used
    return Run.open(named("hardware_runs.run_folder:as_run")(name, folder / f"plan-{name}"))
