from __future__ import annotations

import numpy as np
import pennylane as qml
import pytest
import torch
from hypothesis import given, settings

from qmoe.ansatz import notebook, paper, reupload
from qmoe.errors import InputError
from qmoe.simulate import Expectations, expectation, expectations, reference
from qmoe.simulate.expectation import z_signs
from tests.qmoe.strategies import EXAMPLES, circuits, spread, values


@settings(EXAMPLES, max_examples=25)
@given(circuits())
def test_expectations_are_those_of_the_reference(circuit):
    weights, features = values(circuit)
    p = reference.probabilities(circuit, weights, features)
    m = len(circuit.measured)
    tensor = p.reshape(-1, *(2,) * m)
    expected = np.stack(
        [np.diff(-np.moveaxis(tensor, 1 + q, 1).reshape(len(p), 2, -1).sum(2)).ravel()
         for q in range(m)], axis=1
    )  # fmt: skip
    out = expectations(circuit, torch.from_numpy(weights), torch.from_numpy(features))
    assert spread(out.numpy(), expected) < 1e-12


@pytest.mark.parametrize("measured", [None, (2, 0), (1,)])
@pytest.mark.parametrize("ansatz", [paper, reupload, notebook])
def test_one_program_for_all_qubits_or_one_for_each_is_the_same(ansatz, measured, monkeypatch):
    circuit = ansatz(4, 2, measured=measured)
    rng = np.random.default_rng(0)
    w = torch.from_numpy(rng.normal(size=(3, circuit.num_weights)))
    cotangent = torch.from_numpy(rng.normal(size=(3, len(circuit.measured), 5)))
    for lead in (1, 3):
        x = torch.from_numpy(rng.normal(size=(lead, 4, 5)))
        joint = Expectations(circuit)
        monkeypatch.setattr(expectation, "JOINT_QUBITS", 0)
        single = Expectations(circuit)
        monkeypatch.undo()
        assert len(joint.programs) == 1
        assert len(single.programs) == len(circuit.measured)
        results = []
        for which in (joint, single):
            out, kept = which.forward(w, which.prepare(x))
            leaf_w, leaf_x = w.clone().requires_grad_(), x.clone().requires_grad_()
            traced = which(leaf_w, leaf_x)
            (traced * cotangent).sum().backward()
            torch.testing.assert_close(traced.detach(), out, rtol=0, atol=1e-13)
            slope = which.backward(w, kept, cotangent)
            torch.testing.assert_close(slope, leaf_w.grad, rtol=0, atol=1e-12)
            results.append((out, slope, leaf_x.grad))
        torch.testing.assert_close(results[0], results[1], rtol=0, atol=1e-12)


def test_the_published_readout_is_pennylanes():
    n, layers = 2, 3
    circuit = notebook(n, layers)
    rng = np.random.default_rng(1)
    theta = torch.from_numpy(rng.normal(size=circuit.num_weights)).requires_grad_()
    x = torch.from_numpy(rng.normal(size=(5, n))).requires_grad_()

    @qml.qnode(qml.device("default.qubit", wires=n), interface="torch", diff_method="backprop")
    def node(theta, x):
        qml.AngleEmbedding(x, wires=range(n))
        qml.StronglyEntanglingLayers(theta.reshape(layers, n, 3), wires=range(n))
        return [qml.expval(qml.PauliZ(q)) for q in range(n)]

    expected = torch.stack(node(theta, x), 1)
    out = expectations(circuit, theta, x)
    torch.testing.assert_close(out, expected, rtol=0, atol=1e-10)
    found, slopes = (torch.autograd.grad(t.square().sum(), (theta, x)) for t in (out, expected))
    torch.testing.assert_close(found, slopes, rtol=0, atol=1e-10)


def test_signs_are_big_endian():
    assert z_signs(1).tolist() == [[1, -1]]
    assert z_signs(3)[0].tolist() == [1, 1, 1, 1, -1, -1, -1, -1]
    assert z_signs(3)[2].tolist() == [1, -1] * 4


def test_seed_axes_as_those_of_probabilities():
    circuit = paper(3, 2, measured=(2, 0))
    w, x = torch.ones(4, 6, dtype=torch.float64), torch.ones(5, 3, dtype=torch.float64)
    assert expectations(circuit, w[0], x).shape == (5, 2)
    assert expectations(circuit, w, x).shape == (4, 5, 2)
    assert expectations(circuit, w[0], x.repeat(4, 1, 1)).shape == (4, 5, 2)
    with pytest.raises(InputError, match="4 seeds of weights and 2 of features"):
        expectations(circuit, w, x.repeat(2, 1, 1))
