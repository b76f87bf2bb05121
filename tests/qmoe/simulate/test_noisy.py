from __future__ import annotations

import pickle
from itertools import product

import numpy as np
import pennylane as qml
import pytest
import torch
from hypothesis import given, settings

from qmoe import channels
from qmoe.ansatz import notebook, paper, reupload
from qmoe.circuit import Circuit, Feature, Op, Weight
from qmoe.errors import InputError
from qmoe.noise import NoiseModel
from qmoe.simulate.noisy import NoisyProgram
from tests.qmoe.simulate import density
from tests.qmoe.simulate.test_transfer import noisy
from tests.qmoe.strategies import EXAMPLES, without_random

DOUBLE = torch.float64
PAULIS = [np.eye(2), np.array([[0, 1], [1, 0]]), np.array([[0, -1j], [1j, 0]]), np.diag([1, -1])]


def program(circuit: Circuit, steps, confusion=None) -> NoisyProgram:
    return NoisyProgram(
        steps,
        circuit.measured,
        num_features=circuit.num_features,
        num_weights=circuit.num_weights,
        confusion=confusion,
    )


def draws(circuit: Circuit, seeds: int, batch: int, *, shared: bool = True, seed: int = 0):
    """Weights (seed, P), features (1 | seed, d, batch), a direction in the weights."""
    rng = np.random.default_rng(seed)
    lead = 1 if shared else seeds
    weights, direction = rng.normal(size=(2, seeds, circuit.num_weights))
    return weights, rng.normal(size=(lead, circuit.num_features, batch)), direction


def oracle(circuit: Circuit, steps, weights, features, confusion=None) -> np.ndarray:
    """(seed, 2^m, batch) by density matrices."""
    rows = [
        density.probabilities(
            steps, circuit.num_qubits, circuit.measured, w, features[min(s, len(features) - 1)].T
        )
        for s, w in enumerate(weights)
    ]
    out = np.stack(rows).transpose(0, 2, 1)
    return out if confusion is None else confusion @ out


def holds(made: NoisyProgram, circuit, steps, drawn, confusion=None) -> None:
    """Probabilities, and the gradient as a central difference of the density matrix."""
    weights, features, direction = drawn
    leaf, x = torch.from_numpy(weights), torch.from_numpy(features)
    out, saved = made.forward(leaf, made.prepare(x))
    expected = oracle(circuit, steps, weights, features, confusion)
    np.testing.assert_allclose(out, expected, rtol=0, atol=1e-12)
    np.testing.assert_allclose(made(leaf, x), expected, rtol=0, atol=1e-12)
    grad = np.random.default_rng(9).normal(size=expected.shape)
    found = made.backward(leaf, saved, torch.from_numpy(grad)).numpy()
    step = 1e-5
    ends = [oracle(circuit, steps, weights + s * direction, features, confusion)
            for s in (-step, step)]  # fmt: skip
    slope = (grad * (ends[1] - ends[0])).sum((1, 2)) / (2 * step)
    # third derivatives of a few angles times step^2, and rounding over step
    np.testing.assert_allclose((found * direction).sum(1), slope, rtol=0, atol=1e-7)


@settings(EXAMPLES, max_examples=25)
@given(without_random(noisy()))
def test_any_noisy_circuit_and_its_gradient_are_those_of_the_density_matrix(drawn):
    circuit, steps = drawn
    holds(program(circuit, steps), circuit, steps, draws(circuit, 1, 2))


MODELS = {
    "gate": NoiseModel(depolarizing=0.02, amplitude_damping=0.05, excited=0.2),
    "wire, readout": NoiseModel("wire", px=0.02, read_1_of_0=0.02, readout_pair=0.1),
    "coherent": NoiseModel(phase_damping=0.1, over_rotation=0.05, crosstalk=0.1),
}


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS.keys())
@pytest.mark.parametrize(
    "circuit", [paper(3, 2, measured=(2, 0)), reupload(2, 2), notebook(2, 2)], ids="prn"
)
def test_ansatze_under_noise_for_several_seeds(circuit, model, shared):
    steps, confusion = model.place(circuit), model.confusion(circuit.measured)
    made = program(circuit, steps, confusion)
    holds(made, circuit, steps, draws(circuit, 3, 4, shared=shared), confusion)


def test_what_is_prepared_depends_on_uploads_and_scales():
    whole, scaled = NoiseModel(depolarizing=0.1), NoiseModel(over_rotation=0.1)
    kinds = {
        (circuit.num_weights, model): program(circuit, model.place(circuit)).rows
        for circuit, model in product((paper(2, 3), reupload(2, 2)), (whole, scaled))
    }
    assert list(kinds.values()) == ["waves", "states", "waves", "features"]
    rows = program(paper(2, 3), whole.place(paper(2, 3))).prepare(torch.zeros(1, 2, 5).double())
    assert rows.shape == (1, 9, 5)
    # 5^6 waves cost more than six qubits at a batch of inputs
    wide = reupload(6, 2)
    assert program(wide, whole.place(wide)).rows == "features"


def _noise(wires, strength):
    """The k-qubit depolarizing channel from its definition: a random non-identity Pauli."""
    kraus = []
    for index in range(4 ** len(wires)):
        matrix = np.eye(1)
        for q in range(len(wires)):
            matrix = np.kron(matrix, PAULIS[(index >> 2 * q) & 3])
        share = 1 - strength if index == 0 else strength / (4 ** len(wires) - 1)
        kraus.append(np.sqrt(share) * matrix)
    qml.QubitChannel(kraus, wires=wires)


def _pennylane(layers: int, uploads: int, placement: str, strength: float, damping: float):
    """A qnode for two qubits, written gate by gate with its channels."""

    def after(*wires):
        if placement == "gate":
            for wire in wires:
                qml.AmplitudeDamping(damping, wires=wire)
            _noise(wires, strength)
        else:
            for wire in wires:
                qml.AmplitudeDamping(damping, wires=wire)
                qml.DepolarizingChannel(strength, wires=wire)

    @qml.qnode(qml.device("default.mixed", wires=2), interface="torch", diff_method="backprop")
    def run(theta, x):
        for layer in range(layers):
            if layer < uploads:
                for wire in (0, 1):
                    qml.RY(x[wire], wires=wire)
                    after(wire)
            for wire in (0, 1):
                qml.RY(theta[2 * layer + wire], wires=wire)
                after(wire)
            qml.CZ(wires=(0, 1))
            after(0, 1)
        return qml.probs(wires=(1, 0))

    return run


@pytest.mark.parametrize("placement", ["gate", "wire"])
@pytest.mark.parametrize("uploads", [1, 2])
def test_probabilities_and_gradients_are_pennylanes(placement, uploads):
    build = paper if uploads == 1 else reupload
    circuit = build(2, 2, measured=(1, 0))
    model = NoiseModel(placement, depolarizing=0.03, amplitude_damping=0.04)
    made = program(circuit, model.place(circuit))
    assert made.rows == "waves"
    weights, features, _ = draws(circuit, 1, 3)
    run = _pennylane(2, uploads, placement, 0.03, 0.04)
    leaf = torch.from_numpy(weights[0]).requires_grad_()
    expected = torch.stack([run(leaf, torch.from_numpy(x)) for x in features[0].T], 1)
    grad = torch.from_numpy(np.random.default_rng(1).normal(size=(1, 4, 3)))
    out, saved = made.forward(torch.from_numpy(weights), made.prepare(torch.from_numpy(features)))
    torch.testing.assert_close(out[0], expected.detach(), rtol=0, atol=1e-12)
    found = made.backward(torch.from_numpy(weights), saved, grad)
    slope = torch.autograd.grad((expected * grad[0]).sum(), leaf)[0]
    torch.testing.assert_close(found[0], slope, rtol=0, atol=1e-12)


def test_the_published_noise_is_pennylanes():
    circuit = notebook(2, 2)
    model = NoiseModel("notebook", depolarizing=0.1)
    weights, features, _ = draws(circuit, 1, 3)

    @qml.qnode(qml.device("default.mixed", wires=2), interface="torch", diff_method="backprop")
    def run(theta, x):
        qml.AngleEmbedding(x, wires=range(2))
        for wire in range(2):
            qml.DepolarizingChannel(0.1, wires=wire)
        qml.StronglyEntanglingLayers(theta.reshape(2, 2, 3), wires=range(2))
        for wire in range(2):
            qml.DepolarizingChannel(0.1, wires=wire)
        return qml.probs(wires=range(2))

    made = program(circuit, model.place(circuit))
    w, x = torch.from_numpy(weights), torch.from_numpy(features)
    expected = torch.stack([run(w[0], row) for row in x[0].T], 1)
    torch.testing.assert_close(made.forward(w, made.prepare(x))[0][0], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("ops", [
    (),
    (channels.amplitude_damping(0, 0.3),),
    (Op("ry", (0,), (Weight(1),)), Op("cx", (0, 1)), channels.depolarizing((0, 1), 0.1)),
    (Op("ry", (1,), (Feature(1),)), channels.depolarizing((1,), 0.1)),
])  # fmt: skip
def test_weights_and_features_may_be_unused(ops):
    circuit = Circuit(2, tuple(op for op in ops if isinstance(op, Op)), (1, 0), 2, 2)
    for shared in (True, False):
        holds(program(circuit, ops), circuit, ops, draws(circuit, 3, 4, shared=shared))


def test_a_circuit_may_have_no_features_or_no_weights():
    ops = (Op("h", (0,)), channels.amplitude_damping(0, 0.5))
    for size in ((0, 0), (0, 2), (2, 0)):
        circuit = Circuit(1, ops[:1], (0,), *size)
        holds(program(circuit, ops), circuit, ops, draws(circuit, 2, 3))


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS.keys())
@pytest.mark.parametrize("circuit", [paper(2, 2), reupload(2, 2)], ids="pr")
def test_each_seed_is_what_it_is_alone(circuit, model):
    made = program(circuit, model.place(circuit), model.confusion(circuit.measured))
    weights, features, _ = draws(circuit, 5, 7, shared=False)
    w, x = torch.from_numpy(weights), torch.from_numpy(features)
    out, saved = made.forward(w, made.prepare(x))
    grad = torch.cos(torch.arange(out.numel()).double()).view(out.shape)
    to_weights = made.backward(w, saved, grad)
    for s in range(5):
        one = slice(s, s + 1)
        alone, kept = made.forward(w[one], made.prepare(x[one]))
        torch.testing.assert_close(alone, out[one], rtol=0, atol=1e-14)
        torch.testing.assert_close(
            made.backward(w[one], kept, grad[one]), to_weights[one], rtol=0, atol=1e-13
        )


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS.keys())
@pytest.mark.parametrize("circuit", [paper(2, 2), reupload(2, 2)], ids="pr")
def test_single_precision_stays_single(circuit, model):
    made = program(circuit, model.place(circuit), model.confusion(circuit.measured))
    weights, features, _ = draws(circuit, 2, 4)
    found = []
    for dtype in (torch.float32, DOUBLE):
        w, x = torch.tensor(weights, dtype=dtype), torch.tensor(features, dtype=dtype)
        out, saved = made.forward(w, made.prepare(x))
        found.append((out, made.backward(w, saved, torch.ones_like(out).cumsum(1))))
        assert out.dtype == found[-1][1].dtype == dtype
    for single, double in zip(*found, strict=True):
        torch.testing.assert_close(single.double(), double, rtol=0, atol=1e-5)


def test_what_is_read_can_be_replaced_and_the_whole_can_be_stored():
    circuit = paper(2, 2)
    model = MODELS["wire, readout"]
    made = program(circuit, model.place(circuit), model.confusion(circuit.measured))
    signs = np.array([[1.0, -1.0, -1.0, 1.0], [0.0, 1.0, 0.0, 2.0], [1.0, 1.0, 1.0, 1.0]])
    weights, features, _ = draws(circuit, 2, 4)
    w, x = torch.from_numpy(weights), torch.from_numpy(features)
    out = made.forward(w, made.prepare(x))[0]
    read = pickle.loads(pickle.dumps(made.read(signs)))
    assert (made.num_outcomes, read.num_outcomes) == (4, 3)
    torch.testing.assert_close(
        read.forward(w, read.prepare(x))[0], torch.from_numpy(signs) @ out, rtol=0, atol=1e-14
    )
    np.testing.assert_allclose(read(w, x)[:, 2], 1, rtol=0, atol=1e-12)


def test_too_wide_a_circuit_is_refused():
    wide = paper(13, 13)
    with pytest.raises(InputError, match="at most 12 with noise"):
        program(wide, wide.ops)
