"""A second way to everything: numpy on density matrices, gate by gate and channel by channel."""

from __future__ import annotations

import itertools

import numpy as np

from backends.compiled import Compiled
from qmoe.channel import Channel
from qmoe.simulate.reference import op_matrix

PAULIS = (np.eye(2), np.array([[0, 1], [1, 0]]), np.array([[0, -1j], [1j, 0]]), np.diag([1, -1]))


def read_probabilities(compiled: Compiled, features):
    """The distribution (batch, 2^m) that `noisy` and `confusion` say, by Pauli vectors."""
    rows = []
    for x in np.atleast_2d(features):
        n = compiled.native.num_qubits
        r = np.zeros((4,) * n)
        r[tuple(np.indices((2,) * n) * 3)] = 1  # |0..0> is the mean of all I and Z strings
        for step in compiled.noisy:
            if isinstance(step, Channel):
                r = _apply(step.ptm, step.qubits, r)
            elif not step.is_mark:
                r = _apply(transfer(op_matrix(step, np.zeros(0), x)), step.qubits, r)
        rows.append(_outcomes(r, compiled.native.measured))
    true = np.array(rows)
    return true if compiled.confusion is None else true @ compiled.confusion.T


def transfer(unitary):
    """ptm[a, b] = tr(P_a U P_b U^+) / d, first qubit most significant."""
    k = len(unitary).bit_length() - 1
    strings = [kron(*string) for string in itertools.product(PAULIS, repeat=k)]
    images = [unitary @ p @ unitary.conj().T for p in strings]
    return np.array([[np.trace(a @ b).real / 2**k for b in images] for a in strings])


def kron(*matrices):
    out = np.eye(1)
    for matrix in matrices:
        out = np.kron(out, matrix)
    return out


def _apply(ptm, qubits, r):
    k = len(qubits)
    out = np.tensordot(ptm.reshape((4,) * (2 * k)), r, axes=(range(k, 2 * k), qubits))
    return np.moveaxis(out, range(k), qubits)


def _outcomes(r, measured):
    index = tuple(slice(None) if q in measured else 0 for q in range(r.ndim))
    zs = r[index].transpose(np.argsort(np.argsort(measured)))
    for axis in range(zs.ndim):
        i, z = zs.take(0, axis), zs.take(3, axis)
        zs = np.stack([(i + z) / 2, (i - z) / 2], axis)
    return zs.reshape(-1)
