"""How long a run will take: models times seconds, measured on this machine before it starts."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from qmoe.cell import Cell
from qmoe.plan import Plan, all_cells, all_measurements
from qmoe.tune import TOGETHER, tune

SHARE = 20  # an estimate trains about a twentieth of the epochs
FEW_SEEDS = 2


@dataclass(frozen=True, slots=True)
class Estimate:
    """The work of a study: its own models (not those of studies before it) and their time."""

    study: str
    cells: int
    models: int
    seconds: float
    measurements: int


def estimate(plans: Sequence[Plan]) -> tuple[Estimate, ...]:
    """One row per study; seconds of one core, training alone (measurements are not timed).

    Of every kind of model one small program is trained for a twentieth of its epochs; kinds that
    differ in the noise of their data or in their trials cost the same.
    """
    seen: set[str] = set()
    prices: dict[str, float] = {}
    out = []
    for plan in plans:
        new = [cell for cell in all_cells([plan]) if cell.key not in seen]
        seen |= {cell.key for cell in new}
        seconds = 0.0
        for cell in new:
            kind = _kind(cell)
            if kind not in prices:
                prices[kind] = price(cell)
            seconds += prices[kind] * cell.models
        out.append(
            Estimate(
                plan.study,
                len(new),
                sum(cell.models for cell in new),
                seconds,
                len(all_measurements([plan])),
            )
        )
    return tuple(out)


def price(cell: Cell) -> float:
    """Seconds per model of a cell, measured: a fixed part, and one that grows with the epochs."""
    seeds = cell.seeds[:FEW_SEEDS]
    trials = (cell.like or cell).trials[: max(1, TOGETHER // 2 // len(seeds))]
    fewest = 2 * int(cell.options.get("layers", 1)) if cell.config.layerwise else 1
    some = fewest + max(1, cell.config.epochs // SHARE)
    small = replace(cell, seeds=seeds, trials=trials, like=None)
    _seconds(small, fewest)  # prepares the data, and compiles what is compiled
    fixed = _seconds(small, fewest)
    slope = max(0.0, _seconds(small, some) - fixed) / (some - fewest)
    return (fixed + slope * (cell.config.epochs - fewest)) / small.models


def _seconds(cell: Cell, epochs: int) -> float:
    started = time.perf_counter()
    tune(replace(cell, config=replace(cell.config, epochs=epochs)))
    return time.perf_counter() - started


def _kind(cell: Cell) -> str:
    described = cell.to_dict()
    for name in ("trials", "seeds", "like", "root", "label", "family"):
        described.pop(name, None)
    described["data"] = cell.data.name
    return json.dumps(described, sort_keys=True)


def written(rows: Sequence[Estimate], workers: int, done: int = 0) -> str:
    """The estimate as lines of text: models x seconds = minutes, per study and in all."""
    lines = []
    for row in rows:
        each = row.seconds / row.models if row.models else 0.0
        lines.append(
            f"{row.study:14} {row.cells:4} cells  {row.models:7,} models x {each:.3f} s "
            f"= {row.seconds / 60:5.1f} min"
            + (f"  + {row.measurements} measurements" if row.measurements else "")
        )
    models, seconds = sum(r.models for r in rows), sum(r.seconds for r in rows)
    lines.append(
        f"{'in all':14} {sum(r.cells for r in rows):4} cells  {models:7,} models, "
        f"{seconds / 60:.1f} min of one core, about {seconds / 60 / workers:.0f} min "
        f"with {workers} workers"
    )
    if done:
        lines.append(f"going on from an interrupted run: {done} parts are done already")
    return "\n".join(lines)
