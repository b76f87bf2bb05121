"""The outcome of an experiment as a run: its figures as evidence, with the page of any run."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hardware_runs.comparison import bills, departures
from hardware_runs.outcome import Outcome, Treated
from hardware_runs.records import Records
from qmoe.figure import Figure, Figures
from qmoe.metrics import Score
from qmoe.record import Scalar
from qmoe.studies.figures import plain, scored

STUDY = "hardware"
CALL = "hardware_runs.rescore:rescore"


def write_run(records: Records, outcome: Outcome, sides: list[dict[str, Any]], out: Path) -> Path:
    """Writes the folder of a run, and its report; the place of the page.

    Raises:
        InputError: The folder is in use.
    """
    from qmoe.evidence import Evidence
    from qmoe.provenance import capture
    from qmoe.report import write_report
    from qmoe.rundir import Run, RunWriter

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
        evidence.write(writer.path("evidence.json.gz"))
    return write_report(Run.open(out), out / "report")


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
