"""Cirq's own simulators, noise-free and with a noise model of ours: `cirq:sv` and `cirq:dm`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backends.base import Compiled, Counts, Probabilities, check_features, sample
from backends.checks import check_like, check_width
from backends.cirq import batched
from backends.cirq.circuits import to_op
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

MOST_QUBITS = {"sv": batched.MOST_QUBITS_PURE, "dm": batched.MOST_QUBITS_MIXED}


class Simulator:
    """A Cirq simulator in double precision; native is the circuit as given, marks kept.

    noise: The noise placed on the circuit as given; None simulates state vectors.
    """

    source: Source = "exact"

    def __init__(self, spec: Spec, noise: NoiseModel | None) -> None:
        require("cirq", "cirq")
        self.spec = str(spec)
        self._noise = noise
        self._limit = MOST_QUBITS[spec.target]

    def compile(self, circuit: Circuit) -> Compiled:
        """The circuit itself, with the noise in its places."""
        check_width(circuit.num_qubits, self._limit, self.spec)
        return as_given(self.spec, circuit, self._noise)

    def emit(self, native: Circuit, like: Compiled) -> Compiled:
        """The circuit itself, with the noise in its places."""
        check_like(native, like)
        return self.compile(native)

    def probabilities(self, compiled: Compiled, features: ArrayLike) -> Probabilities:
        """Probabilities (batch, 2^m)."""
        import cirq

        x = check_features(compiled, features)
        native = compiled.native
        qubits = cirq.LineQubit.range(native.num_qubits)
        mixed = self._noise is not None
        body = noisy_circuit(compiled.noisy or (), qubits)
        p = batched.probabilities(body, qubits, native.measured, x, mixed=mixed)
        return p if compiled.confusion is None else p @ compiled.confusion.T

    def run(self, compiled: Compiled, features: ArrayLike, shots: int, seed: int) -> Counts:
        """Counts (batch, 2^m), drawn from the exact probabilities."""
        return sample(self.probabilities(compiled, features), shots, seed)


def noisy_circuit(noisy: Iterable[Op | Channel], qubits: list[Any]) -> Any:
    """Gates and channels in order as a cirq.Circuit; marks vanish."""
    import cirq

    circuit = cirq.Circuit()
    for step in noisy:
        if isinstance(step, Channel):
            channel = cirq.KrausChannel(step.kraus())
            circuit.append(channel.on(*(qubits[q] for q in step.qubits)))
        elif not step.is_mark:
            circuit.append(to_op(step, qubits))
    return circuit
