"""Devices of Amazon Braket by ARN: quantum processors and hosted simulators, behind a queue.

Submitting spends money. Results go to an S3 bucket: `bucket=NAME`, or Braket's default bucket
amazon-braket-REGION-ACCOUNT, which the SDK creates where there is none; what is stored there
costs what Amazon S3 costs.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from backends.base import Compiled, Counts, check_features
from backends.braket import aws, queue, tasks
from backends.braket.emulator import Emulator
from backends.braket.hosted import PROGRAM, Hosted
from backends.braket.prices import Prices
from backends.braket.prices import prices as prices_of
from backends.queued import BusyError, Cost, Interval, JobRef, Limits, Program, Status
from backends.registry import Spec, require
from backends.remote import rows_of, run_now, spent, within
from qmoe.errors import FitError, InputError, QmoeError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from qmoe.circuit import Circuit

ARN = re.compile(r"arn:aws[a-z-]*:braket:([a-z0-9-]*):\d*:device/[a-z-]+/[\w.-]+/[\w.-]+")
TIMEOUT_SECONDS = 600.0
TAG = re.compile(r"[\w .:/=+@-]{1,256}", re.ASCII)


class Device:
    """A device behind its queue.

    `run` tags its tasks with a digest of what is run and of the seed: the same call again, after
    a time-out say, finds the tasks of the first one instead of paying twice. For new shots of
    the same circuits pass another seed.
    """

    account = "aws"
    idempotent = True  # by the client token, which is made of the request
    parallel = True  # boto3's clients may be used by several threads

    def __init__(
        self,
        spec: str,
        device: Any,
        *,
        simplify: bool,
        timeout: float,
        bucket: str | None,
        seconds: float | None = None,
    ) -> None:
        self.spec = spec
        self._device, self._session = device, device.aws_session
        self._simplify, self._timeout, self._bucket = simplify, timeout, bucket
        self._seconds = seconds
        clients = (self._session.braket_client, self._session.s3_client)
        endpoints = [client.meta.endpoint_url for client in clients]
        self.source = aws.source(str(device.type), endpoints, os.environ)
        self._queue = queue.Queue(self._session, seconds or aws.SECONDS)
        self._known: dict[Path | None, Prices | str] = {}

    @cached_property
    def _compiler(self) -> Hosted | Emulator:
        # made when used: results can be fetched from a device that cannot be compiled for today
        properties = self._device.properties
        if PROGRAM not in properties.action:
            raise FitError(
                got=f"{self._device.name}, which takes no circuits",
                expected="a device of gates",
                do="choose another one",
            )
        if self._device.type == "QPU":
            # the noise is the emulator's guess from the last calibration
            return Emulator(
                self.spec,
                properties,
                f"properties of {self.spec}",
                simplify=self._simplify,
                most_qubits=None,
            )
        return Hosted(self.spec, properties)

    def compile(self, circuit: Circuit) -> Compiled:
        """The circuit in the device's native gates; for a hosted simulator, as it is."""
        return self._compiler.compile(circuit)

    def emit(self, native: Circuit, like: Compiled) -> Compiled:
        """A changed native circuit on the same qubits, sent as it is."""
        return self._compiler.emit(native, like)

    def run(self, compiled: Compiled, features: ArrayLike, shots: int, seed: int) -> Counts:
        """Counts (batch, 2^m): submits, and waits for as long as the option `timeout` says.

        Raises:
            UnreachableError: Not done in time; it names the tasks, which go on.
        """
        x = check_features(compiled, features)
        if not self._device.is_available:
            raise QmoeError(
                f"{self._device.name} is {str(self._device.status).lower()}, or outside its hours: "
                "try another device, or submit now and fetch later"
            )
        content = (compiled.native.digest, compiled.physical, x.tobytes(), shots, seed)
        tag = "run-" + hashlib.sha256(repr(content).encode()).hexdigest()[:32]
        return run_now(self, compiled, x, shots, tag, self._timeout)

    def limits(self) -> Limits:
        """What the device's properties say."""
        return tasks.limits(self._device.properties)

    def cost(self, rows: Sequence[int], shots: int, prices: Path | None = None) -> Cost:
        """By the price list; how program sets are billed is left open, by task or by circuit."""
        if self._device.type != "QPU":
            return Cost(None, None, "hosted simulators are billed by their time, not known before")
        found = self._prices(prices)
        if isinstance(found, str):
            return Cost(None, None, f"no price: {found}")
        sets = tasks.takes_sets(self._device.properties)
        low = sum(found.task + n * shots * found.shot for n in rows)
        high = sum((n if sets else 1) * found.task + n * shots * found.shot for n in rows)
        return Cost(Interval(low, high), None, found.note)

    def left(self) -> None:
        """Braket sells no time in advance."""
        return None

    def submit(self, programs: Sequence[Program], shots: int, *, tag: str) -> JobRef:
        """Creates one task; the same call again, in any process, creates no new one.

        Raises:
            InputError: Shots, rows or a tag that Braket does not take; nothing has been spent.
            RefusedError: The service refused.
        """
        rows = int(rows_of(programs).sum())
        for program in programs:
            self._check_own(program.compiled)
        if len(self.limits().split([0] * rows, shots)) > 1:
            raise InputError(
                got=f"{rows} circuits in one task",
                expected=f"at most {self.limits().rows}",
                do="send them in several",
            )
        if not TAG.fullmatch(tag):
            raise InputError(
                got=f"tag {tag!r}",
                expected="1 to 256 letters, digits, spaces and _ . : / = + - @",
                do="name the run otherwise",
            )
        if self._device.status != "ONLINE":
            raise BusyError(
                got=f"{self._device.name}, which is {str(self._device.status).lower()}",
                expected="a device that is online",
                do="try again later, or another device",
            )
        # bound circuits: a box with free parameters is not taken everywhere, and program sets of
        # bound circuits run faster (amazon-braket/amazon-braket-examples, pull request 816)
        circuits = [
            self._compiler.circuit(replace(each.compiled, native=each.compiled.native.bind(row)))
            for each in programs
            for row in each.features
        ]
        tags = {queue.TAG: tag, queue.MEASURED: queue.written(programs)}

        def send() -> str:
            folder = (self._bucket or aws.default_bucket(self._session), "tasks")
            return self._create(circuits, shots, folder, tags)

        with aws.explained(f"a task for {self._device.name}", self._session):
            name = within(self._seconds or aws.SECONDS, send)
            if not name:
                raise ValueError("a task without an ARN")
        return JobRef(self.spec, name, rows, shots, tag)

    def find(self, tag: str, since: datetime) -> tuple[str, ...]:
        """The ARNs of this device's tasks that have the tag."""
        return self._queue.find(self._device.arn, tag, since)

    def status(self, ref: JobRef) -> Status:
        """How far it is."""
        return self._queue.status(ref.id)

    def fetch(self, ref: JobRef) -> dict[int, NDArray[np.int64]]:
        """Counts (2^m,) by row; rows that are not there (yet) are left out.

        Raises:
            QmoeError: Something failed and no row is there; with the vendor's words.
        """
        rows, said = self._queue.fetch(ref.id, ref.shots)
        found = {k: counts for k, counts in enumerate(rows) if counts is not None}
        if said and not found:
            raise QmoeError(said[0])
        return found

    def cancel(self, ref: JobRef) -> None:
        """Asks Braket to drop what has not run."""
        self._queue.cancel(ref.id)

    def usage(self, ref: JobRef) -> Cost | None:
        """By the price list and the shots that succeeded: Braket says of no task what it cost.

        Raises:
            QmoeError: The price list is not known.
        """
        state, _, good = self._queue.shots(ref.id)
        if state not in queue.ENDED:
            return None
        if self._device.type != "QPU":
            return None
        if state != "COMPLETED":
            return Cost(Interval(0.0, 0.0), None, f"{state.lower()}: not billed by the SDK's rule")
        found = self._prices(None)
        if isinstance(found, str):  # said, so that an unknown bill is not taken for none
            raise QmoeError(f"what job {ref.id} cost is not known: {found}")
        low = found.task + good * found.shot
        sets = tasks.takes_sets(self._device.properties)
        high = (ref.rows if sets else 1) * found.task + good * found.shot
        return Cost(Interval(low, high), None, f"computed from {found.note}")

    def times(self, ref: JobRef) -> dict[str, float]:
        """Seconds from creation to end: Braket does not tell queue and device apart."""
        created, ended = self._queue.times(ref.id)
        return spent(queue_and_device=(created, ended))

    def _prices(self, file: Path | None) -> Prices | str:
        if file not in self._known:
            region = str(self._session.region)
            self._known[file] = prices_of(self._device.arn, region, file)
        return self._known[file]

    def _check_own(self, compiled: Compiled) -> None:
        if compiled.spec.partition(",")[0] != self.spec.partition(",")[0]:
            raise InputError(
                got=f"a circuit compiled for {compiled.spec}",
                expected=self.spec,
                do="compile it for this device",
            )

    def _create(self, part: list[Any], shots: int, folder: Any, tags: dict[str, str]) -> str:
        if not tasks.takes_sets(self._device.properties):
            (program,) = part
        else:
            program = require("braket", "braket.program_sets").ProgramSet(part, shots)
        task = self._device.run(
            program,
            s3_destination_folder=folder,
            shots=shots * len(part),
            disable_qubit_rewiring=self._device.type == "QPU",
            tags=tags,
            quiet=True,
        )
        return str(task.id)


def load(spec: Spec) -> Device:
    """The device of a spec "braket:ARN"; asks Braket what it is.

    Options: timeout (seconds that `run` waits), call_timeout (seconds that one request may take),
    bucket (for results, in S3), simplify. The first three change no result, so the backend's own
    spec is without them.

    Raises:
        InputError: No ARN, one that Braket does not know, another option, or no region.
        CredentialsError: No credentials, or refused ones.
        UnreachableError: No answer.
    """
    found = ARN.fullmatch(spec.target)
    if found is None:
        raise InputError(
            got=f"device {spec.target!r}",
            expected="an ARN such as arn:aws:braket:eu-north-1::device/qpu/iqm/Garnet",
            do="copy it from the Braket console",
        )
    options = dict(spec.only("bucket", "call_timeout", "simplify", "timeout").options)
    for key in ("timeout", "call_timeout"):
        options.pop(key, None)
    bucket = options.pop("bucket", None)
    timeout, simplify = spec.seconds("timeout", TIMEOUT_SECONDS), spec.flag("simplify")
    seconds = spec.seconds("call_timeout", 0.0) or None
    device = aws.connect(spec.target, found[1] or None, seconds)
    name = str(Spec(spec.vendor, spec.target, options))
    return Device(name, device, simplify=simplify, timeout=timeout, bucket=bucket, seconds=seconds)
