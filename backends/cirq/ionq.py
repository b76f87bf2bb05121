"""IonQ's own service through cirq_ionq. Experimental: the supported path to IonQ is a Braket ARN.

The client speaks version 0.3 of the API (https://docs.ionq.com/api-reference/v0.3); whether IonQ
goes on serving it was not checked. Circuits are sent in native gates, so what was compiled is what
runs. Targets are those whose two-qubit gate is ZZ: Aria's MS gate has no row in the gate table.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import ArrayLike, NDArray

from backends.base import (
    Compiled,
    Counts,
    TargetInfo,
    compiled,
    sample,
)
from backends.checks import check_like, check_width
from backends.cirq.ionq_circuits import to_ionq
from backends.cirq.ionq_results import distributions
from backends.cirq.ionq_service import KEYS, Service
from backends.native.phased import phased
from backends.native.pulses import pulses
from backends.queued import Cost, JobRef, Limits, Program, Status
from backends.registry import Spec
from backends.remote import (
    CALL_SECONDS,
    LOCAL,
    TIMEOUT_SECONDS,
    apportion,
    rows_of,
    run_now,
    words,
)
from qmoe.angles import whole
from qmoe.circuit import Circuit
from qmoe.errors import (
    CredentialsError,
    InputError,
    QmoeError,
    unknown,
)
from qmoe.record import Source
from qmoe.simplify import compact

HOST = "api.ionq.co"
HOSTS = ("CIRQ_IONQ_REMOTE_HOST", "IONQ_REMOTE_HOST")
# Native ZZ systems and the simulator, https://docs.ionq.com; the service has the last word.
QUBITS: Mapping[str, int] = {"simulator": 29, "qpu.forte-1": 36, "qpu.forte-enterprise-1": 36}
GATES = ("phased_xz", "rzz")
_STATUS: Mapping[str, Status] = {
    "submitted": "submitted",
    "ready": "submitted",
    "running": "running",
    "started": "running",
    "completed": "done",
    "failed": "failed",
    "canceled": "cancelled",
    "deleted": "cancelled",
}


class IonQ:
    """One target of IonQ's service; all qubits are connected, the noise is not known.

    The simulator is noise-free and returns probabilities: its counts are drawn here, with a seed
    from the id of the job, so that they are the same whenever they are fetched.
    """

    account = "ionq"
    idempotent = False  # the API knows no token of ours

    def __init__(self, spec: Spec, key: str, host: str) -> None:
        options = dict(spec.options)
        for name in ("timeout", "call_timeout"):
            options.pop(name, None)  # how long one process waits says nothing of the target
        self.spec = str(Spec(spec.vendor, spec.target, options))
        self.target = spec.target.removeprefix("ionq.")
        self.timeout = spec.seconds("timeout", TIMEOUT_SECONDS)
        self._simplify = spec.flag("simplify")
        self.source: Source = _source(self.target, host)
        self.service = Service(host, key, spec.seconds("call_timeout", CALL_SECONDS))

    def compile(self, circuit: Circuit) -> Compiled:
        """Pulses and ZZ gates; without known errors any qubits are as good as others."""
        given = circuit.simplify() if self._simplify else circuit
        return self._compiled(pulses(phased(compact(given)[0])))

    def emit(self, native: Circuit, like: Compiled) -> Compiled:
        """A changed native circuit on the same qubits; a z turns the axes after it."""
        check_like(native, like)
        return self._compiled(pulses(native))

    def run(self, compiled: Compiled, features: ArrayLike, shots: int, seed: int) -> Counts:
        """Counts (batch, 2^m) of one new job, waited for; a device draws its shots itself."""
        return run_now(self, compiled, features, shots, f"qmoe-{seed}", self.timeout)

    def limits(self) -> Limits:
        """Not said."""
        return Limits()

    def cost(self, rows: Sequence[int], shots: int, prices: Path | None = None) -> Cost:
        """Unknown: the service tells no prices."""
        return Cost(None, None, "IonQ's service tells no prices: see your contract")

    def left(self) -> None:
        """Not said."""
        return None

    def submit(self, programs: Sequence[Program], shots: int, *, tag: str) -> JobRef:
        """Sends all rows in one POST; the tag becomes the name of the job."""
        rows = int(rows_of(programs).sum())
        shots = whole(shots, "shots", 1)
        measured = {each.compiled.native.measured for each in programs}
        if len(measured) != 1:
            raise InputError(
                got="circuits that measure different qubits",
                expected="the same in one job",
                do="send several jobs",
            )
        name = self.service.create(
            [to_ionq(each.compiled.native.bind(row)) for each in programs for row in each.features],
            {"measured": ",".join(map(str, *measured))},
            target=self.target,
            shots=shots,
            name=tag,
        )
        return JobRef(self.spec, name, rows, shots, tag)

    def find(self, tag: str, since: datetime) -> tuple[str, ...]:
        """The ids of the jobs named by the tag.

        Raises:
            QmoeError: More jobs than the service was asked to list: nothing is known then.
        """
        return self.service.named(tag)

    def usage(self, ref: JobRef) -> None:
        """Not said."""
        return None

    def status(self, ref: JobRef) -> Status:
        """How far the job is."""
        return self._status(self.service.job(ref.id))

    def fetch(self, ref: JobRef) -> dict[int, NDArray[np.int64]]:
        """Counts (2^m,) by row; none until all are there.

        IonQ returns probabilities by little-endian integers; on a device they are counts over
        shots, and go back to whole counts with the sum `shots` by the largest remainders.
        """
        name = ref.id
        job = self.service.job(name)
        status = self._status(job)
        if status in ("failed", "cancelled"):
            failure = job.get("failure") or "no reason given"
            reason = failure.get("error", failure) if isinstance(failure, dict) else failure
            raise QmoeError(f"IonQ job {name} {status}: {self.service.said(reason)}")
        if status != "done":
            return {}
        found = distributions(self.service.results(name), job)
        if len(found) != ref.rows:
            raise QmoeError(f"IonQ job {name}: {len(found)} results for {ref.rows} inputs")
        if self.target == "simulator":
            seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
            return dict(enumerate(sample(found, ref.shots, seed)))
        return {row: apportion(each, ref.shots) for row, each in enumerate(found)}

    def cancel(self, ref: JobRef) -> None:
        """Cancels the job if it has not ended: IonQ would cancel one that is done, too."""
        if self.status(ref) in ("submitted", "running"):
            self.service.cancel(ref.id)

    def _compiled(self, native: Circuit) -> Compiled:
        check_width(native.num_qubits, QUBITS[self.target], self.spec)
        names = [str(qubit) for qubit in range(native.num_qubits)]
        return compiled(self.spec, native, names, noisy=None)

    def _status(self, job: Mapping[str, Any]) -> Status:
        said = str(job.get("status"))
        if said not in _STATUS:
            raise QmoeError(f"IonQ job {words(job.get('id'))} has the unknown status {words(said)}")
        return _STATUS[said]


def load(spec: Spec) -> IonQ:
    """The backend of cirq:ionq.TARGET; asks nothing of the service.

    Options: timeout (seconds `run` waits), call_timeout (seconds a call may take), simplify (true
    or false).
    """
    target = spec.target.removeprefix("ionq.")
    if target not in QUBITS:
        raise unknown("IonQ target", target, QUBITS)
    spec.only("timeout", "call_timeout", "simplify")
    if missing() is not None:
        raise CredentialsError(
            got="no API key of IonQ",
            expected=f"one in {' or '.join(KEYS)}",
            do="set it, or use IonQ by its Braket ARN",
        )
    return IonQ(spec, _first(KEYS), _first(HOSTS) or f"https://{HOST}")


def missing() -> str | None:
    """The names of what has to be set, or None."""
    return None if _first(KEYS) else " or ".join(KEYS)


def describe() -> tuple[TargetInfo, ...]:
    """All targets; errors are not known without asking the service."""
    note = "experimental; IonQ by Braket ARN is the supported path"
    without = missing()
    return tuple(
        TargetInfo(
            f"cirq:ionq.{target}",
            "hosted-simulator" if target == "simulator" else "device",
            qubits,
            GATES,
            note=note if without is None else f"{note}; set {without}",
        )
        for target, qubits in QUBITS.items()
    )


def _source(target: str, host: str) -> Source:
    parts = urlsplit(host)
    if parts.hostname in LOCAL:
        return "loopback"
    if parts.scheme != "https" or not parts.hostname:
        raise InputError(
            got=f"the host {words(parts.hostname or 'without a name', 60)} in {' or '.join(HOSTS)}",
            expected="https://HOST, or http://127.0.0.1:PORT",
            do="correct the variable: the API key is sent there",
        )
    if parts.netloc != HOST:
        return "loopback"
    return "hosted-simulator" if target == "simulator" else "device"


def _first(names: Sequence[str]) -> str:
    return next((value for name in names if (value := os.environ.get(name))), "")
