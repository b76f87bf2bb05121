"""The three ansätze against PennyLane: circuits built from its own templates, its own gradients."""

from __future__ import annotations

import numpy as np
import pennylane as qml
import pytest
import torch

from qmoe.ansatz import notebook, paper, reupload
from qmoe.simulate.program import Program


def _ry_layer(theta, n, ring):
    for qubit in range(n):
        qml.RY(theta[qubit], wires=qubit)
    for qubit in range(n - 1):
        qml.CZ(wires=(qubit, qubit + 1))
    if ring and n > 2:
        qml.CZ(wires=(n - 1, 0))


def _paper(theta, x, n, layers, ring=False):
    qml.AngleEmbedding(x, wires=range(n), rotation="Y")
    for layer in range(layers):
        _ry_layer(theta[layer * n : (layer + 1) * n], n, ring)


def _paper_ring(theta, x, n, layers):
    _paper(theta, x, n, layers, ring=True)


def _reupload(theta, x, n, layers):
    for layer in range(layers):
        qml.AngleEmbedding(x, wires=range(n), rotation="Y")
        _ry_layer(theta[layer * n : (layer + 1) * n], n, False)


def _notebook(theta, x, n, layers):
    qml.AngleEmbedding(x, wires=range(n))
    qml.StronglyEntanglingLayers(theta.reshape(layers, n, 3), wires=range(n))


ANSATZE = {
    "paper": (paper, {}, _paper),
    "paper ring": (paper, {"entangler": "ring"}, _paper_ring),
    "reupload": (reupload, {}, _reupload),
    "notebook": (notebook, {}, _notebook),
}
SMALL = [(n, layers, method) for n, layers in ((2, 3), (4, 3), (6, 2)) for method in
         ("fused", "adjoint")]  # fmt: skip
LARGE = [(8, 3, "adjoint"), (12, 2, "adjoint")]


@pytest.mark.parametrize(("n", "layers", "method"), SMALL + LARGE)
@pytest.mark.parametrize("name", ANSATZE)
def test_probabilities_and_gradients_are_pennylanes(name, n, layers, method):
    build, options, template = ANSATZE[name]
    measured = (n - 1, 0, n // 2) if n > 2 else (1, 0)
    circuit = build(n, layers, measured=measured, **options)
    rng = np.random.default_rng(n)
    theta = torch.from_numpy(rng.normal(size=circuit.num_weights)).requires_grad_()
    x = torch.from_numpy(rng.normal(size=(3, n))).requires_grad_()

    @qml.qnode(qml.device("default.qubit", wires=n), interface="torch", diff_method="backprop")
    def node(theta, x):
        template(theta, x, n, layers)
        return qml.probs(wires=measured)

    expected = node(theta, x)
    cotangent = torch.from_numpy(rng.normal(size=tuple(expected.shape)))
    slopes = torch.autograd.grad((expected * cotangent).sum(), (theta, x), allow_unused=True)

    out = Program(circuit, method=method)(theta.unsqueeze(0), x.T.unsqueeze(0))[0].T
    torch.testing.assert_close(out, expected, rtol=0, atol=1e-10)
    found = torch.autograd.grad((out * cotangent).sum(), (theta, x))
    for got, slope in zip(found, slopes, strict=True):
        torch.testing.assert_close(got, slope, rtol=0, atol=1e-10)
    assert found[0].abs().max() > 1e-3
    assert found[1].abs().max() > 1e-3
