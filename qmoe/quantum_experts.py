"""Quantum experts: a circuit of its own and a linear map behind it for every expert.

All experts of all seeds are one batched program: an expert is a seed more.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

from qmoe.angles import whole
from qmoe.ansatz import paper
from qmoe.arrays import Floats
from qmoe.routers import dense
from qmoe.routers.base import uniform
from qmoe.routers.quantum import noisy_program
from qmoe.simulate.cost import multiply_adds
from qmoe.simulate.expectation import Expectations, z_signs
from qmoe.simulate.noisy import NoisyProgram


class _Saved(NamedTuple):
    circuit: Any
    expectations: Tensor


class QuantumExperts:
    """E classifiers that are a `paper` circuit each: Z of every qubit, a linear map to logits.

    One qubit per feature, radians. noise: options of a `qmoe.noise.NoiseModel` as text, for the
    circuits of all experts; None is none. Weights of one seed: the angles of all experts, then
    the linear map of each.

    Raises:
        InputError: A noise model that cannot be.
    """

    def __init__(
        self,
        num_features: int,
        num_experts: int,
        num_classes: int,
        *,
        layers: int = 2,
        noise: str | None = None,
    ) -> None:
        circuit = paper(whole(num_features, "number of features", 1), layers)
        ideal = Expectations(circuit)
        self.program: Expectations | NoisyProgram = ideal
        if noise is not None:
            self.program = noisy_program(circuit, noise).read(z_signs(num_features).numpy())
        self.num_features = num_features
        self.num_classes = num_classes
        self.shape = (num_experts, num_classes)
        self.angles = num_experts * circuit.num_weights
        self.size = self.angles + num_experts * dense.size(num_features, num_classes)
        self.circuits = num_experts
        self._work = sum(multiply_adds(part.circuit) for part in ideal.programs)

    @property
    def multiply_adds(self) -> int:
        """Real multiply-adds of one prediction, all experts evaluated, without noise."""
        experts, classes = self.shape
        return experts * (self._work + dense.multiply_adds(self.num_features, classes))

    def init(self, rng: np.random.Generator) -> Float64[Floats, " weight"]:
        """Angles uniform over the circle, torch's default for the linear maps."""
        angles = rng.uniform(-np.pi, np.pi, self.angles)
        return np.concatenate([angles, uniform(rng, self.num_features, self.size - self.angles)])

    def forward(
        self, weights: Float[Tensor, "seed weight"], features: Float[Tensor, "s feature batch"]
    ) -> tuple[Float[Tensor, "seed expert class batch"], _Saved]:
        """Class logits of every expert, and the expectations that they are linear in."""
        experts, classes = self.shape
        angles = weights[:, : self.angles].reshape(len(weights) * experts, -1)
        saved: Any = None
        if weights.requires_grad:  # the plain route, for autograd
            z = self.program(angles, self._each(features))
        else:
            z, saved = self.program.forward(angles, self._each(self.program.prepare(features)))
        logits = dense.forward(self._maps(weights), z, classes)
        return logits.unflatten(0, (-1, experts)), _Saved(saved, z)

    def backward(
        self,
        weights: Float[Tensor, "seed weight"],
        saved: _Saved,
        grad: Float[Tensor, "seed expert class batch"],
    ) -> Float[Tensor, "seed weight"]:
        """Through the linear maps and the circuits."""
        experts, _ = self.shape
        each = grad.flatten(0, 1)
        angles = weights[:, : self.angles].reshape(len(weights) * experts, -1)
        to_z = dense.backward_rows(self._maps(weights), each, self.num_features)
        to_angles = self.program.backward(angles, saved.circuit, to_z)
        to_maps = dense.backward(saved.expectations, each)
        return torch.cat([to_angles.view(len(weights), -1), to_maps.view(len(weights), -1)], 1)

    def _each(self, rows: Tensor) -> Tensor:
        """Rows for every expert of every seed; what all seeds share stays shared."""
        return rows if len(rows) == 1 else rows.repeat_interleave(self.shape[0], 0)

    def _maps(self, weights: Tensor) -> Float[Tensor, "seed_expert weight"]:
        """The linear map of every expert, one in a row."""
        return weights[:, self.angles :].reshape(len(weights) * self.shape[0], -1)
