"""The linear router: one linear map to a softmax gate (model A of the study)."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float64
from torch import Tensor

from qmoe.arrays import Floats
from qmoe.routers import dense
from qmoe.routers.base import Cost, Counts, Emits, uniform


class LinearRouter:
    """Logits W x + b."""

    family = "linear"
    emits: Emits = "logits"
    warnings: tuple[str, ...] = ()

    def __init__(self, num_features: int, num_experts: int) -> None:
        self.label = "linear"
        self.num_features, self.num_experts = num_features, num_experts
        self.size = dense.size(num_features, num_experts)
        self.counts = Counts(self.size, self.size)
        self.cost = Cost(dense.multiply_adds(num_features, num_experts), 0)

    def init(self, rng: np.random.Generator, scale: float = 1.0) -> Float64[Floats, " weight"]:
        """Torch's default for a linear layer."""
        return scale * uniform(rng, self.num_features, self.size)

    def __call__(
        self, weights: Float[Tensor, "seed weight"], features: Float[Tensor, "s feature batch"]
    ) -> Float[Tensor, "seed expert batch"]:
        """Logits."""
        return dense.forward(weights, features, self.num_experts)

    def prepare(self, features: Float[Tensor, "s feature batch"]) -> Float[Tensor, "s f batch"]:
        """The features as they are."""
        return features

    def forward(
        self, weights: Float[Tensor, "seed weight"], prepared: Float[Tensor, "s f batch"]
    ) -> tuple[Float[Tensor, "seed expert batch"], Tensor]:
        """Logits, and the features."""
        return dense.forward(weights, prepared, self.num_experts), prepared

    def backward(
        self,
        weights: Float[Tensor, "seed weight"],
        saved: Tensor,
        grad: Float[Tensor, "seed expert batch"],
    ) -> Float[Tensor, "seed weight"]:
        """The gradient to the weights."""
        return dense.backward(saved, grad)
