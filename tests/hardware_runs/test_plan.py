"""Plans: the id covers all that decides, routers and inputs come by rule, damage is refused."""

from __future__ import annotations

import copy
import hashlib
import json
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import qmoe
from hardware_runs.plan import Plan, make, request
from hardware_runs.schedule import arrange
from qmoe.bench import bench_of
from qmoe.cell import Cell
from qmoe.data import DataSpec
from qmoe.errors import InputError
from qmoe.simulate import reference
from qmoe.studies.families import CONFIG
from qmoe.suite import setup
from qmoe.trial import Trial
from tests.backends.planted import Sound
from tests.hardware_runs.planned import DESIGN, planned, refused

GOLDEN = Path(__file__).parent / "golden" / "plan-1.json"
GOLDEN_ID = "376029a41768c1e1"
OTHER = {
    "name": "device-other",
    "version": 2,
    "data": "moons,noise=0.2",
    "router": "quantum,layers=1",
    "seeds": 9,
    "trials": 2,
    "routers": 9,
    "rule": "random",
    "inputs": 7,
    "block": 2,
    "shots": 41,
    "treatments": ("none",),
    "nulls": 2,
    "every": 1.0,
    "count": 2,
    "primary": "readout",
    "margin": 0.02,
    "limit": 0.3,
    "seed": 1,
}
PLAN = planned()


def changed(plan, **changes):
    first, *others = plan.routers
    return replace(plan, routers=(replace(first, **changes), *others))


def stated(tree):
    """A text that says the id of its content, as whoever means harm would."""
    content = {key: tree[key] for key in tree if key not in ("format", "id")}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return json.dumps({**tree, "id": hashlib.sha256(text.encode()).hexdigest()[:16]})


# --- what the id covers


@pytest.mark.parametrize("name", [item.name for item in fields(DESIGN)])
def test_the_id_covers_every_field_of_the_design_but_its_description(name):
    if name == "description":
        other = replace(DESIGN, description="Other words.")
        assert replace(PLAN, design=other).id == PLAN.id
        assert request(other, "torch", "") == request(DESIGN, "torch", "")
        return
    other = replace(DESIGN, **{name: OTHER[name]})
    assert getattr(other, name) != getattr(DESIGN, name)
    assert replace(PLAN, design=other).id != PLAN.id
    assert request(other, "torch", "") != request(DESIGN, "torch", "")


def test_the_id_covers_target_occasion_code_and_every_number_of_every_router():
    router = PLAN.routers[0]
    others = [
        replace(PLAN, target="torch"),
        replace(PLAN, occasion="2026-12"),
        replace(PLAN, code="0.2"),
        replace(PLAN, routers=PLAN.routers[::-1]),
        changed(PLAN, seed=99),
        changed(PLAN, model={**router.model, "embedding_scale": 1.25}),
        changed(PLAN, y=(1 - router.y[0], *router.y[1:])),
    ]
    for k in range(len(router.weights)):
        weights = np.array(router.weights)
        weights[k] = np.nextafter(weights[k], 9)  # no rounding
        others.append(changed(PLAN, weights=tuple(weights.tolist())))
    (first, second), *rows = router.X
    others.append(changed(PLAN, X=((first, np.nextafter(second, 9).item()), *rows)))
    ids = [plan.id for plan in (PLAN, *others)]
    assert len(set(ids)) == len(ids)
    assert all(len(each) == 16 and set(each) <= set("0123456789abcdef") for each in ids)


def test_a_request_is_known_before_training():
    assert PLAN.request == request(DESIGN, "planted", "", "0.1")
    assert changed(PLAN, seed=99).request == PLAN.request
    assert request(DESIGN, "planted", "") == request(DESIGN, "planted", "", qmoe.__version__)
    asked = {
        request(DESIGN, "planted", "", "0.1"),
        request(DESIGN, "planted", "2026-12", "0.1"),
        request(DESIGN, "torch", "", "0.1"),
        request(DESIGN, "planted", "", "0.2"),
    }
    assert len(asked) == 4


# --- JSON


def test_json_and_back():
    for plan in (PLAN, replace(PLAN, occasion="2026-12"), planned(seed=3, nulls=2)):
        text = plan.to_json()
        again = Plan.from_json(text)
        assert again == plan and again.id == plan.id and again.to_json() == text
        assert "occasion" in json.loads(text) or not plan.occasion  # defaults are left out


def test_plans_of_the_first_format_are_read_for_ever():
    text = GOLDEN.read_text().strip()
    plan = Plan.from_json(text)
    assert plan == PLAN and plan.to_json() == text and plan.id == GOLDEN_ID


@given(st.data())
def test_a_damaged_plan_is_refused_in_one_line(data):
    text = PLAN.to_json()
    place = data.draw(st.integers(0, len(text) - 1))
    assert refused(lambda: Plan.from_json(text[:place]))
    letter = data.draw(st.sampled_from('0123456789abxyz"{[,:}]'))
    damaged = text[:place] + letter + text[place + 1 :]
    if json_or_none(damaged) != json.loads(text):
        assert refused(lambda: Plan.from_json(damaged))


def json_or_none(text):
    try:
        return json.loads(text)
    except ValueError:
        return None


_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([0, 1, -1, 2**70, 1e308, 10**400, "", "x", "none", float("nan")])
    | st.floats(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)


@settings(max_examples=20)
@given(st.data())
def test_a_plan_made_to_do_harm_is_a_plan_or_refused_in_one_line(data):
    """Anything anywhere, with an id that fits."""
    tree = copy.deepcopy(json.loads(PLAN.to_json()))
    here, keys = tree, []
    while True:
        key = data.draw(
            st.sampled_from(sorted(here) if isinstance(here, dict) else range(len(here)))
        )
        keys.append(key)
        inner = here[key]
        if not isinstance(inner, dict | list) or not inner or data.draw(st.integers(0, 3)) == 0:
            break
        here = inner
    if data.draw(st.integers(0, 4)) == 0:
        del here[key]
    else:
        here[key] = data.draw(_values)
    text = stated(tree)
    if not refused(lambda: Plan.from_json(text)):
        plan = Plan.from_json(text)
        assert Plan.from_json(plan.to_json()) == plan
        # such a plan can be scheduled
        arrange(plan, Sound())


@pytest.mark.parametrize(
    "change",
    [
        {"X": ((0.5,), *PLAN.routers[0].X[1:])},
        {"X": tuple((*row, 0.5) for row in PLAN.routers[0].X)},
        {"X": PLAN.routers[0].X[:-1]},
        {"y": PLAN.routers[0].y[:-1]},
        {"y": (2, *PLAN.routers[0].y[1:])},
        {"weights": PLAN.routers[0].weights[:-1]},
        {"model": {**PLAN.routers[0].model, "router": "linear", "options": {}}},
        {"model": {**PLAN.routers[0].model, "options": {"layers": 3}}},
    ],
    ids=["ragged", "wide", "fewer", "unlabelled", "class", "weights", "linear", "layers"],
)
def test_routers_that_cannot_be_of_one_plan_are_refused(change):
    assert refused(lambda: Plan.from_json(changed(PLAN, **change).to_json()))


def test_other_texts_are_refused():
    tree = json.loads(PLAN.to_json())
    for text in ("", "[]", "null", "{}", "[" * 100_000, '{"format": 1}'):
        assert refused(lambda text=text: Plan.from_json(text))
    others = (
        json.dumps({**tree, "format": 2}),
        json.dumps({**tree, "id": "0" * 16}),
        stated({**tree, "routers": tree["routers"][:-1]}),
    )
    for text in others:
        assert refused(lambda text=text: Plan.from_json(text))


# --- making one


SMALL = replace(DESIGN, seeds=10, seed=4)


@pytest.fixture(scope="module")
def made():
    return make(replace(SMALL, routers=10), "torch")


def test_routers_and_inputs_are_those_of_their_seeds(made):
    asked = setup(4, 10, 1)
    assert [router.seed for router in made.routers] == list(asked.seeds)
    assert made.code == qmoe.__version__
    right = []
    for router in made.routers:
        test = data_of(made.design, router)
        for x, y in zip(router.inputs, router.labels, strict=True):
            (place,) = np.flatnonzero((test.X_test == x).all(1))
            assert test.y_test[place] == y
        X, y = test.X_test[:200], test.y_test[:200]
        ideal = router.routed.answer(X, probabilities(router, X))
        right.append((ideal.probabilities.argmax(1) == y).mean())
    assert min(right) > 0.7  # of other data or other weights they would be near .5


def data_of(design, router):
    """The data of a router's seed, made anew."""
    asked = setup(design.seed, design.seeds, design.trials)
    cell = Cell(
        DataSpec.parse(design.data, None),
        "quantum",
        {"layers": 2},
        seeds=asked.seeds,
        root=asked.root,
        config=CONFIG,
        trials=asked.trials,
    )
    return bench_of(cell, Trial().scaler).part(router.seed)


def probabilities(router, X):
    routed = router.routed
    return reference.probabilities(routed.circuit, routed.angles, routed.features(X))


@pytest.fixture(scope="module")
def drawn():
    return make(replace(SMALL, rule="random", inputs=3), "torch")


@pytest.fixture(scope="module")
def noisier():
    return make(replace(SMALL, rule="random", data="moons,noise=0.4"), "torch")


def test_inputs_come_in_an_order_that_knows_no_class(made, noisier):
    by_seed = {router.seed: router for router in made.routers}
    orders = []
    for other in noisier.routers:
        router = by_seed[other.seed]
        assert router.X != other.X and router.weights != other.weights
        orders.append(order(made.design, router))
        assert order(noisier.design, other) == orders[-1]
    assert len(set(orders)) == len(orders)  # each router has its own


def order(design, router):
    X = data_of(design, router).X_test
    return tuple(np.flatnonzero((x == X).all(1)).tolist()[0] for x in router.inputs)


def test_routers_are_picked_by_rule_and_never_by_result(made, drawn, noisier):
    seeds = [router.seed for router in made.routers]
    picked = [router.seed for router in drawn.routers]
    assert len(picked) == 8 and set(picked) < set(seeds) and picked == sorted(picked)
    assert picked != seeds[:8]
    assert [router.seed for router in noisier.routers] == picked  # other results, the same ones
    by_seed = {router.seed: router for router in made.routers}
    for router in drawn.routers:
        whole = by_seed[router.seed]
        assert (router.model, router.weights) == (whole.model, whole.weights)
        assert (router.X, router.y) == (whole.X[:3], whole.y[:3])  # fewer are the first of more


def test_all_of_them_are_the_first(drawn):
    first = make(replace(SMALL, inputs=3), "torch")
    assert [router.seed for router in first.routers] == list(setup(4, 10, 1).seeds)[:8]
    assert first.id != drawn.id


def test_more_inputs_than_test_rows_are_refused():
    with pytest.raises(InputError, match="test rows"):
        make(replace(SMALL, inputs=9999), "torch")
