"""A small stand-in for the Amazon Braket service on the loopback interface, run as a process.

It answers the five calls that the SDK makes, runs programs on the SDK's own state-vector
simulator, and puts results into an S3 service (moto's). It enforces nothing that the real
service would: limits and prices cannot be checked with it.

    python -m tests.services.braket --s3 http://127.0.0.1:PORT --devices FOLDER

prints its own port. FOLDER holds one reply of GetDevice a file (JSON, capabilities as an object).
For tests: GET /_requests gives what was asked, GET /_jobs what was accepted, and POST /_behaviour
changes how the service behaves: see `Service` and `tests.services.faults`. GET /prices.csv is a
price list with invented prices.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import urllib.request
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from tests.services.faults import Faults
from tests.services.web import listed, queued, serve

WHEN = "2026-01-01T00:00:00.123Z"  # results may say the time in at most 24 characters
PROGRAM_SET = "braket.ir.openqasm.program_set"


class RefusalError(Exception):
    """An error reply: HTTP status, AWS error code, message."""


@dataclass
class Service:
    """The tasks so far, and how the service behaves.

    behaviour:
        fail: Words with which new tasks fail.
        lose: Position of the executable of a program set that fails alone.
        hold, slow, late, twice: see `tests.services.web`.
        page: How many tasks a page of a search lists.
        answer: What replies to a call say instead, by call; None leaves a field out.
        after, refuse, status: After so many new tasks, refuse with (code, message) and status.
        ascending: Whether results list qubits in ascending order, whatever the program says.
        probabilities: Whether results hold probabilities, as IonQ's do, instead of shots.
        files: Whether results of program sets are spread over files, as real ones are.
        echo: Whether refusals quote the caller's headers.
    """

    s3: str
    devices: dict[str, Any]
    tasks: dict[str, dict[str, Any]] = field(default_factory=dict)
    tokens: dict[str, tuple[str, str]] = field(default_factory=dict)
    waiting: dict[str, dict[str, Any]] = field(default_factory=dict)
    requests: list[dict[str, Any]] = field(default_factory=list)
    behaviour: dict[str, Any] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    faults: Faults = field(default_factory=Faults)

    def call(self, method: str, path: str) -> str:
        """Which call a request is."""
        match method, path.strip("/").split("/"):
            case "POST", ["quantum-task"]:
                return "create"
            case "POST", ["quantum-tasks"]:
                return "search"
            case "GET", ["quantum-task", *_]:
                return "status"
            case "PUT", _:
                return "cancel"
            case "GET", ["prices.csv"]:
                return "usage"
        return "connect"

    def reply(self, method: str, target: str, headers: Any, body: bytes) -> tuple[int, dict, bytes]:
        """Status, further headers and body."""
        path = urlsplit(target).path
        if path == "/prices.csv":
            return 200, {"Content-Type": "text/csv"}, self.prices().encode()
        try:
            status, found = self.answer(method, path, json.loads(body or b"{}"))
        except RefusalError as refusal:
            status, code, message = refusal.args
            message += f" {dict(headers)}" if self.behaviour.get("echo") else ""
            return status, {"x-amzn-ErrorType": code}, json.dumps({"message": message}).encode()
        changed = found | self.behaviour.get("answer", {}).get(self.call(method, path), {})
        told = {key: value for key, value in changed.items() if value is not None}
        return status, {}, json.dumps(told).encode()

    def refusal(self, status: int) -> tuple[dict, bytes]:
        """How AWS refuses."""
        codes = {
            400: "ValidationException",
            401: "UnrecognizedClientException",
            404: "ResourceNotFoundException",
            429: "ThrottlingException",
        }
        kind = {"x-amzn-ErrorType": codes.get(status, "InternalServiceException")}
        return kind, json.dumps({"message": f"refused by plan ({status})"}).encode()

    def accepted(self) -> list[dict[str, Any]]:
        """The tasks so far."""
        return [
            {"id": arn, "tag": task["tags"].get("qmoe", ""), "rows": task["rows"]}
            for arn, task in self.tasks.items()
        ]

    def prices(self) -> str:
        """A price list in the vendor's form: 0.30 a task, 0.00145 a shot, all invented."""
        rows = ["Region Code,DeviceName,Product Family,PricePerUnit,Currency"]
        for device in self.devices.values():
            name = device["deviceArn"].rpartition("/")[2]
            for family, price in (("Quantum Task", 0.30), ("Quantum Task-Shot", 0.00145)):
                rows.append(f"us-east-1,{name[:1].upper()}{name[1:]},{family},{price},USD")
        return "\n".join([*(f"line {k}" for k in range(5)), *rows]) + "\n"

    def answer(self, method: str, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        """HTTP status and JSON reply."""
        parts = path.strip("/").split("/")
        name = unquote(parts[1]) if len(parts) > 1 else ""
        self.requests.append({"method": method, "path": unquote(path), "body": body})
        match method, parts[0]:
            case "GET", "device" if name in self.devices:
                return 200, self.devices[name]
            case "POST", "quantum-task":
                return 201, {"quantumTaskArn": self.create(body)}
            case "POST", "quantum-tasks":
                return 200, self.search(body)
            case "GET", "quantum-task" if name in self.tasks:
                task = self.tasks[name]
                waiting = task["status"] == "COMPLETED" and queued(task, self.behaviour)
                if not waiting and name in self.waiting:
                    self.run(task, self.waiting.pop(name))
                return 200, task | ({"status": "QUEUED"} if waiting else {})
            case "PUT", "quantum-task" if name in self.tasks:
                if not self.behaviour.get("hold"):
                    raise RefusalError(409, "ConflictException", "the task has ended")
                self.waiting.pop(name, None)
                self.tasks[name] |= {"status": "CANCELLED", "endedAt": now()}
                return 200, {"quantumTaskArn": name, "cancellationStatus": "CANCELLING"}
        raise RefusalError(404, "ResourceNotFoundException", f"{name or path} does not exist")

    def search(self, body: dict[str, Any]) -> dict[str, Any]:
        """A page of the tasks on a device since a time."""
        wanted = {each["name"]: each["values"][0] for each in body["filters"]}
        since = datetime.fromisoformat(wanted["createdAt"])
        found = listed(
            [
                task
                for task in self.tasks.values()
                if task["deviceArn"] == wanted["deviceArn"]
                and datetime.fromisoformat(task["createdAt"]) >= since
            ],
            self.behaviour,
        )
        first = int(body.get("nextToken") or 0)
        last = first + min(self.behaviour.get("page", 50), body.get("maxResults", 50))
        page: dict[str, Any] = {"quantumTasks": found[first:last]}
        return page | ({"nextToken": f"{last}"} if found[last:] else {})

    def create(self, body: dict[str, Any]) -> str:
        """The ARN of a task; of the same one for a repeated client token."""
        content = json.dumps(body, sort_keys=True)
        token = body["clientToken"]
        if token in self.tokens:
            arn, before = self.tokens[token]
            if before != content:
                raise RefusalError(400, "ValidationException", "the client token was used before")
            return arn
        if self.behaviour.get("refuse") and len(self.tasks) >= self.behaviour.get("after", 0):
            raise RefusalError(self.behaviour.get("status", 400), *self.behaviour["refuse"])
        arn = f"arn:aws:braket:us-east-1:123456789012:quantum-task/{len(self.tasks):08d}"
        action = json.loads(body["action"])
        kind = action["braketSchemaHeader"]["name"]
        task = {
            "quantumTaskArn": arn,
            "status": "COMPLETED",
            "deviceArn": body["deviceArn"],
            "deviceParameters": body.get("deviceParameters", "{}"),
            "shots": body["shots"],
            "outputS3Bucket": body["outputS3Bucket"],
            "outputS3Directory": f"{body['outputS3KeyPrefix']}/{arn.rpartition('/')[2]}",
            "createdAt": now(),
            "tags": body.get("tags", {}),
            "actionMetadata": {"actionType": kind},
        }
        task["rows"] = len(action.get("programs", [0]))
        if self.behaviour.get("fail"):
            task |= {"status": "FAILED", "failureReason": self.behaviour["fail"], "endedAt": now()}
        elif self.behaviour.get("hold"):
            self.waiting[arn] = action
        else:
            self.run(task, action)
        self.tokens[token], self.tasks[arn] = (arn, content), task
        return arn

    def run(self, task: dict[str, Any], action: dict[str, Any]) -> None:
        """Computes a task and stores what came out."""
        task["endedAt"] = now()
        if task["actionMetadata"]["actionType"] == PROGRAM_SET:
            self.store_set(task, action)
            return
        result = self.simulate(action, task["shots"])
        result["taskMetadata"] |= {"id": task["quantumTaskArn"], "deviceId": task["deviceArn"]}
        result["taskMetadata"] |= {"createdAt": WHEN, "endedAt": WHEN}
        self.put(task, "results.json", result)

    def simulate(self, program: dict[str, Any], shots: int) -> dict[str, Any]:
        """The result of one program."""
        from braket.default_simulator import StateVectorSimulator
        from braket.ir.openqasm import Program

        result: dict[str, Any] = json.loads(
            StateVectorSimulator().run(Program.parse_obj(program), shots=shots).json()
        )
        if self.behaviour.get("ascending"):
            qubits = result["measuredQubits"]
            order = sorted(range(len(qubits)), key=qubits.__getitem__)
            result["measuredQubits"] = [qubits[k] for k in order]
            result["measurements"] = [[shot[k] for k in order] for shot in result["measurements"]]
        if self.behaviour.get("probabilities"):
            keys = ["".join(map(str, shot)) for shot in result.pop("measurements")]
            result["measurementProbabilities"] = {k: keys.count(k) / shots for k in set(keys)}
        return result

    def store_set(self, task: dict[str, Any], action: dict[str, Any]) -> None:
        """Runs a program set and stores what it gave, in one file or in many."""
        programs = action["programs"]
        shots = task["shots"] // len(programs)
        files = self.behaviour.get("files", False)
        entries = []
        for k, program in enumerate(programs):
            one = self.executable(program, shots, k == self.behaviour.get("lose"))
            entry: dict[str, Any] = {
                "braketSchemaHeader": header("program_result"),
                "executableResults": [one],
                "source": program,
                "additionalMetadata": {"action": program},
            }
            if files:
                self.put(task, f"{k}/program.json", program)
                self.put(task, f"{k}/executables/0.json", one)
                entry |= {"executableResults": ["executables/0.json"], "source": "program.json"}
                self.put(task, f"{k}/results.json", entry)
            entries.append(f"{k}/results.json" if files else entry)
        metadata: dict[str, Any] = {
            "braketSchemaHeader": header("program_set_task_metadata"),
            "id": task["quantumTaskArn"],
            "deviceId": task["deviceArn"],
            "requestedShots": task["shots"],
            "successfulShots": task["shots"],
            "programMetadata": [{"executables": [{}]} for _ in programs],
            "createdAt": WHEN,
            "endedAt": WHEN,
            "status": "COMPLETED",
            "totalFailedExecutables": 0,
        }
        result: dict[str, Any] = {
            "braketSchemaHeader": header("program_set_task_result"),
            "programResults": entries,
            "taskMetadata": metadata,
        }
        if files:
            self.put(task, "metadata.json", metadata)
            result["taskMetadata"] = "metadata.json"
            result["s3Location"] = [task["outputS3Bucket"], task["outputS3Directory"]]
        self.put(task, "results.json", result)

    def executable(self, program: dict[str, Any], shots: int, lost: bool) -> dict[str, Any]:
        """The result of one program of a program set."""
        if lost:
            return {
                "braketSchemaHeader": header("program_set_executable_failure"),
                "inputsIndex": 0,
                "failureMetadata": {
                    "failureReason": "the executable was lost",
                    "retryable": False,
                    "category": "DEVICE",
                },
            }
        found = self.simulate(program, shots)
        names = ("measurements", "measurementProbabilities", "measuredQubits")
        return {
            "braketSchemaHeader": header("program_set_executable_result"),
            "inputsIndex": 0,
            **{name: found[name] for name in names if found.get(name) is not None},
        }

    def put(self, task: dict[str, Any], name: str, tree: Any) -> None:
        """Writes one object into the task's folder."""
        url = f"{self.s3}/{task['outputS3Bucket']}/{task['outputS3Directory']}/{name}"
        kind = {"Content-Type": "application/json"}
        asked = urllib.request.Request(url, json.dumps(tree).encode(), kind, method="PUT")
        urllib.request.urlopen(asked).close()


def now() -> str:
    """The time in the service's form."""
    return datetime.now(UTC).isoformat()


def header(name: str) -> dict[str, str]:
    """The header of a result of version 1."""
    return {"name": f"braket.task_result.{name}", "version": "1"}


def main() -> None:
    """Serves until it is ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--s3", required=True)
    parser.add_argument("--devices", required=True, type=Path)
    options = parser.parse_args()
    devices = {}
    for path in options.devices.glob("*.json"):
        reply = json.loads(path.read_text())
        reply["deviceCapabilities"] = json.dumps(reply["deviceCapabilities"])
        devices[reply["deviceArn"]] = reply
    serve(Service(options.s3, devices))


if __name__ == "__main__":
    sys.exit(main())
