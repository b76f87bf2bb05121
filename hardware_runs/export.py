"""Raw counts as tables, and figures as JSON in the style of metriq-gym."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import qmoe
from hardware_runs.outcome import Outcome
from hardware_runs.records import Records
from qmoe.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    *("job", "repeat", "block", "execution", "circuit", "kind", "router", "input", "outcome"),
    "count",
)


def table(records: Records) -> pd.DataFrame:
    """One row for each outcome that was seen of each execution.

    `outcome` is the integer, big-endian over the measured qubits; `router` counts from 0 in the
    order of the plan, `input` likewise, and both are -1 for circuits without inputs.
    """
    import pandas as pd

    rows = []
    for row in records.rows:
        one = records.schedule.executions[row.execution]
        name = records.schedule.items[one.item].name
        head = (row.job, row.repeat, one.block, row.execution, name, one.kind, one.router, one.row)
        rows += [(*head, outcome, count) for outcome, count in sorted(row.counts.items())]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def metriq(records: Records, outcome: Outcome) -> dict[str, Any]:
    """The figures of each treatment with the keys that metriq-gym's results have.

    Its own results carry the same parts: app_version, timestamp, suite_id, job_type, platform,
    params and results with a value and an uncertainty.
    """
    provider = records.plan.target.partition(":")[0]
    ended = [job["updated"] for job in records.jobs if job["state"] == "done"]
    results: dict[str, Any] = {}
    for name, treated in outcome.treatments.items():
        for figure in ("accuracy", "distance", "agreement"):
            score = getattr(treated, figure)
            results[f"{name} {figure}"] = {
                "value": score.value,
                "uncertainty": _half(score.low, score.high),
            }
    return {
        "app_version": f"qmoe-bench {qmoe.__version__}",
        "timestamp": max(ended, default=None),
        "suite_id": records.plan.id,
        "job_type": f"qmoe router: {records.plan.design.name}",
        "platform": {
            "provider": provider,
            "device": records.plan.target,
            "device_metadata": {
                "source": list(records.sources),
                "calibrated_at": records.schedule.compiled.calibrated_at,
                "physical_qubits": list(records.schedule.compiled.physical),
            },
        },
        "params": records.plan.design.to_dict(),
        "results": results,
    }


def write(path: Path, fill: Callable[[Path], object]) -> None:
    """A new file that appears whole, or not at all.

    Raises:
        InputError: It is there already, or cannot be written.
    """
    if path.exists():
        raise InputError(got=f"{path}, which exists", expected="a new file", do="name another one")
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        fill(partial)
        os.replace(partial, path)
    except OSError as error:
        raise InputError(
            got=f"{path} ({error.strerror or error})",
            expected="a file that can be written",
            do="name another one",
        ) from error
    finally:
        partial.unlink(missing_ok=True)


def csv(records: Records, path: Path) -> None:
    """The table as CSV."""
    write(path, lambda to: table(records).to_csv(to, index=False))


def parquet(records: Records, path: Path) -> None:
    """The table as Parquet."""
    write(path, lambda to: table(records).to_parquet(to, index=False))


def metriq_json(records: Records, outcome: Outcome, path: Path) -> None:
    """The figures as JSON."""
    text = json.dumps(metriq(records, outcome), indent=2, allow_nan=False) + "\n"
    write(path, lambda to: to.write_text(text, encoding="utf-8"))


def _half(low: float, high: float) -> float | None:
    return (high - low) / 2 if low == low and high == high else None
