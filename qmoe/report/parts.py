"""The parts of a report that only some runs have, each from the run's evidence."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from qmoe.evidence import Evidence
from qmoe.report.device import Devices, device_lines, device_table, devices
from qmoe.report.efficiency import eta_table
from qmoe.report.hardware import Hardware, hardware, hardware_lines, hardware_table
from qmoe.report.noise import Noise, noise_of, noise_table
from qmoe.report.sensitivity import (
    Sensitivity,
    sensitivity,
    sensitivity_lines,
    sensitivity_table,
)
from qmoe.report.targets import Targets, target_lines, target_table, targets


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """What a run found beside its routers; None where it did not ask."""

    etas: pd.DataFrame | None
    targets: Targets | None
    devices: Devices | None
    sensitivity: Sensitivity | None
    noise: Noise | None
    hardware: tuple[Hardware, ...] = ()

    @classmethod
    def of(cls, evidence: Evidence | None) -> Parts:
        """The parts of a run's evidence."""
        return cls(
            eta_table(evidence),
            targets(evidence),
            devices(evidence),
            sensitivity(evidence),
            noise_of(evidence),
            hardware(evidence),
        )

    def tables(self) -> dict[str, pd.DataFrame]:
        """A table for other programs of each part that there is, by its name."""
        found = {
            "eta": self.etas,
            "targets": None if self.targets is None else target_table(self.targets),
            "devices": None if self.devices is None else device_table(self.devices),
            "sensitivity": (
                None if self.sensitivity is None else sensitivity_table(self.sensitivity)
            ),
            "noise": None if self.noise is None else noise_table(self.noise),
            "hardware": hardware_table(self.hardware) if self.hardware else None,
        }
        return {name: frame for name, frame in found.items() if frame is not None}

    def lines(self) -> Iterator[str]:
        """The parts that a terminal shows, an empty line after each."""
        if self.targets is not None:
            yield from (*target_lines(self.targets), "")
        if self.devices is not None:
            yield from (*device_lines(self.devices), "")
        if self.sensitivity is not None:
            yield from (*sensitivity_lines(self.sensitivity), "")
        if self.hardware:
            yield from (*hardware_lines(self.hardware), "")
