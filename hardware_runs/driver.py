"""The driver of an experiment behind a queue: it sends what is due, and loses and repeats nothing.

The ledger is written before every request that could cost money and right after every answer.
Between the two a job is `uncertain`: that is the truth, whether this process lives on or not.
Whoever comes later looks for the job by its tag before anything is sent again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from backends.queued import BusyError, JobRef, Queued, RefusedError, Status
from hardware_runs.ledger import Caps, JobRow, Ledger
from hardware_runs.plan import Plan
from hardware_runs.schedule import Chunk, Schedule, programs
from qmoe.errors import CredentialsError, FitError, InputError, QmoeError, UnreachableError

T = TypeVar("T")

CLOCKS = timedelta(hours=1)
"""How far the vendor's clock may be off ours."""
AT_ONCE = 8
"""Requests at a time where a backend says with `parallel` that its client allows several."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for a service, in seconds.

    Attributes:
        settle: Before a search for a job of uncertain fate, and between two searches: services
            may list a new job late.
        tries: How often a request that changes nothing is made.
        pause: Before the second try; doubles with every further one.
        busy: The same before a job is sent again that the service put off: IBM takes five a
            minute from a user.
        lease: How long the intent to send protects a sender that is alive. Longer than a
            request may take.
    """

    settle: float = 30.0
    tries: int = 4
    pause: float = 1.0
    busy: float = 15.0
    lease: float = 600.0


@dataclass(slots=True)
class Counted:
    """What a pass over the jobs did, by what became of them; `words` says why where it matters.

    stop: What ended the pass before all jobs had their turn.
    """

    sent: int = 0
    collected: int = 0
    found: int = 0
    waiting: int = 0
    uncertain: int = 0
    failed: int = 0
    cancelled: int = 0
    words: list[str] = field(default_factory=list)
    stop: QmoeError | None = None

    def __add__(self, other: Counted) -> Counted:
        names = ("sent", "collected", "found", "waiting", "uncertain", "failed", "cancelled")
        sums = {name: getattr(self, name) + getattr(other, name) for name in names}
        return Counted(words=self.words + other.words, stop=self.stop or other.stop, **sums)


@dataclass(frozen=True, slots=True, eq=False)
class _Answer:
    """What the vendor says of a job; the state is None where it says nothing that counts."""

    job: JobRow
    state: Status | None
    rows: dict[int, NDArray[np.int64]]
    error: QmoeError | None = None
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Driver:
    """One experiment on one device, driven from one process among several.

    sender: Names this process in the ledger, see `hardware_runs.ledger.sender`.
    tell: Takes a line for the user.
    """

    ledger: Ledger
    backend: Queued
    plan: Plan
    schedule: Schedule
    patience: Patience
    sleep: Callable[[float], None]
    now: Callable[[], datetime]
    sender: str
    tell: Callable[[str], None]

    def submit(self, caps: Caps, most: int | None = None) -> Counted:
        """Sends what is planned and due, one job after another, at most `most` of them.

        It ends early where going on would make things worse: refused credentials, a refused job,
        a budget that is used up, a service that does not answer.

        Raises:
            BudgetError: The next job would go over a budget or a cap; nothing was sent for it.
        """
        done = Counted()
        for job in self._jobs("planned"):
            if job.due is not None and job.due > self.now():
                done.waiting += 1
                continue
            if done.stop is not None or (most is not None and done.sent >= most):
                done.waiting += 1
                continue
            try:
                done += self._first(job, caps)
            except QmoeError as error:  # nothing was accepted: the job is as it was
                if not done.sent:
                    raise
                done.stop = error
                done.waiting += 1
        return done

    def settle(self) -> Counted:
        """Finds out what became of jobs of uncertain fate; sends again what surely never arrived.

        A job is sent again where that is the same job to the vendor, or after two empty searches
        with a wait before each. Otherwise it stays uncertain, with the reason.
        """
        done = Counted()
        for job in self._jobs("uncertain"):
            if self.ledger.reclaim(job.id, self.sender, self.patience.lease):
                done += self._settle(job)
            else:
                done.uncertain += 1
                done.words.append(f"{job.key} is being sent by {job.sender}")
        return done

    def collect(self) -> Counted:
        """Asks for every job that was sent, and stores what is there."""
        done = Counted()
        for answer in self._answers(self._jobs("submitted", "running")):
            done += self._collected(answer)
            if done.stop is not None:  # the service does not answer: the others can wait
                return done
        for job in self._jobs("done"):
            if job.billed is None:
                self._bill(job)
        return done

    def resume(self, caps: Caps) -> Counted:
        """Settles what is uncertain, sends what is due, collects what is there."""
        done = self.settle()
        if done.stop is None:
            done += self.submit(caps)
        return done + self.collect()

    def cancel(self) -> Counted:
        """Drops what was not sent, and asks the vendor to drop what has not run."""
        done = self.settle()
        for job in self._jobs("planned"):
            self.ledger.moved(job.id, "cancelled", "cancelled before it was sent")
            done.cancelled += 1
        for job in self._jobs("submitted", "running"):
            try:
                self._cancelled(_ref(job))
                words = "the vendor was asked to drop it"
            except QmoeError as error:
                words = f"not dropped: {error}"
                done.words.append(f"{job.key} {words}")
                done.stop = error
            self.ledger.note(self.plan.id, job.id, "cancel", words)
        return done + self.collect()

    def retry(self) -> int:
        """Plans every failed job again, as a job of its own; how many. The failed ones stay."""
        known = {job.key for job in self.ledger.jobs(self.plan.id)}
        again = []
        for job in self._jobs("failed"):
            key, _, times = job.key.partition("+")
            successor = f"{key}+{int(times or 0) + 1}"
            if successor not in known:
                again.append(job.again(successor, tag(self.plan.id, successor)))
        self.ledger.add_jobs(self.plan.id, again)
        return len(again)

    def adopt(self, key: str, name: str) -> None:
        """Takes the vendor's id that the user found for an uncertain job.

        Raises:
            InputError: No such uncertain job, or no such job at the vendor.
        """
        job = self._uncertain(key)
        ref = JobRef(self.backend.spec, name, job.circuits, job.shots, job.tag)
        self._patiently(lambda: self.backend.status(ref))
        self.ledger.sent(job.id, ref, self.backend.source)

    def resend(self, key: str) -> Counted:
        """Sends an uncertain job again that the user knows never arrived.

        Raises:
            InputError: No such uncertain job.
        """
        return self._again(self._uncertain(key))

    def _uncertain(self, key: str) -> JobRow:
        for job in self._jobs("uncertain"):
            if job.key == key and self.ledger.reclaim(job.id, self.sender, self.patience.lease):
                return job
        raise InputError(
            got=f"job {key!r}",
            expected="an uncertain job of the plan that no other process is sending",
            do="see `qmoe hardware status PLAN`",
        )

    # --- sending

    def _first(self, job: JobRow, caps: Caps) -> Counted:
        """A job that was never sent."""
        ready = self._programs(job)
        for attempt in range(self.patience.tries):
            account, lease = self.backend.account, self.patience.lease
            if not self.ledger.claim(job.id, self.sender, lease, account, job.reserve, caps):
                return Counted(words=[f"{job.key} is being sent by another process"])
            try:
                return self._send(job, ready)
            except BusyError:
                if attempt + 1 == self.patience.tries:
                    raise
                self.sleep(self.patience.busy * 2**attempt)
        raise AssertionError("tries >= 1")

    def _send(self, job: JobRow, ready: Sequence[Any], *, again: bool = False) -> Counted:
        """One request; the ledger has the intent and gets the answer.

        again: Whether it was in doubt before: in doubt again, it stays so.

        Raises:
            BusyError, CredentialsError: Nothing was accepted; the job is planned again.
        """
        started = time.perf_counter()
        try:
            ref = self._submitted(job, ready)
        except (BusyError, CredentialsError) as error:
            self.ledger.release(job.id, str(error))
            raise
        except FitError as error:
            self.ledger.unsupported(job.id, str(error))
            return Counted(failed=1, words=[f"{job.key}: {error}"], stop=error)
        except (RefusedError, InputError) as error:
            self.ledger.refused(job.id, str(error))
            return Counted(failed=1, words=[f"{job.key}: {error}"], stop=error)
        except QmoeError as error:
            if again:
                return self._doubted(job, str(error), error)
            self.ledger.doubt(job.id, str(error))
            self.tell(f"{job.key}: {error}; looking for it")
            return self._settle(job)
        self.ledger.sent(job.id, ref, self.backend.source)
        seconds = json.dumps({"sending": time.perf_counter() - started})
        self.ledger.note(self.plan.id, job.id, "timing", seconds)
        return Counted(sent=1)

    def _submitted(self, job: JobRow, ready: Sequence[Any]) -> JobRef:
        try:
            return self.backend.submit(ready, job.shots, tag=job.tag)
        except QmoeError:
            raise
        except Exception as error:  # a fault here or of a client: the job may exist all the same
            raise QmoeError(f"{type(error).__name__}: {error}") from error

    def _programs(self, job: JobRow) -> Sequence[Any]:
        return programs(self.plan, self.schedule, Chunk.of(job.key, job.executions))

    # --- uncertain

    def _settle(self, job: JobRow) -> Counted:
        """What became of a job that this process holds."""
        try:
            ids = self._searched(job)
            if not ids and not self.backend.idempotent:
                ids = self._searched(job)
        except UnreachableError as error:
            return self._doubted(job, f"the search failed: {error}", error)
        except QmoeError as error:
            if not self.backend.idempotent:
                return self._doubted(job, f"the vendor cannot tell whether it exists: {error}")
            ids = ()
        if len(ids) > 1:
            return self._doubted(job, f"{len(ids)} jobs have its tag: {' '.join(ids[:5])}")
        if ids:
            ref = JobRef(self.backend.spec, ids[0], job.circuits, job.shots, job.tag)
            self.ledger.sent(job.id, ref, self.backend.source)
            return Counted(found=1)
        return self._again(job)

    def _searched(self, job: JobRow) -> tuple[str, ...]:
        self.sleep(self.patience.settle)
        since = (job.since or self.now()) - CLOCKS
        ids = tuple(dict.fromkeys(self._patiently(lambda: self.backend.find(job.tag, since))))
        self.ledger.note(self.plan.id, job.id, "searched", " ".join(ids) or "nothing")
        return ids

    def _again(self, job: JobRow) -> Counted:
        """Sends a job again of which the vendor knows nothing."""
        ready = self._programs(job)
        if not self.ledger.reclaim(job.id, self.sender, self.patience.lease):
            return Counted(uncertain=1, words=[f"{job.key} is being sent by another process"])
        self.ledger.note(self.plan.id, job.id, "again", "sent again")
        try:
            return self._send(job, ready, again=True)
        except (BusyError, CredentialsError) as error:
            return Counted(waiting=1, words=[f"{job.key}: {error}"], stop=error)

    def _doubted(self, job: JobRow, words: str, stop: QmoeError | None = None) -> Counted:
        self.ledger.doubt(job.id, words)
        return Counted(uncertain=1, words=[f"{job.key} is uncertain: {words}"], stop=stop)

    # --- collecting

    def _answers(self, jobs: Sequence[JobRow]) -> Iterator[_Answer]:
        """What the vendor says of each job; several at a time where its client allows."""
        if not getattr(self.backend, "parallel", False):
            yield from map(self._answer, jobs)
            return
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for k in range(0, len(jobs), AT_ONCE):  # what was fetched is stored before more is
                yield from pool.map(self._answer, jobs[k : k + AT_ONCE])

    def _answer(self, job: JobRow) -> _Answer:
        """What the vendor says of a job."""
        ref, started = _ref(job), time.perf_counter()
        try:
            state = self._patiently(lambda: self.backend.status(ref))
        except QmoeError as error:
            return _Answer(job, None, {}, error)
        if state in ("submitted", "running"):
            return _Answer(job, state, {})
        try:
            rows = self._patiently(lambda: self.backend.fetch(ref))
            rows = _checked(ref, rows, self.schedule.compiled.num_outcomes)
        except QmoeError as error:
            # of a job that failed this is why; a result that cannot be read may be there later
            ended = state != "done" and not isinstance(error, UnreachableError)
            return _Answer(job, state if ended else None, {}, error)
        return _Answer(job, state, rows, seconds=time.perf_counter() - started)

    def _collected(self, answer: _Answer) -> Counted:
        job, state, words = answer.job, answer.state, str(answer.error or "")
        if state in ("submitted", "running"):
            if state != job.state:
                self.ledger.moved(job.id, state)
            return Counted(waiting=1)
        if state is None:  # no answer, or none that can be read: asked again next time
            self.ledger.note(self.plan.id, job.id, "unanswered", words)
            silent = isinstance(answer.error, UnreachableError)
            said = [f"{job.key}: {words}"]
            return Counted(waiting=1, words=said, stop=answer.error if silent else None)
        if answer.rows:
            self.ledger.store(
                job.id,
                {row: each.tolist() for row, each in answer.rows.items()},
                source=self.backend.source,
                complete=state == "done",
                timings={"fetching": answer.seconds, **self._times(job)},
            )
        if state == "done":
            self._bill(job)
            missing = job.circuits - len(answer.rows)
            said = [f"{job.key}: {missing} rows are missing"] if missing else []
            return Counted(collected=1, words=said)
        self.ledger.moved(job.id, state, words)
        said = [f"{job.key} {state}: {words or 'no reason given'}"]
        return Counted(failed=state == "failed", cancelled=state == "cancelled", words=said)

    def _times(self, job: JobRow) -> Mapping[str, float]:
        """Seconds in the queue and on the device, as far as the vendor tells them."""
        told = getattr(self.backend, "times", None)
        if told is None:
            return {}
        try:
            found: Mapping[str, float] = self._patiently(lambda: told(_ref(job)))
        except QmoeError:  # counts without times are still counts
            return {}
        return found

    def _bill(self, job: JobRow) -> None:
        ref = _ref(job)
        try:
            cost = self._patiently(lambda: self.backend.usage(ref))
        except QmoeError as error:  # the reservation stands until the vendor says more
            self.ledger.note(self.plan.id, job.id, "unbilled", str(error))
            return
        if cost is not None:
            self.ledger.billed(job.id, cost)

    def _cancelled(self, ref: JobRef) -> None:
        self._patiently(lambda: self.backend.cancel(ref))

    def _patiently(self, call: Callable[[], T]) -> T:
        """What a call that changes nothing returns, made again where there was no answer.

        Raises:
            QmoeError: Whatever went wrong, faults of a vendor's client included.
        """
        for attempt in range(self.patience.tries):
            try:
                return call()
            except UnreachableError:
                if attempt + 1 == self.patience.tries:
                    raise
                self.sleep(self.patience.pause * 2**attempt)
            except QmoeError:
                raise
            except Exception as error:
                raise QmoeError(f"{type(error).__name__}: {error}") from error
        raise AssertionError("tries >= 1")

    def _jobs(self, *states: str) -> tuple[JobRow, ...]:
        return self.ledger.jobs(self.plan.id, states)


def tag(plan: str, key: str) -> str:
    """The name of a job at the vendor: letters, digits and - alone, whatever the key has."""
    return f"qmoe-{plan[:12]}-{key.replace('+', '-again')}"


def _ref(job: JobRow) -> JobRef:
    if job.ref is None:
        raise QmoeError(f"job {job.key} is {job.state} without an id of the vendor")
    return job.ref


def _checked(
    ref: JobRef, rows: dict[int, NDArray[np.int64]], outcomes: int
) -> dict[int, NDArray[np.int64]]:
    """The rows, if they can be counts of the job.

    Raises:
        QmoeError: They cannot; nothing of them is stored.
    """
    for row, counts in rows.items():
        if not 0 <= row < ref.rows or counts.shape != (outcomes,) or counts.min() < 0:
            raise QmoeError(f"job {ref.id} returned a row {row} that is none of its counts")
        if counts.sum() != ref.shots:
            raise QmoeError(
                f"job {ref.id} returned {int(counts.sum())} shots in row {row}, not {ref.shots}"
            )
    return rows
