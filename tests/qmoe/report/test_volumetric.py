"""What width and depth each target carries: cells, grid, table and page."""

from __future__ import annotations

import io
import math

import pandas as pd
import pytest

from qmoe.evidence import Evidence
from qmoe.figure import Figure, Figures, Measurement
from qmoe.report.volumetric import CARRIED, volumetric, volumetric_table
from tests.qmoe.report import factory
from tests.qmoe.report.drawn import HARMFUL, LONG, check, rendered, texts, values

BEST = "cirq:x"


def figure(target, width, layers, value, note="", source="twin"):
    labels = {
        **{"target": target, "source": source, "width": width},
        **{"layers": layers, "draws": 10, "inputs": 20},
    }
    ends = (None, None) if value is None else (value - 0.0625, value + 0.03125)
    made = [
        Figure(name="carried", labels=labels, value=value, low=ends[0], high=ends[1], note=note)
    ]
    if value is not None:
        made.append(Figure(name="volumetric depth", labels=labels, value=7.0 * layers))
        made.append(Figure(name="volumetric two-qubit gates", labels=labels, value=3.0 * layers))
    return made


def evidence(*parts):
    stored = []
    for k, found in enumerate(parts):
        made = Measurement("hardware_runs.studies.volumetric:on_target", {"k": k})
        stored.append(Figures(key=made.key, call=made.call, options={}, figures=tuple(found)))
    asked = tuple(part.key for part in stored)
    return Evidence(
        provenance=factory.PROVENANCE, figures=tuple(stored), studies={"volumetric": asked}
    )


PARTS = (
    [
        *figure(BEST, 2, 1, 0.9),
        *figure(BEST, 2, 4, CARRIED),
        *figure(BEST, 3, 1, math.nextafter(CARRIED, 0)),
        *figure(BEST, 5, 1, None, f"5 qubits on 4 {HARMFUL}"),
    ],
    [*figure(f"{HARMFUL} {LONG}", 2, 1, -0.25, source="loopback")],
    [Figure(name="carried", labels={"target": "ibm:y"}, value=None, note=f"not run: {HARMFUL}")],
)
FOUND = volumetric(evidence(*PARTS))


def test_two_thirds_and_more_are_carried_and_what_has_a_reason_does_not_fit():
    cells = {(c.width, c.layers): c for c in FOUND.grids[0].cells}
    assert [cells[place].carried for place in ((2, 1), (2, 4), (3, 1), (5, 1))] == [
        *(True, True, False, False)
    ]
    assert [c.fits for c in cells.values()] == [True, True, True, False]
    assert cells[5, 1].note.startswith("5 qubits on 4")
    assert (FOUND.draws, FOUND.inputs) == (10, 20)
    assert [grid.target for grid in FOUND.grids][2] == "ibm:y"
    assert FOUND.grids[2].note.startswith("not run") and FOUND.grids[2].drawing is None


def test_nothing_asked_is_nothing_shown():
    assert volumetric(None) is None
    assert volumetric(evidence()) is None
    only = volumetric(evidence(PARTS[2]))
    assert not only.cells and only.draws == 0 and len(volumetric_table(only)) == 1


def test_the_grid_outlines_what_is_carried_and_hatches_what_does_not_fit():
    figure = check(FOUND.grids[0].drawing)
    (axes,) = figure.axes
    heavy = {p.get_xy() for p in axes.patches if p.get_linewidth() > 1}
    assert heavy == {(-0.5, -0.5), (0.5, -0.5)}
    hatched = {p.get_xy() for p in axes.patches if p.get_hatch()}
    assert hatched == {(-0.5, 1.5)}
    # the shade is the share
    shades = {p.get_xy(): p.get_alpha() for p in axes.patches if p.get_alpha() is not None}
    assert shades[-0.5, -0.5] / shades[0.5, -0.5] == pytest.approx(0.9 / CARRIED)
    written = [text.get_text() for text in axes.texts]
    assert written == ["0.90", "0.67", "0.67", "–", "no\nfit", "–"]


def test_every_grid_has_the_axes_of_all_and_says_its_source():
    figure = check(FOUND.grids[1].drawing)
    said = [text for text, _ in texts(figure)]
    assert "loopback, not a vendor's endpoint" in said
    assert {"2", "3", "5", "1", "4", "−0.25"} <= set(said) and said.count("–") == 5
    assert HARMFUL in FOUND.grids[1].drawing.alt and LONG in FOUND.grids[1].drawing.alt
    assert "loopback" in FOUND.grids[1].drawing.alt


@pytest.mark.parametrize("count", [1, 10])
def test_grids_of_one_cell_and_of_many_are_readable(count):
    many = [f for w in range(1, count + 1) for n in range(count) for f in figure("t", w, 2**n, 0.5)]
    (grid,) = volumetric(evidence(many)).grids
    boxes = [box for text, box in texts(check(grid.drawing)) if text == "0.50"]
    assert len(boxes) == count**2
    assert not any(a.overlaps(b) for k, a in enumerate(boxes) for b in boxes[:k])


def test_the_table_has_a_row_per_cell_and_the_page_its_numbers():
    table = volumetric_table(FOUND)
    assert len(table) == 6 and table["carried"].tolist()[:4] == [True, True, False, False]
    assert table["share_low"][0] == 0.9 - 0.0625 and table["depth"][1] == 28
    assert pd.isna(table["share"][3]) and pd.isna(table["width"][5])
    text = rendered("volumetric.html.j2", "section(found, count, 'Run x')", found=FOUND)
    assert HARMFUL not in text and "&lt;script&gt;" in text and "not run: " in text
    csv = pd.read_csv(io.StringIO(table.to_csv(index=False)), float_precision="round_trip")
    numbers = csv.select_dtypes("number").to_numpy().ravel()
    told = values(text)
    # three known and one below zero: share with ends, width, layers, depth, gates; one without
    assert len(told) == 4 * 7 + 2 and set(told) <= set(numbers)
