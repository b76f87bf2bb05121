"""What collecting costs beside the vendor's own client: 1,000 finished circuits, over loopback.

    python -m tests.hardware_runs.collecting

prints, for IBM (one job) and Braket (ten program sets), medians of collecting into the ledger and
of the client's own results, interleaved, each with a new connection, and their ratio.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

from tests.hardware_runs.kills import driver_for, plan_for, warm
from tests.services.loopback import Loopback, loopback

ROUNDS = 5


class Scene:
    """What `driver_for` needs of a family."""

    def __init__(self, service: Loopback, text: str) -> None:
        self.service, self.text = service, text


def theirs(name: str, ids: list[str]) -> None:
    """The results of all jobs as the vendor's client gives them."""
    from backends import load
    from tests.services.loopback import TARGETS

    backend: Any = load(TARGETS[name])
    if name == "ibm":
        for each in ids:
            backend._account._client.job(each).result()
        return
    from braket.aws import AwsQuantumTask

    for each in ids:
        AwsQuantumTask(each, backend._session).result()


def measured(name: str) -> tuple[int, float, float]:
    """Circuits, seconds of ours, seconds of the client."""
    from backends import load
    from hardware_runs import schedule_json
    from hardware_runs.ledger import Caps
    from hardware_runs.plan import make
    from hardware_runs.schedule import arrange

    with tempfile.TemporaryDirectory() as folder, loopback(name, Path(folder)) as service:
        os.environ.update(service.environment)
        warm(name)
        small = plan_for(service.target)
        design = replace(small.design, inputs=125, block=125, shots=200)
        plan = make(design, service.target)
        text = schedule_json.to_json(arrange(plan, load(service.target)))
        scene: Any = Scene(service, text)
        sent = Path(folder) / "sent.sqlite"
        driver = driver_for(scene, plan, str(sent), lambda _: None, 120)
        driver.submit(Caps())
        ids = [job.ref.id for job in driver.ledger.jobs(plan.id)]
        circuits = sum(job.circuits for job in driver.ledger.jobs(plan.id))
        driver.ledger.close()
        ours, client = [], []
        for k in range(ROUNDS):
            copy = Path(folder) / f"copy{k}.sqlite"
            shutil.copy(sent, copy)
            started = time.perf_counter()
            theirs(name, ids)
            client.append(time.perf_counter() - started)
            collecting = driver_for(scene, plan, str(copy), lambda _: None, 120)
            started = time.perf_counter()
            load(service.target)
            done = collecting.collect()
            ours.append(time.perf_counter() - started)
            assert done.collected == len(ids), done
        return circuits, median(ours), median(client)


def main() -> None:
    """Measures and prints."""
    for name in ("ibm", "braket"):
        circuits, ours, client = measured(name)
        print(
            f"{name}: {circuits:,} circuits collected in {ours:.2f} s, the client's own results in "
            f"{client:.2f} s: {ours / client:.2f}x"
        )


if __name__ == "__main__":
    main()
