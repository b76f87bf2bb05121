"""Circuits for Braket's hosted simulators, which take them as they are."""

from __future__ import annotations

from typing import Any

from backends.base import Compiled
from backends.braket.circuits import to_braket
from backends.checks import check_like, check_width
from backends.compiled import as_given
from qmoe.circuit import Circuit
from qmoe.errors import FitError
from qmoe.simplify import compact

PROGRAM = "braket.ir.openqasm.program"


class Hosted:
    """What a hosted simulator makes of a circuit: the same, over the qubits that are in use."""

    def __init__(self, spec: str, properties: Any) -> None:
        self._spec = spec
        self._most = int(properties.paradigm.qubitCount)
        self._gates = {name.lower() for name in properties.action[PROGRAM].supportedOperations}

    def compile(self, circuit: Circuit) -> Compiled:
        """The circuit without idle qubits.

        Raises:
            FitError: Too many qubits, or a gate that the simulator does not have.
        """
        return self._checked(compact(circuit)[0])

    def emit(self, native: Circuit, like: Compiled) -> Compiled:
        """The circuit itself."""
        check_like(native, like)
        return self._checked(native)

    def circuit(self, compiled: Compiled) -> Any:
        """What the simulator is sent."""
        return to_braket(compiled.native)

    def _checked(self, native: Circuit) -> Compiled:
        check_width(native.num_qubits, self._most, self._spec)
        sent = to_braket(native, measure=False).instructions
        for name in sorted({type(each.operator).__name__.lower() for each in sent}):
            if name not in self._gates:
                raise FitError(
                    got=f"the gate {name}",
                    expected=f"one of {', '.join(sorted(self._gates))} on {self._spec}",
                    do="write the circuit in these gates",
                )
        return as_given(self._spec, native)
