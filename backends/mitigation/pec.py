"""`pec`: probabilistic error cancellation of the noise that a target states.

The Pauli part of each channel of `Compiled.noisy` has an inverse that is a sum of Paulis with
quasi-probabilities, some of them negative (arXiv 1612.02058). Samples draw one Pauli for each
channel; their values are added with the signs. That is exact on average where the noise is a Pauli
channel and what the target states, and nowhere else. It takes gamma^2 times the shots.

No Pauli is run as a gate, where it would have noise of its own. Each is moved to the end of the
circuit: past Paulis, Pauli noise is what it was, so the gates in between only change signs of
their angles, and at the end some measured bits are flipped (a Pauli frame).

Where a target states how it misreads as channels before the measurement (Willow, Braket's
emulator), those are cancelled like any other: `readout` in front would correct them twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from backends.compiled import Compiled
from backends.mitigation.base import Job, Run, Values
from backends.mitigation.options import Options, check_foldable, named
from backends.mitigation.paulis import digits, moved, signs
from backends.mitigation.weighted import Part, note, parts, sums, total
from qmoe.angles import finite, whole
from qmoe.channel import Channel
from qmoe.circuit import Circuit, Op
from qmoe.errors import InputError

TAG = "pec"
SAMPLES = 100
LIMIT = 50.0  # 2,500 times the shots
SINGULAR = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class Inverse:
    """The inverse of a channel's Pauli part.

    Attributes:
        place: How many native ops stand before the channel.
        qubits: The wires.
        quasi: (4^k,) quasi-probabilities of Paulis on them; they add up to 1.
    """

    place: int
    qubits: tuple[int, ...]
    quasi: Values

    @property
    def gamma(self) -> float:
        """The sum of their sizes, at least 1."""
        return float(np.abs(self.quasi).sum())


@dataclass(frozen=True, slots=True)
class Cancellation:
    """Error cancellation by sampling.

    Attributes:
        samples: How many circuits are drawn; equal ones are run once, with their shots.
        limit: The largest gamma that is tried.
        inverses: Of the noise of one job, which `on` puts in.
        native: That job's circuit.

    Raises:
        InputError: Less than one sample, or a limit below 1.
    """

    samples: int = SAMPLES
    limit: float = LIMIT
    inverses: tuple[Inverse, ...] | None = field(default=None, compare=False, repr=False)
    native: Circuit | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        whole(self.samples, f"samples of {TAG}", 1)
        if finite(self.limit, f"limit of {TAG}") < 1:
            raise InputError(
                got=f"limit={self.limit:g} of {TAG}",
                expected="a largest gamma of at least 1",
                do=f"write limit={LIMIT:g}",
            )

    @property
    def name(self) -> str:
        """What `load` reads."""
        return named(f"{TAG},samples={self.samples}", [("limit", self.limit, LIMIT)])

    @property
    def gamma(self) -> float:
        """The product over all channels; a job's values have up to gamma^2 times the variance."""
        return float(np.prod([inverse.gamma for inverse in self.inverses or ()]))

    def on(self, job: Job) -> Cancellation:
        """The same with the inverse of the noise that the target states.

        Raises:
            InputError: It states none, or more than can be cancelled.
        """
        check_foldable(job, TAG)
        ready = replace(self, inverses=inverses(job.compiled), native=job.compiled.native)
        check_gamma(ready.gamma, self.limit, f"{TAG} on {job.spec}")
        return ready

    def expand(self, runs: tuple[Run, ...], rng: np.random.Generator) -> tuple[Run, ...]:
        """Each run as its samples, training circuits too, which have the same gates.

        The note of a label is the measured bits that the sample flips.

        Raises:
            InputError: A circuit of other gates, whose noise is not known.
        """
        if self.native is None:
            raise ValueError("got pec without a job; expected pec.on(job)")
        out: list[Run] = []
        for run in runs:
            if run.role == "calibration":
                out.append(run)
                continue
            check_gates(run, self.native, TAG)
            out += parts(run, TAG, self._drawn(run.circuit, rng))
        return tuple(out)

    def combine(
        self, runs: Sequence[Run], values: Sequence[Values]
    ) -> tuple[tuple[Run, ...], tuple[Values, ...]]:
        """Each run of before with the sum over its samples."""
        left: list[Run] = []
        found: list[Values] = []
        for parent, made, measured in sums(runs, values, TAG):
            if not made:
                left.append(parent)
                found += measured
                continue
            left.append(replace(parent, coefficient=1.0))
            weights = [run.coefficient for run in made]
            each = [flipped(v, note(run)) for run, v in zip(made, measured, strict=True)]
            found.append(total(weights, each))
        return tuple(left), tuple(found)

    def _drawn(self, circuit: Circuit, rng: np.random.Generator) -> list[Part]:
        assert self.inverses is not None
        drawn = np.zeros((self.samples, len(self.inverses)), dtype=np.int64)
        for column, inverse in zip(drawn.T, self.inverses, strict=True):
            chance = np.abs(inverse.quasi) / inverse.gamma
            column[:] = rng.choice(len(chance), size=self.samples, p=chance)
        count: Counter[tuple[Circuit, tuple[int, ...], float]] = Counter()
        for row, n in zip(*np.unique(drawn, axis=0, return_counts=True), strict=True):
            sign, placed = 1.0, dict[int, list[tuple[int, int]]]()
            for inverse, pauli in zip(self.inverses, row.tolist(), strict=True):
                sign *= np.sign(inverse.quasi[pauli])
                here = placed.setdefault(inverse.place, [])
                here += zip(inverse.qubits, digits(pauli, len(inverse.qubits)), strict=True)
            count[(*moved(circuit, placed), float(sign))] += int(n)
        return [
            Part(
                changed,
                s * self.gamma * n / self.samples,
                n / self.samples,
                note="".join(map(str, flips)),
            )
            for (changed, flips, s), n in count.items()
        ]


def make(options: Mapping[str, str]) -> Cancellation:
    """The step of a text's options."""
    read = Options(TAG, options, ("samples", "limit"))
    return Cancellation(read.whole("samples", SAMPLES), read.number("limit", LIMIT))


def quasi_probabilities(channel: Channel) -> Values:
    """(4^k,): the sum of Paulis that undoes the Pauli part of a channel; it adds up to 1.

    The Pauli part is the diagonal of the transfer matrix, its eigenvalues on Paulis. Those of the
    sum are their inverses, and a Walsh-Hadamard transform over the Paulis leads back.

    Raises:
        InputError: An eigenvalue of 0: that Pauli's expectation is lost.
    """
    kept = np.diag(channel.ptm)
    if (np.abs(kept) < SINGULAR).any():
        raise InputError(
            got=f"noise on qubits {channel.qubits} that leaves nothing of some expectation",
            expected="noise that has an inverse",
            do=f"use another mitigation than {TAG}",
        )
    out: Values = signs(len(channel.qubits)) @ (1 / kept) / len(kept)
    return out


def inverses(compiled: Compiled) -> tuple[Inverse, ...]:
    """The inverse of every channel of a target, by its place among the native ops.

    Raises:
        InputError: The noise is not stated, or not beside the native gates.
    """
    check_stated(compiled, TAG)
    noisy = compiled.noisy or ()
    listed = [(step.gate, step.qubits) for step in noisy if isinstance(step, Op)]
    if listed != _gates(compiled.native):
        raise InputError(
            got=f"{compiled.spec}, whose noise does not stand beside its native gates",
            expected="the native gates in order with channels in between",
            do=f"use another mitigation than {TAG}",
        )
    found: list[Inverse] = []
    place = 0
    for step in noisy:
        if isinstance(step, Op):
            place += 1
            continue
        inverse = Inverse(place, step.qubits, quasi_probabilities(step))
        if inverse.gamma > 1 + 1e-12:
            found.append(inverse)
    return tuple(found)


def check_stated(compiled: Compiled, tag: str) -> None:
    """Refuses a target that does not state its noise.

    Raises:
        InputError: It does not.
    """
    if compiled.noisy is None:
        raise InputError(
            got=f"{tag} on {compiled.spec}, which does not state its noise",
            expected="a target with a calibration or a noise model",
            do="choose another from `qmoe devices`, or another mitigation",
        )


def check_gamma(gamma: float, limit: float, what: str) -> None:
    """Refuses noise that takes too many shots to cancel.

    Raises:
        InputError: gamma is over the limit.
    """
    if gamma > limit:
        raise InputError(
            got=f"{what}, where gamma is {gamma:.3g}",
            expected=f"at most {limit:g}: it takes gamma^2 times the shots",
            do="use fewer layers or less noise, or raise the bound with pec,limit=...",
        )


def check_gates(run: Run, native: Circuit, tag: str) -> None:
    """Refuses a circuit that has not the gates of the job's own: its noise is not known.

    Raises:
        InputError: It has others.
    """
    if _gates(run.circuit) != _gates(native):
        raise InputError(
            got=f"{tag} of a circuit that {'+'.join(run.path) or 'another step'} has changed",
            expected=f"{tag} before all steps that change circuits",
            do=f"write it last, as in twirl+{tag}: the last step changes circuits first",
        )


def flipped(values: Values, bits: str) -> Values:
    """Values (rows, 2^m) with the given measured bits flipped, first bit most significant.

    >>> flipped(np.array([[0.7, 0.1, 0.2, 0.0]]), "10").tolist()
    [[0.2, 0.0, 0.7, 0.1]]
    """
    if set(bits) - {"0", "1"} or 2 ** len(bits) != values.shape[1]:
        raise InputError(
            got=f"a run of {TAG} that flips {bits!r}",
            expected="a bit for each measured qubit",
            do="expand the mitigation again",
        )
    out: Values = values[:, np.arange(values.shape[1]) ^ int(bits, 2)]
    return out


def _gates(circuit: Circuit) -> list[tuple[str, tuple[int, ...]]]:
    return [(op.gate, op.qubits) for op in circuit.ops]
