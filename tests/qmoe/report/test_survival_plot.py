"""Pictures of one router on every target: what stands where, and that nothing is cut off."""

from __future__ import annotations

import math

import pytest

from qmoe.evidence import Evidence
from qmoe.figure import Figure, Figures, Measurement
from qmoe.report.kinds import DEVICE, LOOPBACK, SIMULATED, kind_of
from qmoe.report.survival_plot import accuracy_by_target, distance_by_target, fidelity_by_target
from qmoe.report.targets import targets
from tests.qmoe.report import factory
from tests.qmoe.report.drawn import HARMFUL, LONG, check, texts

MADE = (accuracy_by_target, distance_by_target, fidelity_by_target)


def part(target, source, accuracy=0.95, shots=1000, mitigation="none", **values):
    labels = {
        **{"target": target, "mitigation": mitigation, "source": source, "router": "quantum L=2"},
        **{"dataset": "moons", "seed": 0, "inputs": 200, "shots": shots},
    }
    named = {
        "target accuracy": (accuracy, 0.02),
        "total variation": (0.0625, 0.01),
        "shot floor": (0.02, None),
        "expected fidelity": (0.9, None),
        "hellinger fidelity": (0.97, 0.01),
    }
    for name, value in values.items():
        named[name.replace("_", " ")] = (value, named[name.replace("_", " ")][1])
    figures = [
        Figure(
            name=name,
            labels=labels,
            value=value,
            low=None if width is None or value is None else value - width,
            high=None if width is None or value is None else value + width,
        )
        for name, (value, width) in named.items()
    ]
    made = Measurement("on_target", {"target": target, "mitigation": mitigation})
    return Figures(key=made.key, call=made.call, options={}, figures=tuple(figures))


def table(*parts):
    made = Evidence(
        provenance=factory.PROVENANCE,
        figures=parts,
        studies={"targets": tuple(p.key for p in parts)},
    )
    (found,) = targets(made)
    return found


EXACT = part("torch", "exact", 0.98, 0, expected_fidelity=None, hellinger_fidelity=None)
WHOLE = table(
    EXACT,
    part("ibm:fake", "snapshot", 0.97),
    part("ibm:fake", "snapshot", 0.975, mitigation="readout", total_variation=0.03),
    part("ibm:real", "device", 0.90, expected_fidelity=0.8, hellinger_fidelity=0.91),
    part(f"{HARMFUL} {LONG}", "loopback", 0.93, mitigation=f"<b>{LONG}"),
)


def drawn(figure, marker):
    """Where marks of one shape stand."""
    (axes,) = figure.axes
    return [
        (float(line.get_xdata()[0]), float(line.get_ydata()[0]))
        for line in axes.lines
        if line.get_marker() == marker
    ]


def test_marks_stand_at_their_values_in_the_order_of_the_table_and_differ_by_kind():
    figure = check(accuracy_by_target(WHOLE))
    assert drawn(figure, SIMULATED.marker) == [(0.97, 0), (0.975, 1)]
    assert drawn(figure, DEVICE.marker) == [(0.90, 2)]
    assert drawn(figure, LOOPBACK.marker) == [(0.93, 3)]
    assert figure.axes[0].yaxis_inverted()
    spans = [
        tuple(line.get_xdata()) for line in figure.axes[0].lines if line.get_marker() == "None"
    ]
    for row in WHOLE.rows[1:]:
        assert (row.accuracy.low, row.accuracy.high) in spans
    # the exact router is the dashed line with its band, not a row
    (band,) = figure.axes[0].patches
    assert (band.get_x(), band.get_x() + band.get_width()) == pytest.approx((0.96, 1.0))
    assert (0.98, 0.98) in [tuple(line.get_xdata()) for line in figure.axes[0].lines]


@pytest.mark.parametrize("make", MADE)
def test_every_mark_has_its_kind_in_words_and_the_full_name_in_the_alt_text(make):
    drawing = make(WHOLE)
    said = " ".join(text for text, _ in texts(check(drawing)))
    assert said.count("simulated") == 2 and "device" in said and "loopback" in said
    assert HARMFUL not in said and "…" in said
    assert HARMFUL in drawing.alt and LONG in drawing.alt
    assert "ibm:fake + readout (simulated)" in drawing.alt
    assert "&lt;script&gt;" in drawing.__html__() and "<script" not in drawing.__html__()


def test_the_shot_floor_stands_beside_total_variation():
    figure = check(distance_by_target(WHOLE))
    assert drawn(figure, SIMULATED.marker) == [(0.0625, 0), (0.03, 1)]
    floors = [line for line in figure.axes[0].lines if tuple(line.get_xdata()) == (0.02, 0.02)]
    assert [sum(line.get_ydata()) / 2 for line in floors] == pytest.approx([0, 1, 2, 3])
    assert figure.axes[0].get_xlim()[0] == 0
    assert "floor 0.020" in distance_by_target(WHOLE).alt


def test_expected_and_measured_fidelity_are_numbered_points_with_a_list():
    figure = check(fidelity_by_target(WHOLE))
    assert drawn(figure, DEVICE.marker) == [(0.8, 0.91)]
    said = texts(figure)
    names = [text for text, _ in said]
    assert {"1", "2", "3", "4"} <= set(names)
    assert "3  ibm:real: device" in names and "2  ibm:fake: simulated, readout" in names
    listed = [box for text, box in said if "  " in text]
    assert not any(a.overlaps(b) for k, a in enumerate(listed) for b in listed[:k])


def test_one_target_without_the_exact_router_and_without_intervals():
    alone = part("ibm:fake", "device")
    bare = tuple(f.model_copy(update={"low": None, "high": None}) for f in alone.figures)
    found = table(alone.model_copy(update={"figures": bare}))
    assert found.baseline is None
    for make in MADE:
        figure = check(make(found))
        assert len(drawn(figure, DEVICE.marker)) == 1
    assert not check(accuracy_by_target(found)).axes[0].patches


def test_nothing_but_the_exact_router_has_no_pictures():
    assert [make(table(EXACT)) for make in MADE] == [None, None, None]


def test_targets_that_do_not_know_a_figure_are_left_out_of_its_picture():
    found = table(EXACT, part("ibm:fake", "snapshot", expected_fidelity=None))
    assert fidelity_by_target(found) is None and distance_by_target(found) is not None
    found = table(EXACT, part("ibm:fake", "snapshot", total_variation=None))
    assert distance_by_target(found) is None and math.isnan(found.rows[1].distance.value)


def test_exact_probabilities_of_a_target_have_no_floor():
    found = table(part("cirq:dm", "synthetic", shots=0, shot_floor=0.0), EXACT)
    # the first without shots is what the others are compared with
    assert found.baseline is found.rows[0]
    figure = check(distance_by_target(found))
    assert all(
        len(set(line.get_xdata())) > 1 or len(line.get_xdata()) == 1
        for line in figure.axes[0].lines
    )


def test_twelve_targets_with_two_treatments_each_are_readable():
    rows = [
        part(f"vendor:machine_{k}", "twin", 0.9 + 0.003 * k, mitigation=treatment)
        for k in range(12)
        for treatment in ("none", "readout")
    ]
    found = table(EXACT, *rows)
    for make in (accuracy_by_target, fidelity_by_target):
        boxes = [box for text, box in texts(check(make(found))) if "machine" in text]
        assert len(boxes) == 24
        assert not any(a.overlaps(b) for k, a in enumerate(boxes) for b in boxes[:k])


def test_only_a_device_is_a_device():
    others = ("exact", "sampled", "twin", "snapshot", "synthetic", "hosted-simulator", "")
    assert {kind_of(source) for source in others} == {SIMULATED}
    assert kind_of("device") == DEVICE and kind_of("device, loopback") == SIMULATED
    assert len({kind.marker for kind in (SIMULATED, LOOPBACK, DEVICE)}) == 3
