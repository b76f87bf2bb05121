"""The product router: independent bits with cos^2 probabilities, classical, n parameters.

It is the distribution of the `paper` circuit with one layer, where the CZs are invisible.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

from qmoe.arrays import Floats
from qmoe.routers.base import Cost, Counts, Emits
from qmoe.routers.outcomes import outcome_matrix, uneven
from qmoe.routers.quantum import router_circuit, unseen_features
from qmoe.simulate.states import product_overlaps, product_state


class _Saved(NamedTuple):
    angles: Tensor
    bits: Tensor


class ProductRouter:
    """Bit i is 0 with probability cos^2((x_i + theta_i) / 2), independently; angles in radians."""

    family = "product"
    emits: Emits = "probabilities"

    def __init__(self, num_features: int, num_experts: int, *, outcome_map: str = "modulo") -> None:
        # the circuit it equals says which qubits are measured and which features are seen
        circuit = router_circuit(num_features, num_experts, layers=1, ansatz="paper")
        self.measured = circuit.measured
        self.label = "product"
        self.num_features, self.num_experts = num_features, num_experts
        self.size = circuit.num_weights
        self.counts = Counts(self.size, self.size)
        bits = len(self.measured)
        # cos^2 of every bit, then the products of 2, 3, ... bits at a time
        self.cost = Cost(bits + sum(2**k for k in range(2, bits + 1)), 0)
        self.warnings = unseen_features(circuit) + uneven(num_experts, len(self.measured))
        matrix = outcome_matrix(outcome_map, num_experts, len(self.measured))
        self.outcome_matrix = torch.from_numpy(matrix)

    def init(self, rng: np.random.Generator, scale: float = 1.0) -> Float64[Floats, " weight"]:
        """Uniform over the circle, as the quantum router."""
        return scale * rng.uniform(-np.pi, np.pi, self.size)

    def __call__(
        self, weights: Float[Tensor, "seed weight"], features: Float[Tensor, "s feature batch"]
    ) -> Float[Tensor, "seed expert batch"]:
        """Expert probabilities."""
        return self.forward(weights, self.prepare(features))[0]

    def prepare(self, features: Float[Tensor, "s feature batch"]) -> Float[Tensor, "s bit batch"]:
        """The features of the measured bits; a bit without a feature has angle theta alone."""
        bits = len(self.measured)
        missing = bits - features.shape[1]
        if missing > 0:
            zeros = features.new_zeros((features.shape[0], missing, features.shape[2]))
            features = torch.cat([features, zeros], 1)
        return features[:, :bits]

    def forward(
        self, weights: Float[Tensor, "seed weight"], prepared: Float[Tensor, "s bit batch"]
    ) -> tuple[Float[Tensor, "seed expert batch"], _Saved]:
        """Expert probabilities, and angles and bit probabilities for `backward`."""
        angles = prepared + weights[:, : len(self.measured), None]
        zero = (1 + angles.cos()) / 2  # cos^2(a / 2)
        bits = torch.stack([zero, 1 - zero], 2)
        out = torch.matmul(self.outcome_matrix.to(zero), product_state(bits))
        return out, _Saved(angles, bits)

    def backward(
        self,
        weights: Float[Tensor, "seed weight"],
        saved: _Saved,
        grad: Float[Tensor, "seed expert batch"],
    ) -> Float[Tensor, "seed weight"]:
        """The gradient to the angles; bits that no expert sees have none."""
        to_outcomes = torch.matmul(self.outcome_matrix.to(grad).T, grad)
        to_bits = product_overlaps(to_outcomes, saved.bits)
        to_zero = to_bits[:, :, 0] - to_bits[:, :, 1]
        out = torch.zeros_like(weights)
        out[:, : len(self.measured)] = (to_zero * -saved.angles.sin() / 2).sum(2)
        return out
