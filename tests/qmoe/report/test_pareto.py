"""The Pareto front: by its definition, and as it is drawn."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmoe.report.marks import marks
from qmoe.report.pareto import COSTS, pareto, pareto_front
from qmoe.results import summary, table
from tests.qmoe.report import factory
from tests.qmoe.report.drawn import HARMFUL, LONG, check, texts

COST = "router_parameters"
# few values, so that many are equal
known = st.one_of(st.sampled_from([0.0, 0.5, 0.9, 1.0]), st.just(math.nan))
routers = st.lists(st.tuples(known, st.one_of(st.integers(0, 5), st.just(math.nan))), max_size=8)


def rows(pairs, names=None):
    names = names or [f"r{k}" for k in range(len(pairs))]
    accuracy = [float(a) for a, _ in pairs]
    return pd.DataFrame(
        {
            "router": names,
            "family": "mlp",
            "accuracy": accuracy,
            "accuracy_low": [a - 0.01 for a in accuracy],
            "accuracy_high": [a + 0.01 for a in accuracy],
            "router_parameters": [c for _, c in pairs],
            "multiply_adds": [10.0 * c for _, c in pairs],
        }
    )


@given(routers)
def test_the_front_is_what_no_other_router_beats(pairs):
    said = pareto_front(rows(pairs), COST)
    finite = [(k, a, c) for k, (a, c) in enumerate(pairs) if a == a and c == c]
    beaten = {
        k for k, a, c in finite for _, b, d in finite if b >= a and d <= c and (b > a or d < c)
    }
    assert set(said) == {f"r{k}" for k, _, _ in finite if k not in beaten}
    assert len(set(said)) == len(said)
    costs = {f"r{k}": c for k, _, c in finite}
    assert [costs[name] for name in said] == sorted(costs[name] for name in said)


@given(routers, st.randoms(use_true_random=False))
def test_the_front_does_not_depend_on_the_order(pairs, random):
    found = rows(pairs)
    order = list(range(len(pairs)))
    random.shuffle(order)
    assert set(pareto_front(found, COST)) == set(pareto_front(found.iloc[order], COST))


def drawn(found):
    styles = marks(zip(found["router"], found["family"], strict=True))
    return pareto(found, styles, "key", "held-out test")


def front_line(axes):
    (line,) = [line for line in axes.lines if line.get_linestyle() == "--"]
    return list(zip(line.get_xdata(), line.get_ydata(), strict=True))


def test_panels_of_a_run_have_every_router_and_the_front_as_steps():
    found = summary(table(factory.study(5, places=factory.PLACES[:1])))
    panels = drawn(found)
    assert len(panels) == len(COSTS) == 2
    for drawing, cost in zip(panels, COSTS, strict=True):
        front = pareto_front(found, cost)
        (axes,) = (figure := check(drawing)).axes
        assert axes.get_xlabel().startswith(COSTS[cost])
        for name in found["router"]:
            assert name in drawing.alt
        assert drawing.alt.count("on the front") == len(front)
        seen = {text for text, _ in texts(figure)} & set(found["router"])
        low = axes.get_ylim()[0]
        best = found.set_index("router")
        assert seen == {name for name in front if best.loc[name, "accuracy"] >= low}
        line = front_line(axes)
        # steps: one of the two stays, and accuracy never falls
        for (x0, y0), (x1, y1) in itertools.pairwise(line):
            assert (x0 == x1) != (y0 == y1) or (x0, y0) == (x1, y1)
            assert x1 >= x0 and y1 >= y0
        assert {(best.loc[n, cost], best.loc[n, "accuracy"]) for n in seen} <= set(line)
        assert line[-1][0] == axes.get_xlim()[1]
        names = [box for text, box in texts(figure) if text in seen]
        assert not any(a.overlaps(b) for k, a in enumerate(names) for b in names[:k])


@pytest.mark.parametrize(
    ("costs", "scale"),
    [((1, 20), "linear"), ((1, 21), "log"), ((5, 5), "linear"), ((0, 30), "linear")],
)
def test_axes_are_logarithmic_beyond_a_ratio_of_twenty(costs, scale):
    found = rows([(0.9, costs[0]), (0.95, costs[1])])
    assert check(drawn(found)[0]).axes[0].get_xscale() == scale


def test_a_router_that_costs_nothing_has_a_place_on_a_logarithmic_axis():
    figure = check(drawn(rows([(0.9, 0), (0.95, 2), (0.96, 500)]))[0])
    (axes,) = figure.axes
    assert axes.get_xscale() == "log" and "0" in {text for text, _ in texts(figure)}
    points = [float(line.get_xdata()[0]) for line in axes.lines if line.get_marker() != "None"]
    assert len(points) == 3 and min(points) >= axes.get_xlim()[0] > 0


def test_routers_of_equal_cost_and_accuracy_stand_apart_and_both_have_names():
    figure = check(drawn(rows([(0.9, 5), (0.9, 5), (0.95, 50)], ["a", "b", "c"]))[0])
    said = {text: box for text, box in texts(figure) if text in "abc"}
    assert set(said) == {"a", "b", "c"} and not said["a"].overlaps(said["b"])
    points = {float(x.get_xdata()[0]) for x in figure.axes[0].lines if x.get_marker() != "None"}
    assert len(points) == 3


def test_one_router_one_seed_unknown_costs_and_harmful_names():
    one = rows([(0.9, 5)], [f"{HARMFUL} {LONG}"])
    one["accuracy_low"] = one["accuracy_high"] = math.nan
    one["multiply_adds"] = math.nan
    (drawing,) = drawn(one)
    check(drawing)
    assert HARMFUL in drawing.alt and "[no interval]" in drawing.alt
    assert "<script" not in drawing.__html__()
    assert drawn(rows([(math.nan, 5)])) == ()
    assert drawn(rows([])) == ()


def test_a_far_off_router_is_an_arrow_and_does_not_flatten_the_others():
    found = rows([(0.2, 1), (0.95, 5), (0.96, 6), (0.97, 7), (0.98, 8)])
    (axes,) = check(drawn(found)[0]).axes
    assert axes.get_ylim()[0] > 0.5
    assert "↓ 0.200" in {text.get_text() for text in axes.texts}
    assert np.array(front_line(axes))[:, 1].min() == 0.95
