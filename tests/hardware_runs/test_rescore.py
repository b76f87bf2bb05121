"""Figures of an experiment: by hand from raw counts, fair between treatments, blind to results."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from backends import load
from backends.execute import check_budget, execute
from backends.mitigation import load as mitigation
from hardware_runs.answers import answers, blocks, null_answers, thinned
from hardware_runs.predict_plan import probabilities
from hardware_runs.rescore import rescore
from hardware_runs.schedule import features
from qmoe import readout
from qmoe.errors import InputError
from tests.hardware_runs.measured import (
    classes,
    counted,
    drawn,
    ideal,
    labelled,
    right,
    scheduled,
    simulated,
)
from tests.hardware_runs.planned import planned

PLAN = planned("torch", inputs=5, block=3, nulls=2, shots=60, treatments=("none",), count=3)
PLAN = labelled(PLAN, [np.r_[classes(r, r.X, ideal(r, r.X))[:4], 0] for r in PLAN.routers])
SCHEDULE = scheduled(PLAN)
FLIP = np.array([1, 0, 3, 2])


@pytest.fixture(scope="module")
def skewed():
    """Counts that are no circuit's, but for the sentinels; one block and one repeat not whole."""
    rng = np.random.default_rng(1)
    found = {}
    for repeat, (k, one) in itertools.product(range(3), enumerate(SCHEDULE.executions)):
        chances = rng.dirichlet(np.full(4, 0.4))
        if one.kind == "sentinel":
            chances = np.array(SCHEDULE.items[one.item].ideal)
        found[repeat, k] = rng.multinomial(60, chances)
    del found[1, next(k for k, one in enumerate(SCHEDULE.executions) if one.block == 0)]
    return {key: counts for key, counts in found.items() if key[0] < 2}


# --- every figure


def interval(values, limits=(-math.inf, math.inf), level=0.95):
    """Mean and Student t interval by scipy."""
    mean = float(np.mean(values))
    low, high = stats.t.interval(level, len(values) - 1, mean, stats.sem(values))
    return mean, max(low, limits[0]), min(high, limits[1])


def of(score):
    return score.value, score.low, score.high


def floor(p, shots):
    """E |k / n - p| over binomial k, summed over outcomes, by its definition."""
    k = np.arange(shots + 1)
    return sum((stats.binom.pmf(k, shots, q) * abs(k / shots - q)).sum() for q in p) / 2


def by_hand(measured, repeat, rows):
    """Figures of each router in one repeat."""
    places = {
        (one.router, one.row): k for k, one in enumerate(SCHEDULE.executions) if one.kind == "data"
    }
    for number, router in enumerate(PLAN.routers):
        seen = np.array([measured[repeat, places[number, row]] for row in rows]) / 60
        exact = ideal(router, np.array(router.X)[list(rows)])
        even = np.full_like(exact, 0.25)
        accuracy, best, least = (right(router, rows, g).mean() for g in (seen, exact, even))
        yield {
            "accuracy": accuracy,
            "exact": best,
            "retention": (accuracy - least) / (best - least) if best - least >= 0.02 else None,
            "distance": abs(seen - exact).sum(1).mean() / 2,
            "floor": np.mean([floor(p, 60) for p in exact]),
            "agreement": (seen.argmax(1) == exact.argmax(1)).mean(),
        }


def test_every_figure_is_the_one_computed_by_hand(skewed):
    found = rescore(PLAN, SCHEDULE, skewed)
    repeats = [list(by_hand(skewed, 0, range(5))), list(by_hand(skewed, 1, (3, 4)))]
    told = found.treatments["none"]
    means = {}
    for name in repeats[0][0]:
        pairs = [[each[k][name] for each in repeats] for k in range(8)]
        known = [[value for value in pair if value is not None] for pair in pairs]
        means[name] = [np.mean(pair) if pair else None for pair in known]
        stated = [getattr(each, name) for each in told.by_router]
        assert [value is None for value in stated] == [value is None for value in means[name]]
        for one, two in zip(stated, means[name], strict=True):
            assert one is None or one == pytest.approx(two, abs=1e-12)
    share = (0.0, 1.0)
    assert of(told.accuracy) == pytest.approx(interval(means["accuracy"], share))
    lost = np.subtract(means["accuracy"], means["exact"])
    assert of(told.difference) == pytest.approx(interval(lost))
    assert of(told.distance) == pytest.approx(interval(means["distance"], share))
    assert of(told.agreement) == pytest.approx(interval(means["agreement"], share))
    kept = [value for value in means["retention"] if value is not None]
    assert 2 <= len(kept) < 8  # both kinds of router occur
    assert of(told.retention) == pytest.approx(interval(kept))
    assert told.floor == pytest.approx(np.mean(means["floor"]))
    assert (told.circuits, told.shots) == (8 * 7, 8 * 7 * 60)
    assert told.gamma == 1 and told.clipped == pytest.approx(0, abs=1e-12)

    assert [each.number for each in found.repeats] == [0, 1]
    for one, hand in zip(found.repeats, repeats, strict=True):
        assert one.accuracy == pytest.approx(np.mean([each["accuracy"] for each in hand]))
        assert one.distance == pytest.approx(np.mean([each["distance"] for each in hand]))
    first = [by_hand(skewed, 0, rows) for rows in ((0, 1, 2), (3, 4))]
    lost = [np.mean([each["accuracy"] - each["exact"] for each in part]) for part in first]
    assert found.repeats[0].by_block == pytest.approx(lost)
    assert found.repeats[1].by_block[0] is None

    assert len(found.departures) == 4
    assert "block 0 of repeat 1 is left out: 1 of" in found.departures[1]
    assert found.departures[0].startswith("repeat 2 does not count")


def test_null_routers_are_scored_as_the_input_whose_place_they_took(skewed):
    found = {each.name: each for each in rescore(PLAN, SCHEDULE, skewed).nulls}
    assert set(found) == {"null: shuffled", "null: random"}
    for name, null in found.items():
        right_, own = [], []
        for (repeat, k), counts in skewed.items():
            one = SCHEDULE.executions[k]
            if one.kind != name or (repeat, one.block) == (1, 0):
                continue
            router = PLAN.routers[one.router]
            right_ += right(router, [one.row], counts[None] / 60).tolist()
            exact = ideal(router, [router.X[one.row]])
            own += right(router, [one.row], exact).tolist()
        assert null.inputs == len(right_) == 8 * (2 + 2) + 8 * 2
        assert null.accuracy == pytest.approx(np.mean(right_))
        assert null.routed == pytest.approx(np.mean(own))
    given = null_answers(SCHEDULE, skewed, 0, [0, 1])
    assert all(one.source != one.row for one, _ in given["null: shuffled"])


def test_the_primary_comparison_is_the_paired_t_test(skewed):
    plan = replace(PLAN, design=replace(PLAN.design, margin=0.06))
    found = rescore(plan, SCHEDULE, skewed).primary
    treated = rescore(plan, SCHEDULE, skewed).treatments["none"]
    lost = [each.accuracy - each.exact for each in treated.by_router]
    p = stats.ttest_1samp(lost, 0).pvalue
    above, below = (
        stats.ttest_1samp(lost, bound, alternative=side).pvalue
        for bound, side in ((-0.06, "greater"), (0.06, "less"))
    )
    assert max(above, below) > 0.05  # not equivalent
    word = "inconclusive" if p > 0.05 else "worse" if np.mean(lost) < 0 else "better"
    assert (found.word, found.margin, found.routers) == (word, 0.06, 8)
    assert of(found.difference) == pytest.approx(interval(lost, level=found.level))


def test_exact_counts_give_what_the_routers_give():
    plan = planned("reference", shots=10**6, treatments=("none",))
    schedule = scheduled(plan)
    found = rescore(plan, schedule, counted(probabilities(plan, schedule), 10**6))
    told = found.treatments["none"]
    for one, router in zip(told.by_router, plan.routers, strict=True):
        exact = right(router, range(6), ideal(router, router.X)).mean()
        assert one.accuracy == one.exact == pytest.approx(exact)
        assert one.distance < 1e-5 and one.agreement == 1
    assert of(told.difference) == (0, 0, 0)
    assert max(max(block.sentinels.values()) for block in found.repeats[0].blocks) < 1e-5


# --- treatments

NOISY = "twin:ibm:fake_boston"
TREATMENTS = (
    *("none", "readout", "readout,kind=full", "zne", "readout+zne,scales=1/3/5"),
    *("twirl", "rescale", "pec", "fold=3"),
)


@pytest.fixture(scope="module")
def noisy():
    """A plan with every kind of treatment, and the exact probabilities of its executions."""
    plan = planned(NOISY, inputs=2, block=1, treatments=TREATMENTS)
    schedule = scheduled(plan)
    return plan, schedule, probabilities(plan, schedule)


@pytest.mark.parametrize(
    "name", [*TREATMENTS, "readout,source=device", "readout,projection=simplex"]
)
def test_treatments_of_exact_counts_are_those_of_the_one_pipeline(noisy, name):
    """Those that were not planned need no circuits of their own."""
    plan, schedule, chances = noisy
    # far fewer shots than the budget: nothing is thinned, and every frequency is exact
    plan = replace(plan, design=replace(plan.design, shots=10**12))
    found = answers(plan, schedule, counted(chances, 10**9), 0, [0, 1], name)
    backend = load(NOISY)
    x = np.concatenate([router.routed.features(router.inputs) for router in plan.routers])
    angles = np.repeat([router.routed.angles for router in plan.routers], 2, axis=0)
    x = np.concatenate([x, angles], axis=1)
    if name == "fold=3":
        folded = backend.emit(schedule.compiled.native.folded(3), schedule.compiled)
        quasi, gamma = backend.probabilities(folded, x), 1.0
    else:
        treated = mitigation(name)
        done = execute(backend, schedule.compiled, treated, x, None, plan.design.seed)
        quasi, gamma = done.quasi, done.overhead.gamma
        assert found.clipped == pytest.approx(done.clipped, abs=1e-6)
        assert found.probabilities.reshape(-1, 4) == pytest.approx(done.probabilities, abs=1e-6)
    assert found.quasi.reshape(-1, 4) == pytest.approx(quasi, abs=1e-6)
    assert found.gamma == pytest.approx(gamma)


@pytest.mark.parametrize("shots", [41, 200])
def test_every_treatment_takes_its_budget_and_no_more(noisy, shots):
    names = [name for name in TREATMENTS if name != "pec"]
    plan = planned(NOISY, inputs=2, block=1, shots=shots, treatments=tuple(names))
    schedule = scheduled(plan)
    measured = drawn(probabilities(plan, schedule), shots, np.random.default_rng(0))
    for kept, inputs in (([0, 1], 16), ([1], 8)):
        for name in names:
            runs = [run for _, run in schedule.expansions[name]]
            spent = check_budget(runs, shots, inputs)
            sizes = [1 if run.single else inputs for run in runs]
            total = sum(n * each for n, each in zip(sizes, spent, strict=True))
            found = answers(plan, schedule, measured, 0, kept, name)
            assert found.shots == total <= shots * inputs, name
            assert total > shots * inputs - sum(sizes), name  # no more than rounding is lost


def test_too_few_shots_for_a_treatment_are_said():
    plan = planned("torch", inputs=2, block=1, shots=1, treatments=("none", "zne"))
    schedule = scheduled(plan)
    measured = drawn(probabilities(plan, schedule), 1, np.random.default_rng(0))
    found = rescore(plan, schedule, measured)
    assert set(found.treatments) == {"none"}
    assert "zne in repeat 0: got 0 shots" in found.departures[0]


def misread(chances, confusion, schedule):
    """Probabilities as read: sentinels too, as on a device."""
    return np.clip(chances @ confusion.T, 0, None)


@pytest.mark.parametrize(
    ("confusion", "recovers"),
    [
        (readout.independent([0.03, 0.10], [0.08, 0.02]), {"readout", "readout,kind=full"}),
        (readout.paired(2, [(0, 1)], 0.1), {"readout,kind=full"}),
    ],
    ids=["each by itself", "as a pair"],
)
def test_readout_treatments_recover_the_ideal_router(confusion, recovers):
    names = ("none", "readout", "readout,kind=full")
    plan = planned("torch", shots=10**6, treatments=names)
    schedule = scheduled(plan)
    exact = probabilities(plan, schedule)
    plan = replace(plan, design=replace(plan.design, shots=10**9))
    found = rescore(plan, schedule, counted(misread(exact, confusion, schedule), 10**6))
    for name in names:
        distance = found.treatments[name].distance.value
        assert (distance < 1e-5) == (name in recovers), (name, distance)
    # a drawn calibration and drawn answers are closer than what was read, at the same budget
    plan = replace(plan, design=replace(plan.design, shots=2000))
    rng = np.random.default_rng(2)
    found = rescore(plan, schedule, drawn(misread(exact, confusion, schedule), 2000, rng))
    raw, full = (found.treatments[name].distance.value for name in ("none", "readout,kind=full"))
    assert full < raw - 0.02


# --- thinning


@given(st.lists(st.integers(0, 50), min_size=2, max_size=8), st.integers(1, 120), st.integers(0, 9))
def test_thinning_takes_exactly_the_budget(row, shots, seed):
    table = np.array([row, row[::-1]])
    found = thinned(table, shots, (seed, 1))
    assert (found.sum(1) == np.minimum(table.sum(1), shots)).all()
    assert (found >= 0).all() and (found <= table).all()
    if sum(row) <= shots:
        assert (found == table).all()
    assert (found == thinned(table, shots, (seed, 1))).all()


def test_thinning_draws_without_replacement_and_each_row_anew():
    rows, row, shots = 4000, [3, 2, 1], 3
    found = thinned(np.tile(row, (rows, 1)), shots, (0, 7, 3))
    cells = [c for c in itertools.product(range(4), range(3), range(2)) if sum(c) == shots]
    expected = [stats.multivariate_hypergeom.pmf(c, row, shots) * rows for c in cells]
    seen = [(found == c).all(1).sum() for c in cells]
    assert sum(seen) == rows
    assert stats.chisquare(seen, expected).pvalue > 1e-3
    other = thinned(np.tile(row, (rows, 1)), shots, (0, 7, 4))
    # rows of two keys are as independent as rows of one: they agree as often as chance has it
    chance = sum((each / rows) ** 2 for each in expected)
    agree = int((found == other).all(1).sum())
    assert abs(agree - rows * chance) < 4.5 * math.sqrt(rows * chance * (1 - chance))


def test_no_shots_are_no_answer():
    with pytest.raises(InputError, match="at least one"):
        thinned(np.array([[1, 1]]), 0, (0,))


# --- what is left out


def places(kind):
    return [k for k, one in enumerate(SCHEDULE.executions) if one.kind == kind]


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), st.sets(st.integers(0, len(SCHEDULE.executions) - 1), max_size=2))
def test_blocks_are_left_out_by_sentinels_or_missing_rows_alone(seed, missing):
    """Whatever all other circuits answer, the same blocks count."""
    rng = np.random.default_rng(seed)
    sentinels = {
        k: rng.multinomial(60, 0.8 * np.array(SCHEDULE.items[one.item].ideal) + 0.05)
        for k, one in enumerate(SCHEDULE.executions)
        if one.kind == "sentinel"
    }
    found = []
    for shape in (0.1, 10.0):
        measured = {
            (0, k): sentinels.get(k, rng.multinomial(60, rng.dirichlet(np.full(4, shape))))
            for k in range(len(SCHEDULE.executions))
            if k not in missing
        }
        found.append(blocks(PLAN, SCHEDULE, measured, 0))
    assert found[0] == found[1]
    for each in found[0]:
        gone = [k for k in missing if SCHEDULE.executions[k].block == each.block]
        off = [
            abs(counts / 60 - SCHEDULE.items[SCHEDULE.executions[k].item].ideal).sum() / 2
            for k, counts in sentinels.items()
            if k not in missing and SCHEDULE.executions[k].block == each.block
        ]
        assert bool(each.left_out) == (bool(gone) or max(off) > PLAN.design.limit + 1e-12)
        assert sorted(each.sentinels.values()) == pytest.approx(sorted(off))
        assert each.missing == len(gone)


@pytest.mark.parametrize("name", ["sentinel zeros", "sentinel ones", "sentinel clifford"])
@pytest.mark.parametrize(("off", "counts"), [(15, True), (16, False)])
def test_the_limit_of_each_sentinel_is_the_plan_s(name, off, counts):
    measured = {}
    for k, one in enumerate(SCHEDULE.executions):
        item = SCHEDULE.items[one.item]
        row = np.rint(60 * np.array(item.ideal or [1, 0, 0, 0])).astype(np.int64)
        if item.name == name and one.block == 1:
            row[row.argmax()] -= off  # a quarter of 60 is the limit
            row[row.argmin()] += off
        measured[0, k] = row
    first, second = blocks(PLAN, SCHEDULE, measured, 0)
    assert not first.left_out
    assert bool(second.left_out) != counts
    if not counts:
        assert second.left_out == f"{name} is off by 0.267, more than 0.25"


def test_where_nothing_counts_nothing_is_said():
    for measured in ({}, {(0, 0): np.array([60, 0, 0, 0])}):
        found = rescore(PLAN, SCHEDULE, measured)
        assert found.primary is None and not found.treatments
        assert not found.nulls and not found.repeats
        assert len(found.departures) == 3 * (1 + 2)


def test_what_was_left_out_changes_nothing():
    """Figures of the kept block are those of a plan that never had the other one's answers."""
    plan = planned("torch", inputs=4, block=2, treatments=("none", "readout"))
    schedule, measured = simulated(plan)
    gone = next(k for k, one in enumerate(schedule.executions) if one.block == 0)
    del measured[0, gone]
    first = rescore(plan, schedule, measured).to_dict()
    rng = np.random.default_rng(5)
    for k, one in enumerate(schedule.executions):
        if one.block == 0 and one.kind != "sentinel" and k != gone:
            measured[0, k] = rng.multinomial(40, np.full(4, 0.25))
    assert rescore(plan, schedule, measured).to_dict() == first


# --- the registered comparison


@pytest.fixture
def device():
    """A plan of 8 x 12 answers, and a device that reads the last qubit wrongly."""
    size = {"inputs": 12, "block": 6, "shots": 100}
    plan = planned("torch", 10, **size, margin=0.05, treatments=("none",))
    schedule = scheduled(plan)
    chances = probabilities(plan, schedule)
    turned = chances.copy()
    for k, one in enumerate(schedule.executions):
        if one.kind != "sentinel":
            turned[k] = chances[k][FLIP]
    best, other = (
        np.array([classes(r, r.X, ideal(r, r.X)[:, order]) for r in plan.routers])
        for order in ([0, 1, 2, 3], FLIP)
    )
    assert (best != other).mean(1).min() > 0.3
    return plan, schedule, chances, turned, best, other


@pytest.mark.parametrize("sign", [-1, 1])
def test_a_planted_effect_is_found(device, unchecked, sign):
    plan, schedule, _, turned, best, other = device
    rng = np.random.default_rng(sign + 1)
    truth = best if sign < 0 else other
    for _ in range(6):
        # a tenth of the classes is noise
        y = np.where(rng.random(truth.shape) < 0.1, 1 - truth, truth)
        one = labelled(plan, y)
        found = rescore(one, schedule, drawn(turned, 100, rng)).primary
        assert found.word == ("worse" if sign < 0 else "better")
        hand = [
            (right(r, range(12), ideal(r, r.X)[:, FLIP])).mean()
            - right(r, range(12), ideal(r, r.X)).mean()
            for r in one.routers
        ]
        # shots move few answers
        assert found.difference.value == pytest.approx(np.mean(hand), abs=0.1)


def test_an_effect_that_is_none_is_found_no_more_often_than_the_level_says(device, unchecked):
    """Classes are fair coins: whatever the device answers, its expected difference is 0."""
    plan, schedule, _, turned, _, _ = device
    rng, times, wrong = np.random.default_rng(7), 60, 0
    for _ in range(times):
        one = labelled(plan, rng.integers(0, 2, (8, 12)))
        found = rescore(one, schedule, drawn(turned, 100, rng)).primary
        wrong += found.word in ("better", "worse")
    assert wrong <= stats.binom.ppf(0.999, times, 0.05)
    assert wrong > 0  # that some are found shows that the test could fail


def test_a_device_without_error_is_equivalent_where_there_are_answers_enough(device, unchecked):
    plan, schedule, chances, *_ = device
    measured = counted(chances, 10**6)
    assert rescore(plan, schedule, measured).primary.word == "equivalent"
    # the rule of three: of 96 answers without a difference, 3 could have one all the same
    few = replace(plan, design=replace(plan.design, margin=0.01))
    found = rescore(few, schedule, measured).primary
    assert found.word == "inconclusive (n too small)"
    assert found.reason == "96 answers cannot exclude a difference of 0.01"


def test_a_difference_that_is_found_is_one_from_however_few_answers(device):
    plan, schedule, _, turned, best, _ = device
    plan = labelled(replace(plan, design=replace(plan.design, margin=0.01)), best)
    found = rescore(plan, schedule, counted(turned, 10**6)).primary
    assert found.difference.high < -0.3 and found.word == "worse"


# --- departures


def test_departures_are_named():
    plan = planned("torch", inputs=4, block=2, count=2)
    schedule, measured = simulated(plan)
    found = rescore(plan, schedule, measured, sources=["device", "loopback", "device"])
    assert found.sources == ("device", "loopback")
    assert found.departures == ("results of several sources: device, loopback",)
    once = {key: counts for key, counts in measured.items() if key[0] == 0}
    found = rescore(plan, schedule, once, sources=["device"])
    assert [each.number for each in found.repeats] == [0]
    assert found.departures[0] == "repeat 1 does not count: no block of it is whole and sound"
    assert all("repeat 1" in text for text in found.departures)


def test_other_treatments_than_the_plan_s_beside_its_own_comparison():
    plan = planned("torch", inputs=4, block=2)
    schedule, measured = simulated(plan)
    found = rescore(plan, schedule, measured, treatments=["readout,projection=simplex"])
    assert list(found.treatments) == ["readout,projection=simplex", "none"]
    assert found.primary == rescore(plan, schedule, measured).primary


def test_treatments_that_were_not_measured_are_refused():
    plan = planned("torch", inputs=4, block=2, treatments=("none",))
    schedule, measured = simulated(plan)
    for name, words in (
        ("zne", "1 circuits of which were not measured; expected one of none"),
        ("readout", "2 circuits of which were not measured"),
        ("reedout", "did you mean"),
    ):
        for found in (measured, {}):
            with pytest.raises(InputError, match=words):
                rescore(plan, schedule, found, treatments=[name])


def test_a_repeat_whose_calibration_cannot_be_inverted_has_no_place_in_the_series():
    plan = planned("torch", inputs=4, block=2, count=3, primary="readout")
    schedule, measured = simulated(plan)
    for (repeat, k), counts in measured.items():
        if repeat == 1 and schedule.executions[k].kind == "single":
            counts[:] = 40, 0, 0, 0  # whatever was prepared
    found = rescore(plan, schedule, measured)
    assert [each.number for each in found.repeats] == [0, 2]
    assert [text[:20] for text in found.departures] == ["readout in repeat 1:"]
    rest = {key: counts for key, counts in measured.items() if key[0] != 1}
    assert found.repeats == rescore(plan, schedule, rest).repeats


def test_figures_are_json_and_the_same_from_the_same_counts():
    import json

    plan = planned("torch", inputs=4, block=2, count=2)
    schedule, measured = simulated(plan)
    first = rescore(plan, schedule, measured).to_dict()
    text = json.dumps(first, allow_nan=False)
    assert json.loads(text) == first
    assert rescore(plan, schedule, dict(reversed(measured.items()))).to_dict() == first
    assert features(plan, schedule, schedule.executions[0]).shape[0] in (0, 6)
