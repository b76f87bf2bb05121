"""The calibration snapshots that ship with qiskit-ibm-runtime, read from their files.

The package itself is not imported, which would take seconds: a snapshot is two JSON files, and
they hold all there is to know.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from types import MappingProxyType
from typing import Any

from backends.base import TargetInfo
from backends.ibm.calibration import DEAD, Calibration
from backends.registry import require
from qmoe.circuit import GATES
from qmoe.errors import InputError, unknown

_OLD = "its gates u1, u2, u3 are those that IBM gave up in 2021"
UNFIT = MappingProxyType(
    {
        "fake_armonk": "it has one qubit",
        "fake_fractional": "it is no device: Lima's errors under gates that Lima did not have",
        "fake_kyoto": "all its two-qubit gates were down",
        "fake_nighthawk": "its errors are made up, as it says itself; take fake_miami",
        **dict.fromkeys(
            (
                "fake_almaden",
                "fake_boeblingen",
                "fake_burlington",
                "fake_cambridge",
                "fake_essex",
                "fake_johannesburg",
                "fake_london",
                "fake_poughkeepsie",
                "fake_rochester",
                "fake_singapore",
            ),
            _OLD,
        ),
    }
)
_UNITS = {"": 1.0, "ns": 1e-9, "us": 1e-6, "µs": 1e-6, "GHz": 1e9}


def names() -> tuple[str, ...]:
    """The snapshots that can be used, such as "fake_boston"; empty without the package."""
    folder = _folder()
    if folder is None:
        return ()
    found = (f"fake_{path.parent.name}" for path in folder.glob("*/props_*.json"))
    return tuple(sorted(set(found) - UNFIT.keys()))


def check(name: str) -> None:
    """Refuses what is no snapshot.

    Raises:
        InputError: There is none of this name, or it is unfit, with the reason.
    """
    if _folder() is None:
        require("ibm", "qiskit_ibm_runtime")
    if name in UNFIT:
        raise InputError(
            got=f"ibm target {name!r}",
            expected=f"another one, as {UNFIT[name]}",
            do="choose one that `qmoe devices` lists",
        )
    if name not in (known := names()):
        raise unknown("ibm target", name, ("aer", "dm", *known))


def calibration(name: str) -> Calibration:
    """A snapshot as a calibration.

    Raises:
        InputError: There is none of this name, or it is unfit, with the reason.
    """
    from qiskit.circuit import Measure
    from qiskit.circuit.library import get_standard_gate_name_mapping
    from qiskit.transpiler import InstructionProperties, QubitProperties, Target

    check(name)
    configuration, properties = _files(name)
    qubits = [_values(row) for row in properties["qubits"]]
    target = Target(
        num_qubits=len(qubits),
        qubit_properties=[
            QubitProperties(row.get("T1"), row.get("T2"), row.get("frequency")) for row in qubits
        ],
    )
    standard = get_standard_gate_name_mapping()
    for gate, rows in _gates(configuration, properties).items():
        target.add_instruction(
            standard[gate],
            {
                on: InstructionProperties(row["gate_length"], row["gate_error"])
                for on, row in rows.items()
            },
            name=gate,
        )
    target.add_instruction(
        Measure(),
        {
            (qubit,): InstructionProperties(row.get("readout_length"), row["readout_error"])
            for qubit, row in enumerate(qubits)
        },
    )
    readout = tuple((row["prob_meas1_prep0"], row["prob_meas0_prep1"]) for row in qubits)
    return Calibration(target, readout, properties["last_update_date"])


def describe(name: str) -> TargetInfo:
    """The row of a snapshot: medians of what works."""
    configuration, properties = _files(name)
    gates = _gates(configuration, properties)
    qubits = [_values(row) for row in properties["qubits"]]
    errors: dict[int, list[float]] = {1: [], 2: []}
    for gate, rows in gates.items():
        if gate != "rz":
            errors[GATES[gate].num_qubits or 0] += [row["gate_error"] for row in rows.values()]
    readout = [(row["prob_meas1_prep0"] + row["prob_meas0_prep1"]) / 2 for row in qubits]
    return TargetInfo(
        spec=f"ibm:{name}",
        source="snapshot",
        qubits=len(qubits),
        basis=tuple(sorted(gates)),
        error_1q=_median(errors[1]),
        error_2q=_median(errors[2]),
        error_readout=_median(readout),
        calibrated_at=properties["last_update_date"],
        note=" ".join(str(part) for part in configuration.get("processor_type", {}).values()),
    )


def _gates(
    configuration: dict[str, Any], properties: dict[str, Any]
) -> dict[str, dict[tuple[int, ...], dict[str, float]]]:
    """Gate, qubits to gate_error and gate_length (seconds), of gates that we know and that work."""
    found: dict[str, dict[tuple[int, ...], dict[str, float]]] = {}
    for row in properties["gates"]:
        if row["gate"] in configuration["basis_gates"] and row["gate"] in GATES:
            values = _values(row["parameters"])
            if values.get("gate_error", DEAD) < DEAD:
                found.setdefault(row["gate"], {})[tuple(row["qubits"])] = values
    return found


def _values(rows: list[dict[str, Any]]) -> dict[str, float]:
    return {row["name"]: row["value"] * _UNITS[row["unit"]] for row in rows}


def _median(errors: list[float]) -> float | None:
    working = [error for error in errors if error < DEAD]
    return float(median(working)) if working else None


@cache
def _folder() -> Path | None:
    found = find_spec("qiskit_ibm_runtime")
    if found is None or found.origin is None:
        return None
    return Path(found.origin).parent / "fake_provider" / "backends"


def _files(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    short = name.removeprefix("fake_")
    folder = _folder()
    assert folder is not None
    configuration, properties = (
        json.loads((folder / short / f"{kind}_{short}.json").read_text(encoding="utf-8"))
        for kind in ("conf", "props")
    )
    return configuration, properties
