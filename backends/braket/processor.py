"""Circuits for a quantum processor: what the emulator makes of the properties it reports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backends.base import Compiled
from backends.braket import native
from backends.braket.calibration import calibration
from backends.braket.emulator import Emulator
from backends.cirq.layout import place  # nothing in it is Cirq's
from backends.registry import require
from qmoe.errors import InputError
from qmoe.simplify import compact

if TYPE_CHECKING:
    from qmoe.circuit import Circuit


class Processor(Emulator):
    """The compiler of a device; the noise is the emulator's guess from the last calibration.

    found: The SDK's device capabilities, as the service gave them.
    """

    def __init__(self, spec: str, found: Any, *, simplify: bool) -> None:
        emulation = require("braket", "braket.emulation.local_emulator")
        self.spec = spec
        self._simplify = simplify
        self._calibration, values = calibration(found, f"of {spec}")
        try:
            self.local = emulation.LocalEmulator.from_device_properties(values)
        except (ValueError, TypeError, KeyError) as error:
            raise InputError(
                got=f"properties of {spec} that Braket's emulator refuses ({error})",
                expected="fidelities of its gates",
                do="wait until the device is calibrated",
            ) from error

    def compile(self, circuit: Circuit) -> Compiled:
        """The circuit in native gates, on the qubits with the least expected error.

        Raises:
            FitError: Too many qubits, or pairs that the device's couplings cannot hold: nothing
                is swapped.
        """
        known = self._calibration
        given = circuit.simplify() if self._simplify else circuit
        small, _ = compact(native.native_circuit(given, known.gates))
        return self._compiled(small, place(small, *known.costs()))
