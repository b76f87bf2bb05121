"""The low-rank trig router: the trig-product router with its coefficients as a sum of products.

A CP decomposition (a sum of `rank` outer products) of the tensor of (2 D + 1)^d coefficients, for
dimensions where that many are too many. With enough terms it is the trig-product router; with
few it is an approximation of it.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

from qmoe.angles import whole
from qmoe.arrays import Floats
from qmoe.routers import dense
from qmoe.routers.base import Cost, Counts, Emits, uniform
from qmoe.routers.trig import harmonics


class _Saved(NamedTuple):
    prepared: Tensor
    factors: Tensor
    products: list[Tensor]


class LowRankTrigRouter:
    """Logits sum_r C[e, r] prod_j (1 + <v[r, j], t(x_j)>) + bias[e].

    t(x) is (1, cos x, sin x, ..., cos Dx, sin Dx). The added 1 changes no function, only where
    the numbers start: all products are 1 where all v are 0. Weights: v in the order of j, r and
    part, then C row by row, then the biases.
    """

    family = "low-rank-trig"
    emits: Emits = "logits"
    warnings: tuple[str, ...] = ()

    def __init__(
        self, num_features: int, num_experts: int, *, degree: int = 1, rank: int = 8
    ) -> None:
        self.degree, self.rank = whole(degree, "degree", 1), whole(rank, "rank", 1)
        self.label = f"low-rank trig D={self.degree} r={self.rank}"
        self.num_features, self.num_experts = num_features, num_experts
        self.parts = 2 * self.degree + 1
        self.first = num_features * self.rank * self.parts
        self.size = self.first + dense.size(self.rank, num_experts)
        self.counts = Counts(self.size, self.size)
        # the part 1 of t is a bias of its factor
        factors = num_features * dense.multiply_adds(self.parts - 1, self.rank)
        products = self.rank * (num_features - 1)
        self.cost = Cost(factors + products + dense.multiply_adds(self.rank, num_experts), 0)

    def init(self, rng: np.random.Generator, scale: float = 1.0) -> Float64[Floats, " weight"]:
        """Normal v of variance 1 / (d (D + 1)); torch's default for C and bias.

        As |t(x)|^2 = D + 1 at every x, a factor is then normal with mean 1 and variance 1/d, and
        a product of d factors has mean 1 and second moment (1 + 1/d)^d, between 2 and e.
        """
        deviation = math.sqrt(1 / (self.num_features * (self.degree + 1)))
        v = rng.normal(0.0, deviation, self.first)
        return scale * np.concatenate([v, uniform(rng, self.rank, self.size - self.first)])

    def __call__(
        self, weights: Float[Tensor, "seed weight"], features: Float[Tensor, "s feature batch"]
    ) -> Float[Tensor, "seed expert batch"]:
        """Logits."""
        return self.forward(weights, self.prepare(features))[0]

    def prepare(self, features: Float[Tensor, "s feature batch"]) -> Float[Tensor, "s row batch"]:
        """The vectors t of all features, one after the other."""
        return harmonics(features, self.degree).flatten(1, 2)

    def forward(
        self, weights: Float[Tensor, "seed weight"], prepared: Float[Tensor, "s row batch"]
    ) -> tuple[Float[Tensor, "seed expert batch"], _Saved]:
        """Logits; for `backward` the factors, and the products of the first 1, 2, ..., d."""
        v = weights[:, : self.first].unflatten(1, (self.num_features, self.rank, self.parts))
        t = prepared.unflatten(1, (self.num_features, self.parts))
        factors = torch.matmul(v, t).add_(1)
        products = [factors[:, 0]]
        for j in range(1, self.num_features):
            products.append(products[-1] * factors[:, j])
        logits = dense.forward(weights[:, self.first :], products[-1], self.num_experts)
        return logits, _Saved(prepared, factors, products)

    def backward(
        self,
        weights: Float[Tensor, "seed weight"],
        saved: _Saved,
        grad: Float[Tensor, "seed expert batch"],
    ) -> Float[Tensor, "seed weight"]:
        """Back through the products, a factor at a time; exact also where a factor is 0."""
        prepared, factors, products = saved
        rest = dense.backward_rows(weights[:, self.first :], grad, self.rank)
        t = prepared.unflatten(1, (self.num_features, self.parts)).mT
        to_v = []
        for j in reversed(range(1, self.num_features)):
            to_v.append(torch.matmul(rest * products[j - 1], t[:, j]))
            rest = rest * factors[:, j]
        to_v.append(torch.matmul(rest, t[:, 0]))
        to_map = dense.backward(products[-1], grad)
        return torch.cat([torch.stack(to_v[::-1], 1).flatten(1), to_map], 1)
