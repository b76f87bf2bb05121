"""Counts without a device: exact, drawn or planted ones, and the records that would hold them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from backends import load
from hardware_runs.plan import Plan, PlannedRouter
from hardware_runs.predict_plan import probabilities
from hardware_runs.records import Records, Row
from hardware_runs.schedule import Schedule, arrange

CZ = np.diag([1.0, 1.0, 1.0, -1.0])


def scheduled(plan: Plan) -> Schedule:
    """The schedule of a plan on its own target."""
    return arrange(plan, load(plan.target))


def counted(chances, shots: int, repeats: int = 1):
    """The counts nearest to exact probabilities (execution, 2^m)."""
    table = np.rint(shots * chances).astype(np.int64)
    return {(r, k): row for r in range(repeats) for k, row in enumerate(table)}


def drawn(chances, shots: int, rng, repeats: int = 1):
    """Counts of shots that were drawn, by repeat and execution."""
    return {
        (r, k): row for r in range(repeats) for k, row in enumerate(rng.multinomial(shots, chances))
    }


def simulated(plan: Plan, seed: int = 0) -> tuple[Schedule, dict[tuple[int, int], Any]]:
    """A schedule with counts as its target would give them."""
    schedule = scheduled(plan)
    chances = probabilities(plan, schedule)
    rng = np.random.default_rng(seed)
    return schedule, drawn(chances, plan.design.shots, rng, plan.design.count)


def kept(plan: Plan, schedule: Schedule, measured, **changes: Any) -> Records:
    """Records of counts, one job for each block, as the ledger gives them."""
    rows, jobs = [], []
    places = range(len(schedule.executions))
    for repeat in range(plan.design.count):
        for block in range(plan.design.blocks):
            key = f"r{repeat:02}-b{block:02}-p00"
            here = [k for k in places if schedule.executions[k].block == block]
            jobs.append(job(key, len(here), plan.design.shots))
            for k in here:
                if (repeat, k) in measured:
                    seen = {o: int(n) for o, n in enumerate(measured[repeat, k]) if n}
                    rows.append(Row(key, repeat, k, seen))
    values: dict[str, Any] = {
        "plan": plan,
        "schedule": schedule,
        "rows": tuple(rows),
        "jobs": tuple(jobs),
        "predictions": (),
        "sources": ("loopback",),
    }
    return Records(**{**values, **changes})


def labelled(plan: Plan, y) -> Plan:
    """The plan with other classes (router, input)."""
    routers = (replace(r, y=tuple(map(int, each))) for r, each in zip(plan.routers, y, strict=True))
    return replace(plan, routers=tuple(routers))


def job(key: str, circuits: int, shots: int, state: str = "done") -> dict[str, Any]:
    """A job as records have it."""
    unknown = {"money_usd": None, "device_seconds": None, "note": ""}
    return {
        "job": key,
        "state": state,
        "id": f"id-{key}",
        "tag": f"qmoe-{key}",
        "source": "loopback",
        "circuits": circuits,
        "shots": shots,
        "first_sent": "2026-11-01T00:00:00+00:00",
        "updated": "2026-11-01T00:01:00+00:00",
        "estimated": unknown,
        "billed": None,
        "words": "",
    }


# --- what a planned router is, in plain numpy


def ideal(router: PlannedRouter, X):
    """Outcome probabilities (row, 4): RY(x), then per layer RY(theta) on both qubits and a CZ."""
    angles = np.reshape(router.weights[:4], (2, 2))
    out = []
    for x in np.asarray(X) * router.model.get("embedding_scale", 1.0):
        state = rotations(x) @ np.array([1.0, 0, 0, 0])
        for layer in angles:
            state = CZ @ rotations(layer) @ state
        out.append(state**2)
    return np.array(out)


def rotations(angles):
    """RY on each of two qubits."""
    halves = np.asarray(angles) / 2
    each = [np.array([[np.cos(h), -np.sin(h)], [np.sin(h), np.cos(h)]]) for h in halves]
    return np.kron(*each)


def classes(router: PlannedRouter, X, gates):
    """The class (row,) of gate weights (row, expert) over four linear experts."""
    numbers = np.array(router.weights)
    matrix, bias = numbers[4:20].reshape(4, 2, 2), numbers[20:28].reshape(4, 2)
    opinions = np.einsum("ecf,rf->rec", matrix, np.asarray(X)) + bias
    return np.einsum("re,rec->rc", gates, opinions).argmax(1)


def right(router: PlannedRouter, rows, gates):
    """Whether each of some inputs is answered rightly."""
    rows = list(rows)
    X, y = np.array(router.X)[rows], np.array(router.y)[rows]
    return classes(router, X, gates) == y
