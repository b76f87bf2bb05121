"""Raw counts of a plan turned into answers: blocks left out by rule, budgets made equal.

Counts belong to executions, (repeat, place in the schedule). A treatment gets, of the counts that
all treatments share, what its budget gives it: they are thinned without replacement.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backends.execute import combined
from backends.mitigation import Job, Plain, Run, project
from backends.mitigation import load as mitigation
from hardware_runs.design import FOLD
from hardware_runs.plan import Plan
from hardware_runs.schedule import NULLS, Execution, Schedule, expanded
from qmoe.agreement import total_variation
from qmoe.errors import InputError

Counts = NDArray[np.int64]
Array = NDArray[np.float64]
Measured = Mapping[tuple[int, int], Counts]
"""Counts (2^m,) by repeat and place in the schedule."""

THIN = 6  # spawn key; smaller ones belong to plan and schedule


@dataclass(frozen=True, slots=True)
class Block:
    """One block of one repeat.

    Attributes:
        missing: Executions without counts.
        sentinels: Total variation of each sentinel to what it should be.
        left_out: Why it does not count; "" where it does.
    """

    repeat: int
    block: int
    missing: int
    sentinels: Mapping[str, float]
    left_out: str


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What one treatment made of one repeat.

    Attributes:
        rows: The inputs that count, the same for every router.
        quasi: (router, input, 2^m), as the mitigation combined it.
        probabilities: The nearest distributions.
        clipped: The mean total variation that this moved.
        shots: What was used, of the shots that were measured.
        circuits: Executions that were used.
        gamma: The sum of the sizes of the coefficients of the data runs.
    """

    rows: tuple[int, ...]
    quasi: Array
    probabilities: Array
    clipped: float
    shots: int
    circuits: int
    gamma: float


def blocks(plan: Plan, schedule: Schedule, measured: Measured, repeat: int) -> tuple[Block, ...]:
    """Each block of a repeat, and by the rule of the plan whether it counts."""
    found = []
    for block in range(plan.design.blocks):
        places = [k for k, each in enumerate(schedule.executions) if each.block == block]
        missing = sum((repeat, k) not in measured for k in places)
        sentinels: dict[str, float] = {}
        for k in places:
            item = schedule.items[schedule.executions[k].item]
            if schedule.executions[k].kind == "sentinel" and (repeat, k) in measured:
                seen = measured[repeat, k] / measured[repeat, k].sum()
                ideal = np.array(item.ideal)
                sentinels[item.name] = float(total_variation(seen[None], ideal[None])[0])
        worst = max(sentinels, key=lambda name: sentinels[name], default="")
        why = ""
        if missing:
            why = f"{missing} of {len(places)} circuits are missing"
        elif worst and sentinels[worst] > plan.design.limit:
            why = f"{worst} is off by {sentinels[worst]:.3f}, more than {plan.design.limit:g}"
        found.append(Block(repeat, block, missing, sentinels, why))
    return tuple(found)


def answers(
    plan: Plan,
    schedule: Schedule,
    measured: Measured,
    repeat: int,
    kept: Sequence[int],
    treatment: str,
) -> Answers:
    """The answers of all routers under a treatment, from the blocks that count.

    Raises:
        InputError: A treatment whose circuits were not measured.
        QmoeError: Its calibration cannot be inverted.
    """
    design, routers = plan.design, range(len(plan.routers))
    expansion = runs(plan, schedule, treatment)
    rows = tuple(
        row
        for block in kept
        for row in range(block * design.block, min(design.inputs, (block + 1) * design.block))
    )
    data, singles = _places(schedule, kept)
    values, shots, circuits = [], 0, 0
    for number, (item, run) in enumerate(expansion):
        asked = run.shots(design.shots, len(routers) * len(rows))
        key = (design.seed, THIN, repeat, _number(treatment), number)
        if run.single:
            pooled = np.sum([measured[repeat, k] for k in singles[item]], axis=0)
            table = pooled[None]
            circuits += len(singles[item])
        else:
            table = np.array(
                [measured[repeat, data[item, router, row]] for router in routers for row in rows]
            )
            circuits += len(table)
        taken = thinned(table, asked, key)
        shots += int(taken.sum())
        values.append(taken / taken.sum(1, keepdims=True))
    technique = Plain() if FOLD.fullmatch(treatment) else mitigation(treatment)
    job = Job(schedule.compiled, None, True, schedule.compiled.spec)
    quasi = combined(technique.on(job), [run for _, run in expansion], values)
    probabilities = project(quasi)
    shape = (len(routers), len(rows), quasi.shape[1])
    return Answers(
        rows=rows,
        quasi=quasi.reshape(shape),
        probabilities=probabilities.reshape(shape),
        clipped=float(total_variation(quasi, probabilities).mean()),
        shots=shots,
        circuits=circuits,
        gamma=sum(abs(run.coefficient) for _, run in expansion if run.role == "data"),
    )


def null_answers(
    schedule: Schedule, measured: Measured, repeat: int, kept: Sequence[int]
) -> dict[str, list[tuple[Execution, Array]]]:
    """For each null router its executions with their relative frequencies (2^m,)."""
    found: dict[str, list[tuple[Execution, Array]]] = {name: [] for name in NULLS}
    for k, each in enumerate(schedule.executions):
        if each.kind in found and each.block in kept:
            counts = measured[repeat, k]
            found[each.kind].append((each, counts / counts.sum()))
    return found


def thinned(counts: Counts, shots: int, key: tuple[int, ...]) -> Counts:
    """Each row of counts cut to `shots`, drawn without replacement; fewer stay as they are.

    What is drawn is distributed as if only so many shots had been taken.
    """
    if shots < 1:
        raise InputError(
            got=f"{shots} shots for a circuit of a treatment",
            expected="at least one",
            do="plan more shots, or a treatment of fewer circuits",
        )
    out = counts.copy()
    for k, row in enumerate(counts):
        if row.sum() > shots:
            rng = np.random.default_rng(np.random.SeedSequence(key[0], spawn_key=(*key[1:], k)))
            out[k] = rng.multivariate_hypergeometric(row, shots)
    return out


def runs(plan: Plan, schedule: Schedule, treatment: str) -> list[tuple[int, Run]]:
    """The runs of a treatment with their items; of others than the plan's, where they fit.

    Raises:
        InputError: No such treatment, or one whose circuits were not measured.
    """
    if treatment in schedule.expansions:
        return list(schedule.expansions[treatment])
    job = Job(schedule.compiled, None, True, schedule.compiled.spec)
    known = {item.circuit.digest: k for k, item in enumerate(schedule.items) if item.ideal is None}
    found = expanded(treatment, job, plan.design)
    missing = [run for run in found if run.circuit.digest not in known]
    if missing:
        raise InputError(
            got=f"treatment {treatment!r}, {len(missing)} circuits of which were not measured",
            expected=f"one of {', '.join(schedule.expansions)}, or one that needs no others",
            do="plan an experiment with it",
        )
    return [(known[run.circuit.digest], run) for run in found]


def _places(
    schedule: Schedule, kept: Sequence[int]
) -> tuple[dict[tuple[int, int, int], int], dict[int, list[int]]]:
    data: dict[tuple[int, int, int], int] = {}
    singles: dict[int, list[int]] = {}
    for k, each in enumerate(schedule.executions):
        if each.block not in kept:
            continue
        if each.kind == "data":
            data[each.item, each.router, each.row] = k
        elif each.kind == "single":
            singles.setdefault(each.item, []).append(k)
    return data, singles


def _number(treatment: str) -> int:
    """A number of its own for every treatment: no two share what was thinned away."""
    return zlib.crc32(treatment.encode())
