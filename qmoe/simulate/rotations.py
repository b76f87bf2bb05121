"""The one-qubit gates of a circuit's layers as functions of weights and features, with gradients.

Gradients go through logarithmic derivatives: for a gate M of angle a, dM/da = M A with A a fixed
2x2 generator (conjugated by the gates before it in the same layer), so an engine only has to
supply, per qubit, the 2x2 correlation gamma = sum lambda psi^dagger of the cotangent with the
state *before* the layer; then dL/da = Re sum conj(gamma) A. Real tensors where every gate is real.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Num
from numpy.typing import NDArray
from torch import Tensor

from qmoe.simulate.layers import IDENTITY, Layer, Layered, Slot


class Rotations:
    """One-qubit gates of some layers, stacked: (seed, layer, qubit, 2, 2, batch).

    Layers of kind "weight" have a batch axis of length 1.
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        program: Layered,
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        n, depth = program.num_qubits, len(layers)
        deep = max([1, *(len(slots) for layer in layers for slots in layer.slots)])
        even = np.tile(IDENTITY, (depth, n, deep, 1, 1))
        odd = np.zeros_like(even)
        weights = np.zeros((depth, n, deep, program.num_weights))
        features = np.zeros((depth, n, deep, program.num_features))
        offset = np.zeros((depth, n, deep))
        for at, slot in _slots(layers):
            even[at], odd[at] = slot.even, slot.odd
            if slot.angle is not None:
                offset[at] = slot.angle.offset
                for i, scale in slot.angle.weights.items():
                    weights[(*at, i)] = scale
                for i, scale in slot.angle.features.items():
                    features[(*at, i)] = scale
        field = dtype if program.real else dtype.to_complex()

        def tensor(array: NDArray[Any], kind: torch.dtype) -> Tensor:
            return torch.from_numpy(array.real if not kind.is_complex else array).to(device, kind)

        self.shape = (depth, n, deep)
        self.even = tensor(even, field).unsqueeze(-1)
        self.odd = tensor(odd, field).unsqueeze(-1)
        # cut once: at a few qubits a step is nothing but the number of small tensor operations
        self.first_odd = self.odd[:, :, 0]
        self.columns_even, self.columns_odd = self.even[:, :, 0, :, 0], self.odd[:, :, 0, :, 0]
        # half angles throughout: cos(a/2), sin(a/2)
        flat = (depth * n * deep, -1)
        self.weight_map = tensor(weights.reshape(flat[0], program.num_weights) / 2, dtype)
        self.feature_map = tensor(features.reshape(flat[0], program.num_features) / 2, dtype)
        self.offset = tensor(offset.reshape(flat[0], 1) / 2, dtype)
        self.uses_weights = bool(weights.any())
        self.uses_features = bool(features.any())
        self.has_offset = bool(offset.any())

    def half_angles(
        self, weights: Float[Tensor, "seed weight"], features: Num[Tensor, "s row batch"]
    ) -> Float[Tensor, "lead layer qubit slot last"]:
        """Half of every angle; the seed axis is 1 where neither weights nor features have one."""
        half: Tensor | None = None
        if self.uses_weights:
            half = (weights @ self.weight_map.T).unsqueeze(-1)
        if self.uses_features:
            part = torch.matmul(self.feature_map, features)
            half = part if half is None else half + part
        if half is None:
            half = self.offset.unsqueeze(0)
        elif self.has_offset:
            half = half + self.offset
        return half.view(half.shape[0], *self.shape, half.shape[-1])

    def matrices(
        self, half: Float[Tensor, "seed layer qubit slot batch"]
    ) -> Num[Tensor, "seed layer qubit slot 2 2 batch"]:
        """Every gate by itself."""
        cos = half.cos().unsqueeze(-2).unsqueeze(-2)
        sin = half.sin().unsqueeze(-2).unsqueeze(-2)
        return torch.addcmul(cos * self.even, sin, self.odd)

    def product(
        self, gates: Num[Tensor, "seed layer qubit slot 2 2 batch"]
    ) -> Num[Tensor, "seed layer qubit 2 2 batch"]:
        """The gates of each qubit multiplied up, the first in time on the right."""
        total = gates.select(3, 0)
        for g in range(1, gates.shape[3]):
            total = matmul2(gates[:, :, :, g], total)
        return total

    def columns(
        self, half: Float[Tensor, "seed layer qubit slot batch"]
    ) -> Num[Tensor, "seed layer qubit 2 batch"]:
        """What the gates make of a qubit in the state 0: the first column of `product`."""
        if self.shape[2] > 1:
            return self.product(self.matrices(half))[..., 0, :]
        return torch.addcmul(half.cos() * self.columns_even, half.sin(), self.columns_odd)

    def gradient(
        self,
        gates: Num[Tensor, "seed layer qubit slot 2 2 batch"],
        gamma: Num[Tensor, "s layer qubit 2 2 b"],
    ) -> Float[Tensor, "s layer qubit slot b"]:
        """dL/d(half angle) of every gate from the correlations gamma before the layer."""
        if gates.shape[3] == 1:
            return (gamma.conj() * self.first_odd).sum((-3, -2)).real.unsqueeze(3)
        before: Tensor | None = None
        parts = []
        for g in range(gates.shape[3]):
            generator = self.odd[:, :, g].expand(gates[:, :, :, g].shape)
            if before is not None:
                generator = matmul2(dagger2(before), matmul2(generator, before))
            parts.append((gamma.conj() * generator).sum((-3, -2)).real)
            before = gates[:, :, :, g] if before is None else matmul2(gates[:, :, :, g], before)
        return torch.stack(parts, 3)

    def pull_back(
        self, d_half: Float[Tensor, "seed layer qubit slot batch"], *, need_features: bool
    ) -> tuple[Float[Tensor, "seed weight"] | None, Float[Tensor, "seed feature batch"] | None]:
        """Gradients to weights (summed over the batch) and, if asked for, to features."""
        flat = d_half.flatten(1, 3)
        to_weights = flat.sum(-1) @ self.weight_map if self.uses_weights else None
        to_features = None
        if need_features and self.uses_features:
            to_features = torch.matmul(self.feature_map.T, flat)
        return to_weights, to_features


def _slots(layers: Sequence[Layer]) -> Iterator[tuple[tuple[int, int, int], Slot]]:
    for i, layer in enumerate(layers):
        for q, slots in enumerate(layer.slots):
            for g, slot in enumerate(slots):
                yield (i, q, g), slot


def matmul2(a: Num[Tensor, "*s 2 2 b"], b: Num[Tensor, "*t 2 2 c"]) -> Num[Tensor, ...]:
    """2x2 products with the batch axis last, elementwise over it."""
    return (a.unsqueeze(-2) * b.unsqueeze(-4)).sum(-3)


def dagger2(a: Num[Tensor, "*s 2 2 b"]) -> Num[Tensor, "*s 2 2 b"]:
    """The adjoint of 2x2 matrices with the batch axis last."""
    return a.transpose(-3, -2).conj()
