"""Amazon Braket: its simulators, its local emulator of devices, and devices by ARN.

Targets: `braket:sv`, `braket:dm,depolarizing=...`, `braket:emulator,properties=...`; with an
account `braket:arn:aws:braket:...`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from backends.base import Backend, TargetInfo
from qmoe.errors import unknown

if TYPE_CHECKING:
    from backends.registry import Spec

TARGETS = ("sv", "dm", "emulator")


def load(spec: Spec) -> Backend:
    """The backend of one target.

    Raises:
        InputError: An unknown target or option, or Braket's SDK is not installed.
    """
    if spec.target.startswith("arn:"):
        from backends.braket import device

        return device.load(spec)
    if spec.target == "emulator":
        from backends.braket import emulator

        return emulator.load(spec)
    from backends.braket.simulators import Simulator

    if spec.target == "sv":
        return Simulator(spec.only(), None)
    if spec.target == "dm":
        from qmoe.noise import NoiseModel

        return Simulator(spec, NoiseModel.parse(spec.options))
    raise unknown("braket target", spec.target, (*TARGETS, "arn:aws:braket:..."))


def targets() -> tuple[str, ...]:
    """The specs that load without an account."""
    return (*(f"braket:{name}" for name in TARGETS), "braket:emulator,properties=ionq")


def describe() -> tuple[TargetInfo, ...]:
    """The same with qubits, gates and errors."""
    from backends.braket import aws, calibration, engine

    lacking = aws.missing()
    limits = engine.MOST_QUBITS
    notes = {"sv": "state vectors, double precision", "dm": "density matrices with a noise model"}
    return (
        *(
            TargetInfo(f"braket:{name}", "exact", limits[name], ("any",), note=note)
            for name, note in notes.items()
        ),
        calibration.describe("braket:emulator", "iqm", limits["dm"]),
        calibration.describe("braket:emulator,properties=ionq", "ionq", limits["dm"]),
        TargetInfo(
            "braket:arn:...",
            "device",
            note="a device by its ARN" if lacking is None else f"set {lacking}",
        ),
    )
