"""What two runs can have in common: routers, targets and experiments, with the change of each."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float64

from qmoe.arrays import Floats
from qmoe.columns import LIKE
from qmoe.compare import overlap
from qmoe.evidence import Evidence
from qmoe.figure import Figure
from qmoe.metrics import Score
from qmoe.record import Record, Scalar
from qmoe.report.change_stats import Difference, paired, proportions, unpaired
from qmoe.report.stored import measured, score_of
from qmoe.report.targets import TargetRow, targets
from qmoe.report.words import ON, counted, source_label
from qmoe.results import table

UNCHANGED: Final = "unchanged"
HIGHER: Final = "higher"
LOWER: Final = "lower"
NO_CHANGE: Final = "no significant change"
ONE_EACH: Final = "one value each, not tested"
TOO_FEW: Final = "too few values, not tested"
WORDS: Final = (HIGHER, LOWER, NO_CHANGE, UNCHANGED, ONE_EACH, TOO_FEW)

# Of experiments on devices, the figures that only have their mean.
_DESCRIBED = tuple(
    f"hardware {name}" for name in ("accuracy", "retention", "total variation", "top-1 agreement")
)
# Labels in which equal experiments of two days differ.
_OF_THE_DAY = ("plan", "occasion", "calibrated", "calibration", "checkpoints")


@dataclass(frozen=True, slots=True)
class Change:
    """One figure of both runs.

    Attributes:
        kind: router, target, device or hardware.
        group: What is equal on both sides.
        name: Whose figure it is.
        figure: Which one.
        a: Its value in A, or the mean over the seeds compared.
        b: The same in B.
        basis: How many values of what were compared, and how.
        difference: B minus A with its 95 % interval; nan ends where there is none.
        p: Of no difference, two-sided; None where nothing was tested.
        adjusted: The same by Holm over everything tested.
        word: One of `WORDS`.
        note: What a reader has to know beside it.
    """

    kind: str
    group: str
    name: str
    figure: str
    a: float
    b: float
    basis: str
    difference: Score
    p: float | None = None
    adjusted: float | None = None
    word: str = UNCHANGED
    note: str = ""


class Found(NamedTuple):
    """Something of one run that has a counterpart with the same key in the other.

    `within` tells several of one key apart; `text` names it where there is no counterpart.
    """

    key: tuple[Scalar, ...]
    within: str
    text: str
    of: Any


def routers(records: Sequence[Record]) -> Iterator[Found]:
    """Every router of every group of like figures, with its rows of `qmoe.results.table`."""
    if not records:
        return
    for key, rows in table(records).groupby([*LIKE, "accuracy_on", "router"], sort=False):
        like = rows.iloc[0]
        experts = f", {counted(int(like['experts']), 'expert')}" if like["experts"] else ""
        group = (
            f"{like['dataset']}{experts}, study {like['study']}, protocol {like['protocol']}: "
            f"accuracy on {ON[like['accuracy_on']]} ({like['population']}), {like['source']}"
        )
        text = f"{like['router']}: {group}"
        yield Found(tuple(map(str, key)), "", text, (group, str(like["router"]), rows))


def router(one: Found, two: Found) -> Iterator[Change]:
    """The change of a router's accuracy."""
    group, name, rows = one.of
    a, b = _by_seed(rows), _by_seed(two.of[2])
    shared = sorted(a.keys() & b.keys())
    same = all(a[seed][1] == b[seed][1] for seed in shared)
    x, y = (_known([side[seed][0] for seed in shared]) for side in (a, b))
    change = Change("router", group, name, "accuracy", _mean(x), _mean(y), "", _difference(x, y))
    rest = "" if len(shared) == len(a) == len(b) else f" of {len(a)} and {len(b)}"
    change = replace(change, basis=f"{counted(len(shared), 'paired seed')}{rest}")
    if shared and np.array_equal(x, y) and (same or not rest):
        yield replace(change, note="" if same else "equal figures from data that differ")
    elif len(shared) >= 2 and same:
        yield _told(change, paired(x, y, overlap(rows)))
    else:
        why = "fewer than two seeds are in both" if same else "equal seeds saw other data"
        x, y = (_known([value for value, _ in side.values()]) for side in (a, b))
        change = replace(change, a=_mean(x), b=_mean(y), difference=_difference(x, y), note=why)
        change = replace(change, basis=f"{len(x)} and {counted(len(y), 'seed')}, unpaired")
        if min(len(x), len(y)) >= 2:
            yield _told(change, unpaired(x, y, (overlap(rows), overlap(two.of[2]))))
        else:
            yield replace(change, word=ONE_EACH if len(x) == len(y) == 1 else TOO_FEW)


def run_targets(evidence: Evidence | None) -> Iterator[Found]:
    """Every target that was run, with its row of the report."""
    for each in targets(evidence):
        for row in each.rows:
            if row.ran:
                key = (each.router, each.dataset, each.seed, each.inputs)
                own = (row.target, row.mitigation, row.source, row.shots)
                shots = f"{counted(row.shots, 'shot')} each" if row.shots else "no shots"
                group = (
                    f"{each.router}, seed {each.seed}: {counted(each.inputs, 'test input')} of "
                    f"{each.dataset}, {shots}"
                )
                name = f"{row.name} ({source_label(row.source)})"
                checkpoint = str(row.figures[0].labels.get("checkpoint", ""))
                of = (group, name, each.inputs, row, checkpoint)
                text = f"{name}: {group}{checkpoint and f', checkpoint {checkpoint}'}"
                yield Found((*key, *own), checkpoint, text, of)


def target(one: Found, two: Found) -> Iterator[Change]:
    """The changes of a target: accuracy, and total variation to the ideal router."""
    group, name, inputs, a, trained = one.of
    b: TargetRow = two.of[3]
    noted = []
    if trained and two.of[4] and trained != two.of[4]:
        noted.append("the two routers were trained differently")
    if a.calibrated != b.calibrated:
        noted.append(f"calibrated {a.calibrated or 'never'} and {b.calibrated or 'never'}")
    change = Change(
        "target",
        group,
        name,
        "accuracy",
        a.accuracy.value,
        b.accuracy.value,
        f"{counted(inputs, 'input')} each, taken as independent",
        _bare(a.accuracy.value, b.accuracy.value),
        note="; ".join(noted),
    )
    right = [round(row.accuracy.value * inputs) for row in (a, b)]
    yield change if right[0] == right[1] else _told(change, proportions(right[0], right[1], inputs))
    if math.isfinite(a.distance.value) and math.isfinite(b.distance.value):
        yield _described(replace(change, figure="total variation"), a.distance, b.distance)


def figures(evidence: Evidence | None, study: str) -> Iterator[Found]:
    """The figures of a study of devices that have a value per router, or describe a treatment."""
    for part in measured(evidence, study):
        for each in part:
            shown = each.per_seed or each.name in _DESCRIBED
            # choices are made on validation inputs; the report shows the others
            if each.value is None or not shown or each.labels.get("part") == "validation":
                continue
            labels = {k: v for k, v in each.labels.items() if k not in _OF_THE_DAY}
            day = {k: v for k, v in each.labels.items() if k in _OF_THE_DAY}
            key = (study, each.name, *(v for pair in sorted(labels.items()) for v in pair))
            told = ("target", "treatment")
            name = ", ".join(str(labels[k]) for k in told if k in labels)
            rest = (f"{k} {v}" for k, v in labels.items() if k not in (*told, "part") and v != "")
            emulated = ", emulated devices" if study == "device" else ""
            group = f"study {study}{emulated}: {', '.join(rest)}"
            within = ", ".join(f"{k} {v}" for k, v in sorted(day.items()) if v != "")
            text = f"{name}: {group}{within and f', {within}'}"
            yield Found(key, within, text, (group, name, each))


def figure(one: Found, two: Found) -> Iterator[Change]:
    """The change of such a figure."""
    group, name, first = one.of
    second: Figure = two.of[2]
    kind = str(one.key[0])
    a, b = score_of(first), score_of(second)
    change = Change(kind, group, name, first.name, a.value, b.value, "", _bare(a.value, b.value))
    if not (first.per_seed and second.per_seed):
        yield _described(change, a, b)
    elif len(first.per_seed) != len(second.per_seed):
        x, y = (_known(figure.per_seed) for figure in (first, second))
        basis = f"{len(x)} and {counted(len(y), 'router')}, unpaired"
        if min(len(x), len(y)) < 2:
            yield replace(change, basis=basis, word=TOO_FEW)
        else:
            yield _told(replace(change, basis=basis), unpaired(x, y))
    else:
        pairs = zip(first.per_seed, second.per_seed, strict=True)
        both = [(v, w) for v, w in pairs if v is not None and w is not None]
        x, y = (_known(values) for values in (zip(*both, strict=True) if both else ((), ())))
        change = replace(change, basis=counted(len(x), "paired router"))
        change = replace(change, a=_mean(x), b=_mean(y), difference=_difference(x, y))
        if first.per_seed == second.per_seed:
            yield change
        elif len(x) < 2:
            yield replace(change, word=ONE_EACH if len(first.per_seed) == 1 else TOO_FEW)
        elif np.array_equal(x, y):
            yield change
        else:
            yield _told(change, paired(x, y))


def _told(change: Change, tested: Difference) -> Change:
    note = "; ".join(text for text in (change.note, tested.note) if text)
    return replace(change, difference=tested.score, p=tested.p, note=note)


def _described(change: Change, a: Score, b: Score) -> Change:
    """A change of which there are no values to test."""
    return replace(
        change,
        a=a.value,
        b=b.value,
        basis="described only",
        difference=_bare(a.value, b.value),
        word=UNCHANGED if a.value == b.value else ONE_EACH,
    )


def _by_seed(rows: pd.DataFrame) -> dict[int, tuple[float, str]]:
    """Accuracy and digest of the data of each seed that has an accuracy."""
    each = zip(rows["seed"], rows["accuracy"], rows["dataset_digest"], strict=True)
    return {int(seed): (float(v), str(digest)) for seed, v, digest in each if math.isfinite(v)}


def _known(values: Sequence[float | None]) -> Float64[Floats, " n"]:
    return np.array([value for value in values if value is not None], dtype=np.float64)


def _mean(values: Float64[Floats, " n"]) -> float:
    return float(values.mean()) if len(values) else math.nan


def _difference(x: Float64[Floats, " n"], y: Float64[Floats, " m"]) -> Score:
    return _bare(_mean(x), _mean(y))


def _bare(a: float, b: float) -> Score:
    return Score(b - a, math.nan, math.nan)
