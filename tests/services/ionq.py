"""A small stand-in for IonQ's service (API v0.3) on the loopback interface, run as a process.

It answers the calls that cirq_ionq makes, and simulates native circuits with Cirq from the
matrices in IonQ's documentation (https://docs.ionq.com/guides/getting-started-with-native-gates),
with the parameter names of the API: `phase` for gpi and gpi2, `angle` for zz, all in turns.

    python -m tests.services.ionq

prints its port. Two addresses are for tests: GET /_requests gives what was asked, POST /_behaviour
changes how the service behaves: see `Service`.
"""

from __future__ import annotations

import json
import math
import sys
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import cirq
import numpy as np

KEYS = {
    "gpi": {"gate", "target", "phase"},
    "gpi2": {"gate", "target", "phase"},
    "zz": {"gate", "targets", "angle"},
}


class RefusalError(Exception):
    """An error reply: HTTP status, message."""


class LostReplyError(Exception):
    """The request was accepted, and the line broke before the reply."""


@dataclass
class Service:
    """The jobs so far, and how the service behaves.

    behaviour:
        fail: Words with which new jobs fail.
        hold: Whether new jobs stay queued.
        refuse: Words with which every call is refused.
        lose: Whether the reply to a new job is lost.
        sleep: Seconds before every reply.
        round: Distributions are shots over `round`, as a device returns them.
        shuffle: Whether a job's distributions come in another order than its circuits.
        echo: Whether refusals quote the caller's headers.
    """

    key: str
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    results: dict[str, Any] = field(default_factory=dict)
    requests: list[dict[str, Any]] = field(default_factory=list)
    behaviour: dict[str, Any] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, method: str, path: str, body: dict[str, Any], authorization: str) -> Any:
        """The JSON reply."""
        match method, path.strip("/").split("/"):
            case "GET", ["_requests"]:
                return self.requests
            case "POST", ["_behaviour"]:
                self.behaviour = body
                return {}
        self.requests.append({"method": method, "path": path, "body": body})
        time.sleep(self.behaviour.get("sleep", 0))
        if authorization != f"apiKey {self.key}":
            raise RefusalError(401, "unauthorized")
        if words := self.behaviour.get("refuse"):
            raise RefusalError(400, words)
        match method, path.strip("/").split("/"):
            case "POST", ["v0.3", "jobs"]:
                return self.create(body)
            case "GET", ["v0.3", "jobs", name] if name in self.jobs:
                return self.jobs[name]
            case "GET", ["v0.3", "jobs", name, "results"] if name in self.results:
                return self.results[name]
            case "PUT", ["v0.3", "jobs", name, "status", "cancel"] if name in self.jobs:
                self.jobs[name]["status"] = "canceled"
                return {"id": name, "status": "canceled"}
        raise RefusalError(404, f"{method} {path}")

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
            job["children"] = children
        if self.behaviour.get("hold"):
            job["status"] = "ready"
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


class Handler(BaseHTTPRequestHandler):
    """HTTP in front of the service."""

    service: Service

    def do_GET(self) -> None:
        """Answers."""
        size = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(size) or b"{}")
        status = 200
        try:
            with self.service.lock:
                reply = self.service.answer(
                    self.command,
                    urlsplit(self.path).path,
                    body,
                    self.headers.get("Authorization", ""),
                )
        except LostReplyError:
            self.close_connection = True
            return
        except RefusalError as refusal:
            status, message = refusal.args
            if self.service.behaviour.get("echo"):
                message += f" {dict(self.headers)}"
            reply = {"statusCode": status, "message": message}
        data = json.dumps(reply).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_POST = do_PUT = do_GET  # noqa: N815

    def log_message(self, *_: Any) -> None:
        """Nothing: standard error is for faults."""


def main() -> None:
    """Serves the key of the first argument until it is ended."""
    Handler.service = Service(sys.argv[1])
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    sys.exit(main())
