"""The engine for few qubits: everything between two embeddings is one matrix per seed.

What follows an embedding does not depend on the sample, so its 2^n x 2^n block U is built once
per step and all samples go through one matrix product. With P_l the product of the first l
layers and V = U^dagger dL/dU, the correlation before layer l is P_{l-1} V P_{l-1}^dagger: the
backward pass needs no products of its own and treats all layers of a block at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Num
from torch import Tensor

from qmoe.simulate.layers import Layer, Layered
from qmoe.simulate.rotations import Rotations, dagger2
from qmoe.simulate.states import (
    Gradients,
    Mover,
    Readout,
    apply_wires,
    ground_correlations,
    kron,
    product_state,
    wire_correlations,
)


class FusedEngine:
    """Probabilities by one matrix per block of weights; for 2^n small beside the batch."""

    def __init__(self, program: Layered, dtype: torch.dtype, device: torch.device) -> None:
        self.program = program
        self.readout = Readout(program.num_qubits, program.measured)
        first = _First(program.layers[0], program, dtype, device)
        self.steps: list[_First | _Embedding | _Block] = [first]
        for kind, layers in groupby(program.layers[1:], key=lambda layer: layer.kind):
            if kind == "weight":
                self.steps.append(_Block(list(layers), program, dtype, device))
            else:
                self.steps += [_Embedding(layer, program, dtype, device) for layer in layers]
        uploads = sum(not isinstance(step, _Block) for step in self.steps)
        self.cacheable = uploads == 1 and not first.rotations.uses_weights

    def prepare(self, features: Float[Tensor, "s feature batch"]) -> Num[Tensor, "s row batch"]:
        """What does not change while weights do: the embedded states, or the features as given."""
        if not self.cacheable:
            return features
        first = self.steps[0]
        no_weights = features.new_zeros((1, self.program.num_weights))
        return first.forward(None, no_weights, features)[0]

    def forward(
        self, weights: Float[Tensor, "seed weight"], prepared: Num[Tensor, "s row batch"]
    ) -> tuple[Float[Tensor, "seed out batch"], list[Any]]:
        """Probabilities from what `prepare` gave, and what `backward` needs."""
        if self.cacheable:
            return self._run(self.steps[1:], prepared, weights, prepared)
        return self.forward_features(weights, prepared)

    def forward_features(
        self, weights: Float[Tensor, "seed weight"], features: Float[Tensor, "s feature batch"]
    ) -> tuple[Float[Tensor, "seed out batch"], list[Any]]:
        """The same from raw features, kept so that `backward` can reach them."""
        return self._run(self.steps, None, weights, features)

    def _run(
        self,
        steps: Sequence[_First | _Embedding | _Block],
        state: Tensor | None,
        weights: Tensor,
        features: Tensor,
    ) -> tuple[Tensor, list[Any]]:
        saved: list[Any] = []
        for step in steps:
            state, kept = step.forward(state, weights, features)
            saved.append(kept)
        assert state is not None
        state = state.expand(max(len(state), len(weights)), -1, -1)  # also without any weight
        return self.readout.forward(state), [*saved, state]

    def backward(
        self,
        weights: Float[Tensor, "seed weight"],
        saved: list[Any],
        grad: Float[Tensor, "seed out batch"],
        *,
        need_features: bool = False,
    ) -> Gradients:
        """Gradients from the cotangent of the probabilities."""
        *kept, state = saved
        cotangent = self.readout.back(state, grad)
        to_weights = torch.zeros_like(weights)
        to_features: Tensor | None = None
        for step, item in zip(reversed(self.steps), reversed(kept), strict=False):
            last = step is self.steps[len(self.steps) - len(kept)]
            cotangent, d_weights, d_features = step.backward(
                item, cotangent, need_features=need_features, need_input=not last
            )
            if d_weights is not None:
                to_weights = to_weights + d_weights
            if d_features is not None:
                to_features = d_features if to_features is None else to_features + d_features
        return Gradients(to_weights, to_features)


_Back = tuple[Tensor, Tensor | None, Tensor | None]


class _First:
    """The first layer, on the all-zeros state, which stays a product state."""

    def __init__(
        self, layer: Layer, program: Layered, dtype: torch.dtype, device: torch.device
    ) -> None:
        self.rotations = Rotations([layer], program, dtype, device)
        self.mover = Mover(layer.entangler, self.rotations.even.dtype, device)

    def forward(
        self, state: Tensor | None, weights: Tensor, features: Tensor
    ) -> tuple[Tensor, Tensor]:
        half = self.rotations.half_angles(weights, features)
        out = product_state(self.rotations.columns(half)[:, 0])
        return self.mover.forward(out.expand(-1, -1, features.shape[-1])), half

    def backward(
        self, saved: Tensor, cotangent: Tensor, *, need_features: bool, need_input: bool
    ) -> _Back:
        rotations = self.rotations
        if not (rotations.uses_weights or (need_features and rotations.uses_features)):
            return cotangent, None, None
        gates = rotations.matrices(saved)
        wires = rotations.product(gates)[:, 0]
        gamma = ground_correlations(self.mover.back(cotangent), wires)
        d_half = rotations.gradient(gates, gamma.unsqueeze(1))
        return cotangent, *rotations.pull_back(d_half, need_features=need_features)


class _Embedding:
    """A later layer whose gates differ from sample to sample."""

    def __init__(
        self, layer: Layer, program: Layered, dtype: torch.dtype, device: torch.device
    ) -> None:
        self.n = program.num_qubits
        self.wires = [q for q, slots in enumerate(layer.slots) if slots]
        self.rotations = Rotations([layer], program, dtype, device)
        self.mover = Mover(layer.entangler, self.rotations.even.dtype, device)

    def forward(
        self, state: Tensor | None, weights: Tensor, features: Tensor
    ) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
        assert state is not None
        gates = self.rotations.matrices(self.rotations.half_angles(weights, features))
        wires = self.rotations.product(gates)[:, 0]
        return self.mover.forward(apply_wires(wires, state, self.wires)), (state, gates, wires)

    def backward(
        self,
        saved: tuple[Tensor, Tensor, Tensor],
        cotangent: Tensor,
        *,
        need_features: bool,
        need_input: bool,
    ) -> _Back:
        state, gates, wires = saved
        rotations = self.rotations
        cotangent = apply_wires(dagger2(wires), self.mover.back(cotangent), self.wires)
        if not (rotations.uses_weights or (need_features and rotations.uses_features)):
            return cotangent, None, None
        gamma = wire_correlations(cotangent, state, self.n)
        d_half = rotations.gradient(gates, gamma.unsqueeze(1))
        return cotangent, *rotations.pull_back(d_half, need_features=need_features)


class _Block:
    """Consecutive layers of weights alone: one matrix per seed."""

    def __init__(
        self, layers: list[Layer], program: Layered, dtype: torch.dtype, device: torch.device
    ) -> None:
        self.rotations = Rotations(layers, program, dtype, device)
        field = self.rotations.even.dtype
        movers = [Mover(layer.entangler, field, device) for layer in layers]
        self.identity = torch.eye(2**program.num_qubits, dtype=field, device=device)
        self.moves: Tensor | None = None
        self.signs: Tensor | None = None
        if any(m.source is not None for m in movers):
            self.moves = torch.stack([m.forward(self.identity) for m in movers])
        elif not all(m.still for m in movers):
            ones = torch.ones_like(self.identity[:, :1])
            self.signs = torch.stack([m.forward(ones) for m in movers])
        self.trace = partial_traces(program.num_qubits).to(device, field)

    def forward(
        self, state: Tensor | None, weights: Tensor, features: Tensor
    ) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor, Tensor]]:
        assert state is not None
        rotations = self.rotations
        gates = rotations.matrices(rotations.half_angles(weights, features))
        layers = kron(rotations.product(gates)[..., 0])
        if self.signs is not None:
            layers = layers * self.signs
        elif self.moves is not None:
            layers = torch.matmul(self.moves, layers)
        products = _prefix_products(layers)
        total = products[:, -1]
        before = torch.cat([self.identity.expand_as(products[:, :1]), products[:, :-1]], 1)
        # a shared state makes this one product of (seed x dim, dim) with (dim, batch)
        out = torch.matmul(total, state[0] if state.shape[0] == 1 else state)
        return out, (state, gates, before, total)

    def backward(
        self,
        saved: tuple[Tensor, Tensor, Tensor, Tensor],
        cotangent: Tensor,
        *,
        need_features: bool,
        need_input: bool,
    ) -> _Back:
        state, gates, before, total = saved
        d_block = torch.matmul(cotangent, (state[0] if state.shape[0] == 1 else state).mH)
        core = torch.matmul(total.mH, d_block).unsqueeze(1)
        gamma = torch.matmul(torch.matmul(before, core), before.mH)
        traced = torch.matmul(gamma.flatten(2), self.trace)
        traced = traced.view(*traced.shape[:2], -1, 2, 2, 1)
        d_half = self.rotations.gradient(gates, traced)
        to_weights, _ = self.rotations.pull_back(d_half, need_features=False)
        if need_input:
            cotangent = torch.matmul(total.mH, cotangent)
        return cotangent, to_weights, None


def _prefix_products(
    layers: Num[Tensor, "seed layer dim dim"],
) -> Num[Tensor, "seed layer dim dim"]:
    """The product of the first l layers for every l, in log2(layers) batched products."""
    reach = 1
    while reach < layers.shape[1]:
        longer = torch.matmul(layers[:, reach:], layers[:, :-reach])
        layers = torch.cat([layers[:, :reach], longer], 1)
        reach *= 2
    return layers


def partial_traces(n: int) -> Float[Tensor, "dim2 entry"]:
    """The map from a 2^n x 2^n matrix to its traces over all qubits but q, for every q."""
    index = np.arange(2**n)
    out = np.zeros((2**n, 2**n, n, 2, 2))
    for q in range(n):
        bit = (index >> (n - 1 - q)) & 1
        rest = index & ~(1 << (n - 1 - q))
        i, j = np.nonzero(rest[:, None] == rest[None, :])
        out[i, j, q, bit[i], bit[j]] = 1
    return torch.from_numpy(out.reshape(4**n, 4 * n))
