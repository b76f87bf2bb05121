from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from qmoe.epochs import one_hot
from qmoe.experts import LinearExperts
from qmoe.gating import Gate
from qmoe.moe import MixtureOfExperts
from qmoe.routers import Cost, Counts, build
from qmoe.seeds import stream
from qmoe.spec import ModelSpec
from qmoe.train import TrainConfig, examples, train

SEEDS, BATCH, CLASSES = 3, 12, 3
ROUTERS = {
    "linear": ("linear", 2, 4, {}),
    "mlp": ("mlp", 2, 4, {"hidden": 4}),
    "trig-product": ("trig-product", 2, 3, {}),
    "product": ("product", 2, 4, {}),
    "dephased": ("dephased", 2, 4, {}),
    "constant": ("constant", 2, 4, {}),
    "quantum": ("quantum", 2, 4, {"layers": 2}),
    "quantum E=1": ("quantum", 2, 1, {"layers": 1}),
    "quantum E=3": ("quantum", 3, 3, {"layers": 2}),
    "reupload": ("quantum", 2, 4, {"layers": 2, "ansatz": "reupload"}),
    "notebook z": ("quantum", 2, 2, {"layers": 2, "ansatz": "notebook", "readout": "z"}),
    "adapter": ("quantum", 2, 3, {"layers": 2, "outcome_map": "adapter"}),
    "large": ("quantum", 7, 4, {"layers": 4}),
}
GATES = [
    (name, gate, top_k)
    for name, (router, d, experts, options) in ROUTERS.items()
    for gate in ("probability", "softmax", "temperature")
    for top_k in (None, 2)
    if (top_k or 0) <= experts
    and not (gate == "probability" and build(router, d, experts, **options).emits == "logits")
]


def spec(
    name: str, gate: str = "auto", top_k: int | None = None, balance: float = 0.0
) -> ModelSpec:
    router, d, experts, options = ROUTERS[name]
    return ModelSpec(router, d, CLASSES, experts, options, gate, top_k, balance)


def weights_of(model: MixtureOfExperts) -> torch.Tensor:
    """Initial weights of three seeds, with a temperature that is not 1 where there is one."""
    weights = torch.from_numpy(np.stack([model.init(0, seed) for seed in range(SEEDS)]))
    if model.gate.size:
        weights[:, -1] = torch.tensor([-1.0, 0.3, 0.0])
    return weights


def batch(d: int, lead: int = SEEDS) -> tuple[torch.Tensor, torch.Tensor]:
    """Features (lead, d, 12) and labels (lead, 12)."""
    rng = np.random.default_rng(d)
    x = rng.uniform(0, np.pi, size=(lead, d, BATCH))
    return torch.from_numpy(x), torch.from_numpy(rng.integers(0, CLASSES, size=(lead, BATCH)))


@pytest.mark.parametrize(("lead", "balance"), [(1, 0.3), (SEEDS, 0.0)])
@pytest.mark.parametrize(("name", "gate", "top_k"), GATES)
def test_the_hand_written_gradient_is_the_plain_route(name, gate, top_k, balance, lead):
    model = spec(name, gate, top_k, balance).build()
    plain = spec(name, gate, top_k, balance).build(autograd=True)
    x, labels = batch(model.router.num_features, lead)
    weights, targets = weights_of(model), one_hot(labels, CLASSES).double()
    found = model.gradient(weights, model.prepare(x), targets)
    by_autograd = plain.gradient(weights, plain.prepare(x), targets)
    leaf = weights.clone().requires_grad_()
    loss = model.loss(leaf, x, targets)
    (expected,) = torch.autograd.grad(loss.sum(), leaf)
    assert found.cross_entropy.shape == (SEEDS,)
    torch.testing.assert_close(found.to_weights, expected, rtol=0, atol=1e-10)
    torch.testing.assert_close(by_autograd.to_weights, expected, rtol=0, atol=1e-10)
    torch.testing.assert_close(found.cross_entropy, by_autograd.cross_entropy, rtol=0, atol=1e-12)
    if not balance:
        torch.testing.assert_close(found.cross_entropy, loss.detach(), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["linear", "quantum", "notebook z"])
def test_loss_and_output_are_the_sum_written_out(name):
    model = spec(name, balance=0.5).build()
    x, labels = batch(model.router.num_features)
    weights = weights_of(model)
    out = model.output(weights, model.prepare(x))
    targets = one_hot(labels, CLASSES).double()
    loss = model.loss(weights, x, targets)
    router, experts, _ = weights.split(model.sizes, 1)
    d, number = model.router.num_features, model.router.num_experts
    for s in range(SEEDS):
        raw = model.router(router[s : s + 1], x[s : s + 1])[0]
        chosen = raw if model.gate.kind == "probability" else functional.softmax(raw, 0)
        matrix = experts[s, : number * CLASSES * d].view(number, CLASSES, d)
        bias = experts[s, number * CLASSES * d :].view(number, CLASSES, 1)
        opinions = matrix @ x[s] + bias
        logits = (chosen.unsqueeze(1) * opinions).sum(0)
        torch.testing.assert_close(out.gate_weights[s], chosen, rtol=0, atol=1e-13)
        torch.testing.assert_close(out.logits[s], logits, rtol=0, atol=1e-12)
        # Switch Transformer, eq. 4: E times the sum of f_i P_i
        share = torch.stack([(chosen.argmax(0) == e).double().mean() for e in range(number)])
        balance = 0.5 * number * (share * chosen.mean(1)).sum()
        expected = functional.cross_entropy(logits.T, labels[s]) + balance
        assert loss[s].item() == pytest.approx(expected.item(), abs=1e-12)


def test_load_balancing_is_least_where_experts_share_evenly():
    model = spec("constant", balance=1.0).build()
    weights = weights_of(model)
    weights[:, : model.router.size] = torch.tensor([[0.0] * 4, [3.0, 0, 0, 0], [50.0, 0, 0, 0]])
    x, labels = batch(2)
    targets = one_hot(labels, CLASSES).double()
    without = spec("constant").build()
    balance = model.loss(weights, x, targets) - without.loss(weights, x, targets)
    assert balance[0].item() == pytest.approx(1, abs=1e-12)
    assert 1 < balance[1] < balance[2]
    assert balance[2].item() == pytest.approx(4, abs=1e-12)


def test_experts_start_the_same_behind_every_router():
    starts = {}
    for name in ("linear", "mlp", "product", "constant", "quantum"):
        model = spec(name).build()
        vector = model.init(3, 5)
        assert vector.shape == (model.size,)
        starts[name] = vector[model.sizes[0] : model.sizes[0] + model.sizes[1]]
    for experts in starts.values():
        assert np.array_equal(experts, starts["linear"])
    assert not np.array_equal(spec("linear").build().init(3, 6)[-36:], starts["linear"])
    temperature = spec("quantum", "temperature").build()
    assert temperature.init(0, 0)[-1] == 0


def test_linear_experts_start_as_torchs_linear_layer():
    experts = LinearExperts(9, 4, 3)
    draws = experts.init(stream(0, 0, "init"))
    assert draws.shape == (experts.size,) == (4 * 3 * 10,)
    assert np.abs(draws).max() <= 1 / 3
    assert np.abs(draws).max() > 0.3


class OnlyACall:
    """A router of somebody else: attributes, initial weights and a call, no gradient."""

    label = family = "third-party"
    num_features, num_experts, size = 2, 4, 8
    emits = "logits"
    counts, cost = Counts(8, 8), Cost(8, 0)
    warnings = ()

    def init(self, rng, scale=1.0):
        return scale * rng.normal(size=self.size)

    def __call__(self, weights, features):
        return torch.tanh(torch.matmul(weights.unflatten(1, (4, 2)), features))


def learn(model: MixtureOfExperts, d: int, epochs: int, batch_size: int | None = 5):
    rng = np.random.default_rng(1)
    x = rng.uniform(0, np.pi, size=(SEEDS, d, 32))
    y = (x[:, 0] + np.sin(2 * x[:, -1]) > 1.5).astype(np.int64) + (x[:, 0] > 2.5)
    config = TrainConfig(epochs=epochs, batch_size=batch_size, learning_rate=0.05, evaluate_every=1)
    data, held_out = examples(x, y, config), examples(x[..., :10], y[:, :10], config)
    return train(model, data, held_out, config, root=0, seeds=range(SEEDS))


def test_a_router_with_nothing_but_a_call_trains():
    model = MixtureOfExperts(OnlyACall(), LinearExperts(2, 4, 3), Gate("softmax", "logits", 4))
    result = learn(model, 2, epochs=30)
    assert (result.curve.train_loss[-1] < result.curve.train_loss[0] - 0.1).all()
    start = torch.from_numpy(np.stack([model.init(0, seed) for seed in range(SEEDS)]))
    assert ((result.weights - start)[:, :8].abs() > 1e-3).all()


@pytest.mark.parametrize("batch_size", [None, 5])
@pytest.mark.parametrize("gate", ["auto", "temperature"])
@pytest.mark.parametrize("name", [n for n in ROUTERS if n not in ("large", "dephased")])
def test_a_training_run_by_hand_written_gradients_is_one_by_autograd(name, gate, batch_size):
    fused, plain = spec(name, gate).build(), spec(name, gate).build(autograd=True)
    d = fused.router.num_features
    a, b = (learn(model, d, epochs=3, batch_size=batch_size) for model in (fused, plain))
    assert np.array_equal(a.best_epoch, b.best_epoch)
    np.testing.assert_allclose(a.curve.train_loss, b.curve.train_loss, rtol=0, atol=1e-10)
    torch.testing.assert_close(a.weights, b.weights, rtol=0, atol=1e-10)
