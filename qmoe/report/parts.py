"""The parts of a report that only some runs have, each from the run's evidence."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from qmoe.evidence import Evidence
from qmoe.report.device import Devices, device_table, devices
from qmoe.report.drift_plot import drift_table, prediction_table
from qmoe.report.efficiency import eta_table
from qmoe.report.hardware import Hardware, hardware, hardware_table
from qmoe.report.noise import Noise, noise_of, noise_table
from qmoe.report.sensitivity import (
    Sensitivity,
    sensitivity,
    sensitivity_table,
)
from qmoe.report.targets import Targets, target_table, targets
from qmoe.report.volumetric import Volumetric, volumetric, volumetric_table


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """What a run found beside its routers; None where it did not ask."""

    etas: pd.DataFrame | None
    targets: tuple[Targets, ...]
    devices: Devices | None
    sensitivity: Sensitivity | None
    noise: Noise | None
    hardware: tuple[Hardware, ...] = ()
    volumetric: Volumetric | None = None

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
            volumetric(evidence),
        )

    @property
    def any(self) -> bool:
        """Whether there is anything of a run without trained routers to show."""
        every = (self.targets, self.devices, self.sensitivity, self.noise, self.hardware)
        return any(every) or self.volumetric is not None

    @property
    def sources(self) -> tuple[str, ...]:
        """Where its figures come from."""
        found = [row.source for each in self.targets for row in each.rows if row.source]
        if self.noise or self.devices or self.sensitivity:
            found.append("synthetic")
        found += [text for each in self.hardware for text in str(each.labels["source"]).split(", ")]
        return tuple(dict.fromkeys(source for source in found if source))

    def tables(self) -> dict[str, pd.DataFrame]:
        """A table for other programs of each part that there is, by its name."""
        found = {
            "eta": self.etas,
            "targets": target_table(self.targets) if self.targets else None,
            "devices": None if self.devices is None else device_table(self.devices),
            "sensitivity": (
                None if self.sensitivity is None else sensitivity_table(self.sensitivity)
            ),
            "noise": None if self.noise is None else noise_table(self.noise),
            "hardware": hardware_table(self.hardware) if self.hardware else None,
            "repeats": drift_table(self.hardware) if self.hardware else None,
            "predictions": prediction_table(self.hardware) if self.hardware else None,
            "volumetric": None if self.volumetric is None else volumetric_table(self.volumetric),
        }
        return {name: frame for name, frame in found.items() if frame is not None and len(frame)}
