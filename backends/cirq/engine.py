"""Quantum Engine behind its client: one processor of a project, asked with a time limit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from backends.cirq.google_calls import HOST, Calls
from backends.queued import RefusedError
from backends.remote import CALL_SECONDS, words
from qmoe.errors import FitError, QmoeError, unknown

RETRY_SECONDS = 2  # the client doubles its delays up to this


@dataclass(frozen=True)
class Device:
    """What the engine says of a processor; errors by physical qubit are 0 where it says none.

    single, double: Pauli (process) errors; readout: mean of the two ways to misread.
    """

    device: Any
    single: dict[Any, float]
    double: dict[frozenset[Any], float]
    readout: dict[Any, float]
    calibrated_at: str | None


class Processor:
    """A processor of a project.

    endpoint: host:port of a stand-in without encryption, or None. seconds: how long a call of the
    client may take, its own retries included.
    """

    def __init__(
        self, project: str, name: str, endpoint: str | None, seconds: float = CALL_SECONDS
    ) -> None:
        self.project, self.name, self.endpoint = project, name, endpoint
        self.ask = Calls(endpoint or HOST, project, seconds).ask

    @cached_property
    def device(self) -> Device:
        """The processor's qubits and couplings, and its current calibration if there is one."""
        device, calibration = self.ask(self._described)
        metadata = device.metadata
        single = dict.fromkeys(sorted(metadata.qubit_set), 0.0)
        double = dict.fromkeys(metadata.qubit_pairs, 0.0)
        errors = None if calibration is None else _errors(calibration)
        if errors is None:
            return Device(device, single, double, dict(single), None)
        alone, pairs, readout = errors
        usable = [q for q in single if q in alone and q in readout]
        when = datetime.fromtimestamp(calibration.timestamp / 1000, UTC)
        return Device(
            device,
            {q: alone[q] for q in usable},
            {pair: pairs[pair] for pair in double if pair in pairs and pair <= set(usable)},
            {q: readout[q] for q in usable},
            when.isoformat(timespec="seconds"),
        )

    def submit(
        self, circuit: Any, program: str, job: str, params: Any, shots: int, content: str
    ) -> None:
        """Creates a program and a job of it with given ids; what is there already stays.

        Every request has the time limit of its own, and none follows one without an answer.

        content: What tells the same job from another one of the same id; kept as a label.

        Raises:
            RefusedError: There is another job with the id; or the engine says no.
            QmoeError: As `ask`; or it cannot be known whether the job that is there is the same.
        """
        labels = {"content": content}
        do = "check the network and submit again with the same tag: it runs once"
        config = self.ask(self._processor.get_sampler)  # the processor's default configuration
        if not self._made(lambda: self._once.create_program(circuit, program, labels=labels), do):
            self._check(self._engine.get_program(program), f"program {program}", labels)
        send = self._once.get_program(program).run_sweep
        arguments = {
            "processor_id": self.name,
            "job_id": job,
            "params": params,
            "repetitions": shots,
            "run_name": config.run_name,
            "snapshot_id": config.snapshot_id,
            "device_config_name": config.device_config_name,
            "labels": labels,
        }
        if not self._made(lambda: send(**arguments), do):
            self._check(self.job(program, job), f"job {program}/{job}", labels)

    def job(self, program: str, job: str) -> Any:
        """The client's job with these ids; nothing is asked yet."""
        return self._engine.get_program(program).get_job(job)

    def _made(self, create: Callable[[], Any], do: str) -> bool:
        """Whether it was made; False where something of the name is there already."""
        from google.api_core.exceptions import AlreadyExists

        try:
            self.ask(create, do=do)
        except RefusedError as error:
            if not isinstance(getattr(error.__cause__, "__cause__", None), AlreadyExists):
                raise
            return False
        return True

    def _check(self, there: Any, what: str, labels: Mapping[str, str]) -> None:
        """Nothing, if what is there has the labels."""
        try:
            found = dict(self.ask(there.labels))
        except QmoeError as error:  # a refusal, too, says nothing of a job that is there
            raise QmoeError(f"{what} is there already, perhaps another one: {error}") from error
        if found != labels:
            raise RefusedError(f"{what} is there already, and another one")

    def _described(self) -> tuple[Any, Any]:
        from cirq_google.engine.engine_client import EngineException
        from google.api_core.exceptions import NotFound

        try:
            return self._processor.get_device(), self._processor.get_current_calibration()
        except ValueError as error:  # no specification, or one that this client cannot read
            raise QmoeError(f"processor {self.name}: {words(error)}") from error
        except EngineException as error:
            if not isinstance(error.__cause__, NotFound):
                raise
            names = [each.processor_id for each in self._engine.list_processors()]
            raise unknown(f"processor of {self.project}", self.name, names) from error

    @cached_property
    def _engine(self) -> Any:
        """What is asked; the client asks again for a few seconds where the engine is in trouble."""
        return self._connected(RETRY_SECONDS)

    @cached_property
    def _once(self) -> Any:
        """What creates, and repeats nothing: of a second answer one could not tell the first."""
        return self._connected(0)

    def _connected(self, seconds: int) -> Any:
        import cirq_google
        from cirq_google.engine.engine import EngineContext
        from cirq_google.engine.engine_client import EngineClient

        arguments: dict[str, Any] = {"client_options": {"api_endpoint": HOST}}
        if self.endpoint is not None:
            arguments = {"transport": _insecure(self.endpoint)}
        # Streams come back from a lost connection without a pause and without an end.
        client = EngineClient(arguments, verbose=False, max_retry_delay_seconds=seconds)
        context = EngineContext(client=client, enable_streaming=False)
        return cirq_google.Engine(self.project, context=context)

    @cached_property
    def _processor(self) -> Any:
        return self._engine.get_processor(self.name)


def check_accepted(device: Device, circuit: Any, what: str) -> None:
    """Nothing, if the device accepts a cirq.Circuit.

    Raises:
        FitError: It does not.
    """
    try:
        device.device.validate_circuit(circuit)
    except ValueError as error:
        raise FitError(
            got=f"a circuit that the device refuses ({words(error)})",
            expected="its own gates on its own qubits",
            do=f"compile the circuit for {what}",
        ) from error


def _insecure(endpoint: str) -> Callable[..., Any]:
    """A maker of transports: the channel has to be made inside the client's own event loop."""

    def make(*_: Any, **__: Any) -> Any:
        import grpc
        from cirq_google.cloud.quantum_v1alpha1.services.quantum_engine_service import transports

        options = [(f"grpc.max_{way}_message_length", -1) for way in ("send", "receive")]
        channel = grpc.aio.insecure_channel(endpoint, options=options)  # as the client's own
        return transports.QuantumEngineServiceGrpcAsyncIOTransport(channel=channel)

    return make


def _errors(calibration: Any) -> tuple[dict[Any, float], dict[Any, float], dict[Any, float]] | None:
    """Pauli errors of gates by qubit and by pair, and readout errors, if all are there."""
    names = (
        "single_qubit_rb_pauli_error_per_gate",
        "two_qubit_parallel_cz_gate_xeb_pauli_error_per_cycle",
        "single_qubit_p00_error",
        "single_qubit_p11_error",
    )
    if any(name not in calibration for name in names):
        return None
    single, double, p00, p11 = (
        {key: float(value[0]) for key, value in calibration[name].items()} for name in names
    )
    return (
        {key[0]: error for key, error in single.items()},
        {frozenset(key): error for key, error in double.items()},
        {key[0]: (p00[key] + p11[key]) / 2 for key in p00 if key in p11},
    )
