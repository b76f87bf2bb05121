"""A noisy one-upload circuit for many inputs as one writes it by hand: one qiskit SuperOp, numpy.

A peer of the twin in `benchmarks.figures.twin`. It holds for circuits that read each feature on a
wire of its own before the first two-qubit gate.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.base import Compiled
from backends.ibm.circuits import to_qiskit
from qmoe.circuit import Circuit, Op, affine
from qmoe.simulate.reference import op_matrix


def by_hand(found: Compiled, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """What one writes for a circuit that reads its inputs first: preparation, then product."""
    return product(*prepared(found), x)


def prepared(found: Compiled) -> tuple[NDArray[Any], list[tuple[int, NDArray[Any]]]]:
    """Effects (4^n, 2^m) behind the embedding, and each wire's feature and states (3, 4).

    All that stands on a wire before its first two-qubit gate is evaluated at three inputs and
    written in 1, cos, sin; the rest is one qiskit SuperOp.
    """
    from qiskit.quantum_info import SuperOp

    assert found.noisy is not None
    n = found.native.num_qubits
    wires: list[list[Any]] = [[] for _ in range(n)]
    rest: list[Any] = []
    for step in found.noisy:
        joined = {qubit for earlier in rest for qubit in earlier.qubits}
        alone = len(step.qubits) == 1 and joined.isdisjoint(step.qubits)
        (wires[step.qubits[0]] if alone else rest).append(step)
    states = []
    for steps in wires:
        at = [_state(steps, angle) for angle in (0.0, np.pi / 2, np.pi)]
        constant = (at[0] + at[2]) / 2
        states.append(
            (_feature(steps), np.array([constant, (at[0] - at[2]) / 2, at[1] - constant]))
        )
    whole = SuperOp(to_qiskit(Circuit(n, (), (0,)), steps=rest, measure=False)).data
    # qiskit's rho: little-endian, columns stacked; an outcome's probability is on the diagonal
    diagonal = whole.reshape(2**n, 2**n, -1)[np.arange(2**n), np.arange(2**n)]
    order = [n - 1 - q for q in found.native.measured]
    bits = diagonal.reshape((2,) * n + (-1,)).transpose(*order, n)
    return (found.confusion @ bits.reshape(2**n, -1)).T, states


def _state(steps: list[Any], angle: float) -> NDArray[Any]:
    """One wire's density matrix, columns stacked, where its feature is `angle`."""
    rho = np.diag([1.0, 0.0]).astype(complex)
    x = np.full(1 + _feature(steps), angle)
    for step in steps:
        kraus = (op_matrix(step, x, x),) if isinstance(step, Op) else step.kraus()
        rho = sum((k @ rho @ k.conj().T for k in kraus), np.zeros((2, 2), dtype=complex))
    return rho.T.ravel()


def _feature(steps: list[Any]) -> int:
    """The feature that is read on a wire."""
    angles = [affine(angle) for step in steps if isinstance(step, Op) for angle in step.angles]
    (index,) = {index for angle in angles for index in angle.features}
    return index


def product(
    effects: NDArray[Any], states: list[tuple[int, NDArray[Any]]], x: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The states of all inputs, wire by wire, times the effects."""
    batch = len(x)
    total = np.ones((batch, 1, 1), dtype=complex)  # (batch, column, row), little-endian
    for feature, three in reversed(states):
        waves = np.stack([np.ones(batch), np.cos(x[:, feature]), np.sin(x[:, feature])], 1)
        one = (waves @ three).reshape(batch, 2, 2)
        size = 2 * total.shape[1]
        total = (total[:, :, None, :, None] * one[:, None, :, None, :]).reshape(batch, size, size)
    return np.asarray((total.reshape(batch, -1) @ effects).real)
