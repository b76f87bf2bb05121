"""The constant gate: the same expert mixture for every input, the floor of every comparison."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float64
from torch import Tensor

from qmoe.arrays import Floats
from qmoe.routers.base import Cost, Counts, Emits


class ConstantRouter:
    """Logits that do not look at the input; with one expert, a single linear classifier."""

    family = "constant"
    emits: Emits = "logits"
    warnings: tuple[str, ...] = ()

    def __init__(self, num_features: int, num_experts: int) -> None:
        self.label = "constant"
        self.num_features, self.num_experts = num_features, num_experts
        self.size = num_experts
        self.counts = Counts(num_experts, num_experts)
        self.cost = Cost(0, 0)

    def init(self, rng: np.random.Generator, scale: float = 1.0) -> Float64[Floats, " weight"]:
        """Small, so that the gate starts close to uniform."""
        return scale * rng.normal(0.0, 0.1, self.size)

    def __call__(
        self, weights: Float[Tensor, "seed weight"], features: Float[Tensor, "s feature batch"]
    ) -> Float[Tensor, "seed expert batch"]:
        """The same logits for every sample."""
        return weights.unsqueeze(2).expand(-1, -1, features.shape[-1])

    def prepare(self, features: Float[Tensor, "s feature batch"]) -> Float[Tensor, "s f batch"]:
        """The features, of which only the number is used."""
        return features

    def forward(
        self, weights: Float[Tensor, "seed weight"], prepared: Float[Tensor, "s f batch"]
    ) -> tuple[Float[Tensor, "seed expert batch"], None]:
        """The logits; the gradient needs nothing."""
        return self(weights, prepared), None

    def backward(
        self,
        weights: Float[Tensor, "seed weight"],
        saved: None,
        grad: Float[Tensor, "seed expert batch"],
    ) -> Float[Tensor, "seed weight"]:
        """Summed over the batch."""
        return grad.sum(2)
