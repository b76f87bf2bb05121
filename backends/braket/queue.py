"""Braket's tasks at work: created several at a time, asked for, fetched and cancelled by ARN."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from threading import Lock
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from backends.base import Status
from backends.braket import aws, tasks
from backends.registry import require
from qmoe.errors import InputError, QmoeError

T = TypeVar("T")
Rows: TypeAlias = list[NDArray[np.int64] | None]

AT_ONCE = 8  # requests at a time; boto3 keeps ten connections
MEASURED = "qmoe-measured"  # the tag that says which qubits an outcome is made of, in order
ENDED: Mapping[str, Status] = {
    "COMPLETED": "done",
    "FAILED": "failed",
    "CANCELLED": "cancelled",
}

_log = logging.getLogger(__name__)


class Queue:
    """The tasks that one session can see."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self._ended: dict[str, str] = {}
        self._reading = Lock()

    def create(self, one: Callable[[int], str], count: int) -> tuple[str, ...]:
        """The ARNs that `one(0)`, `one(1)`, ... create; after a refusal no more are begun.

        Raises:
            QmoeError: The first refusal; it names the tasks that were created all the same.
        """

        def logged(k: int) -> str:
            arn = one(k)
            _log.info("created %s", arn)
            return arn

        with ThreadPoolExecutor(AT_ONCE) as pool:
            futures: list[Future[str]] = [pool.submit(logged, k) for k in range(count)]
            wait_for(futures, return_when=FIRST_EXCEPTION)
            ran = [future for future in futures if not future.cancel()]
        made = [future.result() for future in ran if future.exception() is None]
        refusal = next((e for e in (future.exception() for future in ran) if e is not None), None)
        if refusal is None:
            return tuple(made)
        if not made or not isinstance(refusal, QmoeError):
            raise refusal
        error = QmoeError(
            f"{refusal}; {len(made)} of {count} tasks exist all the same: {' '.join(made)}; the "
            "same submission again finds these and adds the rest"
        )
        error.exit_code = refusal.exit_code
        raise error from refusal

    def status(self, arns: Sequence[str]) -> Status:
        """How far tasks are: together they have ended only when every one has."""
        states = self._each(self._state, arns)
        if all(state in ENDED for state in states):
            ends = [end for end in ("FAILED", "CANCELLED") if end in states]
            return ENDED[ends[0]] if ends else "done"
        waiting = all(state in ("CREATED", "QUEUED") for state in states)
        return "submitted" if waiting else "running"

    def fetch(self, arns: Sequence[str], shots: int) -> list[tuple[Rows, list[str]]]:
        """For each task the counts of its circuits, if it has ended, and why some are missing."""
        return self._each(lambda arn: self._results(arn, shots), arns)

    def cancel(self, arns: Sequence[str]) -> None:
        """Asks Braket to drop what has not run; tasks that have ended stay as they are."""
        for arn in arns:
            if self._state(arn) in ("CREATED", "QUEUED", "RUNNING"):
                with aws.explained(f"cancelling {arn}", self._session):
                    self._session.cancel_quantum_task(arn)

    def _each(self, ask: Callable[[str], T], arns: Sequence[str]) -> list[T]:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(ask, arns))

    def _state(self, arn: str) -> str:
        if arn not in self._ended:
            state = str(self._ask(arn)["status"])
            if state not in ENDED:
                return state
            self._ended[arn] = state
        return self._ended[arn]

    def _ask(self, arn: str) -> Mapping[str, Any]:
        with aws.explained(f"task {arn}", self._session):
            found: Mapping[str, Any] = self._session.get_quantum_task(arn)
        return found

    def _results(self, arn: str, shots: int) -> tuple[Rows, list[str]]:
        found = self._ask(arn)
        if MEASURED not in found.get("tags", {}):
            raise InputError(
                got=f"task {arn} without the tag {MEASURED}",
                expected="a task of this project",
                do="restore the job reference from where it was stored",
            )
        order = [int(qubit) for qubit in found["tags"][MEASURED].split()]
        said = aws.words(str(found.get("failureReason", "no reason given")), self._session)
        kind = found.get("actionMetadata", {}).get("actionType")
        if found["status"] not in ("COMPLETED", "FAILED"):
            return [], []
        if found["status"] == "FAILED" and kind != tasks.PROGRAM_SET:
            return [], [f"task {arn} failed: {said}"]
        try:
            result = self._stored(arn, found["outputS3Bucket"], found["outputS3Directory"])
        except QmoeError:
            if found["status"] == "FAILED":  # of such a program set nothing may have been stored
                return [], [f"task {arn} failed: {said}"]
            raise
        failures = [aws.words(each, self._session) for each in tasks.reasons(result)]
        return (
            tasks.tallies(result, order, shots),
            [f"a circuit of task {arn} failed: {each}" for each in failures],
        )

    def _stored(self, arn: str, bucket: str, folder: str) -> Any:
        """The SDK's result, read with this session's own S3 client, which is safe in threads."""
        sdk = require("braket", "braket.tasks")
        schema = require("braket", "braket.schema_common").BraketSchemaBase
        with aws.explained(f"the results of {arn}", self._session):
            found = self._session.s3_client.get_object(Bucket=bucket, Key=f"{folder}/results.json")
            text = found["Body"].read().decode()
            try:
                given = schema.parse_raw_schema(text)
                if not hasattr(given, "programResults"):
                    return sdk.GateModelQuantumTaskResult.from_object(given)
                with self._reading:  # where results lie in many files, the SDK makes a client
                    return sdk.ProgramSetQuantumTaskResult.from_object(given)
            except ValueError as error:
                raise QmoeError(f"the results of task {arn} cannot be read") from error
