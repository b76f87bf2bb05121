from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch

from qmoe import train as trainer
from qmoe.compiled import covers
from qmoe.data import DataSpec, prepared_seeds, stack
from qmoe.epochs import Adam, Examples, one_hot
from qmoe.errors import InputError, QmoeError
from qmoe.moe import MixtureOfExperts
from qmoe.routers.quantum import QuantumRouter
from qmoe.seeds import stream
from qmoe.spec import ModelSpec
from qmoe.train import TrainConfig, examples, train
from tests.qmoe.training import SPECS, part, same_model, small

# ---- the optimiser


def test_adam_is_torchs():
    rng = np.random.default_rng(0)
    start = torch.from_numpy(rng.normal(size=(3, 7)))
    mine, theirs = start.clone(), start.clone().requires_grad_()
    adam, oracle = (
        Adam(mine, torch.full((3,), 0.05, dtype=torch.float64)),
        torch.optim.Adam([theirs], lr=0.05),
    )
    for step in range(200):
        gradient = torch.from_numpy(rng.normal(size=(3, 7))) * 10.0 ** rng.integers(-9, 3)
        gradient[:, step % 7] = 0
        adam.step(gradient.clone())
        theirs.grad = gradient
        oracle.step()
        assert (mine - theirs.detach()).abs().max() < 1e-12


@pytest.mark.parametrize("batch_size", [None, 7])
@pytest.mark.parametrize(
    ("name", "engine"), [*((name, "plain") for name in SPECS), ("quantum", "compiled")]
)
def test_a_training_run_is_a_plain_loop_of_torch(name, engine, batch_size):
    config = TrainConfig(epochs=4, batch_size=batch_size, evaluate_every=4, engine=engine)
    model, seeds = SPECS[name].build(), (4, 9)
    data = small(2, 20, config)
    result = train(model, data, None, config, root=3, seeds=seeds)
    for s, seed in enumerate(seeds):
        weights = torch.from_numpy(model.init(3, seed)).unsqueeze(0).requires_grad_()
        oracle = torch.optim.Adam([weights], lr=config.learning_rate)
        order = stream(3, seed, "batches")
        for _ in range(config.epochs):
            rows = (
                torch.arange(20) if batch_size is None else torch.from_numpy(order.permutation(20))
            )
            for chosen in rows.split(batch_size or 20):
                targets = one_hot(data.labels[s : s + 1, chosen], 2).double()
                oracle.zero_grad()
                model.loss(weights, data.features[s : s + 1, :, chosen], targets).sum().backward()
                oracle.step()
        torch.testing.assert_close(result.weights[s : s + 1], weights.detach(), rtol=0, atol=1e-10)


# ---- the choice of engine


class Sharper(QuantumRouter):
    """A router of somebody else that inherits and changes what the kernel takes for granted."""

    def forward(self, weights, prepared):
        out, saved = super().forward(weights, prepared)
        return out.square() / out.square().sum(1, keepdim=True), saved


def test_a_subclass_of_the_quantum_router_is_not_taken_for_it():
    built = SPECS["quantum"].build()
    model = MixtureOfExperts(Sharper(2, 4), built.experts, built.gate)
    weights = torch.from_numpy(model.init(0, 0)).unsqueeze(0)
    assert covers(built, weights)
    assert not covers(model, weights)


def test_the_engine_does_not_depend_on_the_number_of_seeds(monkeypatch):
    """Seeds trained together take the steps, and the rounding, that they take alone."""
    used: list[str] = []
    for name in ("PlainEpochs", "CompiledEpochs"):
        whole = getattr(trainer, name)
        monkeypatch.setattr(trainer, name, lambda *a, n=name, w=whole: used.append(n) or w(*a))
    config = TrainConfig(epochs=4, batch_size=2, evaluate_every=4)  # 4 * 16 / 2 = 32 steps
    data = small(3, 16, config)
    model = SPECS["quantum"].build()
    for fewest in (32, 33):
        monkeypatch.setattr(trainer, "FEWEST_STEPS", fewest)
        train(model, data, None, config, root=0, seeds=[0, 1, 2])
        train(model, part(data, 1), None, config, root=0, seeds=[1])
    assert used == ["CompiledEpochs"] * 2 + ["PlainEpochs"] * 2


# ---- seeds


@pytest.mark.parametrize("batch_size", [None, 16])
@pytest.mark.parametrize("name", SPECS)
def test_seeds_train_together_as_they_train_alone(name, batch_size):
    config = TrainConfig(epochs=9, batch_size=batch_size, evaluate_every=3, patience=3)
    data, held_out = small(3, 40, config), small(3, 30, config, seed=1)
    model = SPECS[name].build()
    together = train(model, data, held_out, config, root=0, seeds=[0, 1, 2])
    for seed in range(3):
        alone = train(model, part(data, seed), part(held_out, seed), config, root=0, seeds=[seed])
        assert together.best_epoch[seed] == alone.best_epoch[0]
        assert together.stopped_epoch[seed] == alone.stopped_epoch[0]
        mine = together.weights[seed : seed + 1]
        same_model(model, mine, alone.weights, part(held_out, seed).features)


def test_the_order_of_the_seeds_is_the_order_of_the_results():
    config = TrainConfig(epochs=3, batch_size=8, evaluate_every=1)
    data = small(1, 20, config)
    model = SPECS["quantum"].build()
    forward = train(model, data, None, config, root=0, seeds=[5, 2, 7])
    backward = train(model, data, None, config, root=0, seeds=[7, 2, 5])
    torch.testing.assert_close(forward.weights, backward.weights.flip(0), rtol=0, atol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", SPECS)
def test_the_same_call_gives_the_same_bits(name, dtype):
    config = TrainConfig(epochs=4, batch_size=8, evaluate_every=2, dtype=dtype)
    data, held_out = small(2, 30, config), small(2, 10, config, seed=1)
    first, again = (
        train(SPECS[name].build(), data, held_out, config, root=0, seeds=[0, 1]) for _ in range(2)
    )
    assert torch.equal(first.weights, again.weights)
    assert first.weights.dtype == getattr(torch, dtype)
    assert np.array_equal(first.curve.train_loss, again.curve.train_loss)


@pytest.mark.parametrize("name", SPECS)
def test_single_precision_follows_double_precision(name):
    results = []
    for dtype in ("float32", "float64"):
        config = TrainConfig(epochs=5, evaluate_every=1, dtype=dtype)
        result = train(
            SPECS[name].build(), small(2, 30, config), None, config, root=0, seeds=[0, 1]
        )
        results.append(result.curve.train_loss)
    np.testing.assert_allclose(results[0], results[1], rtol=1e-4)


def test_another_root_or_seed_is_another_run():
    config = TrainConfig(epochs=1, evaluate_every=1)
    data = small(1, 10, config)
    runs = [
        train(SPECS["mlp"].build(), data, None, config, root=root, seeds=[seed]).weights
        for root, seed in ((0, 0), (0, 1), (1, 0))
    ]
    assert not torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])


# ---- batches


class Recorder(MixtureOfExperts):
    """A constant gate that notes which samples each step sees (features are their numbers)."""

    def __init__(self) -> None:
        built = ModelSpec("constant", 2, 2).build()
        super().__init__(built.router, built.experts, built.gate)
        self.steps: list[torch.Tensor] = []

    def gradient(self, weights, data, targets):
        self.steps.append(data.features[:, 0].clone())
        # rows, features and targets are of the same samples
        assert torch.equal(targets[:, 1], data.features[:, 0] % 2)
        assert torch.equal(data.rows, data.features)
        return super().gradient(weights, data, targets)


def numbered(rows: int, lead: int, config: TrainConfig) -> Examples:
    x = np.tile(np.arange(rows, dtype=float), (lead, 2, 1))
    return examples(x, np.tile(np.arange(rows) % 2, (lead, 1)), config)


@pytest.mark.parametrize("lead", [1, 3])
def test_every_epoch_sees_every_sample_once(lead):
    config = TrainConfig(epochs=3, batch_size=4, evaluate_every=1)
    model = Recorder()
    train(model, numbered(10, lead, config), None, config, root=0, seeds=[0, 1, 2])
    assert [step.shape for step in model.steps] == [(3, 4), (3, 4), (3, 2)] * 3
    epochs = [torch.cat(model.steps[i : i + 3], 1) for i in (0, 3, 6)]
    for epoch in epochs:
        assert torch.equal(epoch.sort(1).values, torch.arange(10.0).double().expand(3, -1))
    orders = {tuple(row.tolist()) for epoch in epochs for row in epoch}
    assert len(orders) == 9  # another order for every seed and epoch


def test_the_full_batch_is_in_the_given_order():
    config = TrainConfig(epochs=2, evaluate_every=1)
    model = Recorder()
    train(model, numbered(10, 1, config), None, config, root=0, seeds=[0, 1])
    assert [step.shape[1] for step in model.steps] == [10, 10]


def test_a_batch_larger_than_the_data_is_the_data():
    config = TrainConfig(epochs=2, batch_size=64, evaluate_every=1)
    model = Recorder()
    train(model, numbered(10, 1, config), None, config, root=0, seeds=[0])
    assert [step.shape[1] for step in model.steps] == [10, 10]


def test_the_curve_is_the_mean_loss_of_the_epochs_samples():
    config = TrainConfig(epochs=1, batch_size=5, learning_rate=1e-12, evaluate_every=1)
    model = SPECS["quantum"].build()
    data = small(1, 10, config)
    result = train(model, data, None, config, root=0, seeds=[0])
    weights = torch.from_numpy(model.init(0, 0)).unsqueeze(0)
    whole = model.loss(weights, data.features, one_hot(data.labels, 2).double())
    assert result.curve.train_loss[0, 0] == pytest.approx(whole.item(), abs=1e-9)


# ---- what is refused


def test_a_training_run_that_diverges_is_an_error():
    config = TrainConfig(epochs=20, learning_rate=1e308, evaluate_every=5)
    with pytest.raises(QmoeError, match="lower the learning rate"):
        train(SPECS["mlp"].build(), small(1, 10, config), None, config, root=0, seeds=[0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": 0}, "number of epochs 0"),
        ({"epochs": -3}, "number of epochs -3"),
        ({"batch_size": 0}, "batch size 0"),
        ({"learning_rate": 0.0}, r"learning rate 0\.0; expected > 0"),
        ({"learning_rate": -0.1}, "learning rate -0.1"),
        ({"learning_rate": math.nan}, "learning rate nan"),
        ({"learning_rate": math.inf}, "learning rate inf"),
        ({"patience": 0}, "patience 0"),
        ({"evaluate_every": 0}, "epochs between evaluations 0"),
        ({"dtype": "float16"}, "expected one of float32, float64"),
        ({"engine": "compield"}, "did you mean 'compiled'"),
    ],
)
def test_configurations_that_cannot_be_are_refused(change, message):
    with pytest.raises(InputError, match=message):
        dataclasses.replace(TrainConfig(), **change)


def test_seeds_and_data_have_to_fit():
    config = TrainConfig(epochs=1)
    model = SPECS["mlp"].build()
    data = small(2, 8, config)
    with pytest.raises(InputError, match="got 0 seeds"):
        train(model, data, None, config, root=0, seeds=[])
    with pytest.raises(InputError, match=r"3 seeds \(2 different\)"):
        train(model, data, None, config, root=0, seeds=[1, 2, 1])
    with pytest.raises(InputError, match="data of 2 seeds for 3 seeds"):
        train(model, data, None, config, root=0, seeds=[0, 1, 2])
    with pytest.raises(InputError, match="data of 2 seeds for 1 seeds"):
        train(model, part(data, 0), data, config, root=0, seeds=[0])


@pytest.mark.parametrize("engine", ["plain", "compiled"])
@pytest.mark.parametrize("label", [2, -1])
def test_a_label_that_is_no_class_of_the_model_is_refused(label, engine):
    config = TrainConfig(epochs=1, engine=engine)
    y = np.array([[0, 1, label, 0]])
    with pytest.raises(InputError, match="label"):
        train(
            SPECS["quantum"].build(), examples(np.zeros((1, 2, 4)), y, config), None, config,
            root=0, seeds=[0],
        )  # fmt: skip


# ---- a planted result


def moons(seeds: int, config: TrainConfig) -> tuple[Examples, Examples, Examples]:
    """Train, validation and test parts of as many seeds."""
    parts = prepared_seeds(DataSpec("moons", noise=0.1), root=0, seeds=range(seeds))
    s = stack(parts)
    pairs = (s.X_train, s.y_train), (s.X_validation, s.y_validation), (s.X_test, s.y_test)
    train_part, validation, test = (examples(x, y, config) for x, y in pairs)
    return train_part, validation, test


def test_a_quantum_router_learns_two_moons_and_a_constant_gate_does_not():
    config = TrainConfig(epochs=300, evaluate_every=50)
    data, held_out, test = moons(5, config)
    accuracy = {}
    for name in ("quantum", "constant"):
        model = ModelSpec(name, 2, 2).build()
        result = train(model, data, held_out, config, root=0, seeds=range(5))
        logits = model.output(result.weights, model.prepare(test.features)).logits
        accuracy[name] = (logits.argmax(1) == test.labels).double().mean().item()
    assert accuracy["quantum"] > 0.95
    assert accuracy["constant"] < 0.92
