"""How long a full ledger takes to answer, and what collecting costs beside the vendor's client.

    python -m benchmarks.ledger

prints medians: the queries behind `qmoe hardware list` and `status` with 10,000 jobs of 20 plans,
and storing the counts of 1,000 circuits of a job that is there already.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np

from backends.queued import Cost, Interval, JobRef
from hardware_runs.ledger import Caps, JobDraft, Ledger, sender

PLANS, JOBS, ROWS, SHOTS, TIMES = 20, 500, 1000, 1000, 7


def seconds(call: Callable[[], object]) -> float:
    """The median time of a call."""
    found = []
    for _ in range(TIMES):
        started = time.perf_counter()
        call()
        found.append(time.perf_counter() - started)
    return median(found)


def filled(ledger: Ledger) -> None:
    """10,000 jobs, half of them sent."""
    cost = Cost(Interval(1.0, 2.0), Interval(1.0, 3.0), "a list")
    for k in range(PLANS):
        plan = f"{k:016x}"
        content = '{"design": {"name": "device-small"}, "target": "ibm:ibm_boston"}'
        ledger.add_plan(plan, plan, content, "qmoe hardware plan")
        drafts = [
            JobDraft(f"r00-b{n:03}-p00", f"{plan}-{n}", None, tuple(range(100)), SHOTS, cost)
            for n in range(JOBS)
        ]
        ledger.add_jobs(plan, drafts)
        for job in ledger.jobs(plan)[: JOBS // 2 : 10]:
            ledger.claim(job.id, sender(), 60, "ibm", cost, Caps())
            ledger.sent(job.id, JobRef("ibm:x", f"id-{job.id}", 100, SHOTS, job.tag), "device")


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
    print(f"{PLANS * JOBS:,} jobs of {PLANS} plans")
    print(f"open            {1000 * opened:8.1f} ms")
    print(f"list            {1000 * listing:8.1f} ms")
    print(f"status of one   {1000 * one:8.1f} ms ({JOBS} jobs)")
    print(f"all jobs read   {1000 * every:8.1f} ms")
    print(f"store           {1000 * stored:8.1f} ms (counts of {ROWS:,} circuits)")


if __name__ == "__main__":
    main()
