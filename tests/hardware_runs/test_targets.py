"""Study `targets`: the same trained router on every target, scored beside itself."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from hardware_runs.studies import targets as study
from qmoe.agreement import hellinger_fidelity, total_variation
from qmoe.errors import InputError
from qmoe.plan import all_cells, carry_out
from qmoe.routed import RoutedCircuit
from qmoe.rows import first_model
from qmoe.simulate import reference
from qmoe.store import Store
from qmoe.studies import ablation
from qmoe.suite import setup
from qmoe.tune import tune

CELL = all_cells([study.targets(setup(0, 2, 1))])[0]


@pytest.fixture(scope="module")
def result():
    return tune(CELL)


def every(result, **changes):
    options = {"target": "reference", "inputs": 60, "shots": 400} | changes
    return study.on_target(cell=CELL, result=result, **options)


def figures(result, mitigation="none", **changes):
    """By name, those of each expert apart; times, which differ, left out."""
    found = (f for f in every(result, **changes) if f.labels["mitigation"] == mitigation)
    places = ("expert", "ideal", "asked")
    return {
        (f.name, *at) if (at := [f.labels[p] for p in places if p in f.labels]) else f.name: f
        for f in found
        if f.unit != "s"
    }


def test_the_router_is_that_of_quick_and_trained_once():
    made = setup(0, 2, 1)
    plans = [ablation.quick(made), study.targets(made)]
    assert len(all_cells(plans)) == len(plans[0].cells)
    assert [m.options["target"] for m in plans[1].measurements] == [study.CPU, *study.TARGETS]


def test_exact_on_this_cpu_is_the_router_itself(result):
    found = figures(result, target=study.CPU, shots=0)
    assert found["total variation"].value == pytest.approx(0, abs=1e-12)
    assert found["shot floor"].value == 0 and found["top-1 agreement"].value == 1
    assert found["target accuracy"].labels["source"] == "exact"
    if found["routing retention"].value is not None:
        assert found["routing retention"].value == 1


def test_sampling_moves_the_distribution_by_the_shot_floor(result):
    found = figures(result)
    distance, floor = found["total variation"].value, found["shot floor"].value
    # a mean of 60 independent values in [0, 1]: Hoeffding, failure below 1e-6
    assert abs(distance - floor) < np.sqrt(np.log(2e6) / 120)
    assert 0 < floor < 0.05
    assert found["target accuracy"].labels["source"] == "sampled"
    assert found == figures(result)
    assert found["two-qubit gates"].value == 2


def test_readout_error_is_mitigated_at_the_same_budget(result):
    """Errors of 8 % move the distribution far more than 400 shots do; a twentieth calibrates."""
    spec = {"target": "twin:cirq:dm,readout=0.08", "shots": 4000}
    raw, treated = (figures(result, name, **spec) for name in ("none", "readout"))
    assert treated["total variation"].high < raw["total variation"].low
    assert treated["target accuracy"].labels["shots"] == raw["target accuracy"].labels["shots"]
    assert "readout" not in {
        f.labels["mitigation"]
        for f in study.on_target(cell=CELL, result=result, target=study.CPU, inputs=9, shots=0)
    }


def test_accuracy_is_that_of_the_whole_test_part_when_all_is_asked(result):
    found = figures(result, target=study.CPU, shots=0, inputs=10**6)
    assert found["target accuracy"].value == result.accuracy[0]
    assert found["target accuracy"].labels["inputs"] == result.rows["test"]


def test_a_target_that_is_not_installed_is_left_out_with_the_reason(monkeypatch):
    monkeypatch.setattr("backends.registry.find_spec", lambda name: None)
    plan = study.targets(setup(0, 2, 1), targets="torch ibm:fake_boston")
    assert [m.call.partition(":")[2] for m in plan.measurements] == ["on_target", "left_out"]
    done = carry_out([plan], store=Store(None))
    (figure,) = done.figures[plan.measurements[1].key].figures
    assert figure.value is None and "pip install 'qmoe-bench[ibm]'" in figure.note


@pytest.mark.parametrize("options", [{"shots": 0}, {"inputs": 0}, {"targets": "refrence"}])
def test_bad_options_are_refused_before_anything_is_trained(options):
    with pytest.raises(InputError):
        study.targets(setup(0, 2, 1), **options)


def test_a_measurement_gets_the_cell_that_it_asks_for(result):
    plan = study.targets(setup(0, 2, 1), targets="reference", inputs=20, shots=30)
    (measured,) = plan.measurements
    assert measured.of == CELL and measured.key != replace(measured, of=None).key
    done = carry_out([plan], store=Store(None))
    assert list(done.cells) == [CELL.key]
    expected = study.on_target(cell=CELL, result=result, **measured.options)
    found = done.figures[measured.key].figures
    assert [f for f in found if f.unit != "s"] == [f for f in expected if f.unit != "s"]
    assert {f.labels["checkpoint"] for f in found} == {CELL.key}


NOISY = "twin:cirq:dm,readout=0.08"


def planted(result, inputs):
    """Router, inputs, labels, and outcomes ideal and with each of two qubits misread at 8 %."""
    model, weights, part = first_model(CELL, result)
    routed = RoutedCircuit(model, weights)
    X, y = part.X_test[:inputs], part.y_test[:inputs]
    ideal = np.array([reference.probabilities(routed.template, (), x) for x in routed.features(X)])
    one = np.array([[0.92, 0.08], [0.08, 0.92]])
    return routed, X, y, ideal, ideal @ np.kron(one, one).T


def test_load_fidelity_and_difference_are_those_of_planted_outcomes(result):
    found = figures(result, target=NOISY, shots=0, inputs=300)
    routed, X, y, ideal, noisy = planted(result, 300)
    answer, best = routed.answer(X, noisy), routed.answer(X, ideal)
    for k in range(4):
        load = found["expert load", k + 1]
        assert load.value == pytest.approx(answer.gate_weights[:, k].mean(), abs=1e-9)
        assert load.low <= load.value <= load.high
    fidelity = [
        sum(math.sqrt(a * b) for a, b in zip(p, q, strict=True)) ** 2
        for p, q in zip(noisy, ideal, strict=True)
    ]
    assert found["hellinger fidelity"].value == pytest.approx(np.mean(fidelity), abs=1e-9)
    assert found["hellinger fidelity"].value < 1
    right, exact = (said.probabilities.argmax(1) == y for said in (answer, best))
    change = found["target minus exact accuracy"]
    own = figures(result, target=study.CPU, shots=0, inputs=300)["target accuracy"].value
    assert change.value == pytest.approx(found["target accuracy"].value - own, abs=1e-12)
    assert (right != exact).any()
    ends = scipy.stats.ttest_rel(right.astype(float), exact.astype(float)).confidence_interval()
    assert (change.low, change.high) == pytest.approx((ends.low, ends.high), abs=1e-9)
    assert change.note == "exploratory"


def test_confusion_says_who_was_asked_in_place_of_whom(result):
    found = figures(result, target=NOISY, shots=100)
    routed, X, _, ideal, _ = planted(result, 60)
    first = routed.answer(X, ideal).gate_weights.argmax(1)
    table = np.array(
        [[found["routing confusion", i, k].value for k in range(1, 5)] for i in range(1, 5)]
    )
    assert table.sum() == pytest.approx(1)
    assert table.sum(1) == pytest.approx(np.bincount(first, minlength=4) / 60)
    assert np.trace(table) == pytest.approx(found["top-1 agreement"].value)


def test_without_noise_nobody_is_asked_in_place_of_another(result):
    found = figures(result, target=study.CPU, shots=0)
    for (i, k), figure in {n[1:]: f for n, f in found.items() if "routing confusion" in n}.items():
        assert i == k or figure.value == 0
    assert found["hellinger fidelity"].value == pytest.approx(1, abs=1e-12)
    change = found["target minus exact accuracy"]
    assert (change.value, change.low, change.high) == (0, 0, 0)


def test_what_the_twin_expects_of_an_ideal_target_is_the_shot_floor(result):
    """400 simulated experiments of 60 inputs with 400 shots; one shot moves their mean distance
    by 1 / (400 * 60 * 400) at most: bounded differences, failure below 1e-6."""
    found = figures(result)
    expected = found["predicted total variation"]
    bound = np.sqrt(np.log(2e6) / (2 * 400 * 60 * 400))
    assert abs(expected.value - found["shot floor"].value) < bound
    for name, measured in (
        ("predicted total variation", "total variation"),
        ("predicted accuracy", "target accuracy"),
    ):
        predicted, value = found[name], found[measured].value
        inside = predicted.low <= value <= predicted.high
        assert predicted.note == ("inside" if inside else "outside")


def test_nothing_is_predicted_of_exact_or_mitigated_answers(result):
    for changes in ({"mitigation": "readout"}, {"target": study.CPU, "shots": 0}):
        assert not [n for n in figures(result, **changes) if "predicted" in n]


def test_what_a_treatment_took_is_told(result):
    raw, treated = (figures(result, name) for name in ("none", "readout"))
    assert raw["circuits"].value == 60 and raw["shots used"].value == 60 * 400
    assert raw["gamma"].value == 1
    assert treated["circuits"].value > 60 and treated["shots used"].value <= 60 * 400
    assert figures(result, target=study.CPU, shots=0)["shots used"].value == 0


def test_times_are_in_seconds_and_all_else_is_not(result):
    found = every(result, inputs=5)
    times = [f for f in found if f.unit == "s"]
    assert [f.name for f in times] == ["compile seconds", "run seconds", "answer seconds"] * 2
    assert all(f.value > 0 and f.low is None for f in times)
    assert not [f.name for f in found if "seconds" in f.name and f.unit != "s"]
    assert all(f.labels["checkpoint"] == CELL.key and f.labels["inputs"] == 5 for f in found)


@given(
    p=st.lists(st.floats(0.01, 1), min_size=4, max_size=4),
    q=st.lists(st.floats(0.01, 1), min_size=4, max_size=4),
)
def test_hellinger_fidelity_is_symmetric_one_for_equals_and_bounded_by_the_distance(p, q):
    """1 - TV <= sum sqrt(p q) <= sqrt(1 - TV^2): Le Cam."""
    a, b = np.array([p]) / sum(p), np.array([q]) / sum(q)
    (found,) = hellinger_fidelity(a, b)
    assert found == pytest.approx(hellinger_fidelity(b, a)[0])
    assert hellinger_fidelity(a, a)[0] == pytest.approx(1)
    (distance,) = total_variation(a, b)
    assert (1 - distance) ** 2 - 1e-12 <= found <= 1 - distance**2 + 1e-12
