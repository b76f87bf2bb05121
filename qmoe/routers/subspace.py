"""Subspace training: any router with as many trainable numbers as wanted (arXiv 1804.08838).

The weights of a base router are theta_0 + A z. Only z trains; the start theta_0 and the random
directions A, columns of length 1, stay as they were drawn.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Float64, Num
from torch import Tensor

from qmoe.angles import whole
from qmoe.arrays import Floats
from qmoe.errors import InputError
from qmoe.routers import build
from qmoe.routers.base import Counts, Emits, fused
from qmoe.texts import name_and_options


class _Saved(NamedTuple):
    theta: Tensor
    base: Any


class SubspaceRouter:
    """A base router that moves along `dimension` random directions from its initial weights.

    base: its name and options in text, colons between them: "mlp:hidden=16".

    Weights of one seed: z, then the frozen theta_0 and A row by row, so that a checkpoint holds
    them. A prediction costs what the base costs: theta is worked out once, not per input.

    Raises:
        InputError: More directions than the base has weights, or a base with frozen numbers.
    """

    family = "subspace"

    def __init__(
        self, num_features: int, num_experts: int, *, base: str = "mlp", dimension: int = 4
    ) -> None:
        name, options = name_and_options(base.replace(":", ","), "base")
        if name == self.family:
            raise InputError(
                got=f"base {base!r} of a subspace",
                expected="a router that trains all its numbers",
                do="name the router itself",
            )
        self.base = build(name, num_features, num_experts, **options)
        if self.base.counts.frozen:
            raise InputError(
                got=f"base {base!r} with {self.base.counts.frozen} frozen numbers",
                expected="a router that trains all its numbers",
                do="choose another base",
            )
        self.dimension = whole(dimension, "subspace dimension", 1)
        if self.dimension > self.base.size:
            raise InputError(
                got=f"subspace dimension {self.dimension} of {self.base.label}",
                expected=f"at most its {self.base.size} weights",
                do="lower the dimension or use a larger base",
            )
        self.fused = fused(self.base)
        self.label = f"subspace {self.dimension} of {self.base.label}"
        self.num_features, self.num_experts = num_features, num_experts
        self.emits: Emits = self.base.emits
        self.warnings = self.base.warnings
        frozen = self.base.size * (1 + self.dimension)
        self.size = self.dimension + frozen
        self.counts = Counts(self.dimension, self.dimension, frozen)
        self.cost = self.base.cost

    def init(self, rng: np.random.Generator, scale: float = 1.0) -> Float64[Floats, " weight"]:
        """Zeros for z, the base's own start, which is what `scale` multiplies, and A."""
        start = self.base.init(rng, scale)
        directions = rng.normal(size=(self.base.size, self.dimension))
        directions /= np.linalg.norm(directions, axis=0)
        return np.concatenate([np.zeros(self.dimension), start, directions.ravel()])

    def __call__(
        self, weights: Float[Tensor, "seed weight"], features: Float[Tensor, "s feature batch"]
    ) -> Float[Tensor, "seed expert batch"]:
        """The base's output."""
        return self.base(self._theta(weights), features)

    def prepare(self, features: Float[Tensor, "s feature batch"]) -> Num[Tensor, "s row batch"]:
        """As the base does."""
        return self.fused.prepare(features)

    def forward(
        self, weights: Float[Tensor, "seed weight"], prepared: Num[Tensor, "s row batch"]
    ) -> tuple[Float[Tensor, "seed expert batch"], _Saved]:
        """The base's output, its weights and what it keeps."""
        theta = self._theta(weights)
        out, kept = self.fused.forward(theta, prepared)
        return out, _Saved(theta, kept)

    def backward(
        self,
        weights: Float[Tensor, "seed weight"],
        saved: _Saved,
        grad: Float[Tensor, "seed expert batch"],
    ) -> Float[Tensor, "seed weight"]:
        """The base's gradient along each direction; frozen numbers have none."""
        to_theta = self.fused.backward(saved.theta, saved.base, grad)
        out = torch.zeros_like(weights)
        _, directions = self._frozen(weights)
        out[:, : self.dimension] = torch.matmul(to_theta.unsqueeze(1), directions).squeeze(1)
        return out

    def _theta(self, weights: Float[Tensor, "seed weight"]) -> Float[Tensor, "seed theta"]:
        start, directions = self._frozen(weights)
        z = weights[:, : self.dimension].unsqueeze(2)
        return start + torch.matmul(directions, z).squeeze(2)

    def _frozen(
        self, weights: Float[Tensor, "seed weight"]
    ) -> tuple[Float[Tensor, "seed theta"], Float[Tensor, "seed theta z"]]:
        start, directions = weights[:, self.dimension :].detach().tensor_split([self.base.size], 1)
        return start, directions.unflatten(1, (self.base.size, self.dimension))
