"""Braket's own simulators, noise-free and with a noise model of ours: `braket:sv`, `braket:dm`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backends.base import Compiled, Counts, Probabilities, check_features, sample
from backends.braket import engine
from backends.braket.circuits import to_braket, to_instructions
from backends.checks import check_like, check_width
from backends.compiled import as_given
from backends.registry import require
from qmoe.channel import Channel
from qmoe.record import Source

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import ArrayLike

    from backends.registry import Spec
    from qmoe.circuit import Circuit, Op
    from qmoe.noise import NoiseModel


class Simulator:
    """A Braket simulator in double precision; native is the circuit as given, marks kept.

    noise: The noise placed on the circuit as given; None simulates state vectors.
    """

    source: Source = "exact"

    def __init__(self, spec: Spec, noise: NoiseModel | None) -> None:
        require("braket", "braket.default_simulator")
        self.spec = str(spec)
        self._noise = noise
        self._limit = engine.MOST_QUBITS[spec.target]

    def compile(self, circuit: Circuit) -> Compiled:
        """The circuit itself, with the noise in its places."""
        check_width(circuit.num_qubits, self._limit, self.spec)
        return as_given(self.spec, circuit, self._noise)

    def emit(self, native: Circuit, like: Compiled) -> Compiled:
        """The circuit itself, with the noise in its places."""
        check_like(native, like)
        return self.compile(native)

    def probabilities(self, compiled: Compiled, features: ArrayLike) -> Probabilities:
        """Probabilities (batch, 2^m), readout error included."""
        x = check_features(compiled, features)
        native = compiled.native
        if self._noise is None:
            circuit = to_braket(native, measure=False)
        else:
            circuit = noisy_circuit(compiled.noisy or ())
        p = engine.probabilities(circuit, range(native.num_qubits), native.measured, x)
        return p if compiled.confusion is None else p @ compiled.confusion.T

    def run(self, compiled: Compiled, features: ArrayLike, shots: int, seed: int) -> Counts:
        """Counts (batch, 2^m), drawn from the exact probabilities."""
        return sample(self.probabilities(compiled, features), shots, seed)


def noisy_circuit(noisy: Iterable[Op | Channel]) -> Any:
    """Gates and channels in order as a braket.circuits.Circuit, channels as Kraus noise."""
    from braket.circuits import Circuit as BraketCircuit
    from braket.circuits import Instruction, noises

    made = BraketCircuit()
    for step in noisy:
        if isinstance(step, Channel):
            made.add_instruction(Instruction(noises.Kraus(step.kraus()), step.qubits))
        else:
            for instruction in to_instructions(step, range(max(step.qubits, default=0) + 1)):
                made.add_instruction(instruction)
    return made
