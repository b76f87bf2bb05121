"""What a calibration does not know, on the page, in a terminal and as CSV."""

from __future__ import annotations

import math

import pandas as pd

from qmoe.evidence import Evidence
from qmoe.figure import Figure, Figures, Measurement
from qmoe.metrics import wilson
from qmoe.report import write_report
from qmoe.report.rich_tables import as_text
from qmoe.report.sensitivity import (
    FIGURES,
    KEPT,
    sensitivity,
    sensitivity_lines,
    sensitivity_table,
)
from qmoe.report.terminal import summary_json
from tests.qmoe.report import factory

LABELS = {"router": "quantum L=2", "dataset": "moons", "inputs": 200}
HITS = {("none", 0.0): 38, ("drift", 0.5): 20}


def figures(target: str) -> tuple[Figure, ...]:
    made = []
    for (effect, strength), hits in HITS.items():
        for name in FIGURES:
            own = {**LABELS, "target": target, "effect": effect, "strength": strength}
            own |= {"figure": name}
            score = wilson(hits, 40)
            made.append(
                Figure(
                    name="prediction coverage",
                    labels={**own, "shots": 1000},
                    value=score.value,
                    low=score.low,
                    high=score.high,
                    note="8 routers x <5> draws of inputs",
                )
            )
            if effect != "none":
                made.append(
                    Figure(
                        name="effect of the disturbance", labels={**own, "shots": 0}, value=-0.02
                    )
                )
    for scale in (1, 3):
        for name in KEPT:
            own = {**LABELS, "target": target, "scale": scale, "figure": name, "shots": 0}
            made.append(Figure(name="retention by folding", labels=own, value=1 - 0.1 * scale))
    return tuple(made)


def part(target: str, found: tuple[Figure, ...]) -> Figures:
    made = Measurement("hardware_runs.studies.sensitivity:on_target", {"target": target})
    return Figures(key=made.key, call=made.call, options={}, figures=found)


MISSING = Figure(
    name="prediction coverage", labels={"target": "cirq:x"}, value=None, note="not run: <pip>"
)
PARTS = (part("ibm:fake_boston", figures("ibm:fake_boston")), part("cirq:x", (MISSING,)))


def evidence(parts=PARTS) -> Evidence:
    return Evidence(
        provenance=factory.PROVENANCE,
        figures=parts,
        studies={"sensitivity": tuple(p.key for p in parts)},
    )


def test_effects_that_break_predictions_are_marked():
    first, second = sensitivity(evidence()).targets
    calm, drifted = first.rows
    assert (calm.effect, calm.broken) == ("none", (False,) * 3)
    assert (drifted.strength, drifted.broken) == (0.5, (True,) * 3)
    assert math.isnan(calm.change[0].value) and drifted.change[0].value == -0.02
    assert [scale for scale, _ in first.folds] == [1, 3]
    assert first.folds[1][1][0].value == 0.7
    assert second.note == "not run: <pip>" and not second.rows


def test_nothing_asked_is_nothing_shown():
    assert sensitivity(None) is None
    assert sensitivity(evidence(PARTS[1:])) is None


def test_page_terminal_and_csv_agree(tmp_path):
    records = [factory.record("quantum L=2", seed) for seed in range(3)]
    run = factory.write(tmp_path / "run", records, (), evidence())
    page = write_report(run, tmp_path / "report")
    text = page.read_text()
    assert "What a calibration does not know" in text and "0.50*" in text
    assert "x &lt;5&gt; draws" in text and "<pip>" not in text
    frame = pd.read_csv(page.parent / "sensitivity.csv")
    assert len(frame) == len(sensitivity_table(sensitivity(evidence()))) == 6
    lines = list(sensitivity_lines(sensitivity(evidence())))
    assert "drift 0.5 (accuracy 0.50)" in lines[1] and "not run" in lines[2]
    assert "prediction intervals" in as_text(run)
    assert len(summary_json(run)["sensitivity"]) == 6
