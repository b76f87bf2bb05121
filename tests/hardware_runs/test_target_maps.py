"""Maps of a router on a target: the ideal map without noise, and what the noise makes of it."""

from __future__ import annotations

import numpy as np
import pytest

from hardware_runs.studies import targets as study
from hardware_runs.target_maps import target_map
from qmoe.cell import Cell
from qmoe.data import DataSpec
from qmoe.execution import Job, execute
from qmoe.plan import Plan, all_cells
from qmoe.progress import silent
from qmoe.provenance import capture
from qmoe.routed import RoutedCircuit
from qmoe.rows import first_model, routing_map
from qmoe.rundir import Run
from qmoe.store import Store
from qmoe.suite import setup
from qmoe.train import TrainConfig
from qmoe.trial import Trial
from qmoe.tune import tune

CELL = Cell(
    DataSpec("moons", noise=0.1),
    "quantum",
    {"layers": 2},
    # another scaler and embedding than the default, which a map has to undo
    trials=(Trial(0.1, "standard", 1.0, "auto", 0.5),),
    seeds=(4,),
    config=TrainConfig(epochs=20, evaluate_every=10),
    sizes=(60, 40, 90),
)


@pytest.fixture(scope="module")
def result():
    return tune(CELL)


@pytest.mark.parametrize("target", ["torch", "reference", "cirq:dm"])
def test_without_noise_the_map_is_the_ideal_one(result, target):
    ideal, found = routing_map(CELL, result), target_map(CELL, result, target, 50)
    assert found.gates == pytest.approx(ideal.gates, abs=1e-6)
    assert found.probabilities == pytest.approx(ideal.probabilities, abs=1e-6)
    assert found.gates.shape == (4, 80, 80) and found.extent == ideal.extent
    assert (found.target, found.source) == (target, "twin")
    assert (ideal.target, ideal.source) == ("", "")
    assert (found.protocol, found.dataset, found.seed) == ("controlled", "moons(noise=0.1)", 4)


def test_the_points_are_the_inputs_that_are_measured(result):
    found = target_map(CELL, result, "reference", 50)
    part = first_model(CELL, result)[2]
    scaled = part.scaler.transform(found.points).X
    assert scaled == pytest.approx(part.X_test[:50], abs=1e-12)
    assert np.array_equal(found.labels, part.y_test[:50])
    assert len(target_map(CELL, result, "reference", 10**6).points) == 90


def test_readout_errors_mix_the_outcomes_of_the_map(result):
    """Each of two qubits is misread with chance 0.08: a product of two flips, put in by numpy."""
    found = target_map(CELL, result, "cirq:dm,readout=0.08", 5)
    model, weights, part = first_model(CELL, result)
    routed = RoutedCircuit(model, weights)
    X = part.scaler.transform(found.centres).X
    ideal = target_map(CELL, result, "reference", 5)
    one = np.array([[0.92, 0.08], [0.08, 0.92]])
    # this router's gate weights are its outcomes
    assert routed.router.emits == "probabilities" and routed.router.outcome_matrix is None
    expected = np.einsum("ij,jrc->irc", np.kron(one, one), ideal.gates)
    assert found.gates == pytest.approx(expected, abs=1e-9)
    # and the classes follow from them
    answer = routed.answer(X, expected.reshape(4, -1).T)
    classes = found.probabilities.reshape(2, -1).T
    assert classes == pytest.approx(answer.probabilities, abs=1e-9)
    assert np.abs(found.gates - ideal.gates).max() > 0.05


def test_no_map_of_what_has_none(result):
    bare = result.model_copy(update={"first_weights": ()})
    assert target_map(CELL, bare, "reference", 5) is None


def test_the_study_asks_for_maps_of_noisy_targets_that_are_there(monkeypatch):
    plan = study.targets(setup(0, 2, 1), targets="torch reference cirq:dm,readout=0.1", inputs=7)
    ((of, target, inputs),) = plan.maps
    assert (of, target, inputs) == (plan.measurements[0].of, "cirq:dm,readout=0.1", 7)
    assert all_cells([plan]) == (of,) == all_cells([Plan("maps alone", maps=plan.maps)])
    monkeypatch.setattr("backends.registry.find_spec", lambda name: None)
    assert study.targets(setup(0, 2, 1)).maps == ()


def test_a_run_holds_the_maps_that_its_plans_ask_for(tmp_path, result):
    plans = [
        Plan("targets", maps=((CELL, "cirq:dm,readout=0.08", 12),)),
        Plan("shown", (CELL,), shown=True),
    ]
    job = Job(capture(seed=0), silent, out=tmp_path / "run")
    (first, ideal), (second, found) = Run.open(execute("t", plans, Store(None), job)).maps()
    assert first == second == result.router
    assert (ideal.target, found.target) == ("", "cirq:dm,readout=0.08")
    expected = target_map(CELL, result, "cirq:dm,readout=0.08", 12)
    assert found.gates == pytest.approx(expected.gates, abs=1e-6)
    assert len(found.points) == 12 and found.source == "twin"
