"""The test bench: the only way by which checks reach a backend, and how answers are judged."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from backends.base import Backend, Compiled, Counts, Exact, Probabilities
from backends.conformance.predict import Reals, ideal, is_noisy, predicted
from backends.queued import Queued
from qmoe.circuit import Circuit

NATIVE = 1e-9  # native circuits, and exact answers without noise
NOISY = 1e-6  # exact answers with noise: a long product in another library's order
CHANCE = 1e-9  # of a sound backend's counts beyond the bound, per comparison
DRIFT = 0.25  # allowed beside shot noise where the noise of the day is not known


class Failed(Exception):  # noqa: N818  a verdict, not a fault of this program
    """What a check ends with when the backend is wrong."""

    def __init__(self, got: str, expected: str) -> None:
        super().__init__(f"got {got}; expected {expected}")
        self.got, self.expected = got, expected


class NotApplicable(Exception):  # noqa: N818  likewise
    """What a check ends with when it cannot ask this backend; with the reason."""


class Bench:
    """A backend under test.

    Attributes:
        backend: The backend.
        seed: Root seed of circuits, inputs and counts.
        shots: Shots of one row of counts.
        spend: Whether a queued target may be run; if not, whatever would cost is left out.
        queued: Whether the backend stands behind a queue, where runs cost.
        rows: How many circuits (rows) have been run so far, and
        spent: how many shots.
        qubits: How many the device has; None where nobody says.
    """

    def __init__(
        self,
        backend: Backend,
        seed: int = 0,
        shots: int = 4000,
        *,
        spend: bool = False,
        queued: bool | None = None,
        qubits: int | None = None,
    ) -> None:
        self.backend, self.seed, self.shots, self.spend = backend, seed, shots, spend
        self.queued = isinstance(backend, Queued) if queued is None else queued
        self.qubits = qubits
        self.rows = self.spent = 0
        self._compiled: dict[Circuit, Compiled] = {}

    @property
    def exact(self) -> Exact | None:
        """The backend, if it says its outcome distribution exactly."""
        return self.backend if isinstance(self.backend, Exact) else None

    def rng(self) -> np.random.Generator:
        """A fresh stream of this suite's seed: each check draws the same whatever ran before."""
        return np.random.default_rng(self.seed)

    def compile(self, circuit: Circuit) -> Compiled:
        """The compiled circuit; equal circuits are compiled once."""
        if circuit not in self._compiled:
            self._compiled[circuit] = self.backend.compile(circuit)
        return self._compiled[circuit]

    def run(
        self, found: Compiled, features: Any, *, shots: int | None = None, seed: int | None = None
    ) -> Counts:
        """Counts, unless they would cost and nobody allowed that."""
        if self.queued and not self.spend:
            raise NotApplicable("runs cost on this target; allow them with --yes")
        count = self.shots if shots is None else shots
        counts = self.backend.run(found, features, count, self.seed if seed is None else seed)
        self.rows += len(features)
        self.spent += len(features) * count
        return counts

    def answers(
        self, circuit: Circuit, features: Sequence[Any] | Reals, *, counted: bool = False
    ) -> str:
        """Compiles and runs a circuit; what it must answer, and that it does, in words.

        Two comparisons: the native circuit, simulated without noise, against the circuit; and the
        answers of the backend against the native circuit with its noise.

        Raises:
            Failed: One of the two differs.
        """
        x = inputs(features, circuit)
        found = self.compile(circuit)
        same_native(found, circuit, x)
        return self.follows(found, x, counted=counted)

    def follows(
        self, found: Compiled, x: Reals, *, counted: bool = False, shots: int | None = None
    ) -> str:
        """That the answers follow from the compiled circuit: exactly, or within shot noise.

        counted: Look at counts also where the backend has exact probabilities.
        """
        expected = predicted(found, x)
        said = []
        if self.exact is not None:
            p = np.asarray(self.exact.probabilities(found, x), dtype=np.float64)
            same_shape(p, expected, "probabilities")
            said.append(close(p, expected, NOISY if is_noisy(found) else NATIVE))
        if counted or self.exact is None:
            counts = self.run(found, x, shots=shots)
            same_shape(counts, expected, "counts")
            sums = counts.sum(1, keepdims=True)
            if (sums < 1).any():
                raise Failed("a row without counts", "every row measured")
            said.append(self._near(counts / sums, expected, shots or self.shots, self.slack(found)))
        return "; ".join(said)

    def slack(self, found: Compiled) -> float:
        """Total variation allowed beside shot noise: none on a simulator with known noise."""
        source = self.backend.source
        unknown = found.noisy is None and source not in ("exact", "sampled")
        return DRIFT if unknown or source in ("device", "loopback", "hosted-simulator") else 0.0

    def _near(self, shares: Probabilities, expected: Reals, shots: int, slack: float) -> str:
        bound = shot_bound(expected.shape[1], shots) + slack
        worst = float(np.max(np.abs(shares - expected).sum(1) / 2, initial=0.0))
        if worst > bound:
            row = int(np.argmax(np.abs(shares - expected).sum(1)))
            raise Failed(
                f"counts off by total variation {worst:.3f} in row {row}: {_shown(shares[row])}",
                f"at most {bound:.3f} from {_shown(expected[row])}",
            )
        return f"counts off by {worst:.3f} (total variation), allowed {bound:.3f}"


def shot_bound(outcomes: int, shots: int, chance: float = CHANCE) -> float:
    """The total variation of counts from their distribution that is exceeded with `chance`.

    P(TV >= e) <= 2^K exp(-2 n e^2) for K outcomes and n shots: the inequality of
    Bretagnolle, Huber and Carol for the L1 distance, which is twice the total variation.

    >>> round(shot_bound(8, 4000), 3)
    0.057
    """
    return min(1.0, math.sqrt((outcomes * math.log(2) - math.log(chance)) / (2 * shots)))


def inputs(features: Sequence[Any] | Reals, circuit: Circuit) -> Reals:
    """Features (batch, d) as an array; rows of nothing for circuits without features."""
    return np.asarray(features, dtype=np.float64).reshape(len(features), circuit.num_features)


def same_native(found: Compiled, circuit: Circuit, x: Reals) -> str:
    """That the native circuit has the distribution of the circuit, without noise."""
    return close(ideal(found.native, x), ideal(circuit, x), NATIVE, "the native circuit")


def same_shape(got: Any, expected: Reals, what: str) -> None:
    """That an answer has the shape (batch, 2^m)."""
    if np.shape(got) != expected.shape:
        raise Failed(f"{what} of shape {np.shape(got)}", f"{expected.shape}")


def close(got: Reals, expected: Reals, tolerance: float, what: str = "probabilities") -> str:
    """That two distributions per row are equal up to `tolerance`."""
    same_shape(got, expected, what)
    gap = np.abs(got - expected)
    worst = float(np.max(gap, initial=0.0))
    if not worst <= tolerance:  # nan is no agreement
        row = int(np.argmax(gap.max(1)))
        raise Failed(
            f"{what} off by {worst:.1e} in row {row}: {_shown(got[row])}",
            f"{_shown(expected[row])} within {tolerance:g}",
        )
    return f"{what} off by {worst:.0e}, allowed {tolerance:g}"


def _shown(row: Reals) -> str:
    return "[" + " ".join(f"{value:.4f}" for value in row[:8]) + (" ...]" if len(row) > 8 else "]")
