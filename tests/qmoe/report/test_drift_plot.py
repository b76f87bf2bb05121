"""One experiment in time and beside its prediction: pictures, tables and page."""

from __future__ import annotations

import io
import math

import pandas as pd
import pytest

from qmoe.evidence import Evidence
from qmoe.figure import Figure, Figures, Measurement
from qmoe.report.drift_plot import drift, drift_table, prediction_table, predictions
from qmoe.report.hardware import hardware
from qmoe.report.kinds import DEVICE, LOOPBACK
from tests.qmoe.report import factory
from tests.qmoe.report.drawn import HARMFUL, LONG, check, rendered, texts, values

ACCURACIES = (0.95, 0.94, 0.96, 0.95, 0.95, 0.80, 0.81, 0.79, 0.80, 0.80)
TREATMENT = f"{HARMFUL} {LONG}"


def experiment(source="device", repeats=ACCURACIES, predicted=True, target="ibm:x"):
    labels = {
        **{"plan": "abc", "suite": "quick", "target": target, "source": source, "routers": 3},
        **{"inputs": 100, "shots": 1000, "repeats": len(repeats), "occasion": ""},
        "calibrated": "",
    }

    def figure(name, value, width=None, note="", **more):
        ends = (None, None) if width is None else (value - width, value + width)
        own = {**labels, **more}
        return Figure(
            name=f"hardware {name}", labels=own, value=value, low=ends[0], high=ends[1], note=note
        )

    made = [figure("null accuracy", 0.5, null="even", asked=3)]
    for name in ("none", TREATMENT) if repeats else ():
        made += [
            figure("accuracy", 0.95, 0.02, treatment=name),
            figure("exact accuracy", 0.98, treatment=name),
            figure("total variation", 0.05, 0.01, treatment=name),
            figure("top-1 agreement", 0.9, 0.01, treatment=name),
        ]
    if predicted:
        for name in ("none", TREATMENT):
            made += [
                figure("predicted", 0.94, 0.02, "inside", treatment=name, figure="accuracy"),
                figure(
                    "predicted", 0.03, 0.01, "outside", treatment=name, figure="total variation"
                ),
            ]
        made.append(figure("predicted", 0.5, 0.1, "outside", treatment="gone", figure="accuracy"))
    for k, accuracy in enumerate(repeats):
        made += [
            figure("repeat accuracy", accuracy, repeat=k),
            figure("repeat total variation", 1 - accuracy, repeat=k),
            figure("blocks left out", float(k == 2), repeat=k),
        ]
    if len(repeats) > 5:
        made.append(figure("change", 5.0, figure="accuracy"))
    key = Measurement("hardware_runs.rescore:rescore", {"of": source}).key
    part = Figures(key=key, call="x", options={}, figures=tuple(made))
    evidence = Evidence(
        provenance=factory.PROVENANCE, figures=(part,), studies={"hardware": (key,)}
    )
    return hardware(evidence)[0]


FOUND = experiment()


def test_repeats_stand_in_time_with_a_line_where_a_new_level_begins():
    figure = check(drift(FOUND, "key").drawing)
    accuracy, distance = figure.axes
    (series,) = [line for line in accuracy.lines if len(line.get_xdata()) == len(ACCURACIES)]
    assert tuple(series.get_ydata()) == ACCURACIES and series.get_xdata()[0] == 0
    dashed = [line for line in accuracy.lines if line.get_linestyle() == "--"]
    assert [line.get_xdata()[0] for line in dashed] == [4.5]
    assert not [line for line in distance.lines if line.get_linestyle() == "--"]
    points = [line for line in accuracy.lines if line.get_marker() == DEVICE.marker]
    hollow = [p.get_xdata()[0] for p in points if p.get_markerfacecolor() == "none"]
    assert len(points) == len(ACCURACIES) and hollow == [2]
    alt = drift(FOUND, "key").drawing.alt
    assert "repeat 5: accuracy 0.800, total variation 0.200, change of accuracy" in alt
    assert "1 block left out" in alt and "quantum hardware" in alt


def test_a_prediction_is_a_bar_and_the_measured_value_a_mark_with_its_interval():
    found = drift(FOUND, "key")
    assert [picture.key for picture in found.pictures] == [
        *("key-predicted-accuracy", "key-predicted-total-variation")
    ]
    figure = check(found.pictures[0])
    (axes,) = figure.axes
    bars = [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in axes.patches]
    assert bars[0] == pytest.approx((0.92, 0.96)) and len(bars) == 3
    points = [line.get_xdata()[0] for line in axes.lines if line.get_marker() == DEVICE.marker]
    assert points[:2] == [0.95, 0.95] and math.isnan(points[2])
    spans = [line.get_xdata() for line in axes.lines if len(line.get_xdata()) == 2]
    assert any(tuple(span) == pytest.approx((0.93, 0.97)) for span in spans)
    said = [text for text, _ in texts(figure)]
    assert said.count("inside") == 2 and said.count("outside") == 1
    assert HARMFUL in found.pictures[0].alt and LONG in found.pictures[0].alt


def test_a_treatment_that_was_not_measured_has_no_measured_value():
    rows = predictions(FOUND)
    assert [row.treatment for row in rows] == ["none", "none", TREATMENT, TREATMENT, "gone"]
    assert rows[1].measured.value == 0.05 and rows[1].title == "total variation"
    assert math.isnan(rows[4].measured.value) and not rows[4].inside


@pytest.mark.parametrize(
    ("source", "marker", "word"),
    [
        ("loopback", LOOPBACK.marker, "mark: loopback"),
        # where not all came from a device, none of it is shown as if it had
        ("device, loopback", LOOPBACK.marker, "mark: loopback"),
        ("device", DEVICE.marker, "mark: device"),
    ],
)
def test_the_source_stands_in_every_picture(source, marker, word):
    found = drift(experiment(source), "key")
    for drawing in (found.drawing, *found.pictures):
        figure = check(drawing)
        shapes = {line.get_marker() for axes in figure.axes for line in axes.lines} - {"None"}
        assert shapes == {marker}
    assert all(word in check(picture).axes[0].get_xlabel() for picture in found.pictures)
    said = "loopback, not a vendor's endpoint" if "loopback" in source else "quantum hardware"
    assert said in found.origin and said in found.drawing.alt


@pytest.mark.parametrize("repeats", [(0.9,), tuple(0.9 for _ in range(60))])
def test_one_repeat_and_many_are_readable(repeats):
    found = drift(experiment(repeats=repeats), "key")
    figure = check(found.drawing)
    ticks = [box for text, box in texts(figure) if text.isdecimal()]
    assert ticks and not any(a.overlaps(b) for k, a in enumerate(ticks) for b in ticks[:k])
    assert not found.changed or len(repeats) > 5


def test_an_experiment_without_results_has_neither():
    found = drift(experiment("", repeats=(), predicted=False), "key")
    assert found.drawing is None and found.pictures == () and found.origin == "nothing collected"
    text = rendered("drift.html.j2", "figures(found, count, 'Run x')", found=found)
    assert "<figure" not in text


def test_the_tables_have_every_number_and_the_page_shows_those():
    repeats, predicted = drift_table([FOUND]), prediction_table([FOUND])
    assert repeats["accuracy"].tolist() == list(ACCURACIES)
    assert repeats["change"].tolist()[5] == "accuracy" and repeats["blocks_left_out"][2] == 1
    assert predicted["inside"].tolist() == [True, False, True, False, False]
    text = rendered("drift.html.j2", "figures(found, count, 'Run x')", found=drift(FOUND, "key"))
    assert HARMFUL not in text and "&lt;script&gt;" in text and "quantum hardware" in text
    numbers = set()
    for table in (repeats, predicted):
        csv = pd.read_csv(io.StringIO(table.to_csv(index=False)), float_precision="round_trip")
        numbers |= set(csv.select_dtypes("number").to_numpy().ravel())
    told = values(text)
    assert len(told) == 4 * len(ACCURACIES) + 5 * 3 + 4 * 3 and set(told) <= numbers


def test_nothing_measured_gives_empty_tables():
    assert drift_table([]).empty and prediction_table([]).empty
