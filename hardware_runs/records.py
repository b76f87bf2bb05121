"""What a ledger holds of one plan, read out for scoring and export."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hardware_runs import schedule_json
from hardware_runs.ledger import Event, JobRow, Ledger
from hardware_runs.plan import Plan
from hardware_runs.schedule import Chunk, Schedule
from qmoe.errors import InputError


@dataclass(frozen=True, slots=True)
class Row:
    """The counts of one execution, by outcome."""

    job: str
    repeat: int
    execution: int
    counts: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Records:
    """A plan with everything that is known of it.

    Attributes:
        plan: The plan.
        schedule: What was compiled for it.
        rows: Raw counts.
        jobs: Key, state, id, source, shots, bill, words and times of every job.
        predictions: What was expected, in the order in which it was registered.
        sources: Where results came from.
        seconds: What each phase took, all jobs together, as far as anybody told.
    """

    plan: Plan
    schedule: Schedule
    rows: tuple[Row, ...]
    jobs: tuple[Mapping[str, Any], ...]
    predictions: tuple[Mapping[str, Any], ...]
    sources: tuple[str, ...]
    seconds: Mapping[str, float] = field(default_factory=dict)

    @property
    def measured(self) -> dict[tuple[int, int], NDArray[np.int64]]:
        """Counts (2^m,) by repeat and execution; of an execution measured twice, the first.

        A row without a single shot is no measurement, and as missing as one that never came.
        """
        size = self.schedule.compiled.num_outcomes
        found: dict[tuple[int, int], NDArray[np.int64]] = {}
        for row in self.rows:
            counts = np.zeros(size, dtype=np.int64)
            for outcome, number in row.counts.items():
                counts[outcome] = number
            if counts.any():
                found.setdefault((row.repeat, row.execution), counts)
        return found


def records(ledger: Ledger, plan_id: str) -> Records:
    """The records of a plan.

    Raises:
        InputError: No such plan, or one of which nothing was sent.
    """
    stored = ledger.plan(plan_id)
    plan = Plan.from_json(stored.content)
    text = ledger.schedule(plan.id)
    if text is None:
        raise InputError(
            got=f"plan {plan.id}, of which nothing was sent",
            expected="results",
            do=f"run `qmoe hardware submit {plan.id} --yes` first",
        )
    jobs = ledger.jobs(plan.id)
    counts = ledger.counts(plan.id)
    return Records(
        plan=plan,
        schedule=schedule_json.from_json(text, plan),
        rows=tuple(_rows(jobs, counts)),
        jobs=tuple(map(_job, jobs)),
        predictions=tuple(
            {"registered_at": at.isoformat(), **json.loads(content)}
            for at, content in ledger.predictions(plan.id)
        ),
        # a job all of whose rows came without shots is the source of nothing
        sources=tuple(
            sorted({j.source for j in jobs if j.source and any(counts.get(j.id, {}).values())})
        ),
        seconds=_seconds(ledger.events(plan.id)),
    )


PHASES = ("compiling", "sending", "queue", "device", "queue_and_device", "fetching")


def _seconds(events: Iterable[Event]) -> dict[str, float]:
    """The sums over all jobs of what the ledger timed, phase by phase."""
    sums: dict[str, float] = {}
    for event in events:
        if event.kind not in ("timing", "stored"):
            continue
        tree = json.loads(event.content)
        for phase, value in (tree if event.kind == "timing" else tree["timings"]).items():
            sums[phase] = sums.get(phase, 0.0) + float(value)
    return {phase: sums[phase] for phase in PHASES if phase in sums}


def _rows(
    jobs: tuple[JobRow, ...], counts: Mapping[int, Mapping[int, Mapping[int, int]]]
) -> Iterator[Row]:
    for job in jobs:
        chunk = Chunk.of(job.key, job.executions)
        for number, found in sorted(counts.get(job.id, {}).items()):
            yield Row(job.key, chunk.repeat, job.executions[number], found)


def _job(job: JobRow) -> Mapping[str, Any]:
    return {
        "job": job.key,
        "state": job.state,
        "id": job.ref.id if job.ref else None,
        "tag": job.tag,
        "source": job.source,
        "circuits": job.circuits,
        "shots": job.shots,
        "first_sent": job.since.isoformat() if job.since else None,
        "updated": job.updated.isoformat(),
        "estimated": _cost(job.reserve),
        "billed": None if job.billed is None else _cost(job.billed),
        "words": job.words,
    }


def _cost(cost: Any) -> Mapping[str, Any]:
    pairs = {"money_usd": cost.money, "device_seconds": cost.seconds}
    tree = {name: None if x is None else [x.low, x.high] for name, x in pairs.items()}
    return {**tree, "note": cost.note}
