"""Paired differences between routers: the registered comparison with its verdict, and the rest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from qmoe.columns import LIKE, QUANTUM
from qmoe.errors import unknown
from qmoe.metrics import Score, paired_difference
from qmoe.stats import Sample, Verdict, best_control, judge
from qmoe.trial import FEWEST_TRIALS

UNTUNED = "untuned"
BEST_CONTROL = "best control, chosen on validation per seed"


def comparisons(df: pd.DataFrame, baseline: str | None = None, level: float = 0.95) -> pd.DataFrame:
    """Paired differences in accuracy, router minus control, over the seeds that both have.

    Without `baseline` each quantum router is set against the best control and against every
    control. The first is the registered comparison, and the quantum routers of one group (see
    `LIKE`) are one Holm family of `qmoe.stats.judge`. The best control is the one with the highest
    validation accuracy, chosen per seed (ties: fewer router parameters, then the order in the
    table) among the controls that had a search of their own; its test accuracy plays no part.
    With `baseline`, that router is set against every other one.

    Columns: those of `LIKE`, accuracy_on, router, control, chosen (how often each control was the
    best one), seeds, level, difference, difference_low, difference_high (accuracy), verdict,
    reason. A registered comparison has the interval at the level that gave its verdict. All
    others are exploratory: intervals at `level`, not corrected for their number, verdict and
    reason empty. Two verdicts are given beforehand:

    - `untuned` without equal search budgets: the router and the controls of its comparison
      searched different numbers of trials, or fewer than `FEWEST_TRIALS`;
    - `untuned` for every pair where there is no held-out test part or no validation part, so that
      nothing is registered.

    Raises:
        InputError: `baseline` is not in the table.
    """
    if baseline is not None and baseline not in set(df["router"]):
        raise unknown("router", baseline, df["router"].unique())
    keys = [*LIKE, "accuracy_on"]
    rows = [
        {**dict(zip(keys, names, strict=True)), **row}
        for names, group in df.groupby(keys, sort=False)
        for row in (
            _against_controls(group, level)
            if baseline is None
            else _rows(group, baseline, _others(group, baseline), level)
        )
    ]
    columns = [*keys, "router", "control", "chosen", "seeds", "level"]
    ends = ["difference", "difference_low", "difference_high"]
    return pd.DataFrame(rows, columns=[*columns, *ends, "verdict", "reason"])


def overlap(group: pd.DataFrame) -> float:
    """Test rows / training rows where seeds are new splits of one data set, else 0."""
    first = group.iloc[0]
    if first["population"] != "this data set, new split" or first["accuracy_on"] != "test":
        return 0.0
    return float(first["rows_test"] / first["rows_train"]) if first["rows_train"] else 0.0


class _Best(NamedTuple):
    """The best control of a group: its accuracy by seed, and among which it was chosen."""

    accuracy: pd.Series[float]
    chosen: str
    controls: list[str]


def _against_controls(group: pd.DataFrame, level: float) -> Iterator[dict[str, Any]]:
    families = dict(zip(group["router"], group["family"], strict=True))
    controls = [name for name, family in families.items() if family != QUANTUM]
    quantum = [name for name, family in families.items() if family == QUANTUM]
    reason = _unregistered(group)
    best = None if reason or not controls else _best(group, controls)
    verdicts = {} if best is None else _verdicts(group, quantum, best)
    if best is None and not reason:
        reason = "no seed has the figures of every control"
    for router in quantum:
        if best is not None and router in verdicts:
            found = verdicts[router]
            yield _row(
                (router, BEST_CONTROL, best.chosen),
                (found.n, found.level, found.difference),
                (found.word, found.reason),
            )
        for row in _rows(group, router, controls, level):
            yield {**row, "verdict": UNTUNED if reason else "", "reason": reason}


def _rows(
    group: pd.DataFrame, router: str, controls: Sequence[str], level: float
) -> Iterator[dict[str, Any]]:
    """The exploratory rows of a router."""
    # Plain arrays: pandas takes milliseconds per pair, and a study has thousands of them.
    wide = {name: column.to_numpy(dtype="float64") for name, column in _by_seed(group).items()}
    shared = overlap(group)
    for control in controls:
        a, b = wide[router], wide[control]
        both = ~np.isnan(a - b)
        if both.any():
            difference = paired_difference(a[both], b[both], level, shared)
            yield _row((router, control, ""), (int(both.sum()), level, difference), ("", ""))


def _row(
    pair: tuple[str, str, str], found: tuple[int, float, Score], verdict: tuple[str, str]
) -> dict[str, Any]:
    names = ("router", "control", "chosen", "seeds", "level", "difference", "verdict", "reason")
    difference = found[2]
    return {
        **dict(zip(names, (*pair, *found, *verdict), strict=True)),
        "difference": difference.value,
        "difference_low": difference.low,
        "difference_high": difference.high,
    }


def _others(group: pd.DataFrame, baseline: str) -> list[str]:
    names = list(dict.fromkeys(group["router"]))
    return [name for name in names if name != baseline] if baseline in names else []


def _by_seed(group: pd.DataFrame) -> pd.DataFrame:
    return group.pivot(index="seed", columns="router", values="accuracy")


def _unregistered(group: pd.DataFrame) -> str:
    """Why nothing is registered in a group; empty where something is."""
    first = group.iloc[0]
    if not (first["accuracy_on"] == "test" and first["rows_train"]):
        return "no test part was held out"
    if group["accuracy_validation"].isna().all():
        return "there is no validation part to choose on"
    return ""


def _best(group: pd.DataFrame, controls: Sequence[str]) -> _Best | None:
    """The best control of each seed; None where no seed has the figures of every one."""
    part = group[group["router"].isin(controls)]
    # A control without a search of its own would make every comparison untuned.
    searched = part[part["trials"] > 0]
    part = part if searched.empty else searched
    names = list(dict.fromkeys(part["router"]))
    figures = {
        column: part.pivot(index="seed", columns="router", values=column)[names]
        for column in ("accuracy_validation", "accuracy")
    }
    # Where a control failed, the choice would be between fewer than elsewhere.
    whole = pd.concat(list(figures.values()), axis=1).notna().all(axis=1)
    if not whole.any():
        return None
    validation, test = (
        {name: table.loc[whole, name].to_numpy(dtype="float64") for name in names}
        for table in figures.values()
    )
    parameters = part.groupby("router")["router_parameters"].first()
    best = best_control(validation, test, {name: int(parameters[name]) for name in names})
    seeds = whole.index[whole]
    chosen = ", ".join(f"{name}: {times}" for name, times in best.often.items() if times)
    return _Best(pd.Series(best.test, seeds), chosen, names)


def _verdicts(group: pd.DataFrame, quantum: Sequence[str], best: _Best) -> dict[str, Verdict]:
    """The verdict on each quantum router that shares a seed with the best control."""
    wide = _by_seed(group)
    samples, untuned = [], {}
    for router in quantum:
        both = pd.concat([wide[router], best.accuracy.rename(BEST_CONTROL)], axis=1).dropna()
        if both.empty:
            continue
        untuned[router] = _unequal(group, router, best.controls)
        samples.append(
            Sample(
                name=router,
                a=both[router].to_numpy(),
                b=both[BEST_CONTROL].to_numpy(),
                population=group.iloc[0]["population"],
                tuned=not untuned[router],
                overlap=overlap(group),
            )
        )
    return {
        verdict.name: replace(verdict, reason=untuned[verdict.name] or verdict.reason)
        for verdict in judge(samples)
    }


def _unequal(group: pd.DataFrame, router: str, controls: Sequence[str]) -> str:
    """Why a comparison is `untuned`; empty where all sides searched equally many trials."""
    own = int(group.loc[group["router"] == router, "trials"].min())
    trials = group.loc[group["router"].isin([router, *controls]), "trials"]
    low, high = int(trials.min()), int(trials.max())
    if own == 0:
        return "nothing was searched for this router, which reuses a choice made elsewhere"
    if low != high:
        return f"unequal search budgets, from {low} to {high} trials per router"
    if low < FEWEST_TRIALS:
        count = f"{low} trial was" if low == 1 else f"{low} trials were"
        return f"{count} searched per router, where a verdict needs {FEWEST_TRIALS}"
    return ""
