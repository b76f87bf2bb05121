"""What the engines do to batches of state vectors: kept as plain functions, batch axis last.

A state is (seed, 2^n, batch), qubit 0 the most significant bit. One-qubit gates on all wires are
(seed, qubit, 2, 2, batch).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int, Num
from torch import Tensor

from qmoe.simulate.layers import SignedPermutation


class Gradients(NamedTuple):
    """Gradients of a loss to weights and, where they were asked for, to features."""

    weights: Float[Tensor, "seed weight"]
    features: Float[Tensor, "s feature batch"] | None


def born(amplitudes: Num[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """|a|^2 of every entry (Born's rule), smooth at zero."""
    if amplitudes.is_complex():
        return amplitudes.real.square() + amplitudes.imag.square()
    return amplitudes.square()


def kron(factors: Num[Tensor, "*s qubit 2 2"]) -> Num[Tensor, "*s dim dim"]:
    """The Kronecker product over the qubit axis."""
    total = factors.select(-3, 0)
    for q in range(1, factors.shape[-3]):
        one = factors.select(-3, q).unsqueeze(-2).unsqueeze(-4)
        total = total.unsqueeze(-1).unsqueeze(-3) * one
        total = total.flatten(-2).flatten(-3, -2)
    return total


def product_state(columns: Num[Tensor, "seed qubit 2 batch"]) -> Num[Tensor, "seed dim batch"]:
    """The Kronecker product of one-qubit states."""
    total = columns[:, 0]
    for q in range(1, columns.shape[1]):
        total = (total.unsqueeze(2) * columns[:, q].unsqueeze(1)).flatten(1, 2)
    return total


def product_overlaps(
    cotangent: Num[Tensor, "seed dim batch"], columns: Num[Tensor, "s qubit 2 b"]
) -> Num[Tensor, "seed qubit 2 batch"]:
    """For each qubit, the cotangent contracted with the conjugate states of all *other* qubits.

    Halves the register at each level, so the cost is about two passes over the cotangent
    instead of one per qubit.
    """
    n = columns.shape[1]
    if n == 1:
        return cotangent.unsqueeze(1)
    half = n // 2
    left, right = columns[:, :half], columns[:, half:]
    grid = cotangent.unflatten(1, (2**half, 2 ** (n - half)))
    for_left = (grid * product_state(right).conj().unsqueeze(1)).sum(2)
    for_right = (grid * product_state(left).conj().unsqueeze(2)).sum(1)
    return torch.cat([product_overlaps(for_left, left), product_overlaps(for_right, right)], 1)


def apply_wires(
    gates: Num[Tensor, "s qubit 2 2 b"],
    state: Num[Tensor, "t dim c"],
    wires: Iterable[int],
) -> Num[Tensor, "seed dim batch"]:
    """One-qubit gates on the given wires; a seed or batch axis of length 1 is shared."""
    for q in wires:
        split = state.unflatten(1, (2**q, 2, -1))
        zero, one = split[:, :, 0], split[:, :, 1]
        m = gates[:, q, :, :, None, None, :]
        state = torch.stack(
            [m[:, 0, 0] * zero + m[:, 0, 1] * one, m[:, 1, 0] * zero + m[:, 1, 1] * one], 2
        ).flatten(1, 3)
    return state


def wire_correlations(
    cotangent: Num[Tensor, "seed dim batch"],
    state: Num[Tensor, "s dim batch"],
    num_qubits: int,
) -> Num[Tensor, "seed qubit 2 2 batch"]:
    """gamma_q[a, b] = sum over the other qubits of cotangent[a] conj(state[b])."""
    parts = []
    for q in range(num_qubits):
        left = cotangent.unflatten(1, (2**q, 2, -1))
        right = state.unflatten(1, (2**q, 2, -1))
        parts.append(torch.einsum("spaqb,spcqb->sacb", left, right.conj()))
    return torch.stack(parts, 1)


def ground_correlations(
    cotangent: Num[Tensor, "seed dim batch"], gates: Num[Tensor, "s qubit 2 2 b"]
) -> Num[Tensor, "seed qubit 2 2 batch"]:
    """`wire_correlations` before a layer of gates on the all-zeros state.

    cotangent stands *behind* the layer; un-applying all gates but one is a product overlap.
    """
    overlap = product_overlaps(cotangent, gates[:, :, :, 0])
    ground = (gates.conj() * overlap.unsqueeze(3)).sum(2)
    return torch.stack([ground, torch.zeros_like(ground)], 3)


class Mover:
    """A signed permutation of basis states on one device; `forward` applies, `back` undoes it."""

    def __init__(self, move: SignedPermutation, dtype: torch.dtype, device: torch.device) -> None:
        self.source: Int[Tensor, " dim"] | None = None
        self.target: Int[Tensor, " dim"] | None = None
        self.sign: Float[Tensor, "dim 1"] | None = None
        if move.source is not None:
            self.source = torch.from_numpy(move.source).to(device)
            self.target = torch.from_numpy(np.argsort(move.source)).to(device)
        if move.sign is not None:
            self.sign = torch.from_numpy(move.sign).to(device, dtype).unsqueeze(1)

    @property
    def still(self) -> bool:
        """Whether it does nothing."""
        return self.source is None and self.sign is None

    def forward(
        self, state: Num[Tensor, "*s dim batch"], *, reuse: bool = False
    ) -> Num[Tensor, "*s dim batch"]:
        """psi_out[i] = sign[i] psi[source[i]]; `reuse` may write into the given state."""
        if self.source is not None:
            state = state.index_select(-2, self.source)
        return self._flip(state, reuse)

    def back(
        self, state: Num[Tensor, "*s dim batch"], *, reuse: bool = False
    ) -> Num[Tensor, "*s dim batch"]:
        """The inverse, which is also the adjoint; `reuse` may write into the given state."""
        state = self._flip(state, reuse)
        return state if self.target is None else state.index_select(-2, self.target)

    def _flip(self, state: Num[Tensor, "*s dim batch"], reuse: bool) -> Num[Tensor, "*s dim batch"]:
        if self.sign is None:
            return state
        return state.mul_(self.sign) if reuse else state * self.sign


class Readout:
    """Probabilities over the measured qubits, big-endian in their order, and the way back."""

    def __init__(self, num_qubits: int, measured: Sequence[int]) -> None:
        self.n, self.m = num_qubits, len(measured)
        others = [q for q in range(num_qubits) if q not in measured]
        self.order = (*measured, *others)
        self.plain = self.order == tuple(range(num_qubits))
        self.undo = tuple(int(q) for q in np.argsort(self.order))

    def forward(self, state: Num[Tensor, "seed dim batch"]) -> Float[Tensor, "seed out batch"]:
        """|psi|^2 summed over the qubits that are not measured."""
        return self.marginal(born(state))

    def marginal(self, p: Float[Tensor, "seed dim batch"]) -> Float[Tensor, "seed out batch"]:
        """A distribution over all qubits reduced to the measured ones, in their order."""
        if not self.plain:
            p = (
                p.unflatten(1, (2,) * self.n)
                .movedim([1 + q for q in self.order], list(range(1, self.n + 1)))
                .flatten(1, -2)
            )
        return p if self.m == self.n else p.unflatten(1, (2**self.m, -1)).sum(2)

    def back(
        self, state: Num[Tensor, "seed dim batch"], grad: Float[Tensor, "seed out batch"]
    ) -> Num[Tensor, "seed dim batch"]:
        """The cotangent of the state, dL/dRe psi + i dL/dIm psi = 2 psi grad."""
        if self.m < self.n:
            grad = grad.repeat_interleave(2 ** (self.n - self.m), dim=1)
        if not self.plain:
            grad = (
                grad.unflatten(1, (2,) * self.n)
                .movedim(list(range(1, self.n + 1)), [1 + q for q in self.order])
                .flatten(1, -2)
            )
        return state * (2 * grad)
