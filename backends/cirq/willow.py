"""Google's Willow as Cirq's virtual engine has it: `cirq:willow_pink`, calibrated in August 2024.

The noise is the vendor's own noisy circuit, read operation by operation: depolarizing after
gates, coherent PhasedFSim after each CZ, relaxation of all qubits in every moment, and damping
before the measurement for readout error. One-qubit gates are physical pulses here, Z included.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median
from typing import TYPE_CHECKING, Any

from backends.base import Compiled, Counts, Probabilities, TargetInfo, check_features, sample
from backends.checks import check_like, check_width
from backends.cirq import batched
from backends.cirq.circuits import from_cirq_native, lowered, phased, to_cirq
from backends.compiled import compiled
from backends.native.placement import place
from backends.registry import require
from qmoe.channel import Channel, is_identity
from qmoe.errors import FitError, InputError
from qmoe.record import Source
from qmoe.simplify import compact

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import ArrayLike

    from backends.registry import Spec
    from qmoe.circuit import Circuit, Op

PROCESSOR = "willow_pink"
BASIS = ("phased_xz", "cz")
PHYSICAL = "physical_gate"  # the tag by which Google's noise model tells gates from its noise


@dataclass(frozen=True)
class Calibration:
    """What ships of the processor: its device, its noise, and errors by physical qubit.

    single, double: Pauli (process) errors; readout: mean of the two ways to misread.
    """

    device: Any
    noise: Any
    single: dict[Any, float]
    double: dict[frozenset[Any], float]
    readout: dict[Any, float]
    calibrated_at: str


def calibration() -> Calibration:
    """The shipped calibration; reads files, takes a fraction of a second."""
    google = require("cirq", "cirq_google")
    import cirq
    from cirq_google.engine import virtual_engine_factory as factory

    properties = factory.load_device_noise_properties(PROCESSOR)
    device = factory.create_device_from_processor_id(PROCESSOR)
    errors = properties.gate_pauli_errors
    stamp = factory.MEDIAN_CALIBRATION_TIMESTAMPS[PROCESSOR] / 1000
    return Calibration(
        device=device,
        noise=google.NoiseModelFromGoogleNoiseProperties(properties),
        single={
            key.qubits[0]: float(error)
            for key, error in errors.items()
            if key.gate_type is cirq.PhasedXZGate
        },
        double={
            frozenset(key.qubits): float(error)
            for key, error in errors.items()
            if key.gate_type is cirq.CZPowGate
            and frozenset(key.qubits) in device.metadata.qubit_pairs
        },
        readout={q: float(sum(pair)) / 2 for q, pair in properties.readout_errors.items()},
        calibrated_at=datetime.fromtimestamp(stamp, UTC).isoformat(timespec="seconds"),
    )


class Willow:
    """The virtual engine's processor, simulated exactly: its noise, its qubits, its gates.

    simplify: Whether compiling starts from `circuit.simplify()`.
    """

    source: Source = "snapshot"

    def __init__(self, spec: Spec, *, simplify: bool = True) -> None:
        self.spec = str(spec)
        self._simplify = simplify
        self._calibration = calibration()

    def compile(self, circuit: Circuit) -> Compiled:
        """The circuit in phased_xz and cz, on the physical qubits with the least expected error."""
        native, names = compact(phased(circuit.simplify() if self._simplify else circuit))
        check_width(native.num_qubits, batched.MOST_QUBITS_MIXED, self.spec, "active qubits")
        known = self._calibration
        qubits = place(native, known.single, known.double, known.readout, names)
        read = from_cirq_native(
            to_cirq(native, qubits),
            qubits,
            num_features=native.num_features,
            num_weights=native.num_weights,
        )
        return self._compiled(read, qubits)

    def emit(self, native: Circuit, like: Compiled) -> Compiled:
        """The circuit gate by gate on the same qubits; x, y and z become a phased_xz each."""
        check_like(native, like)
        return self._compiled(lowered(native), self._qubits(like))

    def probabilities(self, compiled: Compiled, features: ArrayLike) -> Probabilities:
        """Probabilities (batch, 2^m), readout error included."""
        x = check_features(compiled, features)
        qubits = self._qubits(compiled)
        noisy = self.noisy_circuit(to_cirq(compiled.native, qubits))
        measured = compiled.native.measured
        return batched.probabilities(noisy, qubits, measured, x, mixed=True)

    def run(self, compiled: Compiled, features: ArrayLike, shots: int, seed: int) -> Counts:
        """Counts (batch, 2^m), drawn from the exact probabilities."""
        return sample(self.probabilities(compiled, features), shots, seed)

    def noisy_circuit(self, circuit: Any) -> Any:
        """The vendor's noisy circuit without its measurement; the readout damping stays."""
        import cirq

        moments = self._calibration.noise.noisy_moments(circuit, sorted(circuit.all_qubits()))
        return cirq.Circuit(
            cirq.Moment(op for op in moment if not cirq.is_measurement(op)) for moment in moments
        )

    def _qubits(self, compiled: Compiled) -> list[Any]:
        known = {str(qubit): qubit for qubit in self._calibration.single}
        try:
            return [known[name] for name in compiled.physical]
        except KeyError as error:
            raise InputError(
                got=f"the physical qubit {error}",
                expected=f"qubits of {PROCESSOR} such as {next(iter(known))}",
                do=f"compile the circuit for {self.spec}",
            ) from error

    def _compiled(self, native: Circuit, qubits: Sequence[Any]) -> Compiled:
        circuit = to_cirq(native, qubits)
        self._calibration.device.validate_circuit(circuit)
        noisy = _read(self.noisy_circuit(circuit), native, qubits)
        check_noisy(noisy, self.spec)
        names = [str(qubit) for qubit in qubits]
        calibrated_at = self._calibration.calibrated_at
        return compiled(self.spec, native, names, noisy=noisy, calibrated_at=calibrated_at)


def _read(circuit: Any, native: Circuit, qubits: Sequence[Any]) -> list[Op | Channel]:
    """Gates and channels of the vendor's noisy circuit, in order; identities are left out.

    The gates are those of `native`, in the order in which the vendor has them: read back, their
    angles would differ in the last bit.
    """
    import cirq

    index = {qubit: i for i, qubit in enumerate(qubits)}
    following: dict[tuple[int, ...], deque[Op]] = {}
    for op in native.ops:
        following.setdefault(op.qubits, deque()).append(op)
    steps: list[Op | Channel] = []
    for operation in circuit.all_operations():
        on = tuple(index[qubit] for qubit in operation.qubits)
        if PHYSICAL in operation.tags:
            steps.append(following[on].popleft())
            continue
        channel = Channel.from_kraus(on, cirq.kraus(operation))
        if not is_identity(channel):
            steps.append(channel)
    return steps


def check_noisy(noisy: Iterable[Op | Channel], spec: str) -> None:
    """Nothing, if noise follows each gate on each of its qubits before the next gate there.

    The calibration of a device need not know every gate that the device accepts; the vendor's
    noise model then lets it pass without noise, silently.

    Raises:
        FitError: A gate without noise.
    """
    bare: dict[int, Op] = {}
    for step in noisy:
        found = [bare[q] for q in step.qubits if q in bare]
        if isinstance(step, Channel):
            for qubit in step.qubits:
                bare.pop(qubit, None)
            continue
        if found:
            break
        bare |= dict.fromkeys(step.qubits, step)
    for op in bare.values():
        raise FitError(
            got=f"{op.gate} on qubits {op.qubits} without noise on {spec}",
            expected="a gate that its calibration knows",
            do="use another target",
        )


def infidelity(pauli_error: float, num_qubits: int) -> float:
    """Average gate infidelity of a Pauli (process) error r: r * d / (d + 1), d = 2^k.

    >>> round(infidelity(0.003, 1), 6)
    0.002
    """
    d: int = 2**num_qubits
    return pauli_error * d / (d + 1)


def describe() -> TargetInfo:
    """The processor as a row of `qmoe devices`."""
    known = calibration()
    return TargetInfo(
        f"cirq:{PROCESSOR}",
        "snapshot",
        len(known.single),
        BASIS,
        infidelity(median(known.single.values()), 1),
        infidelity(median(known.double.values()), 2),
        median(known.readout.values()),
        known.calibrated_at,
        f"Cirq's virtual engine; circuits of up to {batched.MOST_QUBITS_MIXED} qubits",
    )
