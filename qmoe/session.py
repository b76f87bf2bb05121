"""What every command that trains does around the training: check, carry out, report, tell."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from qmoe.errors import InputError

if TYPE_CHECKING:
    from qmoe.plan import Plan
    from qmoe.provenance import Provenance


def finish(
    plans: Sequence[Plan],
    name: str,
    seed: int,
    workers: int | None,
    device: str,
    out: Path | None,
    json_: bool,
    *,
    threads: int = 1,
    estimated: bool = False,
    resumable: bool = True,
) -> None:
    """Carries plans out into a folder, writes the report, says what came out."""
    from qmoe.angles import whole
    from qmoe.estimate import estimate, written
    from qmoe.execution import Job, execute, unfinished
    from qmoe.progress import choose
    from qmoe.rundir import check_free
    from qmoe.store import Store

    if out is not None:
        check_free(out)
    count = os.cpu_count() or 1 if workers is None else whole(workers, "workers", 1)
    provenance = _prepare(seed, threads, device)
    job = Job(provenance, choose(wanted=not json_), count, device, out)
    # one program of one router is not worth going on from, and its data may be a changing file
    store = unfinished(name, plans, job) if resumable else Store(None)
    if estimated:
        typer.echo(written(estimate(plans), count, store.count()), err=json_)
    try:
        folder = execute(name, plans, store, job)
    except KeyboardInterrupt:
        if store.count():
            typer.echo("what is finished is kept: the same command goes on from there", err=True)
        raise
    tell(folder, None, json_)


def _prepare(seed: int, threads: int, device: str) -> Provenance:
    """Sets the number of threads, checks the device, and notes where results come from."""
    import torch

    from qmoe.angles import whole
    from qmoe.provenance import capture

    torch.set_num_threads(whole(threads, "number of threads", 1))
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(
            got=f"device {device!r}",
            expected="a torch device of this machine",
            do="use --device cpu",
        ) from error
    return capture(whole(seed, "seed"), threads=threads)


def tell(folder: Path, out: Path | None, json_: bool) -> None:
    """Writes the page of a run and prints its outcome."""
    from qmoe.report import write_report
    from qmoe.report.rich_tables import blocks
    from qmoe.report.terminal import show, summary_json
    from qmoe.rundir import Run

    finished = Run.open(folder)
    page = write_report(finished, out or folder / "report")
    if json_:
        typer.echo(json.dumps({"run": str(folder), "report": str(page), **summary_json(finished)}))
        return
    show(blocks(finished))
    typer.echo(f"run     {folder}\nreport  {page}")
