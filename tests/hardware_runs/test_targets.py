"""Study `targets`: the same trained router on every target, scored beside itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hardware_runs.studies import targets as study
from qmoe.errors import InputError
from qmoe.plan import all_cells, carry_out
from qmoe.store import Store
from qmoe.studies import ablation
from qmoe.suite import setup
from qmoe.tune import tune

CELL = all_cells([study.targets(setup(0, 2, 1))])[0]


@pytest.fixture(scope="module")
def result():
    return tune(CELL)


def figures(result, mitigation="none", **changes):
    options = {"target": "reference", "inputs": 60, "shots": 400} | changes
    found = study.on_target(cell=CELL, result=result, **options)
    return {f.name: f for f in found if f.labels["mitigation"] == mitigation}


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
    assert done.figures[measured.key].figures == expected
