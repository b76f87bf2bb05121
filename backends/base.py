"""What a target is to the rest of the project: a few protocols, and the values they pass.

Arrays: features (batch, d) in radians, probabilities (batch, 2^m), counts likewise; the outcome
index is big-endian over the measured qubits, in their order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from backends.checks import check_features
from backends.compiled import Compiled, compiled
from qmoe.angles import whole
from qmoe.circuit import Circuit
from qmoe.errors import InputError, QmoeError, UnreachableError
from qmoe.record import Source

__all__ = [
    "Backend",
    "Compiled",
    "Counts",
    "Exact",
    "JobRef",
    "Queued",
    "Status",
    "TargetInfo",
    "check_features",
    "compiled",
    "foldable",
    "sample",
    "wait",
]

Counts: TypeAlias = NDArray[np.int64]
Probabilities: TypeAlias = NDArray[np.float64]
Status = Literal["submitted", "running", "done", "failed", "cancelled"]


@runtime_checkable
class Backend(Protocol):
    """A target. `source` says what its results are; `spec` is its canonical name.

    One that compiles again what it is sent, so that folds or twirls may vanish, says so with an
    attribute `foldable` that is False.
    """

    spec: str
    source: Source

    def compile(self, circuit: Circuit) -> Compiled:
        """The circuit for this target, features and weights still free.

        Raises:
            FitError: The circuit does not fit the device; nothing has been spent.
        """

    def emit(self, native: Circuit, like: Compiled) -> Compiled:
        """A changed native circuit on the qubits of `like`, gate by gate, nothing optimised."""

    def run(self, compiled: Compiled, features: ArrayLike, shots: int, seed: int) -> Counts:
        """Counts (batch, 2^m), rows in order; free weights are refused."""


@runtime_checkable
class Exact(Backend, Protocol):
    """A target that can say its outcome distribution exactly: every simulated one."""

    def probabilities(self, compiled: Compiled, features: ArrayLike) -> Probabilities:
        """Probabilities (batch, 2^m), readout error included."""


@dataclass(frozen=True, slots=True)
class JobRef:
    """Where the results of one submission are: all that another process needs to fetch them.

    `ids` are the vendor's own; the k-th covers the next `rows[k]` rows of the features.
    """

    spec: str
    ids: tuple[str, ...]
    rows: tuple[int, ...]
    shots: int
    tag: str

    def to_dict(self) -> dict[str, Any]:
        """JSON values; `from_dict` reads them back."""
        return {
            "spec": self.spec,
            "ids": list(self.ids),
            "rows": list(self.rows),
            "shots": self.shots,
            "tag": self.tag,
        }

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any]) -> JobRef:
        """The reference that `to_dict` wrote.

        Raises:
            InputError: Other keys or types.
        """
        try:
            ids, rows = tree["ids"], tree["rows"]
            made = cls(
                str(tree["spec"]),
                tuple(str(name) for name in ids),
                tuple(whole(count, "rows of a job") for count in rows),
                whole(tree["shots"], "shots", 1),
                str(tree["tag"]),
            )
        except (KeyError, TypeError) as error:
            raise InputError(
                got=f"a job reference without {error}",
                expected="spec, ids, rows, shots, tag",
                do="restore it from where it was stored",
            ) from error
        if len(made.ids) != len(made.rows):
            raise InputError(
                got=f"{len(made.ids)} job ids for {len(made.rows)} row counts",
                expected="one for each",
                do="restore the job reference from where it was stored",
            )
        return made


@runtime_checkable
class Queued(Backend, Protocol):
    """A target behind a queue: what is submitted now may be fetched days later."""

    def submit(self, compiled: Compiled, features: ArrayLike, shots: int, *, tag: str) -> JobRef:
        """Sends one experiment; `tag` names it at the vendor where that is possible."""

    def status(self, ref: JobRef) -> Status:
        """How far it is; "done" only when every part is."""

    def fetch(self, ref: JobRef) -> dict[int, NDArray[np.int64]]:
        """Counts (2^m,) by row; rows that are not there yet are left out.

        Raises:
            QmoeError: The job failed, with the vendor's words.
        """

    def cancel(self, ref: JobRef) -> None:
        """Asks the vendor to drop what has not run."""


@dataclass(frozen=True, slots=True)
class TargetInfo:
    """One row of `qmoe devices`.

    Errors are medians over the device, gates as average gate infidelity: a Pauli (process) error
    r of dimension d = 2^k is r * d / (d + 1). Readout is the mean of the two ways to misread.
    """

    spec: str
    source: Source
    qubits: int | None = None
    basis: tuple[str, ...] = ()
    error_1q: float | None = None
    error_2q: float | None = None
    error_readout: float | None = None
    calibrated_at: str | None = None
    note: str = ""


def foldable(backend: Backend) -> bool:
    """Whether the native circuit is what runs; a backend that says nothing promises it."""
    return bool(getattr(backend, "foldable", True))


def sample(
    probabilities: ArrayLike, shots: int, seed: int, *, run: int = 0, first: int = 0
) -> Counts:
    """Counts drawn from exact probabilities (batch, 2^m): the one place where shots are drawn.

    Row r draws from SeedSequence(seed, spawn_key=(run, first + r)), so cutting a batch into parts
    changes nothing.

    >>> sample([[1.0, 0.0], [0.0, 1.0]], 5, seed=0).tolist()
    [[5, 0], [0, 5]]
    """
    p = np.asarray(probabilities, dtype=np.float64)
    whole(shots, "shots", 1)
    if p.ndim != 2 or (p < -1e-9).any() or not np.allclose(p.sum(1), 1, atol=1e-6):
        raise InputError(
            got=f"an array of shape {p.shape} that is no rows of probabilities",
            expected="rows >= 0 that sum to 1",
            do="pass exact probabilities (batch, 2^m)",
        )
    p = np.clip(p, 0, None)
    p /= p.sum(1, keepdims=True)
    counts = np.empty(p.shape, dtype=np.int64)
    for r, row in enumerate(p):
        key = np.random.SeedSequence(whole(seed, "seed"), spawn_key=(run, first + r))
        counts[r] = np.random.default_rng(key).multinomial(shots, row)
    return counts


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
    names = ", ".join(ref.ids)
    while (status := backend.status(ref)) in ("submitted", "running"):
        if clock() - started >= timeout:
            raise UnreachableError(
                got=f"no result of job {names} after {timeout:g} s ({status})",
                expected="a finished job",
                do="fetch it later by that id, or give more time with timeout=SECONDS in the spec",
            )
        sleep(poll)
    if status == "cancelled":
        raise QmoeError(f"job {names} was cancelled")
    found = backend.fetch(ref)
    missing = [row for row in range(sum(ref.rows)) if row not in found]
    if missing:
        raise QmoeError(
            f"job {names} ended without rows {missing[:5]}{'...' if len(missing) > 5 else ''}"
        )
    return np.array([found[row] for row in range(sum(ref.rows))], dtype=np.int64)
