from __future__ import annotations

import numpy as np
import pennylane as qml
import pytest
import torch

from qmoe.errors import InputError
from qmoe.routers import build
from qmoe.routers.base import AutogradGradient
from qmoe.routers.frozen import FrozenCircuitRouter
from qmoe.routers.quantum import QuantumRouter


def drawn(router, seeds: int = 2) -> torch.Tensor:
    return torch.from_numpy(np.stack([router.init(np.random.default_rng(s)) for s in range(seeds)]))


def points(d: int, lead: int = 1, batch: int = 5) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(d).uniform(0, np.pi, size=(lead, d, batch)))


def test_logits_are_a_linear_map_of_pennylanes_probabilities():
    router = FrozenCircuitRouter(3, 4, layers=2)
    weights, x = drawn(router), points(3)

    @qml.qnode(qml.device("default.qubit", wires=3))
    def node(theta, x):
        qml.AngleEmbedding(x, wires=range(3), rotation="Y")
        for layer in theta.reshape(2, 3):
            for qubit in range(3):
                qml.RY(layer[qubit], wires=qubit)
            qml.CZ(wires=(0, 1))
            qml.CZ(wires=(1, 2))
        return qml.probs(wires=range(3))

    fused = router.forward(weights, router.prepare(x))[0]
    for s in range(2):
        matrix, bias, theta = np.split(weights[s].numpy(), [4 * 8, 4 * 9])
        p = np.stack([node(theta, x[0, :, b].numpy()) for b in range(x.shape[2])], 1)
        expected = matrix.reshape(4, 8) @ p + bias[:, None]
        assert np.abs(router(weights, x)[s].numpy() - expected).max() < 1e-12
        assert np.abs(fused[s].numpy() - expected).max() < 1e-12


@pytest.mark.parametrize(
    ("d", "experts", "options"),
    [
        (2, 4, {"layers": 3}),
        (1, 5, {"ansatz": "reupload"}),
        (2, 2, {"ansatz": "notebook"}),
        (3, 3, {"entangler": "none"}),
        (8, 2, {}),
    ],
)
def test_it_is_a_quantum_router_with_an_adapter_that_does_not_train_its_angles(d, experts, options):
    router = FrozenCircuitRouter(d, experts, **options)
    everything = tuple(range(router.circuit.num_qubits))
    trained = QuantumRouter(d, experts, outcome_map="adapter", measured=everything, **options)
    weights, x = drawn(router), points(d)
    linear, angles = weights.split([router.counts.actual, router.counts.frozen], 1)
    out = router.forward(weights, router.prepare(x))[0]
    expected = trained(torch.cat([angles, linear], 1), x)
    torch.testing.assert_close(out, expected, rtol=0, atol=1e-12)
    assert router.cost == trained.cost


@pytest.mark.parametrize("lead", [1, 2])
def test_only_the_linear_map_has_a_gradient(lead):
    router = FrozenCircuitRouter(2, 3)
    weights, x = drawn(router), points(2, lead)
    out, saved = router.forward(weights, router.prepare(x))
    grad = torch.from_numpy(np.random.default_rng(1).normal(size=tuple(out.shape)))
    found = router.backward(weights, saved, grad)
    plain = AutogradGradient(router)
    expected = plain.backward(weights, plain.forward(weights, x)[1], grad)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    for gradient in (found, expected):
        assert (gradient[:, router.counts.actual :] == 0).all()
        assert (gradient[:, : router.counts.actual].abs() > 0).all()


def test_the_angles_are_drawn_over_the_circle_and_stay_as_drawn_at_any_scale():
    router = FrozenCircuitRouter(8, 2, layers=40)
    one, small = (router.init(np.random.default_rng(3), scale) for scale in (1.0, 0.1))
    trained = router.counts.actual
    assert np.array_equal(small[:trained], 0.1 * one[:trained])
    angles = one[trained:]
    assert np.array_equal(small[trained:], angles)
    # 320 angles: an eighth of the circle stays empty with probability (7/8)^320 < 1e-18
    assert (np.histogram(angles, 8, (-np.pi, np.pi))[0] > 0).all()
    assert np.abs(angles).max() <= np.pi


def test_counts_and_names():
    router = build("frozen-circuit", 2, 4)
    assert (router.label, router.family) == ("frozen circuit L=2", "frozen-circuit")
    assert tuple(router.counts) == (4 * 5, 4 * 5, 4)
    assert router.size == 24
    assert router.cost.circuits == 1
    assert router.warnings == ()  # all qubits are measured, so every feature is seen
    assert build("frozen-circuit", 2, 4, ansatz="reupload").label == "frozen circuit reupload L=2"


def test_more_qubits_than_a_linear_map_can_take_are_refused():
    with pytest.raises(InputError, match=r"frozen circuit on 13 qubits.*expected at most 12"):
        build("frozen-circuit", 13, 4)
