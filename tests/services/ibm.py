"""A small stand-in for IBM's platform on the loopback interface, run as a process.

It serves one device, `ibm_boston`, with the shipped configuration and calibration of fake_boston,
and runs what it is sent on Aer without noise, whichever of the two samplers sent it.

    python -m tests.services.ibm API_KEY

prints its port. For tests: GET /_requests gives what was asked, GET /_jobs what was accepted, and
POST /_behaviour changes how the service behaves: see `Service` and `tests.services.faults`.
"""

from __future__ import annotations

import base64
import json
import sys
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
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

from tests.services.faults import Faults
from tests.services.web import LostReplyError, listed, queued, serve

DEVICE = "ibm_boston"
ACCESS = "canary-access-token"
TIMES = {
    "created": "2026-11-01T00:00:00Z",
    "running": "2026-11-01T01:00:00Z",
    "finished": "2026-11-01T01:00:03Z",
}


class RefusalError(Exception):
    """An error reply: HTTP status, message."""


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
        fail: Words with which new jobs fail. hold, slow, late, twice: see `tests.services.web`.
        seconds: What a job is charged, 2 unless said; metrics: what stands in place of that.
        backend: Where jobs say they ran.
        answer: What is different in the reply to a new job.
        page: Most jobs of one reply to a search; more: how many too many it counts.
    """

    key: str
    folder: Path
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    results: dict[str, str] = field(default_factory=dict)
    requests: list[dict[str, Any]] = field(default_factory=list)
    behaviour: dict[str, Any] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    faults: Faults = field(default_factory=Faults)

    def call(self, method: str, path: str) -> str:
        """Which call a request is."""
        match method, path.strip("/").split("/"):
            case "POST", ["jobs"]:
                return "create"
            case "GET", ["jobs"]:
                return "search"
            case "GET", ["jobs", _]:
                return "status"
            case "GET", ["jobs", _, "results"]:
                return "results"
            case "GET", ["jobs", _, "metrics"]:
                return "usage"
            case "POST", ["jobs", _, "cancel"]:
                return "cancel"
        return "connect"

    def reply(self, method: str, target: str, headers: Any, body: bytes) -> tuple[int, dict, bytes]:
        """Status, further headers and body."""
        parts = urlsplit(target)
        try:
            found = self.answer(method, parts.path, parts.query, body.decode(), headers)
        except RefusalError as refusal:
            status, message = refusal.args
            found = {"errors": [{"code": status, "message": message}]}
            return status, {}, json.dumps(found).encode()
        return 200, {}, (found if isinstance(found, str) else json.dumps(found)).encode()

    def refusal(self, status: int) -> tuple[dict, bytes]:
        """How the platform refuses."""
        words = {"errors": [{"code": status, "message": f"refused by plan ({status})"}]}
        return {}, json.dumps(words).encode()

    def accepted(self) -> list[dict[str, Any]]:
        """The jobs so far."""
        return [
            {"id": name, "tag": job["tags"][0], "rows": job["rows"]}
            for name, job in self.jobs.items()
        ]

    def answer(self, method: str, path: str, query: str, body: str, headers: Any) -> Any:
        """The reply, JSON or text."""
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
                return self.search(parse_qs(query))
            case "GET", ["jobs", name] if name in self.jobs:
                job = self.jobs[name]
                waiting = job["status"] == "Completed" and queued(job, self.behaviour)
                return job | ({"state": {"status": "Queued"}} if waiting else {})
            case "GET", ["jobs", name, "metrics"] if name in self.jobs:
                usage = {"qpu_charge_time_seconds": self.behaviour.get("seconds", 2)}
                usage = self.behaviour.get("metrics", usage | {"status": "done"})
                return {"timestamps": TIMES, "usage": usage}
            case "GET", ["jobs", name, "results"] if name in self.jobs:
                return self.behaviour.get("results", self.results.get(name, "no results"))
            case "POST", ["jobs", name, "cancel"] if name in self.jobs:
                self.jobs[name] |= {"state": {"status": "Cancelled"}, "status": "Cancelled"}
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
        if words := self.behaviour.get("fail"):
            state = {"status": "Failed", "reason": words, "reasonCode": 1517}
        self.jobs[name] = {
            "id": name,
            "backend": self.behaviour.get("backend", sent["backend"]),
            "state": state,
            "rows": 0,
            "status": state["status"],
            "program": {"id": sent["program_id"]},
            "created": datetime.now(UTC).isoformat(),
            "tags": sent["tags"],
            "cost": sent["cost"],
        }
        if state["status"] == "Completed":
            run = execute if sent["program_id"] == "executor" else sample
            found, rows = run(decoded["params"], self.behaviour.get("shots", 0))
            self.results[name], self.jobs[name]["rows"] = found, rows
        if self.behaviour.get("lose"):
            raise LostReplyError
        if status := self.behaviour.get("after"):
            raise RefusalError(status, "the gateway gave up")
        return {"id": name, "backend": sent["backend"]} | self.behaviour.get("answer", {})

    def search(self, asked: dict[str, list[str]]) -> dict[str, Any]:
        """One page of the jobs with all of the tags."""
        tags, after = set(asked.get("tags", [])), asked.get("created_after", [""])[0]
        tagged = [
            job
            for job in self.jobs.values()
            if tags <= set(job["tags"]) and job["created"] >= after  # both in UTC
        ]
        found = listed(tagged, self.behaviour)
        first, most = (int(asked.get(key, ["0"])[0]) for key in ("offset", "limit"))
        most = min(most or len(found), self.behaviour.get("page", 200))
        count = len(found) + self.behaviour.get("more", 0)
        return {"jobs": found[first : first + most], "count": count, "limit": most}


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


def sample(params: dict[str, Any], fewer: int) -> tuple[str, int]:
    """The program "sampler": PUBs as (circuit, values, shots)."""
    if params.get("options", {}).get("twirling", {}).get("enable_gates"):
        raise RefusalError(400, "no twirling here")
    pubs = [
        (circuit, values if len(circuit.parameters) else None, shots - fewer)
        for circuit, values, shots in (
            pub if len(pub) == 3 else (*pub, None) for pub in params["pubs"]
        )
    ]
    result = list(SamplerV2(seed=3).run(pubs).result())
    rows = sum(int(np.prod(each.data.c.array.shape[:-2])) for each in result)
    return json.dumps(PrimitiveResult(result), cls=RuntimeEncoder), rows


def execute(params: dict[str, Any], fewer: int) -> tuple[str, int]:
    """The program "executor": circuits and arrays in the vendor's own schema."""
    program = ParamsModel.model_validate(params).quantum_program
    data, rows = [], 0
    pubs = [
        (circuit, item.circuit_arguments.to_numpy() if len(circuit.parameters) else None)
        for circuit, item in zip(program.circuits.to_python(), program.items, strict=True)
    ]
    for part in SamplerV2(seed=3).run(pubs, shots=program.shots - fewer).result():
        bits = part.data.c
        rows += int(np.prod(bits.array.shape[:-2]))
        # (..., shot, bit), first bit of the register first
        read = np.unpackbits(bits.array[..., ::-1], axis=-1, bitorder="little")
        tensor = CompressedTensorModel.from_numpy(read[..., : bits.num_bits].astype(bool))
        data.append({"results": {"c": tensor}, "metadata": {}})
    text = QuantumProgramResultModel(
        data=data,
        metadata={"chunk_timing": []},
        passthrough_data=program.passthrough_data,
        semantic_role=program.semantic_role,
    ).model_dump_json()
    return text, rows


def main() -> None:
    """Serves whoever has the API key of the first argument until it is ended."""
    package = find_spec("qiskit_ibm_runtime")
    assert package is not None and package.origin is not None
    folder = Path(package.origin).parent / "fake_provider" / "backends" / "boston"
    serve(Service(sys.argv[1], folder))


if __name__ == "__main__":
    sys.exit(main())
