"""The dephased router: the quantum router's circuit with its interference removed.

Complete dephasing in the computational basis after every layer turns amplitudes into classical
probabilities: each layer of gates M becomes the stochastic matrix |M|^2 on every qubit, CZ does
nothing and CX moves probability. Same parameters, no quantum effects.

With one upload the outputs are linear in the trigonometric rows of degree 1 (`qmoe.routers.trig`),
so where these are few a step runs the matrices on 3^d inputs instead of on the whole batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

from qmoe.arrays import Floats
from qmoe.errors import InputError
from qmoe.routers.base import AutogradGradient, Cost, Counts, Emits
from qmoe.routers.outcomes import outcome_matrix, uneven
from qmoe.routers.quantum import router_circuit, unseen_features
from qmoe.routers.trig import Grid, trig_rows
from qmoe.simplify import compact
from qmoe.simulate.layers import Layer, Layered, SignedPermutation, layered
from qmoe.simulate.program import FUSED_QUBITS
from qmoe.simulate.rotations import Rotations
from qmoe.simulate.states import Mover, Readout, apply_wires, born, kron, product_state

MOST_QUBITS = 16
MOST_POINTS = 81  # on a grid of more a step costs as much as on a batch (measured at 500 samples)


class _Table(NamedTuple):
    """Coefficients with the graph behind them, and the rows that they multiply."""

    leaf: Tensor
    coefficients: Tensor
    rows: Tensor


class DephasedRouter:
    """The ansatz as classical stochastic matrices.

    Gradients go by autograd, through a table of coefficients where a small one is exact.
    """

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
        self.cost = Cost(_multiply_adds(self.layered), 0)
        one_upload = all(layer.kind == "weight" for layer in self.layered.layers[1:])
        self.tabled = one_upload and 3**num_features <= MOST_POINTS
        self._steps: dict[tuple[torch.dtype, torch.device], _Steps] = {}

    def init(self, rng: np.random.Generator, scale: float = 1.0) -> Float64[Floats, " weight"]:
        """Uniform over the circle, as the quantum router."""
        return scale * rng.uniform(-np.pi, np.pi, self.size)

    def __call__(
        self, weights: Float[Tensor, "seed weight"], features: Float[Tensor, "s feature batch"]
    ) -> Float[Tensor, "seed expert batch"]:
        """Expert probabilities."""
        p = self._at(weights).run(weights, features)
        return torch.matmul(self.outcome_matrix.to(p), p)

    def prepare(self, features: Float[Tensor, "s feature batch"]) -> Float[Tensor, "s row batch"]:
        """The trigonometric rows, or the features as they are."""
        return trig_rows(features, 1) if self.tabled else features

    def forward(
        self, weights: Float[Tensor, "seed weight"], prepared: Float[Tensor, "s row batch"]
    ) -> tuple[Float[Tensor, "seed expert batch"], Any]:
        """Expert probabilities, and the graph behind them or behind their coefficients."""
        if not self.tabled:
            return AutogradGradient(self).forward(weights, prepared)
        grid = self._at(weights).grid
        with torch.enable_grad():
            leaf = weights.detach().requires_grad_()
            table = grid.coefficients(self(leaf, grid.points))
        rows = prepared[0] if len(prepared) == 1 else prepared
        return torch.matmul(table.detach(), rows), _Table(leaf, table, rows)

    def backward(
        self,
        weights: Float[Tensor, "seed weight"],
        saved: Any,
        grad: Float[Tensor, "seed expert batch"],
    ) -> Float[Tensor, "seed weight"]:
        """The gradient by autograd, pulled through the coefficients where there are any."""
        if not self.tabled:
            return AutogradGradient(self).backward(weights, saved, grad)
        leaf, table, rows = saved
        to_weights: Tensor = torch.autograd.grad(table, leaf, torch.matmul(grad, rows.mT))[0]
        return to_weights

    def _at(self, weights: Tensor) -> _Steps:
        key = (weights.dtype, weights.device)
        if key not in self._steps:
            self._steps[key] = _Steps(self.layered, *key)
        return self._steps[key]


def _multiply_adds(program: Layered) -> int:
    """What one input costs: on every wire of every layer, the wire's matrix and its action.

    The matrix has one free entry, the absolute square of an amplitude that meets the wire's gates
    one after the other; acting on the distribution takes two products per basis state.
    """
    total = 0
    for layer in program.layers:
        for slots in filter(None, layer.slots):
            later_gates = sum(1 for _ in groupby(slots, key=lambda slot: slot.odd.tobytes())) - 1
            total += later_gates * (4 if program.real else 16) + (1 if program.real else 2)
            total += 2 * 2**program.num_qubits
    return total


class _Steps:
    """The stochastic matrices of one circuit, in one precision on one device."""

    def __init__(self, program: Layered, dtype: torch.dtype, device: torch.device) -> None:
        self.n, self.readout = program.num_qubits, Readout(program.num_qubits, program.measured)
        self.grid_of = (program.num_features, 1, dtype, device)
        # layers without features get their matrices together
        first, *rest = program.layers
        groups = [[first]]
        for layer in rest:
            if layer.kind == "weight" == groups[-1][0].kind:
                groups[-1].append(layer)
            else:
                groups.append([layer])
        self.groups = [
            (Rotations(group, program, dtype, device), [_Moves(x, dtype, device) for x in group])
            for group in groups
        ]

    @cached_property
    def grid(self) -> Grid:
        """Where the coefficients of one upload are read off."""
        return Grid(*self.grid_of)

    def run(self, weights: Tensor, features: Tensor) -> Float[Tensor, "seed outcome batch"]:
        state: Tensor | None = None
        for rotations, layers in self.groups:
            gates = rotations.matrices(rotations.half_angles(weights, features))
            stochastic = born(rotations.product(gates))
            if state is None:
                state = layers[0].mover.forward(product_state(stochastic[:, 0, :, :, 0]))
            elif stochastic.shape[-1] == 1 and self.n <= FUSED_QUBITS:
                matrices = kron(stochastic[..., 0])
                for i, layer in enumerate(layers):
                    state = layer.mover.forward(torch.matmul(matrices[:, i], state))
            else:
                for i, layer in enumerate(layers):
                    state = apply_wires(stochastic[:, i], state, layer.wires)
                    state = layer.mover.forward(state)
        assert state is not None
        out = self.readout.marginal(state)
        return out.expand(-1, -1, features.shape[-1])


class _Moves:
    """The wires of a layer that have gates, and where its entanglers move probability."""

    def __init__(self, layer: Layer, dtype: torch.dtype, device: torch.device) -> None:
        self.wires = [q for q, slots in enumerate(layer.slots) if slots]
        self.mover = Mover(SignedPermutation(layer.entangler.source, None), dtype, device)
