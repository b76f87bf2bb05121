"""Device properties in Braket's own format: what a device has, and how well it works.

Fidelities are what the file says: average gate fidelities F by (simultaneous) randomized
benchmarking, and the chance to read a qubit right. Braket's emulator makes of them depolarizing
noise of Pauli (process) error 3/2 (1 - F) on one qubit and 5/4 (1 - F) on two, and a bit flip of
1 - F before each measurement; so the average gate infidelity that `qmoe devices` shows is 1 - F.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from backends.base import TargetInfo
from backends.braket import native
from backends.registry import require
from qmoe.errors import InputError
from qmoe.record import Source

SHIPPED = {name: Path(__file__).parent / "properties" / f"{name}.json" for name in ("iqm", "ionq")}
MOST_BYTES = 16 * 2**20
SYNTHETIC = "synthetic"  # a word in the summary of files that describe no real device
_KINDS = {
    "braket.device_schema.iqm.iqm_device_capabilities": ("iqm", "IqmDeviceCapabilities"),
    "braket.device_schema.ionq.ionq_device_capabilities": ("ionq", "IonqDeviceCapabilities"),
}
_BENCHMARKS = ("RANDOMIZED_BENCHMARKING", "SIMULTANEOUS_RANDOMIZED_BENCHMARKING")


@dataclass(frozen=True)
class Calibration:
    """A device with its errors by qubit.

    Attributes:
        gates: One of the sets of `native.known`.
        single: 1 - F of one-qubit gates.
        double: 1 - F of the two-qubit gate of each coupled pair that has one.
        readout: The chance to misread a qubit.
        calibrated_at: ISO 8601, or None where the file does not say.
        source: "synthetic" where the file says so, else "snapshot".
    """

    gates: tuple[str, ...]
    single: Mapping[int, float]
    double: Mapping[frozenset[int], float]
    readout: Mapping[int, float]
    calibrated_at: str | None
    source: Source

    def costs(self) -> tuple[dict[int, float], dict[frozenset[int], float], dict[int, float]]:
        """Pauli (process) errors of gates, and readout errors: what a layout adds up."""
        return (
            {qubit: 1.5 * error for qubit, error in self.single.items()},
            {pair: 1.25 * error for pair, error in self.double.items()},
            dict(self.readout),
        )


def capabilities(name: str) -> Any:
    """The SDK's device capabilities in a shipped file ("iqm", "ionq") or in a user's.

    Raises:
        InputError: No such file, too large, damaged, or of a vendor that is not known.
    """
    path = SHIPPED.get(name, Path(name))
    try:
        with path.open("rb") as file:
            text = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise InputError(
            got=f"properties={name} ({error.strerror})",
            expected=f"a file of device properties, or one of {', '.join(SHIPPED)}",
            do="correct the path",
        ) from error
    if len(text) > MOST_BYTES:
        raise _damaged(name, f"more than {MOST_BYTES} bytes")
    try:
        tree = json.loads(text)
        kind = tree["braketSchemaHeader"]["name"]
        # IonQ's reader imports what these keys name
        mitigation = (tree.get("provider") or {}).get("errorMitigation")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise _damaged(name, f"{type(error).__name__}: {error}") from error
    if kind not in _KINDS:
        raise InputError(
            got=f"properties={name} with header {kind!r}",
            expected=f"one of {', '.join(_KINDS)}",
            do="choose a device of IQM or IonQ",
        )
    if mitigation:
        tree["provider"]["errorMitigation"] = None
    folder, label = _KINDS[kind]
    module = require("braket", f"braket.device_schema.{folder}")
    try:
        return getattr(module, label).parse_raw(json.dumps(tree))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise _damaged(name, str(error)) from error


def calibration(found: Any, name: str = "these") -> tuple[Calibration, Any]:
    """A device's errors, and the properties that LocalEmulator takes.

    found: The SDK's device capabilities; `name` stands in messages.

    Raises:
        InputError: Calibration values are absent; it says which.
        FitError: Native gates that are not known.
    """
    emulation = require("braket", "braket.emulation.device_emulator_properties")
    gates = native.known(found.paradigm.nativeGateSet)
    if not (found.provider if gates == native.IONQ else found.standardized):
        raise _absent(name, "provider.fidelity" if gates == native.IONQ else "standardized")
    try:
        properties = emulation.DeviceEmulatorProperties.from_device_properties(found)
    except KeyError as error:
        raise _absent(name, f"the key {error}") from error
    except (ValueError, TypeError) as error:
        raise _damaged(name, str(error)) from error
    single, readout = {}, {}
    for label, each in properties.one_qubit_properties.items():
        values = {value.fidelityType.name: value.fidelity for value in each.oneQubitFidelity}
        benchmark = next((kind for kind in _BENCHMARKS if kind in values), None)
        if benchmark is None or "READOUT" not in values:
            lacking = "READOUT" if benchmark else _BENCHMARKS[0]
            raise _absent(name, f"the fidelity {lacking} of qubit {label}")
        single[int(label)] = 1 - float(values[benchmark])
        readout[int(label)] = 1 - float(values["READOUT"])
    double = _pairs(properties, gates[-1])
    if not double:
        raise _absent(name, f"the fidelity of {gates[-1]} of every pair")
    updated = found.service.updatedAt
    documentation = found.service.deviceDocumentation
    summary = (documentation and documentation.summary) or ""
    made = Calibration(
        gates=gates,
        single=single,
        double=double,
        readout=readout,
        calibrated_at=None if updated is None else updated.isoformat(timespec="seconds"),
        source="synthetic" if SYNTHETIC in summary.lower() else "snapshot",
    )
    return made, properties


def describe(spec: str, name: str, limit: int) -> TargetInfo:
    """A row of `qmoe devices`; limit: the widest circuit that can be simulated."""
    known, _ = calibration(capabilities(name), f"properties={name}")
    return TargetInfo(
        spec,
        known.source,
        len(known.single),
        known.gates,
        median(known.single.values()),
        median(known.double.values()),
        median(known.readout.values()),
        known.calibrated_at,
        f"Braket's local emulator of an invented device; circuits of up to {limit} qubits",
    )


def _pairs(properties: Any, gate: str) -> dict[frozenset[int], float]:
    """1 - F of each coupled pair that has the gate."""
    graph = properties.connectivity_graph
    coupled = {frozenset((int(a), int(b))) for a, others in graph.items() for b in others}
    pairs = {}
    for edge, each in properties.two_qubit_properties.items():
        pair = frozenset(map(int, edge.split("-")))
        for value in each.twoQubitGateFidelity:
            usable = properties.fully_connected or pair in coupled
            if value.gateName.lower() == gate and usable:
                pairs[pair] = 1 - float(value.fidelity)
    return pairs


def _damaged(name: str, why: str) -> InputError:
    return InputError(
        got=f"properties={name} that cannot be read ({' '.join(why.split())[:200]})",
        expected="device properties as Braket gives them, in JSON",
        do="fetch the file again",
    )


def _absent(name: str, what: str) -> InputError:
    return InputError(
        got=f"device properties ({name}) without {what}",
        expected="calibration values, which the noise is made from",
        do="take properties of a device that is calibrated",
    )
