"""The temperature of a gate, fitted to outcomes that a target gave with a finite number of shots.

With exact probabilities a learned temperature undoes almost any depolarizing noise: it magnifies
what the noise has shrunk. Sampled outcomes carry shot noise, which is magnified with the rest, so
that the temperature that fits them best is another one.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

from qmoe.arrays import Floats
from qmoe.errors import InputError
from qmoe.moe import MixtureOfExperts
from qmoe.routers.quantum import QuantumRouter

LOG_RANGE = (-10.0, 3.0)
"""Temperatures from 5e-5, which tells apart two outcomes of one count in 20,000, to 20."""
POINTS = 40
STEPS = 25
_GOLDEN = (np.sqrt(5) - 1) / 2

Loss = Callable[[Float64[Floats, " seed"]], Float64[Floats, " seed"]]


def with_temperature(
    model: MixtureOfExperts,
    weights: Float[Tensor, "seed weight"],
    features: Float[Tensor, "seed feature batch"],
    labels: Int[Tensor, "seed batch"],
    outcomes: Float[Tensor, "seed outcome batch"],
) -> Float[Tensor, "seed weight"]:
    """The weights with each seed's temperature fitted: the least mean cross-entropy.

    outcomes: relative frequencies of the router's circuit for these inputs.

    Raises:
        InputError: A model whose gate has no temperature, or whose router is no circuit.
    """
    router = model.router
    if not (model.gate.size and isinstance(router, QuantumRouter)):
        raise InputError(
            got=f"gate {model.gate.kind!r} on {router.label}",
            expected="gate 'temperature' on a quantum router",
            do="train it with gate temperature",
        )
    routing, experts, _ = weights.split(model.sizes, 1)
    with torch.no_grad():
        routed = router.from_outcomes(routing, outcomes)
        opinions, _ = model.experts.forward(experts, features)
    index = labels.unsqueeze(1)

    def loss(log_t: Float64[Floats, " seed"]) -> Float64[Floats, " seed"]:
        with torch.no_grad():
            gate = torch.from_numpy(log_t).to(weights).unsqueeze(1)
            chosen, _ = model.gate.forward(gate, routed)
            logits = (chosen.unsqueeze(2) * opinions).sum(1)
            nats = -logits.log_softmax(1).gather(1, index).mean((1, 2))
            return np.asarray(nats.double().numpy())

    fitted = torch.from_numpy(lowest(loss, len(weights), *LOG_RANGE)).to(weights)
    return torch.cat([routing, experts, fitted.unsqueeze(1)], 1)


def lowest(
    loss: Loss, count: int, low: float, high: float, *, points: int = POINTS, steps: int = STEPS
) -> Float64[Floats, " seed"]:
    """Where each of `count` functions on an interval is lowest: a grid, then golden sections.

    loss takes one place per function and gives their values there. The best of all places tried
    is returned, so that it is never worse than the grid.

    >>> target = np.array([0.3, -1.2])
    >>> lowest(lambda x: (x - target) ** 2, 2, -2.0, 2.0).round(4).tolist()
    [0.3, -1.2]
    """
    grid = np.linspace(low, high, points)
    values = np.stack([loss(np.full(count, x)) for x in grid])
    first = values.argmin(0)
    best, least = grid[first], values.min(0)
    a, b = grid[np.maximum(first - 1, 0)], grid[np.minimum(first + 1, points - 1)]
    c, d = b - _GOLDEN * (b - a), a + _GOLDEN * (b - a)
    at_c, at_d = loss(c), loss(d)
    for _ in range(steps):
        for x, value in ((c, at_c), (d, at_d)):
            better = value < least
            best, least = np.where(better, x, best), np.where(better, value, least)
        left = at_c < at_d
        a, b = np.where(left, a, c), np.where(left, d, b)
        inner = np.where(left, b - _GOLDEN * (b - a), a + _GOLDEN * (b - a))
        found = loss(inner)
        c, d = np.where(left, inner, d), np.where(left, c, inner)
        at_c, at_d = np.where(left, found, at_d), np.where(left, at_c, found)
    return np.asarray(best)
