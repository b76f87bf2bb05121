"""Braket's local emulator of a device: `braket:emulator,properties=FILE`.

The emulator checks what a device would refuse and adds the noise that it makes of the device's
properties; compiling is ours, as the SDK compiles no free parameters. Every circuit stands in a
verbatim box. Noise and probabilities are read from the emulator's own noisy circuit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from backends.base import Compiled, Counts, Probabilities, check_features, sample
from backends.braket import engine, native
from backends.braket.calibration import SHIPPED, calibration, capabilities
from backends.braket.circuits import from_braket, read_steps, to_braket
from backends.braket.simulators import check_like

# Nothing in it is Cirq's: it works on our circuits and on errors by qubit.
from backends.cirq.layout import place
from backends.compiled import Noisy, compiled
from backends.registry import require
from qmoe.channel import Channel
from qmoe.errors import FitError, InputError, unknown
from qmoe.simplify import compact

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from backends.registry import Spec
    from qmoe.circuit import Circuit

DEFAULT = "iqm"


class Emulator:
    """A device's properties in Braket's local emulator, simulated exactly.

    Args:
        spec: The target.
        properties: The name of a shipped file ("iqm", "ionq"), or a path.
        simplify: Whether compiling starts from `circuit.simplify()`.
    """

    def __init__(self, spec: str, properties: str, *, simplify: bool = True) -> None:
        emulation = require("braket", "braket.emulation.local_emulator")
        self.spec = spec
        self._simplify = simplify
        found = capabilities(properties)
        self._calibration, values = calibration(found, f"properties={properties}")
        self.source = self._calibration.source
        try:
            self.local = emulation.LocalEmulator.from_device_properties(values)
        except (ValueError, TypeError, KeyError) as error:
            raise InputError(
                got=f"properties={properties} that Braket's emulator refuses ({error})",
                expected="fidelities that noise can be made from",
                do=f"correct the file, or use one of {', '.join(SHIPPED)}",
            ) from error

    def compile(self, circuit: Circuit) -> Compiled:
        """The circuit in native gates, on the qubits of the device with the least expected error.

        Raises:
            FitError: Too many qubits, or pairs that the device's couplings cannot hold: nothing
                is swapped.
        """
        known = self._calibration
        given = circuit.simplify() if self._simplify else circuit
        small, _ = compact(native.native_circuit(given, known.gates))
        limit = engine.MOST_QUBITS["dm"]
        if small.num_qubits > limit:
            raise FitError(
                got=f"a circuit of {small.num_qubits} active qubits",
                expected=f"at most {limit}, which {self.spec} can simulate",
                do="measure or use fewer qubits",
            )
        return self._compiled(small, place(small, *known.costs()))

    def emit(self, native_: Circuit, like: Compiled) -> Compiled:
        """The circuit gate by gate on the same qubits; x and y become a gate each, z none."""
        check_like(native_, like)
        return self._compiled(native.lowered(native_, self._calibration.gates), _qubits(like))

    def probabilities(self, compiled: Compiled, features: ArrayLike) -> Probabilities:
        """Probabilities (batch, 2^m), readout error included."""
        x = check_features(compiled, features)
        qubits = _qubits(compiled)
        noisy = self.noisy_circuit(self.circuit(compiled))
        if _channels(_read(noisy, qubits)) != _channels(compiled.noisy or ()):
            raise InputError(
                got=f"a circuit with other noise than {self.spec} has",
                expected="one that was compiled for the same device properties",
                do="compile it again",
            )
        return engine.probabilities(noisy, qubits, compiled.native.measured, x)

    def run(self, compiled: Compiled, features: ArrayLike, shots: int, seed: int) -> Counts:
        """Counts (batch, 2^m), drawn from the exact probabilities."""
        return sample(self.probabilities(compiled, features), shots, seed)

    def circuit(self, compiled: Compiled) -> Any:
        """What the device would be sent: a verbatim box of native gates, then the measurement."""
        return self._verbatim(compiled.native, _qubits(compiled))

    def noisy_circuit(self, circuit: Any) -> Any:
        """The emulator's noisy circuit: a bit flip stands before each measurement."""
        return self.local.noise_model.apply(circuit)

    def _verbatim(self, circuit: Circuit, qubits: Sequence[int]) -> Any:
        return to_braket(circuit, qubits, native=self._calibration.gates, verbatim=True)

    def _compiled(self, circuit: Circuit, qubits: Sequence[int]) -> Compiled:
        verbatim = self._verbatim(circuit, qubits)
        if circuit.ops:
            try:
                self.local.validate(verbatim)
            except ValueError as error:
                raise FitError(
                    got=f"a circuit that {self.spec} refuses ({error})",
                    expected=f"{', '.join(self._calibration.gates)} on coupled qubits",
                    do="compile the circuit instead of emitting it",
                ) from error
        counts = {"num_features": circuit.num_features, "num_weights": circuit.num_weights}
        return compiled(
            self.spec,
            from_braket(verbatim, qubits, **counts),
            [str(qubit) for qubit in qubits],
            noisy=_read(self.noisy_circuit(verbatim), qubits),
            calibrated_at=self._calibration.calibrated_at,
        )


def load(spec: Spec) -> Emulator:
    """The emulator of a spec.

    Raises:
        InputError: Another option, or a file without what the emulator needs.
        FitError: A device whose native gates are not known.
    """
    options = spec.only("properties", "simplify").options
    simplify = options.get("simplify", "true")
    if simplify not in ("true", "false"):
        raise unknown("simplify of braket:emulator", simplify, ("true", "false"))
    name = options.get("properties", DEFAULT)
    return Emulator(str(spec), name, simplify=simplify == "true")


def _qubits(compiled: Compiled) -> tuple[int, ...]:
    try:
        return tuple(map(int, compiled.physical))
    except ValueError as error:
        raise InputError(
            got=f"the physical qubits {', '.join(compiled.physical)}",
            expected="numbers",
            do="compile the circuit for this target",
        ) from error


def _read(noisy: Any, qubits: Sequence[int]) -> Noisy:
    return tuple(read_steps(noisy, {qubit: i for i, qubit in enumerate(qubits)}))


def _channels(noisy: Noisy) -> list[Channel]:
    return [step for step in noisy if isinstance(step, Channel)]
