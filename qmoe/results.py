"""Results of any run as tidy pandas tables: the same that the CSV files and the page use."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from qmoe.columns import COLUMNS, COSTS, LIKE, PARAMETERS, SPLITS
from qmoe.compare import BEST_CONTROL, comparisons, overlap
from qmoe.errors import InputError
from qmoe.metrics import ACCURACY_RANGE, Score, mean_score
from qmoe.record import Record
from qmoe.rundir import ROOT, Run

__all__ = ["BEST_CONTROL", "COLUMNS", "comparisons", "load", "ranked_loads", "summary", "table"]


def load(run: Run | Path | str, root: Path = ROOT) -> pd.DataFrame:
    """One row per study, protocol, data set, router and seed of a run; see `COLUMNS`.

    Args:
        run: a run, its folder, its id, or "latest".
        root: where ids and "latest" are looked up.

    Raises:
        InputError: no such run, a damaged one, or one that holds the same result twice.
    """
    return table((run if isinstance(run, Run) else Run.open(run, root)).records)


def table(records: Iterable[Record]) -> pd.DataFrame:
    """The table of `load`, from records."""
    frame = pd.DataFrame([_row(record) for record in records])
    further = sorted(c for c in frame.columns if c not in COLUMNS)
    frame = frame.reindex(columns=[*COLUMNS, *further])
    key = [*LIKE, "router", "seed"]
    twice = frame.duplicated(key)
    if twice.any():
        first = frame.loc[twice, key].iloc[0].to_dict()
        raise InputError(
            got=f"two records of {', '.join(f'{k} {v}' for k, v in first.items())}",
            expected="one record per router and seed",
            do="give routers that differ different names",
        )
    return frame


def summary(df: pd.DataFrame, level: float = 0.95) -> pd.DataFrame:
    """One row per router of each study, data set, ...: means over seeds, with intervals.

    `accuracy`, `routing_entropy` and `busiest_expert_load` are means with `_low` and `_high`, the
    ends of a Student t interval over seeds at `level` (accuracies cut to [0, 1]; one seed has no
    interval; new splits of one data set get the wider one of Nadeau and Bengio).
    `accuracy_on` says which part of the data was scored, `seeds` how many have an accuracy and
    `missing` how many have none. `load_ranked` is the mean load of the busiest expert, of the
    second busiest, ...: sorted within each seed first, since experts change places between seeds.
    Rows stand in the order in which routers first appear.
    """
    keys = [*LIKE, "accuracy_on", "router", "family"]
    rows = []
    for names, group in df.groupby(keys, sort=False):
        shared = overlap(group)
        accuracy = score(group["accuracy"], level, ACCURACY_RANGE, shared)
        entropy = score(group["routing_entropy"], level, (0.0, math.inf), shared)
        busiest = score(group["busiest_expert_load"], level, ACCURACY_RANGE, shared)
        seeds = int(group["accuracy"].notna().sum())
        rows.append(
            {
                **dict(zip(keys, names, strict=True)),
                "seeds": seeds,
                "missing": len(group) - seeds,
                "level": level,
                **ends("accuracy", accuracy),
                "accuracy_validation": group["accuracy_validation"].mean(),
                "trials": group["trials"].iloc[0],
                **{name: group[name].iloc[0] for name in (*PARAMETERS, *COSTS)},
                **ends("routing_entropy", entropy),
                **ends("busiest_expert_load", busiest),
                "load_ranked": _joined(ranked_loads(group).mean(axis=0)),
                **{f"rows_{part}": group[f"rows_{part}"].iloc[0] for part in SPLITS},
                "warnings": int((group["warnings"] != "").sum()),
            }
        )
    return pd.DataFrame(rows)


def score(
    values: pd.Series[float],
    level: float = 0.95,
    limits: tuple[float, float] = (-math.inf, math.inf),
    overlap: float = 0.0,
) -> Score:
    """`mean_score` of a column without its empty cells; all nan where nothing is left."""
    finite = values.dropna().to_numpy(dtype=np.float64)
    if finite.size == 0:
        return Score(math.nan, math.nan, math.nan)
    return mean_score(finite, level, limits, overlap)


def ranked_loads(group: pd.DataFrame) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The expert loads (seed, expert) of one router's rows, busiest first within each seed."""
    loads = [[float(v) for v in text.split()] for text in group["expert_load"]]
    # A router whose number of experts differs between seeds has no common ranking.
    if len({len(row) for row in loads}) != 1:
        return np.empty((len(loads), 0))
    return -np.sort(-np.asarray(loads, dtype=np.float64), axis=1)


def _row(record: Record) -> dict[str, Any]:
    held_out = record.rows.get("test", 0) > 0
    part = "test" if held_out else "train"
    loads = record.expert_load
    named = {name for name in COLUMNS if name in Record.model_fields}
    return {
        **record.metrics,
        **{name: getattr(record, name) for name in named},
        "experts": record.settings.get("experts", 0),
        "trials": record.settings.get("trials", 1),
        "accuracy_on": part,
        "accuracy": record.metrics.get(f"accuracy_{part}", math.nan),
        "busiest_expert_load": max(loads, default=math.nan),
        "expert_load": _joined(loads),
        **{f"rows_{name}": record.rows.get(name, 0) for name in SPLITS},
        "qmoe": record.provenance.qmoe,
        "commit": record.provenance.commit or "",
        "created": record.provenance.created,
        "warnings": " | ".join(record.warnings),
        **{f"setting_{name}": value for name, value in record.settings.items()},
    }


def _joined(values: Iterable[float] | Sequence[float]) -> str:
    return " ".join(repr(float(value)) for value in values)


def ends(name: str, value: Score) -> dict[str, float]:
    """A score as columns of a table: the name alone, with `_low`, and with `_high`."""
    return {name: value.value, f"{name}_low": value.low, f"{name}_high": value.high}
