"""The frozen-circuit router: a random circuit that is never trained, under a trained linear map.

What it shows is how much of a result comes from the circuit as a random feature map and how much
from training the circuit.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Float64, Num
from torch import Tensor

from qmoe.arrays import Floats
from qmoe.errors import InputError
from qmoe.routers import dense
from qmoe.routers.base import Cost, Counts, Emits, uniform
from qmoe.routers.memory import LastValue
from qmoe.routers.quantum import router_circuit
from qmoe.simulate.cost import multiply_adds
from qmoe.simulate.program import Program

MOST_QUBITS = 12  # the linear map has 2^n columns


class FrozenCircuitRouter:
    """Logits that are linear in the outcome probabilities of all qubits, big-endian.

    The angles, in radians, are drawn once per seed, uniform over the circle.
    """

    family = "frozen-circuit"
    emits: Emits = "logits"
    warnings: tuple[str, ...] = ()

    def __init__(
        self,
        num_features: int,
        num_experts: int,
        *,
        layers: int = 2,
        ansatz: str = "paper",
        entangler: str | None = None,
    ) -> None:
        self.circuit = router_circuit(
            num_features,
            num_experts,
            layers=layers,
            ansatz=ansatz,
            entangler=entangler,
            measure_all=True,
        )
        if self.circuit.num_qubits > MOST_QUBITS:
            raise InputError(
                got=f"a frozen circuit on {self.circuit.num_qubits} qubits, all measured",
                expected=f"at most {MOST_QUBITS}",
                do="reduce the features with PCA",
            )
        kind = "" if ansatz == "paper" else f" {ansatz}"
        self.label = f"frozen circuit{kind} L={layers}"
        self.num_features, self.num_experts = num_features, num_experts
        self.program = Program(self.circuit)
        outcomes, angles = self.program.num_outcomes, self.circuit.num_weights
        self.trained = dense.size(outcomes, num_experts)
        self.size = self.trained + angles
        self.counts = Counts(self.trained, self.trained, angles)
        self.cost = Cost(
            multiply_adds(self.circuit) + dense.multiply_adds(outcomes, num_experts), 1
        )
        self._kept = LastValue(lambda angles, states: self.program.forward(angles, states)[0])

    def init(self, rng: np.random.Generator, scale: float = 1.0) -> Float64[Floats, " weight"]:
        """Torch's default for the linear map, then the angles."""
        linear = scale * uniform(rng, self.program.num_outcomes, self.trained)
        return np.concatenate([linear, rng.uniform(-np.pi, np.pi, self.counts.frozen)])

    def __call__(
        self, weights: Float[Tensor, "seed weight"], features: Float[Tensor, "s feature batch"]
    ) -> Float[Tensor, "seed expert batch"]:
        """Logits."""
        return self._logits(weights, self.program(self._angles(weights), features))

    def prepare(self, features: Float[Tensor, "s feature batch"]) -> Num[Tensor, "s row batch"]:
        """The embedded states."""
        return self.program.prepare(features)

    def forward(
        self, weights: Float[Tensor, "seed weight"], prepared: Num[Tensor, "s row batch"]
    ) -> tuple[Float[Tensor, "seed expert batch"], Tensor]:
        """Logits, and the outcome probabilities."""
        outcomes = self._kept(self._angles(weights), prepared)
        return self._logits(weights, outcomes), outcomes

    def backward(
        self,
        weights: Float[Tensor, "seed weight"],
        saved: Tensor,
        grad: Float[Tensor, "seed expert batch"],
    ) -> Float[Tensor, "seed weight"]:
        """The gradient to the linear map; the angles have none."""
        nothing = torch.zeros_like(self._angles(weights))
        return torch.cat([dense.backward(saved, grad), nothing], 1)

    def _angles(self, weights: Tensor) -> Float[Tensor, "seed angle"]:
        return weights[:, self.trained :].detach().contiguous()

    def _logits(self, weights: Tensor, outcomes: Tensor) -> Float[Tensor, "seed expert batch"]:
        return dense.forward(weights[:, : self.trained], outcomes, self.num_experts)
