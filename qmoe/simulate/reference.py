"""The numpy simulator that is meant to be read: the oracle that every other engine is held to.

One tensor with one axis per qubit, one contraction per gate, with the matrices of the gate
table. No rewriting of the circuit, no shortcuts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from qmoe.circuit import GATES, Circuit, Op, affine
from qmoe.errors import InputError
from qmoe.gates import Matrix

Numbers: TypeAlias = Sequence[Any] | NDArray[Any]

MAX_QUBITS = 20


def probabilities(
    circuit: Circuit, weights: Numbers = (), features: Numbers = ()
) -> NDArray[np.float64]:
    """The outcome distribution of a circuit, exactly.

    Args:
        circuit: A circuit of at most 20 qubits.
        weights: The weights (P,), radians.
        features: The features of one input (d,) or of several (batch, d), radians.

    Returns:
        Probabilities (2^m,) or (batch, 2^m) over the m measured qubits, big-endian in their
        order.

    Raises:
        InputError: Too many qubits, or arrays that do not fit the circuit.

    >>> from qmoe.ansatz import paper
    >>> probabilities(paper(1, 1), [0.0], [np.pi]).round(12)
    array([0., 1.])
    """
    theta, x = np.asarray(weights, dtype=np.float64), np.asarray(features, dtype=np.float64)
    if circuit.num_qubits > MAX_QUBITS:
        raise InputError(
            got=f"a circuit of {circuit.num_qubits} qubits",
            expected=f"at most {MAX_QUBITS} in the reference simulator",
            do="simplify and compact the circuit, or use qmoe.simulate",
        )
    if theta.shape != (circuit.num_weights,):
        raise InputError(
            got=f"weights of shape {theta.shape}",
            expected=f"({circuit.num_weights},)",
            do="pass one number per weight",
        )
    if x.ndim not in (1, 2) or x.shape[-1] != circuit.num_features:
        raise InputError(
            got=f"features of shape {x.shape}",
            expected=f"({circuit.num_features},) or (batch, {circuit.num_features})",
            do="pass one column per feature",
        )
    if x.ndim == 1:
        return _single(circuit, theta, x)
    rows = [_single(circuit, theta, row) for row in x]
    return np.array(rows).reshape(len(x), 2 ** len(circuit.measured))


def final_state(circuit: Circuit, weights: Numbers = (), features: Numbers = ()) -> Matrix:
    """The state of one input before the measurement: complex, one axis of length 2 per qubit."""
    theta, x = np.asarray(weights, dtype=np.float64), np.asarray(features, dtype=np.float64)
    state = np.zeros((2,) * circuit.num_qubits, dtype=np.complex128)
    state[(0,) * circuit.num_qubits] = 1
    for op in circuit.ops:
        if not op.is_mark:
            state = _apply(op_matrix(op, theta, x), op.qubits, state)
    return state


def op_matrix(op: Op, theta: NDArray[np.float64], x: NDArray[np.float64]) -> Matrix:
    """The matrix of one gate at given weights and features."""
    angles = []
    for part in map(affine, op.angles):
        angle = part.offset
        angle += sum(scale * x[index] for index, scale in part.features.items())
        angle += sum(scale * theta[index] for index, scale in part.weights.items())
        angles.append(float(angle))
    return GATES[op.gate].unitary(*angles)


def _apply(matrix: Matrix, qubits: tuple[int, ...], state: Matrix) -> Matrix:
    k = len(qubits)
    gate = matrix.reshape((2,) * (2 * k))
    # tensordot puts the gate's k output axes first; they belong where its input axes were.
    contracted = np.tensordot(gate, state, axes=(range(k, 2 * k), qubits))
    return np.asarray(np.moveaxis(contracted, range(k), qubits), dtype=np.complex128)


def _single(
    circuit: Circuit, theta: NDArray[np.float64], x: NDArray[np.float64]
) -> NDArray[np.float64]:
    density = np.abs(final_state(circuit, theta, x)) ** 2
    others = tuple(set(range(circuit.num_qubits)) - set(circuit.measured))
    marginal = density.sum(axis=others)
    # The remaining axes stand in ascending qubit order; outcomes want the order of `measured`.
    order = np.argsort(np.argsort(circuit.measured))
    return np.asarray(marginal.transpose(order).reshape(-1), dtype=np.float64)
