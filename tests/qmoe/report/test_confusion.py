"""Routing confusion and expert load: cards, scales, table and page."""

from __future__ import annotations

import io
import math

import numpy as np
import pandas as pd
import pytest

from qmoe.figure import Figure
from qmoe.metrics import wilson
from qmoe.report.confusion import confusions
from tests.qmoe.report.drawn import HARMFUL, LONG, check, rendered, texts, values

INPUTS = 200


def routed(target, source, ideal, asked, experts, treatment=("mitigation", "none")):
    """The figures of one target, from the first experts of each input."""
    labels = {
        **{"target": target, "source": source, treatment[0]: treatment[1]},
        **{"router": "quantum L=2", "dataset": "moons", "inputs": len(ideal), "shots": 1000},
    }
    figures = []
    for i in range(experts):
        load = float(np.mean(asked == i))
        figures.append(
            Figure(
                name="expert load",
                labels={**labels, "expert": i + 1},
                value=load,
                low=max(load - 0.02, 0),
                high=load + 0.02,
            )
        )
        for j in range(experts):
            share = wilson(int(np.sum((ideal == i) & (asked == j))), len(ideal))
            where = {**labels, "ideal": i + 1, "asked": j + 1}
            figures.append(
                Figure(
                    name="routing confusion",
                    labels=where,
                    value=share.value,
                    low=share.low,
                    high=share.high,
                )
            )
    return figures


def shares(card):
    return np.array([[score.value for score in row] for row in card.shares])


def planted(experts=4, seed=0):
    rng = np.random.default_rng(seed)
    ideal = rng.integers(0, experts, INPUTS)
    moved = np.where(rng.uniform(size=INPUTS) < 0.1, rng.integers(0, experts, INPUTS), ideal)
    return ideal, moved


IDEAL, MOVED = planted()
EXACT = routed("torch", "exact", IDEAL, IDEAL, 4)
SNAPSHOT = routed("ibm:fake", "snapshot", IDEAL, MOVED, 4)
HOSTILE = routed(f"{HARMFUL} {LONG}", "loopback", IDEAL, MOVED[::-1], 4, ("treatment", "<zne>"))


def test_a_card_per_target_and_treatment_beside_the_ideal_router():
    found = confusions([*EXACT, *SNAPSHOT, *HOSTILE], "key")
    first, second = found.cards
    assert (first.title, first.treatment) == ("ibm:fake (simulated device snapshot)", "none")
    assert second.name.endswith("+ <zne>") and second.title.endswith("endpoint)")
    expected = np.array(
        [[np.mean((i == IDEAL) & (j == MOVED)) for j in range(4)] for i in range(4)]
    )
    assert shares(first) == pytest.approx(expected) and shares(first).sum() == pytest.approx(1)
    assert first.shares[0][1] == wilson(int(INPUTS * expected[0, 1] + 0.5), INPUTS)
    assert [s.value for s in first.ideal] == [np.mean(i == IDEAL) for i in range(4)]
    assert len({card.drawing.key for card in found.cards}) == 2


def test_nothing_to_show_is_nothing():
    assert confusions([], "key") is None
    assert confusions(EXACT, "key") is None
    other = Figure(name="target accuracy", labels={"target": "x"}, value=0.5)
    assert confusions([other], "key") is None


def test_cells_hold_percents_and_shades_are_alike_in_all_cards():
    found = confusions([*EXACT, *SNAPSHOT, *HOSTILE], "key")
    alphas = []
    for card in found.cards:
        figure = check(card.drawing)
        matrix, loads = figure.axes
        assert matrix.get_ylabel() == "ideal first expert"
        written = [text.get_text() for text in matrix.texts]
        assert len(written) == 16
        for text, share in zip(written, shares(card).ravel(), strict=True):
            assert text == ("0" if share == 0 else "<1" if share < 0.005 else f"{100 * share:.0f}")
        shades = [p.get_alpha() for p in matrix.patches if p.get_alpha() is not None]
        alphas += [(a, s) for a, s in zip(shades, shares(card).ravel(), strict=True) if s]
        # the row of the ideal expert is below the one before, its column to the right
        assert matrix.yaxis_inverted() and loads.get_ylim() == figure.axes[1].get_ylim()
    ratios = [alpha / share for alpha, share in alphas]
    assert max(ratios) == pytest.approx(min(ratios))
    assert max(alpha for alpha, _ in alphas) <= 0.5


def test_loads_are_drawn_with_intervals_beside_those_of_the_ideal_router():
    (card,) = confusions([*EXACT, *SNAPSHOT], "key").cards
    _, loads = check(card.drawing).axes
    points = {
        (line.get_marker(), round(float(line.get_ydata()[0]), 9))
        for line in loads.lines
        if line.get_marker() != "None"
    }
    assert points == {("o", round(s.value, 9)) for s in card.loads} | {
        ("D", round(s.value, 9)) for s in card.ideal
    }
    spans = sorted(tuple(line.get_ydata()) for line in loads.lines if len(line.get_ydata()) == 2)
    assert spans == sorted((s.low, s.high) for s in (*card.loads, *card.ideal))
    assert "hollow: ideal" in loads.get_title(loc="left")


def test_without_an_ideal_router_or_without_loads_the_rest_is_shown():
    (card,) = confusions(SNAPSHOT, "key").cards
    assert card.ideal == () and len(check(card.drawing).axes) == 2
    (card,) = confusions([f for f in SNAPSHOT if f.name != "expert load"], "key").cards
    assert card.loads == () and len(check(card.drawing).axes) == 1
    (card,) = confusions([f for f in SNAPSHOT if f.name == "expert load"], "key").cards
    assert card.shares == () and card.experts == 4 and len(check(card.drawing).axes) == 1


@pytest.mark.parametrize("experts", [1, 2, 8, 16])
def test_matrices_of_any_size_are_readable(experts):
    ideal, moved = planted(experts, seed=1)
    (card,) = confusions(routed("t", "device", ideal, moved, experts), "key").cards
    figure = check(card.drawing)
    boxes = [box for text, box in texts(figure) if text in {"<1", "0", "1", "3", "6"}]
    assert not any(a.overlaps(b) for k, a in enumerate(boxes) for b in boxes[:k])


def test_a_reader_who_cannot_see_is_told_agreement_and_the_largest_confusions():
    firsts = np.zeros(100, dtype=int), np.r_[np.zeros(93, dtype=int), np.full(7, 2)]
    (card,) = confusions(routed(LONG, "device", *firsts, 3), "key").cards
    assert LONG in card.drawing.alt and "quantum hardware" in card.drawing.alt
    assert "ideal on 93.0 % of inputs. Most often 1 becomes 3 on 7.0 %." in card.drawing.alt
    (card,) = confusions(routed("t", "device", firsts[0], firsts[0], 3), "key").cards
    assert "No input changed its first expert." in card.drawing.alt


def test_the_table_has_every_number_and_the_page_shows_those():
    found = confusions([*EXACT, *SNAPSHOT, *HOSTILE], "key")
    assert len(found.table) == 3 * 20
    row = found.table.query("target == 'ibm:fake' and ideal == 2 and asked == 2").iloc[0]
    assert row["value"] == np.mean((IDEAL == 1) & (MOVED == 1)) and row["low"] < row["value"]
    call = "figures(found, count, 'Same inputs.', 'Run x')"
    text = rendered("confusion.html.j2", call, found=found)
    assert HARMFUL not in text and "&lt;script&gt;" in text and "&lt;zne&gt;" in text
    csv = pd.read_csv(io.StringIO(found.table.to_csv(index=False)), float_precision="round_trip")
    told = values(text)
    assert len(told) == 2 * 20 * 3
    assert set(told) <= set(csv[["value", "low", "high"]].to_numpy().ravel())


def test_a_load_without_interval_is_shown_without_one():
    bare = [f.model_copy(update={"low": None, "high": None}) for f in SNAPSHOT]
    (card,) = confusions(bare, "key").cards
    assert all(math.isnan(s.low) for s in card.loads)
    lines = check(card.drawing).axes[1].lines
    assert [len(line.get_ydata()) for line in lines] == [1] * 4
