"""Gates: from a router's output to gate weights that sum to 1 over the experts.

`probability` takes a router's probabilities as they are. `softmax` is the paper's literal
pipeline; over probabilities it cannot route sharply (four experts: at most e / (e + 3) = .475).
`temperature` divides by a learnable temperature first, which removes that limit. Any of them can
keep only the `top_k` largest weights of a sample. Batch last.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from qmoe.angles import whole
from qmoe.errors import InputError, unknown
from qmoe.routers.base import Emits

GATE_KINDS = ("probability", "softmax", "temperature")


class Saved(NamedTuple):
    """What the backward pass of a gate needs."""

    scaled: Float[Tensor, "seed expert batch"]
    dense: Float[Tensor, "seed expert batch"]
    kept: Bool[Tensor, "seed expert batch"] | None
    weights: Float[Tensor, "seed expert batch"]


class Gate:
    """One kind of gate; `size` is 1 where it has a temperature to learn, else 0.

    The learnable number is log T, so T stays positive.
    """

    def __init__(
        self, kind: str, emits: Emits, num_experts: int, *, top_k: int | None = None
    ) -> None:
        if kind not in GATE_KINDS:
            raise unknown("gate", kind, GATE_KINDS)
        if kind == "probability" and emits != "probabilities":
            raise InputError(
                got="gate 'probability' on a router that emits logits",
                expected="softmax or temperature",
                do="choose another gate for this router",
            )
        if top_k is not None and whole(top_k, "top-k", 1) > num_experts:
            raise InputError(
                got=f"top-k {top_k} of {num_experts} experts",
                expected=f"at most {num_experts}",
                do="lower top-k",
            )
        self.kind = kind
        self.top_k = top_k if top_k is not None and top_k < num_experts else None
        self.size = int(kind == "temperature")

    def forward(
        self, parameters: Float[Tensor, "seed p"], out: Float[Tensor, "seed expert batch"]
    ) -> tuple[Float[Tensor, "seed expert batch"], Saved]:
        """Gate weights, and what `backward` needs."""
        scaled = out
        if self.kind == "temperature":
            scaled = out * torch.exp(-parameters).unsqueeze(2)
        dense = out if self.kind == "probability" else scaled.softmax(1)
        if self.top_k is None:
            return dense, Saved(scaled, dense, None, dense)
        index = dense.topk(self.top_k, 1).indices
        kept = torch.zeros_like(dense, dtype=torch.bool).scatter_(1, index, True)
        sparse = dense * kept
        weights = sparse / sparse.sum(1, keepdim=True)
        return weights, Saved(scaled, dense, kept, weights)

    def backward(
        self, parameters: Float[Tensor, "seed p"], saved: Saved, grad: Float[Tensor, "seed e b"]
    ) -> tuple[Float[Tensor, "seed expert batch"], Float[Tensor, "seed p"]]:
        """Gradients to the router's output and to the gate's own parameters."""
        if saved.kept is not None:
            total = (saved.dense * saved.kept).sum(1, keepdim=True)
            mean = (grad * saved.weights).sum(1, keepdim=True)
            grad = saved.kept * (grad - mean) / total
        if self.kind == "probability":
            return grad, torch.zeros_like(parameters)
        mean = (grad * saved.dense).sum(1, keepdim=True)
        grad = saved.dense * (grad - mean)
        if self.kind == "softmax":
            return grad, torch.zeros_like(parameters)
        to_log = -(grad * saved.scaled).sum((1, 2)).unsqueeze(1)
        return grad * torch.exp(-parameters).unsqueeze(2), to_log
