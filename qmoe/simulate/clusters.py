"""Groups of qubits, each with its joint Pauli expectations, that grow together as gates join them.

A cluster's tensor is (seed, 4^k, last): `last` counts inputs, or outcomes on the way back. Axes of
length 1 are shared. Effects go back through the same code with transposed maps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from qmoe.gates import Axis, Qubits
from qmoe.simulate.factors import PLANES


@dataclass(frozen=True, slots=True, eq=False)
class Cluster:
    """The Pauli expectations of some qubits, the first listed most significant."""

    qubits: Qubits
    tensor: Float[Tensor, "seed paulis last"]

    def joined(self, other: Cluster) -> Cluster:
        """Both together, as a product."""
        both = self.tensor.unsqueeze(2) * other.tensor.unsqueeze(1)
        return Cluster(self.qubits + other.qubits, both.flatten(1, 2))

    def ordered(self, qubits: Sequence[int]) -> Cluster:
        """The same with its qubits in this order."""
        if tuple(qubits) == self.qubits:
            return self
        axes = [1 + self.qubits.index(q) for q in qubits]
        spread = self.tensor.unflatten(1, (4,) * len(axes))
        return Cluster(
            tuple(qubits), spread.permute(0, *axes, spread.ndim - 1).flatten(1, len(axes))
        )

    def mapped(self, qubits: Qubits, matrices: Float[Tensor, "s p p"]) -> Cluster:
        """A transfer matrix applied; its qubits come first afterwards, which saves a copy."""
        front = self.ordered((*qubits, *(q for q in self.qubits if q not in qubits)))
        wide = front.tensor.reshape(len(front.tensor), matrices.shape[1], -1)
        done = matrices @ wide
        return Cluster(front.qubits, done.view(len(done), -1, self.tensor.shape[2]))

    def turned(
        self, qubit: int, axis: Axis, cos: Float[Tensor, "s l"], sin: Float[Tensor, "s l"]
    ) -> Cluster:
        """A rotation of one qubit, by an angle for each seed, each input, or both."""
        position = self.qubits.index(qubit)
        parts = list(self.tensor.unflatten(1, (4**position, 4, -1)).unbind(2))
        u, v = PLANES[axis]
        c, s = cos[:, None, None, :], sin[:, None, None, :]
        first, second = parts[u], parts[v]
        parts[u], parts[v] = c * first - s * second, s * first + c * second
        parts = list(torch.broadcast_tensors(*parts))
        return Cluster(self.qubits, torch.stack(parts, 2).flatten(1, 3))


class Clusters:
    """All qubits, in as many clusters as there are groups that no gate has joined yet."""

    def __init__(self, clusters: Sequence[Cluster]) -> None:
        self.of = {q: cluster for cluster in clusters for q in cluster.qubits}

    def map(self, qubits: Qubits, matrices: Float[Tensor, "s p p"]) -> None:
        """Applies a transfer matrix, one for each seed or one for all."""
        self._put(self._join(qubits).mapped(qubits, matrices))

    def turn(
        self, qubit: int, axis: Axis, cos: Float[Tensor, "s l"], sin: Float[Tensor, "s l"]
    ) -> None:
        """Applies a rotation."""
        self._put(self.of[qubit].turned(qubit, axis, cos, sin))

    def all(self) -> Cluster:
        """Everything in one cluster, the qubits in ascending order."""
        whole = tuple(sorted(self.of))
        return self._join(whole).ordered(whole)

    def _join(self, qubits: Qubits) -> Cluster:
        together: Cluster | None = None
        for qubit in qubits:
            if together is None:
                together = self.of[qubit]
            elif qubit not in together.qubits:
                together = together.joined(self.of[qubit])
        assert together is not None
        return together

    def _put(self, cluster: Cluster) -> None:
        for qubit in cluster.qubits:
            self.of[qubit] = cluster
