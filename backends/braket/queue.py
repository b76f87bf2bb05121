"""Braket's tasks at work: looked for, asked for, fetched and cancelled."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby
from threading import Lock
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from backends.braket import aws, tasks
from backends.queued import Program, RefusedError, Status
from backends.registry import require
from backends.remote import within
from qmoe.errors import InputError, QmoeError

Rows: TypeAlias = list[NDArray[np.int64] | None]
Orders: TypeAlias = list[tuple[int, ...]]  # of each row: the device's numbers of its qubits
T = TypeVar("T")

TAG = "qmoe"  # the tag that names a task
MOST_PAGES = 100
MEASURED = "qmoe-measured"  # the tag that says which qubits outcomes are made of: see `written`
ORDERS = re.compile(r"[1-9]\d{0,4}:\d+(?: \d+)*(?:/[1-9]\d{0,4}:\d+(?: \d+)*)*", re.ASCII)
MOST_LETTERS = 256  # of a tag
MAX_BYTES = 256 * 2**20  # of a file of results
ENDED: Mapping[str, Status] = {
    "COMPLETED": "done",
    "FAILED": "failed",
    "CANCELLED": "cancelled",
}


def written(programs: Sequence[Program]) -> str:
    """The qubits that the outcomes of each row are made of, as a tag: "2:3 4/1:4 3".

    Raises:
        InputError: There are more than a tag can hold.
    """
    orders = [
        " ".join(each.compiled.physical[qubit] for qubit in each.compiled.native.measured)
        for each in programs
        for _ in each.features
    ]
    text = "/".join(f"{len(list(rows))}:{order}" for order, rows in groupby(orders))
    if len(text) > MOST_LETTERS:
        raise InputError(
            got=f"programs that measure qubits in {text.count('/') + 1} ways",
            expected=f"what {MOST_LETTERS} letters can name",
            do="send them in several tasks",
        )
    return text


def read(text: str) -> Orders:
    """What `written` wrote.

    >>> read("2:3 4/1:4 3")
    [(3, 4), (3, 4), (4, 3)]

    Raises:
        ValueError: Something else.
    """
    if not ORDERS.fullmatch(text):
        raise ValueError(f"{MEASURED} is {text[:50]!r}")
    found: Orders = []
    for part in text.split("/"):
        rows, _, order = part.rpartition(":")
        found += [tuple(map(int, order.split()))] * int(rows)
    return found


class Queue:
    """The tasks that one session can see; seconds: how long a call may take."""

    def __init__(self, session: Any, seconds: float) -> None:
        self._session, self._seconds = session, seconds
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
        if self._state(arn) not in ("CREATED", "QUEUED", "RUNNING"):
            return
        try:
            self._call(f"cancelling {arn}", lambda: self._session.cancel_quantum_task(arn))
        except RefusedError:
            if self._state(arn) not in ENDED:  # else it has ended in between
                raise

    def find(self, device: str, tag: str, since: datetime) -> tuple[str, ...]:
        """The ARNs of the tasks on a device that have the tag, created at `since` or later."""
        filters = [
            {"name": "deviceArn", "operator": "EQUAL", "values": [device]},
            {"name": "createdAt", "operator": "GTE", "values": [_written(since)]},
        ]
        found: dict[str, None] = {}
        asked: dict[str, Any] = {}
        for _ in range(MOST_PAGES):
            names, following = self._page(tag, filters=filters, maxResults=100, **asked)
            found |= dict.fromkeys(names)
            if not following:
                return tuple(found)
            asked = {"nextToken": following}
        raise QmoeError(f"Amazon Braket lists more than {MOST_PAGES} pages of tasks since {since}")

    def times(self, arn: str) -> tuple[Any, Any]:
        """When a task was created and when it ended, as far as it says."""
        found = self._ask(arn)
        return found.get("createdAt"), found.get("endedAt")

    def shots(self, arn: str) -> tuple[str, int, int]:
        """State of a task, its shots, and those that succeeded as far as it says."""
        found = self._ask(arn)
        with aws.explained(f"task {arn}", self._session):
            total = int(found["shots"])
            good = int(found.get("numSuccessfulShots", total))
            if not 0 <= good <= total:
                raise ValueError(f"{good} of {total} shots")
            return str(found["status"]), total, good

    def _state(self, arn: str) -> str:
        if arn not in self._ended:
            state = str(self._ask(arn).get("status"))
            if state not in ENDED:
                return state
            self._ended[arn] = state
        return self._ended[arn]

    def _ask(self, arn: str) -> Mapping[str, Any]:
        def ask() -> Mapping[str, Any]:
            found: Mapping[str, Any] = self._session.get_quantum_task(arn)
            if not found.get("status"):
                raise ValueError("a task without a status")
            return found

        return self._call(f"task {arn}", ask)

    def _call(self, what: str, call: Callable[[], T]) -> T:
        """What one call returns, the client's own further attempts included in its time."""
        with aws.explained(what, self._session):
            value: T = within(self._seconds, call)
            return value

    def _page(self, tag: str, **asked: Any) -> tuple[list[str], str]:
        """The ARNs on one page of a search, and how to ask for the next."""

        def search() -> tuple[list[str], str]:
            page = self._session.braket_client.search_quantum_tasks(**asked)
            mine = [t for t in page["quantumTasks"] if (t.get("tags") or {}).get(TAG) == tag]
            return [str(t["quantumTaskArn"]) for t in mine], str(page.get("nextToken") or "")

        return self._call(f"tasks tagged {tag}", search)

    def _results(self, arn: str, shots: int) -> tuple[Rows, list[str]]:
        found = self._ask(arn)
        if MEASURED not in found.get("tags", {}):
            raise InputError(
                got=f"task {arn} without the tag {MEASURED}",
                expected="a task of this project",
                do="restore the job reference from where it was stored",
            )
        said = aws.words(str(found.get("failureReason", "no reason given")), self._session)
        kind = found.get("actionMetadata", {}).get("actionType")
        if found["status"] not in ("COMPLETED", "FAILED"):
            return [], []
        if found["status"] == "FAILED" and kind != tasks.PROGRAM_SET:
            return [], [f"task {arn} failed: {said}"]
        try:
            result = self._stored(arn, found)
        except QmoeError:
            if found["status"] == "FAILED":  # of such a program set nothing may have been stored
                return [], [f"task {arn} failed: {said}"]
            raise
        with aws.explained(f"the results of {arn}", self._session):
            rows = tasks.tallies(result, read(found["tags"][MEASURED]), shots)
            failures = [aws.words(each, self._session) for each in tasks.reasons(result)]
        return rows, [f"a circuit of task {arn} failed: {each}" for each in failures]

    def _stored(self, arn: str, task: Mapping[str, Any]) -> Any:
        """The SDK's result, read with this session's own S3 client, which is safe in threads."""
        sdk = require("braket", "braket.tasks")
        schema = require("braket", "braket.schema_common").BraketSchemaBase
        with aws.explained(f"the results of {arn}", self._session):
            place = {"Bucket": task["outputS3Bucket"]}
            place["Key"] = f"{task['outputS3Directory']}/results.json"
            data = self._call(
                f"the results of {arn}",
                lambda: self._session.s3_client.get_object(**place)["Body"].read(MAX_BYTES + 1),
            )
            if len(data) > MAX_BYTES:
                raise QmoeError(f"the results of task {arn} have more than {MAX_BYTES} bytes")
            try:
                text = data.decode()
                given = schema.parse_raw_schema(text)
                if not hasattr(given, "programResults"):
                    return sdk.GateModelQuantumTaskResult.from_object(given)
                with self._reading:  # where results lie in many files, the SDK makes a client
                    return sdk.ProgramSetQuantumTaskResult.from_object(given)
            except ValueError as error:
                raise QmoeError(f"the results of task {arn} cannot be read") from error


def _written(since: datetime) -> str:
    """A time as AWS writes it."""
    return since.astimezone(UTC).isoformat().replace("+00:00", "Z")
