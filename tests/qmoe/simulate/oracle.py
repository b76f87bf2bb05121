"""A second oracle: a plain torch simulator whose gradients are autograd's, gate by gate.

It shares nothing with the engines but the circuit type: complex tensors, one axis per qubit, no
layers, no pruning, no hand-written derivative.
"""

from __future__ import annotations

import torch
from torch import Tensor

from qmoe.circuit import GATES, Angle, Circuit, Feature, Op, Sum, Weight

PAULI = {
    "x": torch.tensor([[0, 1], [1, 0]], dtype=torch.complex128),
    "y": torch.tensor([[0, -1j], [1j, 0]], dtype=torch.complex128),
    "z": torch.tensor([[1, 0], [0, -1]], dtype=torch.complex128),
}


def probabilities(circuit: Circuit, weights: Tensor, features: Tensor) -> Tensor:
    """(batch, 2^m) from weights (P,) and features (batch, d)."""
    return torch.stack([_one(circuit, weights, row) for row in features])


def seeded(circuit: Circuit, weights: Tensor, features: Tensor) -> Tensor:
    """(seed, 2^m, batch) from weights (seed, P) and features (1 | seed, d, batch)."""
    shared = features.expand(len(weights), -1, -1)
    rows = [probabilities(circuit, w, x.T).T for w, x in zip(weights, shared, strict=True)]
    return torch.stack(rows)


def _one(circuit: Circuit, weights: Tensor, x: Tensor) -> Tensor:
    n = circuit.num_qubits
    state = torch.zeros((2,) * n, dtype=torch.complex128)
    state[(0,) * n] = 1
    for op in circuit.ops:
        if op.is_mark:
            continue
        k = len(op.qubits)
        matrix = _matrix(op, weights, x).reshape((2,) * (2 * k))
        state = torch.tensordot(matrix, state, (list(range(k, 2 * k)), list(op.qubits)))
        state = torch.movedim(state, list(range(k)), list(op.qubits))
    density = state.real**2 + state.imag**2
    others = [q for q in range(n) if q not in circuit.measured]
    return (
        density.permute(*circuit.measured, *others).reshape(2 ** len(circuit.measured), -1).sum(1)
    )


def _matrix(op: Op, weights: Tensor, x: Tensor) -> Tensor:
    angles = [_value(angle, weights, x) for angle in op.angles]
    if op.gate == "phased_xz":
        turn, z, axis = angles
        return _turn("z", z + axis) @ _turn("x", turn) @ _turn("z", -axis)
    if op.gate == "rzz":
        return _exp(torch.kron(PAULI["z"], PAULI["z"]), angles[0])
    if angles:
        return _turn(op.gate[1], angles[0])
    return torch.from_numpy(GATES[op.gate].unitary().copy())


def _turn(axis: str, angle: Tensor) -> Tensor:
    return _exp(PAULI[axis], angle)


def _exp(pauli: Tensor, angle: Tensor) -> Tensor:
    """exp(-i angle / 2 P)."""
    return (angle / 2).cos() * torch.eye(len(pauli), dtype=pauli.dtype) - 1j * (
        angle / 2
    ).sin() * pauli


def _value(angle: Angle, weights: Tensor, x: Tensor) -> Tensor:
    if isinstance(angle, Feature):
        return angle.scale * x[angle.index]
    if isinstance(angle, Weight):
        return angle.scale * weights[angle.index]
    if isinstance(angle, Sum):
        start = torch.tensor(angle.offset, dtype=torch.float64)
        return sum((_value(term, weights, x) for term in angle.terms), start)
    return torch.tensor(angle, dtype=torch.float64)
