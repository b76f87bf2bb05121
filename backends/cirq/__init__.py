"""Cirq: its simulators, Google's Willow as its virtual engine has it, and services by account.

Targets: `cirq:sv`, `cirq:dm,depolarizing=...`, `cirq:willow_pink`; with an account
`cirq:google/PROJECT/PROCESSOR` and `cirq:ionq.TARGET`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

from backends.base import Backend, TargetInfo
from qmoe.errors import InputError, unknown

if TYPE_CHECKING:
    from backends.registry import Spec

TARGETS = ("sv", "dm", "willow_pink")
_SERVICES = {"google/": "backends.cirq.google", "ionq.": "backends.cirq.ionq"}
# Shipped with Cirq and left out: the reason is part of the error.
_SYCAMORES = ("weber", "rainbow")


def load(spec: Spec) -> Backend:
    """The backend of one target.

    Raises:
        InputError: An unknown target or option, or Cirq is not installed.
    """
    for prefix, module in _SERVICES.items():
        if spec.target.startswith(prefix):
            return cast(Backend, import_module(module).load(spec))
    if spec.target in _SYCAMORES:
        raise InputError(
            got=f"target {spec}, calibrated for its two-qubit gate sycamore only",
            expected="a device whose calibrated gates carry the circuit: Cirq simulates CZ there "
            "without gate noise, and sycamore is not in the gate table",
            do="use cirq:willow_pink",
        )
    if spec.target == "willow_pink":
        from backends.cirq.willow import Willow

        return Willow(spec, simplify=spec.only("simplify").flag("simplify"))
    from backends.cirq.simulators import Simulator

    if spec.target == "sv":
        return Simulator(spec.only(), None)
    if spec.target == "dm":
        from qmoe.noise import NoiseModel

        return Simulator(spec, NoiseModel.parse(spec.options))
    services = ("google/PROJECT/PROCESSOR", "ionq.simulator")
    raise unknown("cirq target", spec.target, (*TARGETS, *services))


def targets() -> tuple[str, ...]:
    """The specs that load without an account."""
    return tuple(f"cirq:{name}" for name in TARGETS)


def describe() -> tuple[TargetInfo, ...]:
    """The same with qubits, gates and errors."""
    from backends.cirq import google, ionq, simulators, willow

    notes = {"sv": "state vectors, double precision", "dm": "density matrices with a noise model"}
    return (
        *(
            TargetInfo(f"cirq:{name}", "exact", simulators.MOST_QUBITS[name], ("any",), note=note)
            for name, note in notes.items()
        ),
        willow.describe(),
        *google.describe(),
        *ionq.describe(),
    )
