"""What circuits, treatments and training steps take: counts, which no machine changes."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks.common import Cache, backend, collected, needed, one_thread, thinned, told

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
SHAPES = ((2, 256), (3, 256), (4, 256))
"""Qubits and batch of a training step."""
LAYERS, SEEDS = 2, 4


class Compiled:
    """Two-qubit gates and depth of a router's circuit as a target compiles it."""

    version = "1"
    timeout = 60.0
    deterministic = True
    param_names = ("target", "circuit")
    params = (thinned(TARGETS), thinned(tuple(CIRCUITS), 2))

    def setup_cache(self) -> Cache:
        return collected(self.params, _compiled)

    def setup(self, cache: Cache, *which: Any) -> None:
        told(cache, *which)

    def track_two_qubit_gates(self, cache: Cache, *which: Any) -> Any:
        return cache[which][0]

    def track_depth(self, cache: Cache, *which: Any) -> Any:
        return cache[which][1]


Compiled.track_two_qubit_gates.unit = "gates"  # type: ignore[attr-defined]
Compiled.track_depth.unit = "layers of gates"  # type: ignore[attr-defined]


class Treatment:
    """Circuits, shots and gamma of a treatment on a target, for 20 inputs at 1,000 shots each.

    gamma^2 bounds how many times the variance of a plain value a mitigated one has.
    """

    version = "1"
    timeout = 60.0
    deterministic = True
    param_names = ("target", "treatment")
    params = (thinned(TARGETS, 2), thinned(TREATMENTS, 4))

    def setup_cache(self) -> Cache:
        return collected(self.params, _overhead)

    def setup(self, cache: Cache, *which: Any) -> None:
        told(cache, *which)

    def track_circuits(self, cache: Cache, *which: Any) -> Any:
        return cache[which][0]

    def track_shots(self, cache: Cache, *which: Any) -> Any:
        return cache[which][1]

    def track_gamma(self, cache: Cache, *which: Any) -> Any:
        return cache[which][2]


Treatment.track_circuits.unit = "circuits"  # type: ignore[attr-defined]
Treatment.track_shots.unit = "shots"  # type: ignore[attr-defined]
Treatment.track_gamma.unit = "factor"  # type: ignore[attr-defined]


class StepMemory:
    """Bytes that one training step of four routers allocates on the CPU, as torch counts them.

    Embedding prepared beforehand; forward and backward; double precision, one thread.
    """

    version = "1"
    unit = "bytes"
    timeout = 60.0
    deterministic = True
    param_names = ("engine", "qubits and batch")
    params = (thinned(("ideal", "noisy")), thinned(SHAPES))

    def setup_cache(self) -> Cache:
        return collected(self.params, _allocated)

    def setup(self, cache: Cache, *which: Any) -> None:
        told(cache, *which)

    def track_bytes(self, cache: Cache, *which: Any) -> Any:
        return cache[which]


def _compiled(target: str, circuit: str) -> tuple[int, int]:
    """Two-qubit gates, depth."""
    name, qubits, layers = CIRCUITS[circuit]
    made = needed(f"qmoe.ansatz:{name}")(qubits, layers)
    compiled = backend(target).compile(made)
    return int(compiled.two_qubit_gates), int(compiled.depth)


def _overhead(target: str, treatment: str) -> tuple[int, int, float]:
    """Circuits, shots, gamma."""
    import numpy as np

    one_thread()
    device = backend(target)
    circuit = needed("qmoe.ansatz:paper")(2, 2)
    compiled = device.compile(circuit).bind_weights(np.full(circuit.num_weights, WEIGHT))
    features = np.linspace(0, np.pi, 2 * INPUTS).reshape(INPUTS, 2)
    treated = needed("backends.mitigation:load")(treatment)
    found = needed("backends.execute:execute")(device, compiled, treated, features, SHOTS, 0)
    return found.overhead.circuits, found.overhead.shots, found.overhead.gamma


def _allocated(engine: str, shape: tuple[int, int]) -> int:
    """Bytes held at the peak of a step, beyond what was held before it."""
    import torch

    qubits, batch = shape
    circuit = needed("qmoe.ansatz:paper")(qubits, LAYERS)
    if engine == "noisy":
        noise = needed("qmoe.noise:NoiseModel")(depolarizing=0.02)
        program = needed("qmoe.simulate.noisy:NoisyProgram")(
            noise.place(circuit),
            circuit.measured,
            num_features=qubits,
            num_weights=circuit.num_weights,
        )
    else:
        program = needed("qmoe.simulate.program:Program")(circuit)
    one_thread()
    weights = torch.full((SEEDS, circuit.num_weights), WEIGHT, dtype=torch.float64)
    grad = torch.ones(SEEDS, 2**qubits, batch, dtype=torch.float64)
    prepared = program.prepare(torch.ones(1, qubits, batch, dtype=torch.float64))

    def step() -> None:
        with torch.no_grad():
            _, saved = program.forward(weights, prepared)
            program.backward(weights, saved, grad)

    step()  # what is kept from step to step is there
    held = peak = 0
    for change in _changes(step):
        held += change
        peak = max(peak, held)
    return peak


def _changes(step: Callable[[], None]) -> Iterator[int]:
    """What torch's allocator of the CPU gave (above 0) and took back, in order."""
    import torch

    cpu = torch.profiler.ProfilerActivity.CPU
    with torch.profiler.profile(activities=[cpu], profile_memory=True) as profiler:
        step()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "trace.json")
        profiler.export_chrome_trace(str(path))
        events = json.loads(path.read_text("utf-8"))["traceEvents"]
    memory = [event for event in events if event.get("name") == "[memory]"]
    for event in sorted(memory, key=lambda event: event["ts"]):
        yield int(event["args"]["Bytes"])
