"""PennyLane's default.qubit: backprop through torch, or through jax.jit.

The batch goes in by parameter broadcasting, PennyLane's own way to run many inputs at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pennylane as qml
import torch

from benchmarks.figures.speed.workloads import (
    BETAS,
    EPS,
    LEARNING_RATE,
    RouterWork,
    Step,
    StepResult,
    TrainResult,
    TrainWork,
)


def circuit(
    qubits: int, layers: int, pairs: tuple[tuple[int, int], ...], interface: str
) -> Callable[[Any, Any], Any]:
    """Probabilities (batch, 2^n) of ansatz `paper` from weights (P,) and features (batch, n)."""

    def run(weights: Any, features: Any) -> Any:
        for i in range(qubits):
            qml.RY(features[:, i], wires=i)
        for layer in range(layers):
            for i in range(qubits):
                qml.RY(weights[layer * qubits + i], wires=i)
            for pair in pairs:
                qml.CZ(wires=pair)
        return qml.probs(wires=range(qubits))

    device = qml.device("default.qubit", wires=qubits)
    node: Callable[[Any, Any], Any] = qml.QNode(
        run, device, interface=interface, diff_method="backprop"
    )
    return node


def router_torch(work: RouterWork) -> Step:
    """Eager torch backprop, as the published code trains."""
    run = circuit(work.qubits, work.layers, work.pairs, "torch")
    weights = torch.tensor(work.weights, requires_grad=True)
    features, cotangent = torch.from_numpy(work.features), torch.from_numpy(work.cotangent)

    def step() -> StepResult:
        out = run(weights, features)
        (gradient,) = torch.autograd.grad((out * cotangent).sum(), weights)
        return StepResult(out.detach(), gradient)

    return step


def router_jax(work: RouterWork) -> Step:
    """The whole step compiled by jax.jit."""
    from benchmarks.figures.speed.peer_jax import compiled_step

    return compiled_step(circuit(work.qubits, work.layers, work.pairs, "jax"), work)


class Training:
    """The same model of one seed in PennyLane and torch, as a user would write it."""

    def __init__(self, work: TrainWork, seed: int = 0) -> None:
        features, labels = work.data
        self.features, self.labels = torch.from_numpy(features), torch.from_numpy(labels)
        self.run = circuit(2, work.layers, ((0, 1),), "torch")
        first, second = work.num_angles, work.num_angles + 16
        start = torch.tensor(work.initial[seed])
        self.angles = start[:first].clone().requires_grad_()
        self.matrices = start[first:second].reshape(4, 2, 2).clone().requires_grad_()
        self.biases = start[second:].reshape(4, 2).clone().requires_grad_()
        self.adam = torch.optim.Adam(
            [self.angles, self.matrices, self.biases], lr=LEARNING_RATE, betas=BETAS, eps=EPS
        )
        order = np.arange(work.points) if work.batch_size is None else work.orders()[0, seed]
        self.batches = torch.from_numpy(order).split(work.batch_size or work.points)

    def step(self, rows: torch.Tensor) -> float:
        """One update on some rows; returns their loss."""
        features = self.features[rows]
        gate = torch.softmax(self.run(self.angles, features), 1)
        opinions = torch.einsum("ekd,bd->bek", self.matrices, features) + self.biases
        logits = (gate.unsqueeze(2) * opinions).sum(1)
        loss = torch.nn.functional.cross_entropy(logits, self.labels[rows])
        self.adam.zero_grad()
        loss.backward()
        self.adam.step()
        return loss.item()

    def epoch(self) -> TrainResult:
        """One epoch, always over the batches of the first."""
        losses = [self.step(rows) for rows in self.batches]
        parts = (self.angles, self.matrices, self.biases)
        weights = torch.cat([part.detach().flatten() for part in parts])
        return TrainResult(np.array([np.mean(losses)]), weights.numpy()[None])
