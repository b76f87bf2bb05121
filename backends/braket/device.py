"""Devices of Amazon Braket by ARN: quantum processors and hosted simulators, behind a queue.

Submitting spends money. Results go to an S3 bucket: `bucket=NAME`, or Braket's default bucket
amazon-braket-REGION-ACCOUNT, which the SDK creates where there is none; what is stored there
costs what Amazon S3 costs.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from backends.base import Compiled, Counts, JobRef, Status, check_features, wait
from backends.braket import aws, tasks
from backends.braket.emulator import Emulator
from backends.braket.hosted import PROGRAM, Hosted
from backends.braket.queue import MEASURED, Queue
from backends.registry import Spec, require
from qmoe.errors import FitError, InputError, QmoeError, UnreachableError

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

    def __init__(
        self, spec: str, device: Any, *, simplify: bool, timeout: float, bucket: str | None
    ) -> None:
        self.spec = spec
        self._device, self._session = device, device.aws_session
        self._simplify, self._timeout, self._bucket = simplify, timeout, bucket
        clients = (self._session.braket_client, self._session.s3_client)
        endpoints = [client.meta.endpoint_url for client in clients]
        self.source = aws.source(str(device.type), endpoints, os.environ)
        self._limits = tasks.limits(device.properties)
        self._queue = Queue(self._session)

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
        ref = self.submit(compiled, x, shots, tag=tag)
        if not ref.ids:
            return np.zeros((0, compiled.num_outcomes), dtype=np.int64)
        poll = (self._device.properties.service.getTaskPollIntervalMillis or 1000) / 1000
        times = {"timeout": self._timeout, "poll": poll}
        try:
            return wait(self, ref, **times, sleep=time.sleep, clock=time.monotonic)
        except UnreachableError:
            raise
        except QmoeError as error:
            said = self._collect(ref)[1]
            if not said or said[0] in str(error):
                raise
            raise QmoeError(f"{error}: {said[0]}") from error

    def submit(self, compiled: Compiled, features: ArrayLike, shots: int, *, tag: str) -> JobRef:
        """Creates the tasks; the same call again, in any process, creates no new ones.

        Raises:
            InputError: Shots or a tag that Braket does not take; nothing has been spent.
            QmoeError: The service refused; it names the tasks that it took before.
        """
        x = check_features(compiled, features)
        if compiled.spec.partition(",")[0] != self.spec.partition(",")[0]:
            raise InputError(
                got=f"a circuit compiled for {compiled.spec}",
                expected=self.spec,
                do="compile it for this device",
            )
        parts = self._limits.split(len(x), shots)
        if not TAG.fullmatch(tag):
            raise InputError(
                got=f"tag {tag!r}",
                expected="1 to 256 letters, digits, spaces and _ . : / = + - @",
                do="name the run otherwise",
            )
        if self._device.status != "ONLINE":
            raise QmoeError(
                f"{self._device.name} is {str(self._device.status).lower()}: try another device"
            )
        folder = (self._bucket or aws.default_bucket(self._session), "tasks")
        # bound circuits: a box with free parameters is not taken everywhere, and program sets of
        # bound circuits run faster (amazon-braket/amazon-braket-examples, pull request 816)
        bound = [replace(compiled, native=compiled.native.bind(row)) for row in x]
        programs = [self._compiler.circuit(each) for each in bound]
        order = " ".join(compiled.physical[qubit] for qubit in compiled.native.measured)
        firsts = [sum(parts[:k]) for k in range(len(parts))]

        def create(k: int) -> str:
            tags = {"qmoe": tag, "qmoe-part": f"{k}", MEASURED: order}
            part = programs[firsts[k] : firsts[k] + parts[k]]
            with aws.explained(f"a task for {self._device.name}", self._session):
                return self._create(part, shots, folder, tags)

        ids = self._queue.create(create, len(parts))
        return JobRef(self.spec, ids, parts, shots, tag)

    def status(self, ref: JobRef) -> Status:
        """How far it is; "done" only when every task is."""
        return self._queue.status(ref.ids)

    def fetch(self, ref: JobRef) -> dict[int, NDArray[np.int64]]:
        """Counts (2^m,) by row; rows that are not there (yet) are left out.

        Raises:
            QmoeError: Something failed and no row is there; with the vendor's words.
        """
        found, said = self._collect(ref)
        if said and not found:
            raise QmoeError(said[0])
        return found

    def cancel(self, ref: JobRef) -> None:
        """Asks Braket to drop what has not run."""
        self._queue.cancel(ref.ids)

    def _collect(self, ref: JobRef) -> tuple[dict[int, NDArray[np.int64]], list[str]]:
        """The rows that are there, and why others never will be."""
        found: dict[int, NDArray[np.int64]] = {}
        said: list[str] = []
        first = 0
        parts = self._queue.fetch(ref.ids, ref.shots)
        for (part, why), rows in zip(parts, ref.rows, strict=True):
            found |= {first + k: counts for k, counts in enumerate(part) if counts is not None}
            said += why
            first += rows
        return found, said

    def _create(self, part: list[Any], shots: int, folder: Any, tags: dict[str, str]) -> str:
        if self._limits.executables is None:
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

    Options: timeout (seconds that `run` waits), bucket (for results, in S3), simplify. The first
    two change no result, so the backend's own spec is without them.

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
    options = dict(spec.only("bucket", "simplify", "timeout").options)
    options.pop("timeout", None)
    bucket = options.pop("bucket", None)
    timeout, simplify = spec.seconds("timeout", TIMEOUT_SECONDS), spec.flag("simplify")
    device = aws.connect(spec.target, found[1] or None)
    name = str(Spec(spec.vendor, spec.target, options))
    return Device(name, device, simplify=simplify, timeout=timeout, bucket=bucket)
