"""A Mixture of Experts: a router, a gate and experts, for many seeds at once.

Class logits are the gate-weighted sum of the experts' logits. One flat vector holds all
trainable numbers of a seed, in the order router, experts, gate. Batch last everywhere.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Float64, Num
from torch import Tensor

from qmoe.arrays import Floats
from qmoe.experts import Experts
from qmoe.gating import Gate
from qmoe.routers.base import AutogradGradient, Fused, Router, fused
from qmoe.seeds import stream


class Prepared(NamedTuple):
    """A data set as the model reads it: the router's cached rows, and the features."""

    rows: Num[Tensor, "s row batch"]
    features: Float[Tensor, "s feature batch"]


class Output(NamedTuple):
    """What a model says of a batch."""

    logits: Float[Tensor, "seed class batch"]
    gate_weights: Float[Tensor, "seed expert batch"]


class Gradient(NamedTuple):
    """The mean cross-entropy of each seed, and the gradient of the whole loss to its numbers."""

    cross_entropy: Float[Tensor, " seed"]
    to_weights: Float[Tensor, "seed weight"]


class MixtureOfExperts:
    """A model and its hand-written gradient; routers without one of their own go by autograd.

    load_balance: the factor of the Switch Transformer's auxiliary loss (arXiv 2101.03961, eq. 4),
    E times the sum over experts of the share of samples routed to it first times its mean gate
    weight; 0 leaves it out. init_scale: the factor of the router's starting numbers.
    embedding_scale: the factor of the features that the router sees; experts see them as they are.
    """

    def __init__(
        self,
        router: Router,
        experts: Experts,
        gate: Gate,
        *,
        load_balance: float = 0.0,
        init_scale: float = 1.0,
        embedding_scale: float = 1.0,
        autograd: bool = False,
    ) -> None:
        self.router, self.experts, self.gate = router, experts, gate
        self.load_balance = load_balance
        self.init_scale, self.embedding_scale = init_scale, embedding_scale
        self.fused: Fused = AutogradGradient(router) if autograd else fused(router)
        self.size = router.size + experts.size + gate.size
        self.sizes = (router.size, experts.size, gate.size)

    @property
    def parameters(self) -> int:
        """Numbers that train: all but the router's frozen ones."""
        return self.size - self.router.counts.frozen

    def init(
        self, root: int, seed: int, scale: float | None = None, replicate: int = 0
    ) -> Float64[Floats, " weight"]:
        """Initial numbers of one seed; experts first, so that every router meets the same ones.

        scale: in place of the model's own init_scale. replicate: as in `qmoe.seeds.stream`.
        """
        rng = stream(root, seed, "init", replicate)
        experts = self.experts.init(rng)
        router = self.router.init(rng, self.init_scale if scale is None else scale)
        return np.concatenate([router, experts, np.zeros(self.gate.size)])

    def prepare(
        self,
        features: Float[Tensor, "s feature batch"],
        seen: Float[Tensor, "seed feature batch"] | None = None,
    ) -> Prepared:
        """What does not change while the weights do.

        seen: the features as the router sees them, in place of the model's own embedding_scale.
        """
        if seen is None:
            seen = features if self.embedding_scale == 1.0 else features * self.embedding_scale
        with torch.no_grad():
            return Prepared(self.fused.prepare(seen), features)

    def output(self, weights: Float[Tensor, "seed weight"], data: Prepared) -> Output:
        """Class logits and gate weights, without gradients."""
        with torch.no_grad():
            routed = self.fused.forward(weights[:, : self.router.size], data.rows)[0]
            return self.output_of(weights, routed, data.features)

    def output_of(
        self,
        weights: Float[Tensor, "seed weight"],
        routed: Float[Tensor, "seed expert batch"],
        features: Float[Tensor, "s feature batch"],
    ) -> Output:
        """The same where the router's output is already there, from another target perhaps."""
        with torch.no_grad():
            _, experts, gate = weights.split(self.sizes, 1)
            chosen, _ = self.gate.forward(gate, routed)
            opinions, _ = self.experts.forward(experts, features)
            return Output((chosen.unsqueeze(2) * opinions).sum(1), chosen)

    def gradient(
        self,
        weights: Float[Tensor, "seed weight"],
        data: Prepared,
        targets: Float[Tensor, "s class batch"],
    ) -> Gradient:
        """Cross-entropy against one-hot targets (plus load balancing) and its gradient, by hand."""
        with torch.no_grad():
            router, experts, gate = weights.split(self.sizes, 1)
            out, kept_router = self.fused.forward(router, data.rows)
            chosen, kept_gate = self.gate.forward(gate, out)
            opinions, kept_experts = self.experts.forward(experts, data.features)
            logits = (chosen.unsqueeze(2) * opinions).sum(1)

            log_p = logits.log_softmax(1)
            batch = logits.shape[2]
            cross_entropy = -(targets * log_p).sum((1, 2)) / batch
            to_logits = ((log_p.exp() - targets) / batch).unsqueeze(1)
            to_chosen = (to_logits * opinions).sum(2)
            if self.load_balance:
                to_chosen = to_chosen + self._balance_slope(chosen)
            to_out, to_gate = self.gate.backward(gate, kept_gate, to_chosen)
            to_experts = self.experts.backward(
                experts, kept_experts, chosen.unsqueeze(2) * to_logits
            )
            to_router = self.fused.backward(router, kept_router, to_out)
            return Gradient(cross_entropy, torch.cat([to_router, to_experts, to_gate], 1))

    def loss(
        self,
        weights: Float[Tensor, "seed weight"],
        features: Float[Tensor, "s feature batch"],
        targets: Float[Tensor, "s class batch"],
    ) -> Float[Tensor, " seed"]:
        """The whole loss as autograd sees it: the plain route that `gradient` must agree with."""
        router, experts, gate = weights.split(self.sizes, 1)
        chosen, _ = self.gate.forward(gate, self.router(router, features * self.embedding_scale))
        opinions, _ = self.experts.forward(experts, features)
        logits = (chosen.unsqueeze(2) * opinions).sum(1)
        total = -(targets * logits.log_softmax(1)).sum(1).mean(1)
        if self.load_balance:
            total = total + (self._balance_slope(chosen.detach()) * chosen).sum((1, 2))
        return total

    def _balance_slope(
        self, chosen: Float[Tensor, "seed expert batch"]
    ) -> Float[Tensor, "seed expert 1"]:
        """d(balance)/d(gate weight): the share routed first is a count and has no gradient."""
        experts, batch = chosen.shape[1], chosen.shape[2]
        first = torch.nn.functional.one_hot(chosen.argmax(1), experts).to(chosen).mean(1)
        return (self.load_balance * experts / batch) * first.unsqueeze(2)
