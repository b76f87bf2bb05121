"""The table of targets: one trained router on simulators and devices, beside itself."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pandas as pd

from qmoe.evidence import Evidence
from qmoe.figure import Figure
from qmoe.metrics import Score
from qmoe.record import Scalar
from qmoe.report.stored import measured, score_of, whole_of
from qmoe.report.tables import Axis, Drawn, axis_of, drawn_on
from qmoe.report.words import counted, number, source_label, written

STUDY = "targets"
ACCURACY = "target accuracy"
UNTREATED = "none"


@dataclass(frozen=True, slots=True)
class TargetRow:
    """One target as it is or with a mitigation; figures are nan where there are none.

    `shots` is 0 where probabilities were exact. `layout` names the physical qubits. `note` says
    why a target was not run, or why it has no retention.
    """

    target: str
    mitigation: str
    source: str
    shots: int
    accuracy: Score
    retention: Score
    distance: Score
    floor: float
    agreement: Score
    two_qubit_gates: float
    depth: float
    fidelity: float
    calibrated: str
    layout: str
    note: str
    drawn: Drawn | None = None


@dataclass(frozen=True, slots=True)
class Targets:
    """The table, and what was asked of every target."""

    router: str
    dataset: str
    seed: int
    inputs: int
    shots: int
    axis: Axis | None
    rows: tuple[TargetRow, ...]


def targets(evidence: Evidence | None) -> Targets | None:
    """The targets of a run, in the order they were asked for; None where none were."""
    found = [one for part in measured(evidence, STUDY) for one in _by_mitigation(part)]
    ran = [figures[0].labels for figures in found if figures[0].value is not None]
    if not ran:
        return None
    rows = [_row(figures) for figures in found]
    axis = axis_of([row.accuracy for row in rows if math.isfinite(row.accuracy.value)])
    return Targets(
        router=str(ran[0]["router"]),
        dataset=str(ran[0]["dataset"]),
        seed=whole_of(ran[0]["seed"]),
        inputs=whole_of(ran[0]["inputs"]),
        shots=max(whole_of(labels["shots"]) for labels in ran),
        axis=axis,
        rows=tuple(replace(row, drawn=drawn_on(row.accuracy, axis)) for row in rows),
    )


def target_table(found: Targets) -> pd.DataFrame:
    """The table of targets for other programs: one row per target."""
    rows = []
    for row in found.rows:
        line: dict[str, Scalar] = {
            "target": row.target,
            "mitigation": row.mitigation,
            "source": row.source,
            "router": found.router,
            "dataset": found.dataset,
            "seed": found.seed,
            "inputs": found.inputs,
            "shots": row.shots,
        }
        for name in ("accuracy", "retention", "distance", "agreement"):
            score: Score = getattr(row, name)
            line |= {name: score.value, f"{name}_low": score.low, f"{name}_high": score.high}
        line |= {
            "shot_floor": row.floor,
            "two_qubit_gates": row.two_qubit_gates,
            "depth": row.depth,
            "expected_fidelity": row.fidelity,
            "calibrated": row.calibrated,
            "layout": row.layout,
            "note": row.note,
        }
        rows.append(line)
    return pd.DataFrame(rows).rename(
        columns={
            "distance": "total_variation",
            "distance_low": "total_variation_low",
            "distance_high": "total_variation_high",
        }
    )


def target_lines(found: Targets) -> Iterator[str]:
    """The same for a terminal, a line per target."""
    yield (
        f"{found.router}, seed {found.seed}, on "
        f"{counted(len({row.target for row in found.rows}), 'target')}: "
        f"{counted(found.inputs, 'test input')} of {found.dataset}, "
        f"{counted(found.shots, 'shot')} each"
    )
    names = [_treated(row) for row in found.rows]
    width = max(map(len, names))
    for name, row in zip(names, found.rows, strict=True):
        if not math.isfinite(row.accuracy.value):
            yield f"  {name:{width}}  {row.note}"
            continue
        gates = f"{number(row.two_qubit_gates, '.0f')} two-qubit gates, depth {row.depth:.0f}"
        floor = f"floor {number(row.floor)}" if row.shots else "exact"
        retained, agreed = (number(s.value, ".2f") for s in (row.retention, row.agreement))
        yield (
            f"  {name:{width}}  {written(row.accuracy)}  R {retained}"
            f"  TV {number(row.distance.value)} ({floor})  top-1 {agreed}"
            f"  {gates}, {source_label(row.source)}"
        )


def _treated(row: TargetRow) -> str:
    return row.target if row.mitigation == UNTREATED else f"{row.target} + {row.mitigation}"


def _by_mitigation(figures: tuple[Figure, ...]) -> Iterator[tuple[Figure, ...]]:
    names = dict.fromkeys(_mitigation(figure) for figure in figures)
    for name in names:
        yield tuple(figure for figure in figures if _mitigation(figure) == name)


def _mitigation(figure: Figure) -> str:
    return str(figure.labels.get("mitigation", UNTREATED))


def _row(figures: tuple[Figure, ...]) -> TargetRow:
    by_name = {figure.name: figure for figure in figures}
    first = by_name[ACCURACY]
    fidelity, qubits = by_name.get("expected fidelity"), by_name.get("qubits")
    retained = by_name.get("routing retention")
    return TargetRow(
        target=str(first.labels["target"]),
        mitigation=_mitigation(first),
        source=str(first.labels.get("source", "")),
        shots=whole_of(first.labels.get("shots", 0)),
        accuracy=score_of(first),
        retention=score_of(retained),
        distance=score_of(by_name.get("total variation")),
        floor=score_of(by_name.get("shot floor")).value,
        agreement=score_of(by_name.get("top-1 agreement")),
        two_qubit_gates=score_of(by_name.get("two-qubit gates")).value,
        depth=score_of(by_name.get("depth")).value,
        fidelity=score_of(fidelity).value,
        calibrated=fidelity.note[:10] if fidelity else "",
        layout=qubits.note if qubits else "",
        note=first.note or (retained.note if retained else ""),
    )
