"""A stand-in service as a child process: its port, its address, and what tests ask of it."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backends.remote import within

ROOT = Path(__file__).parents[2]
FILES = {"google": 0}  # services that tests talk to through a folder: which argument it is


@dataclass(frozen=True)
class Service:
    """A running service; `process` may be killed, it is ended with the block at the latest."""

    port: int
    url: str
    process: subprocess.Popen[str]
    folder: Path | None = None

    def behave(self, **behaviour: Any) -> None:
        """Changes how it behaves from now on; its faults are counted from the beginning."""
        data = json.dumps(behaviour)
        if self.folder is None:
            urllib.request.urlopen(f"{self.url}/_behaviour", data.encode(), timeout=30).close()
            return
        written = self.folder / "behaviour.new"  # it is read at every call: never half of it
        written.write_text(data)
        written.replace(self.folder / "behaviour.json")

    def jobs(self) -> list[dict[str, Any]]:
        """All jobs that it accepted: id, tag, rows."""
        return self._told("jobs")

    def requests(self) -> list[Any]:
        """All that it was asked, in order."""
        return self._told("requests")

    def _told(self, what: str) -> list[Any]:
        if self.folder is None:
            with urllib.request.urlopen(f"{self.url}/_{what}", timeout=30) as reply:
                return list(json.load(reply))
        path = self.folder / what
        lines = path.read_text().splitlines() if path.exists() else []
        return [json.loads(line) if line.startswith("{") else line for line in lines]


@contextmanager
def service(name: str, *arguments: object, seconds: float = 120.0) -> Iterator[Service]:
    """Starts `python -m tests.services.NAME ARGUMENTS` and ends that process, by its id.

    seconds: How long it may take to say its port; SDKs take seconds to import.

    Raises:
        TimeoutError: It says nothing in that time.
        RuntimeError: It ends without a port; why is on standard error.
    """
    words = [str(each) for each in arguments]
    command = [sys.executable, "-W", "ignore", "-m", f"tests.services.{name}", *words]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield _running(name, words, process, seconds)
        finally:
            _end(process)


def _running(
    name: str, words: Sequence[str], process: subprocess.Popen[str], seconds: float
) -> Service:
    assert process.stdout is not None
    line = within(seconds, process.stdout.readline)
    if not line.strip().isdecimal():
        raise RuntimeError(f"service {name} said {line!r} and no port")
    folder = Path(words[FILES[name]]) if name in FILES else None
    return Service(int(line), f"http://127.0.0.1:{int(line)}", process, folder)


def _end(process: subprocess.Popen[str]) -> None:
    """Ends it if it runs: politely, then not."""
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(10)
