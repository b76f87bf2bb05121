"""A small stand-in for Google's Quantum Engine on the loopback interface, run as a process.

It answers the calls that cirq_google makes without streams, for one project with the processor
willow_pink, and runs what it is sent on Cirq's noise-free simulator after the device has accepted
it.

    python -m tests.services.google FOLDER

prints its port. FOLDER is for tests: the names of the calls are appended to `requests`, the jobs
that were accepted to `jobs` (one JSON object a line), and `behaviour.json` (read at every call)
changes how the service behaves:

    fail: Words with which new jobs fail.
    calibrated: Whether the processor has a calibration: that which ships with Cirq.
    says: Bits (row, shot, qubit) that a job returns in place of its own.
    faults: see `tests.services.faults`. The statuses of HTTP stand for those of gRPC, a message
        that cannot be read for malformed JSON, and a line that is cut cannot be told from a reply
        that was lost. A job takes two calls "create": its program, then itself. One that asks for
        a job is a "status" and a "search" at once.
    hold, slow, late: see `tests.services.web`. Nothing is listed, so nothing is listed `twice`: a
        late job is not found when it is asked for, although its id is taken.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cirq
import cirq_google
import grpc
import numpy as np
from cirq_google.api import v2
from cirq_google.cloud.quantum_v1alpha1.types import engine, quantum
from cirq_google.engine import virtual_engine_factory as factory
from cirq_google.engine.util import pack_any, unpack_any
from google.protobuf import empty_pb2

from tests.services.faults import Faults
from tests.services.web import listed, queued

PROCESSOR = "willow_pink"
CALLS = {
    "CreateQuantumProgram": ("create",),
    "CreateQuantumJob": ("create",),
    "GetQuantumJob": ("status", "search"),
    "GetQuantumResult": ("results",),
    "CancelQuantumJob": ("cancel",),
}
CODES = {
    "400": grpc.StatusCode.INVALID_ARGUMENT,
    "401": grpc.StatusCode.UNAUTHENTICATED,
    "404": grpc.StatusCode.NOT_FOUND,
    "429": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "500": grpc.StatusCode.INTERNAL,
    "503": grpc.StatusCode.UNAVAILABLE,
}
State = quantum.ExecutionStatus.State


class Service:
    """The programs and jobs so far."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.device = factory.create_device_from_processor_id(PROCESSOR)
        self.specification = factory.create_device_spec_from_processor_id(PROCESSOR)
        self.programs: dict[str, Any] = {}
        self.jobs: dict[str, Any] = {}
        self.results: dict[str, Any] = {}
        self.asked: dict[str, dict[str, Any]] = {}
        self.faults, self.read = Faults(), (0, 0)
        self.lock = threading.Lock()

    def behaviour(self) -> dict[str, Any]:
        """How it behaves now; a file that was written again starts its faults again."""
        path = self.folder / "behaviour.json"
        if not path.exists():
            return {}
        with path.open() as file:
            written = os.fstat(file.fileno())
            if self.read != (stamp := (written.st_mtime_ns, written.st_ino)):
                self.faults.restart()
                self.read = stamp
            found: dict[str, Any] = json.load(file)
            return found

    def handler(self, name: str, request: Any, answer: Callable[[Any, Any, Any], Any]) -> Any:
        """The gRPC handler of one call."""

        def respond(message: Any, context: grpc.ServicerContext) -> Any:
            with self.lock:
                with (self.folder / "requests").open("a") as log:
                    log.write(f"{name}\n")
                behaviour = self.behaviour()
                calls = CALLS.get(name, ("connect",))
                faults = [self.faults.of(call, behaviour) for call in calls]
            fault = next((each for each in faults if each), {"kind": ""})
            kind = fault["kind"]
            if kind == "timeout":
                time.sleep(fault["seconds"])
                context.abort(grpc.StatusCode.UNAVAILABLE, "too late")
            if kind in CODES:
                context.abort(CODES[kind], f"refused by plan ({kind})")
            with self.lock:
                found = answer(message, context, behaviour)
            if kind == "stall":
                time.sleep(fault["seconds"])
            if kind in ("lost", "cut"):
                context.abort(grpc.StatusCode.UNAVAILABLE, "the line broke")
            return None if kind == "malformed" else found

        def serialize(message: Any) -> bytes:
            if message is None:
                return b"\xff\xff\xff"  # no message of any kind
            if isinstance(message, empty_pb2.Empty):
                return message.SerializeToString()
            return bytes(type(message).serialize(message))

        return grpc.unary_unary_rpc_method_handler(respond, request.deserialize, serialize)

    def handlers(self) -> dict[str, Any]:
        """All of them by name."""
        table = {
            "ListQuantumProcessors": (engine.ListQuantumProcessorsRequest, self.processors),
            "GetQuantumProcessor": (engine.GetQuantumProcessorRequest, self.processor),
            "GetQuantumCalibration": (engine.GetQuantumCalibrationRequest, self.calibration),
            "CreateQuantumProgram": (engine.CreateQuantumProgramRequest, self.create_program),
            "GetQuantumProgram": (engine.GetQuantumProgramRequest, self.program),
            "CreateQuantumJob": (engine.CreateQuantumJobRequest, self.create_job),
            "GetQuantumJob": (engine.GetQuantumJobRequest, self.job),
            "GetQuantumResult": (engine.GetQuantumResultRequest, self.result),
            "CancelQuantumJob": (engine.CancelQuantumJobRequest, self.cancel),
        }
        return {name: self.handler(name, *pair) for name, pair in table.items()}

    def processors(self, message: Any, *_: Any) -> Any:
        name = f"{message.parent}/processors/{PROCESSOR}"
        return engine.ListQuantumProcessorsResponse(processors=[{"name": name}])

    def processor(self, message: Any, context: grpc.ServicerContext, _: Any) -> Any:
        if not message.name.endswith(f"/processors/{PROCESSOR}"):
            context.abort(grpc.StatusCode.NOT_FOUND, f"Resource not found: {message.name}")
        return quantum.QuantumProcessor(name=message.name, device_spec=pack_any(self.specification))

    def calibration(self, message: Any, context: grpc.ServicerContext, behaviour: Any) -> Any:
        if not behaviour.get("calibrated"):
            context.abort(grpc.StatusCode.NOT_FOUND, "no calibration")
        shipped = factory.load_median_device_calibration(PROCESSOR)
        metrics = shipped.to_proto()
        metrics.timestamp_ms = shipped.timestamp  # which to_proto leaves out
        return quantum.QuantumCalibration(name=message.name, data=pack_any(metrics))

    def create_program(self, message: Any, context: grpc.ServicerContext, _: Any) -> Any:
        program = message.quantum_program
        if program.name in self.programs:
            context.abort(grpc.StatusCode.ALREADY_EXISTS, program.name)
        self.programs[program.name] = program
        return program

    def program(self, message: Any, context: grpc.ServicerContext, _: Any) -> Any:
        if message.name not in self.programs:
            context.abort(grpc.StatusCode.NOT_FOUND, f"Resource not found: {message.name}")
        return self.programs[message.name]

    def create_job(self, message: Any, context: grpc.ServicerContext, behaviour: Any) -> Any:
        job = message.quantum_job
        if job.name in self.jobs:
            context.abort(grpc.StatusCode.ALREADY_EXISTS, job.name)
        results = self.simulate(message.parent, job)
        self.results[job.name] = v2.results_to_proto([results], self.measured(message.parent))
        job.execution_status = {"state": State.SUCCESS}
        if words := behaviour.get("fail"):
            failure = {"error_code": "SYSTEM_ERROR", "error_message": words}
            job.execution_status = {"state": State.FAILURE, "failure": failure}
        self.jobs[job.name] = job
        _, _, program, _, name = job.name.rsplit("/", 4)
        line = {"id": f"{program}/{name}", "tag": program, "rows": len(results)}
        with (self.folder / "jobs").open("a") as log:
            log.write(json.dumps(line) + "\n")
        return job

    def circuit(self, program: str) -> cirq.Circuit:
        code = unpack_any(self.programs[program].code, v2.program_pb2.Program())
        return cirq_google.CIRCUIT_SERIALIZER.deserialize(code)

    def measured(self, program: str) -> Any:
        return v2.find_measurements(self.circuit(program))

    def simulate(self, program: str, job: Any) -> list[cirq.Result]:
        circuit = self.circuit(program)
        self.device.validate_circuit(circuit)
        asked = unpack_any(job.run_context, v2.run_context_pb2.RunContext())
        simulator = cirq.Simulator(seed=len(self.jobs), dtype=complex)
        return [
            result
            for each in asked.parameter_sweeps
            for result in simulator.run_sweep(
                circuit, v2.sweep_from_proto(each.sweep), each.repetitions
            )
        ]

    def job(self, message: Any, context: grpc.ServicerContext, behaviour: Any) -> Any:
        job, asked = self.jobs.get(message.name), self.asked.setdefault(message.name, {})
        if job is None or not listed([asked], behaviour):
            context.abort(grpc.StatusCode.NOT_FOUND, f"Resource not found: {message.name}")
        if job.execution_status.state == State.SUCCESS and queued(asked, behaviour):
            shown = quantum.QuantumJob(job)
            shown.execution_status = {"state": State.READY}
            return shown
        return job

    def result(self, message: Any, _: Any, behaviour: Any) -> Any:
        found = self.results[message.parent]
        if says := behaviour.get("says"):
            bits = [cirq.ResultDict(measurements={"m": np.array(row)}) for row in says]
            program = message.parent.partition("/jobs/")[0]
            found = v2.results_to_proto([bits], self.measured(program))
        return quantum.QuantumResult(parent=message.parent, result=pack_any(found))

    def cancel(self, message: Any, *_: Any) -> Any:
        self.jobs[message.name].execution_status = {"state": State.CANCELLED}
        return empty_pb2.Empty()


def main() -> None:
    """Serves until it is ended."""
    service = Service(Path(sys.argv[1]))
    server = grpc.server(ThreadPoolExecutor(16))
    name = "google.cloud.quantum.v1alpha1.QuantumEngineService"
    handler = grpc.method_handlers_generic_handler(name, service.handlers())
    server.add_generic_rpc_handlers((handler,))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    sys.exit(main())
