"""What noise leaves, on the page and as CSV, from planted figures."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from qmoe.evidence import Evidence
from qmoe.report import write_report
from qmoe.report.noise import noise_of, noise_table
from tests.qmoe.planted import accuracies, cell, measured
from tests.qmoe.planted_noise import MOONS, STRENGTHS, under_noise
from tests.qmoe.report import factory

QUANTUM = cell(MOONS, "quantum L=2", accuracies(0.95, 30))
LINEAR = cell(MOONS, "linear", accuracies(0.93, 30, stream=1))
CONSTANT = cell(MOONS, "constant", accuracies(0.85, 30, stream=2))
CLEAN = (QUANTUM.accuracy).tolist()
HARMFUL = "<script>"


def made(name="accuracy under noise", slope=0.8, **labels):
    return under_noise(CLEAN, lambda p: slope * p, name=name, **labels)


def found(*figures, study="noise"):
    part = measured(*figures)
    cells = (QUANTUM, LINEAR, CONSTANT)
    asked = (*(c.key for c in cells), part.key)
    return Evidence(
        provenance=factory.PROVENANCE, results=cells, figures=(part,), studies={study: asked}
    )


WHOLE = found(
    *made(),
    *made(slope=0.1, layers=1),
    *made(slope=2.0, placement="wire"),
    *made(slope=2.0, shots=100),
    *made(slope=0.5, trained="noise-aware"),
    *made(slope=0.9, convention="lambda"),
    *made("routing retention under noise"),
    *made("regret under noise"),
)


def test_rows_of_pictures_and_the_registered_breakdown_point_first():
    noise = noise_of(WHOLE)
    assert [(title.partition(" on ")[0], len(row)) for title, row in noise.rows] == [
        *(("Accuracy", 2), ("Retention R", 1), ("Regret", 1), ("Accuracy of quantum L=2", 2))
    ]
    first, *others = noise.breakdowns
    assert first.registered and not any(row.registered for row in others)
    assert len(others) == 5 and first.said.startswith("breaks at 0.02")
    said = {(r.router, r.placement, r.trained, r.shots, r.other): r.said for r in others}
    assert said["quantum L=1", "gate", "clean", 0, ""] == "does not break up to 0.1"
    assert said["quantum L=2", "gate", "clean", 0, "convention lambda"].startswith("breaks at 0.02")


def test_pictures_have_bands_control_lines_and_a_text():
    noise = noise_of(WHOLE)
    picture = noise.rows[0][1][0].figure.__html__()
    assert "quantum L=2 from 0.950 at 0 to 0.870 at 0.1" in picture
    assert "linear 0.930 without noise" in picture and "constant 0.850" in picture
    assert picture.count("<svg") == 1 and "var(--accent)" in picture
    # retention has no control lines: they have no routing to keep
    assert "linear" not in noise.rows[1][1][0].figure.__html__()


def test_the_table_has_every_figure_and_every_breakdown_point(tmp_path):
    table = noise_table(noise_of(WHOLE))
    points = table[table["figure"] == "breakdown point against linear"]
    assert len(points) == 6 and len(table) == 8 * len(STRENGTHS) + 6
    first = points.iloc[0]
    assert first["low"] < first["value"] < first["high"] and first["seeds"] == 30
    held = points[points["router"] == "quantum L=1"].iloc[0]
    assert math.isnan(held["value"]) and held["note"] == "does not break up to 0.1"
    path = tmp_path / "noise.csv"
    table.to_csv(path, index=False)
    assert len(pd.read_csv(path)) == len(table)


@pytest.mark.parametrize("evidence", [None, found(*made(), study="hunt"), found(*made("other"))])
def test_without_the_study_there_is_nothing(evidence):
    assert noise_of(evidence) is None


def test_curves_without_a_control_or_values_by_seed_have_no_breakdown_point():
    bare = tuple(f.model_copy(update={"per_seed": ()}) for f in made())
    assert noise_of(found(*bare)).breakdowns == ()
    nothing = tuple(
        f.model_copy(update={"value": None, "low": None, "high": None})
        for f in made("routing retention under noise")
    )
    noise = noise_of(found(*made(), *nothing))
    assert len(noise.rows) == 3


def test_the_page_has_the_section_escaped_and_the_csv_beside_it(tmp_path):
    records = factory.study(2, ("linear", "quantum L=2"), factory.PLACES[:1])
    evidence = found(*made(), *made(placement=HARMFUL))
    run = factory.write(tmp_path / "run", records, (), evidence)
    page = write_report(run, tmp_path / "report").read_text()
    assert 'id="noise"' in page and 'href="noise.csv"' in page
    assert "Breakdown points against the linear router" in page and "breaks at 0.0" in page
    assert page.count("<script") == 1 and "&lt;script&gt;" in page  # that of the page itself
    assert (tmp_path / "report" / "noise.csv").is_file()
    again = write_report(run, tmp_path / "again")
    assert again.read_text() == page


def test_the_other_convention_stands_beside_the_sweep():
    """Planted losses are linear in the probability: lambda = .064 is between .048 and .06 of it."""
    sweep = under_noise(CLEAN, lambda q: 0.5 * q, spread=0.0)
    run = under_noise(
        CLEAN, lambda s: 0.5 * s * 0.9, spread=0.0, convention="lambda", strengths=(0.0, 0.064, 0.2)
    )
    (row,) = noise_of(found(*sweep, *run)).conventions
    mean = float(np.mean(CLEAN))
    assert row.strength == 0.064
    assert row.between == (pytest.approx(mean - 0.03), pytest.approx(mean - 0.024))
    assert row.between[0] < row.measured.value < row.between[1]
