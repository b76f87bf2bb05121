"""What goes wrong at a service ends in success after all, or in a record: never in a loss.

    python -m tests.hardware_runs.faults --family ibm --pick 10     # some, drawn by --seed
    python -m tests.hardware_runs.faults                            # every fault at every call

A case is a family of services, a call and a fault of `tests.services.faults`, once or every time.
One process meets it; then the service is well again and another one goes on with the ledger.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.hardware_runs.kills import Family, driver_for, family, forked
from tests.services.faults import KINDS
from tests.services.loopback import FAMILIES

CALLS = ("connect", "create", "status", "results", "search", "usage", "cancel")
PLAIN = ("fail", "hold", "slow", "late", "twice")
CALL_SECONDS = 2
CASE_SECONDS = 60.0


@dataclass(frozen=True, order=True)
class Case:
    """A fault of one call, or a way in which the whole service behaves."""

    call: str
    kind: str
    always: bool = False

    def behaviour(self, name: str) -> dict[str, Any]:
        """What the service is told."""
        if not self.call:
            more: dict[str, Any] = {"late": 1, "twice": True, "slow": 3, "fail": "too warm"}
            value = more.get(self.kind, True)
            lost = [{"call": "create", "kind": "lost", "after": int(name == "google")}]
            return {self.kind: value} | ({"faults": lost} if self.kind in ("late", "twice") else {})
        times = -1 if self.always else 1
        fault = {"call": self.call, "kind": self.kind, "times": times, "seconds": 2 * CALL_SECONDS}
        faults = [fault]
        if self.call == "create" and name == "google":
            fault["after"] = 1  # the program is there, its job is not
        if self.call == "search":  # which only happens where an answer was lost
            after = int(name == "google")
            faults.insert(0, {"call": "create", "kind": "lost", "after": after})
        return {"faults": faults} | ({"hold": True} if self.call == "cancel" else {})


def cases(name: str) -> list[Case]:
    """Every case of a family."""
    found = [Case(call, kind) for call in CALLS for kind in KINDS]
    found += [Case(call, kind, True) for call in CALLS[1:] for kind in ("429", "503", "timeout")]
    found += [Case("", kind) for kind in PLAIN]
    if name == "google":  # looks jobs up by their ids, and reports no usage
        found = [c for c in found if c.call not in ("search", "usage") and c.kind != "twice"]
    if name == "braket":  # whose results come from S3, where no faults are injected
        found = [c for c in found if c.call != "results"]
    if name == "ionq":  # says nothing of what it charges
        found = [c for c in found if c.call not in ("usage", "connect")]
    return found


def met(scenes: Family, case: Case) -> str:
    """What became of a run that met a fault, and was resumed: "collected", or what is wrong."""
    scenes.number += 1
    plan, place = scenes.fresh(), scenes.place(f"fault{scenes.number}")
    before = {job["id"] for job in scenes.service.accepted()}
    told = scenes.folder / f"told{scenes.number}"

    def first() -> None:
        meet(scenes, plan, place, told, cancelling=case.call == "cancel")

    def second() -> None:
        finish(scenes, plan, place)

    scenes.service.behave(**case.behaviour(scenes.service.family))
    started = time.monotonic()
    code = forked(first, scenes.log, seconds=CASE_SECONDS)
    if code:
        return f"ended with {code} after {time.monotonic() - started:.0f} s: {scenes.last}"
    said = told.read_text()
    scenes.service.behave()
    if code := forked(second, scenes.log, seconds=CASE_SECONDS):
        return f"resuming ended with {code}: {scenes.last}"
    return judged(scenes, plan, place, before, case, said)


def meet(scenes: Family, plan: Any, place: str, told: Path, *, cancelling: bool) -> None:
    """Submits and collects for a while; says in a file what it was told."""
    from hardware_runs.ledger import Caps
    from qmoe.errors import QmoeError

    words: list[str] = []
    try:
        driver = driver_for(scenes, plan, place, lambda name: None, CALL_SECONDS)
        done = driver.submit(Caps())
        words += done.words
        if cancelling:
            words += driver.cancel().words
        for _ in range(4):
            time.sleep(0.05)
            words += driver.collect().words
    except QmoeError as error:
        words.append(str(error))
    told.write_text(json.dumps(words))


def finish(scenes: Family, plan: Any, place: str) -> None:
    """What a user does afterwards: resume, and send again what was refused."""
    from hardware_runs.ledger import Caps

    driver = driver_for(scenes, plan, place, lambda name: None, 20)
    for _ in range(40):
        driver.retry()
        driver.resume(Caps())
        states = driver.ledger.counts_of_states(plan.id)[plan.id]
        open_ = {"planned", "submitted", "running"} & set(states)
        failed = {job.key.partition("+")[0] for job in driver.ledger.jobs(plan.id, ("failed",))} - {
            job.key.partition("+")[0] for job in driver.ledger.jobs(plan.id, ("done",))
        }
        if not open_ and not failed:
            return
        time.sleep(0.05)


def judged(scenes: Family, plan: Any, place: str, before: set[str], case: Case, said: str) -> str:
    """Every circuit collected, no id lost, no job accepted twice; failures on record."""
    from hardware_runs.ledger import Ledger

    accepted = [job for job in scenes.service.accepted() if job["id"] not in before]
    with Ledger.open(place) as ledger:
        jobs, events = ledger.jobs(plan.id), ledger.events(plan.id)
    known = {job.ref.id for job in jobs if job.ref}
    if lost := {job["id"] for job in accepted} - known:
        return f"lost: {lost}"
    if scenes.service.family != "google":
        twice = [tag for tag, n in Counter(job["tag"] for job in accepted).items() if n > 1]
        if twice:
            return f"paid twice: {twice}"
    for job in jobs:
        if job.state == "failed" and not job.words:
            return f"{job.key} failed without a word"
        if job.state in ("planned", "submitted", "running"):
            return f"{job.key} is {job.state}"
        if job.state == "uncertain":
            return f"uncertain: {job.words}"
    done = {place for job in jobs if job.state == "done" for place in job.executions}
    cancelled = {place for job in jobs if job.state == "cancelled" for place in job.executions}
    every = {place for job in jobs for place in job.executions}
    if done | cancelled != every or (cancelled and case.call != "cancel"):
        return f"{len(every - done)} of {len(every)} circuits are missing"
    quiet = case.kind in ("stall", "malformed", "hold", "slow", "late", "twice")
    noted = {"refused", "doubt", "released", "unanswered", "failed", "searched", "unbilled"}
    recovered = bool(done) and not case.always
    if not quiet and not recovered and said == "[]" and not noted & {e.kind for e in events}:
        return "nothing was said of it"
    return "collected"


def ran(name: str, pick: int | None, seed: int) -> list[tuple[str, Case, str]]:
    """The outcome of every case of a family, or of some, each as likely as any other."""
    with family(name) as scenes:
        every = cases(name)
        chosen = every if pick is None else random.Random(seed).sample(every, pick)
        found = []
        for case in chosen:
            outcome = met(scenes, case)
            found.append((name, case, outcome))
            how = "always" if case.always else "once"
            print(name, case.call or "service", case.kind, how, outcome, sep="\t", flush=True)
        return found


def summary(found: list[tuple[str, Case, str]], seconds: float) -> str:
    """The outcomes as Markdown, with their date."""
    lines = [
        "# What faults of a service leave behind",
        "",
        f"{datetime.now(UTC):%Y-%m-%d}, `python -m tests.hardware_runs.faults`, {len(found)} cases "
        f"in {seconds / 60:.0f} min, over loopback with the vendors' own clients.",
        "",
        "| family | call | cases | outcome |",
        "|---|---|---|---|",
    ]
    table: Counter[tuple[str, str, str]] = Counter((f, c.call or "any", o) for f, c, o in found)
    lines += [f"| {f} | {c} | {n} | {o} |" for (f, c, o), n in sorted(table.items())]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Runs what was asked for; 1 where something was lost, paid twice, or never ended."""
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
        for each in ran(name, options.pick, options.seed)
    ]
    if options.summary is not None:
        options.summary.write_text(summary(found, time.monotonic() - started), encoding="utf-8")
    wrong = [each for each in found if each[2] != "collected"]
    print(f"{len(found)} cases, {len(wrong)} not collected", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
