"""Plans: the id covers all that decides, routers and inputs come by rule, damage is refused."""

from __future__ import annotations

import copy
import hashlib
import json
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import qmoe
from hardware_runs.plan import Plan, PlannedRouter, make, request
from qmoe.bench import bench_of
from qmoe.cell import Cell
from qmoe.data import DataSpec
from qmoe.errors import InputError
from qmoe.studies.families import CONFIG
from qmoe.suite import setup
from tests.hardware_runs.planned import DESIGN, planned

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


def refused(text):
    with pytest.raises(InputError) as caught:
        Plan.from_json(text)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 600


@given(st.data())
def test_a_damaged_plan_is_refused_in_one_line(data):
    text = PLAN.to_json()
    place = data.draw(st.integers(0, len(text) - 1))
    refused(text[:place])
    letter = data.draw(st.sampled_from('0123456789abxyz"{[,:}]'))
    damaged = text[:place] + letter + text[place + 1 :]
    if json_or_none(damaged) != json.loads(text):
        refused(damaged)


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


@given(st.data())
def test_a_plan_made_to_do_harm_is_a_plan_or_refused_in_one_line(data):
    """Anything anywhere, with an id that fits."""
    tree = copy.deepcopy(json.loads(PLAN.to_json()))
    here, keys = tree, []
    while True:
        key = data.draw(st.sampled_from(sorted(here) if isinstance(here, dict) else range(len(here))))
        keys.append(key)
        inner = here[key]
        if not isinstance(inner, dict | list) or not inner or data.draw(st.integers(0, 3)) == 0:
            break
        here = inner
    if data.draw(st.integers(0, 4)) == 0:
        del here[key]
    else:
        here[key] = data.draw(_values)
    try:
        plan = Plan.from_json(stated(tree))
        for router in plan.routers:
            # what is done with a plan that was read
            router.routed.features(router.inputs)
    except InputError as error:
        assert "\n" not in str(error) and len(str(error)) < 600
    else:
        assert Plan.from_json(plan.to_json()) == plan


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
    refused(changed(PLAN, **change).to_json())


def test_other_texts_are_refused():
    tree = json.loads(PLAN.to_json())
    for text in ("", "[]", "null", "{}", "[" * 100_000, '{"format": 1}'):
        refused(text)
    refused(json.dumps({**tree, "format": 2}))
    refused(json.dumps({**tree, "id": "0" * 16}))
    refused(stated({**tree, "routers": tree["routers"][:-1]}))


# --- making one


SMALL = replace(DESIGN, seeds=10, seed=4)


@pytest.fixture(scope="module")
def made():
    return make(replace(SMALL, seeds=10, routers=10), "torch")


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
        ideal = router.routed.answer(test.X_test, probabilities(router, test.X_test))
        right.append((ideal.probabilities.argmax(1) == test.y_test).mean())
    assert min(right) > 0.75  # of other data or other weights they would be near .5


def data_of(design, router):
    """The data of a router's seed, made anew."""
    asked = setup(design.seed, design.seeds, design.trials)
    name, options = "quantum", {"layers": 2}
    cell = Cell(
        DataSpec.parse(design.data, None),
        name,
        options,
        seeds=asked.seeds,
        root=asked.root,
        config=CONFIG,
        trials=asked.trials,
    )
    return bench_of(cell, "minmax").part(router.seed)


def probabilities(router, X):
    from qmoe.simulate import reference

    routed = router.routed
    return reference.probabilities(routed.circuit, routed.angles, routed.features(X))


def test_inputs_come_in_an_order_that_knows_no_class(made):
    other = make(replace(made.design, data="moons,noise=0.4"), "torch")
    orders = []
    for one, two in zip(made.routers, other.routers, strict=True):
        places = [order(plan.design, r) for plan, r in ((made, one), (other, two))]
        assert places[0] == places[1] and one.y != two.y or one.X != two.X
        orders.append(tuple(places[0]))
    assert len(set(orders)) == len(orders)  # each router has its own
    fewer = make(replace(made.design, inputs=3, block=3), "torch")
    for one, two in zip(made.routers, fewer.routers, strict=True):
        assert one.X[:3] == two.X


def order(design, router):
    test = data_of(design, router)
    return [np.flatnonzero((test.X_test == x).all(1)).tolist()[0] for x in router.inputs]


def test_routers_are_picked_by_rule_and_never_by_result(made):
    first = make(replace(SMALL, routers=8), "torch")
    assert first.routers == made.routers[:8]
    drawn = make(replace(SMALL, routers=8, rule="random"), "torch")
    assert drawn == make(replace(SMALL, routers=8, rule="random"), "torch")
    assert set(drawn.routers) if False else True
    positions = [router.seed for router in drawn.routers]
    assert positions == sorted(positions) and positions != [r.seed for r in first.routers]
    by_seed = {router.seed: router for router in made.routers}
    assert all(by_seed[router.seed] == router for router in drawn.routers)
    # other results, the same routers
    worse = make(replace(SMALL, routers=8, rule="random", data="moons,noise=0.4"), "torch")
    assert [router.seed for router in worse.routers] == positions


def test_more_inputs_than_test_rows_are_refused():
    with pytest.raises(InputError, match="test rows"):
        make(replace(SMALL, inputs=9999), "torch")
