"""Somebody's own circuit as a router circuit: from qiskit, Cirq or PennyLane.

Each SDK is imported when its function is called; see docs/examples/own_router.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from qmoe.circuit import Circuit


def from_qiskit(
    circuit: Any, features: Sequence[str] = ("x",), weights: Sequence[str] = ("theta",)
) -> Circuit:
    """A qiskit circuit whose parameters are named features and weights; see backends.ibm."""
    from backends.ibm.importer import from_qiskit as read

    return read(circuit, features, weights)


def from_cirq(
    circuit: Any,
    features: Sequence[str] = ("x",),
    weights: Sequence[str] = ("theta",),
) -> Circuit:
    """A Cirq circuit whose symbols are named features and weights; see backends.cirq."""
    from backends.cirq.importer import from_cirq as read

    return read(circuit, features, weights)


def from_pennylane(
    function: Callable[..., Any], num_features: int = 0, weights: int | tuple[int, ...] = 0
) -> Circuit:
    """A PennyLane function of features and weights; see backends.pennylane."""
    from backends.pennylane import from_pennylane as read

    return read(function, num_features, weights)
