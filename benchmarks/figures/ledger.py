"""How long a full ledger takes to answer, and what collecting costs beside the vendor's client.

    python -m benchmarks.figures.ledger

prints medians: `qmoe hardware list` and `status` with 10,000 jobs of 20 plans of the size of
device-paper (start of Python apart), the queries behind them, and storing the counts of 1,000
circuits of a job that is there already.
"""

from __future__ import annotations

import io
import json
import os
import tempfile
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from statistics import median

import numpy as np

from backends.queued import Cost, Interval, JobRef
from hardware_runs.commands_results import list_, status
from hardware_runs.ledger import Caps, JobDraft, Ledger, sender
from hardware_runs.way import Way

PLANS, JOBS, ROWS, SHOTS, TIMES = 20, 500, 1000, 1000, 7
NUMBERS = 9000  # of a plan of device-paper: weights and inputs, 180 kB of JSON


def seconds(call: Callable[[], object]) -> float:
    """The median time of a call."""
    found = []
    for _ in range(TIMES):
        started = time.perf_counter()
        call()
        found.append(time.perf_counter() - started)
    return median(found)


def filled(ledger: Ledger) -> None:
    """10,000 jobs, one in twenty of them sent."""
    numbers = np.random.default_rng(0).normal(size=NUMBERS).tolist()
    design = {"name": "device-small"}
    content = json.dumps({"design": design, "target": "ibm:ibm_boston", "numbers": numbers})
    cost = Cost(Interval(1.0, 2.0), Interval(1.0, 3.0), "a list")
    for k in range(PLANS):
        plan = f"{k:016x}"
        ledger.add_plan(plan, plan, content, "qmoe hardware plan")
        drafts = [
            JobDraft(f"r00-b{n:03}-p00", f"{plan}-{n}", None, tuple(range(100)), SHOTS, cost)
            for n in range(JOBS)
        ]
        ledger.add_jobs(plan, drafts)
        for job in ledger.jobs(plan)[: JOBS // 2 : 10]:
            ledger.claim(job.id, sender(), 60, "ibm", cost, Caps())
            ledger.sent(job.id, JobRef("ibm:x", f"id-{job.id}", 100, SHOTS, job.tag), "device")


def told(command: Callable[[], None]) -> Callable[[], None]:
    """A command that prints to nobody."""

    def call() -> None:
        with redirect_stdout(io.StringIO()):
            command()

    return call


def main() -> None:
    """Measures and prints."""
    with tempfile.TemporaryDirectory() as folder:
        place = str(Path(folder) / "ledger.sqlite")
        with Ledger.open(place) as ledger:
            filled(ledger)
            listing = seconds(lambda: (ledger.plans(), ledger.counts_of_states()))
            every = seconds(ledger.jobs)
            one = seconds(lambda: ledger.jobs(f"{3:016x}"))
            job = next(each for each in ledger.jobs(f"{3:016x}") if each.state == "submitted")
            rng = np.random.default_rng(0)
            table = rng.multinomial(SHOTS, [0.25] * 4, size=ROWS)
            rows = {k: row.tolist() for k, row in enumerate(table)}
            started = time.perf_counter()
            ledger.store(job.id, rows, source="device", complete=True, timings={})
            stored = time.perf_counter() - started
        opened = seconds(lambda: Ledger.open(place).close())
        os.environ["QMOE_LEDGER"] = place
        lists = seconds(told(lambda: list_(Way())))
        of_all = seconds(told(lambda: status(Way(), None)))
        of_one = seconds(told(lambda: status(Way(), f"{3:016x}")))
    print(f"{PLANS * JOBS:,} jobs of {PLANS} plans")
    print(f"hardware list          {1000 * lists:8.1f} ms")
    print(f"hardware status        {1000 * of_all:8.1f} ms")
    print(f"hardware status PLAN   {1000 * of_one:8.1f} ms ({JOBS} jobs)")
    print(f"open                   {1000 * opened:8.1f} ms")
    print(f"plans and their states {1000 * listing:8.1f} ms")
    print(f"jobs of one plan       {1000 * one:8.1f} ms")
    print(f"all jobs               {1000 * every:8.1f} ms")
    print(f"store                  {1000 * stored:8.1f} ms (counts of {ROWS:,} circuits)")


if __name__ == "__main__":
    main()
