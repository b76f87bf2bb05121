"""Shifted circuits give the slopes that autograd gives, at the cost that was shown before."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from backends import load, shift
from backends.exact import ExactBackend
from backends.shift import ShiftCost, shift_cost, shift_gradient
from backends.twin import Twin
from qmoe.ansatz import ANSATZE, build, paper
from qmoe.circuit import GATES, Circuit, Feature, Op, Sum, Weight
from qmoe.data import DataSpec, Sizes, prepared
from qmoe.errors import InputError
from qmoe.gradient_cost import gradient_costs
from qmoe.simulate import probabilities, reference
from qmoe.spec import ModelSpec
from tests.backends.planted import Sound
from tests.qmoe.strategies import circuits

NOISE = "ibm:dm,depolarizing=0.02,amplitude_damping=0.05,phase_damping=0.03,read_1_of_0=0.04"
DEVICES = ("ibm:fake_boston", "cirq:willow_pink", "braket:emulator")

# a weight in two gates, at scales that are not 1, beside another in one angle, and in rzz
SHARED = Circuit(
    3,
    (
        Op("h", (0,)),
        Op("ry", (1,), (Sum((Feature(0), Weight(0, 0.5)), 0.3),)),
        Op("rzz", (0, 1), (Weight(1, -2.0),)),
        Op("cx", (1, 2)),
        Op("rx", (2,), (Sum((Weight(0), Weight(2, 0.7))),)),
        Op("phased_xz", (0,), (Weight(2), Feature(1), Sum((Weight(0), Weight(1))))),
        Op("ry", (1,), (Feature(1),)),
        Op("h", (0,)),
    ),
    (2, 0, 1),
    num_features=2,
    num_weights=4,
)


def problem(circuit, inputs=3, seed=0):
    rng = np.random.default_rng(seed)
    weights = rng.uniform(-np.pi, np.pi, circuit.num_weights)
    features = rng.uniform(-np.pi, np.pi, (inputs, circuit.num_features))
    return weights, features, rng.normal(size=(inputs, 2 ** len(circuit.measured)))


def by_autograd(run, weights, features, cotangent):
    leaf = torch.from_numpy(weights).requires_grad_()
    found = run(leaf, torch.from_numpy(features))
    (slope,) = torch.autograd.grad((found * torch.from_numpy(cotangent)).sum(), leaf)
    return found.detach().numpy(), slope.numpy()


def noiseless(circuit):
    return lambda weights, features: probabilities(circuit, weights, features)


def twin_of(backend, circuit):
    twin = Twin(backend)
    compiled = twin.compile(circuit)
    return lambda weights, features: twin.probabilities(compiled, features, weights)


@given(circuits(max_qubits=3, max_ops=8), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_exact_and_noiseless_it_is_autograds_gradient(circuit, seed):
    given_ = problem(circuit, 2, seed)
    found = shift_gradient(load("torch"), circuit, *given_, shots=None, seed=0)
    values, slope = by_autograd(noiseless(circuit), *given_)
    assert np.abs(found.values - values).max() < 1e-10
    assert np.abs(found.gradient - slope).max(initial=0) < 1e-10
    assert not found.error.any()


@pytest.mark.parametrize("spec", ["torch", "reference", NOISE, "planted"])
@pytest.mark.parametrize("name", [*sorted(ANSATZE), "shared"])
def test_it_is_the_gradient_through_the_noise_of_the_target(name, spec):
    layers = 1 if name == "notebook" else 2  # three times the weights of the others
    circuit = SHARED if name == "shared" else build(name, 2, layers)
    backend = Sound() if spec == "planted" else load(spec)
    given_ = problem(circuit)
    found = shift_gradient(backend, circuit, *given_, shots=None, seed=0)
    values, slope = by_autograd(twin_of(backend, circuit), *given_)
    assert np.abs(found.values - values).max() < 1e-9
    assert np.abs(found.gradient - slope).max() < 1e-9
    _, ideal = by_autograd(noiseless(circuit), *given_)
    assert (np.abs(slope - ideal).max() > 1e-3) == (spec in (NOISE, "planted"))
    assert np.abs(slope).max() > 1e-3


def test_noise_that_grows_with_the_angle_has_no_exact_shift():
    # a rotation that turns 1.2 times too far is a wave of another period: the rule's half
    # difference of f(a) = cos(1.2 a + c) is sin(1.2 pi / 2) of its slope over 1.2
    backend, circuit = (
        load("ibm:dm,over_rotation=0.2"),
        Circuit(1, (Op("ry", (0,), (Weight(0),)),), (0,), 0, 1),
    )
    given_ = np.array([0.7]), np.zeros((1, 0)), np.array([[1.0, 0.0]])
    found = shift_gradient(backend, circuit, *given_, shots=None, seed=0)
    _, slope = by_autograd(twin_of(backend, circuit), *given_)
    ratio = np.sin(1.2 * np.pi / 2) / 1.2
    np.testing.assert_allclose(found.gradient, ratio * slope, rtol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("spec", DEVICES)
@pytest.mark.parametrize("name", ["paper", "notebook"])
def test_it_is_the_gradient_through_a_device(name, spec):
    # frame changes make a weight turn the axes of many later gates: each is a rotation of its own
    circuit, backend = build(name, 2, 2), load(spec)
    given_ = problem(circuit)
    compiled = backend.compile(circuit)
    found = shift_gradient(backend, compiled, *given_, shots=None, seed=0)
    values, slope = by_autograd(twin_of(backend, circuit), *given_)
    assert np.abs(found.values - values).max() < 1e-9
    assert np.abs(found.gradient - slope).max() < 1e-9


def shifted_reference(circuit, weights, features):
    """All distributions of two settings per weight, where each weight turns one rotation."""
    steps = np.pi / 2 * np.eye(len(weights))
    return [
        [reference.probabilities(circuit, weights + sign * step, features) for sign in (1, -1)]
        for step in steps
    ]


@pytest.mark.usefixtures("unchecked")
def test_under_shots_it_is_unbiased_and_as_spread_as_predicted():
    circuit, repeats, shots = paper(2, 2), 200, 40
    weights, features, slope = problem(circuit, 2)
    pairs = np.array(shifted_reference(circuit, weights, features))
    exact = ((pairs[:, 0] - pairs[:, 1]) * slope).sum((1, 2)) / 2
    # a multinomial's weighted sum of frequencies; half a difference of sums over inputs
    one = ((pairs * slope**2).sum(3) - ((pairs * slope).sum(3)) ** 2) / shots
    variance = one.sum((1, 2)) / 4
    assert (variance > 1e-4).sum() >= 3
    backend = load("torch")
    drawn = [
        shift_gradient(backend, circuit, weights, features, slope, shots=shots, seed=seed)
        for seed in range(repeats)
    ]
    slopes = np.array([one.gradient for one in drawn])
    assert (np.abs(slopes.mean(0) - exact) < 5 * np.sqrt(variance / repeats) + 1e-12).all()
    # the variance of a sample variance of nearly normal draws: 2 / (n - 1) of its square
    wide = 5 * np.sqrt(2 / (repeats - 1))
    assert (np.abs(slopes.var(0, ddof=1) / np.maximum(variance, 1e-12) - 1) < wide)[
        variance > 1e-4
    ].all()
    told = np.array([one.error for one in drawn]) ** 2
    slack = 5 * told.std(0, ddof=1) / np.sqrt(repeats)
    assert (np.abs(told.mean(0) - variance) <= slack + 1e-12).all()


def test_the_error_follows_scales_and_shared_rotations():
    # the chain rule by hand: weight 0 at half turns the first, at one the second
    circuit = Circuit(
        2,
        (Op("ry", (0,), (Weight(0, 0.5),)), Op("ry", (1,), (Sum((Weight(0), Weight(1, -3.0))),))),
        (0, 1),
        0,
        2,
    )
    apart = Circuit(2, (Op("ry", (0,), (Weight(0),)), Op("ry", (1,), (Weight(1),))), (0, 1), 0, 2)
    weights, slope = np.array([0.7, -0.4]), np.array([[1.0, -2.0, 0.5, 3.0]])
    turned = np.array([0.35, 0.7 + 1.2])
    none, backend = np.zeros((1, 0)), load("torch")
    together = shift_gradient(backend, circuit, weights, none, slope, shots=100, seed=3)
    each = shift_gradient(backend, apart, turned, none, slope, shots=100, seed=3)
    chain = np.array([[0.5, 1.0], [0.0, -3.0]])
    np.testing.assert_array_equal(together.values, each.values)
    np.testing.assert_allclose(together.gradient, chain @ each.gradient, rtol=1e-12)
    np.testing.assert_allclose(together.error, np.sqrt(chain**2 @ each.error**2), rtol=1e-12)


def test_equal_seeds_give_equal_shots():
    circuit = paper(2, 1)
    first, again, other = (
        shift_gradient(load("torch"), circuit, *problem(circuit), shots=30, seed=seed)
        for seed in (1, 1, 2)
    )
    for a, b, c in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(a, b)
        assert (a != c).any()


class Watched(ExactBackend):
    """The torch simulator, which notes what it is asked."""

    def __init__(self):
        super().__init__("torch")
        self.compiled, self.rows = 0, []

    def compile(self, circuit):
        self.compiled += 1
        return super().compile(circuit)

    def emit(self, native, like):
        return super().compile(native)

    def probabilities(self, compiled, features):
        self.rows.append(len(features))
        return super().probabilities(compiled, features)


@pytest.mark.parametrize("name", sorted(ANSATZE))
def test_the_cost_is_what_it_takes_and_what_the_table_of_costs_says(name):
    circuit, inputs, backend = build(name, 2, 3), 5, Watched()
    cost = shift_cost(circuit, inputs, 100)
    table = {row.method: row for row in gradient_costs(2, 3, ansatz=name, inputs=inputs)}
    assert cost.executions == table["parameter shift"].executions
    assert cost.rotations == table["parameter shift"].parameters
    assert cost.circuits == cost.executions + inputs
    assert cost.total_shots == 100 * cost.circuits
    shift_gradient(backend, circuit, *problem(circuit, inputs), shots=100, seed=0)
    # one compile, and one run of everything
    assert (backend.compiled, backend.rows) == (1, [cost.circuits])
    shift_gradient(
        backend, load("torch").compile(circuit), *problem(circuit, inputs), shots=None, seed=0
    )
    assert backend.compiled == 1
    # what the adjoint method takes stands beside it
    assert table["adjoint"].passes == 2 * inputs
    assert f"2 passes over the state of each of {inputs} inputs" in str(cost)


def test_the_cost_in_words():
    assert str(shift_cost(paper(2, 2), 100, 1000)) == (
        "900 circuits, 900,000 shots for one gradient: each of 100 inputs as it is, and at 2 "
        "shifts of each of 4 rotations; the adjoint method takes 2 passes over the state of each "
        "of 100 inputs, which a simulator alone can do"
    )
    assert "shots" not in str(shift_cost(paper(2, 2), 100, None))
    # a weight in several gates costs a pair for each; one gate with two weights costs one
    assert shift_cost(SHARED, 1, None) == ShiftCost(6, 1, 0)


def test_every_gate_with_an_angle_has_its_rotations():
    # each gate is the product of its rotations: the table says so, and unitaries confirm it
    with_angles = {name for name, row in GATES.items() if row.num_angles}
    assert set(shift.ROTATIONS) == with_angles
    rng = np.random.default_rng(0)
    for name, rotations in shift.ROTATIONS.items():
        row = GATES[name]
        for rotation in rotations:
            angles = rng.uniform(-np.pi, np.pi, row.num_angles)
            turned = row.unitary(*(angles + np.pi * np.array(rotation.by)))
            # half a turn of one rotation exp(-i a P / 2) is its Pauli, so that four are none
            again = row.unitary(*(angles + 4 * np.pi * np.array(rotation.by)))
            np.testing.assert_allclose(again, row.unitary(*angles), atol=1e-12)
            # U(a) + U(a + 2 pi) = 0: two eigenvalues, half a turn from each other
            opposite = row.unitary(*(angles + 2 * np.pi * np.array(rotation.by)))
            phase = np.vdot(row.unitary(*angles), opposite) / len(opposite)
            assert abs(abs(phase) - 1) < 1e-12
            assert np.abs(turned - row.unitary(*angles)).max() > 0.1
            # of all rotations of the gate, it turns itself alone
            moved = [np.dot(other.angle, rotation.by) for other in rotations]
            assert moved == [other is rotation for other in rotations]


def test_a_gate_without_a_two_term_rule_is_refused(monkeypatch):
    rest = {name: row for name, row in shift.ROTATIONS.items() if name != "rzz"}
    monkeypatch.setattr(shift, "ROTATIONS", rest)
    with pytest.raises(InputError, match=r"a weight in rzz.*phased_xz, rx, ry, rz"):
        shift_cost(SHARED, 1, None)
    with pytest.raises(InputError, match="a weight in rzz"):
        shift_gradient(load("torch"), SHARED, *problem(SHARED), shots=None, seed=0)


def test_what_does_not_fit_is_refused():
    circuit = paper(2, 1)
    weights, features, slope = problem(circuit)
    ask = {"weights": weights, "features": features, "cotangent": slope, "shots": 10, "seed": 0}
    bad = [
        ({"weights": weights[:1]}, r"weights of shape \(1,\)"),
        ({"features": features[0]}, r"features of shape \(2,\)"),
        ({"features": features * np.nan}, "not finite"),
        ({"cotangent": slope[:, :2]}, r"cotangent of shape \(3, 2\)"),
        ({"shots": 1}, "shots of each shifted circuit 1"),
        ({"shots": -5}, "shots of each shifted circuit -5"),
        ({"seed": -1}, "seed -1"),
    ]
    for change, words in bad:
        with pytest.raises(InputError, match=words):
            shift_gradient(load("torch"), circuit, **{**ask, **change})
    with pytest.raises(InputError, match="inputs -1"):
        shift_cost(circuit, -1, 10)


def test_a_circuit_without_weights_and_a_batch_without_inputs_have_their_shapes():
    fixed = paper(2, 1).bind_weights([0.1, 0.2])
    found = shift_gradient(load("torch"), fixed, *problem(fixed), shots=5, seed=0)
    assert [part.shape for part in found] == [(3, 4), (0,), (0,)]
    circuit = paper(2, 1)
    found = shift_gradient(load("torch"), circuit, *problem(circuit, 0), shots=5, seed=0)
    assert [part.shape for part in found] == [(0, 4), (2,), (2,)]
    assert not found.gradient.any()


@pytest.mark.usefixtures("unchecked")
def test_a_few_steps_of_it_train_a_router_on_moons():
    data = prepared(DataSpec("moons"), root=0, seed=0, sizes=Sizes(40, 10, 10))
    model = ModelSpec("quantum", 2, 2, options={"layers": 2}).build()
    start = model.init(0, 0)
    X, y = data.X_train, torch.from_numpy(data.y_train)
    circuit, backend = model.router.circuit, load("torch")
    rest = torch.from_numpy(start[None])

    def loss(outcomes):
        gates = model.router.from_outcomes(rest[:, : model.router.size], outcomes.T[None])
        opinions, _ = model.experts.forward(
            rest[:, model.router.size :], torch.from_numpy(X.T[None].copy())
        )
        logits = (gates.unsqueeze(2) * opinions).sum(1)
        return torch.nn.functional.cross_entropy(logits, y[None])

    def slope(values):
        leaf = torch.from_numpy(values.copy()).requires_grad_()
        return torch.autograd.grad(loss(leaf), leaf)[0].numpy()

    def exact(angles):
        return loss(torch.from_numpy(reference.probabilities(circuit, angles, X))).item()

    angles = start[: circuit.num_weights].copy()
    compiled, before = backend.compile(circuit), exact(angles)
    print(shift_cost(compiled.native, len(X), 100))
    for step in range(8):
        found = shift_gradient(backend, compiled, angles, X, slope, shots=100, seed=step)
        angles -= 2 * found.gradient
    assert exact(angles) < before - 0.05
