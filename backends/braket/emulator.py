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
from backends.checks import check_like, check_width
from backends.compiled import Noisy, compiled
from backends.native.placement import place
from backends.registry import require
from qmoe.channel import Channel
from qmoe.errors import FitError, InputError
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
        found: The SDK's device capabilities, from a file or as the service gave them.
        name: What they are called in errors.
        simplify: Whether compiling starts from `circuit.simplify()`.
        most_qubits: How many active qubits are simulated; None for a device that runs itself.
    """

    def __init__(
        self,
        spec: str,
        found: Any,
        name: str,
        *,
        simplify: bool = True,
        most_qubits: int | None = engine.MOST_QUBITS["dm"],
    ) -> None:
        emulation = require("braket", "braket.emulation.local_emulator")
        self.spec = spec
        self._simplify, self._most_qubits = simplify, most_qubits
        self._calibration, values = calibration(found, name)
        self.source = self._calibration.source
        try:
            self.local = emulation.LocalEmulator.from_device_properties(values)
        except (ValueError, TypeError, KeyError) as error:
            raise InputError(
                got=f"{name} that Braket's emulator refuses ({error})",
                expected="fidelities that noise can be made from",
                do=f"correct the file or wait for a calibration; shipped: {', '.join(SHIPPED)}",
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
        if self._most_qubits is not None:
            check_width(small.num_qubits, self._most_qubits, self.spec, "active qubits")
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
    name = spec.only("properties", "simplify").options.get("properties", DEFAULT)
    found = capabilities(name)
    return Emulator(str(spec), found, f"properties={name}", simplify=spec.flag("simplify"))


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
