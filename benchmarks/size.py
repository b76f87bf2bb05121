"""What circuits and treatments take, over the project's history: counts that no machine changes."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.common import needed, one_thread, thinned

TARGETS = (
    "ibm:fake_boston",
    "cirq:willow_pink",
    "braket:emulator",
    "braket:emulator,properties=ionq",
)
CIRCUITS: Mapping[str, tuple[str, int, int]] = {
    "paper n=2 L=2": ("paper", 2, 2),
    "paper n=4 L=2": ("paper", 4, 2),
    "notebook n=2 L=2": ("notebook", 2, 2),
}
"""Name of an ansatz of `qmoe.ansatz`, qubits, layers."""
TREATMENTS = ("none", "readout", "zne", "rescale", "twirl,variants=4", "pec,samples=16")
INPUTS, SHOTS = 20, 1000
WEIGHT = 0.7  # radians: any value that is no multiple of a right angle


class Compiled:
    """Two-qubit gates and depth of a router's circuit as a target compiles it."""

    version = "1"
    timeout = 60.0
    deterministic = True
    param_names = ("target", "circuit")
    params = (TARGETS, thinned(tuple(CIRCUITS), 2))

    def setup(self, target: str, circuit: str) -> None:
        name, qubits, layers = CIRCUITS[circuit]
        made = needed(f"qmoe.ansatz:{name}")(qubits, layers)
        self.compiled = needed("backends:load")(target).compile(made)

    def track_two_qubit_gates(self, target: str, circuit: str) -> int:
        return int(self.compiled.two_qubit_gates)

    def track_depth(self, target: str, circuit: str) -> int:
        return int(self.compiled.depth)


Compiled.track_two_qubit_gates.unit = "gates"  # type: ignore[attr-defined]
Compiled.track_depth.unit = "layers of gates"  # type: ignore[attr-defined]


class Treatment:
    """Circuits and shots that a treatment takes for 20 inputs at 1,000 shots each."""

    version = "1"
    timeout = 60.0
    deterministic = True
    param_names = ("treatment",)
    params = (TREATMENTS,)

    def setup(self, treatment: str) -> None:
        import numpy as np

        one_thread()
        backend = needed("backends:load")("ibm:fake_boston")
        circuit = needed("qmoe.ansatz:paper")(2, 2)
        compiled = backend.compile(circuit).bind_weights(np.full(circuit.num_weights, WEIGHT))
        features = np.linspace(0, np.pi, 2 * INPUTS).reshape(INPUTS, 2)
        treated = needed("backends.mitigation:load")(treatment)
        execute = needed("backends.execute:execute")
        self.overhead = execute(backend, compiled, treated, features, SHOTS, 0).overhead

    def track_circuits(self, treatment: str) -> int:
        return int(self.overhead.circuits)

    def track_shots(self, treatment: str) -> int:
        return int(self.overhead.shots)

    def track_gamma(self, treatment: str) -> float:
        return float(self.overhead.gamma)


Treatment.track_circuits.unit = "circuits"  # type: ignore[attr-defined]
Treatment.track_shots.unit = "shots"  # type: ignore[attr-defined]
Treatment.track_gamma.unit = "factor"  # type: ignore[attr-defined]
