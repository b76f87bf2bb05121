"""A small stand-in for IBM's platform on the loopback interface, run as a process.

It serves one device, `ibm_boston`, with the shipped configuration and calibration of fake_boston,
and runs what it is sent on Aer without noise, whichever of the two samplers sent it.

    python -m tests.services.ibm API_KEY

prints its port. Two addresses are for tests: GET /_requests gives what was asked, POST /_behaviour
changes how the service behaves: see `Service`.
"""

from __future__ import annotations

import base64
import json
import sys
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
from ibm_quantum_schemas.common import CompressedTensorModel
from ibm_quantum_schemas.executor.version_2_0 import ParamsModel, QuantumProgramResultModel
from qiskit.primitives import PrimitiveResult
from qiskit_aer.primitives import SamplerV2
from qiskit_ibm_runtime.json import RuntimeDecoder, RuntimeEncoder

DEVICE = "ibm_boston"
ACCESS = "canary-access-token"


class RefusalError(Exception):
    """An error reply: HTTP status, message."""


class LostReplyError(Exception):
    """The request was accepted, and the line broke before the reply."""


@dataclass
class Service:
    """The jobs so far, and how the service behaves.

    behaviour:
        status: What becomes of new jobs, "Completed" unless said otherwise.
        reason: Why, in words; code: its number.
        lose: Whether the line breaks after a new job was accepted.
        after: An HTTP status that answers a new job after it was accepted.
        refuse: {"METHOD /path": HTTP status} of requests that are refused, headers quoted.
        sleep: Seconds before every reply.
        results: What stands in place of a job's results.
        dead: Two qubits whose gate has an error of 1.
        uncalibrated: Whether there is no calibration.
        device: Its state, such as {"status": "internal"}; usage: the instance's.
        shots: How many fewer shots of each row are returned.
    """

    key: str
    folder: Path
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    results: dict[str, str] = field(default_factory=dict)
    requests: list[dict[str, Any]] = field(default_factory=list)
    behaviour: dict[str, Any] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, method: str, path: str, query: str, body: str, headers: Any) -> Any:
        """The reply, JSON or text."""
        match method, path.strip("/").split("/"):
            case "GET", ["_requests"]:
                return self.requests
            case "POST", ["_behaviour"]:
                self.behaviour = json.loads(body)
                return {}
        self.requests.append({"method": method, "path": path, "query": query, "body": body})
        time.sleep(self.behaviour.get("sleep", 0))
        if status := self.behaviour.get("refuse", {}).get(f"{method} {path}"):
            raise RefusalError(status, f"refused {dict(headers)}")
        if path == "/identity/token":
            if self.key not in body:
                raise RefusalError(400, f"Provided API key could not be found {body}")
            return access_token()
        if headers["Authorization"] != f"Bearer {access_token()['access_token']}":
            raise RefusalError(401, f"unauthorized {dict(headers)}")
        match method, path.strip("/").split("/"):
            case "GET", ["backends"]:
                return {"devices": [{"name": DEVICE, "status": {"name": "online"}, "qubits": 156}]}
            case "GET", ["backends", name, kind] if name == DEVICE:
                return self.device(kind)
            case "GET", ["instances", "usage"]:
                return {"usage_consumed_seconds": 1} | self.behaviour.get("usage", {})
            case "POST", ["jobs"]:
                return self.create(json.loads(body), json.loads(body, cls=RuntimeDecoder))
            case "GET", ["jobs"]:
                tags = set(parse_qs(query).get("tags", []))
                found = [job for job in self.jobs.values() if tags <= set(job["tags"])]
                return {"jobs": found, "count": len(found), "limit": 10, "offset": 0}
            case "GET", ["jobs", name] if name in self.jobs:
                return self.jobs[name]
            case "GET", ["jobs", name, "results"] if name in self.jobs:
                return self.behaviour.get("results", self.results.get(name, "no results"))
            case "POST", ["jobs", name, "cancel"] if name in self.jobs:
                self.jobs[name]["state"] = {"status": "Cancelled"}
                return {}
        raise RefusalError(404, f"{method} {path} not found")

    def device(self, kind: str) -> Any:
        """The configuration, the calibration or the state of the device."""
        if kind == "status":
            return {"state": True, "status": "active", "length_queue": 0} | self.behaviour.get(
                "device", {}
            )
        short = {"configuration": "conf", "properties": "props"}[kind]
        stored = json.loads((self.folder / f"{short}_boston.json").read_text(encoding="utf-8"))
        if kind == "properties":
            if self.behaviour.get("uncalibrated"):
                return {}
            for gate in stored["gates"]:
                if sorted(gate["qubits"]) == self.behaviour.get("dead"):
                    for each in gate["parameters"]:
                        each["value"] = 1.0
        return stored | {"backend_name": DEVICE}

    def create(self, sent: dict[str, Any], decoded: dict[str, Any]) -> dict[str, Any]:
        """A new job, run at once."""
        name = f"job-{len(self.jobs)}"
        state = {"status": self.behaviour.get("status", "Completed")}
        state |= {"reason": self.behaviour.get("reason"), "reasonCode": self.behaviour.get("code")}
        self.jobs[name] = {
            "id": name,
            "backend": sent["backend"],
            "state": state,
            "status": state["status"],
            "program": {"id": sent["program_id"]},
            "created": "2026-11-01T00:00:00Z",
            "tags": sent["tags"],
            "cost": sent["cost"],
        }
        if state["status"] == "Completed":
            run = execute if sent["program_id"] == "executor" else sample
            self.results[name] = run(decoded["params"], self.behaviour.get("shots", 0))
        if self.behaviour.get("lose"):
            raise LostReplyError
        if status := self.behaviour.get("after"):
            raise RefusalError(status, "the gateway gave up")
        return {"id": name, "backend": sent["backend"]}


def access_token() -> dict[str, Any]:
    """A token of the shape that the client reads; it carries no signature worth the name."""
    parts = ({"alg": "none"}, {"iat": 1_700_000_000, "exp": 4_000_000_000}, ACCESS)
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode() for part in parts]
    return {
        "access_token": ".".join(encoded),
        "refresh_token": "none",
        "token_type": "Bearer",
        "expires_in": 3600,
        "expiration": 4_000_000_000,
    }


def sample(params: dict[str, Any], fewer: int) -> str:
    """The program "sampler": PUBs as (circuit, values, shots)."""
    circuit, values, shots = params["pubs"][0]
    if params.get("options", {}).get("twirling", {}).get("enable_gates"):
        raise RefusalError(400, "no twirling here")
    pub = (circuit, values if len(circuit.parameters) else None, shots - fewer)
    result = SamplerV2(seed=3).run([pub]).result()
    return json.dumps(PrimitiveResult(list(result)), cls=RuntimeEncoder)


def execute(params: dict[str, Any], fewer: int) -> str:
    """The program "executor": circuits and arrays in the vendor's own schema."""
    program = ParamsModel.model_validate(params).quantum_program
    (item,) = program.items
    circuit = program.circuits.to_python()[0]
    values = item.circuit_arguments.to_numpy() if len(circuit.parameters) else None
    pub = (circuit, values, program.shots - fewer)
    bits = SamplerV2(seed=3).run([pub]).result()[0].data.c
    # (..., shot, bit), first bit of the register first
    read = np.unpackbits(bits.array[..., ::-1], axis=-1, bitorder="little")[..., : bits.num_bits]
    tensor = CompressedTensorModel.from_numpy(read.astype(bool))
    return QuantumProgramResultModel(
        data=[{"results": {"c": tensor}, "metadata": {}}],
        metadata={"chunk_timing": []},
        passthrough_data=program.passthrough_data,
        semantic_role=program.semantic_role,
    ).model_dump_json()


class Handler(BaseHTTPRequestHandler):
    """HTTP in front of the service."""

    service: Service

    def do_GET(self) -> None:
        """Answers."""
        size = int(self.headers.get("Content-Length") or 0)
        body, parts, status = self.rfile.read(size).decode(), urlsplit(self.path), 200
        try:
            with self.service.lock:
                reply = self.service.answer(
                    self.command, parts.path, parts.query, body, self.headers
                )
        except LostReplyError:
            self.close_connection = True
            return
        except RefusalError as refusal:
            status, message = refusal.args
            reply = {"errors": [{"code": status, "message": message}]}
        data = (reply if isinstance(reply, str) else json.dumps(reply)).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_POST = do_GET  # noqa: N815

    def log_message(self, *_: Any) -> None:
        """Nothing: standard error is for faults."""


def main() -> None:
    """Serves whoever has the API key of the first argument until it is ended."""
    package = find_spec("qiskit_ibm_runtime")
    assert package is not None and package.origin is not None
    folder = Path(package.origin).parent / "fake_provider" / "backends" / "boston"
    Handler.service = Service(sys.argv[1], folder)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    sys.exit(main())
