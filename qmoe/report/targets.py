"""The tables of targets: trained routers on simulators and devices, beside themselves, exact."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import pandas as pd

from qmoe.evidence import Evidence
from qmoe.figure import Figure
from qmoe.metrics import Score
from qmoe.record import Scalar
from qmoe.report.stored import measured, score_of, whole_of
from qmoe.report.tables import Axis, Drawn, axis_of, drawn_on
from qmoe.report.words import counted
from qmoe.results import ends

STUDY = "targets"
ACCURACY = "target accuracy"
UNTREATED = "none"
EMPTY = Score(math.nan, math.nan, math.nan)

SCORES: Final[dict[str, str]] = {
    "accuracy": ACCURACY,
    "difference": "target minus exact accuracy",
    "retention": "routing retention",
    "distance": "total variation",
    "agreement": "top-1 agreement",
    "measured_fidelity": "hellinger fidelity",
    "predicted_accuracy": "predicted accuracy",
    "predicted_distance": "predicted total variation",
}
"""Attributes of a row that have an interval, by the names of their figures."""
VALUES: Final[dict[str, str]] = {
    "floor": "shot floor",
    "two_qubit_gates": "two-qubit gates",
    "depth": "depth",
    "fidelity": "expected fidelity",
    "circuits": "circuits",
    "shots_used": "shots used",
    "compiling": "compile seconds",
    "running": "run seconds",
    "answering": "answer seconds",
}
"""Those that have none."""
COLUMNS: Final[Mapping[str, str]] = {
    "distance": "total_variation",
    "predicted_distance": "predicted_total_variation",
    "floor": "shot_floor",
    "fidelity": "expected_fidelity",
    "compiling": "compile_seconds",
    "running": "run_seconds",
    "answering": "answer_seconds",
}
"""What the table for other programs calls an attribute, where another name."""


@dataclass(frozen=True, slots=True)
class TargetRow:
    """One target as it is or with a mitigation; figures are nan where there are none.

    `shots` is 0 where probabilities were exact. `difference` is accuracy minus that of the same
    router exact, on the same inputs. Seconds are of all inputs together. `layout` names the
    physical qubits. `note` says why a target was not run, or why it has no retention.
    """

    target: str
    mitigation: str
    source: str
    shots: int
    accuracy: Score
    difference: Score
    retention: Score
    distance: Score
    floor: float
    agreement: Score
    measured_fidelity: Score
    predicted_accuracy: Score
    predicted_distance: Score
    two_qubit_gates: float
    depth: float
    fidelity: float
    circuits: float
    shots_used: float
    compiling: float
    running: float
    answering: float
    calibrated: str
    layout: str
    note: str
    figures: tuple[Figure, ...] = ()
    drawn: Drawn | None = None

    @property
    def ran(self) -> bool:
        """Whether it has an accuracy."""
        return math.isfinite(self.accuracy.value)

    @property
    def name(self) -> str:
        """The target, with its mitigation if there is one."""
        treated = self.mitigation != UNTREATED
        return f"{self.target} + {self.mitigation}" if treated else self.target

    @property
    def predicted(self) -> bool:
        """Whether something was expected of it before it ran."""
        return math.isfinite(self.predicted_accuracy.value)

    @property
    def seconds(self) -> float:
        """What all answers took, from features to classes."""
        return self.running + self.answering


@dataclass(frozen=True, slots=True)
class Targets:
    """Targets that answered the same inputs by the same router with the same shots.

    `baseline` is the row of the same router exact on this CPU, which is among the rows; None
    where a run did not ask for it.
    """

    key: str
    router: str
    dataset: str
    seed: int
    inputs: int
    shots: int
    axis: Axis | None
    rows: tuple[TargetRow, ...]
    baseline: TargetRow | None

    @property
    def about(self) -> str:
        """What is equal in all rows, and so why they stand in one table."""
        shots = f" and {counted(self.shots, 'shot')} per input" if self.shots else ""
        return (
            f"{self.router} as trained for seed {self.seed} on {self.dataset}, "
            f"the same {counted(self.inputs, 'test input')}{shots}"
        )

    def timed(self, row: TargetRow) -> bool:
        """Whether a row was timed."""
        return math.isfinite(row.seconds)

    def per_thousand(self, row: TargetRow) -> float:
        """Seconds of 1,000 predictions on a row's target; nan where nobody timed it."""
        return 1000 * row.seconds / self.inputs if self.inputs else math.nan


def targets(evidence: Evidence | None) -> tuple[Targets, ...]:
    """The tables of a run: targets in the order they were asked for, apart where unlike.

    A target that was not run stands in the first table: what it would have been compared with is
    not known.
    """
    found = [one for part in measured(evidence, STUDY) for one in _by_mitigation(part)]
    made = [(figures[0].labels, _row(figures)) for figures in found]
    exact = [(own, row) for own, row in made if row.ran and not row.shots]
    absent = [(own, row) for own, row in made if not row.ran]
    tables: list[list[tuple[Mapping[str, Scalar], TargetRow]]] = []
    for shots in (True, False):
        groups: dict[tuple[Scalar, ...], list[tuple[Mapping[str, Scalar], TargetRow]]] = {}
        for own, row in made:
            if row.ran and bool(row.shots) is shots:
                groups.setdefault((*_asked(own), row.shots), []).append((own, row))
        for asked, rows in groups.items():
            # the exact router is what every table of it is compared with
            beside = [each for each in exact if shots and _asked(each[0]) == asked[:-1]]
            told = {_asked(own) for table in tables for own, _ in table}
            if shots or asked[:-1] not in told:
                tables.append([*beside, *rows])
    if tables:
        tables[0] += absent
    order = {id(row): place for place, (_, row) in enumerate(made)}
    return tuple(
        _table(k, rows[0][0], sorted((row for _, row in rows), key=lambda row: order[id(row)]))
        for k, rows in enumerate(tables)
    )


def _asked(labels: Mapping[str, Scalar]) -> tuple[Scalar, ...]:
    """Which router on which inputs."""
    return tuple(labels.get(k) for k in ("router", "dataset", "seed", "checkpoint", "inputs"))


def _table(number_: int, labels: Mapping[str, Scalar], rows: Sequence[TargetRow]) -> Targets:
    axis = axis_of([row.accuracy for row in rows if row.ran])
    drawn = tuple(replace(row, drawn=drawn_on(row.accuracy, axis)) for row in rows)
    return Targets(
        key=f"targets-{number_ + 1}",
        router=str(labels["router"]),
        dataset=str(labels["dataset"]),
        seed=whole_of(labels["seed"]),
        inputs=whole_of(labels["inputs"]),
        shots=max((row.shots for row in rows), default=0),
        axis=axis,
        rows=drawn,
        baseline=next((row for row in drawn if row.ran and not row.shots), None),
    )


def target_table(found: Sequence[Targets]) -> pd.DataFrame:
    """The tables for other programs as one: a row per target and mitigation, `table` the key."""
    rows = []
    for each in found:
        for row in each.rows:
            line: dict[str, Scalar] = {
                "table": each.key,
                "target": row.target,
                "mitigation": row.mitigation,
                "source": row.source,
                "router": each.router,
                "dataset": each.dataset,
                "seed": each.seed,
                "inputs": each.inputs,
                "shots": row.shots,
            }
            for name in SCORES:
                score: Score = getattr(row, name)
                column = COLUMNS.get(name, name)
                line |= ends(column, score)
            line |= {COLUMNS.get(name, name): getattr(row, name) for name in VALUES}
            line |= {"seconds_per_1000": each.per_thousand(row)}
            line |= {"calibrated": row.calibrated, "layout": row.layout, "note": row.note}
            rows.append(line)
    return pd.DataFrame(rows)


def _by_mitigation(figures: tuple[Figure, ...]) -> Iterator[tuple[Figure, ...]]:
    names = dict.fromkeys(_mitigation(figure) for figure in figures)
    for name in names:
        yield tuple(figure for figure in figures if _mitigation(figure) == name)


def _mitigation(figure: Figure) -> str:
    return str(figure.labels.get("mitigation", UNTREATED))


def _row(figures: tuple[Figure, ...]) -> TargetRow:
    by_name = {figure.name: figure for figure in reversed(figures)}
    first = by_name[ACCURACY]
    expected, qubits = by_name.get("expected fidelity"), by_name.get("qubits")
    retained = by_name.get("routing retention")

    def of(name: str) -> Score:
        return score_of(by_name.get((SCORES | VALUES)[name]))

    return TargetRow(
        target=str(first.labels["target"]),
        mitigation=_mitigation(first),
        source=str(first.labels.get("source", "")),
        shots=whole_of(first.labels.get("shots", 0)),
        accuracy=of("accuracy"),
        difference=of("difference"),
        retention=of("retention"),
        distance=of("distance"),
        agreement=of("agreement"),
        measured_fidelity=of("measured_fidelity"),
        predicted_accuracy=of("predicted_accuracy"),
        predicted_distance=of("predicted_distance"),
        floor=of("floor").value,
        two_qubit_gates=of("two_qubit_gates").value,
        depth=of("depth").value,
        fidelity=of("fidelity").value,
        circuits=of("circuits").value,
        shots_used=of("shots_used").value,
        compiling=of("compiling").value,
        running=of("running").value,
        answering=of("answering").value,
        calibrated=expected.note[:10] if expected else "",
        layout=qubits.note if qubits else "",
        note=first.note or (retained.note if retained else ""),
        figures=figures,
    )
