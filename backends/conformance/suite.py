"""The list of checks, and running them all against one backend."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from backends.base import Backend
from backends.conformance import answers, counting, natives, noise, passing, refusals
from backends.conformance.bench import Bench, Failed, NotApplicable
from backends.exact import ExactBackend
from qmoe.errors import CredentialsError, UnreachableError

Status = Literal["passed", "failed", "not applicable"]

_CHECKS: tuple[Callable[[Bench], str], ...] = (
    refusals.width_refused,
    refusals.options_refused,
    natives.native_equals_circuit,
    natives.noise_is_on_native,
    natives.figures,
    natives.json_round_trip,
    natives.compiles_alike,
    natives.template_is_kept,
    passing.emit_changes_nothing,
    passing.folds_pass,
    passing.twirls_pass,
    answers.bit_order,
    answers.bit_order_batched,
    answers.measured_subsets,
    answers.idle_qubits,
    answers.small_circuits,
    answers.every_gate,
    answers.feature_scales,
    answers.random_circuits,
    answers.probabilities_are_rows,
    answers.counts_follow,
    natives.weights_bound_late,
    natives.free_weights_refused,
    refusals.features_refused,
    refusals.shots_refused,
    counting.row_order,
    counting.batch_lengths,
    counting.row_sums,
    counting.seeds,
    counting.row_streams,
    noise.noise_of_one_qubit,
    noise.noise_of_two_qubits,
    noise.noise_of_the_spec,
)


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that a backend must do; `run` says what was seen, or ends with Failed."""

    name: str
    about: str
    run: Callable[[Bench], str]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one check; `seen` is one line: what was got, and what was expected."""

    name: str
    status: Status
    seen: str
    seconds: float


def checks() -> tuple[Check, ...]:
    """Every check, in the order in which they are run: what costs nothing comes first."""
    return tuple(
        Check(f.__name__.replace("_", " "), (f.__doc__ or "").partition("\n")[0], f)
        for f in _CHECKS
    )


def verify(
    backend: Backend,
    seed: int = 0,
    shots: int = 4000,
    *,
    spend: bool = False,
    qubits: int | None = None,
) -> tuple[Outcome, ...]:
    """The outcome of every check against a backend.

    Args:
        backend: The backend; it need not be registered.
        seed: Root seed of circuits, inputs and counts.
        shots: Shots of each row of counts; fewer shots allow larger deviations.
        spend: Run a backend behind a queue too, which costs; see `planned`.
        qubits: How many the device has, for the check of one too many.

    Raises:
        CredentialsError, UnreachableError: The target cannot be asked.

    >>> from backends import load
    >>> {outcome.status for outcome in verify(load("reference")) if outcome.name == "bit order"}
    {'passed'}
    """
    bench = Bench(backend, seed, shots, spend=spend, qubits=qubits)
    return tuple(outcomes(bench, checks()))


def outcomes(bench: Bench, chosen: Iterable[Check]) -> Iterator[Outcome]:
    """The outcomes of some checks, each as soon as it is there."""
    for check in chosen:
        started = time.perf_counter()
        status, seen = _asked(bench, check)
        yield Outcome(check.name, status, " ".join(seen.split()), time.perf_counter() - started)


def planned(chosen: Iterable[Check], seed: int = 0, shots: int = 4000) -> tuple[int, int]:
    """About how many circuits, and shots in all, a backend behind a queue is asked to run."""
    bench = Bench(_Counted(), seed, shots, spend=True, queued=True)
    for _ in outcomes(bench, chosen):
        pass
    return bench.rows, bench.spent


class _Counted:
    """The reference without its exact probabilities: it stands in where nothing may be spent."""

    def __init__(self) -> None:
        inner = ExactBackend("reference")
        self.spec, self.source = inner.spec, inner.source
        self.compile, self.emit, self.run = inner.compile, inner.emit, inner.run


def _asked(bench: Bench, check: Check) -> tuple[Status, str]:
    try:
        return "passed", check.run(bench)
    except NotApplicable as reason:
        return "not applicable", str(reason)
    except Failed as fault:
        return "failed", str(fault)
    except (CredentialsError, UnreachableError):
        raise
    except Exception as error:  # whatever a backend raises is its answer
        return "failed", f"got {type(error).__name__}: {error}; expected no error"
