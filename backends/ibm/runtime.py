"""Real IBM devices, `ibm:ibm_NAME`, through qiskit-ibm-runtime: one job per run, behind a queue.

Submitting spends the account's time on the device. Options: `timeout` (seconds that `run` waits),
`call_timeout` (seconds that one call may take), `max_execution_time` (seconds on the device after
which IBM stops a job; always set), `sampler` (see backends.ibm.sampler), and `seeds`, `level`,
`simplify` as for the snapshots.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from backends.base import Compiled, Counts
from backends.ibm import layout, sampler
from backends.ibm.account import Account, amount, connect, missing
from backends.ibm.calibration import Calibration
from backends.ibm.circuits import bindings, to_qiskit
from backends.queued import Cost, Interval, JobRef, Limits, Program, RefusedError, Status
from backends.registry import Spec
from backends.remote import TIMEOUT_SECONDS, rows_of, run_now, spent
from qmoe.angles import whole
from qmoe.errors import InputError, QmoeError, unknown

if TYPE_CHECKING:
    from qmoe.circuit import Circuit

__all__ = ["Device", "load", "missing"]

OPTIONS = ("timeout", "call_timeout", "max_execution_time", "sampler", "seeds", "level", "simplify")
MOST_SECONDS = 300  # of the device, for one job, where the spec says nothing
MOST_EXECUTIONS = 10_000_000  # shots of a job, by IBM's guide "Job limits"
# IBM's guide "Workload usage": about 2 s for each part of a job, of which a large one has several,
# and for each shot a delay and the circuit, most often 50 to 100 us of it.
REP_DELAY = 250e-6  # where the configuration says nothing
JOB_SECONDS, MOST_JOB_SECONDS = 2.0, 10.0
ROW_SECONDS, SHOT_SECONDS = 0.01, 100e-6  # the most beside the delay
SEND_SECONDS = 120.0  # a job of many inputs is a large request
_STATUS: Mapping[str, Status] = {
    "INITIALIZING": "submitted",
    "QUEUED": "submitted",
    "RUNNING": "running",
    "DONE": "done",
    "ERROR": "failed",
    "CANCELLED": "cancelled",
}


class Device:
    """A device of an account. The same compiler and noise as for the snapshots, as of today."""

    account = "ibm"
    idempotent = False  # the API knows no token of ours

    def __init__(self, spec: Spec, opened: Account) -> None:
        options = dict(spec.options)
        self._timeout = spec.seconds("timeout", TIMEOUT_SECONDS)
        for name in ("timeout", "call_timeout"):
            options.pop(name, None)  # how long one process waits says nothing of the target
        self.spec = str(Spec(spec.vendor, spec.target, options))
        self._limit = spec.whole("max_execution_time", MOST_SECONDS, range(1, 10801))
        self._seeds = spec.whole("seeds", 4, range(1, 101))
        self._level = spec.whole("level", 3, range(4))
        self._simplify = spec.flag("simplify")
        self._sampler = spec.options.get("sampler", sampler.KINDS[0])
        self._account = opened
        self._asked: tuple[str, ...] = ()
        self.source = opened.source

    def with_options(self, names: tuple[str, ...]) -> Device:
        """The same device, with its sampler asked for more: "ibm.dd", "ibm.twirl".

        Twirling runs at most 31 shots less of each row than it is told to.

        Raises:
            InputError: Another name; with the nearest match.
        """
        for name in names:
            if name not in sampler.VENDOR:
                raise unknown("option of the vendor", name, sampler.VENDOR)
        made = copy(self)
        made._asked = tuple(names)
        return made

    @cached_property
    def _calibration(self) -> Calibration:
        device = self._account.device
        found: Calibration = self._account.ask(
            f"the calibration of {device.name}", lambda: calibration(device)
        )
        return found

    def compile(self, circuit: Circuit) -> Compiled:
        """The circuit simplified, unless the spec says otherwise, and transpiled."""
        given = circuit.simplify() if self._simplify else circuit
        return layout.fit(self.spec, given, self._calibration, seeds=self._seeds, level=self._level)

    def emit(self, native: Circuit, like: Compiled) -> Compiled:
        """The native circuit on the qubits of `like`, as it is."""
        return layout.emit(self.spec, native, like, self._calibration)

    def run(self, compiled: Compiled, features: ArrayLike, shots: int, seed: int) -> Counts:
        """Counts (batch, 2^m) of one new job, waited for; the device draws its shots itself.

        Raises:
            UnreachableError: Not done in time; it names the job, which goes on.
        """
        return run_now(self, compiled, features, shots, f"qmoe-{seed}", self._timeout)

    def limits(self) -> Limits:
        """What IBM's guide says, and no job that its own `max_execution_time` would stop.

        The configuration's `max_shots` and `max_experiments` are in force no more, by the guide.
        """
        seconds = max(self._limit - MOST_JOB_SECONDS, self._limit / 2)
        fit = int(seconds / (self._delay + SHOT_SECONDS))
        return Limits(total=(1, max(1, min(MOST_EXECUTIONS, fit))))

    def cost(self, rows: Sequence[int], shots: int, prices: Path | None = None) -> Cost:
        """Seconds of the device by IBM's rule of thumb, never more than IBM lets a job run."""
        shot = self._delay + SHOT_SECONDS
        lows = [JOB_SECONDS + n * shots * self._delay for n in rows]
        highs = [MOST_JOB_SECONDS + n * (ROW_SECONDS + shots * shot) for n in rows]
        low, high = (sum(min(each, float(self._limit)) for each in ends) for ends in (lows, highs))
        note = "device time by IBM's rule of thumb; what a second costs is up to your plan"
        return Cost(None, Interval(low, high), note)

    @property
    def _delay(self) -> float:
        """Seconds between two shots."""
        said = getattr(self._account.device.configuration(), "default_rep_delay", None)
        return float(said) if isinstance(said, (int, float)) and 0 <= said < 1 else REP_DELAY

    def left(self) -> float | None:
        """Seconds of the device that the instance has left."""
        return self._account.left()

    def submit(self, programs: Sequence[Program], shots: int, *, tag: str) -> JobRef:
        """Sends every program as a PUB in one POST, which is never repeated.

        Raises:
            FitError: A gate that does not work (any more) on its qubits; nothing has been spent.
            QmoeError: As `Queued.submit`; of an uncertain job it names the tag.
        """
        rows = rows_of(programs)
        each, device = whole(shots, "shots", 1), self._account.device
        circuits = []
        for program in programs:
            now = self.emit(program.compiled.native, program.compiled)
            circuit = to_qiskit(now.native, layout.physical_qubits(now), device.num_qubits)
            circuits.append((circuit, bindings(circuit, program.features)))
        job = self._account.ask(
            f"a job for {device.name}",
            lambda: sampler.submit(
                device,
                circuits,
                each,
                tags=[tag],
                max_execution_time=self._limit,
                kind=self._sampler,
                asked=self._asked,
            ),
            seconds=SEND_SECONDS,
            do=f"look for a job tagged {tag} before sending again: it may have been accepted",
        )
        name = job.job_id()
        if not isinstance(name, str) or not 0 < len(name) <= 1000:
            raise QmoeError(f"IBM accepted a job tagged {tag} and did not name it")
        return JobRef(self.spec, name, int(rows.sum()), each, tag)

    def find(self, tag: str, since: datetime) -> tuple[str, ...]:
        """The ids of the jobs that have the tag, whatever their state."""
        return self._account.tagged(tag, since)

    def status(self, ref: JobRef) -> Status:
        """How far the job is."""
        return self._state(ref)[1]

    def fetch(self, ref: JobRef) -> dict[int, NDArray[np.int64]]:
        """Counts (2^m,) by row; none until all are there.

        Raises:
            QmoeError: The job failed or was cancelled, with IBM's words.
        """
        job, status = self._state(ref)
        if status in ("submitted", "running"):
            return {}
        what = f"job {ref.id}"
        # a dry run on a mock of the device answers with random numbers
        ran = str(job.backend_name if hasattr(job, "backend_name") else job.backend().name)
        if ran != self._account.device.name:
            raise QmoeError(f"IBM {what} ran on {self._account.said(ran)}: it is another device's")
        if status != "done":
            why = self._account.ask(f"the end of {what}", job.error_message)
            raise QmoeError(f"IBM {what} {status}: {self._account.said(why or 'no reason given')}")
        result = self._account.ask(f"the results of {what}", job.result)
        return dict(enumerate(sampler.counts(result, ref.rows)))

    def cancel(self, ref: JobRef) -> None:
        """Asks IBM to drop the job; one that has ended stays as it is."""
        job, status = self._state(ref)
        if status not in ("submitted", "running"):
            return
        try:
            self._account.ask(f"cancelling job {ref.id}", job.cancel)
        except RefusedError:
            if self.status(ref) in ("submitted", "running"):  # it did not end in between
                raise

    def usage(self, ref: JobRef) -> Cost | None:
        """The seconds that IBM charged; None while it has not said."""
        job = self._account.job(ref.id)

        def read() -> float | None:
            usage = job.metrics()["usage"]
            # as the client does: whoever does not say that it is final has not finished counting
            if usage.get("status", "pending") == "pending":
                return None
            return amount(usage["qpu_charge_time_seconds"])

        seconds = self._account.ask(f"the usage of job {ref.id}", read)
        if seconds is None:
            return None
        return Cost(None, Interval(seconds, seconds), "charged by IBM")

    def times(self, ref: JobRef) -> dict[str, float]:
        """Seconds in the queue and at work, as far as IBM tells them."""
        job = self._account.job(ref.id)
        found = self._account.ask(f"the times of job {ref.id}", job.metrics)
        stamps = found.get("timestamps") if isinstance(found, dict) else None
        created, running, finished = (
            stamps.get(name) if isinstance(stamps, dict) else None
            for name in ("created", "running", "finished")
        )
        return spent(queue=(created, running), device=(running, finished))

    def _state(self, ref: JobRef) -> tuple[Any, Status]:
        name = ref.id
        job = self._account.job(name)
        found = self._account.ask(f"job {name}", job.status)
        if found not in _STATUS:
            raise QmoeError(f"job {name} has the unknown status {self._account.said(found)}")
        return job, _STATUS[found]


def calibration(device: Any) -> Calibration:
    """What IBM last measured of a device of the SDK.

    Raises:
        InputError: It tells nothing.
    """
    properties = device.properties()
    if properties is None:
        raise InputError(
            got=f"device {device.name} without a calibration",
            expected="one with errors of its gates and its readout",
            do="try again later or take another device",
        )
    readout: list[tuple[float, float]] = []
    for row in map(properties.qubit_property, range(device.num_qubits)):
        mean = row["readout_error"]
        up, down = (row.get(key, mean)[0] for key in ("prob_meas1_prep0", "prob_meas0_prep1"))
        readout.append((float(up), float(down)))
    measured = properties.last_update_date.astimezone(UTC).isoformat()
    return Calibration(device.target, tuple(readout), measured)


def load(spec: Spec) -> Device:
    """The device of a spec "ibm:ibm_NAME"; asks IBM whether the account has it.

    Raises:
        InputError: Another option, or no such device; with the nearest match.
        CredentialsError: No credentials, or refused ones.
        UnreachableError: No answer.
    """
    spec.only(*OPTIONS)
    kind = spec.options.get("sampler", sampler.KINDS[0])
    if kind not in sampler.KINDS:
        raise unknown("sampler", kind, sampler.KINDS)
    seconds = spec.seconds("call_timeout", 0.0) or None
    return Device(spec, connect(spec.target, seconds))
