"""The compiled epochs against the plain ones: same steps, same numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from qmoe import kernel
from qmoe.compiled import FEWEST_STEPS, CompiledEpochs, covers
from qmoe.epochs import Examples, Orders, PlainEpochs
from qmoe.errors import InputError
from qmoe.spec import ModelSpec
from qmoe.train import TrainConfig, train

SEEDS = (0, 3, 4)

# one process compiles the kernel for all of them
pytestmark = pytest.mark.xdist_group("kernel")

MODELS = {
    "probability": ModelSpec("quantum", 2, 2, 4, {"layers": 3}),
    "softmax, ring": ModelSpec("quantum", 3, 2, 4, {"layers": 2, "entangler": "ring"}, "softmax"),
    "temperature, 3 classes": ModelSpec("quantum", 2, 3, 4, {"layers": 2}, "temperature"),
    "3 experts": ModelSpec("quantum", 3, 2, 3, {"layers": 3, "outcome_map": "modulo"}),
    "parity of all qubits": ModelSpec(
        "quantum", 3, 2, 2, {"layers": 2, "measured": (2, 0, 1), "outcome_map": "parity"}
    ),
    "measured backwards": ModelSpec("quantum", 2, 2, 4, {"layers": 2, "measured": (1, 0)}),
    "one feature, two qubits": ModelSpec("quantum", 1, 2, 4, {"layers": 2}),
    "one expert": ModelSpec("quantum", 2, 2, 1, {"layers": 2}),
}


def examples(spec: ModelSpec, seeds: int, rows: int) -> Examples:
    rng = np.random.default_rng(5)
    features = rng.uniform(0, np.pi, (seeds, spec.num_features, rows))
    labels = rng.integers(0, spec.num_classes, (seeds, rows))
    return Examples(torch.from_numpy(features), torch.from_numpy(labels))


@pytest.mark.parametrize("spec", MODELS.values(), ids=MODELS.keys())
@pytest.mark.parametrize(("size", "own_data"), [(16, True), (16, False), (None, True)])
def test_epochs_agree_with_the_plain_ones(spec, size, own_data):
    model = spec.build()
    data = examples(spec, len(SEEDS) if own_data else 1, 53)  # 53 = 3 * 16 + 5: a rest
    start = torch.from_numpy(np.stack([model.init(0, seed) for seed in SEEDS]))
    assert covers(model, start)
    rates = torch.linspace(0.03, 0.1, len(SEEDS)).double()
    if own_data:  # a scale of its own for what each router sees
        scales = torch.linspace(0.5, 2, len(SEEDS)).double()
        data = data._replace(seen=data.features * scales[:, None, None])
    results = []
    for kind in (PlainEpochs, CompiledEpochs):
        weights = start.clone()
        engine = kind(model, weights, data, Orders(53, size, 0, SEEDS), rates)
        losses = np.stack([engine.epoch().numpy() for _ in range(4)])
        results.append((losses, weights.numpy()))
    (plain_losses, plain), (losses, weights) = results
    np.testing.assert_allclose(losses, plain_losses, rtol=0, atol=1e-10)
    # the router of a single expert has no gradient, and Adam makes steps of what rounding left
    atol = 1e-10 if spec.num_experts > 1 else 1e-8
    np.testing.assert_allclose(weights, plain, rtol=0, atol=atol)
    assert np.abs(weights - start.numpy()).max() > 0.1


@pytest.mark.parametrize(
    "spec",
    [
        ModelSpec("linear", 2, 2),
        ModelSpec("quantum", 2, 2, options={"ansatz": "notebook"}),
        ModelSpec("quantum", 2, 2, options={"ansatz": "reupload"}),
        ModelSpec("quantum", 2, 2, options={"readout": "z"}),
        ModelSpec("quantum", 2, 2, options={"outcome_map": "adapter"}),
        ModelSpec("quantum", 2, 2, top_k=2),
        ModelSpec("quantum", 2, 2, load_balance=0.1),
        ModelSpec("quantum", 6, 2, options={"measured": (0, 1), "layers": 6}),
    ],
    ids=["linear", "complex", "uploads", "z", "adapter", "top-k", "balance", "6 qubits"],
)
def test_what_is_not_covered_takes_the_plain_way_or_says_so(spec):
    model = spec.build()
    data = examples(spec, 1, 8)
    start = torch.from_numpy(model.init(0, 0)[None])
    assert not covers(model, start)
    config = TrainConfig(epochs=1, batch_size=1, engine="compiled")
    with pytest.raises(InputError, match="compiled"):
        train(model, data, None, config, root=0, seeds=[0])
    many = TrainConfig(epochs=FEWEST_STEPS // 8, batch_size=1, evaluate_every=1000)
    assert np.isfinite(train(model, data, None, many, root=0, seeds=[0]).curve.train_loss).all()


def test_single_precision_is_not_covered():
    model = MODELS["probability"].build()
    assert not covers(model, torch.zeros((1, model.size), dtype=torch.float32))


def test_auto_takes_the_kernel_for_many_small_steps_alone(monkeypatch):
    made = []
    monkeypatch.setattr("qmoe.train.CompiledEpochs", lambda *a: made.append(a) or PlainEpochs(*a))
    spec = MODELS["probability"]
    data = examples(spec, 1, 20)
    for epochs in (FEWEST_STEPS // 20 - 1, FEWEST_STEPS // 20):
        config = TrainConfig(epochs=epochs, batch_size=1)
        train(spec.build(), data, None, config, root=0, seeds=[0])
    assert len(made) == 1


def test_a_loss_that_is_not_finite_is_not_hidden():
    spec = MODELS["softmax, ring"]
    data = examples(spec, 1, 20)
    model = spec.build()
    weights = torch.full((1, model.size), 1e308, dtype=torch.float64)
    engine = CompiledEpochs(
        model, weights, data, Orders(20, 5, 0, [0]), torch.full((1,), 0.05, dtype=torch.float64)
    )
    assert not np.isfinite(engine.epoch().numpy()).any()


def test_the_exponential_is_that_of_numpy_within_two_units_in_the_last_place():
    x = -np.stack([np.linspace(0, 700, 100_001), np.random.default_rng(0).random(100_001)])
    y = x.copy()
    kernel._exp(y, np.empty_like(y))
    exact = np.exp(x)
    assert (np.abs(y - exact) <= 2 * np.spacing(exact)).all()
    below = np.array([[-701.0, -1e6, -np.inf]])
    kernel._exp(below, np.empty_like(below))
    assert (below > 0).all() and (below < 1e-300).all()
