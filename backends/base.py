"""What a target is to the rest of the project: a few protocols, and the values they pass.

Arrays: features (batch, d) in radians, probabilities (batch, 2^m), counts likewise; the outcome
index is big-endian over the measured qubits, in their order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from backends.checks import check_features
from backends.compiled import Compiled, compiled
from qmoe.angles import whole
from qmoe.circuit import Circuit
from qmoe.errors import InputError
from qmoe.record import Source

__all__ = [
    "Backend",
    "Compiled",
    "Counts",
    "Exact",
    "TargetInfo",
    "check_features",
    "compiled",
    "foldable",
    "sample",
]

Counts: TypeAlias = NDArray[np.int64]
Probabilities: TypeAlias = NDArray[np.float64]


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
