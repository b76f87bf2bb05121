"""Targets as tables of text: trained routers on simulators and devices, and treatments."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from qmoe.metrics import Score
from qmoe.report.cells import (
    EMULATED,
    INTERVAL,
    MISSING,
    WHERE,
    Column,
    Shown,
    pruned,
    scored,
    sources_of,
)
from qmoe.report.device import Devices, DeviceTarget
from qmoe.report.targets import UNTREATED, TargetRow, Targets
from qmoe.report.words import counted, inside, number, source_label, typeset


def target_tables(targets: Sequence[Targets]) -> tuple[Shown, ...]:
    """Trained routers on targets: accuracy, circuits, time, and what was predicted."""
    made = (pruned(table) for found in targets for table in _targets(found) if table.rows)
    return tuple(table for table in made if len(table.head) > len(WHERE))


def device_tables(devices: Devices) -> tuple[Shown, ...]:
    """Treatments on emulated devices: what was recommended, then a table per device that ran."""
    ran = [target for target in devices.targets if not target.note]
    summed = Shown(
        key="devices",
        title=f"{devices.router} on emulated devices",
        note=(
            f"{counted(devices.routers, 'trained router')} on {devices.dataset}, "
            f"{counted(devices.inputs, 'test input')} and {counted(devices.shots, 'shot')} per "
            "input, whatever the treatment."
        ),
        head=(
            Column("Target"),
            Column("Source"),
            Column("Exact accuracy", INTERVAL),
            Column("Device minus exact"),
            Column("By accuracy"),
            Column("By total variation"),
        ),
        rows=tuple(_recommended(target) for target in devices.targets),
        source=source_label(EMULATED),
    )
    return (pruned(summed), *(pruned(_treatments(t, k)) for k, t in enumerate(ran, start=1)))


def _targets(found: Targets) -> Iterator[Shown]:
    ran = [row for row in found.rows if row.ran]
    source = sources_of(row.source for row in ran)
    about = f"{found.about[0].upper()}{found.about[1:]}."

    def made(
        part: str, title: str, head: Sequence[Column], rows: Iterator[tuple[str, ...]]
    ) -> Shown:
        key, note = f"{found.key}-{part}", about
        if part == "accuracy" and found.baseline is None:
            note = f"{about} The same router exact was not asked for."
        return Shown(key, title, note, (*WHERE, *head), tuple(rows), source)

    yield made(
        "accuracy",
        "Accuracy and agreement by target",
        (
            Column("Shots", right=True),
            Column("Accuracy", INTERVAL),
            Column("Minus exact", INTERVAL),
            Column("Retention R", INTERVAL),
            Column("Total variation", INTERVAL),
            Column("Shot floor", right=True),
            Column("Top-1 agreement", right=True),
            Column("Note"),
        ),
        (
            (
                *_where(row),
                f"{row.shots:,}" if row.shots else "exact" if row.ran else MISSING,
                scored(row.accuracy),
                scored(row.difference, "+.3f"),
                scored(row.retention, ".2f"),
                scored(row.distance),
                number(row.floor) if row.shots else MISSING,
                number(row.agreement.value),
                row.note or MISSING,
            )
            for row in found.rows
        ),
    )
    yield made(
        "circuits",
        "Compiled circuits by target",
        (
            Column("Two-qubit gates", right=True),
            Column("Depth", right=True),
            Column("Expected fidelity", right=True),
            Column("Measured fidelity", INTERVAL),
            Column("Calibrated"),
            Column("Qubits used"),
        ),
        (
            (
                *_where(row),
                number(row.two_qubit_gates, ".0f"),
                number(row.depth, ".0f"),
                number(row.fidelity, ".4f"),
                scored(row.measured_fidelity, ".4f"),
                row.calibrated or MISSING,
                row.layout or MISSING,
            )
            for row in ran
            if row.mitigation == UNTREATED
        ),
    )
    yield made(
        "costs",
        "Time and cost by target; no fee where simulated",
        (
            Column("Compile", "s", right=True),
            Column("Run", "s", right=True),
            Column("Experts", "s", right=True),
            Column("1,000 predictions", "s", right=True),
            Column("Circuits", right=True),
            Column("Shots", right=True),
        ),
        (
            (
                *_where(row),
                *(number(s, ".3g") for s in (row.compiling, row.running, row.answering)),
                number(found.per_thousand(row), ".3g"),
                *(number(count, ",.0f") for count in (row.circuits, row.shots_used)),
            )
            for row in ran
        ),
    )
    yield made(
        "predicted",
        "Predicted before the run and measured, by target",
        (
            Column("Accuracy, predicted", INTERVAL),
            Column("measured"),
            Column("Total variation, predicted", INTERVAL),
            Column("measured"),
        ),
        (
            (
                *_where(row),
                *_expected(row.predicted_accuracy, row.accuracy),
                *_expected(row.predicted_distance, row.distance),
            )
            for row in ran
            if row.predicted
        ),
    )


def _where(row: TargetRow) -> tuple[str, str]:
    return row.name, source_label(row.source) or MISSING


def _expected(predicted: Score, measured: Score) -> tuple[str, str]:
    told = number(measured.value)
    if predicted.has_interval and math.isfinite(measured.value):
        told = f"{told}, {inside(predicted, measured.value)}"
    return scored(predicted), told


def _recommended(target: DeviceTarget) -> tuple[str, ...]:
    label = source_label(EMULATED)
    if target.note:
        return (target.target, label, MISSING, target.note, MISSING, MISSING)
    return (
        *(target.target, label, scored(target.exact), typeset(target.verdict)),
        *(target.by_accuracy, target.by_distance),
    )


def _treatments(target: DeviceTarget, place: int) -> Shown:
    return Shown(
        key=f"device-{place}",
        title=f"Treatments on {target.target}, emulated",
        note=(
            "Means over routers; gain is the paired difference in accuracy to the raw target. "
            f"Shot floor {number(target.floor)}."
            + (f" Calibration {target.calibration}." if target.calibration else "")
        ),
        head=(
            *(Column("Treatment"), Column("Source"), Column("Accuracy", INTERVAL)),
            *(Column("Gain", INTERVAL), Column("Retention R", INTERVAL)),
            *(Column("Total variation", INTERVAL), Column("Top-1 agreement", right=True)),
            *(Column(name, right=True) for name in ("Circuits", "Shots", "Gamma")),
        ),
        rows=tuple(
            (
                *(row.treatment, source_label(EMULATED), scored(row.accuracy)),
                *(scored(row.gain, "+.3f"), scored(row.retention, ".2f"), scored(row.distance)),
                *(number(row.agreement.value), number(row.circuits, ",.0f")),
                *(number(row.shots, ",.0f"), number(row.gamma, ".2f")),
            )
            for row in target.rows
        ),
        source=source_label(EMULATED),
    )
