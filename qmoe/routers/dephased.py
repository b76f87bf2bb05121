"""The dephased router: the quantum router's circuit with its interference removed.

Complete dephasing in the computational basis after every layer turns amplitudes into classical
probabilities: each layer of gates M becomes the stochastic matrix |M|^2 on every qubit, CZ does
nothing and CX moves probability. Same parameters, no quantum effects.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

from qmoe.arrays import Floats
from qmoe.errors import InputError
from qmoe.routers.base import Counts, Emits
from qmoe.routers.outcomes import outcome_matrix, uneven
from qmoe.routers.quantum import router_circuit, unseen_features
from qmoe.simplify import compact
from qmoe.simulate.layers import Layered, SignedPermutation, layered
from qmoe.simulate.rotations import Rotations
from qmoe.simulate.states import Mover, Readout, apply_wires, born, product_state

MOST_QUBITS = 16


class DephasedRouter:
    """The ansatz as classical stochastic matrices; gradients by autograd."""

    family = "dephased"
    emits: Emits = "probabilities"

    def __init__(
        self,
        num_features: int,
        num_experts: int,
        *,
        layers: int = 2,
        ansatz: str = "paper",
        entangler: str | None = None,
        outcome_map: str = "modulo",
        num_qubits: int | None = None,
        measured: Sequence[int] | None = None,
    ) -> None:
        circuit = router_circuit(
            num_features,
            num_experts,
            layers=layers,
            ansatz=ansatz,
            entangler=entangler,
            num_qubits=num_qubits,
            measured=measured,
        )
        active = compact(circuit)[0]
        if active.num_qubits > MOST_QUBITS:
            raise InputError(
                got=f"a dephased router on {active.num_qubits} qubits",
                expected=f"at most {MOST_QUBITS}",
                do="use fewer features",
            )
        self.label = (
            f"dephased L={layers}" if ansatz == "paper" else f"dephased {ansatz} L={layers}"
        )
        self.num_features, self.num_experts = num_features, num_experts
        self.size = circuit.num_weights
        self.counts = Counts(self.size, self.size)
        self.warnings = unseen_features(circuit) + uneven(num_experts, len(circuit.measured))
        matrix = outcome_matrix(outcome_map, num_experts, len(circuit.measured))
        self.outcome_matrix = torch.from_numpy(matrix)
        self.layered = layered(active, at_marks=True)
        self._steps: dict[tuple[torch.dtype, torch.device], _Steps] = {}

    def init(self, rng: np.random.Generator) -> Float64[Floats, " weight"]:
        """Uniform over the circle, as the quantum router."""
        return rng.uniform(-np.pi, np.pi, self.size)

    def __call__(
        self, weights: Float[Tensor, "seed weight"], features: Float[Tensor, "s feature batch"]
    ) -> Float[Tensor, "seed expert batch"]:
        """Expert probabilities."""
        key = (weights.dtype, weights.device)
        if key not in self._steps:
            self._steps[key] = _Steps(self.layered, *key)
        p = self._steps[key].run(weights, features)
        return torch.matmul(self.outcome_matrix.to(p), p)


class _Steps:
    """The stochastic matrices of one circuit, in one precision on one device."""

    def __init__(self, program: Layered, dtype: torch.dtype, device: torch.device) -> None:
        self.rotations = [Rotations([layer], program, dtype, device) for layer in program.layers]
        self.wires = [[q for q, s in enumerate(layer.slots) if s] for layer in program.layers]
        self.movers = [
            Mover(SignedPermutation(layer.entangler.source, None), dtype, device)
            for layer in program.layers
        ]
        self.readout = Readout(program.num_qubits, program.measured)

    def run(self, weights: Tensor, features: Tensor) -> Float[Tensor, "seed outcome batch"]:
        state: Tensor | None = None
        for rotations, wires, mover in zip(self.rotations, self.wires, self.movers, strict=True):
            gates = rotations.matrices(rotations.half_angles(weights, features))
            stochastic = born(rotations.product(gates)[:, 0])
            if state is None:
                state = product_state(stochastic[:, :, :, 0])
            else:
                state = apply_wires(stochastic, state, wires)
            state = mover.forward(state)
        assert state is not None
        out = self.readout.marginal(state)
        return out.expand(-1, -1, features.shape[-1])
