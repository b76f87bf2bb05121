"""What the commands that plan, send and collect do; `qmoe hardware --help` lists them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from backends import load
from backends.queued import FREE, Cost
from hardware_runs.driver import Counted, Driver, Patience
from hardware_runs.estimate import caps, pilot
from hardware_runs.experiment import Left, add_jobs, left, planned, predict, queued, scheduled
from hardware_runs.ledger import JobRow, Ledger, sender
from hardware_runs.plan import Plan
from hardware_runs.predict_plan import predict_plan
from hardware_runs.way import Way
from qmoe.errors import QmoeError
from qmoe.progress import choose
from qmoe.provenance import capture

POLL_SECONDS = 30.0
OPEN = ("planned", "uncertain", "submitted", "running")


def plan(way: Way, what: str, target: str | None, repeat: bool) -> None:
    """Plans a suite for a target, once."""
    with Ledger.open() as ledger:
        found = _planned(way, ledger, what, target, repeat)
        way.print({"plan": found.id, **_described(found)}, _text(found))


def estimate(way: Way, what: str, target: str | None, repeat: bool, prices: Path | None) -> None:
    """Says what a plan takes and what is expected to come out; sends nothing."""
    with Ledger.open() as ledger:
        found = _planned(way, ledger, what, target, repeat)
        backend = queued(load(way.target(found.target)))
        schedule = scheduled(ledger, found, backend, keep=False)
        _show(way, found, left(ledger, found, schedule, backend, prices), schedule, sent=False)


def submit(
    way: Way,
    what: str,
    target: str | None,
    repeat: bool,
    yes: bool,
    first: bool,
    max_cost: float | None,
    max_seconds: float | None,
    prices: Path | None,
    wait: float,
) -> None:
    """Sends what is due of a plan, if `yes`; else says what it would take.

    first: Whether one in a hundred jobs goes first, and the estimate is made again from what it
        was billed for; wait: seconds for that.

    Raises:
        BudgetError: Over a budget or a cap.
    """
    limit = caps(max_cost, max_seconds)
    with Ledger.open() as ledger:
        found = _planned(way, ledger, what, target, repeat)
        backend = queued(load(way.target(found.target)))
        schedule = scheduled(ledger, found, backend, keep=yes)
        open_ = left(ledger, found, schedule, backend, prices)
        _show(way, found, open_, schedule, sent=yes)
        open_.estimate.check(limit)
        if not yes:
            way.tell("nothing was sent: the same command with --yes sends it")
            return
        predict(ledger, found, schedule, backend)
        add_jobs(ledger, found, open_, datetime.now(UTC))
        with _driver(way, ledger, found) as driver:
            done = Counted()
            if first:
                done = _pilot(way, driver, open_, limit, wait)
            if done.stop is None:
                done += driver.submit(limit)
        _end(way, ledger, found, done)


def collect(way: Way, what: str | None, watch: bool) -> None:
    """Stores what is there, of one plan or of all."""
    _each(way, what, watch, lambda driver: driver.collect())


def resume(
    way: Way,
    what: str,
    watch: bool,
    retry: bool,
    max_cost: float | None,
    max_seconds: float | None,
    known: dict[str, str],
    again: tuple[str, ...],
) -> None:
    """Goes on with a plan: settles what is uncertain, sends what is due, collects what is there.

    known: Ids of the vendor by job, of uncertain jobs that the user found; again: uncertain jobs
        that the user knows never arrived.
    """
    limit = caps(max_cost, max_seconds)
    by_hand = [*known.items(), *((key, "") for key in again)]  # once, however long it watches

    def go(driver: Driver) -> Counted:
        done = Counted()
        while by_hand:
            key, name = by_hand.pop()
            if name:
                driver.adopt(key, name)
            else:
                done += driver.resend(key)
        if retry:
            driver.retry()
        return done + driver.resume(limit)

    _each(way, what, watch, go)


def cancel(way: Way, what: str) -> None:
    """Drops what was not sent and asks the vendor to drop what has not run."""
    _each(way, what, False, lambda driver: driver.cancel())


def _each(way: Way, what: str | None, watch: bool, go: Any) -> None:
    with Ledger.open() as ledger:
        if what is None:
            states = ledger.counts_of_states()
            names = [name for name, by in states.items() if set(by) & set(OPEN)]
        else:
            names = [ledger.plan(what).id]
        if not names:
            way.print({"plans": []}, ["nothing is open"])
        worst: QmoeError | None = None
        for name in names:
            found = Plan.from_json(ledger.plan(name).content)
            with _driver(way, ledger, found) as driver:
                done = go(driver)
                while watch and done.stop is None and _open(ledger, found):
                    time.sleep(POLL_SECONDS)
                    done = go(driver)
            try:
                _end(way, ledger, found, done)
            except QmoeError as error:
                worst = error
        if worst is not None:
            raise worst


@contextmanager
def _driver(way: Way, ledger: Ledger, found: Plan) -> Iterator[Driver]:
    """The driver of a plan that has been submitted; the command is noted with it."""
    provenance = capture(found.design.seed)
    backend = queued(load(way.target(found.target)))
    schedule = scheduled(ledger, found, backend, keep=True)
    ledger.note(found.id, None, "command", provenance.model_dump_json())
    yield Driver(
        ledger=ledger,
        backend=backend,
        plan=found,
        schedule=schedule,
        patience=Patience(settle=way.settle),
        sleep=time.sleep,
        now=lambda: datetime.now(UTC),
        sender=sender(),
        tell=way.tell,
    )


def _pilot(way: Way, driver: Driver, open_: Left, limit: Any, wait: float) -> Counted:
    """Sends the first few jobs, waits for what they cost, and checks the rest by that."""
    count = pilot(len(open_.chunks))
    done = driver.submit(limit, most=count)
    deadline = time.monotonic() + wait
    while done.stop is None:
        done += driver.collect()
        ended = [job for job in driver.ledger.jobs(driver.plan.id, ("done",)) if job.billed]
        if len(ended) >= count:
            break
        if time.monotonic() > deadline:
            done.stop = QmoeError(
                f"the pilot is not finished after {wait:g} s: collect it later, then submit again"
            )
            return done
        time.sleep(min(POLL_SECONDS, wait / 10))
    if done.stop is None:
        measured, expected = _sums(ended)
        again = open_.estimate.scaled(measured, expected)
        way.tell("estimate after the pilot: " + "; ".join(f"{a} {b}" for a, b in again.lines()))
        again.check(limit)
    return done


def _sums(jobs: list[JobRow]) -> tuple[Cost, Cost]:
    billed = sum((job.billed or FREE for job in jobs), FREE)
    return billed, sum((job.reserve for job in jobs), FREE)


def _planned(way: Way, ledger: Ledger, what: str, target: str | None, repeat: bool) -> Plan:
    with choose(wanted=not way.as_json)("planning", 1) as advance:
        return planned(
            ledger,
            what,
            target,
            repeat=repeat,
            command=capture(0).command,
            now=datetime.now(UTC),
            advance=advance,
        )


def _show(way: Way, found: Plan, open_: Left, schedule: Any, *, sent: bool) -> None:
    """The plan, the estimate and, before anything is sent, what the twin expects."""
    tree = {"plan": found.id, **_described(found), "estimate": open_.estimate.to_dict()}
    lines = _text(found)
    lines += [f"{name:18} {text}" for name, text in open_.estimate.lines()]
    if not sent:
        expected = predict_plan(found, schedule, seed=found.design.seed)
        tree["prediction"] = expected
        lines += _expected(expected)
    if way.as_json and sent:
        return  # the outcome follows, as one object
    way.print(tree, lines)


def _expected(found: dict[str, Any]) -> list[str]:
    treatments = found.get("treatments") or {}
    if not treatments:
        return [f"{'prediction':18} unknown: the target reports no noise"]
    lines = []
    for name, figures in treatments.items():
        parts = [
            f"{what} {value[0]:.3f} [{value[1]:.3f}, {value[2]:.3f}]"
            for what, value in figures.items()
            if value is not None
        ]
        lines.append(f"{'expected':18} {name}: {', '.join(parts)}")
    return lines


def _described(found: Plan) -> dict[str, Any]:
    return {
        "suite": found.design.name,
        "target": found.target,
        "occasion": found.occasion,
        "routers": len(found.routers),
        "treatments": list(found.design.treatments),
    }


def _text(found: Plan) -> list[str]:
    design = found.design
    when = f", {found.occasion}" if found.occasion else ""
    return [
        f"plan {found.id}: {design.name} on {found.target}{when}",
        f"{'routers':18} {len(found.routers)} of {design.seeds} trained, picked by rule "
        f"{design.rule!r}",
        f"{'inputs':18} {design.inputs} for each router, {design.block} in a block",
        f"{'treatments':18} {', '.join(design.treatments)}",
        f"{'compared':18} {design.primary} with the exact router, margin {design.margin:g}",
    ]


def _open(ledger: Ledger, found: Plan) -> bool:
    states = ledger.counts_of_states(found.id).get(found.id, {})
    return bool(set(states) & {"planned", "submitted", "running"})


def _end(way: Way, ledger: Ledger, found: Plan, done: Counted) -> None:
    """Says what was done; what ended it early becomes the exit code."""
    states = ledger.counts_of_states(found.id).get(found.id, {})
    tree = {
        "plan": found.id,
        "jobs": states,
        "sent": done.sent,
        "found": done.found,
        "collected": done.collected,
        "words": done.words,
    }
    told = ", ".join(f"{count} {state}" for state, count in states.items()) or "no jobs"
    lines = [f"plan {found.id}: {told}", *done.words]
    if states.get("uncertain"):
        lines.append(
            "uncertain jobs may exist at the vendor: `qmoe hardware resume` looks for them again; "
            "if you found one there, pass --found JOB=ID, and --resend JOB if it never arrived"
        )
    way.print(tree, lines)
    if done.stop is not None:
        raise done.stop
    if done.failed or states.get("uncertain"):
        raise QmoeError(f"{done.failed} jobs failed, {states.get('uncertain', 0)} are uncertain")
