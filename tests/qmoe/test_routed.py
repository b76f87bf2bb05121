"""Routers whose circuit runs elsewhere answer as they do in simulation."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from qmoe.errors import InputError
from qmoe.predict import evaluate
from qmoe.routed import RoutedCircuit
from qmoe.simulate import reference
from qmoe.spec import ModelSpec

SPECS = [
    ModelSpec("quantum", 2, 2, options={"layers": 2}),
    ModelSpec("quantum", 2, 3, 3, options={"layers": 1}, embedding_scale=0.5),
    ModelSpec("quantum", 3, 2, 4, options={"layers": 2, "ansatz": "reupload"}, gate="temperature"),
    ModelSpec("quantum", 2, 2, 4, options={"ansatz": "notebook", "readout": "z"}, gate="softmax"),
    ModelSpec("quantum", 2, 2, 4, options={"outcome_map": "adapter"}),
    ModelSpec("quantum", 1, 2, 4),
    ModelSpec("quantum", 2, 2, 2, top_k=1, expert_hidden=3),
]


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_the_reference_simulator_gives_the_models_own_answer(spec):
    model = spec.build()
    weights = model.init(0, 1)
    X = np.random.default_rng(2).uniform(0, np.pi, (9, spec.num_features))
    routed = RoutedCircuit(model, weights)
    outcomes = reference.probabilities(routed.template, (), routed.features(X))
    said, expected = routed.answer(X, outcomes), evaluate(model, weights, X)
    assert_allclose(said.probabilities, expected.probabilities, atol=1e-12)
    assert_allclose(said.gate_weights, expected.gate_weights, atol=1e-12)


def test_an_even_gate_is_the_mean_of_the_experts():
    spec = ModelSpec("constant", 2, 2, 4)
    weights = spec.build().init(0, 1)
    quantum = ModelSpec("quantum", 2, 2, 4).build()
    X = np.random.default_rng(2).normal(size=(5, 2))
    experts = weights[spec.build().router.size :]
    even = RoutedCircuit(quantum, np.concatenate([np.zeros(quantum.router.size), experts])).even(X)
    # a constant router at zero gives every expert the same weight
    model = spec.build()
    zero = np.concatenate([np.zeros(model.router.size), experts])
    assert_allclose(even.probabilities, evaluate(model, zero, X).probabilities, atol=1e-12)
    assert (even.gate_weights == 0.25).all()


def test_a_router_without_a_circuit_is_refused():
    model = ModelSpec("mlp", 2, 2).build()
    with pytest.raises(InputError, match="no circuit"):
        RoutedCircuit(model, model.init(0, 0))
