"""Schedules: what runs in which job, checked against the plan; sentinels against every target."""

from __future__ import annotations

import copy
import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from backends import load
from backends.queued import Limits
from hardware_runs.lifted import lifted
from hardware_runs.schedule import KINDS, NULLS, Chunk, arrange, chunks, features, programs
from hardware_runs.schedule_json import from_json, to_json
from qmoe.ansatz import notebook, paper, reupload
from qmoe.errors import FitError, InputError
from qmoe.simulate import reference
from qmoe.simulate.reference import op_matrix
from tests.backends.planted import Sound
from tests.hardware_runs.planned import planned, refused
from tests.qmoe.strategies import circuits, values

SNAPSHOTS = ("ibm:fake_boston", "cirq:willow_pink", "braket:emulator")
NOTHING = np.zeros((1, 0))


def total_variation(p, q):
    return float(np.abs(np.asarray(p) - np.asarray(q)).sum() / 2)


# --- the lifted circuit


@given(circuits())
def test_a_lifted_circuit_with_numbers_in_is_the_bound_one(circuit):
    made = lifted(circuit)
    theta, x = values(circuit)
    assert (made.num_features, made.num_weights) == (x.shape[1] + len(theta), 0)
    rows = np.hstack([x, np.tile(theta, (len(x), 1))])
    expected = reference.probabilities(circuit.bind_weights(theta), (), x)
    assert_allclose(reference.probabilities(made, (), rows), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("circuit", [paper(3, 2), reupload(2, 3), notebook(2, 2)], ids=str)
def test_lifting_keeps_gates_and_what_is_measured(circuit):
    made = lifted(circuit)
    assert [(op.gate, op.qubits) for op in made.ops] == [(o.gate, o.qubits) for o in circuit.ops]
    assert made.measured == circuit.measured
    assert lifted(made) == made


# --- what is measured

PLAN = planned()
SCHEDULE = arrange(PLAN, Sound())
MANY = ("none", "zne", "readout", "readout+zne", "fold=3", "fold=5", "rescale")


def test_every_router_answers_every_input_once_with_its_own_numbers():
    for plan in (PLAN, planned(inputs=7, block=3, treatments=MANY)):
        schedule = SCHEDULE if plan is PLAN else arrange(plan, Sound())
        listed = Counter((e.item, e.router, e.row) for e in schedule.executions if e.kind == "data")
        data = {k for runs in schedule.expansions.values() for k, run in runs if not run.single}
        routers, inputs = range(8), range(plan.design.inputs)
        assert listed == Counter((i, r, x) for i in data for r in routers for x in inputs)
        for each in schedule.executions:
            if each.kind == "data":
                assert each.source == each.row and each.block == each.row // plan.design.block
                router = plan.routers[each.router].routed
                x = router.features(plan.routers[each.router].inputs[[each.row]])
                expected = reference.probabilities(router.template, (), x)[0]
                native = schedule.items[each.item].circuit  # folded or not, on the same target
                got = reference.probabilities(native, (), features(plan, schedule, each))
                assert_allclose(got, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize(("inputs", "block"), [(6, 3), (7, 3), (5, 5), (4, 1)])
def test_every_block_holds_treatments_nulls_and_sentinels(inputs, block):
    nulls = min(block, 2)
    plan = planned(inputs=inputs, block=block, nulls=nulls, treatments=MANY)
    schedule = arrange(plan, Sound())
    sentinels = {k for k, item in enumerate(schedule.items) if item.ideal is not None}
    assert {schedule.items[k].name for k in sentinels} == {
        f"sentinel {kind}" for kind in ("zeros", "ones", "clifford")
    }
    used = {k for runs in schedule.expansions.values() for k, _ in runs}
    assert used | sentinels == set(range(len(schedule.items))) and not used & sentinels
    assert sorted({each.block for each in schedule.executions}) == list(range(plan.design.blocks))
    for number in range(plan.design.blocks):
        here = [each for each in schedule.executions if each.block == number]
        assert {each.item for each in here} == used | sentinels
        assert Counter(e.item for e in here if e.kind == "sentinel") == Counter(sentinels)
        rows = range(number * block, min(inputs, (number + 1) * block))
        for kind in NULLS:
            found = [(e.router, e.row) for e in here if e.kind == kind]
            assert sorted(found) == [(r, x) for r in range(8) for x in rows[:nulls]]
            raw = schedule.items[schedule.expansions["none"][0][0]]
            assert {schedule.items[e.item].name for e in here if e.kind == kind} == {raw.name}


def test_what_calibrates_all_inputs_has_the_shots_of_its_budget():
    plan = planned(inputs=20, block=4, shots=100, treatments=MANY)
    schedule = arrange(plan, Sound())
    taken = Counter(each.item for each in schedule.executions if each.kind == "single")
    singles = 0
    for runs in schedule.expansions.values():
        for item, run in runs:
            if run.single:
                singles += 1
                assert taken[item] * 100 >= run.shots(100, 8 * 20)
                assert taken[item] * 100 < run.shots(100, 8 * 20) + 100 * 5 or taken[item] == 5
    assert singles > 5 and max(taken.values()) > 5
    by_block = Counter((e.block, e.item) for e in schedule.executions if e.kind == "single")
    assert all(by_block[b, item] == n / 5 for item, n in taken.items() for b in range(5))


def test_equal_circuits_are_measured_once():
    schedule = arrange(planned(treatments=MANY), Sound())
    digests = [item.circuit.digest for item in schedule.items if item.ideal is None]
    assert len(set(digests)) == len(digests)
    (raw,) = [item for item, _ in schedule.expansions["none"]]
    folds = {}
    for name in ("zne", "readout+zne", "fold=3"):
        found = {run.scale: item for item, run in schedule.expansions[name] if not run.single}
        assert found.get(1.0, raw) == raw
        folds[name] = found[3.0]
    assert len(set(folds.values())) == 1
    calibrations = [
        {item for item, run in schedule.expansions[name] if run.role == "calibration"}
        for name in ("readout", "readout+zne")
    ]
    assert calibrations[0] == calibrations[1] != set()
    native = schedule.compiled.native
    (five,) = [item for item, _ in schedule.expansions["fold=5"]]
    assert schedule.items[five].circuit == native.folded(5)
    assert schedule.items[five].compiled.two_qubit_gates == 5 * schedule.compiled.two_qubit_gates
    for item in schedule.items:
        assert item.compiled.native == item.circuit
        assert item.compiled.physical == schedule.compiled.physical


def test_null_routers():
    plan = planned(inputs=9, block=3, nulls=3)
    schedule = arrange(plan, Sound())
    shuffled, drawn = (
        [each for each in schedule.executions if each.kind == kind] for kind in NULLS
    )
    assert len(shuffled) == len(drawn) == 8 * 9
    width = plan.routers[0].inputs.shape[1]
    for router in range(8):
        pairs = {(each.row, each.source) for each in shuffled if each.router == router}
        assert len(pairs) == 9 and all(row != source for row, source in pairs)
        assert sorted(source for _, source in pairs) == list(range(9))  # other rows, all of them
    angles = set()
    for each in (*shuffled, *drawn):
        routed, inputs = plan.routers[each.router].routed, plan.routers[each.router].inputs
        numbers = features(plan, schedule, each)
        assert_array_equal(numbers[:width], routed.features(inputs[[each.source]])[0])
        if each.kind == "null: shuffled":
            assert_array_equal(numbers[width:], routed.angles)
        else:
            assert each.source == each.row
            assert np.abs(numbers[width:]).max() <= np.pi
            angles.add((each.router, tuple(numbers[width:])))
    assert len(angles) == len({values for _, values in angles}) == 8  # one draw for each router


# --- in which order


def places(schedule):
    """Where everything stands, by what it is."""
    return [(e.block, e.item, e.kind, e.router, e.row) for e in schedule.executions]


def test_the_order_is_random_the_same_each_time_and_knows_no_class():
    again = arrange(PLAN, Sound())
    assert again.executions == SCHEDULE.executions
    others = [replace(r, y=tuple(1 - y for y in r.y)) for r in PLAN.routers]
    assert arrange(replace(PLAN, routers=tuple(others)), Sound()).executions == again.executions
    shuffled = arrange(planned(seed=0), Sound())
    assert shuffled.executions == again.executions
    other = arrange(replace(PLAN, design=replace(PLAN.design, seed=1)), Sound())
    assert Counter(places(other)) == Counter(places(again))
    assert places(other) != places(again)
    # no block repeats the order of another, neither of circuits nor of their rows
    orders = []
    for block in range(PLAN.design.blocks):
        here = [each for each in again.executions if each.block == block]
        orders.append([(e.item, e.kind, e.router, e.row % PLAN.design.block) for e in here])
        assert orders[-1] != sorted(orders[-1])
    assert orders[0] != orders[1]


def test_no_treatment_has_a_place_of_its_own():
    """Over many seeds each circuit stands first in its block equally often.

    60 seeds of 2 blocks are 120 draws of one in 6 circuits: 20 each with a standard deviation of
    4.1, and of one in 8 routers: 15 with 3.6; all within 4 of them.
    """
    first, inner = Counter(), Counter()
    for seed in range(60):
        schedule = arrange(replace(PLAN, design=replace(PLAN.design, seed=seed)), Sound())
        for block in range(2):
            here = [each for each in schedule.executions if each.block == block]
            first[here[0].item] += 1
            data = [each for each in here if each.kind == "data"]
            inner[data[0].router] += 1
    assert len(first) == len(SCHEDULE.items) == 6
    assert all(abs(n - 20) < 4 * 4.1 for n in first.values())
    assert all(abs(inner[k] - 15) < 4 * 3.6 for k in range(8))


# --- in which job

LIMITS = (
    Limits(),
    Limits(programs=1),
    Limits(programs=2, rows=7),
    Limits(rows=1),
    Limits(rows=100),
    Limits(total=(1, 1000)),
    Limits(shots=(1, 40), rows=10, programs=3, total=(1, 40 * 9)),
)
LONGER = planned(inputs=7, block=3, treatments=MANY, count=2, every=60.0)
LONG = arrange(LONGER, Sound())


@given(
    st.builds(
        Limits,
        rows=st.none() | st.integers(1, 90),
        programs=st.none() | st.integers(1, 20),
        total=st.tuples(st.just(1), st.none() | st.integers(40, 4000)),
    )
)
@settings(max_examples=10)
@example(LIMITS[0])
@example(LIMITS[1])
@example(LIMITS[2])
@example(LIMITS[3])
@example(LIMITS[4])
@example(LIMITS[5])
@example(LIMITS[6])
def test_jobs_keep_limits_and_rows_keep_their_order(limits):
    shots = LONGER.design.shots
    made = chunks(LONGER, LONG, limits)
    assert len({chunk.key for chunk in made}) == len(made)
    whole = Counter((chunk.repeat, k) for chunk in made for k in chunk.executions)
    assert whole == Counter((r, k) for r in range(2) for k in range(len(LONG.executions)))
    for chunk in made:
        here = [LONG.executions[k] for k in chunk.executions]
        assert {each.block for each in here} == {chunk.block}
        assert chunk.due == chunk.repeat * 60.0
        again = Chunk.of(chunk.key, chunk.executions)
        assert (again.repeat, again.block) == (chunk.repeat, chunk.block)
        kinds = len({each.item for each in here})
        assert limits.rows is None or len(here) <= limits.rows
        assert limits.programs is None or kinds <= limits.programs
        assert limits.total[1] is None or len(here) * shots <= limits.total[1]
        if chunk.repeat:
            continue  # as the first
        sent = programs(LONGER, LONG, chunk)
        assert len(sent) == kinds
        rows = [(program.compiled, row) for program in sent for row in program.features]
        assert len(rows) == len(here)
        for (compiled, row), each in zip(rows, here, strict=True):
            assert compiled is LONG.items[each.item].compiled
            assert_array_equal(row, features(LONGER, LONG, each))
            assert len(row) == compiled.native.num_features
    first = [(chunk.block, chunk.executions) for chunk in made if chunk.repeat == 0]
    assert first == [(chunk.block, chunk.executions) for chunk in made if chunk.repeat == 1]


def test_jobs_are_few():
    blocks = LONGER.design.blocks
    assert len(chunks(LONGER, LONG, Limits())) == 2 * blocks
    items = len(LONG.items)
    assert len(chunks(LONGER, LONG, Limits(programs=1))) == 2 * blocks * items
    assert len(chunks(LONGER, LONG, Limits(rows=1))) == 2 * len(LONG.executions)
    assert len(chunks(LONGER, LONG, Limits(rows=100))) == 2 * sum(
        -(-sum(each.block == block for each in LONG.executions) // 100) for block in range(blocks)
    )


@pytest.mark.parametrize("limits", [Limits(shots=(100, None)), Limits(total=(1, 39))], ids=str)
def test_shots_that_a_device_does_not_take_are_refused(limits):
    with pytest.raises(InputError, match="40"):
        chunks(LONGER, LONG, limits)


# --- sentinels


def is_clifford(circuit):
    """Whether it turns every Pauli of one qubit into a Pauli of all, by matrices alone."""
    n = circuit.num_qubits
    matrix = np.eye(2**n, dtype=complex).reshape((2,) * n + (2**n,))
    for op in (op for op in circuit.ops if not op.is_mark):
        k = len(op.qubits)
        gate = op_matrix(op, np.zeros(0), np.zeros(0)).reshape((2,) * (2 * k))
        matrix = np.moveaxis(
            np.tensordot(gate, matrix, (range(k, 2 * k), op.qubits)), range(k), op.qubits
        )
    matrix = matrix.reshape(2**n, 2**n)
    single = (np.eye(2), [[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]])
    every = [np.eye(1)]
    for _ in range(n):
        every = [np.kron(a, b) for a in every for b in single]
    turned = [matrix @ pauli @ matrix.conj().T for pauli in every]
    overlaps = np.array([[np.trace(a @ b).real / 2**n for b in every] for a in turned])
    return bool((np.isclose(np.abs(overlaps), 1, atol=1e-9).sum(1) == 1).all())


def test_the_check_of_cliffords_can_tell():
    from qmoe.circuit import Circuit, Op

    assert is_clifford(Circuit(2, (Op("h", (0,)), Op("cz", (0, 1)), Op("s", (1,))), (0,)))
    assert not is_clifford(Circuit(2, (Op("h", (0,)), Op("ry", (1,), (0.3,))), (0,)))


@pytest.mark.parametrize("spec", ["planted", *SNAPSHOTS])
def test_sentinels_are_what_the_target_answers(spec):
    backend = Sound() if spec == "planted" else load(spec)
    plan = planned(spec, treatments=("none", "readout", "zne"))
    schedule = arrange(plan, backend)
    native = schedule.compiled.native
    sentinels = {item.name: item for item in schedule.items if item.ideal is not None}
    zeros, ones, clifford = (
        sentinels[f"sentinel {kind}"] for kind in ("zeros", "ones", "clifford")
    )
    assert_allclose(zeros.ideal, [1, 0, 0, 0], rtol=0, atol=1e-12)
    assert_allclose(ones.ideal, [0, 0, 0, 1], rtol=0, atol=1e-12)
    # the gates of the router on the same qubits, with another answer than the first two
    assert [(o.gate, o.qubits) for o in clifford.circuit.ops] == [
        (o.gate, o.qubits) for o in native.ops
    ]
    assert clifford.compiled.two_qubit_gates == schedule.compiled.two_qubit_gates > 0
    assert is_clifford(clifford.circuit)
    assert max(clifford.ideal) > 1 - 1e-9
    for item in sentinels.values():
        assert item.compiled.physical == schedule.compiled.physical
        assert item.circuit.num_features == 0
        # the vendor's simulator, noise included, is near; another bit order would be far
        seen = backend.probabilities(item.compiled, NOTHING)[0]
        assert total_variation(seen, item.ideal) < 0.12


def test_a_clifford_sentinel_depends_on_the_seed():
    made = set()
    for seed in range(12):
        schedule = arrange(replace(PLAN, design=replace(PLAN.design, seed=seed)), Sound())
        (item,) = [item for item in schedule.items if item.name == "sentinel clifford"]
        assert is_clifford(item.circuit)
        made.add(item.circuit.digest)
    assert len(made) > 6


@pytest.mark.parametrize("spec", SNAPSHOTS)
def test_one_circuit_of_a_target_serves_all_routers(spec):
    """What a vendor's compiler made of the lifted circuit is each router's circuit."""
    plan = planned(spec, treatments=("none", "fold=3"))
    schedule = arrange(plan, load(spec))
    for each in schedule.executions:
        if each.kind == "data":
            router = plan.routers[each.router].routed
            x = router.features(plan.routers[each.router].inputs[[each.row]])
            native = schedule.items[each.item].circuit
            got = reference.probabilities(native, (), features(plan, schedule, each))
            expected = reference.probabilities(router.template, (), x)[0]
            assert_allclose(got, expected, rtol=0, atol=1e-7)


# --- what a target does not take


class Compiling(Sound):
    """A target that compiles again what it is sent."""

    foldable = False


@pytest.mark.parametrize("treatment", ["fold=3", "zne"])
def test_a_target_that_compiles_again_cannot_fold(treatment):
    with pytest.raises(InputError, match="planted"):
        arrange(planned(treatments=("none", treatment)), Compiling())


def test_a_router_that_does_not_fit():
    class Small(Sound):
        def compile(self, circuit):
            raise FitError(got="2 qubits", expected="1", do="use fewer")

    with pytest.raises(FitError):
        arrange(PLAN, Small())


# --- JSON


@pytest.mark.parametrize("schedule", [SCHEDULE, LONG], ids=["short", "long"])
def test_json_and_back(schedule):
    text = to_json(schedule)
    again = from_json(text)
    assert to_json(again) == text
    assert again.executions == schedule.executions and again.compiled == schedule.compiled
    assert again.expansions == schedule.expansions
    for one, two in zip(schedule.items, again.items, strict=True):
        assert (one.name, one.circuit, one.compiled, one.ideal) == (
            two.name,
            two.circuit,
            two.compiled,
            two.ideal,
        )


TEXT = to_json(SCHEDULE)


@given(st.integers(0, len(TEXT) - 1))
def test_a_torn_schedule_is_refused(place):
    assert refused(lambda: from_json(TEXT[:place]))


_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from([0, 1, -1, -2, 2**70, 1e308, 10**400, "", "x", float("nan")]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)


@settings(max_examples=40)
@given(st.data())
def test_anything_anywhere_in_a_schedule_is_a_schedule_or_refused_in_one_line(data):
    tree = copy.deepcopy(json.loads(TEXT))
    here = tree
    while True:
        keys = sorted(here) if isinstance(here, dict) else range(len(here))
        key = data.draw(st.sampled_from(keys))
        inner = here[key]
        if not isinstance(inner, dict | list) or not inner or data.draw(st.integers(0, 4)) == 0:
            break
        here = inner
    if data.draw(st.integers(0, 4)) == 0:
        del here[key]
    else:
        here[key] = data.draw(_values)
    text = json.dumps(tree)
    refused(lambda: from_json(text, PLAN))
    if not refused(lambda: from_json(text)):
        schedule = from_json(text)
        assert to_json(from_json(to_json(schedule))) == to_json(schedule)


def _tree(**changes):
    return json.dumps({**json.loads(TEXT), **changes})


def test_schedules_that_no_plan_has_are_refused():
    tree = json.loads(TEXT)
    sentinel = next(k for k, item in enumerate(tree["items"]) if "ideal" in item)
    texts = ["", "[]", "null", "{}", "[" * 100_000, _tree(format=2)]
    texts += [_tree(executions=[], expansions={}), _tree(items=tree["items"][:-1])]
    for row in ([0, 99, 0, 0, 0, 0], [0, 0, 9, 0, 0, 0], [0, 0, -1, 0, 0, 0], [0, 0, 0, -2, 0, 0]):
        texts.append(_tree(executions=[row]))
    for ideal in ([1.0], [0.5] * 4, [2.0, -1.0, 0.0, 0.0], None):  # a sentinel without an answer
        items = copy.deepcopy(tree["items"])
        items[sentinel]["ideal"] = ideal
        texts.append(_tree(items=items))
    for text in texts:
        assert refused(lambda text=text: from_json(text))


def test_a_schedule_is_told_from_those_of_other_plans():
    for plan, schedule in ((PLAN, SCHEDULE), (LONGER, LONG)):
        assert from_json(to_json(schedule), plan).executions == schedule.executions
    others = (
        {"inputs": 3},
        {"block": 2},
        {"nulls": 2},
        {"routers": 9, "seeds": 9},
        {"treatments": ("none",)},
        {"treatments": ("none", "readout", "zne")},
    )
    for changes in others:
        with pytest.raises(InputError, match="plan"):
            from_json(TEXT, planned(**changes))


@settings(max_examples=30)
@given(st.data())
def test_a_schedule_without_one_of_its_circuits_is_refused(data):
    tree = json.loads(TEXT)
    place = data.draw(st.integers(0, len(tree["executions"]) - 1))
    column = data.draw(st.sampled_from([1, 2, 3, 4, 5]))
    kept = tree["executions"][place]
    kept[column] = data.draw(st.integers(0, 9).filter(lambda value: value != kept[column]))
    text = json.dumps(tree)
    if column == 5 and KINDS[kept[2]] == "null: shuffled" and kept[5] < PLAN.design.inputs:
        return  # which input a shuffled router sees is drawn
    assert refused(lambda: from_json(text, PLAN))
