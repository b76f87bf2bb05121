"""Google's processors through Quantum Engine: `cirq:google/PROJECT/PROCESSOR`.

Programs and jobs get ids made from the tag, so sending something twice runs it once, and it can be
found without having been told its id. QMOE_GOOGLE_ENDPOINT (host:port of this machine) puts
another service in Google's place, without credentials and without encryption; what comes from
there is called loopback.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from backends.base import Compiled, Counts, TargetInfo, compiled
from backends.checks import check_like
from backends.cirq.circuits import from_cirq_native, to_cirq
from backends.cirq.engine import Processor, check_accepted
from backends.cirq.google_calls import credentials_error
from backends.cirq.google_sweep import counts, qubits, sweep
from backends.native.phased import lowered, phased
from backends.native.placement import place
from backends.queued import Cost, JobRef, Limits, Program, Status
from backends.registry import Spec, require
from backends.remote import CALL_SECONDS, LOCAL, TIMEOUT_SECONDS, rows_of, run_now, words
from qmoe.angles import whole
from qmoe.circuit import Circuit
from qmoe.errors import InputError, QmoeError
from qmoe.record import Source
from qmoe.simplify import compact

ENDPOINT = "QMOE_GOOGLE_ENDPOINT"
BASIS = ("phased_xz", "cz")
_STATUS: Mapping[str, Status] = {
    "READY": "submitted",
    "RUNNING": "running",
    "CANCELLING": "running",
    "SUCCESS": "done",
    "FAILURE": "failed",
    "CANCELLED": "cancelled",
}


class Google:
    """One processor. Its noise is not known here, only where a circuit is best put.

    With the engine's current calibration the layout has the least expected error, and
    `calibrated_at` says of when; without one it is the first that the couplings allow.
    """

    account = "google"
    idempotent = True  # the ids are ours

    def __init__(self, spec: Spec, project: str, processor: str, endpoint: str | None) -> None:
        require("cirq", "cirq_google")
        options = dict(spec.options)
        for name in ("timeout", "call_timeout"):
            options.pop(name, None)  # how long one process waits says nothing of the target
        self.spec = str(Spec(spec.vendor, spec.target, options))
        seconds = spec.seconds("call_timeout", CALL_SECONDS)
        self.processor = Processor(project, processor, endpoint, seconds)
        self.source: Source = "device" if endpoint is None else "loopback"
        self.timeout = spec.seconds("timeout", TIMEOUT_SECONDS)
        self._simplify = spec.flag("simplify")

    def compile(self, circuit: Circuit) -> Compiled:
        """phased_xz and cz on the qubits of the device; asks the engine what it is, once."""
        given = circuit.simplify() if self._simplify else circuit
        native, _ = compact(phased(given))
        known = self.processor.device
        return self._compiled(native, place(native, known.single, known.double, known.readout))

    def emit(self, native: Circuit, like: Compiled) -> Compiled:
        """The circuit gate by gate on the same qubits; x, y and z become a phased_xz each."""
        check_like(native, like)
        return self._compiled(lowered(native), qubits(like))

    def run(self, compiled: Compiled, features: ArrayLike, shots: int, seed: int) -> Counts:
        """Counts (batch, 2^m) of a new job, waited for; the device draws its shots itself."""
        tag = f"run-{seed}-{secrets.token_hex(8)}"  # asked again, it runs again
        return run_now(self, compiled, features, shots, tag, self.timeout)

    def limits(self) -> Limits:
        """A job is a sweep of one circuit; the engine says no more."""
        return Limits(programs=1)

    def cost(self, rows: Sequence[int], shots: int, prices: Path | None = None) -> Cost:
        """Unknown: Google publishes no prices."""
        return Cost(None, None, "Google publishes no prices: ask whoever gave you access")

    def left(self) -> None:
        """Not said."""
        return None

    def submit(self, programs: Sequence[Program], shots: int, *, tag: str) -> JobRef:
        """One job with a row as one point of its sweep; the same again is the same job.

        Raises:
            RefusedError: The engine says no, or has another job of the tag.
        """
        rows_of(programs)
        if len(programs) != 1:
            raise InputError(
                got=f"{len(programs)} circuits in one job", expected="one", do="send several jobs"
            )
        circuit, x = programs[0].compiled, np.asarray(programs[0].features, dtype=np.float64)
        native, shots = circuit.native, whole(shots, "shots", 1)
        program, job = self._ids(tag)
        content = _digest([native.digest, list(circuit.physical), x.tolist(), shots])
        sent = to_cirq(native, qubits(circuit))
        self.processor.submit(sent, program, job, sweep(native, x), shots, content)
        return JobRef(self.spec, f"{program}/{job}", len(x), shots, tag)

    def find(self, tag: str, since: datetime) -> tuple[str, ...]:
        """The job of the tag, whose ids are made of it."""
        program, job = self._ids(tag)
        name = f"{program}/{job}"
        try:
            self.processor.ask(self.processor.job(program, job).status, job=name)
        except InputError:
            return ()
        return (name,)

    def usage(self, ref: JobRef) -> None:
        """Not said."""
        return None

    def status(self, ref: JobRef) -> Status:
        """How far the job is."""
        return self._status(ref, self._job(ref))

    def fetch(self, ref: JobRef) -> dict[int, NDArray[np.int64]]:
        """Counts (2^m,) by row; none until all are there."""
        job = self._job(ref)
        status = self._status(ref, job)
        where, ask = self.processor.name, self.processor.ask
        if status == "failed":
            reason = ask(lambda: ": ".join(job.failure() or ("no reason given",)), job=ref.id)
            raise QmoeError(f"job {ref.id} on {where} failed: {words(reason)}")
        if status == "cancelled":
            raise QmoeError(f"job {ref.id} on {where} was cancelled")
        if status != "done":
            return {}
        measured = ask(lambda: [each.measurements["m"] for each in job.results()], job=ref.id)
        return counts(measured, ref)

    def cancel(self, ref: JobRef) -> None:
        """Asks for the end of the job if it has not ended."""
        job = self._job(ref)
        if self._status(ref, job) in ("submitted", "running"):
            self.processor.ask(job.cancel, job=ref.id)

    def _compiled(self, native: Circuit, where: Sequence[Any]) -> Compiled:
        circuit = to_cirq(native, where)
        check_accepted(self.processor.device, circuit, self.spec)
        read = from_cirq_native(
            circuit, where, num_features=native.num_features, num_weights=native.num_weights
        )
        names = [str(qubit) for qubit in where]
        return compiled(
            self.spec, read, names, noisy=None, calibrated_at=self.processor.device.calibrated_at
        )

    def _ids(self, tag: str) -> tuple[str, str]:
        """Program and job of a tag on this processor."""
        digest = _digest([self.processor.name, tag])
        return f"qmoe-{digest}", f"run-{digest}"

    def _job(self, ref: JobRef) -> Any:
        program, _, job = ref.id.partition("/")
        return self.processor.job(program, job)

    def _status(self, ref: JobRef, job: Any) -> Status:
        name = self.processor.ask(job.status, job=ref.id)
        if name not in _STATUS:
            raise QmoeError(f"job {ref.id} has the unknown status {words(name)}")
        return _STATUS[name]


def load(spec: Spec) -> Google:
    """The backend of cirq:google/PROJECT/PROCESSOR; asks nothing of the engine.

    Options: timeout (seconds `run` waits), call_timeout (seconds that a call may take), simplify
    (true or false).
    """
    parts = spec.target.split("/")
    if len(parts) != 3 or not all(parts):
        raise InputError(
            got=f"target {spec}",
            expected="cirq:google/PROJECT/PROCESSOR",
            do="name a Google Cloud project and one of its processors",
        )
    spec.only("timeout", "call_timeout", "simplify")
    endpoint = os.environ.get(ENDPOINT) or None
    if endpoint is not None and not re.fullmatch(rf"({'|'.join(LOCAL)}):\d+", endpoint):
        raise InputError(
            got=f"{ENDPOINT}={words(endpoint, 60)}",
            expected="127.0.0.1:PORT or localhost:PORT",
            do="unset it to reach Google",
        )
    if endpoint is None and missing() is not None:
        raise credentials_error("not found")
    return Google(spec, parts[1], parts[2], endpoint)


def missing() -> str | None:
    """The names of what has to be set, or None; looks where the client looks, without a network.

    On a machine of Google's cloud the metadata server gives credentials, too: GCE_METADATA_HOST
    says that there is one.
    """
    named = os.environ.get("GOOGLE_APPLICATION_CREDENTIALS")
    folder = os.environ.get("CLOUDSDK_CONFIG") or Path.home() / ".config" / "gcloud"
    found = (
        Path(named).is_file()
        if named
        else (Path(folder) / "application_default_credentials.json").is_file()
    )
    if found or os.environ.get("GCE_METADATA_HOST"):
        return None
    return "GOOGLE_APPLICATION_CREDENTIALS"


def describe() -> tuple[TargetInfo, ...]:
    """The kind of target; which processors there are only the engine knows."""
    without = missing()
    note = "a processor of your project" if without is None else f"set {without}"
    return (TargetInfo("cirq:google/PROJECT/PROCESSOR", "device", basis=BASIS, note=note),)


def _digest(parts: list[Any]) -> str:
    text = json.dumps(parts, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:32]
