"""Pauli-Z expectations of the measured qubits: the readout of the published code.

Where the joint light cone is small, all of them come from one distribution. Where it is not (a
shallow circuit on a hundred measured qubits), each qubit is simulated in its own light cone,
which is still exact.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float, Num
from torch import Tensor

from qmoe.circuit import Circuit
from qmoe.simplify import compact, prune
from qmoe.simulate.program import Program, with_seeds

JOINT_QUBITS = 10


def z_signs(num_measured: int) -> Float[Tensor, "qubit outcome"]:
    """+1 where the bit of a measured qubit is 0 in an outcome, -1 where it is 1.

    >>> z_signs(2).int().tolist()
    [[1, 1, -1, -1], [1, -1, 1, -1]]
    """
    outcome = torch.arange(2**num_measured)
    shift = torch.arange(num_measured - 1, -1, -1).unsqueeze(1)
    return (1 - 2 * ((outcome >> shift) & 1)).double()


class Expectations:
    """<Z> of every measured qubit, (seed, qubit, batch), with the interface of a `Program`."""

    def __init__(self, circuit: Circuit) -> None:
        self.circuit = circuit
        self.num_outcomes = len(circuit.measured)
        joint = compact(prune(circuit))[0].num_qubits <= JOINT_QUBITS
        parts = [circuit.measured] if joint else [(q,) for q in circuit.measured]
        self.programs = [Program(replace(circuit, measured=part)) for part in parts]
        self.signs = z_signs(len(parts[0]))

    def prepare(self, features: Float[Tensor, "s feature batch"]) -> Num[Tensor, "s row batch"]:
        """Embedded states where one program does it all, else the features as they are."""
        return self.programs[0].prepare(features) if len(self.programs) == 1 else features

    def forward(
        self, weights: Float[Tensor, "seed weight"], prepared: Num[Tensor, "s row batch"]
    ) -> tuple[Float[Tensor, "seed qubit batch"], list[Any]]:
        """Expectations, and what `backward` needs."""
        signs = self.signs.to(weights)
        values, saved = [], []
        for program in self.programs:
            rows = prepared if len(self.programs) == 1 else program.prepare(prepared)
            p, kept = program.forward(weights, rows)
            values.append(torch.matmul(signs, p))
            saved.append(kept)
        return torch.cat(values, 1), saved

    def backward(
        self,
        weights: Float[Tensor, "seed weight"],
        saved: list[Any],
        grad: Float[Tensor, "seed qubit batch"],
    ) -> Float[Tensor, "seed weight"]:
        """The gradient to the weights."""
        signs = self.signs.to(weights)
        total = torch.zeros_like(weights)
        for program, kept, part in zip(
            self.programs, saved, grad.split(len(self.signs), 1), strict=True
        ):
            total = total + program.backward(weights, kept, torch.matmul(signs.T, part))
        return total

    def __call__(
        self, weights: Float[Tensor, "seed weight"], features: Float[Tensor, "s feature batch"]
    ) -> Float[Tensor, "seed qubit batch"]:
        """Expectations that autograd can follow to weights and features (once)."""
        signs = self.signs.to(weights)
        return torch.cat([torch.matmul(signs, p(weights, features)) for p in self.programs], 1)


def expectations(
    circuit: Circuit,
    weights: Float[Tensor, "*seed weight"],
    features: Float[Tensor, "*s batch feature"],
) -> Float[Tensor, "*out batch qubit"]:
    """Z expectations of the measured qubits, shapes as in `qmoe.simulate.probabilities`.

    >>> from qmoe.ansatz import paper
    >>> x = torch.tensor([[0.0, torch.pi]], dtype=torch.float64)
    >>> expectations(paper(2, 1), torch.zeros(2, dtype=torch.float64), x).round().tolist()
    [[1.0, -1.0]]
    """
    w, x, batched = with_seeds(circuit, weights, features)
    out = Expectations(circuit)(w, x).transpose(1, 2)
    return out if batched else out[0]
