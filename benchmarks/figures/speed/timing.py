"""Fair timing: one core, implementations interleaved, medians. Standard library only.

The clock is the processor time of this process, all threads together. On one core that is the
elapsed time less what other processes took, so a busy machine disturbs it little, and nobody
gains by a thread too many.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import quantiles

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)


def one_core() -> None:
    """One thread and, where the system can, one core; call before importing numpy, torch or jax.

    Thread pools are sized when a library loads, and XLA sizes its own by the cores it may use.
    """
    for name in THREAD_VARIABLES:
        os.environ[name] = "1"
    if hasattr(os, "sched_setaffinity"):  # Linux
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds of single calls: the median, the quartiles around it, and how many calls."""

    median: float
    low: float
    high: float
    calls: int

    @classmethod
    def of(cls, seconds: list[float]) -> Timing:
        """The summary of at least one call.

        >>> Timing.of([3.0, 1.0, 2.0])
        Timing(median=2.0, low=1.5, high=2.5, calls=3)
        """
        if len(seconds) == 1:
            return cls(seconds[0], seconds[0], seconds[0], 1)
        low, middle, high = quantiles(seconds, n=4, method="inclusive")
        return cls(middle, low, high, len(seconds))


def interleaved(
    tasks: Mapping[str, Callable[[], object]],
    *,
    rounds: int,
    slice_seconds: float = 0.05,
    clock: Callable[[], float] = time.process_time,
) -> dict[str, Timing]:
    """Timings of all tasks, taking turns, so that a slow minute of the machine meets all alike.

    In each round a task is called until its slice of time is used up, at least once: a short task
    needs many calls for a steady median. Tasks must be warm (compiled) and must not return before
    their work is done.
    """
    seconds: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(rounds):
        for name, task in tasks.items():
            spent = 0.0
            while True:
                start = clock()
                task()
                seconds[name].append(clock() - start)
                spent += seconds[name][-1]
                if spent >= slice_seconds:
                    break
    return {name: Timing.of(taken) for name, taken in seconds.items()}


def first_call(
    task: Callable[[], object], *, clock: Callable[[], float] = time.process_time
) -> float:
    """Seconds of one call, compilation included."""
    start = clock()
    task()
    return clock() - start
