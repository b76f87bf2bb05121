"""An experiment in the ledger: found or planned, compiled once, predicted, cut into jobs."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import qmoe
from backends import load
from backends.base import Backend
from backends.queued import Queued
from hardware_runs import schedule_json
from hardware_runs.design import load as load_design
from hardware_runs.design import shipped
from hardware_runs.driver import tag
from hardware_runs.estimate import Estimate, estimate
from hardware_runs.ledger import JobDraft, Ledger
from hardware_runs.plan import Plan, make, request
from hardware_runs.schedule import Chunk, Schedule, arrange, chunks
from qmoe.errors import InputError, unknown

Advance = Callable[[int], None]


def planned(
    ledger: Ledger,
    what: str,
    target: str | None,
    *,
    repeat: bool = False,
    command: str = "",
    now: datetime,
    advance: Advance = lambda done: None,
) -> Plan:
    """The plan of a suite for a target, or the plan with an id.

    A suite that was planned for the target before gives the plan of then. With `repeat` it gives
    the plan of this month: the same routers and inputs, measured once more.

    Raises:
        InputError: No such suite, plan or target, or a suite without a target.
    """
    if what not in shipped() and not what.endswith(".toml"):
        if target is None and not repeat:
            return _stored(ledger, what)
        if target is not None or repeat:
            raise unknown("suite", what, shipped())
    if target is None:
        raise InputError(
            got=f"suite {what} without a target",
            expected="where it is to run",
            do="pass --target SPEC (see: qmoe devices)",
        )
    design, spec = load_design(what), load(target).spec
    occasion = f"{now:%Y-%m}" if repeat else ""
    asked = request(design, spec, occasion)
    known = ledger.plan_of(asked)
    if known is not None:
        return _stored(ledger, known)
    first = ledger.plan_of(request(design, spec, "")) if repeat else None
    if first is not None:
        plan = replace(_stored(ledger, first), occasion=occasion, code=qmoe.__version__)
    else:
        plan = make(design, spec, occasion, advance=advance)
    ledger.add_plan(plan.id, asked, plan.to_json(), command)
    return plan


def queued(backend: Backend) -> Queued:
    """A backend behind a queue.

    Raises:
        InputError: The target is simulated here: there is nothing to submit.
    """
    if not isinstance(backend, Queued):
        raise InputError(
            got=f"target {backend.spec}, which is simulated here",
            expected="a target behind a queue, such as ibm:ibm_NAME or braket:ARN",
            do="use `qmoe run` or `qmoe study device` for simulated targets",
        )
    return backend


def scheduled(ledger: Ledger, plan: Plan, backend: Backend, *, keep: bool) -> Schedule:
    """What is run for a plan: compiled now, or as it was when it was first submitted.

    keep: Whether it is stored: from then on it is the same for ever.

    Raises:
        FitError: The circuit does not fit the device; nothing has been spent.
    """
    stored = ledger.schedule(plan.id)
    if stored is None:
        started = time.perf_counter()
        made = arrange(plan, backend)
        seconds = time.perf_counter() - started
        if not keep:
            return made
        ledger.add_schedule(plan.id, schedule_json.to_json(made))
        ledger.note(plan.id, None, "timing", json.dumps({"compiling": seconds}))
        stored = ledger.schedule(plan.id)
        assert stored is not None
    return schedule_json.from_json(stored, plan)


def today(schedule: Schedule, backend: Backend) -> Schedule:
    """The same circuits on the same qubits with the noise of today's calibration.

    Raises:
        FitError: A gate does not work any more.
    """
    items = tuple(
        replace(item, compiled=backend.emit(item.circuit, item.compiled)) for item in schedule.items
    )
    data = backend.emit(schedule.compiled.native, schedule.compiled)
    return replace(schedule, compiled=data, items=items)


def predict(ledger: Ledger, plan: Plan, schedule: Schedule, backend: Backend) -> None:
    """Registers what the twin expects, once for every calibration that is met; never replaces."""
    from hardware_runs.predict_plan import predict_plan

    known = {json.loads(text).get("calibrated_at") for _, text in ledger.predictions(plan.id)}
    current = backend.emit(schedule.compiled.native, schedule.compiled).calibrated_at
    if current in known:
        return
    found = predict_plan(plan, today(schedule, backend), seed=plan.design.seed)
    ledger.add_prediction(plan.id, json.dumps(found, allow_nan=False))


@dataclass(frozen=True, slots=True)
class Left:
    """What of a plan is still to be sent, and what that takes."""

    chunks: tuple[Chunk, ...]
    estimate: Estimate


def left(
    ledger: Ledger, plan: Plan, schedule: Schedule, backend: Queued, prices: Path | None = None
) -> Left:
    """The jobs of a plan that were never sent, with their estimate.

    Raises:
        InputError: More shots than the device takes.
    """
    states = {job.key: job.state for job in ledger.jobs(plan.id)}
    every = chunks(plan, schedule, backend.limits())
    unsent = tuple(each for each in every if states.get(each.key, "planned") == "planned")
    design = plan.design
    repeats = (design.count, design.every)
    return Left(unsent, estimate(backend, schedule, unsent, design.shots, repeats, prices))


def add_jobs(ledger: Ledger, plan: Plan, found: Left, now: datetime) -> None:
    """Writes the jobs of a plan into the ledger, each with its estimate; once, whoever comes."""
    shots = plan.design.shots
    drafts = [
        JobDraft(
            key=chunk.key,
            tag=tag(plan.id, chunk.key),
            due=now + timedelta(seconds=chunk.due) if chunk.due else None,
            executions=chunk.executions,
            shots=shots,
            reserve=cost,
        )
        for chunk, cost in zip(found.chunks, found.estimate.each, strict=True)
    ]
    ledger.add_jobs(plan.id, drafts)


def _stored(ledger: Ledger, plan_id: str) -> Plan:
    return Plan.from_json(ledger.plan(plan_id).content)
