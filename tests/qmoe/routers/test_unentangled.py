from __future__ import annotations

import numpy as np
import pennylane as qml
import pytest
import torch

from qmoe.ansatz import build as ansatz
from qmoe.errors import InputError
from qmoe.routers import build
from qmoe.routers.base import AutogradGradient
from qmoe.routers.product import ProductRouter
from qmoe.routers.quantum import QuantumRouter
from qmoe.routers.unentangled import UnentangledRouter


def drawn(router, seeds: int = 2) -> torch.Tensor:
    return torch.from_numpy(np.stack([router.init(np.random.default_rng(s)) for s in range(seeds)]))


def points(d: int, lead: int = 1, batch: int = 5) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(d).uniform(0, np.pi, size=(lead, d, batch)))


@pytest.mark.parametrize("name", ["paper", "reupload"])
def test_without_an_entangler_a_circuit_is_the_other_one_less_its_two_qubit_gates(name):
    chain, none = (ansatz(name, 3, 2, entangler=e) for e in ("chain", "none"))
    assert none.ops == tuple(op for op in chain.ops if op.gate != "cz")
    assert len(none.ops) == len(chain.ops) - 4
    assert (none.num_weights, none.measured) == (chain.num_weights, chain.measured)


def test_the_published_code_keeps_its_entanglers():
    with pytest.raises(InputError, match="its CNOT ring is fixed"):
        build("unentangled", 2, 4, ansatz="notebook")


@pytest.mark.parametrize("name", ["paper", "reupload"])
@pytest.mark.parametrize("layers", [1, 3])
def test_probabilities_are_products_of_pennylanes_single_qubits(name, layers):
    router = UnentangledRouter(3, 8, layers=layers, ansatz=name)
    weights, x = drawn(router), points(3)

    @qml.qnode(qml.device("default.qubit", wires=1))
    def qubit(theta, x):
        for layer, angle in enumerate(theta):
            if layer == 0 or name == "reupload":
                qml.RY(x, wires=0)
            qml.RY(angle, wires=0)
        return qml.probs(wires=0)

    out = router(weights, x)
    for s in range(2):
        theta = weights[s].numpy().reshape(layers, 3)
        for b in range(x.shape[2]):
            single = [qubit(theta[:, q], float(x[0, q, b])) for q in range(3)]
            expected = np.kron(np.kron(single[0], single[1]), single[2])
            assert np.abs(out[s, :, b].numpy() - expected).max() < 1e-12


@pytest.mark.parametrize(("name", "uploads"), [("paper", 1), ("reupload", 4)])
def test_all_rotations_of_a_qubit_add_up(name, uploads):
    router, product = UnentangledRouter(2, 4, layers=4, ansatz=name), ProductRouter(2, 4)
    weights, x = drawn(router), points(2)
    expected = product(weights.unflatten(1, (4, 2)).sum(1), uploads * x)
    torch.testing.assert_close(router(weights, x), expected, rtol=0, atol=1e-12)


def test_it_is_a_family_of_its_own_and_the_quantum_router_without_entangler():
    router = UnentangledRouter(3, 4, layers=2, ansatz="reupload")
    same = build("quantum", 3, 4, layers=2, ansatz="reupload", entangler="none")
    weights, x = drawn(router), points(3)
    torch.testing.assert_close(router(weights, x), same(weights, x), rtol=0, atol=0)
    assert (router.family, same.family) == ("unentangled", "quantum")
    assert (router.counts, router.cost) == (same.counts, same.cost)
    entangled = build("quantum", 3, 4, layers=2, ansatz="reupload")
    assert (router(weights, x) - entangled(weights, x)).abs().max() > 0.01


def test_labels_tell_the_entangled_and_the_unentangled_apart():
    assert QuantumRouter(2, 4).label == "quantum L=2"
    assert QuantumRouter(2, 4, entangler="none").label == "quantum L=2 no entanglement"
    assert UnentangledRouter(2, 4).label == "quantum L=2 no entanglement"


def test_the_gradient_is_that_of_autograd():
    router = UnentangledRouter(3, 4, layers=2)
    weights, x = drawn(router), points(3)
    out, saved = router.forward(weights, router.prepare(x))
    grad = torch.from_numpy(np.random.default_rng(1).normal(size=tuple(out.shape)))
    plain = AutogradGradient(router)
    expected = plain.backward(weights, plain.forward(weights, x)[1], grad)
    torch.testing.assert_close(router.backward(weights, saved, grad), expected, rtol=0, atol=1e-12)


def test_measured_qubits_see_their_own_features_alone():
    assert UnentangledRouter(2, 4).warnings == ()
    (unseen,) = UnentangledRouter(8, 4).warnings
    assert unseen == "only 2 of 8 features lie in the measured light cone"
