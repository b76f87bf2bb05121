"""`mitiq.zne`, `mitiq.pec`, `mitiq.lre`, `mitiq.ddd`: mitiq's own techniques, a check on ours.

A native circuit goes to mitiq as a cirq.Circuit, features as symbols, once for all inputs, and
comes back op by op: what mitiq inverts takes our own native inverse. All four techniques are
linear, so each circuit's weight is what mitiq's `combine_results` gives for a result of 1 there
and 0 elsewhere.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np

from backends.mitigation.base import Job, Run, Values
from backends.mitigation.mitiq_circuits import Given
from backends.mitigation.mitiq_techniques import Cancelled, Technique, technique
from backends.mitigation.options import check_foldable
from backends.mitigation.pec import check_gates
from backends.mitigation.weighted import Part, parts, sums, total
from qmoe.circuit import Circuit


@dataclass(frozen=True, slots=True)
class Mitiq:
    """A technique of mitiq as a step: weighted sums of circuits that mitiq builds.

    Attributes:
        technique: Which.
        native: The circuit of one job, which `on` puts in.
    """

    technique: Technique
    native: Circuit | None = field(default=None, compare=False, repr=False)

    @property
    def name(self) -> str:
        """What `load` reads."""
        return f"mitiq.{self.technique.name}"

    @property
    def tag(self) -> str:
        """The name without options."""
        return self.name.partition(",")[0]

    def on(self, job: Job) -> Mitiq:
        """The same for one job.

        Raises:
            InputError: The target compiles what it is sent, or does not state what is needed.
        """
        check_foldable(job, self.tag)
        return Mitiq(self.technique.on(job.compiled), job.compiled.native)

    def expand(self, runs: tuple[Run, ...], rng: np.random.Generator) -> tuple[Run, ...]:
        """Each run as the circuits of the technique, training circuits too; marks vanish.

        Raises:
            InputError: A circuit that the technique cannot take.
        """
        out: list[Run] = []
        for run in runs:
            if run.role == "calibration":
                out.append(run)
                continue
            if isinstance(self.technique, Cancelled):
                check_gates(run, self.native or run.circuit, self.tag)
            with _untouched(rng) as state:
                made, scales, combine = self.technique.built(given := Given(run.circuit), state)
                weights = [combine(unit) for unit in np.eye(len(made)).tolist()]
            out += parts(
                run,
                self.tag,
                (
                    Part(given.back(circuit), weight, 1 / len(made), scale)
                    for circuit, scale, weight in zip(made, scales, weights, strict=True)
                ),
            )
        return tuple(out)

    def combine(
        self, runs: Sequence[Run], values: Sequence[Values]
    ) -> tuple[tuple[Run, ...], tuple[Values, ...]]:
        """Each run of before with the weighted sum; mitiq is not needed for it."""
        left: list[Run] = []
        found: list[Values] = []
        for parent, made, measured in sums(runs, values, self.tag):
            if not made:
                left.append(parent)
                found += measured
                continue
            # the weights add up to 1, but for those of finitely many samples of pec
            own = 1.0 if isinstance(self.technique, Cancelled) else parent.coefficient or 1.0
            left.append(replace(parent, coefficient=own))
            found.append(total([run.coefficient / own for run in made], measured))
        return tuple(left), tuple(found)


def make(name: str, options: Mapping[str, str]) -> Mitiq:
    """The step of the name behind `mitiq.` and its options.

    Raises:
        InputError: Another technique or option, or mitiq is not installed.
    """
    return Mitiq(technique(name, options))


@contextmanager
def _untouched(rng: np.random.Generator) -> Iterator[np.random.RandomState]:
    """A seeded state for mitiq; the global ones, which parts of it draw from, stay as they are."""
    before, before_ = np.random.get_state(), random.getstate()
    seed = int(rng.integers(2**32))
    np.random.seed(seed)
    random.seed(seed)
    try:
        yield np.random.RandomState(seed)
    finally:
        np.random.set_state(before)
        random.setstate(before_)
