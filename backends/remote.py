"""What services behind a queue share: time limits, one-line words of a vendor, local ports."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from backends.base import Compiled, Counts, check_features
from backends.queued import Program, Queued, wait
from qmoe.errors import InputError

LOCAL = ("127.0.0.1", "localhost")
CALL_SECONDS = 60.0  # one call of a client, its own retries included
TIMEOUT_SECONDS = 600.0
POLL_SECONDS = 1.0


def within(seconds: float, call: Callable[[], Any]) -> Any:
    """What a call returns or raises; some clients leave some calls without a time limit.

    Raises:
        TimeoutError: It takes longer; it goes on in a thread that does not hold up the end of the
            process.
    """
    answers: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()

    def work() -> None:
        try:
            answers.put((call(), None))
        except BaseException as error:
            answers.put((None, error))

    threading.Thread(target=work, daemon=True).start()
    try:
        value, error = answers.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError(f"no answer within {seconds:g} s") from None
    if error is not None:
        raise error
    return value


def words(text: object, most: int = 300) -> str:
    """A vendor's message on one line, cut where it gets long."""
    line = " ".join(str(text).split())
    return line if len(line) <= most else f"{line[:most]}..."


def spent(**moments: Any) -> dict[str, float]:
    """Seconds between pairs of moments (datetimes or ISO 8601) by name; without the unknown ones.

    >>> spent(queue=("2026-01-01T00:00:00Z", "2026-01-01T00:01:30Z"), device=(None, None))
    {'queue': 90.0}
    """
    found = {}
    for name, pair in moments.items():
        try:
            start, end = (
                moment if isinstance(moment, datetime) else datetime.fromisoformat(moment)
                for moment in pair
            )
            seconds = (end - start).total_seconds()
        except (TypeError, ValueError):  # not told, or not in a form that can be trusted
            continue
        if seconds >= 0:
            found[name] = seconds
    return found


def rows_of(programs: Sequence[Program]) -> NDArray[np.int64]:
    """The number of rows of each program of a job, each at least one.

    Raises:
        InputError: No programs, no rows, or features that do not fit.
    """
    counts = [len(check_features(each.compiled, each.features)) for each in programs]
    if not counts or min(counts) < 1:
        raise InputError(got="no inputs", expected="one or more rows", do="pass some features")
    return np.array(counts, dtype=np.int64)


def run_now(
    backend: Queued, compiled: Compiled, features: ArrayLike, shots: int, tag: str, seconds: float
) -> Counts:
    """Counts (batch, 2^m) of one circuit: as few jobs as the device allows, waited for.

    A second job and later ones have the tag with -1, -2, ... after it.

    Raises:
        UnreachableError: Not done in time; it names the job, which goes on.
    """
    x = check_features(compiled, features)
    parts = backend.limits().split([0] * len(x), shots)
    tags = [tag, *(f"{tag}-{k}" for k in range(1, len(parts)))]
    refs = [
        backend.submit([Program(compiled, x[list(part)])], shots, tag=name)
        for part, name in zip(parts, tags, strict=False)
    ]
    times = {"timeout": seconds, "poll": POLL_SECONDS}
    found = [wait(backend, ref, **times, sleep=time.sleep, clock=time.monotonic) for ref in refs]
    return np.concatenate([np.zeros((0, compiled.num_outcomes), dtype=np.int64), *found])


def apportion(distribution: ArrayLike, shots: int) -> NDArray[np.int64]:
    """Whole counts (outcome,) with the sum `shots`, nearest to the distribution.

    By the largest remainders, of equal ones the first. Rounding each outcome alone, as
    some clients do, can give more or fewer shots than were run.

    >>> apportion([0.125, 0.375, 0.375, 0.125], 4).tolist()
    [1, 2, 1, 0]
    """
    exact = np.asarray(distribution, dtype=np.float64) * shots
    counts = np.floor(exact + 1e-6).astype(np.int64)  # 2.9999999 shots are three
    left = shots - int(counts.sum())
    counts[np.argsort(counts - exact, kind="stable")[:left]] += 1
    return counts
