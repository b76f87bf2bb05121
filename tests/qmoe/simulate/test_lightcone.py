from __future__ import annotations

import numpy as np
import pytest
import torch

from qmoe.ansatz import notebook, paper, reupload
from qmoe.circuit import Circuit, Feature, Op, Weight, affine
from qmoe.errors import InputError
from qmoe.simplify import cone_features
from qmoe.simulate import expectations, probabilities, reference
from qmoe.simulate.program import Program
from tests.qmoe.strategies import spread

N, LAYERS = 120, 2


def wide(seed: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Weights and features of paper(n, 2)."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=n * LAYERS), rng.normal(size=(4, n))


def window(first: int, last: int, n: int) -> tuple[np.ndarray, list[int]]:
    """Columns of the features and entries of the weights of qubits first..last of paper(n, 2)."""
    qubits = np.arange(first, last + 1)
    return qubits, [layer * n + q for layer in range(LAYERS) for q in qubits]


@pytest.mark.parametrize("measured", [(60, 61), (61, 60), (0,), (119, 117)])
def test_a_few_measured_qubits_of_a_long_chain_are_exact(measured):
    weights, features = wide(0, N)
    # two layers reach two qubits to each side at most; one qubit more than that is in the window
    first, last = max(0, min(measured) - 3), min(N - 1, max(measured) + 3)
    qubits, entries = window(first, last, N)
    small = paper(len(qubits), LAYERS, measured=tuple(q - first for q in measured))
    expected = reference.probabilities(small, weights[entries], features[:, qubits])

    circuit = paper(N, LAYERS, measured=measured)
    w = torch.from_numpy(weights).requires_grad_()
    x = torch.from_numpy(features).requires_grad_()
    out = probabilities(circuit, w, x)
    assert spread(out.detach().numpy(), expected) < 1e-12

    out[:, 0].sum().backward()
    outside = np.setdiff1d(np.arange(N), qubits)
    assert w.grad.abs().max() > 1e-3
    assert (x.grad[:, outside] == 0).all()
    assert (w.grad.view(LAYERS, N)[:, outside] == 0).all()


def test_the_last_layer_of_cz_is_outside_the_cone():
    assert Program(paper(N, 1, measured=(60, 61))).qubits == (60, 61)
    assert Program(paper(N, 2, measured=(60, 61))).qubits == (59, 60, 61, 62)
    assert Program(reupload(N, 3, measured=(0,))).qubits == (0, 1, 2)


def test_a_ring_reaches_around():
    assert Program(paper(N, 2, entangler="ring", measured=(0,))).qubits == (0, 1, 119)


@pytest.mark.parametrize("ansatz", [paper, reupload])
def test_z_expectations_of_every_qubit_of_a_long_chain(ansatz):
    n = 30
    weights, features = wide(1, n)
    out = expectations(ansatz(n, LAYERS), torch.from_numpy(weights), torch.from_numpy(features))
    assert out.shape == (4, n)
    for qubit in (0, 1, 17, 29):
        first, last = max(0, qubit - 3), min(n - 1, qubit + 3)
        qubits, entries = window(first, last, n)
        small = ansatz(len(qubits), LAYERS, measured=(qubit - first,))
        p = reference.probabilities(small, weights[entries], features[:, qubits])
        assert spread(out[:, qubit].numpy(), p[:, 0] - p[:, 1]) < 1e-12


@pytest.mark.parametrize(
    "circuit",
    [paper(30, 2), notebook(26, 2, measured=(0,)), reupload(40, 30, measured=(20,))],
    ids=["all measured", "entangled", "deep"],
)
def test_a_light_cone_that_is_too_wide_is_refused(circuit):
    with pytest.raises(InputError, match=r"got \d+ qubits in the light cone of \d+ measured"):
        Program(circuit)


@pytest.mark.parametrize("method", ["fused", "adjoint"])
def test_gates_that_the_measurement_cannot_see_change_no_bit(method):
    rng = np.random.default_rng(3)
    kept = (
        Op("ry", (1,), (Feature(0),)),
        Op("cx", (1, 3)),
        Op("ry", (3,), (Weight(0),)),
    )
    unseen = (
        Op("ry", (0,), (Weight(1),)),
        Op("cx", (0, 4)),
        Op("rz", (3,), (Weight(1),)),
        Op("cz", (3, 1)),
    )
    w = torch.from_numpy(rng.normal(size=(2, 2)))
    x = torch.from_numpy(rng.normal(size=(2, 1, 3)))
    plain, more = (
        Program(Circuit(5, ops, (3, 1), 1, 2), method=method) for ops in (kept, kept + unseen)
    )
    assert more.layered.num_qubits == 2
    assert torch.equal(plain(w, x), more(w, x))


def test_features_of_the_cone_are_the_ones_with_a_gradient():
    circuit = paper(8, 3, measured=(0,))
    x = torch.linspace(0.1, 2, 8, dtype=torch.float64).repeat(2, 1).requires_grad_()
    w = torch.linspace(-1, 1, 24, dtype=torch.float64)
    probabilities(circuit, w, x)[:, 0].sum().backward()
    moved = set(torch.nonzero(x.grad.abs().sum(0) > 1e-12).flatten().tolist())
    assert moved == cone_features(circuit) == {0, 1, 2}
    assert {i for op in circuit.ops for a in op.angles for i in affine(a).features} == set(range(8))
