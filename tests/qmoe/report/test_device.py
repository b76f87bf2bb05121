"""The table of treatments on devices, on the page, in a terminal and as CSV."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from qmoe.evidence import Evidence
from qmoe.figure import Figure, Figures, Measurement
from qmoe.metrics import mean_score, paired_difference
from qmoe.report import write_report
from qmoe.report.device import device_table, devices
from qmoe.report.rich_tables import as_text
from qmoe.report.terminal import summary_json
from tests.qmoe.report import factory

RAW = (0.90, 0.92, 0.91)
BETTER = (0.92, 0.93, 0.94)


def figures(target: str) -> tuple[Figure, ...]:
    labels = {"target": target, "router": "quantum L=2", "dataset": "moons", "shots": 1000}

    def each(name, values, **more):
        score = mean_score([v for v in values if v is not None])
        return Figure(
            name=name,
            labels={**labels, **more},
            value=score.value,
            low=score.low,
            high=score.high,
            per_seed=values,
        )

    made = []
    for part, calibration, better in (("validation", "A", (1.0, 1.0, 1.0)), ("test", "B", BETTER)):
        where = {"part": part, "calibration": calibration, "inputs": 500}
        for treatment, values in (("none", RAW), ("<readout>", better)):
            own = {**where, "treatment": treatment}
            made += [
                each("device accuracy", values, **own),
                each("device retention", (0.5, None, 0.7), **own),
                each("device total variation", (0.03, 0.04, 0.05), **own),
                each("device top-1 agreement", (0.9, 0.9, 0.95), **own),
            ]
        made += [
            each("exact accuracy", (0.95, 0.96, 0.97), **where),
            each("device shot floor", (0.01, 0.01, 0.02), **where),
        ]
    for treatment in ("none", "<readout>"):
        own = {**labels, "treatment": treatment}
        made += [
            Figure(name=f"treatment {what}", labels=own, value=value)
            for what, value in (("circuits", 502.0), ("shots", 5e5), ("gamma", 1.0))
        ]
    for by in ("accuracy", "distance"):
        note = f"none: nothing <was> better by {by}"
        made.append(
            Figure(name="recommendation", labels={**labels, "by": by}, value=0.0, note=note)
        )
    made.append(
        Figure(
            name="device minus exact accuracy",
            labels=labels,
            value=-0.05,
            low=-0.06,
            high=-0.04,
            note="worse (95 % interval, margin 0.01)",
        )
    )
    return tuple(made)


def part(target: str, found: tuple[Figure, ...]) -> Figures:
    made = Measurement("hardware_runs.studies.device:on_device", {"target": target})
    return Figures(key=made.key, call=made.call, options={}, figures=found)


PARTS = (
    part("ibm:fake_boston", figures("ibm:fake_boston")),
    part(
        "cirq:willow_pink",
        (
            Figure(
                name="device accuracy",
                labels={"target": "cirq:willow_pink"},
                value=None,
                note="not run: pip install <x>",
            ),
        ),
    ),
)


def evidence(parts=PARTS) -> Evidence:
    return Evidence(
        provenance=factory.PROVENANCE,
        figures=parts,
        studies={"device": tuple(p.key for p in parts)},
    )


def test_rows_are_those_of_test_inputs():
    found = devices(evidence())
    first, second = found.targets
    assert (found.routers, found.inputs, found.shots) == (3, 500, 1000)
    raw, treated = first.rows
    assert raw.accuracy.value == pytest.approx(sum(RAW) / 3) and math.isnan(raw.gain.value)
    assert treated.gain == paired_difference(BETTER, RAW)
    assert treated.retention.value == pytest.approx(0.6)
    assert first.calibration == "B" and "worse" in first.verdict
    assert second.note == "not run: pip install <x>" and not second.rows


def test_nothing_asked_is_nothing_shown():
    assert devices(None) is None
    assert devices(evidence(PARTS[1:])) is None


def test_the_table_has_a_row_per_treatment():
    table = device_table(devices(evidence()))
    assert list(table["treatment"]) == ["none", "<readout>"]
    assert table["total_variation"].iloc[0] == pytest.approx(0.04)


def test_page_terminal_and_csv_agree(tmp_path):
    records = [factory.record("quantum L=2", seed) for seed in range(3)]
    run = factory.write(tmp_path / "run", records, (), evidence())
    page = write_report(run, tmp_path / "report")
    text = page.read_text()
    assert "Treatments on every device" in text and "&lt;readout&gt;" in text
    assert "<readout>" not in text and "nothing <was>" not in text
    table = pd.read_csv(page.parent / "devices.csv")
    assert list(table["gain"])[1] == pytest.approx(paired_difference(BETTER, RAW).value)
    lines = as_text(run).splitlines()
    assert any("not run" in line for line in lines)
    assert any("device minus exact" in line and "worse" in line for line in lines)
    assert [row["treatment"] for row in summary_json(run)["devices"]] == ["none", "<readout>"]


def test_evidence_without_values_by_router_gives_a_page_without_gains(tmp_path):
    records = [factory.record("quantum L=2", seed) for seed in range(3)]
    run = factory.write(tmp_path / "run", records, (), evidence().small())
    page = write_report(run, tmp_path / "report")
    table = pd.read_csv(page.parent / "devices.csv")
    assert table["gain"].isna().all() and table["accuracy"].notna().all()
    assert "0 trained routers" not in page.read_text()
