from __future__ import annotations

from dataclasses import replace

import numpy as np
import pennylane as qml
import pytest
import torch

from qmoe.catalogue import DataSpec
from qmoe.cell import Cell
from qmoe.compiled import covers
from qmoe.errors import InputError
from qmoe.evidence import of_run
from qmoe.experts import Experts
from qmoe.gating import Gate
from qmoe.moe import MixtureOfExperts
from qmoe.plan import all_cells
from qmoe.quantum_experts import QuantumExperts
from qmoe.routers import build
from qmoe.spec import ModelSpec
from qmoe.suite import load, resolve, setup
from qmoe.train import TrainConfig, train
from qmoe.trial import Trial
from qmoe.tune import tune
from tests.qmoe.training import part, same_model, small

NOISE = "placement=wire,depolarizing=0.05"
FEATURES, CLASSES, BATCH = 2, 3, 5


def experts(number: int, noise: str | None = None) -> QuantumExperts:
    return QuantumExperts(FEATURES, number, CLASSES, noise=noise)


def weights_of(given: Experts, seeds: int = 3) -> torch.Tensor:
    draws = [given.init(np.random.default_rng(seed)) for seed in range(seeds)]
    return torch.from_numpy(np.stack(draws))


def pennylane(strength: float):
    """Z of both qubits behind the two-layer circuit, a channel on each wire of each gate."""

    def noisy(*wires):
        for wire in wires:
            qml.DepolarizingChannel(strength, wires=wire)

    @qml.qnode(qml.device("default.mixed", wires=2), interface="torch", diff_method="backprop")
    def run(theta, x):
        for wire in (0, 1):
            qml.RY(x[wire], wires=wire)
            noisy(wire)
        for layer in (0, 1):
            for wire in (0, 1):
                qml.RY(theta[2 * layer + wire], wires=wire)
                noisy(wire)
            qml.CZ(wires=(0, 1))
            noisy(0, 1)
        return [qml.expval(qml.PauliZ(wire)) for wire in (0, 1)]

    return run


@pytest.mark.parametrize(("seeds", "lead"), [(1, 1), (2, 1), (2, 2)])
@pytest.mark.parametrize("noise", [None, NOISE])
def test_logits_and_their_gradient_are_pennylanes(noise, seeds, lead):
    number = 2
    given = experts(number, noise)
    rng = np.random.default_rng(1)
    x = torch.from_numpy(rng.uniform(0, np.pi, (lead, FEATURES, BATCH)))
    grad = torch.from_numpy(rng.normal(size=(seeds, number, CLASSES, BATCH)))
    weights = weights_of(given, seeds)
    logits, saved = given.forward(weights, x)
    assert isinstance(given, Experts)
    leaf = weights.clone().requires_grad_()
    run = pennylane(0.0 if noise is None else 0.05)
    rows = []
    for s in range(seeds):
        # four angles of each expert, then six entries and three biases of each
        angles, maps = leaf[s, : 4 * number].view(number, 4), leaf[s, 4 * number :].view(number, 9)
        for e in range(number):
            z = torch.stack([torch.stack(run(angles[e], row)) for row in x[min(s, lead - 1)].T], 1)
            rows.append(maps[e, :6].view(3, 2) @ z + maps[e, 6:, None])
    expected = torch.stack(rows).view(logits.shape)
    torch.testing.assert_close(logits, expected.detach(), rtol=0, atol=1e-12)
    expected.backward(grad)
    found = given.backward(weights, saved, grad)
    torch.testing.assert_close(found, leaf.grad, rtol=0, atol=1e-11)
    assert (found != 0).any(0).all()
    plain = weights.clone().requires_grad_()
    given.forward(plain, x)[0].backward(grad)
    torch.testing.assert_close(plain.grad, found, rtol=0, atol=1e-12)


@pytest.mark.parametrize("noise", [None, NOISE])
def test_experts_do_not_meet(noise):
    given = experts(3, noise)
    weights = weights_of(given)
    x = torch.linspace(0, 3, 14, dtype=torch.float64).view(1, 2, 7)
    logits, saved = given.forward(weights, x)
    grad = torch.zeros_like(logits)
    grad[:, 1] = torch.linspace(-1, 2, grad[:, 1].numel()).double().view(grad[:, 1].shape)
    found = given.backward(weights, saved, grad)
    for block in (found[:, :12].view(3, 3, 4), found[:, 12:].view(3, 3, 9)):
        assert (block[:, [0, 2]] == 0).all()
        assert (block[:, 1] != 0).any()


def test_what_they_cost_does_not_depend_on_noise():
    # x and the first weights turn together; four rotations of four real amplitudes, and squares
    circuit = 4 * 4 * 2 + 4
    for noise in (None, NOISE):
        given = experts(4, noise)
        assert given.multiply_adds == 4 * (circuit + 2 * CLASSES)
        assert given.circuits == 4
        assert given.size == weights_of(given).shape[1] == 4 * (4 + 9)


def test_noise_that_cannot_be_is_refused():
    for noise in ("depolarizing=2", "placement=everywhere", ""):
        with pytest.raises(InputError):
            experts(2, noise)
    with pytest.raises(InputError, match="number of features"):
        QuantumExperts(0, 1, 2)


# ---- as part of a model


SPECS = {
    "clean": ModelSpec("linear", 2, 2, 3, expert_kind="quantum"),
    "noisy": ModelSpec("linear", 2, 2, 3, expert_kind="quantum", expert_noise=NOISE),
    "all quantum": ModelSpec(
        "quantum", 2, 2, options={"noise": NOISE}, expert_kind="quantum", expert_noise=NOISE
    ),
}


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS.keys())
def test_a_description_builds_them_and_reads_back(spec):
    model = spec.build()
    assert isinstance(model.experts, QuantumExperts)
    assert ModelSpec.from_dict(spec.to_dict()) == spec
    weights = torch.from_numpy(model.init(0, 0)[None])
    assert not covers(model, weights)
    silent = replace(spec, expert_noise="").build()
    x = torch.linspace(0, 3, 10).double().view(1, 2, 5)
    (own, _), (other, _) = (m.experts.forward(weights_of(m.experts), x) for m in (model, silent))
    assert torch.equal(own, other) == (not spec.expert_noise)


def test_a_description_without_them_is_written_as_before():
    written = ModelSpec("linear", 2, 2).to_dict()
    assert not {"expert_kind", "expert_noise"} & set(written)
    assert ModelSpec.from_dict(written).expert_kind == "linear"
    for key, value in (("expert_kind", 3), ("expert_noise", None), ("expert_kind", "cubic")):
        with pytest.raises(InputError):
            ModelSpec.from_dict(written | {key: value})


def test_combinations_that_cannot_be_are_refused():
    with pytest.raises(InputError, match="'quantum'"):
        ModelSpec("linear", 2, 2, expert_kind="quantun")
    with pytest.raises(InputError, match="hidden units"):
        ModelSpec("linear", 2, 2, expert_kind="quantum", expert_hidden=3)
    with pytest.raises(InputError, match="no circuits"):
        ModelSpec("linear", 2, 2, expert_noise=NOISE)


@pytest.mark.parametrize(("name", "size"), [*((name, None) for name in SPECS), ("noisy", 16)])
def test_seeds_train_together_as_they_train_alone_and_learn(name, size):
    config = TrainConfig(epochs=9, batch_size=size, evaluate_every=3)
    data, held_out = small(3, 40, config), small(3, 30, config, seed=1)
    model = SPECS[name].build()
    together = train(model, data, held_out, config, root=2, seeds=[4, 0, 9])
    for i, seed in enumerate([4, 0, 9]):
        alone = train(model, part(data, i), part(held_out, i), config, root=2, seeds=[seed])
        same_model(model, together.weights[i : i + 1], alone.weights, data.features[i : i + 1])
    loss = together.curve.train_loss
    assert (loss[-1] < loss[0] - 0.02).all()


def test_the_gradient_of_a_model_is_that_of_its_loss():
    model = MixtureOfExperts(
        build("quantum", 2, 4, noise=NOISE),
        QuantumExperts(2, 4, 2, noise=NOISE),
        Gate("temperature", "probabilities", 4),
        load_balance=0.1,
    )
    weights = torch.from_numpy(np.stack([model.init(0, seed) for seed in (0, 1)]))
    data = small(2, 12, TrainConfig(epochs=1))
    targets = torch.nn.functional.one_hot(data.labels, 2).transpose(1, 2).double()
    leaf = weights.clone().requires_grad_()
    model.loss(leaf, data.features, targets).sum().backward()
    found = model.gradient(weights, model.prepare(data.features), targets)
    torch.testing.assert_close(found.to_weights, leaf.grad, rtol=0, atol=1e-12)


# ---- cells


def cell(**changes) -> Cell:
    wanted = {"seeds": (0, 1), "config": TrainConfig(epochs=3), "sizes": (30, 20, 20)}
    return Cell(DataSpec("moons", noise=0.1), "linear", **{**wanted, **changes})


def test_cells_name_their_experts_and_train_them():
    cells = [cell(), cell(expert_kind="quantum"), cell(expert_kind="quantum", expert_noise=NOISE)]
    assert len({c.key for c in cells}) == 3
    assert [sorted({"expert_kind", "expert_noise"} & set(c.to_dict())) for c in cells] == [
        [],
        ["expert_kind"],
        ["expert_kind", "expert_noise"],
    ]
    assert cells[2].spec(2, 2, Trial()).expert_noise == NOISE
    counts = [tune(c).model_parameters for c in cells]
    # three numbers of a linear expert's class against a circuit of four and the same map
    assert counts[1] - counts[0] == counts[2] - counts[0] == 4 * 4


def test_cells_that_were_stored_before_keep_their_keys():
    """The committed results know cells by keys from before there were other experts."""
    (step,) = (step for step in load("paper").steps if step.call.endswith(":ablation"))
    planned = {c.key for c in all_cells([resolve(step.call)(setup(0, 30, 12), **step.options)])}
    assert len(planned) > 200
    assert planned == of_run(None).asked_by("ablation")
