"""Carrying out a suite: plans in, the folder of a finished run out.

The folder holds `records.jsonl` (one record per study, family and seed), `evidence.json.gz` (every
cell with all its trials, every figure), and maps and checkpoints of what a plan shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from qmoe.cell import Cell, CellResult
from qmoe.checkpoint import save
from qmoe.claims import with_verdicts
from qmoe.dotted import named
from qmoe.evidence import Evidence
from qmoe.plan import Done, Plan, all_cells, all_measurements, carry_out
from qmoe.progress import Progress
from qmoe.provenance import Provenance
from qmoe.rows import checkpoint, records, routing_map
from qmoe.rundir import ROOT, RunWriter
from qmoe.store import Store, folder_of


@dataclass(frozen=True, slots=True)
class Job:
    """How a run is carried out: what does not change its numbers, and where it goes."""

    provenance: Provenance
    progress: Progress
    workers: int = 1
    device: str = "cpu"
    out: Path | None = None


def unfinished(name: str, plans: Sequence[Plan], job: Job) -> Store:
    """The store of an unfinished run of these plans by this code, beside where runs go."""
    parts = [*(c.key for c in all_cells(plans)), *(m.key for m in all_measurements(plans))]
    root = ROOT if job.out is None else job.out.parent
    versions = {**job.provenance.versions, "python": job.provenance.python, "device": job.device}
    return Store(folder_of(root, name, {**versions, "parts": " ".join(sorted(parts))}))


def execute(name: str, plans: Sequence[Plan], store: Store, job: Job) -> Path:
    """Trains what the store lacks and writes the run's folder, whole or not at all.

    An interrupted run leaves its finished parts in the store; the same call goes on from there.

    Raises:
        InputError: Nothing to do in a plan, data that are not there, or a folder in use.
    """
    total = sum(cell.models for cell in all_cells(plans)) + len(all_measurements(plans))
    with job.progress(name, total) as advance:
        done = carry_out(
            plans, store=store, workers=job.workers, device=job.device, advance=advance
        )
    with RunWriter(name, job.provenance, out=job.out) as writer:
        for plan in plans:
            for cell, result in zip(plan.cells, done.results(plan), strict=True):
                for record in records(cell, result, plan.study, job.provenance):
                    writer.add(record)
                if plan.shown:
                    _show(writer, job, cell, result, plan.trained_for)
        for plan in plans:
            _map(writer, plan, done)
        evidence(plans, done, job.provenance).write(writer.path("evidence.json.gz"))
    store.drop()
    return writer.out


def evidence(plans: Sequence[Plan], done: Done, provenance: Provenance) -> Evidence:
    """Everything that was found, which study asked for what, and the verdicts that follow."""
    found = Evidence(
        provenance=provenance,
        results=tuple(done.cells.values()),
        figures=tuple(done.figures.values()),
        studies={
            plan.study: (*(c.key for c in plan.cells), *(m.key for m in plan.measurements))
            for plan in plans
        },
    )
    return with_verdicts(found)


def _show(writer: RunWriter, job: Job, cell: Cell, result: CellResult, trained_for: str) -> None:
    shown = routing_map(cell, result)
    if shown is not None:
        writer.add_map(result.router, shown)
    kept = checkpoint(cell, result, job.provenance)
    text = f"{result.protocol}-{result.dataset}-{result.router}"
    if kept is not None:
        save(writer.path(f"checkpoints/{_plain(text)}"), kept)
    if trained_for:
        # a room above: imported by name, when it is used
        made = named("hardware_runs.treatments:checkpoint_for")
        for_it = made(cell, result, trained_for, job.provenance)
        save(writer.path(f"checkpoints/{_plain(f'{text} for {trained_for}')}"), for_it)


def _map(writer: RunWriter, plan: Plan, done: Done) -> None:
    for cell, target, inputs in plan.maps:
        result = done.cells[cell.key]
        # a room above: imported by name, when it is used
        made = named("hardware_runs.target_maps:target_map")(cell, result, target, inputs)
        if made is not None:
            writer.add_map(result.router, made)


def _plain(text: str) -> str:
    return "".join(c if c.isalnum() else "-" for c in text)
