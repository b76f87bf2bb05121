"""Targets behind a queue: what is sent now may be collected days later, by another process.

One submission is one job at the vendor, sent by one request. Whoever sends writes down first that
it will, so an answer that never comes leaves a job that is looked for by its tag, not a loss.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from backends.base import Backend, Compiled, Counts
from qmoe.angles import whole
from qmoe.errors import InputError, QmoeError, UnreachableError

Status = Literal["submitted", "running", "done", "failed", "cancelled"]


class RefusedError(QmoeError):
    """The vendor said no, in its words: nothing was accepted and nothing will be billed."""


class BusyError(UnreachableError):
    """The vendor takes no requests just now, this one neither: it may be sent again."""


@dataclass(frozen=True, slots=True, eq=False)
class Program:
    """A native circuit and the inputs that it runs for: features (rows, d), radians, rows >= 1.

    A circuit without features has d = 0 and is run once for each row.
    """

    compiled: Compiled
    features: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class JobRef:
    """Where the results of one job are: all that another process needs to fetch them.

    `id` is the vendor's own; rows are numbered over the programs of the job in their order.
    """

    spec: str
    id: str
    rows: int
    shots: int
    tag: str

    def to_dict(self) -> dict[str, Any]:
        """JSON values; `from_dict` reads them back."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any]) -> JobRef:
        """The reference that `to_dict` wrote.

        Raises:
            InputError: Other keys or types.
        """
        if not isinstance(tree, Mapping) or set(tree) != set(cls.__dataclass_fields__):
            raise _damaged("other keys")
        texts = {name: tree[name] for name in ("spec", "id", "tag")}
        for name, value in texts.items():
            if not isinstance(value, str) or not value or len(value) > 1000:
                raise _damaged(name)
        rows, shots = (whole(tree[name], f"{name} of a job", 1) for name in ("rows", "shots"))
        return cls(rows=rows, shots=shots, **texts)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a device takes at once, as far as it says; None where it says nothing.

    Attributes:
        shots: Fewest and most shots of a row.
        rows: Most rows of a job, all its programs together.
        programs: Most different circuits of a job.
        total: Fewest and most shots of a job.
    """

    shots: tuple[int, int | None] = (1, None)
    rows: int | None = None
    programs: int | None = None
    total: tuple[int, int | None] = (1, None)

    def split(self, programs: Sequence[int], shots: int) -> tuple[tuple[int, ...], ...]:
        """Which rows each job takes, by position: few jobs of nearly equal size.

        programs: The number of the circuit of each row. Rows stay in their order, but for a
            device that takes few circuits at once: there those of one circuit come together.

        Raises:
            InputError: More or fewer shots than the device takes; nothing has been spent.

        >>> Limits(rows=4, total=(1, 300)).split([0] * 7, 100)
        ((0, 1, 2), (3, 4), (5, 6))
        >>> Limits(programs=1).split([0, 1, 0], 10)
        ((0, 2), (1,))
        """
        most = min((n for n in (self.shots[1], self.total[1]) if n is not None), default=None)
        fewest = max(1, self.shots[0])
        if whole(shots, "shots", 1) < fewest or (most is not None and shots > most):
            raise _shots(shots, f"{fewest} or more" if most is None else f"{fewest} to {most}")
        caps = [n for n in (self.rows, self.total[1] and self.total[1] // shots) if n is not None]
        parts = []
        for group in _groups(programs, self.programs):
            count = -(-len(group) // max(1, min(caps, default=len(group))))
            sizes = [len(group) // count + (k < len(group) % count) for k in range(count)]
            ends = np.cumsum([0, *sizes]).tolist()
            parts += [tuple(group[a:b]) for a, b in pairwise(ends)]
        for part in parts:
            if len(part) * shots < self.total[0]:
                raise _shots(shots, f"{self.total[0]} for the {len(part)} rows of a job together")
        return tuple(parts)


@dataclass(frozen=True, slots=True)
class Interval:
    """An amount that is known to lie between two ends, which may be equal."""

    low: float
    high: float

    def __add__(self, other: Interval) -> Interval:
        return Interval(self.low + other.low, self.high + other.high)


@dataclass(frozen=True, slots=True)
class Cost:
    """What jobs cost: money (USD) and seconds of the device; None is unknown, not nothing.

    note: Where the figures come from and how old they are, or why one is not known.

    >>> (Cost(Interval(1, 2)) + Cost(Interval(3, 3), Interval(0, 1))).money
    Interval(low=4, high=5)
    """

    money: Interval | None = None
    seconds: Interval | None = None
    note: str = ""

    def __add__(self, other: Cost) -> Cost:
        money = self.money + other.money if self.money and other.money else None
        seconds = self.seconds + other.seconds if self.seconds and other.seconds else None
        return Cost(money, seconds, self.note or other.note)


FREE = Cost(Interval(0.0, 0.0), Interval(0.0, 0.0))


@runtime_checkable
class Queued(Backend, Protocol):
    """A target behind a queue.

    Attributes:
        account: Who is paid: "ibm", "aws", "google", "ionq".
        idempotent: Whether the same submission again is the same job, from any process.
    """

    account: str
    idempotent: bool

    def limits(self) -> Limits:
        """What it takes at once."""

    def cost(self, rows: Sequence[int], shots: int, prices: Path | None = None) -> Cost:
        """What jobs of so many rows cost; prices: a file that stands for the vendor's list."""

    def left(self) -> float | None:
        """Seconds of the device that the account has left; None where there is no such limit."""

    def submit(self, programs: Sequence[Program], shots: int, *, tag: str) -> JobRef:
        """One job of all rows of the programs, sent by one request that is never repeated.

        Raises:
            FitError, InputError: Refused here: nothing was sent.
            RefusedError, CredentialsError, BusyError: Refused by the vendor: nothing was accepted.
            QmoeError: Any other: it may have been accepted, and then has the tag.
        """

    def find(self, tag: str, since: datetime) -> tuple[str, ...]:
        """The ids of the account's jobs that have the tag, sent at `since` or later.

        Raises:
            UnreachableError: No answer.
            QmoeError: The vendor gives no way to know.
        """

    def status(self, ref: JobRef) -> Status:
        """How far it is."""

    def fetch(self, ref: JobRef) -> dict[int, NDArray[np.int64]]:
        """Counts (2^m,) by row; rows that are not there, or never will be, are left out.

        Raises:
            QmoeError: The job failed and no row is there; with the vendor's words.
        """

    def cancel(self, ref: JobRef) -> None:
        """Asks the vendor to drop what has not run; a job that has ended stays as it is."""

    def usage(self, ref: JobRef) -> Cost | None:
        """What an ended job has cost, as far as the vendor says; None where it does not (yet)."""


def wait(
    backend: Queued,
    ref: JobRef,
    *,
    timeout: float,
    poll: float,
    sleep: Callable[[float], None],
    clock: Callable[[], float],
) -> Counts:
    """The counts of a submitted job, asked for every `poll` seconds until `timeout`.

    Raises:
        UnreachableError: Not done in time; it names the job, which goes on and can be fetched.
        QmoeError: The job failed or was cancelled.
    """
    started = clock()
    while (status := backend.status(ref)) in ("submitted", "running"):
        if clock() - started >= timeout:
            raise UnreachableError(
                got=f"no result of job {ref.id} after {timeout:g} s ({status})",
                expected="a finished job",
                do="fetch it later by that id, or give more time with timeout=SECONDS in the spec",
            )
        sleep(poll)
    if status == "cancelled":
        raise QmoeError(f"job {ref.id} was cancelled")
    found = backend.fetch(ref)
    missing = [row for row in range(ref.rows) if row not in found]
    if missing:
        raise QmoeError(
            f"job {ref.id} ended without rows {missing[:5]}{'...' if len(missing) > 5 else ''}"
        )
    return np.array([found[row] for row in range(ref.rows)], dtype=np.int64)


def _groups(programs: Sequence[int], most: int | None) -> list[list[int]]:
    """Positions of rows that may share a job as far as the number of circuits goes."""
    if most is None:
        return [list(range(len(programs)))] if len(programs) else []
    names = list(dict.fromkeys(programs))
    groups = [set(names[k : k + most]) for k in range(0, len(names), most)]
    return [[k for k, name in enumerate(programs) if name in group] for group in groups]


def _shots(shots: int, expected: str) -> InputError:
    return InputError(
        got=f"{shots} shots for each circuit", expected=expected, do="ask for another number"
    )


def _damaged(what: str) -> InputError:
    return InputError(
        got=f"a job reference with {what} that cannot be",
        expected="spec, id, rows, shots, tag",
        do="restore it from where it was stored",
    )
