"""`rescale`: one depolarizing strength for the whole circuit, trained and divided out.

The model is p_noisy = f p_ideal + (1 - f) / 2^m. f is fitted by least squares over Clifford
circuits of the same native structure, so of much the same noise (Clifford data regression,
arXiv 2005.10189, with one parameter); what they ideally give is simulated. It cannot change which
outcome is most likely.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from backends.mitigation.base import Job, Run, Values, derived, made_by
from backends.mitigation.options import Options, check_foldable, check_part, named
from qmoe.angles import whole
from qmoe.circuit import Circuit, Op, affine
from qmoe.errors import InputError
from qmoe.simulate import reference

TAG = "rescale"
CIRCUITS = 6
SHARE = 0.3
MOST_CIRCUITS = 100

QUARTER = math.pi / 2
LEAST_F = 0.05
"""The smallest f that is divided by: below it, the noise of the shots grows twentyfold."""
DRAWS = 200
EVEN = 1e-9  # how far a distribution is from even that teaches nothing


@dataclass(frozen=True, slots=True)
class Rescale:
    """The inverse of one depolarizing strength.

    Attributes:
        circuits: How many training circuits.
        share: What training takes of all shots.

    Raises:
        InputError: No circuits, or a share that is none.
    """

    circuits: int = CIRCUITS
    share: float = SHARE

    def __post_init__(self) -> None:
        if whole(self.circuits, "circuits of rescale", 1) > MOST_CIRCUITS:
            raise InputError(
                got=f"circuits={self.circuits} of rescale",
                expected=f"at most {MOST_CIRCUITS}",
                do=f"write for instance circuits={CIRCUITS}",
            )
        check_part("share of rescale", self.share)

    @property
    def name(self) -> str:
        """What `load` reads."""
        circuits, share = ("circuits", self.circuits, CIRCUITS), ("share", self.share, SHARE)
        return named(TAG, (circuits, share))

    def on(self, job: Job) -> Rescale:
        """Itself, where training circuits keep their structure."""
        check_foldable(job, TAG)
        return self

    def expand(self, runs: tuple[Run, ...], rng: np.random.Generator) -> tuple[Run, ...]:
        """Each data run, and behind it the training circuits of its structure.

        Raises:
            InputError: A structure whose Clifford circuits all have even outcomes.
        """
        out: list[Run] = []
        for run in runs:
            if run.role != "data":
                out.append(run)
                continue
            out.append(derived(run, TAG, share=1 - self.share))
            out += (
                derived(
                    run,
                    TAG,
                    circuit=clifford(run.circuit, rng),
                    role="training",
                    share=self.share / self.circuits,
                    label=str(k),
                    row=None,
                )
                for k in range(self.circuits)
            )
        return tuple(out)

    def combine(
        self, runs: Sequence[Run], values: Sequence[Values]
    ) -> tuple[tuple[Run, ...], tuple[Values, ...]]:
        """The data runs with f divided out.

        Raises:
            InputError: f is below LEAST_F.
        """
        left: list[Run] = []
        found: list[Values] = []
        for k, run in enumerate(runs):
            if not made_by(run, TAG):
                left.append(run)
                found.append(values[k])
            elif run.role == "data":
                trained = slice(k + 1, k + 1 + self.circuits)
                f = strength([r.circuit for r in runs[trained]], values[trained])
                even = 1 / values[k].shape[1]
                left.append(replace(run, share=run.share / (1 - self.share), path=run.path[:-1]))
                found.append((values[k] - even) / f + even)
        return tuple(left), tuple(found)


def make(options: Mapping[str, str]) -> Rescale:
    """The step of a text's options."""
    read = Options(TAG, options, ("circuits", "share"))
    return Rescale(read.whole("circuits", CIRCUITS), read.number("share", SHARE))


def clifford(circuit: Circuit, rng: np.random.Generator) -> Circuit:
    """A Clifford circuit of the same gates, without features; its outcomes are not all as likely.

    Angles that are numbers and multiples of pi/2 stay; all others are drawn from 0, pi/2, pi and
    3 pi/2.

    Raises:
        InputError: Every draw has even outcomes.
    """
    for _ in range(DRAWS):
        ops = tuple(_drawn(op, rng) for op in circuit.ops)
        made = replace(circuit, ops=ops, num_features=0)
        ideal = reference.probabilities(made)
        if np.abs(ideal - 1 / len(ideal)).max() > EVEN:
            return made
    raise InputError(
        got=f"a circuit whose outcomes were even in {DRAWS} Clifford circuits of its structure",
        expected="one that rescale can train on",
        do="use another mitigation",
    )


def strength(circuits: Sequence[Circuit], values: Sequence[Values]) -> float:
    """The f of the model by least squares over training circuits and their values (1, 2^m).

    Raises:
        InputError: It is below LEAST_F.
    """
    ideal = np.array([reference.probabilities(circuit) for circuit in circuits])
    even = 1 / ideal.shape[1]
    x, y = ideal - even, np.concatenate(values) - even
    f = float((x * y).sum() / (x * x).sum())
    if f < LEAST_F:
        raise InputError(
            got=f"outcomes that keep {f:.3f} of their structure in the training of rescale",
            expected=f"at least {LEAST_F:g}",
            do="use a target with less noise, more shots, or another mitigation",
        )
    return f


def _drawn(op: Op, rng: np.random.Generator) -> Op:
    drawn = tuple(
        angle if _is_clifford(angle) else QUARTER * int(rng.integers(4)) for angle in op.angles
    )
    return replace(op, angles=drawn)


def _is_clifford(angle: object) -> bool:
    part = affine(angle)  # type: ignore[arg-type]
    turns = part.offset / QUARTER
    return not (part.features or part.weights) and abs(turns - round(turns)) < EVEN
