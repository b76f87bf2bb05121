"""What a router is, and how the trainer gets gradients from any of them.

A router maps features to one number per expert: probabilities, or logits for a softmax gate.
All seeds run at once: weights are (seed, size), features (1 | seed, d, batch), batch last.
"""

from __future__ import annotations

import math
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Float64, Num
from torch import Tensor

from qmoe.arrays import Floats

Emits = Literal["probabilities", "logits"]


class Counts(NamedTuple):
    """Numbers of a router: trainable as the paper counts them, all trainable, and frozen.

    Frozen numbers are drawn at random, stored with the trained ones and never trained.
    """

    paper: int
    actual: int
    frozen: int = 0


class Cost(NamedTuple):
    """What one input costs at prediction: real multiply-adds, and circuits on a device.

    A multiply-add is a real multiplication with the addition that takes it up. Not counted are
    additions alone, sign changes, permutations, ReLU, and transcendental functions (sine, cosine,
    exponential) with their arguments. A router that is a circuit counts the exact simulation of
    it, see `qmoe.simulate.cost`; on a device it is one circuit, however many shots it takes.
    """

    multiply_adds: int
    circuits: int


@runtime_checkable
class Router(Protocol):
    """Anything that can choose between experts; differentiable by autograd.

    A weight vector has `size` = `counts.actual` + `counts.frozen` entries, the frozen ones last;
    their gradient is exactly zero.
    """

    label: str
    family: str
    num_features: int
    num_experts: int
    emits: Emits
    size: int
    counts: Counts
    cost: Cost
    warnings: tuple[str, ...]

    def init(self, rng: np.random.Generator, scale: float = 1.0) -> Float64[Floats, " weight"]:
        """Initial weights of one seed; `scale` multiplies the trainable ones, not the draws."""
        ...

    def __call__(
        self, weights: Float[Tensor, "seed weight"], features: Float[Tensor, "s feature batch"]
    ) -> Float[Tensor, "seed expert batch"]:
        """Probabilities or logits, one per expert."""
        ...


@runtime_checkable
class Fused(Protocol):
    """An output with its gradient, and a part of it that is computed once per data set."""

    def prepare(self, features: Float[Tensor, "s feature batch"]) -> Num[Tensor, "s row batch"]:
        """What does not depend on the weights."""
        ...

    def forward(
        self, weights: Float[Tensor, "seed weight"], prepared: Num[Tensor, "s row batch"]
    ) -> tuple[Float[Tensor, "seed expert batch"], Any]:
        """The output, and what `backward` needs."""
        ...

    def backward(
        self,
        weights: Float[Tensor, "seed weight"],
        saved: Any,
        grad: Float[Tensor, "seed expert batch"],
    ) -> Float[Tensor, "seed weight"]:
        """The gradient to the weights from the cotangent of the output."""
        ...


@runtime_checkable
class FusedRouter(Router, Fused, Protocol):
    """A router with a hand-written gradient."""


class AutogradGradient:
    """The fused interface of a router that has no hand-written gradient (and its test oracle)."""

    def __init__(self, router: Router) -> None:
        self.router = router

    def prepare(self, features: Float[Tensor, "s feature batch"]) -> Float[Tensor, "s f batch"]:
        """The features as they are."""
        return features

    def forward(
        self, weights: Float[Tensor, "seed weight"], prepared: Float[Tensor, "s f batch"]
    ) -> tuple[Float[Tensor, "seed expert batch"], tuple[Tensor, Tensor]]:
        """The output, detached, and the graph behind it."""
        with torch.enable_grad():
            leaf = weights.detach().requires_grad_()
            out = self.router(leaf, prepared)
        return out.detach(), (leaf, out)

    def backward(
        self,
        weights: Float[Tensor, "seed weight"],
        saved: tuple[Tensor, Tensor],
        grad: Float[Tensor, "seed expert batch"],
    ) -> Float[Tensor, "seed weight"]:
        """The gradient by autograd."""
        leaf, out = saved
        if not out.requires_grad:
            return torch.zeros_like(weights)
        return torch.autograd.grad(out, leaf, grad)[0]


def fused(router: Router) -> Fused:
    """The hand-written gradient of a router that has one, else autograd's."""
    return router if isinstance(router, FusedRouter) else AutogradGradient(router)


def outcome_bits(num_experts: int) -> int:
    """Measured qubits for E experts: max(1, ceil(log2 E)).

    >>> [outcome_bits(e) for e in (1, 2, 3, 4, 5)]
    [1, 1, 2, 2, 3]
    """
    return max(1, math.ceil(math.log2(num_experts)))


def uniform(rng: np.random.Generator, fan_in: int, size: int) -> Float64[Floats, " weight"]:
    """Torch's initialisation of a linear layer: uniform within 1/sqrt(fan_in)."""
    bound = 1 / math.sqrt(fan_in)
    return rng.uniform(-bound, bound, size)
