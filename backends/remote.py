"""What services behind a queue share: time limits, one-line words of a vendor, local ports."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from backends.base import Compiled, Counts, JobRef, Queued, check_features, wait
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


def job_id(ref: JobRef) -> str:
    """The id of a reference to one job, as most services have them."""
    if len(ref.ids) != 1:
        raise InputError(
            got=f"{len(ref.ids)} job ids", expected="one", do="restore the reference as stored"
        )
    return ref.ids[0]


def inputs(compiled: Compiled, features: ArrayLike) -> NDArray[np.float64]:
    """The features (batch, d) of a job, at least one row."""
    x = check_features(compiled, features)
    if not len(x):
        raise InputError(got="no inputs", expected="one or more rows", do="pass some features")
    return x


def finished(backend: Queued, ref: JobRef, compiled: Compiled, seconds: float) -> Counts:
    """The counts (batch, 2^m) of a job that was just sent, waited for."""
    counts = wait(
        backend, ref, timeout=seconds, poll=POLL_SECONDS, sleep=time.sleep, clock=time.monotonic
    )
    return counts.reshape(len(counts), compiled.num_outcomes)


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
