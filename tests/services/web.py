"""HTTP in front of a stand-in service, with the faults of `tests.services.faults`."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol
from urllib.parse import urlsplit

from tests.services.faults import Faults


class LostReplyError(Exception):
    """The request was accepted, and the line broke before the reply."""


class Service(Protocol):
    """What a stand-in offers. GET /_requests, GET /_jobs and POST /_behaviour are for tests."""

    behaviour: dict[str, Any]
    requests: list[dict[str, Any]]
    lock: threading.Lock
    faults: Faults

    def call(self, method: str, path: str) -> str:
        """Which call of `tests.services.faults` a request is."""

    def reply(self, method: str, target: str, headers: Any, body: bytes) -> tuple[int, dict, bytes]:
        """Status, further headers and body."""

    def refusal(self, status: int) -> tuple[dict, bytes]:
        """Headers and body with which the service refuses."""

    def accepted(self) -> list[dict[str, Any]]:
        """The jobs so far: id, tag, rows."""


class Handler(BaseHTTPRequestHandler):
    """Answers, unless something goes wrong by plan."""

    service: Service

    def do_GET(self) -> None:
        """Answers."""
        size = int(self.headers.get("Content-Length") or 0)
        body, path = self.rfile.read(size), urlsplit(self.path).path
        if self.tests(path, body):
            return
        with self.service.lock:
            call = self.service.call(self.command, path)
            fault = self.service.faults.of(call, self.service.behaviour) or {"kind": ""}
        kind = fault["kind"]
        if kind == "timeout":
            time.sleep(fault["seconds"])
            self.close_connection = True
            return
        if kind.isdecimal():
            headers, data = self.service.refusal(int(kind))
            self.send(int(kind), headers, data)
            return
        try:
            with self.service.lock:
                status, headers, data = self.service.reply(
                    self.command, self.path, self.headers, body
                )
        except LostReplyError:
            self.close_connection = True
            return
        if kind == "stall":
            time.sleep(fault["seconds"])
        if kind == "lost":
            self.close_connection = True
            return
        if kind == "malformed":
            data = b'{"not": json'
        self.send(status, headers, data, cut=kind == "cut")

    do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815

    def tests(self, path: str, body: bytes) -> bool:
        """Whether it was one of the addresses for tests."""
        with self.service.lock:
            if path == "/_requests":
                found: Any = self.service.requests
            elif path == "/_jobs":
                found = self.service.accepted()
            elif path == "/_behaviour":
                self.service.behaviour = json.loads(body)
                self.service.faults.restart()
                found = {}
            else:
                return False
            data = json.dumps(found).encode()
        self.send(200, {}, data)
        return True

    def send(self, status: int, headers: dict, data: bytes, *, cut: bool = False) -> None:
        """A whole reply, or half of one."""
        self.send_response(status)
        for key, value in ({"Content-Type": "application/json"} | headers).items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if cut else data)
        self.close_connection = self.close_connection or cut

    def log_message(self, *_: Any) -> None:
        """Nothing: standard error is for faults."""


class Server(ThreadingHTTPServer):
    """A server that says nothing when a client goes away in the middle."""

    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """Nothing: clients are killed on purpose."""


def serve(service: Service) -> None:
    """Serves on a free port, which it prints, until it is ended."""
    handler = type("Answering", (Handler,), {"service": service})
    server = Server(("127.0.0.1", 0), handler)
    print(server.server_port, flush=True)
    server.serve_forever()


def listed(jobs: list[dict[str, Any]], behaviour: dict[str, Any]) -> list[dict[str, Any]]:
    """Jobs as a search finds them: new ones late, or each twice; counts the searches."""
    found = []
    for job in jobs:
        job["searches"] = job.get("searches", 0) + 1
        if job["searches"] > behaviour.get("late", 0):
            found += [job] * (2 if behaviour.get("twice") else 1)
    return found


def queued(job: dict[str, Any], behaviour: dict[str, Any]) -> bool:
    """Whether a job still waits when it is asked for: held, or slow for some questions more."""
    if behaviour.get("hold"):
        return True
    job["asked"] = job.get("asked", 0) + 1
    return bool(job["asked"] <= behaviour.get("slow", 0))
