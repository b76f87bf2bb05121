"""What an experiment on a device said, as its page and a terminal show it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from qmoe.evidence import Evidence
from qmoe.figure import Figure
from qmoe.metrics import Score
from qmoe.record import Scalar
from qmoe.report.stored import measured, score_of, whole_of
from qmoe.report.words import counted
from qmoe.results import ends

STUDY = "hardware"


@dataclass(frozen=True, slots=True)
class Treatment:
    """One treatment over all routers."""

    name: str
    accuracy: Score
    exact: float
    retention: Score
    distance: Score
    floor: float
    agreement: Score
    fidelity: Score
    circuits: float
    shots: float
    gamma: float
    figures: tuple[Figure, ...] = ()


@dataclass(frozen=True, slots=True)
class Circuit:
    """What was compiled for a device: counts, fidelity by its calibration, physical qubits."""

    two_qubit_gates: float
    depth: float
    fidelity: float
    layout: str


@dataclass(frozen=True, slots=True)
class Expected:
    """A registered prediction beside what was measured."""

    treatment: str
    figure: str
    predicted: Score
    inside: bool


@dataclass(frozen=True, slots=True)
class Hardware:
    """One experiment on one target.

    `labels` has plan, suite, target, source and sizes; `nulls` name, accuracy and inputs;
    `repeats` number, accuracy, total variation and blocks left out.
    """

    labels: dict[str, Scalar]
    verdict: str
    word: str
    difference: Score
    treatments: tuple[Treatment, ...]
    expected: tuple[Expected, ...]
    nulls: tuple[tuple[str, float, int], ...]
    repeats: tuple[tuple[int, float, float, int], ...]
    changes: tuple[str, ...]
    departures: tuple[str, ...]
    bills: Mapping[str, float]
    circuit: Circuit
    seconds: Mapping[str, float]
    exact_seconds: float

    @property
    def plan(self) -> str:
        """The id of its plan."""
        return str(self.labels["plan"])

    @property
    def source(self) -> str:
        """Where its results came from; "" where nothing was collected."""
        return str(self.labels["source"])

    @property
    def billed(self) -> tuple[str, ...]:
        """What the whole experiment has cost, as far as the vendor says."""
        return _amounts(self.bills, 1.0)

    @property
    def billed_per_thousand(self) -> tuple[str, ...]:
        """The same for 1,000 predictions: null routers, calibration and all treatments included."""
        return _amounts(self.bills, 1000 / self.predictions) if self.predictions else ()

    @property
    def predictions(self) -> int:
        """How many inputs were to be answered, all routers and repeats together."""
        sizes = (whole_of(self.labels[name]) for name in ("routers", "inputs", "repeats"))
        return math.prod(sizes)

    @property
    def exact_per_thousand(self) -> float:
        """Seconds of 1,000 predictions of the same routers exact, on the CPU that scored them."""
        asked = whole_of(self.labels["routers"]) * whole_of(self.labels["inputs"])
        return 1000 * self.exact_seconds / asked if asked else math.nan

    @property
    def device(self) -> bool:
        """Whether a quantum device gave all of it."""
        return self.labels["source"] == "device"


def hardware(evidence: Evidence | None) -> tuple[Hardware, ...]:
    """The experiments of a run."""
    return tuple(_one(figures) for figures in measured(evidence, STUDY))


@dataclass(frozen=True, slots=True)
class Alike:
    """Experiments with the same routers, inputs and shots, on any targets: one table."""

    experiments: tuple[Hardware, ...]

    @property
    def about(self) -> str:
        """What is equal in all of them."""
        labels = self.experiments[0].labels
        routers, inputs, shots = (whole_of(labels[n]) for n in ("routers", "inputs", "shots"))
        return (
            f"{counted(routers, 'router')} picked by rule, {counted(inputs, 'test input')} each, "
            f"{counted(shots, 'shot')} per circuit"
        )


def alike(found: Sequence[Hardware]) -> tuple[Alike, ...]:
    """The experiments in groups that may stand in one table, in their order."""
    groups: dict[str, list[Hardware]] = {}
    for each in found:
        # without the digest of what was measured nothing says that two are alike
        groups.setdefault(str(each.labels["checkpoints"] or each.plan), []).append(each)
    return tuple(Alike(tuple(group)) for group in groups.values())


def hardware_table(found: Sequence[Hardware]) -> pd.DataFrame:
    """The treatments for other programs: one row per experiment and treatment."""
    rows = []
    for each in found:
        for row in each.treatments:
            line: dict[str, Scalar] = {**each.labels, "treatment": row.name, "exact": row.exact}
            for name in ("accuracy", "retention", "distance", "agreement", "fidelity"):
                score: Score = getattr(row, name)
                column = {"distance": "total_variation", "fidelity": "hellinger_fidelity"}.get(
                    name, name
                )
                line |= ends(column, score)
            line |= {"floor": row.floor, "circuits": row.circuits, "shots_used": row.shots}
            at = each.circuit
            line |= {"two_qubit_gates": at.two_qubit_gates, "depth": at.depth}
            line |= {"expected_fidelity": at.fidelity, "layout": at.layout}
            line |= {f"{phase}_seconds": value for phase, value in each.seconds.items()}
            line |= {"exact_seconds_per_1000": each.exact_per_thousand}
            rows.append(line | {"billed": ", ".join(each.billed)})
    return pd.DataFrame(rows)


def _one(figures: Sequence[Figure]) -> Hardware:
    by: dict[str, list[Figure]] = {}
    for figure in figures:
        by.setdefault(figure.name.removeprefix("hardware "), []).append(figure)
    main = by.get("minus exact accuracy", [])
    named = ("plan", "suite", "target", "source", "routers", "inputs", "shots", "repeats")
    return Hardware(
        labels={
            **{key: figures[0].labels[key] for key in (*named, "occasion", "calibrated")},
            "checkpoints": figures[0].labels.get("checkpoints", ""),
        },
        verdict=main[0].note if main else "nothing counts",
        word=str(main[0].labels["word"]) if main else "nothing counts",
        difference=score_of(main[0] if main else None),
        treatments=tuple(_treatment(by, str(f.labels["treatment"])) for f in by["accuracy"])
        if "accuracy" in by
        else (),
        expected=tuple(
            Expected(
                str(f.labels["treatment"]),
                str(f.labels["figure"]),
                score_of(f),
                f.note == "inside",
            )
            for f in by.get("predicted", [])
        ),
        nulls=tuple(
            (str(f.labels["null"]), f.value or 0.0, whole_of(f.labels["asked"]))
            for f in by.get("null accuracy", [])
        ),
        repeats=tuple(_repeats(by)),
        changes=tuple(
            f"{f.labels['figure']} from repeat {f.value:.0f} on"
            for f in by.get("change", [])
            if f.value is not None
        ),
        departures=tuple(f.note for f in by.get("departure", [])),
        bills={str(f.labels["unit"]): f.value or 0.0 for f in by.get("billed", [])},
        circuit=Circuit(
            two_qubit_gates=_first(by, "two-qubit gates").value,
            depth=_first(by, "depth").value,
            fidelity=_first(by, "expected fidelity").value,
            layout=by["qubits"][0].note if "qubits" in by else "",
        ),
        seconds={
            str(f.labels["phase"]): f.value for f in by.get("seconds", []) if f.value is not None
        },
        exact_seconds=_first(by, "exact seconds").value,
    )


def _amounts(bills: Mapping[str, float], factor: float) -> tuple[str, ...]:
    words = {"money_usd": "USD", "device_seconds": "s of the device"}
    return tuple(f"{factor * v:,.2f} {words.get(unit, unit)}" for unit, v in bills.items())


def _first(by: Mapping[str, Sequence[Figure]], name: str) -> Score:
    return score_of(by[name][0] if name in by else None)


def _treatment(by: dict[str, list[Figure]], name: str) -> Treatment:
    def of(figure: str) -> Score:
        same = (f for f in by.get(figure, []) if f.labels.get("treatment") == name)
        return score_of(next(same, None))

    return Treatment(
        name=name,
        accuracy=of("accuracy"),
        exact=of("exact accuracy").value,
        retention=of("retention"),
        distance=of("total variation"),
        floor=of("shot floor").value,
        agreement=of("top-1 agreement"),
        fidelity=of("hellinger fidelity"),
        circuits=of("circuits").value,
        shots=of("shots").value,
        gamma=of("gamma").value,
        figures=tuple(
            f.model_copy(update={"name": named})
            for named in ("expert load", "routing confusion")
            for f in by.get(named, [])
            if f.labels.get("treatment") == name
        ),
    )


def _repeats(by: dict[str, list[Figure]]) -> Iterator[tuple[int, float, float, int]]:
    names = ("repeat accuracy", "repeat total variation", "blocks left out")
    for accuracy, distance, left in zip(*(by.get(name, []) for name in names), strict=True):
        place = whole_of(accuracy.labels["repeat"])
        yield place, score_of(accuracy).value, score_of(distance).value, int(left.value or 0)
