from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from qmoe.errors import InputError
from qmoe.experts import Experts, LinearExperts, MLPExperts
from qmoe.gating import Gate
from qmoe.moe import MixtureOfExperts
from qmoe.routers import build
from qmoe.train import TrainConfig, examples, train

SEEDS, FEATURES, CLASSES, BATCH = 3, 5, 3, 11
KINDS = {
    "linear": lambda experts: LinearExperts(FEATURES, experts, CLASSES),
    "mlp": lambda experts: MLPExperts(FEATURES, experts, CLASSES, 4),
    "mlp h=1": lambda experts: MLPExperts(FEATURES, experts, CLASSES, 1),
}


def weights_of(experts: Experts, seeds: int = SEEDS) -> torch.Tensor:
    draws = [experts.init(np.random.default_rng(seed)) for seed in range(seeds)]
    return torch.from_numpy(np.stack(draws))


def by_hand(kind: str, row: torch.Tensor, number: int) -> list[nn.Module]:
    """The experts of one seed as torch's own modules."""
    if kind == "linear":
        cut = number * CLASSES * FEATURES
        matrix, bias = row[:cut].view(number, CLASSES, FEATURES), row[cut:].view(number, CLASSES)
        return [_linear(matrix[e], bias[e]) for e in range(number)]
    hidden = KINDS[kind](number).hidden
    cut, first = number * hidden * FEATURES, number * hidden * (FEATURES + 1)
    matrix = row[:cut].view(number, hidden, FEATURES)
    bias = row[cut:first].view(number, hidden)
    seconds = row[first:].view(number, CLASSES * (hidden + 1))
    return [
        nn.Sequential(
            _linear(matrix[e], bias[e]),
            nn.ReLU(),
            _linear(
                seconds[e, : CLASSES * hidden].view(CLASSES, hidden),
                seconds[e, CLASSES * hidden :],
            ),
        )
        for e in range(number)
    ]


def _linear(matrix: torch.Tensor, bias: torch.Tensor) -> nn.Linear:
    layer = nn.Linear(matrix.shape[1], matrix.shape[0], dtype=torch.float64)
    layer.weight = nn.Parameter(matrix.clone())
    layer.bias = nn.Parameter(bias.clone())
    return layer


@pytest.mark.parametrize("lead", [1, SEEDS])
@pytest.mark.parametrize("seeds", [1, SEEDS])
@pytest.mark.parametrize("number", [1, 4])
@pytest.mark.parametrize("kind", KINDS)
def test_experts_and_their_gradient_are_torchs(kind, number, seeds, lead):
    experts = KINDS[kind](number)
    lead = min(lead, seeds)
    rng = np.random.default_rng(1)
    x = torch.from_numpy(rng.normal(size=(lead, FEATURES, BATCH)))
    grad = torch.from_numpy(rng.normal(size=(seeds, number, CLASSES, BATCH)))
    weights = weights_of(experts, seeds)
    logits, saved = experts.forward(weights, x)
    assert isinstance(experts, Experts)
    assert weights.shape == (seeds, experts.size)
    for s in range(seeds):
        modules = by_hand(kind, weights[s], number)
        expected = torch.stack([m(x[min(s, lead - 1)].T).T for m in modules])
        torch.testing.assert_close(logits[s], expected, rtol=0, atol=1e-13)
    leaf = weights.clone().requires_grad_()
    experts.forward(leaf, x)[0].backward(grad)
    found = experts.backward(weights, saved, grad)
    torch.testing.assert_close(found, leaf.grad, rtol=0, atol=1e-12)
    assert (found != 0).any(0).all() or kind == "mlp h=1"  # a single unit may be dead


def test_experts_do_not_meet():
    experts = MLPExperts(2, 3, 2, 4)
    weights = weights_of(experts)
    x = torch.linspace(-1, 1, 14, dtype=torch.float64).view(1, 2, 7)
    _, saved = experts.forward(weights, x)
    grad = torch.zeros(SEEDS, 3, 2, 7, dtype=torch.float64)
    grad[:, 1] = 1
    found = experts.backward(weights, saved, grad)
    matrix, bias = found[:, :24].view(SEEDS, 3, 8), found[:, 24:36].view(SEEDS, 3, 4)
    second = found[:, 36:].view(SEEDS, 3, 10)
    for part in (matrix, bias, second):
        assert (part[:, [0, 2]] == 0).all()
        assert (part[:, 1] != 0).any()


@pytest.mark.parametrize("kind", KINDS)
def test_multiply_adds_are_the_matrix_entries(kind):
    experts = KINDS[kind](4)
    row = weights_of(experts, 1)[0]
    matrices = [p for m in by_hand(kind, row, 4) for p in m.parameters() if p.ndim == 2]
    assert experts.multiply_adds == sum(p.numel() for p in matrices)


def test_mlp_experts_start_as_torchs_layers():
    experts = MLPExperts(9, 4, 3, 25)
    draws = experts.init(np.random.default_rng(0))
    first, second = draws[: 4 * 25 * 10], draws[4 * 25 * 10 :]
    assert second.shape == (4 * 3 * 26,)
    for part, bound in ((first, 1 / 3), (second, 1 / 5)):
        # the largest of hundreds of uniform draws is within 5 % of the bound but for 1e-6
        assert 0.95 * bound < np.abs(part).max() <= bound


def test_no_hidden_units_are_an_error():
    with pytest.raises(InputError, match="hidden units of an expert 0; expected a whole number"):
        MLPExperts(2, 1, 2, 0)


def test_one_expert_behind_the_constant_router_trains_as_torchs_own_mlp():
    experts = MLPExperts(2, 1, 2, 6)
    model = MixtureOfExperts(build("constant", 2, 1), experts, Gate("softmax", "logits", 1))
    rng = np.random.default_rng(3)
    x = rng.uniform(0, np.pi, size=(2, 2, 40))
    y = (x[:, 0] > np.cos(x[:, 1]) + 1.5).astype(np.int64)
    config = TrainConfig(epochs=50, learning_rate=0.03)
    trained = train(model, examples(x, y, config), None, config, root=0, seeds=(0, 1))
    for i in (0, 1):
        row = torch.from_numpy(model.init(0, i)[1:])
        plain = nn.Sequential(
            _linear(row[:12].view(6, 2), row[12:18]),
            nn.ReLU(),
            _linear(row[18:30].view(2, 6), row[30:]),
        )
        adam = torch.optim.Adam(plain.parameters(), lr=0.03)
        features, labels = torch.from_numpy(x[i].T.copy()), torch.from_numpy(y[i])
        for _ in range(50):
            adam.zero_grad()
            nn.functional.cross_entropy(plain(features), labels).backward()
            adam.step()
        expected = torch.cat([p.detach().flatten() for p in plain.parameters()])
        torch.testing.assert_close(trained.weights[i, 1:], expected, rtol=0, atol=1e-8)
        out = model.output(trained.weights[i : i + 1], model.prepare(features.T.unsqueeze(0)))
        torch.testing.assert_close(out.logits[0].T, plain(features).detach(), rtol=0, atol=1e-8)
        assert trained.curve.train_loss[-1, i] < trained.curve.train_loss[0, i] - 0.1
