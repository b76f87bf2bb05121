"""Refitting reaches the optimum that others find, and touches nothing but what it may."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from scipy.optimize import minimize
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression

from qmoe.errors import InputError
from qmoe.refit import refit
from qmoe.routed import RoutedCircuit
from qmoe.simulate import reference
from qmoe.spec import ModelSpec

ROWS = 120
PLAIN = ModelSpec("quantum", 2, 2, options={"layers": 2})
pytestmark = pytest.mark.usefixtures("unchecked")  # checks take longer than the steps themselves

SPECS = [
    PLAIN,
    ModelSpec("quantum", 2, 3, 3, options={"layers": 1}, embedding_scale=0.5),
    ModelSpec("quantum", 2, 2, options={"layers": 2}, gate="temperature", load_balance=0.5),
    ModelSpec("quantum", 2, 2, 2, options={"ansatz": "notebook", "readout": "z"}, expert_hidden=3),
    ModelSpec("quantum", 2, 2, 4, options={"outcome_map": "adapter"}, gate="temperature", top_k=2),
]


def noisy_rows(spec: ModelSpec, seeds: int = 1, rows: int = ROWS):
    """Weights, inputs, overlapping classes and frequencies of 50 shots, for each seed."""
    model, rng = spec.build(), np.random.default_rng(7)
    weights = np.stack([model.init(0, seed) for seed in range(seeds)])
    X = rng.uniform(0, np.pi, (seeds, rows, spec.num_features))
    y = (X.sum(2) > np.pi).astype(np.int64) ^ (rng.random((seeds, rows)) < 0.25)
    outcomes = np.stack(
        [rng.multinomial(50, p) / 50 for p in map(ideal, [model] * seeds, weights, X)]
    )
    return model, weights, X, y, outcomes


def ideal(model, weights, X):
    routed = RoutedCircuit(model, weights)
    return reference.probabilities(routed.template, (), routed.features(X))


def loss(model, weights, X, y, outcomes) -> float:
    """The cross-entropy by the road that answers take."""
    said = RoutedCircuit(model, weights).answer(X, outcomes).probabilities
    return float(-np.log(said[np.arange(len(y)), y]).mean())


def accuracy(model, weights, X, y, outcomes) -> float:
    said = RoutedCircuit(model, weights).answer(X, outcomes).probabilities
    return float((said.argmax(1) == y).mean())


def convex_optimum(gates, X, y) -> float:
    """The lowest cross-entropy of linear experts behind fixed gate weights, by scipy.

    The logits are linear in gate weight times (input, 1): multinomial logistic regression.
    """
    rows = (gates[:, :, None] * np.c_[X, np.ones(len(X))][:, None]).reshape(len(X), -1)
    classes = 2

    def value(flat):
        log_p = log_softmax(rows @ flat.reshape(-1, classes), axis=1)
        slope = rows.T @ (np.exp(log_p) - np.eye(classes)[y]) / len(y)
        return -log_p[np.arange(len(y)), y].mean(), slope.reshape(-1)

    start = np.zeros(rows.shape[1] * classes)
    exactly = {"maxiter": 5000, "ftol": 1e-15, "gtol": 1e-10}
    return float(minimize(value, start, jac=True, method="L-BFGS-B", options=exactly).fun)


def test_it_reaches_the_optimum_of_the_convex_problem():
    model, weights, X, y, outcomes = noisy_rows(PLAIN, seeds=2)
    found = refit(model, weights, X, y, outcomes, epochs=1500, learning_rate=0.2)
    for s in range(2):
        assert loss(model, weights[s], X[s], y[s], outcomes[s]) > 0.5
        best = convex_optimum(outcomes[s], X[s], y[s])
        # above it by what Adam has left, never below
        assert -1e-9 < loss(model, found[s], X[s], y[s], outcomes[s]) - best < 1e-4


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_the_loss_never_rises_and_what_is_not_refitted_stays_bit_by_bit(spec):
    model, weights, X, y, outcomes = noisy_rows(spec, seeds=3)
    for rate in (3.0, 0.05):  # at the first, single steps do rise
        found = refit(model, weights, X, y, outcomes, epochs=20, learning_rate=rate)
        assert_array_equal(found[:, : model.router.size], weights[:, : model.router.size])
        for s in range(3):
            before, after = (loss(model, w[s], X[s], y[s], outcomes[s]) for w in (weights, found))
            assert after <= before
    if model.gate.size:
        assert (found[:, -1] != weights[:, -1]).all()


def test_an_adapter_is_refitted_only_where_it_is_asked_for():
    model, weights, X, y, outcomes = noisy_rows(SPECS[-1])
    angles = model.router.circuit.num_weights
    found = refit(model, weights, X, y, outcomes, epochs=200, adapter=True)
    assert_array_equal(found[:, :angles], weights[:, :angles])
    assert (found[0, angles : model.router.size] != weights[0, angles : model.router.size]).all()
    kept = refit(model, weights, X, y, outcomes, epochs=200)
    losses = [loss(model, w[0], X[0], y[0], outcomes[0]) for w in (found, kept, weights)]
    assert losses[0] < losses[1] < losses[2]


def test_ideal_outcomes_leave_an_optimum_where_it_is():
    model, weights, X, y, _ = noisy_rows(PLAIN)
    outcomes = ideal(model, weights[0], X[0])[None]
    best = refit(model, weights, X, y, outcomes, epochs=1500, learning_rate=0.2)
    again = refit(model, best, X, y, outcomes, epochs=50)
    first, second = (loss(model, w[0], X[0], y[0], outcomes[0]) for w in (best, again))
    assert first - 1e-4 < second <= first


def test_seeds_do_not_see_each_other_and_it_repeats():
    model, weights, X, y, outcomes = noisy_rows(SPECS[2], seeds=3)
    together = refit(model, weights, X, y, outcomes, epochs=50)
    assert_array_equal(together, refit(model, weights, X, y, outcomes, epochs=50))
    for s in range(3):
        one = slice(s, s + 1)
        alone = refit(model, weights[one], X[one], y[one], outcomes[one], epochs=50)
        np.testing.assert_allclose(alone[0], together[s], rtol=0, atol=1e-9)


def test_permuted_experts_are_found_again():
    # four corners, each the business of one expert that has learnt its class; a target that
    # swaps the outcomes sends every input to the wrong one
    rng = np.random.default_rng(3)
    corner = np.repeat(np.arange(4), 25)
    X = (np.c_[corner >> 1, corner & 1] * np.pi + rng.uniform(-0.4, 0.4, (100, 2)))[None]
    y = np.array([0, 1, 1, 0])[corner][None]
    outcomes = np.eye(4)[corner][None]
    model, start = PLAIN.build(), PLAIN.build().init(0, 0)[None]
    trained = refit(model, start, X, y, outcomes)
    permuted = outcomes[..., [1, 0, 3, 2]]

    def right(weights, outcomes):
        return accuracy(model, weights[0], X[0], y[0], outcomes[0])

    assert right(trained, outcomes) == 1
    # at a corner the neighbouring expert says the other class
    assert right(trained, permuted) == 0
    assert right(refit(model, trained, X, y, permuted), permuted) == 1


def test_even_gate_weights_leave_one_linear_classifier():
    model, weights, X, y, outcomes = noisy_rows(PLAIN)
    X, y = X[0], (X[0].sum(1) > np.pi).astype(np.int64) ^ (X[0, :, 0] > X[0, :, 1])
    outcomes = np.full((1, ROWS, 4), 0.25)
    found = refit(model, weights, X[None], y[None], outcomes, epochs=500, learning_rate=0.2)
    # scikit-learn's own, without a penalty: no refit of any length falls below it
    linear = LogisticRegression(C=np.inf, tol=1e-8, max_iter=1000).fit(X, y)
    floor = -np.log(linear.predict_proba(X)[np.arange(ROWS), y]).mean()
    assert -1e-6 < loss(model, found[0], X, y, outcomes[0]) - floor < 1e-4
    assert accuracy(model, found[0], X, y, outcomes[0]) < 0.8
    # the same experts behind gate weights that tell the quarters apart have no such limit
    quarter = 2 * (X.sum(1) > np.pi) + (X[:, 0] > X[:, 1])
    sharp = np.eye(4)[quarter]
    found = refit(model, weights, X[None], y[None], sharp[None])
    assert accuracy(model, found[0], X, y, sharp) == 1


def test_it_follows_the_gradient_of_the_models_own_loss():
    # one step of Adam moves every number by the rate against the sign of its slope
    model, weights, X, y, outcomes = noisy_rows(SPECS[2])
    leaf = torch.from_numpy(weights).requires_grad_()
    routed = model.router.from_outcomes(leaf, torch.from_numpy(outcomes).mT)
    gates = torch.softmax(routed * torch.exp(-leaf[:, -1:, None]), 1)
    _, experts, _ = leaf.split(model.sizes, 1)
    opinions, _ = model.experts.forward(experts, torch.from_numpy(X).mT.contiguous())
    logits = (gates.unsqueeze(2) * opinions).sum(1)
    torch.nn.functional.cross_entropy(logits, torch.from_numpy(y)).backward()
    found = refit(model, weights, X, y, outcomes, epochs=1, learning_rate=1e-4)
    moved = found - weights
    trained = leaf.grad.numpy().copy()
    trained[:, : model.router.size] = 0
    np.testing.assert_allclose(moved, -1e-4 * np.sign(trained), rtol=0, atol=1e-8)


def test_what_does_not_fit_is_refused():
    model, weights, X, y, outcomes = noisy_rows(PLAIN, seeds=2)
    good = {"weights": weights, "X": X, "y": y, "outcomes": outcomes}
    bad = [
        ({"weights": weights[:1]}, "weights of shape"),
        ({"X": X[:, :-1]}, "inputs of shape"),
        ({"outcomes": outcomes[..., :2]}, "outcomes of shape"),
        ({"y": y + 1}, "classes from 1 to 2"),
        ({"outcomes": np.full_like(outcomes, np.nan)}, "outcomes that are not finite"),
        ({k: v[:, :0] for k, v in good.items() if k != "weights"}, "of shape"),
        ({"epochs": 0}, "number of epochs 0"),
        ({"learning_rate": 0.0}, "learning rate 0.0"),
    ]
    for change, words in bad:
        with pytest.raises(InputError, match=words):
            refit(model, **{**good, **change})
    mlp = ModelSpec("mlp", 2, 2).build()
    with pytest.raises(InputError, match="no circuit"):
        refit(mlp, np.stack([mlp.init(0, 0)]), X[:1], y[:1], outcomes[:1])
