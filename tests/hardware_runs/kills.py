"""What a SIGKILL at any moment leaves behind: every job once, or uncertain with its reason.

    python -m tests.hardware_runs.kills --summary docs/kills.md     # every boundary, all families
    python -m tests.hardware_runs.kills --family ibm --pick 6       # some, drawn by --seed

A scenario is a family of services and a boundary: before or after a write of the ledger, between
two statements of one (a torn write), before or after a call of the vendor's client, or in the
middle of a submission that the service has accepted and not answered yet. One process plans,
submits and collects, and is killed there; a second one, which has the ledger alone, goes on. Then
the service is asked what it accepted.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.services.loopback import FAMILIES, Loopback, loopback

WRITES = (
    *("add_plan", "add_schedule", "add_prediction", "add_jobs", "claim", "reclaim", "sent"),
    *("release", "refused", "doubt", "moved", "store", "billed", "note"),
)
CALLS = ("submit", "find", "status", "fetch", "usage")
SECONDS = 60.0
Reach = Callable[[str], None]


@dataclass(frozen=True, order=True)
class Boundary:
    """The n-th time that something named is reached; "stall" is the n-th accepted submission."""

    name: str
    occurrence: int


class Marked:
    """Something whose named methods reach a boundary before and after."""

    def __init__(self, inner: Any, prefix: str, names: tuple[str, ...], reach: Reach) -> None:
        self.__dict__.update(_inner=inner, _prefix=prefix, _names=names, _reach=reach)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name not in self._names:
            return found

        def call(*values: Any, **options: Any) -> Any:
            self._reach(f"before {self._prefix} {name}")
            result = found(*values, **options)
            self._reach(f"after {self._prefix} {name}")
            return result

        return call


def plan_for(target: str) -> Any:
    """A plan as small as the rules allow."""
    from hardware_runs.design import load
    from hardware_runs.plan import make

    design = replace(load("device-smoke"), inputs=2, block=1, shots=20, treatments=("none",))
    return make(design, target)


def driver_for(scenes: Family, plan: Any, place: str, reach: Reach, seconds: float) -> Any:
    """What `qmoe hardware submit` makes of a plan before it sends, with boundaries.

    seconds: How long a call of the client may take.
    """
    from sqlalchemy import event

    from backends import load
    from backends.queued import FREE
    from hardware_runs import schedule_json
    from hardware_runs.driver import Driver, Patience, tag
    from hardware_runs.ledger import JobDraft, Ledger, sender
    from hardware_runs.schedule import chunks

    ledger = Ledger.open(place)

    @event.listens_for(ledger._engine, "after_cursor_execute")
    def torn(_: Any, __: Any, statement: str, *___: Any) -> None:
        if statement.split(" ", 1)[0] in ("INSERT", "UPDATE"):
            reach(f"torn {statement.split(' ', 3)[2 if statement.startswith('INSERT') else 1]}")

    marked = Marked(ledger, "ledger", WRITES, reach)
    marked.add_plan(plan.id, plan.request, plan.to_json(), "qmoe hardware submit")
    marked.add_schedule(plan.id, scenes.text)
    schedule = schedule_json.from_json(ledger.schedule(plan.id))
    if not ledger.predictions(plan.id):
        marked.add_prediction(plan.id, json.dumps({"calibrated_at": None, "treatments": {}}))
    backend = load(f"{scenes.service.target},call_timeout={seconds:g}")
    marked.add_jobs(
        plan.id,
        [
            JobDraft(
                each.key, tag(plan.id, each.key), None, each.executions, plan.design.shots, FREE
            )
            for each in chunks(plan, schedule, backend.limits())
        ],
    )
    return Driver(
        ledger=marked,
        backend=Marked(backend, "vendor", CALLS, reach),
        plan=plan,
        schedule=schedule,
        patience=Patience(settle=0.05, tries=3, pause=0.05, busy=0.05, lease=60.0),
        sleep=time.sleep,
        now=lambda: datetime.now(UTC),
        sender=sender(),
        tell=lambda line: None,
    )


def go(scenes: Family, plan: Any, place: str, reach: Reach) -> None:
    """From the ledger to the end, whatever is there already."""
    from hardware_runs.ledger import Caps

    driver = driver_for(scenes, plan, place, reach, 20)
    for _ in range(40):
        driver.resume(Caps())
        states = driver.ledger.counts_of_states(plan.id)[plan.id]
        if not set(states) & {"planned", "submitted", "running"}:
            return
        time.sleep(0.05)


def forked(
    work: Callable[[], None],
    log: Path,
    watch: Callable[[int], None] | None = None,
    seconds: float = SECONDS,
) -> int:
    """The exit status of a child that does the work; negative where a signal ended it.

    124 where it was still at work after so many seconds.
    """
    pid = os.fork()
    if pid == 0:
        code = 1
        with contextlib.suppress(BaseException):
            with log.open("a") as file:
                os.dup2(file.fileno(), 1)
                os.dup2(file.fileno(), 2)
            try:
                work()
                code = 0
            except BaseException:
                traceback.print_exc()
                sys.stderr.flush()
        os._exit(code)
    deadline = time.monotonic() + seconds
    while True:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if watch is not None:
            watch(pid)
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return 124
        time.sleep(0.01)


class Family:
    """One service with a plan for it, and scenarios on them."""

    def __init__(self, service: Loopback, folder: Path) -> None:
        self.service, self.folder = service, folder
        os.environ.update(service.environment)
        self.plan, self.text = self._made()
        self.number = 0

    def boundaries(self) -> list[Boundary]:
        """Every boundary of a run that nothing disturbs."""
        record = self.folder / "reached"

        def reach(name: str) -> None:
            with record.open("a") as file:
                file.write(f"{name}\n")

        plan = self.fresh()
        code = forked(lambda: go(self, plan, self.place("recorded"), reach), self.log)
        if code:
            raise RuntimeError(f"the undisturbed run ended with {code}: {self.log.read_text()}")
        seen: Counter[str] = Counter()
        found = []
        for name in record.read_text().splitlines():
            seen[name] += 1
            found.append(Boundary(name, seen[name]))
        sent = seen["before vendor submit"]
        return [*found, *(Boundary("stall", k + 1) for k in range(sent))]

    def kill_at(self, boundary: Boundary) -> str:
        """What became of a run that was killed there and resumed: "collected", or what is wrong."""
        self.number += 1
        plan, place = self.fresh(), self.place(f"{self.number}")
        before = {job["id"] for job in self.service.accepted()}
        seen: Counter[str] = Counter()

        def reach(name: str) -> None:
            seen[name] += 1
            if (name, seen[name]) == (boundary.name, boundary.occurrence):
                os.kill(os.getpid(), signal.SIGKILL)

        def watch(pid: int) -> None:
            if len({job["id"] for job in self.service.accepted()} - before) >= boundary.occurrence:
                os.kill(pid, signal.SIGKILL)

        stalled = boundary.name == "stall"
        if stalled:
            nth = boundary.occurrence - 1
            after = 2 * nth + 1 if self.service.family == "google" else nth
            fault = {"call": "create", "kind": "stall", "after": after, "seconds": 5}
            self.service.behave(faults=[fault])
        code = forked(lambda: go(self, plan, place, reach), self.log, watch if stalled else None)
        self.service.behave()
        if code != -signal.SIGKILL:
            return f"not killed: ended with {code}"
        code = forked(lambda: go(self, plan, place, lambda name: None), self.log)
        if code:
            return f"resuming ended with {code}: {self.last}"
        return self._judged(plan, place, before)

    def _judged(self, plan: Any, place: str, before: set[str]) -> str:
        from hardware_runs.ledger import Ledger

        accepted = [job for job in self.service.accepted() if job["id"] not in before]
        with Ledger.open(place) as ledger:
            jobs, counts = ledger.jobs(plan.id), ledger.counts(plan.id)
        ids = Counter(job["id"] for job in accepted)
        if max(ids.values(), default=0) > 1:
            return "accepted twice under one id"
        if self.service.family != "google":
            tags = Counter(job["tag"] for job in accepted)
            if max(tags.values(), default=0) > 1:
                return f"paid twice: {tags}"
        known = {job.ref.id for job in jobs if job.ref}
        if set(ids) - known:
            return f"lost: {set(ids) - known}"
        for job in jobs:
            if job.state == "uncertain" and job.words:
                return f"uncertain: {job.words}"
            if job.state != "done":
                return f"{job.key} is {job.state}"
            rows = counts.get(job.id, {})
            if sorted(rows) != list(range(len(job.executions))):
                return f"{job.key} has {len(rows)} of {len(job.executions)} rows"
            if {sum(row.values()) for row in rows.values()} != {job.shots}:
                return f"{job.key} has other shots"
        return "collected"

    def _made(self) -> tuple[Any, str]:
        """The plan and its schedule, made in a child: a client must not be there before a fork."""
        from hardware_runs.plan import Plan

        out = self.folder / "made.json"

        def make() -> None:
            from backends import load
            from hardware_runs import schedule_json
            from hardware_runs.schedule import arrange

            plan = plan_for(self.service.target)
            text = schedule_json.to_json(arrange(plan, load(self.service.target)))
            out.write_text(json.dumps([plan.to_json(), text]))

        if code := forked(make, self.log):
            raise RuntimeError(f"planning ended with {code}: {self.log.read_text()}")
        plan, text = json.loads(out.read_text())
        return Plan.from_json(plan), text

    def fresh(self) -> Any:
        """The plan under another id, so that scenarios share no tags."""
        return replace(self.plan, occasion=f"{os.getpid()}-{self.number}-{time.monotonic_ns()}")

    def place(self, name: str) -> str:
        return str(self.folder / f"{name}.sqlite")

    @property
    def last(self) -> str:
        """The last line that a child said."""
        return (self.log.read_text().splitlines() or [""])[-1]

    @property
    def log(self) -> Path:
        return self.folder / "log"


@contextlib.contextmanager
def family(name: str) -> Iterator[Family]:
    """The scenarios of one family; what its clients need is imported once, before the forks."""
    with tempfile.TemporaryDirectory() as folder, loopback(name, Path(folder)) as service:
        warm(name)
        yield Family(service, Path(folder))


def warm(name: str) -> None:
    """Imports what children would import again and again."""
    import torch

    import hardware_runs.predict_plan
    import hardware_runs.rescore  # noqa: F401

    torch.set_num_threads(1)
    modules = {
        "ibm": ("qiskit_ibm_runtime.executor_sampler", "qiskit_aer"),
        "braket": ("braket.aws", "braket.program_sets", "braket.emulation"),
        "google": ("cirq_google.engine.engine",),
        "ionq": ("cirq_ionq",),
    }
    from backends.registry import require

    for module in modules[name]:
        require("cirq" if name in ("google", "ionq") else name, module)


def killed(name: str, pick: int | None, seed: int) -> list[tuple[str, Boundary, str]]:
    """The outcome of every boundary of a family, or of some, each as likely as any other."""
    with family(name) as scenes:
        every = scenes.boundaries()
        chosen = every if pick is None else random.Random(seed).sample(every, pick)
        found = []
        for boundary in chosen:
            outcome = scenes.kill_at(boundary)
            found.append((name, boundary, outcome))
            print(name, boundary.name, boundary.occurrence, outcome, sep="\t", flush=True)
        return found


def summary(found: list[tuple[str, Boundary, str]], seconds: float) -> str:
    """The outcomes as Markdown, with their date."""
    lines = [
        "# What a SIGKILL leaves behind",
        "",
        f"{datetime.now(UTC):%Y-%m-%d}, `python -m tests.hardware_runs.kills`, {len(found)} kills "
        f"in {seconds / 60:.0f} min, over loopback with the vendors' own clients. After each one a "
        "new process went on with the ledger alone. *collected*: every job is in the ledger "
        "with all its counts, and the service accepted it exactly once.",
        "",
        "| family | boundary | kills | outcome |",
        "|---|---|---|---|",
    ]
    table: Counter[tuple[str, str, str]] = Counter((f, b.name, o) for f, b, o in found)
    lines += [f"| {f} | {b} | {n} | {o} |" for (f, b, o), n in sorted(table.items())]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Runs what was asked for; 1 where a job was lost, paid twice, or left uncertain."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--family", choices=FAMILIES, action="append")
    parser.add_argument("--pick", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--summary", type=Path)
    options = parser.parse_args()
    started = time.monotonic()
    found = [
        each
        for name in options.family or FAMILIES
        for each in killed(name, options.pick, options.seed)
    ]
    if options.summary is not None:
        options.summary.write_text(summary(found, time.monotonic() - started), encoding="utf-8")
    wrong = [each for each in found if each[2] != "collected"]
    print(f"{len(found)} kills, {len(wrong)} not collected", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
