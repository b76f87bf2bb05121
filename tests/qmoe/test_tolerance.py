"""What noise leaves of trained routers: single models, exact limits, and shot statistics."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from qmoe.agreement import LEAST_ROOM, shot_floor, total_variation
from qmoe.cell import Cell
from qmoe.channels import as_lambda, lambda_to_q
from qmoe.data import DataSpec
from qmoe.errors import InputError
from qmoe.noise import NoiseModel
from qmoe.retrained import retrained
from qmoe.routed import RoutedCircuit
from qmoe.simulate import probabilities
from qmoe.suite import search
from qmoe.texts import options
from qmoe.tolerance import Kept, Noisy, depolarizing, kept, sampled, under
from qmoe.train import TrainConfig
from qmoe.tune import tune

CELL = Cell(
    DataSpec("moons", noise=0.1),
    "quantum",
    {"layers": 2},
    trials=search(6),
    seeds=(3, 5, 8, 9),
    root=5,
    config=TrainConfig(epochs=8, evaluate_every=2),
    sizes=(60, 40, 50),
)


@pytest.fixture(scope="module")
def result():
    return tune(CELL)


@pytest.fixture(scope="module")
def models(result):
    found = retrained(CELL, result)
    assert len(found) == 2, "groups whose seeds have to be put in order"
    return found


@pytest.mark.parametrize("placement", ["gate", "wire", "layer", "end", "notebook"])
def test_accuracies_are_those_of_single_models(models, placement):
    text = depolarizing(placement, 0.15)
    noise = NoiseModel.parse(options(text, "noise"))
    found = kept(models, text)[0]
    for group in models:
        part = group.part("test")
        for k, i in enumerate(group.positions):
            model = CELL.spec(2, 2, group.settings[k]).build()
            routed = RoutedCircuit(model, group.weights[k].numpy())
            X, y = part.features[k].T.numpy(), part.labels[k].numpy()
            angles, rows = torch.tensor(routed.angles), torch.from_numpy(routed.features(X))
            bare = probabilities(routed.circuit, angles, rows).numpy()
            real = probabilities(routed.circuit, angles, rows, noise=noise).numpy()
            assert total_variation(real, bare).max() > 0.05
            said = (routed.answer(X, real), routed.answer(X, bare), routed.even(X))
            right = [(answer.probabilities.argmax(1) == y).mean() for answer in said]
            assert [found.accuracy[i], found.ideal[i], found.even[i]] == pytest.approx(right)


def test_no_noise_keeps_the_stored_accuracy_and_all_the_routing(models, result):
    found = kept(models, "")[0]
    np.testing.assert_array_equal(found.accuracy, result.accuracy)
    np.testing.assert_array_equal(found.ideal, result.accuracy)
    assert set(found.retention) - {None} == {1.0}


def test_outcomes_without_information_keep_no_routing(models):
    found = kept(models, depolarizing("end", 0.75))[0]  # 3/4 leaves nothing of a qubit
    np.testing.assert_array_equal(found.accuracy, found.even)
    assert set(found.retention) - {None} == {0.0}


def test_the_best_expert_is_right_where_any_is(models):
    found = kept(models, "")[0]
    assert min(found.regret) >= 0
    for group in models:
        part = group.part("test")
        for k, i in enumerate(group.positions):
            experts = group.weights[k, 4 : 4 + 24].reshape(1, -1)
            logits = group.model.experts.forward(experts, part.features[k : k + 1])[0][0]
            any_right = (logits.argmax(1) == part.labels[k]).any(0).double().mean()
            assert found.best[i] == pytest.approx(float(any_right))
            assert found.regret[i] == pytest.approx(float(any_right) - found.accuracy[i])


def test_retention_needs_room():
    room = np.array([LEAST_ROOM + 0.001, LEAST_ROOM - 0.001, -0.1])
    even = np.array([0.5, 0.5, 0.5])
    found = Kept(even + room / 2, even + room, even, np.ones(3)).retention
    assert found == (pytest.approx(0.5), None, None)


def test_shots_come_from_the_seed_alone(models):
    text = depolarizing("gate", 0.05)
    found = kept(models, text, (50, 10))
    assert list(found) == [0, 50, 10]
    again = kept(models[::-1], text, (10,))
    np.testing.assert_array_equal(found[10].accuracy, again[10].accuracy)
    assert (found[10].accuracy != found[50].accuracy).any()
    np.testing.assert_array_equal(found[10].ideal, found[0].ideal)


def test_sampled_frequencies_are_as_far_off_as_the_shot_floor():
    rng = np.random.default_rng(0)
    exact = torch.from_numpy(rng.dirichlet(np.ones(4), (2, 500))).transpose(1, 2)
    found = sampled(exact, 100, [np.random.default_rng(k) for k in (1, 2)])
    assert torch.equal(found, sampled(exact, 100, [np.random.default_rng(k) for k in (1, 2)]))
    assert torch.equal((found * 100).round() / 100, found)
    for k in range(2):
        p, q = exact[k].T.numpy(), found[k].T.numpy()
        distance, floor = total_variation(p, q), shot_floor(p, 100)
        # four standard errors of the mean over 500 rows
        bound = 4 * distance.std(ddof=1) / np.sqrt(len(distance))
        assert abs(distance.mean() - floor.mean()) < bound
    assert not torch.equal(found[0], found[1])


def test_a_refitted_temperature_has_no_higher_loss_on_what_it_was_fitted_to(result):
    text = depolarizing("gate", 0.1)
    (hot,) = [
        group
        for group in retrained(CELL, result, gate="temperature", **under(CELL, text))
        if 0 in group.positions
    ]
    noisy = Noisy(hot, text)
    before, after = noisy.kept(20), noisy.kept(20, refit=True)
    np.testing.assert_array_equal(before.ideal, after.ideal)
    assert (before.accuracy != after.accuracy).any()
    # exact probabilities are what it was trained on: nothing is fitted
    np.testing.assert_array_equal(noisy.kept(0).accuracy, noisy.kept(0, refit=True).accuracy)


@pytest.mark.parametrize("placement", ["wire", "layer", "end", "notebook"])
def test_on_one_wire_the_conventions_differ_by_a_factor(models, placement):
    low, high = as_lambda(0.06, placement)
    assert low == high == pytest.approx(0.08)
    pauli = Noisy(models[0], depolarizing(placement, 0.06)).outcomes
    shared = Noisy(models[0], depolarizing(placement, low, "lambda")).outcomes
    np.testing.assert_allclose(pauli.numpy(), shared.numpy(), atol=1e-12)


def test_after_gates_of_both_sizes_the_conventions_bracket_each_other(models):
    low, high = as_lambda(0.06, "gate")
    assert (low, high) == (pytest.approx(0.064), pytest.approx(0.08))
    assert lambda_to_q(low, 2) == pytest.approx(0.06) == lambda_to_q(high, 1)

    def distance(text):
        noisy = Noisy(models[0], text)
        bare = Noisy(models[0], "").outcomes
        return float((noisy.outcomes - bare).abs().sum(1).mean() / 2)

    pauli = distance(depolarizing("gate", 0.06))
    assert distance(depolarizing("gate", low, "lambda")) < pauli
    assert pauli < distance(depolarizing("gate", high, "lambda"))


def test_a_simplified_circuit_meets_less_noise(models):
    text = depolarizing("gate", 0.05)
    bare, full, short = (
        Noisy(models[0], noise, simplified=short).outcomes
        for noise, short in (("", False), (text, False), (text, True))
    )
    assert (short - bare).abs().sum() < (full - bare).abs().sum()
    assert torch.equal(Noisy(models[0], "", simplified=True).outcomes, bare)


def test_noise_is_a_field_of_the_router_and_of_quantum_experts():
    text = depolarizing("wire", 0.01)
    assert text == "placement=wire,depolarizing=0.01" and depolarizing("wire", 0.0) == ""
    assert under(CELL, text) == {"options": {"layers": 2, "noise": text}}
    noisy = replace(CELL, **under(CELL, text, simplified=True))
    assert noisy.options == {"layers": 2, "noise": text, "simplified": True}
    assert under(noisy, "") == {"options": {"layers": 2}}
    quantum = replace(noisy, expert_kind="quantum")
    assert under(quantum, text)["expert_noise"] == text
    assert under(quantum, "")["expert_noise"] == ""


def test_quantum_experts_are_under_the_noise_too():
    cell = replace(CELL, expert_kind="quantum", trials=CELL.trials[:2], seeds=(3, 5))
    result = tune(cell)
    models = retrained(cell, result)
    clean = kept(models, "")[0]
    np.testing.assert_array_equal(clean.accuracy, result.accuracy)
    text = depolarizing("end", 0.75)
    # experts that see nothing say the same of every input
    parts = [Noisy(group, text) for group in models]
    assert all((part.opinions.std(3) < 1e-9).all() for part in parts)
    found = kept(models, text)[0]
    np.testing.assert_array_equal(found.accuracy, found.even)
    assert (found.accuracy < clean.accuracy).all()


@pytest.mark.parametrize("router", [("linear", {}), ("quantum", {"layers": 1, "readout": "z"})])
def test_routers_without_outcome_probabilities_are_refused(router):
    name, chosen = router
    cell = replace(CELL, router=name, options=chosen, trials=CELL.trials[:1])
    (group,) = retrained(cell, tune(cell))
    with pytest.raises(InputError, match="study the noise of a quantum router"):
        Noisy(group, "")
