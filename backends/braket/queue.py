"""Braket's tasks at work: looked for, asked for, fetched and cancelled."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from threading import Lock
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from backends.braket import aws, tasks
from backends.queued import Status
from backends.registry import require
from qmoe.errors import InputError, QmoeError

Rows: TypeAlias = list[NDArray[np.int64] | None]

TAG = "qmoe"  # the tag that names a task
MOST_PAGES = 100
MEASURED = "qmoe-measured"  # the tag that says which qubits an outcome is made of, in order
ENDED: Mapping[str, Status] = {
    "COMPLETED": "done",
    "FAILED": "failed",
    "CANCELLED": "cancelled",
}


class Queue:
    """The tasks that one session can see."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self._ended: dict[str, str] = {}
        self._reading = Lock()

    def status(self, arn: str) -> Status:
        """How far a task is."""
        state = self._state(arn)
        if state in ENDED:
            return ENDED[state]
        return "submitted" if state in ("CREATED", "QUEUED") else "running"

    def fetch(self, arn: str, shots: int) -> tuple[Rows, list[str]]:
        """The counts of a task's circuits, if it has ended, and why some are missing."""
        return self._results(arn, shots)

    def cancel(self, arn: str) -> None:
        """Asks Braket to drop what has not run; a task that has ended stays as it is."""
        if self._state(arn) in ("CREATED", "QUEUED", "RUNNING"):
            with aws.explained(f"cancelling {arn}", self._session):
                self._session.cancel_quantum_task(arn)

    def find(self, device: str, tag: str, since: datetime) -> tuple[str, ...]:
        """The ARNs of the tasks on a device that have the tag, created at `since` or later."""
        filters = [
            {"name": "deviceArn", "operator": "EQUAL", "values": [device]},
            {"name": "createdAt", "operator": "GTE", "values": [since.isoformat()]},
        ]
        found: dict[str, None] = {}
        asked: dict[str, Any] = {}
        for _ in range(MOST_PAGES):
            with aws.explained(f"tasks tagged {tag}", self._session):
                page = self._session.braket_client.search_quantum_tasks(
                    filters=filters, maxResults=100, **asked
                )
            for task in page["quantumTasks"]:
                if (task.get("tags") or {}).get(TAG) == tag:
                    found[str(task["quantumTaskArn"])] = None
            if not page.get("nextToken"):
                return tuple(found)
            asked = {"nextToken": page["nextToken"]}
        raise QmoeError(f"Amazon Braket lists more than {MOST_PAGES} pages of tasks since {since}")

    def times(self, arn: str) -> tuple[Any, Any]:
        """When a task was created and when it ended, as far as it says."""
        found = self._ask(arn)
        return found.get("createdAt"), found.get("endedAt")

    def shots(self, arn: str) -> tuple[str, int, int]:
        """State of a task, its shots, and those that succeeded as far as it says."""
        found = self._ask(arn)
        total = int(found["shots"])
        return str(found["status"]), total, int(found.get("numSuccessfulShots") or total)

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
