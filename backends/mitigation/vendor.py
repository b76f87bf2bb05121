"""`ibm.dd`, `ibm.twirl`: what IBM does to circuits itself, on its real devices only.

Circuits stay as they are; each carries the wish, and the device's sampler is asked for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from backends.ibm.sampler import VENDOR
from backends.mitigation.base import Job, Run, Values, made_by
from backends.mitigation.options import Options
from qmoe.errors import InputError, unknown

GROUP = "ibm"
REAL = "ibm:ibm_"


@dataclass(frozen=True, slots=True)
class Asked:
    """An option of the vendor: "ibm.dd" (dynamical decoupling) or "ibm.twirl" (of gates)."""

    name: str

    def on(self, job: Job) -> Asked:
        """Itself.

        Raises:
            InputError: The target is no real device of IBM: snapshots and simulators have no such
                option, and would leave it out silently.
        """
        if not job.spec.startswith(REAL):
            raise InputError(
                got=f"{self.name} on {job.spec}",
                expected="a real device, ibm:ibm_NAME",
                do="use twirl or none there",
            )
        return self

    def expand(self, runs: tuple[Run, ...], rng: np.random.Generator) -> tuple[Run, ...]:
        """The runs with the wish added; calibrations that other steps made stay as they are."""
        return tuple(
            run
            if run.role == "calibration"
            else replace(run, vendor=(*run.vendor, self.name), path=(*run.path, self.name))
            for run in runs
        )

    def combine(
        self, runs: Sequence[Run], values: Sequence[Values]
    ) -> tuple[tuple[Run, ...], tuple[Values, ...]]:
        """What was measured."""
        left = tuple(
            replace(run, vendor=run.vendor[:-1], path=run.path[:-1])
            if made_by(run, self.name)
            else run
            for run in runs
        )
        return left, tuple(values)


def make(name: str, options: Mapping[str, str]) -> Asked:
    """The step of the name behind `ibm.`.

    Raises:
        InputError: Another name, or any option.
    """
    whole = f"{GROUP}.{name}"
    if whole not in VENDOR:
        raise unknown("option of the vendor", whole, VENDOR)
    Options(whole, options, ())
    return Asked(whole)
