"""Tables as text: figures as the page writes them, and where they come from."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from qmoe.figure import Figure, Figures, Measurement
from qmoe.metrics import Score
from qmoe.report.content import Content, gather
from qmoe.report.device import Devices, DeviceTarget, TreatmentRow
from qmoe.report.hardware import hardware
from qmoe.report.noise import BreakdownRow, Noise
from qmoe.report.shown import (
    Column,
    Shown,
    accuracy_tables,
    breakdown_table,
    device_tables,
    hardware_tables,
    tables_of,
    target_tables,
    verdict_tables,
    volumetric_tables,
)
from qmoe.report.targets import targets
from qmoe.report.volumetric import Grid as Carries
from qmoe.report.volumetric import Volumetric
from qmoe.report.words import number, source_label, written
from tests.qmoe.report import factory
from tests.qmoe.report.test_targets import LABELS, PARTS, evidence, part

NAN = Score(math.nan, math.nan, math.nan)


def column(table: Shown, name: str) -> list[str]:
    """The cells below a name; the first column of that name."""
    place = [each.name for each in table.head].index(name)
    return [row[place] for row in table.rows]


@pytest.fixture(scope="module")
def content(tmp_path_factory) -> Content:
    folder: Path = tmp_path_factory.mktemp("shown")
    records = factory.study(3)
    run = factory.write(folder / "run", records, (), factory.evidence(records))
    return gather([run])


def test_a_table_refuses_a_key_that_is_no_name_of_a_file_and_rows_of_other_lengths() -> None:
    with pytest.raises(ValueError, match="key"):
        Shown("../x", "t", "", (Column("a"),), (), "")
    with pytest.raises(ValueError, match="cells"):
        Shown("x", "t", "", (Column("a"),), (("1", "2"),), "")


def test_accuracy_is_that_of_the_panel(content: Content) -> None:
    tables = accuracy_tables(content.sections)
    panels = [panel for section in content.sections for panel in section.panels]
    assert len(tables) == len(panels) == len(factory.PLACES)
    for table, panel in zip(tables, panels, strict=True):
        assert column(table, "Router") == [row.router for row in panel.routers]
        assert column(table, "Accuracy") == [written(row.accuracy) for row in panel.routers]
        assert table.source == "exact simulation"


def test_verdicts_are_those_of_the_panel(content: Content) -> None:
    tables = {table.key: table for table in verdict_tables(content.sections)}
    for panel in (panel for section in content.sections for panel in section.panels):
        rows = panel.verdicts or panel.differences
        name = "verdicts" if panel.verdicts else "differences"
        assert column(tables[f"{name}-{panel.key}"], "Verdict") == [row.verdict for row in rows]
    assert all(table.rows for table in tables.values())


def test_targets_have_a_source_in_every_table_and_their_reason_where_they_did_not_run() -> None:
    found = targets(evidence())
    tables = target_tables(found)
    assert [table.key for table in tables] == ["targets-1-accuracy", "targets-1-circuits"]
    for table in tables:
        assert [each.name for each in table.head[:2]] == ["Target", "Source"]
    accuracy, circuits = tables
    assert column(accuracy, "Target") == [row.name for row in found[0].rows]
    assert column(accuracy, "Source")[:3] == ["exact simulation", source_label("snapshot"), "–"]
    assert column(accuracy, "Shots") == ["exact", "1,000", "–", "1,000"]
    assert column(accuracy, "Note")[2].startswith("not run")
    assert column(accuracy, "Retention R") == ["0.90", "0.90", "–", "–"]
    assert column(circuits, "Qubits used") == ["q12 <13>"] * 3


def test_a_device_beside_a_simulation_is_told_apart_and_compared_with_what_was_expected() -> None:
    on_device = part(
        "ibm:boston",
        0.95,
        source="device",
        **{"predicted accuracy": 0.9, "run seconds": 2.0, "answer seconds": 1.0},
    )
    tables = {t.key: t for t in target_tables(targets(evidence((PARTS[0], PARTS[1], on_device))))}
    for table in tables.values():
        assert len(column(table, "Source")) == len(table.rows)
    assert column(tables["targets-1-accuracy"], "Source")[2] == "quantum hardware"
    assert tables["targets-1-accuracy"].source == (
        "exact simulation; simulated device snapshot; quantum hardware"
    )
    seconds = 1000 * 3.0 / int(LABELS["inputs"])
    assert column(tables["targets-1-costs"], "1,000 predictions")[2] == f"{seconds:.3g}"
    assert column(tables["targets-1-predicted"], "Accuracy, predicted") == ["0.900"]
    assert column(tables["targets-1-predicted"], "Source") == ["quantum hardware"]


def test_devices_are_emulated_in_every_row() -> None:
    raw = TreatmentRow("none", Score(0.9, 0.88, 0.92), NAN, *[NAN] * 3, 200.0, 2e5, math.nan)
    gain = Score(0.01, -0.005, 0.025)
    other = TreatmentRow("readout", Score(0.91, 0.9, 0.92), gain, *[NAN] * 3, 202.0, 2e5, 1.5)
    ran = DeviceTarget("x", Score(0.95, 0.94, 0.96), 0.02, "a", "b", "c", "day 2", (raw, other))
    absent = DeviceTarget("y", NAN, math.nan, "", "", "", "", (), "not installed")
    summed, treated = device_tables(Devices("quantum L=2", "moons", 8, 200, 1000, (ran, absent)))
    assert column(summed, "Device minus exact") == ["c", "not installed"]
    assert column(treated, "Gain") == ["–", written(gain, "+.3f")]
    assert column(treated, "Shots") == ["200,000", "200,000"]
    for table in (summed, treated):
        assert set(column(table, "Source")) == {source_label("synthetic")}
    assert "Retention R" not in {each.name for each in treated.head}  # nobody has one


def experiment(plan: str, source: str, checkpoints: str = "same") -> Figures:
    labels = {
        **{"plan": plan, "suite": "moons", "target": f"t-{plan}", "source": source},
        **{"routers": 8, "inputs": 25, "shots": 1000, "repeats": 2, "occasion": ""},
        **{"calibrated": "2025-01-02T03:04:05Z", "checkpoints": checkpoints},
    }
    own = {**labels, "treatment": "none"}
    scores = {"accuracy": 0.93, "exact accuracy": 0.97, "total variation": 0.05}
    figures = [
        Figure(
            name=f"hardware {name}", labels=own, value=value, low=value - 0.01, high=value + 0.01
        )
        for name, value in scores.items()
    ]
    told = {**labels, "word": "worse"}
    figures.append(
        Figure(name="hardware minus exact accuracy", labels=told, value=-0.04, note="it is worse")
    )
    figures.append(
        Figure(name="hardware billed", labels={**labels, "unit": "USD"}, value=12.5),
    )
    made = Measurement("hardware_runs.run_folder:figures", {"plan": plan})
    return Figures(key=made.key, call=made.call, options={}, figures=tuple(figures))


def test_experiments_stand_together_only_where_alike_and_a_loopback_is_named() -> None:
    parts = (experiment("a", "loopback"), experiment("b", "device"), experiment("c", "device", "x"))
    studies = {"hardware": tuple(each.key for each in parts)}
    found = hardware(evidence(parts).model_copy(update={"studies": studies}))
    tables = {table.key: table for table in hardware_tables(found)}
    assert column(tables["hardware-1-treatments"], "Target") == ["t-a", "t-b"]
    assert column(tables["hardware-2-treatments"], "Target") == ["t-c"]
    for name in ("treatments", "verdicts", "costs"):
        assert column(tables[f"hardware-1-{name}"], "Source") == [
            "loopback, not a vendor's endpoint",
            "quantum hardware",
        ]
    assert column(tables["hardware-1-costs"], "Billed") == ["12.50 USD"] * 2
    assert column(tables["hardware-1-verdicts"], "Verdict") == ["it is worse"] * 2


def test_an_experiment_without_results_says_so() -> None:
    one = experiment("a", "")
    one = one.model_copy(update={"figures": one.figures[-1:]})
    found = hardware(evidence((one,)).model_copy(update={"studies": {"hardware": (one.key,)}}))
    treatments = hardware_tables(found)[0]
    assert treatments.rows == (("t-a", "nothing collected", "nothing counts"),)


def test_breakdown_points_say_which_are_registered() -> None:
    row = BreakdownRow(
        *("moons", "quantum L=2", "gate", "clean", 0, "", 300, "breaks at p 0.02 [0.01, 0.03]"),
        Score(0.02, 0.01, 0.03),
        True,
    )
    table = breakdown_table(Noise((), (row,), (), {}))
    assert table is not None
    assert column(table, "Registered") == ["yes"]
    assert column(table, "Outcome") == ["breaks at p 0.02 [0.01, 0.03]"]
    assert column(table, "Source") == [source_label("synthetic")]
    assert breakdown_table(Noise((), (), (), {})) is None


def test_a_target_without_a_grid_says_why() -> None:
    (table,) = volumetric_tables(Volumetric(0, 0, (Carries("x", "", (), "not installed", None),)))
    assert table.rows == (("x", "–", "not installed"),)


def test_all_tables_of_a_report_have_keys_of_their_own(content: Content) -> None:
    keys = [table.key for table in tables_of(content)]
    assert len(set(keys)) == len(keys) == 2 * len(factory.PLACES) + 2
    assert number(math.nan) == "–"
