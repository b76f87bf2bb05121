from __future__ import annotations

import json
from pathlib import Path

from qmoe.report.rich_tables import as_text
from qmoe.report.terminal import summary_json
from tests.qmoe.report import factory
from tests.qmoe.test_compare import FOUR, planted


def test_each_verdict_is_a_line_with_its_reason(tmp_path: Path) -> None:
    run = factory.write(tmp_path / "run", planted(FOUR, {"quantum d": 0}))
    lines = as_text(run).splitlines()
    assert lines[0].startswith("moons, 4 experts, protocol controlled: accuracy on held-out test")
    assert "30 seeds (new data + new init), exact" in lines[0]
    assert len([line for line in lines if line.startswith("  ")]) == 3 + len(FOUR)
    for name, words in {
        "quantum a": "Better: the 98.33\xa0% interval [+0.0",
        "quantum b": "Worse: the ",
        "quantum c": "Equivalent: the ",
        "quantum d": "Untuned: nothing was searched for this router",
    }.items():
        [line] = [text for text in lines if text.startswith(f"{name}: ")]
        assert words.replace("\xa0", " ") in line


def test_verdicts_alike_share_a_line(tmp_path: Path) -> None:
    everyone = dict.fromkeys([*FOUR, "linear", "mlp"], 3)
    run = factory.write(tmp_path / "run", planted(FOUR, everyone))
    lines = [line for line in as_text(run).splitlines() if "Untuned" in line]
    shared = "3 trials were searched per router, where a verdict needs 12."
    assert lines == [f"{', '.join(FOUR)}: Untuned: {shared}"]


def test_many_groups_leave_the_routers_to_the_page(tmp_path: Path) -> None:
    sets = ("a", "b", "c", "d")
    records = [r for name in sets for r in planted({"quantum a": 0.0}, seeds=2, dataset=name)]
    text = as_text(factory.write(tmp_path / "run", records))
    assert text.count("protocol controlled") == len(sets)
    assert "parameters" not in text


def test_a_run_without_a_quantum_router_has_no_verdict_line(tmp_path: Path) -> None:
    run = factory.write(tmp_path / "run", factory.study(2, ("linear",), factory.PLACES[:1]))
    assert as_text(run).rstrip().endswith("There is no quantum router here to compare it with.")


def test_the_json_has_both_tables(tmp_path: Path) -> None:
    run = factory.write(tmp_path / "run", planted(FOUR))
    found = json.loads(json.dumps(summary_json(run), allow_nan=False))
    assert [row["router"] for row in found["summary"]] == ["linear", "mlp", *FOUR]
    words = [row["verdict"] for row in found["comparisons"] if row["verdict"]]
    assert words == ["better", "worse", "equivalent", "better"]
