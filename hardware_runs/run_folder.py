"""The outcome of an experiment as a run: its figures as evidence, with the page of any run."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from backends import load
from backends.base import Compiled, Exact
from backends.twin import noisy_probabilities
from hardware_runs.comparison import bills, compared, departures
from hardware_runs.outcome import Outcome, Treated
from hardware_runs.plan import Plan, PlannedRouter
from hardware_runs.records import Records
from qmoe.figure import Figure, Figures
from qmoe.metrics import Score
from qmoe.record import Scalar
from qmoe.routing_map import RoutingMap, centres
from qmoe.rows import GRID
from qmoe.studies.figures import plain, scored

STUDY = "hardware"
CALL = "hardware_runs.rescore:rescore"


def write_run(records: Records, outcome: Outcome, sides: list[dict[str, Any]], out: Path) -> Path:
    """Writes the folder of a run, and its report; the place of the page.

    Raises:
        InputError: The folder is in use.
    """
    from qmoe.report import write_report
    from qmoe.rundir import Run

    _write(records, outcome, sides, out)
    return write_report(Run.open(out), out / "report")


def as_run(plan_id: str, out: Path) -> Path:
    """The folder of a run from what the ledger in force holds of a plan; returns `out`.

    Jobs may be missing, failed or still running: the page says so.

    Raises:
        InputError: No such plan, one of which nothing was sent, or a ledger that cannot be read.
    """
    from hardware_runs.ledger import Ledger
    from hardware_runs.records import records
    from hardware_runs.rescore import rescore

    with Ledger.open() as ledger:
        found = records(ledger, plan_id)
    outcome = rescore(found.plan, found.schedule, found.measured, sources=found.sources)
    _write(found, outcome, compared(found, outcome), out)
    return out


def _write(records: Records, outcome: Outcome, sides: list[dict[str, Any]], out: Path) -> None:
    from qmoe.evidence import NAME, Evidence
    from qmoe.provenance import capture
    from qmoe.rundir import RunWriter

    key = hashlib.sha256(outcome.plan.encode()).hexdigest()[:20]
    provenance = capture(records.plan.design.seed)
    part = Figures(
        key=key,
        call=CALL,
        options={"plan": outcome.plan},
        figures=tuple(figures(records, outcome, sides)),
    )
    evidence = Evidence(provenance=provenance, results=(), figures=(part,), studies={STUDY: (key,)})
    with RunWriter(f"hardware-{outcome.suite}", provenance, out=out) as writer:
        for number, made in enumerate(maps(records)):
            writer.add_map(f"router {number + 1} of plan {outcome.plan}", made)
        evidence.write(writer.path(NAME))


def maps(records: Records) -> Iterator[RoutingMap]:
    """Decision and gate map of each router, from the noise of what was compiled; no shot noise.

    Axes are the features as scaled for the router, points the inputs that were asked. None unless
    the data have two features and the target says what its noise is.
    """
    plan, compiled = records.plan, records.schedule.compiled
    if compiled.noisy is None or plan.routers[0].inputs.shape[1] != 2:
        return
    every = np.concatenate([router.inputs for router in plan.routers])
    margin = 0.08 * np.maximum(np.ptp(every, axis=0), 1e-3)
    low, high = every.min(0) - margin, every.max(0) + margin
    extent = (float(low[0]), float(high[0]), float(low[1]), float(high[1]))
    X = centres(extent, GRID, GRID)
    for router in plan.routers:
        routed = router.routed
        angles = np.broadcast_to(routed.angles, (len(X), len(routed.angles)))
        rows = np.concatenate([routed.features(X), angles], axis=1)
        answer = routed.answer(X, noisy_probabilities(compiled, rows))
        yield RoutingMap(
            extent=extent,
            probabilities=answer.probabilities.T.reshape(-1, GRID, GRID),
            gates=answer.gate_weights.T.reshape(-1, GRID, GRID),
            points=router.inputs,
            labels=router.labels,
            protocol=f"plan {plan.id}",
            dataset=plan.design.name,
            seed=router.seed,
            features=("feature 1, scaled", "feature 2, scaled"),
            target=plan.target,
            source="twin",
        )


def figures(records: Records, outcome: Outcome, sides: list[dict[str, Any]]) -> Iterator[Figure]:
    """Every figure of an outcome with its labels."""
    labels: dict[str, Scalar] = {
        "plan": outcome.plan,
        "suite": outcome.suite,
        "target": outcome.target,
        "source": ", ".join(outcome.sources),
        "routers": len(records.plan.routers),
        "inputs": records.plan.design.inputs,
        "shots": records.plan.design.shots,
        "repeats": records.plan.design.count,
        "occasion": records.plan.occasion,
        "calibrated": records.schedule.compiled.calibrated_at or "",
        "checkpoints": checkpoints(records.plan),
    }
    for treated in outcome.treatments.values():
        yield from _treated({**labels, "treatment": treated.name}, treated)
    for null in outcome.nulls:
        own = {**labels, "null": null.name, "asked": null.inputs}
        yield plain("hardware null accuracy", own, null.accuracy)
    if (found := outcome.primary) is not None:
        own = {**labels, "treatment": found.treatment, "word": found.word, "margin": found.margin}
        note = f"{found.word} ({100 * found.level:.4g} % interval, margin {found.margin:g})"
        yield scored("hardware minus exact accuracy", own, found.difference, note=note)
    for each in sides:
        own = {**labels, "treatment": each["treatment"], "figure": each["figure"]}
        mean, low, high = each["predicted"]
        note = "inside" if each["inside"] else "outside"
        yield scored("hardware predicted", own, Score(mean, low, high), note=note)
    for repeat in outcome.repeats:
        own = {**labels, "repeat": repeat.number}
        left_out = sum(bool(block.left_out) for block in repeat.blocks)
        yield plain("hardware repeat accuracy", own, repeat.accuracy)
        yield plain("hardware repeat total variation", own, repeat.distance)
        yield plain("hardware blocks left out", own, left_out)
    for figure, places in outcome.changes.items():
        for place in places:
            yield plain("hardware change", {**labels, "figure": figure}, place)
    for number, text in enumerate(departures(records, outcome)):
        yield plain("hardware departure", {**labels, "number": number}, None, text)
    for unit, value in bills(records).items():
        yield plain("hardware billed", {**labels, "unit": unit}, value)
    yield from _compiled(labels, records)
    for phase, seconds in records.seconds.items():
        yield _seconds("hardware seconds", {**labels, "phase": phase}, seconds)
    yield _seconds("hardware exact seconds", labels, exact_seconds(records.plan))


def checkpoints(plan: Plan) -> str:
    """A digest of what is asked: plans with equal ones may stand in one table.

    It is over routers, inputs, shots and repeats, whatever the target.
    """
    design = plan.design
    asked = [design.shots, design.count, [router.to_dict() for router in plan.routers]]
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:16]


def exact_seconds(plan: Plan) -> float:
    """Seconds that this CPU takes for all inputs of all routers, exact, after a first one."""
    cpu = load("torch")
    assert isinstance(cpu, Exact)
    compiled = [cpu.compile(router.routed.template) for router in plan.routers]

    def answered(router: PlannedRouter, of: Compiled, rows: int) -> None:
        X = router.inputs[:rows]
        router.routed.answer(X, cpu.probabilities(of, router.routed.features(X)))

    answered(plan.routers[0], compiled[0], 1)  # what is built on first use is no prediction
    started = time.perf_counter()
    for router, of in zip(plan.routers, compiled, strict=True):
        answered(router, of, len(router.inputs))
    return time.perf_counter() - started


def _compiled(labels: dict[str, Scalar], records: Records) -> Iterator[Figure]:
    """What was compiled for the device."""
    compiled = records.schedule.compiled
    yield plain("hardware two-qubit gates", labels, compiled.two_qubit_gates)
    yield plain("hardware depth", labels, compiled.depth)
    calibrated = compiled.calibrated_at or ""
    yield plain("hardware expected fidelity", labels, compiled.expected_fidelity, calibrated)
    qubits = " ".join(compiled.physical)
    yield plain("hardware qubits", labels, compiled.native.num_qubits, qubits)


def _seconds(name: str, labels: dict[str, Scalar], value: float) -> Figure:
    return scored(name, labels, Score(value, math.nan, math.nan), unit="s")


def _treated(labels: dict[str, Scalar], treated: Treated) -> Iterator[Figure]:
    yield scored("hardware accuracy", labels, treated.accuracy)
    exact = [each.exact for each in treated.by_router]
    yield plain("hardware exact accuracy", labels, math.fsum(exact) / len(exact))
    if treated.retention is not None:
        yield scored("hardware retention", labels, treated.retention)
    yield scored("hardware total variation", labels, treated.distance)
    yield scored("hardware top-1 agreement", labels, treated.agreement)
    yield plain("hardware shot floor", labels, treated.floor)
    for name in ("shots", "circuits", "gamma", "clipped"):
        yield plain(f"hardware {name}", labels, getattr(treated, name))
    yield scored("hardware hellinger fidelity", labels, treated.fidelity)
    for expert, weight in enumerate(treated.loads):
        yield scored("hardware expert load", {**labels, "expert": expert + 1}, weight)
    for i, row in enumerate(treated.confusion.tolist()):
        for k, share in enumerate(row):
            own = {**labels, "ideal": i + 1, "asked": k + 1}
            yield plain("hardware routing confusion", own, share)
