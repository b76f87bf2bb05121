"""Experts: what a gate chooses between.

All experts of all seeds run at once, batch last, from one flat weight vector per seed.
"""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Float64
from torch import Tensor

from qmoe.arrays import Floats
from qmoe.routers import dense
from qmoe.routers.base import uniform


@runtime_checkable
class Experts(Protocol):
    """E classifiers with class logits, and their gradient."""

    size: int
    num_classes: int

    def init(self, rng: np.random.Generator) -> Float64[Floats, " weight"]:
        """Initial weights of one seed."""
        ...

    def forward(
        self, weights: Float[Tensor, "seed weight"], features: Float[Tensor, "s feature batch"]
    ) -> tuple[Float[Tensor, "seed expert class batch"], Any]:
        """Class logits of every expert, and what `backward` needs."""
        ...

    def backward(
        self,
        weights: Float[Tensor, "seed weight"],
        saved: Any,
        grad: Float[Tensor, "seed expert class batch"],
    ) -> Float[Tensor, "seed weight"]:
        """The gradient to the weights."""
        ...


class LinearExperts:
    """E linear classifiers: one map to E x K logits."""

    def __init__(self, num_features: int, num_experts: int, num_classes: int) -> None:
        self.num_features = num_features
        self.num_classes = num_classes
        self.shape = (num_experts, num_classes)
        self.size = dense.size(num_features, num_experts * num_classes)

    def init(self, rng: np.random.Generator) -> Float64[Floats, " weight"]:
        """Torch's default for a linear layer."""
        return uniform(rng, self.num_features, self.size)

    def forward(
        self, weights: Float[Tensor, "seed weight"], features: Float[Tensor, "s feature batch"]
    ) -> tuple[Float[Tensor, "seed expert class batch"], Tensor]:
        """Class logits of every expert; the gradient needs the features."""
        experts, classes = self.shape
        logits = dense.forward(weights, features, experts * classes)
        return logits.unflatten(1, self.shape), features

    def backward(
        self,
        weights: Float[Tensor, "seed weight"],
        saved: Tensor,
        grad: Float[Tensor, "seed expert class batch"],
    ) -> Float[Tensor, "seed weight"]:
        """The gradient to the weights."""
        return dense.backward(saved, grad.flatten(1, 2))
