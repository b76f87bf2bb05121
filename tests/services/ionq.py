"""A small stand-in for IonQ's service (API v0.3) on the loopback interface, run as a process.

It answers the calls that cirq_ionq makes, and simulates native circuits with Cirq from the
matrices in IonQ's documentation (https://docs.ionq.com/guides/getting-started-with-native-gates),
with the parameter names of the API: `phase` for gpi and gpi2, `angle` for zz, all in turns.

    python -m tests.services.ionq

prints its port. For tests: GET /_requests gives what was asked, GET /_jobs what was accepted, and
POST /_behaviour changes how the service behaves: see `Service` and `tests.services.faults`.
"""

from __future__ import annotations

import json
import math
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import cirq
import numpy as np

from tests.services.faults import Faults
from tests.services.web import LostReplyError, listed, queued, serve

KEYS = {
    "gpi": {"gate", "target", "phase"},
    "gpi2": {"gate", "target", "phase"},
    "zz": {"gate", "targets", "angle"},
}


class RefusalError(Exception):
    """An error reply: HTTP status, message."""


@dataclass
class Service:
    """The jobs so far, and how the service behaves.

    behaviour:
        fail: Words with which new jobs fail.
        hold, slow, late, twice: see `tests.services.web`.
        refuse, status: Words with which every call is refused, with that status (400).
        says: The JSON replies that calls get instead of the real ones, by name of the call.
        lose: Whether the reply to a new job is lost.
        sleep: Seconds before every reply.
        round: Distributions are shots over `round`, as a device returns them.
        page: Most jobs of a page of the list.
        parts: Whether the list holds the circuits of jobs too, under the names of the jobs.
        shuffle: Whether a job's distributions come in another order than its circuits.
        echo: Whether refusals quote the caller's headers.
    """

    key: str
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    results: dict[str, Any] = field(default_factory=dict)
    requests: list[dict[str, Any]] = field(default_factory=list)
    behaviour: dict[str, Any] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    faults: Faults = field(default_factory=Faults)

    def call(self, method: str, path: str) -> str:
        """Which call a request is."""
        match method, path.strip("/").split("/")[1:]:
            case "POST", ["jobs"]:
                return "create"
            case "GET", ["jobs"]:
                return "search"
            case "GET", ["jobs", _]:
                return "status"
            case "GET", ["jobs", _, "results"]:
                return "results"
            case "PUT", ["jobs", *_]:
                return "cancel"
        return "connect"

    def reply(self, method: str, target: str, headers: Any, body: bytes) -> tuple[int, dict, bytes]:
        """Status, further headers and body."""
        try:
            key = headers.get("Authorization", "")
            parts = urlsplit(target)
            query = dict(parse_qsl(parts.query))
            found = self.answer(method, parts.path, query | json.loads(body or b"{}"), key)
        except RefusalError as refusal:
            status, message = refusal.args
            message += f" {dict(headers)}" if self.behaviour.get("echo") else ""
            return status, {}, json.dumps({"statusCode": status, "message": message}).encode()
        says = self.behaviour.get("says", {})
        found = says.get(self.call(method, urlsplit(target).path), found)
        return 200, {}, json.dumps(found).encode()

    def refusal(self, status: int) -> tuple[dict, bytes]:
        """How the service refuses."""
        return {}, json.dumps({"statusCode": status, "message": "refused by plan"}).encode()

    def accepted(self) -> list[dict[str, Any]]:
        """The jobs so far."""
        return [
            {"id": name, "tag": job["name"], "rows": job["rows"]} for name, job in self.jobs.items()
        ]

    def answer(self, method: str, path: str, body: dict[str, Any], authorization: str) -> Any:
        """The JSON reply."""
        self.requests.append({"method": method, "path": path, "body": body})
        time.sleep(self.behaviour.get("sleep", 0))
        if authorization != f"apiKey {self.key}":
            raise RefusalError(401, "unauthorized")
        if words := self.behaviour.get("refuse"):
            raise RefusalError(self.behaviour.get("status", 400), words)
        match method, path.strip("/").split("/"):
            case "POST", ["v0.3", "jobs"]:
                return self.create(body)
            case "GET", ["v0.3", "jobs"]:
                return self.page(int(body.get("limit", 25)), int(body.get("next", 0)))
            case "GET", ["v0.3", "jobs", name] if name in self.jobs:
                job = self.jobs[name]
                waiting = job["status"] == "completed" and queued(job, self.behaviour)
                return job | ({"status": "ready"} if waiting else {})
            case "GET", ["v0.3", "jobs", name, "results"] if name in self.results:
                return self.results[name]
            case "PUT", ["v0.3", "jobs", name, "status", "cancel"] if name in self.jobs:
                self.jobs[name]["status"] = "canceled"
                return {"id": name, "status": "canceled"}
        raise RefusalError(404, f"{method} {path}")

    def page(self, limit: int, first: int) -> dict[str, Any]:
        """Some of the jobs that are listed; on the last page "next" is null."""
        found = listed(list(self.jobs.values()), self.behaviour)
        if self.behaviour.get("parts"):
            found += [job | {"id": part} for job in found for part in job.get("children", ())]
        last = first + min(limit, self.behaviour.get("page", limit))
        return {"jobs": found[first:last], "next": str(last) if last < len(found) else None}

    def create(self, body: dict[str, Any]) -> dict[str, Any]:
        """A new job, simulated at once."""
        program = body["body"]
        if program["gateset"] != "native":
            raise RefusalError(400, "only native gates here")
        name = f"job-{len(self.jobs)}"
        job = {
            "id": name,
            "status": "completed",
            "target": body["target"],
            "name": body["name"],
            "qubits": program["qubits"],
            "metadata": body["metadata"],
        }
        found = [simulate(each["circuit"], program["qubits"]) for each in program["circuits"]]
        if shots := self.behaviour.get("round"):
            found = [np.round(each * shots) / shots for each in found]
        children = [f"{name}-{k}" for k in range(len(found))]
        self.results[name] = {
            child: {str(k): float(p) for k, p in enumerate(each) if p > 1e-12}
            for child, each in zip(children, found, strict=True)
        }
        if self.behaviour.get("shuffle"):
            self.results[name] = dict(reversed(self.results[name].items()))
        if self.behaviour.get("shuffle") or self.behaviour.get("parts"):
            job["children"] = children
        job["rows"] = len(found)
        if words := self.behaviour.get("fail"):
            job |= {"status": "failed", "failure": {"code": "InternalError", "error": words}}
        self.jobs[name] = job
        if self.behaviour.get("lose"):
            raise LostReplyError
        return {"id": name, "status": job["status"]}


def simulate(operations: list[dict[str, Any]], size: int) -> np.ndarray:
    """Probabilities (2^size,) by little-endian outcome."""
    line = cirq.LineQubit.range(size)
    circuit = cirq.Circuit()
    for op in operations:
        if set(op) != KEYS.get(op["gate"], set()):
            raise RefusalError(400, f"gate {op['gate']} with {sorted(op)}")
        turns = op.get("phase", op.get("angle"))
        if not -1 <= turns <= 1:
            raise RefusalError(400, f"{turns} turns")
        turn = np.exp(2j * math.pi * turns)
        half = np.exp(1j * math.pi * turns)
        matrix = {
            "gpi": np.array([[0, 1 / turn], [turn, 0]]),
            "gpi2": np.array([[1, -1j / turn], [-1j * turn, 1]]) / math.sqrt(2),
            "zz": np.diag([1 / half, half, half, 1 / half]),
        }[op["gate"]]
        targets = op.get("targets", [op.get("target")])
        circuit.append(cirq.MatrixGate(matrix).on(*(line[q] for q in targets)))
    # with the last qubit first, the index is little-endian
    state = circuit.final_state_vector(qubit_order=line[::-1], dtype=np.complex128)
    return np.abs(state) ** 2


def main() -> None:
    """Serves the key of the first argument until it is ended."""
    serve(Service(sys.argv[1]))


if __name__ == "__main__":
    sys.exit(main())
