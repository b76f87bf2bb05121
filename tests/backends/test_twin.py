from __future__ import annotations

import numpy as np
import pytest
import torch

import backends
from backends.base import Backend, Exact, compiled
from backends.twin import Twin
from qmoe.ansatz import paper, reupload
from qmoe.circuit import Circuit
from qmoe.errors import InputError
from qmoe.noise import NoiseModel
from qmoe.simulate import probabilities, reference
from tests.qmoe.simulate import density
from tests.qmoe.strategies import spread

pytestmark = pytest.mark.xdist_group("twin")
DEVICES = ("ibm:fake_boston", "ibm:fake_torino", "ibm:fake_strasbourg", "cirq:willow_pink")


class Modelled:
    """A target whose noise is a model of ours, on the circuit as given."""

    spec = "modelled"
    source = "exact"

    def __init__(self, model: NoiseModel | None) -> None:
        self.model = model

    def compile(self, circuit: Circuit):
        names = [str(q) for q in range(circuit.num_qubits)]
        noisy = confusion = None
        if self.model:
            noisy, confusion = self.model.place(circuit), self.model.confusion(circuit.measured)
        return compiled(self.spec, circuit, names, noisy=noisy, confusion=confusion)

    def emit(self, native: Circuit, like):
        assert like.spec == self.spec
        return self.compile(native)

    def run(self, compiled, features, shots: int, seed: int):
        raise NotImplementedError


MODEL = NoiseModel(depolarizing=0.02, amplitude_damping=0.05, read_1_of_0=0.01, read_0_of_1=0.08)


def drawn(circuit: Circuit, rows: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Weights (P,) and features (rows, d)."""
    rng = np.random.default_rng(11)
    return (
        rng.uniform(-np.pi, np.pi, circuit.num_weights),
        rng.uniform(-np.pi, np.pi, (rows, circuit.num_features)),
    )


def test_a_twin_does_what_the_noise_of_its_target_does():
    circuit = paper(3, 2, measured=(2, 0))
    weights, features = drawn(circuit)
    twin = Twin(Modelled(MODEL))
    found = twin.compile(circuit)
    assert (twin.spec, twin.source, found.spec) == ("twin:modelled", "twin", "twin:modelled")
    assert isinstance(twin, Exact) and isinstance(twin, Backend)
    expected = density.probabilities(
        found.noisy, 3, (2, 0), weights, features, MODEL.confusion((2, 0))
    )
    free = twin.probabilities(found, torch.from_numpy(features), torch.from_numpy(weights))
    assert isinstance(free, torch.Tensor) and spread(free.numpy(), expected) < 1e-12
    bound = twin.probabilities(found.bind_weights(weights), features)
    assert isinstance(bound, np.ndarray) and spread(bound, expected) < 1e-12
    arrays = twin.probabilities(found, features, weights)
    assert isinstance(arrays, np.ndarray) and spread(arrays, expected) < 1e-12
    listed = twin.probabilities(found.bind_weights(weights), features.tolist())
    assert spread(listed, expected) < 1e-12


def test_seeds_and_gradients_are_those_of_the_simulator_with_the_same_noise():
    circuit = reupload(2, 2)
    rng = np.random.default_rng(2)
    weights = torch.from_numpy(rng.normal(size=(3, circuit.num_weights))).requires_grad_()
    features = torch.from_numpy(rng.normal(size=(4, 2))).requires_grad_()
    twin = Twin(Modelled(MODEL))
    slopes = []
    for out in (
        twin.probabilities(twin.compile(circuit), features, weights),
        probabilities(circuit, weights, features, noise=MODEL),
    ):
        assert out.shape == (3, 4, 4)
        slopes.append(torch.autograd.grad(out[:, :, 1].sum(), (weights, features)))
    for one, other in zip(*slopes, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)
        assert one.abs().max() > 1e-3


def test_counts_are_drawn_from_the_exact_probabilities():
    circuit = paper(2, 1)
    weights, features = drawn(circuit, rows=3)
    twin = Twin(Modelled(MODEL))
    found = twin.compile(circuit).bind_weights(weights)
    counts = twin.run(found, features, 4000, seed=3)
    np.testing.assert_array_equal(counts.sum(1), 4000)
    np.testing.assert_array_equal(counts, twin.run(found, features, 4000, seed=3))
    # total variation of 4000 shots: mean <= sqrt(outcomes / shots) / 2, and by McDiarmid above
    # that by t with chance exp(-2 * 4000 t^2), 3e-9 for t = .05
    exact = twin.probabilities(found, features)
    assert 0.5 * np.abs(counts / 4000 - exact).sum(1).max() < np.sqrt(4 / 4000) / 2 + 0.05


def test_free_weights_are_refused_where_none_are_given():
    circuit = paper(2, 1)
    twin = Twin(Modelled(MODEL))
    found = twin.compile(circuit)
    with pytest.raises(InputError, match="2 free weights"):
        twin.probabilities(found, np.zeros((1, 2)))
    with pytest.raises(InputError, match="2 free weights"):
        twin.run(found, np.zeros((1, 2)), 10, 0)
    with pytest.raises(InputError, match="weights of shape"):
        twin.probabilities(found, torch.zeros(1, 2, dtype=torch.float64))


def test_a_target_without_a_calibration_has_no_twin():
    twin = Twin(Modelled(None))
    with pytest.raises(InputError, match=r"twin:modelled.* no calibration"):
        twin.compile(paper(2, 1))


@pytest.mark.parametrize("text", ["twin:", "twin", "twin:twin:reference"])
def test_a_twin_needs_another_target(text):
    with pytest.raises(InputError, match="twin:SPEC"):
        backends.load(text)


def test_the_twin_of_an_unknown_target_names_the_nearest():
    with pytest.raises(InputError, match="did you mean 'reference'"):
        backends.load("twin:referense")


@pytest.mark.parametrize("inner", ["reference", "torch"])
def test_the_twin_of_an_exact_target_is_exact(inner):
    circuit = paper(3, 2, measured=(1, 2))
    weights, features = drawn(circuit)
    twin = backends.load(f"twin:{inner}")
    assert twin.spec == f"twin:{inner}"
    found = twin.compile(circuit).bind_weights(weights)
    expected = reference.probabilities(circuit, weights, features)
    assert spread(twin.probabilities(found, features), expected) < 1e-12


def test_options_of_the_target_reach_it_through_the_twin():
    circuit = paper(2, 1)
    weights, features = drawn(circuit)
    twin = backends.load("twin:cirq:dm,depolarizing=0.1,placement=wire,readout=0.05")
    found = twin.compile(circuit).bind_weights(weights)
    model = NoiseModel("wire", depolarizing=0.1, read_1_of_0=0.05, read_0_of_1=0.05)
    expected = density.probabilities(
        model.place(circuit), 2, (0, 1), weights, features, model.confusion((0, 1))
    )
    assert spread(twin.probabilities(found, features), expected) < 1e-12


@pytest.mark.parametrize("inner", ["cirq:willow_pink", "ibm:fake_boston"])
def test_a_router_trained_on_a_twin_runs_on_the_circuit_that_it_was_trained_on(inner):
    circuit = paper(2, 2)
    twin = backends.load(f"twin:{inner}")
    found = twin.compile(circuit)
    start, features = drawn(circuit, rows=8)
    weights = torch.from_numpy(start).requires_grad_()
    x = torch.from_numpy(features)
    wanted = torch.eye(4, dtype=torch.float64)[torch.arange(8) % 4]
    adam = torch.optim.Adam([weights], lr=0.1)
    losses = []
    for _ in range(5):
        loss = -(wanted * twin.probabilities(found, x, weights).log()).sum()
        adam.zero_grad()
        loss.backward()
        adam.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]

    trained = weights.detach().numpy()
    target = backends.load(inner)
    runs = target.compile(circuit).bind_weights(trained)
    assert runs.template == found.template == found.bind_weights(trained).template
    gates = [(op.gate, op.qubits) for op in found.native.ops]
    assert [(op.gate, op.qubits) for op in runs.native.ops] == gates
    assert runs.native == found.bind_weights(trained).native
    assert runs.physical == found.physical
    on_twin = twin.probabilities(found, x, weights.detach()).numpy()
    assert spread(target.probabilities(runs, features), on_twin) < 2e-6


@pytest.mark.parametrize("inner", DEVICES)
@pytest.mark.parametrize("circuit", [paper(3, 2, measured=(2, 0)), reupload(2, 2)], ids=["p", "r"])
def test_a_devices_twin_is_the_vendors_own_simulation(inner, circuit):
    target, twin = backends.load(inner), backends.load(f"twin:{inner}")
    weights, features = drawn(circuit)
    found = twin.compile(circuit).bind_weights(weights)
    vendors = target.probabilities(target.compile(circuit).bind_weights(weights), features)
    ours = twin.probabilities(found, features)
    assert 0.5 * np.abs(ours - vendors).sum(1).max() <= 1e-6
    ideal = reference.probabilities(circuit, weights, features)
    assert 0.5 * np.abs(ours - ideal).sum(1).max() > 1e-3  # there is noise to agree about


@pytest.mark.parametrize("inner", ["cirq:willow_pink", "ibm:fake_boston"])
def test_what_is_emitted_through_a_twin_has_the_noise_of_what_was_compiled(inner):
    twin = backends.load(f"twin:{inner}")
    found = twin.compile(paper(2, 2))
    again = twin.emit(found.native, found)
    assert again.spec == twin.spec and again.noisy == found.noisy
