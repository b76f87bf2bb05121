"""Somebody's own PennyLane router on three vendors' device-like simulators."""

import numpy as np
import pennylane as qml

import backends
from backends.importers import from_pennylane


def router(x, theta):
    """Four experts: two measured qubits."""
    qml.AngleEmbedding(x, wires=range(4), rotation="Y")
    qml.BasicEntanglerLayers(theta, wires=range(4))
    return qml.probs(wires=[0, 1])


theta, inputs = np.random.default_rng(0).uniform(-3, 3, (2, 4)), np.array([[0.1, 1.0, -2.0, 0.5]])
circuit = from_pennylane(router, num_features=4, weights=theta.shape).bind_weights(theta.ravel())
for spec in ("reference", "ibm:fake_boston", "braket:emulator", "cirq:willow_pink"):
    backend = backends.load(spec)
    gates = backend.run(backend.compile(circuit), inputs, shots=1000, seed=0) / 1000
    print(f"{spec:18}", gates[0])
