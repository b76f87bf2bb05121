"""TensorCircuit-NG on its JAX backend: one circuit, vmap over the batch, jit over the step."""

from __future__ import annotations

import logging
from typing import Any

import jax
import tensorcircuit as tc

from benchmarks.figures.speed.peer_jax import compiled_step
from benchmarks.figures.speed.workloads import RouterWork, Step


def router(work: RouterWork) -> Step:
    """The compiled step, in double precision."""
    logging.getLogger("tensorcircuit").setLevel(logging.ERROR)  # says that optax is missing
    tc.set_backend("jax")
    tc.set_dtype("complex128")

    def one(weights: Any, features: Any) -> Any:
        circuit = tc.Circuit(work.qubits)
        for i in range(work.qubits):
            circuit.ry(i, theta=features[i])
        for layer in range(work.layers):
            for i in range(work.qubits):
                circuit.ry(i, theta=weights[layer * work.qubits + i])
            for pair in work.pairs:
                circuit.cz(*pair)
        return circuit.probability()

    return compiled_step(jax.vmap(one, in_axes=(None, 0)), work)
