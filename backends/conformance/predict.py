"""What a compiled circuit must answer: its gates and channels multiplied out, in plain numpy.

One real tensor of Pauli expectations with one axis (I, X, Y, Z) per qubit, one contraction per
gate or channel. It shares no code with the twin, so that either can find the other wrong.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from backends.base import Compiled
from qmoe.channel import Channel, is_identity, transfer_matrix
from qmoe.circuit import Circuit, Op, affine
from qmoe.gates import GATES
from qmoe.simulate import reference

Reals: TypeAlias = NDArray[np.float64]

_READ = np.array([[0.5, 0, 0, 0.5], [0.5, 0, 0, -0.5]])  # outcomes of one qubit from I X Y Z


def ideal(circuit: Circuit, features: Reals) -> Reals:
    """Probabilities (batch, 2^m) without noise, by the reference simulator."""
    return reference.probabilities(circuit, (), features)


def predicted(found: Compiled, features: Reals) -> Reals:
    """Probabilities (batch, 2^m) that follow from `noisy` and `confusion`; ideal without them."""
    if found.noisy is None:
        return ideal(found.native, features)
    rows = [_row(found, x) for x in features]
    p = np.array(rows).reshape(len(features), found.num_outcomes)
    return p if found.confusion is None else p @ found.confusion.T


def gates_alone(found: Compiled) -> Circuit:
    """The gates that stand in `noisy`, in its order, as a circuit."""
    ops = tuple(step for step in found.noisy or () if isinstance(step, Op))
    return replace(found.native, ops=ops)


def is_noisy(found: Compiled) -> bool:
    """Whether `noisy` and `confusion` change anything."""
    reads_right = found.confusion is None or np.allclose(
        found.confusion, np.eye(len(found.confusion)), rtol=0, atol=1e-12
    )
    steps = found.noisy or ()
    return not reads_right or any(isinstance(s, Channel) and not is_identity(s) for s in steps)


def _row(found: Compiled, x: Reals) -> Reals:
    native = found.native
    state: Reals = np.ones(())
    for _ in range(native.num_qubits):
        state = np.multiply.outer(state, [1.0, 0.0, 0.0, 1.0])
    for step in found.noisy or ():
        if isinstance(step, Channel):
            state = _contract(step.ptm, step.qubits, state)
        elif not step.is_mark:
            state = _contract(_gate(step.gate, _numbers(step, x)), step.qubits, state)
    for qubit in range(native.num_qubits):
        reader = _READ if qubit in native.measured else np.array([[1.0, 0, 0, 0]])
        state = _contract(reader, (qubit,), state)
    others = set(range(native.num_qubits)) - set(native.measured)
    return np.asarray(state.transpose(*native.measured, *sorted(others)).reshape(-1))


def _numbers(op: Op, x: Reals) -> tuple[float, ...]:
    parts = [affine(angle) for angle in op.angles]
    return tuple(p.offset + sum(float(s * x[i]) for i, s in p.features.items()) for p in parts)


def _contract(matrix: Reals, qubits: tuple[int, ...], state: Reals) -> Reals:
    k = len(qubits)
    tensor = matrix.reshape(tuple(round(size ** (1 / k)) for size in matrix.shape for _ in qubits))
    moved = np.tensordot(tensor, state, axes=(range(k, 2 * k), qubits))
    return np.asarray(np.moveaxis(moved, range(k), qubits))


@lru_cache(maxsize=4096)
def _gate(name: str, angles: tuple[float, ...]) -> Reals:
    return transfer_matrix([GATES[name].unitary(*angles)])
