"""All stand-in services by one name: started, told how to behave, asked what they accepted."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
FAMILIES = ("ibm", "braket", "google", "ionq")
KEY = "canary-key-5f2c"
SECRET = "canary-secret-91ab"
SESSION = "canary-session-77cd"
CANARIES = (KEY, SECRET, SESSION, "canary-access-token")
ARN = "arn:aws:braket:us-east-1::device/qpu/iqm/Sets"
TARGETS = {
    "ibm": "ibm:ibm_boston",
    "braket": f"braket:{ARN}",
    "google": "cirq:google/proj/willow_pink",
    "ionq": "cirq:ionq.qpu.forte-1",
}


@dataclass(frozen=True)
class Loopback:
    """One running service.

    environment: What the real client needs to reach it, credentials included.
    """

    family: str
    url: str
    folder: Path
    environment: Mapping[str, str]

    @property
    def target(self) -> str:
        """The spec of its device."""
        return TARGETS[self.family]

    def behave(self, **behaviour: Any) -> None:
        """Changes how it behaves; without arguments, back to normal."""
        if self.family == "google":
            # the counter starts again only for another text
            behaviour["_at"] = time.monotonic()
            path = self.folder / "behaviour.json"
            path.with_suffix(".new").write_text(json.dumps(behaviour))
            path.with_suffix(".new").replace(path)
        else:
            data = json.dumps(behaviour).encode()
            asked = urllib.request.Request(f"{self.url}/_behaviour", data, method="POST")
            urllib.request.urlopen(asked).close()

    def accepted(self, beginning: str = "") -> list[dict[str, Any]]:
        """The jobs that it accepted, those whose tag begins so."""
        if self.family == "google":
            path = self.folder / "jobs"
            lines = path.read_text().splitlines() if path.exists() else []
            return [json.loads(line) for line in lines]  # Google knows no tags
        with urllib.request.urlopen(f"{self.url}/_jobs") as reply:
            return [job for job in json.load(reply) if job["tag"].startswith(beginning)]


@contextmanager
def loopback(family: str, folder: Path) -> Iterator[Loopback]:
    """Starts a service and what it needs; ends them, by pid, when the block ends."""
    started: list[subprocess.Popen[str]] = []
    home = folder / "home"
    home.mkdir(parents=True, exist_ok=True)
    base = {
        "HOME": str(home),
        "NO_GCE_CHECK": "true",
        "AWS_EC2_METADATA_DISABLED": "true",
        "OMP_NUM_THREADS": "1",
    }
    try:
        if family == "ibm":
            url = f"http://127.0.0.1:{_start(started, 'ibm', KEY)}"
            extra = {
                "QISKIT_IBM_TOKEN": KEY,
                "QISKIT_IBM_INSTANCE": "crn:v1:bluemix:public:quantum-computing:us-east:a/b:c::",
                "QISKIT_IBM_URL": url,
                "IAM_URL": url,
                "QISKIT_FUNCTIONS_EXPERIMENTAL": "1",  # spares the search for instances
            }
        elif family == "braket":
            url, extra = _braket(started, folder)
        elif family == "google":
            (folder / "google").mkdir()
            port = _start(started, "google", str(folder / "google"))
            url, folder = f"127.0.0.1:{port}", folder / "google"
            extra = {"QMOE_GOOGLE_ENDPOINT": url, "CLOUDSDK_CONFIG": str(home)}
        else:
            url = f"http://127.0.0.1:{_start(started, 'ionq', KEY)}"
            extra = {"IONQ_API_KEY": KEY, "IONQ_REMOTE_HOST": url}
        yield Loopback(family, url, folder, base | extra)
    finally:
        for process in started:
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()


def _braket(started: list[subprocess.Popen[str]], folder: Path) -> tuple[str, dict[str, str]]:
    described = folder / "devices"
    described.mkdir()
    (described / "sets.json").write_text(json.dumps(_processor()))
    port = _free()
    started.append(
        subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
        )
    )
    storage = f"http://127.0.0.1:{port}"
    own = _start(started, "braket", "--s3", storage, "--devices", str(described))
    _wait(port)
    url = f"http://127.0.0.1:{own}"
    return url, {
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_SESSION_TOKEN": SESSION,
        "AWS_DEFAULT_REGION": "us-east-1",
        "BRAKET_ENDPOINT": url,
        "AWS_ENDPOINT_URL_S3": storage,
        "AWS_ENDPOINT_URL_STS": storage,
        "BRAKET_PRICE_OFFERS_URL": f"{url}/prices.csv",
        "XDG_CACHE_HOME": str(folder / "cache"),
    }


def _processor() -> dict[str, Any]:
    """The synthetic processor that ships, as the service describes one that takes program sets."""
    shipped = ROOT / "backends" / "braket" / "properties" / "iqm.json"
    tree: dict[str, Any] = json.loads(shipped.read_text())
    tree["service"] |= {"shotsRange": [1, 20_000]}
    kind = "braket.ir.openqasm.program_set"
    limits = {"maximumExecutables": 100, "maximumTotalShots": 200_000}
    tree["action"][kind] = {"actionType": kind, "version": ["1"], **limits}
    return {
        "deviceArn": ARN,
        "deviceName": "Sets",
        "providerName": "a provider",
        "deviceType": "QPU",
        "deviceStatus": "ONLINE",
        "deviceCapabilities": tree,
    }


def _start(started: list[subprocess.Popen[str]], name: str, *arguments: str) -> int:
    """The port that a service prints."""
    command = [sys.executable, "-W", "ignore", "-m", f"tests.services.{name}", *arguments]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    started.append(process)
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line.strip().isdecimal():
        raise RuntimeError(f"the stand-in for {name} did not start")
    return int(line)


def _free() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait(port: int) -> None:
    for _ in range(600):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise RuntimeError("the stand-in for S3 did not start")
