"""Drawings of circuits."""

from __future__ import annotations

from backends.picture import picture
from qmoe.ansatz import paper
from qmoe.circuit import Circuit, Feature, Op, Sum, Weight


def test_a_router_is_drawn_layer_by_layer():
    text = picture(paper(2, 1, measured=(1,)), ["q7", "q12"])
    assert text.splitlines() == [
        " q7: ─ry(x0)─ry(t0)─●─────",
        "q12: ─ry(x1)─ry(t1)─cz─M0─",
    ]


def test_a_gate_over_a_distance_leaves_the_wires_between_alone():
    ops = (Op("cx", (2, 0)), Op("x", (1,)))
    assert picture(Circuit(3, ops, (0,))).splitlines() == [
        "0: ─cx───M0─",
        "1: ─│──x────",
        "2: ─●───────",
    ]


def test_angles_are_affine():
    angle = Sum((Feature(0, -1.0), Weight(1, 2.0)), 0.5)
    assert "rz(-x0+2*t1+0.50)" in picture(Circuit(1, (Op("rz", (0,), (angle,)),), (0,), 1, 2))


def test_long_circuits_go_on_below():
    ops = tuple(Op("x", (0,)) for _ in range(60))
    blocks = picture(Circuit(2, ops, (0, 1)), width=40).split("\n\n")
    assert len(blocks) == 4 and all(len(line) <= 40 for b in blocks for line in b.splitlines())
    assert sum(b.count("x") for b in blocks) == 60
