"""Experts: what a gate chooses between.

All experts of all seeds run at once, batch last, from one flat weight vector per seed.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

from qmoe.angles import whole
from qmoe.arrays import Floats
from qmoe.routers import dense
from qmoe.routers.base import uniform


@runtime_checkable
class Experts(Protocol):
    """E classifiers with class logits, and their gradient.

    multiply_adds, circuits: what one input costs when all experts answer it, counted as in
    `qmoe.routers.base.Cost`.
    """

    size: int
    num_classes: int
    circuits: int

    @property
    def multiply_adds(self) -> int:
        """Real multiply-adds of one prediction, all experts evaluated."""
        ...

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

    circuits = 0

    def __init__(self, num_features: int, num_experts: int, num_classes: int) -> None:
        self.num_features = num_features
        self.num_classes = num_classes
        self.shape = (num_experts, num_classes)
        self.size = dense.size(num_features, num_experts * num_classes)

    @property
    def multiply_adds(self) -> int:
        """Real multiply-adds of one prediction, all experts evaluated."""
        experts, classes = self.shape
        return dense.multiply_adds(self.num_features, experts * classes)

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


class _Saved(NamedTuple):
    features: Tensor
    hidden: Tensor


class MLPExperts:
    """E classifiers with a hidden layer of ReLU units each.

    With one expert behind the constant router this is a plain MLP, no mixture: a ceiling.
    Weights of one seed: the hidden layers of all experts as one map, then the second map of each.
    """

    circuits = 0

    def __init__(
        self, num_features: int, num_experts: int, num_classes: int, hidden: int = 16
    ) -> None:
        self.hidden = whole(hidden, "hidden units of an expert", 1)
        self.num_features = num_features
        self.num_classes = num_classes
        self.shape = (num_experts, num_classes)
        self.first = dense.size(num_features, num_experts * self.hidden)
        self.size = self.first + num_experts * dense.size(self.hidden, num_classes)

    @property
    def multiply_adds(self) -> int:
        """Real multiply-adds of one prediction, all experts evaluated."""
        experts, classes = self.shape
        into = dense.multiply_adds(self.num_features, self.hidden)
        return experts * (into + dense.multiply_adds(self.hidden, classes))

    def init(self, rng: np.random.Generator) -> Float64[Floats, " weight"]:
        """Torch's default for both layers."""
        first = uniform(rng, self.num_features, self.first)
        return np.concatenate([first, uniform(rng, self.hidden, self.size - self.first)])

    def forward(
        self, weights: Float[Tensor, "seed weight"], features: Float[Tensor, "s feature batch"]
    ) -> tuple[Float[Tensor, "seed expert class batch"], _Saved]:
        """Class logits of every expert, and the hidden units."""
        experts, classes = self.shape
        units = dense.forward(weights[:, : self.first], features, experts * self.hidden).relu()
        hidden = units.unflatten(1, (experts, self.hidden)).flatten(0, 1)
        logits = dense.forward(self._second(weights), hidden, classes)
        return logits.unflatten(0, (-1, experts)), _Saved(features, hidden)

    def backward(
        self,
        weights: Float[Tensor, "seed weight"],
        saved: _Saved,
        grad: Float[Tensor, "seed expert class batch"],
    ) -> Float[Tensor, "seed weight"]:
        """Through both layers."""
        experts, _ = self.shape
        each = grad.flatten(0, 1)
        to_units = dense.backward_rows(self._second(weights), each, self.hidden)
        to_units = (to_units * (saved.hidden > 0)).unflatten(0, (-1, experts)).flatten(1, 2)
        second = dense.backward(saved.hidden, each).unflatten(0, (-1, experts)).flatten(1, 2)
        return torch.cat([dense.backward(saved.features, to_units), second], 1)

    def _second(self, weights: Tensor) -> Float[Tensor, "seed_expert weight"]:
        """The second map of every expert, one in a row."""
        return weights[:, self.first :].reshape(len(weights) * self.shape[0], -1)
