"""The table of targets on the page, in a terminal and as CSV."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from qmoe.evidence import Evidence
from qmoe.figure import Figure, Figures, Measurement
from qmoe.report import write_report
from qmoe.report.rich_tables import as_text
from qmoe.report.targets import target_table, targets
from qmoe.report.terminal import summary_json
from tests.qmoe.report import factory

LABELS = {"router": "quantum L=2", "dataset": "moons noise=0.1", "seed": 0, "inputs": 200}


def part(target: str, accuracy: float | None, note: str = "", **values: Any) -> Figures:
    labels = {
        **LABELS,
        "router": values.pop("router", LABELS["router"]),
        "target": target,
        "source": values.pop("source", "snapshot"),
    }
    labels["shots"] = values.pop("shots", 1000)
    named = {
        "routing retention": 0.9,
        "total variation": 0.03,
        "shot floor": 0.02,
        "top-1 agreement": 0.97,
        "two-qubit gates": 2.0,
        "depth": 9.0,
        "expected fidelity": 0.95,
    } | values
    low = None if accuracy is None else accuracy - 0.02
    high = None if accuracy is None else accuracy + 0.01
    figures = [
        Figure(name="target accuracy", labels=labels, value=accuracy, low=low, high=high, note=note)
    ]
    if accuracy is None:
        figures[0] = Figure(
            name="target accuracy", labels={"target": target}, value=None, note=note
        )
    else:
        figures += [Figure(name=n, labels=labels, value=v) for n, v in named.items()]
        figures.append(Figure(name="qubits", labels=labels, value=2.0, note="q12 <13>"))
    made = Measurement("hardware_runs.studies.targets:on_target", {"target": target})
    return Figures(key=made.key, call=made.call, options={}, figures=tuple(figures))


PARTS = (
    part("torch", 0.99, source="exact", shots=0, **{"shot floor": 0.0}),
    part("ibm:fake_boston", 0.98),
    part("braket:emulator", None, "not run: pip install 'qmoe-bench[braket]' <now>"),
    part("lab:x", 0.97, **{"routing retention": None, "expected fidelity": None}),
)


def evidence(parts: tuple[Figures, ...] = PARTS) -> Evidence:
    return Evidence(
        provenance=factory.PROVENANCE,
        figures=parts,
        studies={"targets": tuple(p.key for p in parts)},
    )


def test_rows_stand_in_the_order_asked_for_with_their_figures():
    (found,) = targets(evidence())
    assert [row.target for row in found.rows] == [p.figures[0].labels["target"] for p in PARTS]
    assert (found.inputs, found.shots, found.router) == (200, 1000, "quantum L=2")
    assert found.rows[1].accuracy.value == 0.98 and found.rows[1].distance.value == 0.03
    assert math.isnan(found.rows[3].retention.value) and math.isnan(found.rows[2].accuracy.value)


def test_a_run_without_targets_has_no_table():
    assert targets(None) == ()
    assert targets(evidence(())) == ()
    assert targets(evidence(PARTS[2:3])) == ()


def test_what_is_not_alike_stands_in_tables_of_its_own():
    more = part("cirq:willow_pink", 0.96, shots=500)
    other = part("ibm:fake_torino", 0.95, router="quantum L=4")
    tables = targets(evidence((*PARTS, more, other)))
    assert [[row.target for row in table.rows] for table in tables] == [
        ["torch", "ibm:fake_boston", "braket:emulator", "lab:x"],
        ["torch", "cirq:willow_pink"],  # other shots, the same router exact beside it
        ["ibm:fake_torino"],  # another router, whose exact figures nobody asked for
    ]
    assert [table.shots for table in tables] == [1000, 500, 1000]
    assert [table.baseline and table.baseline.target for table in tables] == [
        "torch",
        "torch",
        None,
    ]
    assert target_table(tables)["table"].nunique() == 3


def test_the_table_for_other_programs_has_a_row_per_target():
    table = target_table(targets(evidence()))
    assert table["accuracy"].tolist()[:2] == [0.99, 0.98]
    assert table["total_variation"].tolist()[1] == 0.03 and pd.isna(table["accuracy"][2])
    assert table["note"][2].startswith("not run")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder: Path = tmp_path_factory.mktemp("targets")
    records = [factory.record("quantum L=2", seed) for seed in range(3)]
    return factory.write(folder / "run", records, (), evidence())


def test_the_page_names_every_target_and_its_source(run, tmp_path):
    page = write_report(run, tmp_path / "report")
    text = page.read_text()
    for expected in ("One router on every target", "ibm:fake_boston", "simulated device snapshot"):
        assert expected in text
    assert "<now>" not in text and "&lt;now&gt;" in text
    assert "q12 &lt;13&gt;" in text
    assert "n/a" in text and "Nothing here ran on quantum hardware" in text
    table = pd.read_csv(page.parent / "targets.csv")
    assert table["target"].tolist() == [p.figures[0].labels["target"] for p in PARTS]


def test_a_terminal_gets_a_line_per_target(run):
    text = as_text(run)
    (line,) = [each for each in text.splitlines() if "ibm:fake_boston" in each]
    assert [part for part in line.split() if part in ("0.980", "0.90", "0.030", "0.020")] == [
        *("0.980", "0.90", "0.030", "0.020")
    ]
    assert "not run: pip install" in text
    assert [row["target"] for row in summary_json(run)["targets"]][1] == "ibm:fake_boston"


def test_twelve_targets_and_ten_routers_stay_below_five_megabytes(tmp_path):
    routers = (*factory.NAMES, "quantum L=4", "quantum L=6")
    records = factory.study(30, routers, factory.PLACES)
    extra = {"expected fidelity": 0.9, "hellinger fidelity": 0.99}
    parts = tuple(part(f"ibm:fake_{k}", 0.9 + k / 200, **extra) for k in range(12))
    asked = tuple(routed(each) for each in parts)
    maps = [(name, factory.routing_map(name)) for name in routers]
    maps += [
        ("quantum L=2", replace(factory.routing_map(), target=f"ibm:fake_{k}", source="twin"))
        for k in range(12)
    ]
    run = factory.write(tmp_path / "run", records, maps, evidence((PARTS[0], *asked)))
    page = write_report(run, tmp_path / "report")
    text = page.read_text(encoding="utf-8")
    assert len(text.encode()) < 5 * 2**20
    assert text.count("from the target’s twin") >= 12
    assert text.count("Which expert is asked first") == 1


def routed(found: Figures) -> Figures:
    """The same with routing confusion and loads of four experts."""
    labels, experts = found.figures[0].labels, range(1, 5)
    more = [
        Figure(name="expert load", labels={**labels, "expert": k}, value=0.25, low=0.2, high=0.3)
        for k in experts
    ]
    more += [
        Figure(name="routing confusion", labels={**labels, "ideal": i, "asked": k}, value=1 / 16)
        for i in experts
        for k in experts
    ]
    return found.model_copy(update={"figures": (*found.figures, *more)})


def test_figures_in_the_page_equal_those_in_csv_and_parquet(run, tmp_path):
    page = write_report(run, tmp_path / "report")
    text = page.read_text(encoding="utf-8")
    table = pd.read_csv(page.parent / "targets.csv", float_precision="round_trip")
    names = ("accuracy", "retention", "total_variation", "shot_floor", "expected_fidelity")
    for value in (v for name in names for v in table[name].dropna()):
        assert f'data-value="{value}"' in text
    stored = pd.read_parquet(page.parent / "targets.parquet")
    pd.testing.assert_frame_equal(stored[list(names)], table[list(names)])
    assert (page.parent / "report.md").read_text(encoding="utf-8").count("ibm:fake") > 0


def test_runs_side_by_side_keep_what_is_theirs(run, tmp_path):
    records = [factory.record("quantum L=2", seed, study="later") for seed in range(3)]
    again = [factory.record("quantum L=2", seed) for seed in range(3)]  # the same as of the first
    other = factory.write(tmp_path / "other", [*records, *again])
    page = write_report([run, other], tmp_path / "report")
    table = pd.read_csv(page.parent / "results.csv")
    assert table.groupby("run").size().to_dict() == {"run": 3, "other": 3}
    text = page.read_text(encoding="utf-8")
    assert "run other" in text and "Runs stand apart" in text
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
