"""The one pipeline from a compiled circuit to a mitigated distribution, at a fixed budget.

Expand, emit, run, combine. The budget is the number of inputs times the shots for each; a
mitigation splits it over whatever it expands to, its calibration included, so that treatments of
equal budget can be compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from backends.base import Backend, Exact, check_features, foldable, sample
from backends.compiled import Compiled
from backends.mitigation.base import Job, Mitigation, Run, Values, project
from qmoe.agreement import total_variation
from qmoe.angles import whole
from qmoe.errors import InputError

EXPANSION = 2**32 - 1
"""The spawn key of what expanding draws; runs have theirs from 0."""


@dataclass(frozen=True, slots=True)
class Overhead:
    """What a treatment took.

    Attributes:
        circuits: Circuits that were run, each input of a run counted.
        shots: Shots of all of them; 0 where probabilities were exact.
        gamma: The sum of the sizes of the coefficients of the data runs: a mitigated value has
            up to gamma^2 times the variance of a plain one (arXiv 1612.02058).
    """

    circuits: int
    shots: int
    gamma: float


@dataclass(frozen=True, slots=True, eq=False)
class Executed:
    """What a treatment gave.

    Attributes:
        quasi: (batch, 2^m), as the mitigation combined it; rows sum to 1, entries may be negative.
        probabilities: The nearest distributions: clipping is the last step, and a named one.
        clipped: The mean total variation that clipping moved.
        overhead: What it took.
        runs: What was run.
    """

    quasi: Values
    probabilities: Values
    clipped: float
    overhead: Overhead
    runs: tuple[Run, ...]


def execute(
    backend: Backend,
    compiled: Compiled,
    mitigation: Mitigation,
    features: ArrayLike,
    shots: int | None,
    seed: int,
) -> Executed:
    """The distribution of every input (batch, 2^m) under a mitigation.

    shots: for each input, all circuits of the mitigation together; None takes exact
    probabilities, where the target has them. Row r of run k draws its counts from
    SeedSequence(seed, spawn_key=(k, r)) on simulated targets.

    Raises:
        InputError: Bad features or shots, too few shots for what the mitigation runs, or a
            mitigation that the target cannot do: before anything runs.
    """
    x = check_features(compiled, features)
    if shots is None:
        if not isinstance(backend, Exact):
            raise InputError(
                got=f"{backend.spec} without shots",
                expected="a simulated target",
                do="ask for shots",
            )
    else:
        whole(shots, "shots", 1)
    whole(seed, "seed")
    ready = mitigation.on(Job(compiled, x, foldable(backend), backend.spec))
    runs = ready.expand((Run(compiled.native),), expansion_stream(seed))
    spent = check_budget(runs, shots, len(x))
    # all of them before the first runs: what a target does not take costs nothing
    emitted = [
        compiled if run.circuit == compiled.native else backend.emit(run.circuit, compiled)
        for run in runs
    ]
    values = [
        _values(backend, circuit, run, x, each, seed, k)
        for k, (circuit, run, each) in enumerate(zip(emitted, runs, spent, strict=True))
    ]
    quasi = combined(ready, runs, values)
    probabilities = project(quasi)
    rows = [1 if run.single else len(x) for run in runs]
    total = sum(n * each for n, each in zip(rows, spent, strict=True))
    gamma = sum(abs(run.coefficient) for run in runs if run.role == "data")
    return Executed(
        quasi,
        probabilities,
        float(total_variation(quasi, probabilities).mean()) if len(x) else 0.0,
        Overhead(sum(rows), total, gamma),
        runs,
    )


def expansion_stream(seed: int) -> np.random.Generator:
    """The stream that an expansion draws from: equal seeds give equal circuits."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(EXPANSION,)))


def check_budget(runs: Sequence[Run], shots: int | None, inputs: int) -> tuple[int, ...]:
    """Shots of each row of every run; zeros where probabilities are exact.

    Raises:
        InputError: A run that gets none.
    """
    if shots is None:
        return (0,) * len(runs)
    spent = tuple(run.shots(shots, inputs) for run in runs)
    if inputs and min(spent) < 1:
        raise InputError(
            got=f"{shots} shots for each of {inputs} inputs over {len(runs)} circuits",
            expected="at least one shot for each circuit",
            do="give more shots, or a mitigation of fewer circuits",
        )
    return spent


def combined(mitigation: Mitigation, runs: Sequence[Run], values: Sequence[Values]) -> Values:
    """The one array (batch, 2^m) that the values of an expansion come to."""
    left, found = mitigation.combine(runs, values)
    if len(left) != 1:
        raise ValueError(f"got {len(left)} runs after {mitigation.name}; expected the one of start")
    return found[0]


def _values(
    backend: Backend, emitted: Compiled, run: Run, features: Values, shots: int, seed: int, k: int
) -> Values:
    rows = np.zeros((1, 0)) if run.single else features
    target = _asked(backend, run)
    if isinstance(target, Exact):
        exact = np.asarray(target.probabilities(emitted, rows), dtype=np.float64)
        if not shots:
            return exact
        counts = sample(exact, shots, seed, run=k)
    else:
        # a seed of its own for every run; devices take none
        own = int(np.random.SeedSequence(seed, spawn_key=(k,)).generate_state(1)[0])
        counts = target.run(emitted, rows, shots, own)
    return np.asarray(counts / counts.sum(1, keepdims=True))


def _asked(backend: Backend, run: Run) -> Backend:
    """The backend with what the run asks of the vendor."""
    if not run.vendor:
        return backend
    made: Backend = backend.with_options(run.vendor)  # type: ignore[attr-defined]
    return made
