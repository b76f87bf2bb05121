"""The engine for many qubits: gate by gate in groups of wires, gradients by un-applying layers.

Only the final state is kept; the backward pass runs state and cotangent through the inverse
layers together, so memory does not grow with depth (adjoint differentiation, arXiv 2009.02823).
One-qubit gates of up to four wires act as one 16 x 16 matrix, and the batch goes in chunks that
fit the cache.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Num
from torch import Tensor

from qmoe.simulate.fused import partial_traces
from qmoe.simulate.layers import Layered
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

GROUP = 4
CHUNK = 2**17  # amplitudes of one chunk: one megabyte in double precision


class _Gates(NamedTuple):
    """One layer's gates: each by itself, and multiplied up per wire."""

    single: Num[Tensor, "s 1 qubit slot 2 2 b"]
    wires: Num[Tensor, "s qubit 2 2 b"]


class Saved(NamedTuple):
    """What the backward pass starts from: inputs and, per chunk of the batch, the final state."""

    features: Float[Tensor, "s feature batch"]
    states: tuple[Num[Tensor, "seed dim chunk"], ...]


class AdjointEngine:
    """Probabilities layer by layer; memory is a few state vectors, whatever the depth."""

    cacheable = False

    def __init__(self, program: Layered, dtype: torch.dtype, device: torch.device) -> None:
        n = self.n = program.num_qubits
        self.readout = Readout(n, program.measured)
        self.shared = [layer.kind == "weight" for layer in program.layers]
        self.wires = [[q for q, s in enumerate(layer.slots) if s] for layer in program.layers]
        self.rotations = [Rotations([layer], program, dtype, device) for layer in program.layers]
        field = self.rotations[0].even.dtype
        moves = [layer.entangler for layer in program.layers]  # equal ones are one object
        tables = {id(move): Mover(move, field, device) for move in moves}
        self.movers = [tables[id(move)] for move in moves]
        self.groups = [(q, min(q + GROUP, n)) for q in range(0, n, GROUP)]
        self.traces = {b - a: partial_traces(b - a).to(device, field) for a, b in self.groups}

    def prepare(self, features: Float[Tensor, "s feature batch"]) -> Float[Tensor, "s f batch"]:
        """Nothing is worth keeping: the features as given."""
        return features

    @torch.no_grad()
    def forward(
        self, weights: Float[Tensor, "seed weight"], prepared: Float[Tensor, "s feature batch"]
    ) -> tuple[Float[Tensor, "seed out batch"], Saved]:
        """Probabilities, and the final states for `backward`."""
        batch = prepared.shape[-1]
        size = max(1, CHUNK // (2**self.n * weights.shape[0]))
        blocks = self._blocks(weights, prepared)
        states = []
        for start in range(0, max(1, batch), size):  # no samples are one empty chunk
            part = prepared[..., start : start + size]
            states.append(self._evolve(weights, part, blocks))
        probabilities = torch.cat([self.readout.forward(state) for state in states], -1)
        return probabilities, Saved(prepared, tuple(states))

    forward_features = forward

    @torch.no_grad()
    def backward(
        self,
        weights: Float[Tensor, "seed weight"],
        saved: Saved,
        grad: Float[Tensor, "seed out batch"],
        *,
        need_features: bool = False,
    ) -> Gradients:
        """Gradients from the cotangent of the probabilities."""
        blocks = self._blocks(weights, saved.features)
        grams: dict[tuple[int, int], Tensor] = {}
        to_weights = torch.zeros_like(weights)
        to_features = []
        start = 0
        for state in saved.states:
            stop = start + state.shape[-1]
            part = saved.features[..., start:stop]
            d_weights, d_features = self._unwind(
                weights, part, state, grad[..., start:stop], blocks, grams, need_features
            )
            to_weights = to_weights + d_weights
            to_features.append(d_features)
            start = stop
        for i, rotations in enumerate(self.rotations):
            if self.shared[i] and rotations.uses_weights:
                to_weights = to_weights + self._from_grams(i, weights, saved.features, grams)
        return Gradients(to_weights, torch.cat(to_features, -1) if need_features else None)

    def _gates(self, layer: int, weights: Tensor, features: Tensor) -> _Gates:
        rotations = self.rotations[layer]
        single = rotations.matrices(rotations.half_angles(weights, features))
        return _Gates(single, rotations.product(single)[:, 0])

    def _blocks(self, weights: Tensor, features: Tensor) -> list[list[tuple[int, int, Tensor]]]:
        """Per layer of weights the matrix of each group of wires: (first, last + 1, matrix)."""
        out: list[list[tuple[int, int, Tensor]]] = []
        for i, shared in enumerate(self.shared):
            out.append([])
            if shared:
                wires = self._gates(i, weights, features).wires[..., 0]
                out[i] = [
                    (a, b, kron(wires[:, a:b]))
                    for a, b in self.groups
                    if any(a <= q < b for q in self.wires[i])
                ]
        return out

    def _evolve(
        self, weights: Tensor, features: Tensor, blocks: list[list[tuple[int, int, Tensor]]]
    ) -> Num[Tensor, "seed dim chunk"]:
        columns = self._gates(0, weights, features).wires[:, :, :, 0]
        state = product_state(columns)
        state = state.expand(weights.shape[0], -1, features.shape[-1])
        state = self.movers[0].forward(state).contiguous()
        buffers = _Buffers(state, torch.empty_like(state))
        for i in range(1, len(self.shared)):
            if self.shared[i]:
                for a, b, block in blocks[i]:
                    buffers, _ = _apply_group(block, buffers, a, b)
            else:
                wires = self._gates(i, weights, features).wires
                buffers = buffers._replace(state=apply_wires(wires, buffers.state, self.wires[i]))
            buffers = buffers._replace(state=self.movers[i].forward(buffers.state, reuse=True))
        return buffers.state

    def _unwind(
        self,
        weights: Tensor,
        features: Tensor,
        state: Tensor,
        grad: Tensor,
        blocks: list[list[tuple[int, int, Tensor]]],
        grams: dict[tuple[int, int], Tensor],
        need_features: bool,
    ) -> tuple[Tensor, Tensor]:
        """One chunk backwards; adds to `grams`, returns what the embeddings contribute."""
        to_weights = torch.zeros_like(weights)
        to_features = features.new_zeros((weights.shape[0], *features.shape[1:]))
        pair = torch.stack([state, self.readout.back(state, grad)])
        spare = torch.empty_like(pair)
        for i in reversed(range(len(self.shared))):
            pair = self.movers[i].back(pair, reuse=True)
            if self.shared[i]:
                for a, b, block in blocks[i]:
                    (pair, spare), front = _apply_group(block.mH, _Buffers(pair, spare), a, b)
                    gram = torch.matmul(front[1], front[0].mH).sum(1)
                    grams[i, a] = grams[i, a] + gram if (i, a) in grams else gram
                continue
            rotations = self.rotations[i]
            gates = self._gates(i, weights, features)
            if i == 0:
                gamma = ground_correlations(pair[1], gates.wires)
            else:
                inverse = dagger2(gates.wires)
                state = apply_wires(inverse, pair[0], self.wires[i])
                cotangent = apply_wires(inverse, pair[1], self.wires[i])
                gamma = wire_correlations(cotangent, state, self.n)
                pair = torch.stack([state, cotangent])
            d_half = rotations.gradient(gates.single, gamma.unsqueeze(1))
            d_weights, d_features = rotations.pull_back(d_half, need_features=need_features)
            to_weights = to_weights if d_weights is None else to_weights + d_weights
            to_features = to_features if d_features is None else to_features + d_features
        return to_weights, to_features

    def _from_grams(
        self, layer: int, weights: Tensor, features: Tensor, grams: dict[tuple[int, int], Tensor]
    ) -> Float[Tensor, "seed weight"]:
        gates = self._gates(layer, weights, features)
        gamma = gates.wires.new_zeros((weights.shape[0], self.n, 2, 2))
        for a, b in self.groups:
            if (layer, a) in grams:
                traced = grams[layer, a].flatten(1) @ self.traces[b - a]
                gamma[:, a:b] = traced.unflatten(1, (b - a, 2, 2))
        rotations = self.rotations[layer]
        d_half = rotations.gradient(gates.single, gamma[:, None, ..., None])
        d_weights, _ = rotations.pull_back(d_half, need_features=False)
        assert d_weights is not None
        return d_weights


class _Buffers(NamedTuple):
    """A batch of states, and room for another: fresh megabytes cost more than the arithmetic."""

    state: Num[Tensor, "*p seed dim chunk"]
    spare: Num[Tensor, "*p seed dim chunk"]


def _apply_group(
    block: Num[Tensor, "s g g"], buffers: _Buffers, a: int, b: int
) -> tuple[_Buffers, Num[Tensor, "*p seed left g rest"]]:
    """One matrix on wires a..b-1 of every state; both buffers are written.

    Also gives the new states with those wires as the rows of matrices, valid until the next
    call. Where the wires are the last ones, the matrices would be narrow and many; there they
    move to the front, which costs two copies and makes one wide product.
    """
    state, spare = buffers
    *lead, dim, chunk = state.shape
    left, g = 2**a, 2 ** (b - a)
    rest = dim // (left * g) * chunk
    split = (*lead, left, g, rest)
    if rest > chunk:
        new = torch.matmul(block.unsqueeze(1), state.view(split), out=spare.view(split))
        return _Buffers(spare, state), new
    moved = (*lead, g, left, rest)
    front = (*lead, 1, g, left * rest)
    spare.view(moved).copy_(state.view(split).transpose(-3, -2))
    new = torch.matmul(block.unsqueeze(1), spare.view(front), out=state.view(front))
    spare.view(split).copy_(state.view(moved).transpose(-3, -2))
    return _Buffers(spare, state), new
