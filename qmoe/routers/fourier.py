"""The random-Fourier router: a softmax over random cosine features, the classical kernel control.

Rahimi & Recht, "Random Features for Large-Scale Kernel Machines" (NeurIPS 2007): the inner
product of two inputs' features estimates the Gaussian kernel exp(-|x - x'|^2 / (2 bandwidth^2)).
"""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

from qmoe.angles import finite, whole
from qmoe.arrays import Floats
from qmoe.errors import InputError
from qmoe.routers import dense
from qmoe.routers.base import Cost, Counts, Emits, uniform
from qmoe.routers.memory import LastValue


class FourierRouter:
    """Logits W sqrt(2/m) cos(w x + b) + c with m cosines; w and b are drawn once and frozen.

    features: m, the number of cosines. bandwidth: the length scale of the kernel, in the units of
    the features; w is normal with standard deviation 1 / bandwidth, b uniform over the circle.
    """

    family = "random-fourier"
    emits: Emits = "logits"
    warnings: tuple[str, ...] = ()

    def __init__(
        self, num_features: int, num_experts: int, *, features: int = 32, bandwidth: float = 1.0
    ) -> None:
        self.cosines = whole(features, "number of random features", 1)
        self.bandwidth = finite(bandwidth, "bandwidth")
        if self.bandwidth <= 0:
            raise InputError(got=f"bandwidth {bandwidth}", expected="> 0", do="raise it")
        wide = "" if self.bandwidth == 1 else f" bandwidth={self.bandwidth:g}"
        self.label = f"random Fourier m={self.cosines}{wide}"
        self.num_features, self.num_experts = num_features, num_experts
        self.trained = dense.size(self.cosines, num_experts)
        frozen = dense.size(num_features, self.cosines)
        self.size = self.trained + frozen
        self.counts = Counts(self.trained, self.trained, frozen)
        into = dense.multiply_adds(num_features, self.cosines)
        self.cost = Cost(into + dense.multiply_adds(self.cosines, num_experts), 0)
        self._kept = LastValue(self._rows)

    def init(self, rng: np.random.Generator, scale: float = 1.0) -> Float64[Floats, " weight"]:
        """Torch's default for the linear map; then w row by row, and b."""
        linear = scale * uniform(rng, self.cosines, self.trained)
        w = rng.normal(0.0, 1 / self.bandwidth, self.cosines * self.num_features)
        return np.concatenate([linear, w, rng.uniform(-np.pi, np.pi, self.cosines)])

    def __call__(
        self, weights: Float[Tensor, "seed weight"], features: Float[Tensor, "s feature batch"]
    ) -> Float[Tensor, "seed expert batch"]:
        """Logits."""
        return self._logits(weights, self._rows(self._frozen(weights), features))

    def prepare(self, features: Float[Tensor, "s feature batch"]) -> Float[Tensor, "s f batch"]:
        """The features as they are: the cosines differ from seed to seed."""
        return features

    def forward(
        self, weights: Float[Tensor, "seed weight"], prepared: Float[Tensor, "s f batch"]
    ) -> tuple[Float[Tensor, "seed expert batch"], Tensor]:
        """Logits, and the random features."""
        rows = self._kept(self._frozen(weights), prepared)
        return self._logits(weights, rows), rows

    def backward(
        self,
        weights: Float[Tensor, "seed weight"],
        saved: Tensor,
        grad: Float[Tensor, "seed expert batch"],
    ) -> Float[Tensor, "seed weight"]:
        """The gradient to the linear map; the frozen numbers have none."""
        nothing = torch.zeros_like(self._frozen(weights))
        return torch.cat([dense.backward(saved, grad), nothing], 1)

    def _frozen(self, weights: Tensor) -> Float[Tensor, "seed frozen"]:
        return weights[:, self.trained :].detach()

    def _rows(self, frozen: Tensor, features: Tensor) -> Float[Tensor, "seed cosine batch"]:
        phases = dense.forward(frozen, features, self.cosines)
        return phases.cos() * math.sqrt(2 / self.cosines)

    def _logits(self, weights: Tensor, rows: Tensor) -> Float[Tensor, "seed expert batch"]:
        return dense.forward(weights[:, : self.trained], rows, self.num_experts)
