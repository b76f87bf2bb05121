"""Results of any run as tidy pandas tables: the same that the CSV files and the page use."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from qmoe.errors import InputError, unknown
from qmoe.metrics import ACCURACY_RANGE, Score, mean_score, paired_difference
from qmoe.record import Record
from qmoe.rundir import ROOT, Run

QUANTUM = "quantum"
UNTUNED = "untuned"
BEST_CONTROL = "best control, chosen on validation per seed"
PARAMETERS = ("router_parameters_paper", "router_parameters", "model_parameters")
SPLITS = ("train", "validation", "test")

LIKE = ["study", "protocol", "dataset", "population", "source"]
"""Columns that must agree before two figures are set beside each other."""


class Column(NamedTuple):
    """What a column of a table holds, and its unit ("" for names and for plain fractions)."""

    meaning: str
    unit: str = ""


COLUMNS: dict[str, Column] = {
    "study": Column("the study that trained the router"),
    "protocol": Column("how it was trained and scored: notebook or controlled"),
    "dataset": Column("the data set, with its parameters"),
    "dataset_digest": Column("digest of the data this seed saw"),
    "population": Column("what a seed draws anew"),
    "source": Column("where the probabilities come from: exact, sampled, ..., device"),
    "router": Column("the router's name"),
    "family": Column("its family; quantum is under test, every other one is a control"),
    "seed": Column("the seed; equal seeds of one protocol and data set are paired"),
    "accuracy_on": Column("the part that accuracy is measured on: test where one is held out"),
    "accuracy": Column("the headline accuracy; empty where it was not finite"),
    "accuracy_train": Column("accuracy on the training part"),
    "accuracy_validation": Column("accuracy on the validation part; empty without one"),
    "accuracy_test": Column("accuracy on the held-out test part; empty without one"),
    "router_parameters_paper": Column(
        "trainable router parameters as arXiv 2512.22296 counts them", "parameters"
    ),
    "router_parameters": Column("trainable parameters of the router as they are", "parameters"),
    "model_parameters": Column("trainable parameters of router and experts", "parameters"),
    "routing_entropy": Column("mean entropy of the gate weights of an input", "bits"),
    "busiest_expert_load": Column("the largest expert load"),
    "expert_load": Column("mean gate weight of each expert, separated by spaces"),
    "rows_train": Column("rows trained on", "rows"),
    "rows_validation": Column("rows that choices were made on", "rows"),
    "rows_test": Column("rows scored once", "rows"),
    "qmoe": Column("version of qmoe"),
    "commit": Column("git commit of the code; empty outside a checkout"),
    "created": Column("when the run was made, UTC"),
    "warnings": Column("what was odd but did not stop the training, separated by |"),
}
"""The columns of `load`, in order.

After them come, sorted, what only some records have: further metrics under their own names
(loss_train, steps, features_clipped, ...) and settings as `setting_<name>`.
"""


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
    """One row per router of each study, protocol and data set: means over seeds, with intervals.

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
        overlap = _overlap(group)
        accuracy = score(group["accuracy"], level, ACCURACY_RANGE, overlap)
        entropy = score(group["routing_entropy"], level, (0.0, math.inf), overlap)
        busiest = score(group["busiest_expert_load"], level, ACCURACY_RANGE, overlap)
        seeds = int(group["accuracy"].notna().sum())
        rows.append(
            {
                **dict(zip(keys, names, strict=True)),
                "seeds": seeds,
                "missing": len(group) - seeds,
                "level": level,
                **_ends("accuracy", accuracy),
                "accuracy_validation": group["accuracy_validation"].mean(),
                **{name: group[name].iloc[0] for name in PARAMETERS},
                **_ends("routing_entropy", entropy),
                **_ends("busiest_expert_load", busiest),
                "load_ranked": _joined(ranked_loads(group).mean(axis=0)),
                **{f"rows_{part}": group[f"rows_{part}"].iloc[0] for part in SPLITS},
                "warnings": int((group["warnings"] != "").sum()),
            }
        )
    return pd.DataFrame(rows)


def comparisons(df: pd.DataFrame, baseline: str | None = None, level: float = 0.95) -> pd.DataFrame:
    """Paired differences in accuracy, router minus control, over the seeds that both have.

    Without `baseline` every quantum router is set against every control and, where there is a
    validation part, against the best control: the one with the highest validation accuracy,
    chosen per seed (ties: fewer router parameters, then the order in the table), never by its
    test accuracy. With `baseline`, that router is set against every other one.

    Columns: those of `LIKE`, accuracy_on, router, control, chosen (how often each control was the
    best one), seeds, level, difference, difference_low, difference_high (accuracy), verdict.
    Intervals are not corrected for the number of comparisons. The verdict is always `untuned`:
    the routers had no equal search budgets, so none is called better or worse.

    Raises:
        InputError: `baseline` is not in the table.
    """
    if baseline is not None and baseline not in set(df["router"]):
        raise unknown("router", baseline, df["router"].unique())
    keys = [*LIKE, "accuracy_on"]
    rows = []
    for names, group in df.groupby(keys, sort=False):
        for pair in _pairs(group, baseline):
            difference = paired_difference(
                pair.router.to_numpy(), pair.control.to_numpy(), level, _overlap(group)
            )
            rows.append(
                {
                    **dict(zip(keys, names, strict=True)),
                    "router": pair.router.name,
                    "control": pair.control.name,
                    "chosen": pair.chosen,
                    "seeds": pair.router.size,
                    "level": level,
                    **_ends("difference", difference),
                    "verdict": UNTUNED,
                }
            )
    columns = [*keys, "router", "control", "chosen", "seeds", "level"]
    ends = ["difference", "difference_low", "difference_high"]
    return pd.DataFrame(rows, columns=[*columns, *ends, "verdict"])


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


class _Pair(NamedTuple):
    router: pd.Series[float]
    control: pd.Series[float]
    chosen: str


def _pairs(group: pd.DataFrame, baseline: str | None) -> Iterator[_Pair]:
    wide = group.pivot(index="seed", columns="router", values="accuracy")
    names = list(dict.fromkeys(group["router"]))
    quantum = list(dict.fromkeys(group.loc[group["family"] == QUANTUM, "router"]))
    routers = quantum if baseline is None else [name for name in names if name == baseline]
    for router in routers:
        controls = [n for n in names if n != router and (baseline or n not in quantum)]
        if baseline is None and controls:
            best, chosen = _best_control(group[group["router"].isin(controls)])
            both = pd.concat([wide[router], best.rename(BEST_CONTROL)], axis=1).dropna()
            if len(both):
                yield _Pair(both[router], both[BEST_CONTROL], chosen)
        for control in controls:
            both = wide[[router, control]].dropna()
            if len(both):
                yield _Pair(both[router], both[control], "")


def _best_control(controls: pd.DataFrame) -> tuple[pd.Series[float], str]:
    """Accuracy by seed of the control that leads on validation, and how often each one did."""
    count = controls["router"].nunique()
    scored = controls.dropna(subset=["accuracy", "accuracy_validation"])
    # Where a control failed, the choice would be between fewer than elsewhere.
    scored = scored[scored.groupby("seed")["router"].transform("size") == count]
    order = scored.sort_values(
        ["accuracy_validation", "router_parameters"], ascending=[False, True], kind="stable"
    )
    best = order.drop_duplicates("seed")
    often = best["router"].value_counts(sort=False)
    names = [name for name in dict.fromkeys(controls["router"]) if name in often.index]
    return (
        best.set_index("seed")["accuracy"],
        ", ".join(f"{name}: {often[name]}" for name in names),
    )


def _overlap(group: pd.DataFrame) -> float:
    first = group.iloc[0]
    if first["population"] != "this data set, new split" or first["accuracy_on"] != "test":
        return 0.0
    return float(first["rows_test"] / first["rows_train"]) if first["rows_train"] else 0.0


def _row(record: Record) -> dict[str, Any]:
    held_out = record.rows.get("test", 0) > 0
    part = "test" if held_out else "train"
    loads = record.expert_load
    named = {name for name in COLUMNS if name in Record.model_fields}
    return {
        **record.metrics,
        **{name: getattr(record, name) for name in named},
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


def _ends(name: str, value: Score) -> dict[str, float]:
    return {name: value.value, f"{name}_low": value.low, f"{name}_high": value.high}
