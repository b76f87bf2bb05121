"""`readout`: the confusion of the measured qubits, measured or known, and its inverse.

Confusion is [read, true] and big-endian over the measured qubits: p_read = A p_true. The
correction A^-1 p_read is as good as A is known; its entries may be negative.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from backends.mitigation.base import Job, Run, Values, derived, made_by, project
from backends.mitigation.options import Options, check_choice, check_part, named
from qmoe import readout
from qmoe.circuit import Circuit, Op
from qmoe.errors import InputError

TAG = "readout"
KINDS = ("tensored", "full")
SOURCES = ("calibration", "device")
PROJECTIONS = ("none", "simplex")
SHARE = 0.05

MOST_FULL = 6  # measured qubits of kind=full, which takes 2^m circuits
MOST_CONDITION = 100.0
"""The largest condition number (2-norm) of a confusion that is inverted: beyond it, the noise of
the shots grows as much. A qubit at the bound has P(1|0) + P(0|1) within .02 of 1."""


@dataclass(frozen=True, slots=True)
class Readout:
    """The inverse of the confusion, applied to every value.

    Attributes:
        kind: "tensored": each qubit misread by itself, from all zeros and all ones; "full": any
            confusion, from all 2^m basis states.
        share: What calibrating takes of all shots.
        projection: "none", or "simplex" for the nearest distribution (Euclidean, exact): it
            makes values biased and ends their being linear in what was measured.
        source: "calibration", or "device" for the confusion that the target states, which takes
            no shots and is as old as the target's calibration.
        confusion: (2^m, 2^m), the one of source "device"; `on` takes it from the job.

    Raises:
        InputError: Another kind, source or projection, a share that is none, or a confusion that
            cannot be inverted.
    """

    kind: str = "tensored"
    share: float = SHARE
    projection: str = "none"
    source: str = "calibration"
    confusion: Values | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        check_choice("kind of readout", self.kind, KINDS)
        check_choice("source of readout", self.source, SOURCES)
        check_choice("projection of readout", self.projection, PROJECTIONS)
        check_part("share of readout", self.share)
        if self.confusion is not None:
            object.__setattr__(self, "source", "device")
            check_confusion(self.confusion)
        if self.source == "device" and (self.kind, self.share) != (KINDS[0], SHARE):
            raise InputError(
                got=f"kind {self.kind} and share {self.share:g} with readout,source=device",
                expected="no calibration of its own",
                do="leave out kind and share, or source",
            )

    @property
    def name(self) -> str:
        """What `load` reads."""
        options = ("kind", "share", "projection", "source")
        defaults = (KINDS[0], SHARE, PROJECTIONS[0], SOURCES[0])
        values = (getattr(self, key) for key in options)
        return named(TAG, zip(options, values, defaults, strict=True))

    @property
    def spent(self) -> float:
        """What it takes of all shots."""
        return 0.0 if self.source == "device" else self.share

    def on(self, job: Job) -> Readout:
        """The same with the target's confusion, where that is its source.

        Raises:
            InputError: The target states no confusion, or one that cannot be inverted; or too
                many measured qubits for kind=full.
        """
        outcomes = job.compiled.num_outcomes
        if self.source == "calibration":
            if self.kind == "full" and outcomes > 2**MOST_FULL:
                raise InputError(
                    got=f"readout,kind=full with {outcomes} outcomes",
                    expected=f"at most {2**MOST_FULL}: each is a circuit",
                    do="use kind=tensored",
                )
            return self
        found = job.compiled.confusion if self.confusion is None else self.confusion
        if found is None or found.shape != (outcomes, outcomes):
            raise InputError(
                got=f"readout,source=device on {job.spec}",
                expected=f"a confusion matrix of {outcomes} outcomes, which it does not state",
                do="calibrate: write readout",
            )
        return replace(self, confusion=found)

    def expand(self, runs: tuple[Run, ...], rng: np.random.Generator) -> tuple[Run, ...]:
        """The runs with what is left of their shots, and one calibration for all of them."""
        corrected = tuple(run for run in runs if run.role != "calibration")
        kept = (
            run if run.role == "calibration" else derived(run, TAG, share=1 - self.spent)
            for run in runs
        )
        return (*kept, *self._calibration(corrected))

    def combine(
        self, runs: Sequence[Run], values: Sequence[Values]
    ) -> tuple[tuple[Run, ...], tuple[Values, ...]]:
        """The runs with the confusion removed from their values.

        Raises:
            InputError: A measured confusion that cannot be inverted.
        """
        pairs = list(zip(runs, values, strict=True))
        measured = {
            run.label: found[0]
            for run, found in pairs
            if made_by(run, TAG) and run.role == "calibration"
        }
        confusion = self.confusion
        if confusion is None:
            confusion = estimated(self.kind, measured)
            check_confusion(confusion)
        left: list[Run] = []
        corrected: list[Values] = []
        for run, found in pairs:
            if not made_by(run, TAG):
                left.append(run)
                corrected.append(found)
            elif run.role != "calibration":
                left.append(replace(run, share=run.share / (1 - self.spent), path=run.path[:-1]))
                corrected.append(self._corrected(found, confusion))
        return tuple(left), tuple(corrected)

    def _calibration(self, runs: tuple[Run, ...]) -> Iterator[Run]:
        if not self.spent or not runs:
            return
        circuit, given = runs[0].circuit, sum(run.share for run in runs)
        m = len(circuit.measured)
        states = range(2**m) if self.kind == "full" else (0, 2**m - 1)
        for state in states:
            bits = format(state, f"0{m}b")
            yield Run(
                prepared(circuit, bits),
                "calibration",
                share=self.share * given / len(states),
                path=(TAG,),
                label=bits,
                vendor=runs[0].vendor,  # as the data are read
            )

    def _corrected(self, values: Values, confusion: Values) -> Values:
        out = np.asarray(np.linalg.solve(confusion, values.T).T, dtype=np.float64)
        return project(out) if self.projection == "simplex" else out


def make(options: Mapping[str, str]) -> Readout:
    """The step of a text's options."""
    read = Options(TAG, options, ("kind", "share", "projection", "source"))
    return Readout(
        kind=read.text("kind", KINDS[0]),
        share=read.number("share", SHARE),
        projection=read.text("projection", PROJECTIONS[0]),
        source=read.text("source", SOURCES[0]),
    )


def prepared(like: Circuit, bits: str) -> Circuit:
    """The circuit that prepares an outcome of `like`, first measured qubit first.

    >>> prepared(Circuit(3, (), (2, 0)), "10").ops
    (Op(gate='x', qubits=(2,), angles=()),)
    """
    ops = tuple(Op("x", (q,)) for q, bit in zip(like.measured, bits, strict=True) if bit == "1")
    return Circuit(like.num_qubits, ops, like.measured)


def estimated(kind: str, measured: Mapping[str, Values]) -> Values:
    """The confusion [read, true] from what was read (2^m,) by the bits that were prepared.

    Raises:
        InputError: Some were not measured.
    """
    labels = sorted(measured)
    m = len(labels[0]) if labels else 0
    if len(labels) != (2**m if kind == "full" else 2):
        raise InputError(
            got=f"{len(labels)} calibration circuits of readout,kind={kind}",
            expected="zeros and ones, or all basis states",
            do="run what expand gave, and combine all of it",
        )
    read: Values = np.stack([measured[bits] for bits in labels], axis=1)
    if kind == "full":
        return read
    marginals = [_marginal(read, k) for k in range(m)]
    # a frequency of 1 + 1e-16 is no probability
    ones = np.clip(marginals, 0, 1)
    return readout.independent(ones[:, 1, 0].tolist(), ones[:, 0, 1].tolist())


def check_confusion(confusion: Values) -> None:
    """Refuses a confusion that cannot be inverted well.

    Raises:
        InputError: A condition number over MOST_CONDITION; names the worst qubit.
    """
    if np.linalg.cond(confusion) <= MOST_CONDITION:
        return
    m = len(confusion).bit_length() - 1
    each = [_marginal(_true(confusion, k), k) for k in range(m)]
    worst = int(np.argmax([np.linalg.cond(one) for one in each]))
    raise InputError(
        got=f"a confusion of condition number {np.linalg.cond(confusion):.3g}, worst on measured "
        f"qubit {worst} of 0 to {m - 1}, which reads {each[worst].round(3).tolist()}",
        expected=f"at most {MOST_CONDITION:g}",
        do="measure other qubits, or leave readout out",
    )


def _marginal(read: Values, k: int) -> Values:
    """(2, columns): the bit of the k-th measured qubit, from outcomes (2^m, columns)."""
    out: Values = read.reshape(2**k, 2, -1, read.shape[1]).sum((0, 2))
    return out


def _true(confusion: Values, k: int) -> Values:
    """(2^m, 2): columns averaged over the true bits of the other measured qubits."""
    size = len(confusion)
    out: Values = confusion.reshape(size, 2**k, 2, -1).mean((1, 3))
    return out
