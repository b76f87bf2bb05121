"""Names beside points: none hides another, none leaves the axes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from qmoe.report.labels import beside, shortened
from tests.qmoe.report.drawn import texts


@given(st.text(), st.integers(1, 30))
def test_a_name_is_one_line_of_at_most_so_many_letters(name, longest):
    short = shortened(name, longest)
    assert len(short) <= longest and len(short.splitlines()) <= 1
    line = " ".join(name.split())
    assert short == line or (short.endswith("…") and line.startswith(short[:-1]))


def placed(points, names, taken=(), scale="linear"):
    figure = Figure(figsize=(4, 3), dpi=100)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.1, 0.1, 0.8, 0.8))
    axes.set_xscale(scale)
    axes.set_xlim(1, 1000)
    axes.set_ylim(0, 1)
    beside(axes, points, names, taken)
    figure.canvas.draw()
    return axes, [(text, box) for text, box in texts(figure) if text in names]


@pytest.mark.parametrize("scale", ["linear", "log"])
@pytest.mark.parametrize("seed", range(5))
def test_names_of_scattered_points_do_not_meet_and_stay_inside(scale, seed):
    rng = np.random.default_rng(seed)
    at = 10 ** rng.uniform(0, 3, 8) if scale == "log" else rng.uniform(1, 1000, 8)
    points = [(float(x), float(y)) for x, y in zip(at, rng.uniform(0, 1, 8), strict=True)]
    names = [f"name {k}" for k in range(8)]
    axes, found = placed(points, names, scale=scale)
    assert sorted(text for text, _ in found) == names
    boxes = [box for _, box in found]
    for k, box in enumerate(boxes):
        assert axes.bbox.x0 - 1 <= box.x0 and box.x1 <= axes.bbox.x1 + 1
        assert axes.bbox.y0 - 1 <= box.y0 and box.y1 <= axes.bbox.y1 + 1
        assert not any(box.overlaps(other) for other in boxes[:k])
        for point in points:
            assert not box.contains(*axes.transData.transform(point))


def test_a_name_keeps_off_lines_and_equal_points_get_names_apart():
    line = ((400.0, 0.5), (1000.0, 0.5))
    axes, ((_, box),) = placed([(500.0, 0.5)], ["on the line"], [line])
    y = axes.transData.transform((500.0, 0.5))[1]
    assert not box.y0 < y < box.y1 or box.x1 < axes.transData.transform((400.0, 0))[0]
    _, found = placed([(500.0, 0.5)] * 6, ["x", "y", "z", "u", "v", "w"])
    assert not any(a.overlaps(b) for k, (_, a) in enumerate(found) for _, b in found[:k])
