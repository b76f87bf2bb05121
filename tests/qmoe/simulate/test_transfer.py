from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from qmoe import channels
from qmoe.ansatz import notebook, paper, reupload
from qmoe.channel import Channel
from qmoe.circuit import Circuit, Feature, Op, Sum, Weight
from qmoe.errors import InputError
from qmoe.noise import PLACEMENTS, NoiseModel
from qmoe.simulate import probabilities, reference
from qmoe.simulate.transfer import CHUNK, Transfer, transfer_probabilities
from tests.qmoe.simulate import density
from tests.qmoe.strategies import EXAMPLES, circuits, spread, values, without_random

METHODS = ("direct", "grid")
DOUBLE = torch.float64


def run(
    steps,
    circuit: Circuit,
    weights,
    features,
    *,
    method: str = "auto",
    confusion=None,
) -> np.ndarray:
    """(batch, 2^m) from weights (P,) and features (batch, d)."""
    transfer = Transfer(tuple(steps), circuit.measured, confusion=confusion, method=method)
    out = transfer(torch.from_numpy(weights)[None], torch.from_numpy(features.T.copy())[None])
    return out[0].T.numpy()


def random_channel(qubits: tuple[int, ...], seed: int) -> Channel:
    """Three Kraus operators cut out of a random isometry: not unital, no symmetry."""
    rng = np.random.default_rng(seed)
    dim = 2 ** len(qubits)
    wide = rng.normal(size=(3 * dim, dim)) + 1j * rng.normal(size=(3 * dim, dim))
    return Channel.from_kraus(qubits, list(np.linalg.qr(wide)[0].reshape(3, dim, dim)))


@st.composite
def noisy(draw: st.DrawFn) -> tuple[Circuit, tuple[Op | Channel, ...]]:
    """A circuit, and its ops with random channels of one to three qubits in between."""
    circuit = draw(circuits(max_qubits=3, max_ops=9))
    steps: list[Op | Channel] = []
    for op in circuit.ops:
        steps.append(op)
        if draw(st.booleans()):
            qubits = draw(st.permutations(range(circuit.num_qubits)))
            size = draw(st.integers(1, circuit.num_qubits))
            steps.append(random_channel(tuple(qubits[:size]), draw(st.integers(0, 9))))
    return circuit, tuple(steps)


@settings(EXAMPLES, max_examples=40)
@given(without_random(noisy()))
def test_any_noisy_circuit_agrees_with_the_density_matrix(drawn):
    circuit, steps = drawn
    weights, features = values(circuit)
    expected = density.probabilities(steps, circuit.num_qubits, circuit.measured, weights, features)
    assert spread(run(steps, circuit, weights, features, method="direct"), expected) < 1e-12


@settings(EXAMPLES, max_examples=25)
@given(circuits(max_ops=12))
def test_without_noise_it_is_the_reference(circuit):
    weights, features = values(circuit)
    expected = reference.probabilities(circuit, weights, features)
    assert spread(run(circuit.ops, circuit, weights, features), expected) < 1e-12


@pytest.mark.parametrize("placement", PLACEMENTS)
@pytest.mark.parametrize(
    "circuit", [paper(3, 2, measured=(2, 0)), reupload(2, 2), notebook(3, 1)], ids=["p", "r", "n"]
)
def test_models_placed_on_the_ansatze_agree_whichever_the_method(circuit, placement):
    model = NoiseModel(
        placement,
        depolarizing=0.02,
        amplitude_damping=0.03,
        over_rotation2=0.05,
        crosstalk=0.1,
        read_1_of_0=0.01,
        read_0_of_1=0.07,
        readout_pair=0.02,
    )
    weights, features = values(circuit)
    steps, confusion = model.place(circuit), model.confusion(circuit.measured)
    expected = density.probabilities(
        steps, circuit.num_qubits, circuit.measured, weights, features, confusion
    )
    for method in METHODS:
        got = run(steps, circuit, weights, features, method=method, confusion=confusion)
        assert spread(got, expected) < 1e-12
    public = probabilities(
        circuit, torch.from_numpy(weights), torch.from_numpy(features), noise=model
    )
    assert spread(public.numpy(), expected) < 1e-12


def test_whole_scales_of_one_and_more_go_through_the_grid_and_others_do_not():
    ops = (
        Op("ry", (0,), (Feature(0, -2.0),)),
        Op("cx", (0, 1)),
        Op("rx", (1,), (Sum((Feature(0), Feature(1, 3.0), Weight(0)), 0.4),)),
        channels.amplitude_damping(1, 0.2),
        Op("cz", (1, 0)),
        Op("ry", (0,), (Weight(0),)),
    )
    circuit = Circuit(2, tuple(op for op in ops if isinstance(op, Op)), (1, 0), 2, 1)
    weights, features = values(circuit)
    expected = density.probabilities(ops, 2, (1, 0), weights, features)
    for method in METHODS:
        assert spread(run(ops, circuit, weights, features, method=method), expected) < 1e-12
    halves = (Op("ry", (0,), (Feature(0, 0.5),)), *ops)
    with pytest.raises(InputError, match="whole numbers"):
        Transfer(halves, (1, 0), method="grid")
    expected = density.probabilities(halves, 2, (1, 0), weights, features)
    assert spread(run(halves, circuit, weights, features), expected) < 1e-12


def test_the_grid_is_taken_for_many_inputs_and_one_upload_only_when_it_pays():
    circuit = paper(4, 2)
    steps = NoiseModel(depolarizing=0.01).place(circuit)
    rng = np.random.default_rng(0)
    weights = rng.normal(size=circuit.num_weights)
    transfer = Transfer(steps, circuit.measured)
    many = CHUNK // 81 + 10  # more than one chunk
    features = rng.normal(size=(many, 4))
    out = transfer(torch.from_numpy(weights)[None], torch.from_numpy(features.T.copy())[None])
    assert out.shape == (1, 16, many)
    last = features[-3:]
    expected = density.probabilities(steps, 4, circuit.measured, weights, last)
    assert spread(out[0, :, -3:].T.numpy(), expected) < 1e-12
    assert transfer.grid_pays(many) and not transfer.grid_pays(8)


def seeded(circuit: Circuit, *, shared: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Weights (2, P) and features (3, d) or (2, 3, d) that want gradients."""
    rng = np.random.default_rng(5)
    shape = (3, circuit.num_features) if shared else (2, 3, circuit.num_features)
    weights = torch.from_numpy(rng.normal(size=(2, circuit.num_weights)))
    return weights.requires_grad_(), torch.from_numpy(rng.normal(size=shape)).requires_grad_()


@pytest.mark.parametrize("shared", [True, False])
def test_seeds_have_weights_and_features_of_their_own(shared):
    circuit = reupload(2, 2)
    model = NoiseModel(depolarizing=0.02, amplitude_damping=0.1)
    weights, features = seeded(circuit, shared=shared)
    out = probabilities(circuit, weights, features, noise=model)
    assert out.shape == (2, 3, 4)
    for s in range(2):
        expected = density.probabilities(
            model.place(circuit),
            2,
            circuit.measured,
            weights[s].detach().numpy(),
            (features if shared else features[s]).detach().numpy(),
        )
        assert spread(out[s].detach().numpy(), expected) < 1e-12


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("circuit", [paper(2, 2), reupload(2, 2), notebook(2, 1)], ids="prn")
def test_gradients_to_weights_and_features_are_finite_differences(circuit, method):
    model = NoiseModel("wire", depolarizing=0.05, amplitude_damping=0.1, over_rotation=0.1)
    if method == "grid":  # a scaled rotation has no whole frequency
        model = replace(model, over_rotation=0.0)
    transfer = Transfer(model.place(circuit), circuit.measured, method=method)
    rng = np.random.default_rng(1)
    weights = torch.from_numpy(rng.normal(size=(2, circuit.num_weights))).requires_grad_()
    features = torch.from_numpy(rng.normal(size=(1, 2, 3))).requires_grad_()
    assert torch.autograd.gradcheck(transfer, (weights, features), atol=1e-7)


@pytest.mark.parametrize("circuit", [paper(3, 2), notebook(3, 2)], ids="pn")
def test_without_noise_gradients_are_those_of_the_noise_free_engine(circuit):
    found = []
    for noise in (None, NoiseModel()):
        weights, features = seeded(circuit, shared=True)
        out = probabilities(circuit, weights, features, noise=noise)
        factor = torch.linspace(-1, 1, out.numel(), dtype=DOUBLE).view(out.shape)
        found.append(torch.autograd.grad((out * factor).sum(), (weights, features)))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


def test_a_wide_measurement_with_few_inputs_goes_forward_and_agrees():
    # with one input a tail is cheaper on the state than on 2^5 effects
    circuit = paper(5, 3)
    model = NoiseModel("wire", depolarizing=0.01, amplitude_damping=0.02, readout_pair=0.1)
    weights, features = values(circuit)
    steps, confusion = model.place(circuit), model.confusion(circuit.measured)
    expected = density.probabilities(steps, 5, circuit.measured, weights, features[:1], confusion)
    assert spread(run(steps, circuit, weights, features[:1], confusion=confusion), expected) < 1e-12


def test_only_what_the_measurement_can_see_is_simulated():
    wide = paper(30, 1, measured=(3,))
    model = NoiseModel(depolarizing=0.1)
    weights, features = values(wide)
    transfer = Transfer(model.place(wide), wide.measured)
    # the chain of CZs reaches back to the first qubit, and one ahead
    assert transfer.factors.num_qubits == 5
    # RY(x) RY(w), shrunk once by each gate's channel and once by each CZ's
    once, twice = 1 - 4 / 3 * 0.1, 1 - 16 / 15 * 0.1
    expected = 0.5 + 0.5 * once**2 * twice**2 * np.cos(features[:, 3] + weights[3])
    got = run(model.place(wide), wide, weights, features)
    np.testing.assert_allclose(got[:, 0], expected, rtol=0, atol=1e-12)
    full = paper(30, 30)
    with pytest.raises(InputError, match="at most 12 with noise"):
        Transfer(full.ops, full.measured)


def test_depolarizing_shrinks_an_expectation_by_lambda():
    circuit = Circuit(1, (Op("ry", (0,), (Feature(0),)),), (0,), 1)
    model = NoiseModel(convention="lambda", depolarizing=0.2, read_1_of_0=0.1)
    x = np.array([[0.3], [1.2]])
    p = probabilities(circuit, torch.zeros(0, dtype=DOUBLE), torch.from_numpy(x), noise=model)
    z = 0.8 * np.cos(x[:, 0])
    np.testing.assert_allclose(p[:, 0], 0.9 * (1 + z) / 2, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("ops", "num_features"),
    [
        ((), 0),
        ((), 2),
        ((Op("h", (0,)), channels.amplitude_damping(0, 0.5)), 0),
        ((Op("mark_layer", ()), Op("ry", (1,), (Feature(1),))), 2),
    ],
)
def test_circuits_that_depend_on_nothing_give_a_row_for_each_input(ops, num_features):
    features = torch.zeros(3, num_features, dtype=DOUBLE)
    for batch in (0, 1, 3):
        out = transfer_probabilities(
            ops,
            2,
            (1, 0),
            torch.zeros(0, dtype=DOUBLE),
            features[:batch],
            num_features=num_features,
            num_weights=0,
        )
        expected = density.probabilities(ops, 2, (1, 0), np.zeros(0), features[:batch].numpy())
        assert out.shape == (batch, 4)
        assert spread(out.numpy(), expected) < 1e-12


def test_single_precision_stays_single():
    circuit = paper(3, 2)
    model = NoiseModel(depolarizing=0.02, readout_pair=0.1)
    weights, features = values(circuit)
    double = probabilities(
        circuit, torch.from_numpy(weights), torch.from_numpy(features), noise=model
    )
    single = probabilities(
        circuit, torch.tensor(weights).float(), torch.tensor(features).float(), noise=model
    )
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), double, rtol=0, atol=1e-6)


def test_wrong_shapes_are_refused():
    circuit = paper(2, 1)
    with pytest.raises(InputError, match="weights of shape"):
        probabilities(
            circuit, torch.zeros(3), torch.zeros(1, 2), noise=NoiseModel(depolarizing=0.1)
        )
