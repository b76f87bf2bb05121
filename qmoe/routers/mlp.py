"""The deep classical router: one hidden layer of ReLU units (model C of the study)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

from qmoe.angles import whole
from qmoe.arrays import Floats
from qmoe.routers import dense
from qmoe.routers.base import Cost, Counts, Emits, uniform


class _Saved(NamedTuple):
    features: Tensor
    hidden: Tensor


class MLPRouter:
    """Logits W2 relu(W1 x + b1) + b2 with `hidden` units."""

    family = "mlp"
    emits: Emits = "logits"
    warnings: tuple[str, ...] = ()

    def __init__(self, num_features: int, num_experts: int, *, hidden: int = 16) -> None:
        self.hidden = whole(hidden, "number of hidden units", 1)
        self.label = f"MLP h={self.hidden}"
        self.num_features, self.num_experts = num_features, num_experts
        self.first = dense.size(num_features, self.hidden)
        self.size = self.first + dense.size(self.hidden, num_experts)
        self.counts = Counts(self.size, self.size)
        into = dense.multiply_adds(num_features, self.hidden)
        self.cost = Cost(into + dense.multiply_adds(self.hidden, num_experts), 0)

    def init(self, rng: np.random.Generator, scale: float = 1.0) -> Float64[Floats, " weight"]:
        """Torch's default for both layers."""
        first = uniform(rng, self.num_features, self.first)
        return scale * np.concatenate([first, uniform(rng, self.hidden, self.size - self.first)])

    def __call__(
        self, weights: Float[Tensor, "seed weight"], features: Float[Tensor, "s feature batch"]
    ) -> Float[Tensor, "seed expert batch"]:
        """Logits."""
        return self.forward(weights, features)[0]

    def prepare(self, features: Float[Tensor, "s feature batch"]) -> Float[Tensor, "s f batch"]:
        """The features as they are."""
        return features

    def forward(
        self, weights: Float[Tensor, "seed weight"], prepared: Float[Tensor, "s f batch"]
    ) -> tuple[Float[Tensor, "seed expert batch"], _Saved]:
        """Logits, and the hidden units."""
        hidden = dense.forward(weights[:, : self.first], prepared, self.hidden).relu()
        logits = dense.forward(weights[:, self.first :], hidden, self.num_experts)
        return logits, _Saved(prepared, hidden)

    def backward(
        self,
        weights: Float[Tensor, "seed weight"],
        saved: _Saved,
        grad: Float[Tensor, "seed expert batch"],
    ) -> Float[Tensor, "seed weight"]:
        """Through both layers."""
        second = weights[:, self.first :]
        to_hidden = dense.backward_rows(second, grad, self.hidden)
        to_hidden = to_hidden * (saved.hidden > 0)
        first = dense.backward(saved.features, to_hidden)
        return torch.cat([first, dense.backward(saved.hidden, grad)], 1)
