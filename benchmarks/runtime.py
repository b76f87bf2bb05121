"""Seconds over the project's history: what is timed is warm, prepared beforehand, on one thread.

They compare commits on one machine; `python -m benchmarks.gate` measures two commits in turns.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.common import Cache, backend, collected, needed, one_thread, thinned, told
from benchmarks.stored import DATA, ROUTERS, cell

LAYERS = 2
STRENGTH = 0.02
EPOCHS, LEARNING_RATE = 20, 0.05
TARGETS = ("ibm:fake_boston", "braket:emulator", "cirq:willow_pink")
TREATMENTS = ("readout", "zne", "readout+zne", "rescale", "twirl,variants=4")
INPUTS, SHOTS = 20, 1000
ROUNDS = 5
TURN = 0.7  # radians: any value that is no multiple of a right angle


class RouterStep:
    """Seconds of a router's forward and backward pass as the trainer takes them, two layers.

    One seed, double precision; the embedded inputs are prepared beforehand, as in training.
    """

    version = "1"
    unit = "seconds"
    timeout = 120.0
    deterministic = False
    repeat = (3, 10, 3.0)
    param_names = ("qubits", "batch")
    params = (thinned((2, 4, 6)), thinned((64, 1024)))

    def setup(self, qubits: int, batch: int) -> None:
        circuit = needed("qmoe.ansatz:paper")(qubits, LAYERS)
        program = needed("qmoe.simulate.program:Program")(circuit)
        self.step = step(program, circuit.num_weights, qubits, batch)
        self.step()

    def time_step(self, qubits: int, batch: int) -> None:
        self.step()


class NoisyStep:
    """Seconds of the same pass under 2 % depolarizing noise after every gate, batch 256."""

    version = "1"
    unit = "seconds"
    timeout = 120.0
    deterministic = False
    repeat = (3, 10, 3.0)
    param_names = ("qubits",)
    params = (thinned((2, 4)),)

    def setup(self, qubits: int) -> None:
        circuit = needed("qmoe.ansatz:paper")(qubits, LAYERS)
        noise = needed("qmoe.noise:NoiseModel")(depolarizing=STRENGTH)
        program = needed("qmoe.simulate.noisy:NoisyProgram")(
            noise.place(circuit),
            circuit.measured,
            num_features=qubits,
            num_weights=circuit.num_weights,
        )
        self.step = step(program, circuit.num_weights, qubits, 256)
        self.step()

    def time_step(self, qubits: int) -> None:
        self.step()


class Training:
    """Seconds of 20 epochs of full-batch training on Two Moons, all seeds as one program."""

    version = "1"
    unit = "seconds"
    timeout = 300.0
    deterministic = False
    number = 1
    repeat = (3, 5, 5.0)
    param_names = ("seeds",)
    params = (thinned((1, 64)),)

    def setup(self, seeds: int) -> None:
        import numpy as np

        config = needed("qmoe.train:TrainConfig")(
            epochs=EPOCHS, batch_size=None, learning_rate=LEARNING_RATE, evaluate_every=EPOCHS
        )
        examples, train = needed("qmoe.train:examples"), needed("qmoe.train:train")
        moons = needed("qmoe.data:prepared_notebook")(1000)
        spec = needed("qmoe.spec:ModelSpec")("quantum", 2, 2, options={"layers": LAYERS})
        one_thread()
        features = np.ascontiguousarray(moons.X_train.T)[None]
        rows = examples(features, moons.y_train[None], config)
        model = spec.build()
        given = {"root": 0, "seeds": range(seeds)}
        self.train: Callable[[], Any] = partial(train, model, rows, None, config, **given)
        self.train()

    def time_training(self, seeds: int) -> None:
        self.train()


class Compile:
    """Seconds in which a target compiles a router of four qubits and two layers."""

    version = "1"
    unit = "seconds"
    timeout = 120.0
    deterministic = False
    number = 1
    repeat = (3, 5, 5.0)
    param_names = ("target",)
    params = (thinned(TARGETS),)

    def setup(self, target: str) -> None:
        self.circuit = needed("qmoe.ansatz:paper")(4, LAYERS)
        self.backend = backend(target)
        one_thread()
        self.backend.compile(self.circuit)  # the calibration is read

    def time_compile(self, target: str) -> None:
        self.backend.compile(self.circuit)


class RunCost:
    """Seconds that a simulated device takes for one input at 1,000 shots, of 20 run at once."""

    version = "1"
    unit = "seconds per input"
    timeout = 120.0
    deterministic = False
    param_names = ("target",)
    params = (thinned(TARGETS),)

    def setup_cache(self) -> Cache:
        return collected(self.params, _seconds_per_input)

    def setup(self, cache: Cache, *which: Any) -> None:
        told(cache, *which)

    def track_seconds(self, cache: Cache, *which: Any) -> Any:
        return cache[which]


class MitigationOverhead:
    """Time of a treatment over that of no treatment at equal shots, run in turns.

    Twenty inputs at 1,000 shots each on a simulated device; medians of processor time.
    """

    version = "1"
    unit = "ratio"
    timeout = 120.0
    deterministic = False
    param_names = ("treatment",)
    params = (thinned(TREATMENTS, 3),)

    def setup_cache(self) -> Cache:
        return collected(self.params, _overhead)

    def setup(self, cache: Cache, *which: Any) -> None:
        told(cache, *which)

    def track_ratio(self, cache: Cache, *which: Any) -> Any:
        return cache[which]


class ReportPage:
    """Seconds in which the page of a run is made: eight routers, three seeds, one data set."""

    version = "1"
    unit = "seconds"
    timeout = 120.0
    deterministic = False
    number = 1
    repeat = (3, 5, 10.0)

    def setup_cache(self) -> str:
        """The run's folder; empty where the commit cannot make one."""
        try:
            return str(trained_run(Path.cwd() / "run"))
        except NotImplementedError:
            return ""

    def setup(self, folder: str) -> None:
        self.gather = needed("qmoe.report.content:gather")
        self.render = needed("qmoe.report.page:render")
        run = needed("qmoe.rundir:Run")
        if not folder:
            raise NotImplementedError("this commit cannot make the run")
        self.run = run.open(Path(folder))
        self.render(self.gather((self.run,)))

    def time_page(self, folder: str) -> None:
        self.render(self.gather((self.run,)))


class CommandStart:
    """Seconds until `qmoe --help` has answered, Python's own start included."""

    version = "1"
    unit = "seconds"
    timeout = 60.0
    deterministic = False
    number = 1
    repeat = (3, 5, 10.0)

    def setup(self) -> None:
        needed("qmoe.cli:main")
        self.command = (sys.executable, "-m", "qmoe.cli", "--help")
        self.time_help()

    def time_help(self) -> None:
        subprocess.run(self.command, stdout=subprocess.DEVNULL, check=True)


def step(program: Any, num_weights: int, qubits: int, batch: int) -> Callable[[], Any]:
    """One forward and backward pass of a program, on fixed weights, inputs and cotangents."""
    import torch

    one_thread()
    weights = torch.linspace(-TURN, 4 * TURN, num_weights, dtype=torch.float64)[None]
    features = torch.linspace(0, 3, qubits * batch, dtype=torch.float64).reshape(1, qubits, batch)
    cotangent = torch.linspace(-1, 1, 2**qubits * batch, dtype=torch.float64)
    cotangent = cotangent.reshape(1, 2**qubits, batch)
    prepared = program.prepare(features)

    def once() -> tuple[torch.Tensor, torch.Tensor]:
        with torch.no_grad():
            out, saved = program.forward(weights, prepared)
            return out, program.backward(weights, saved, cotangent)

    return once


def trained_run(folder: Path) -> Path:
    """The folder of a small run with the routers of the stored weights."""
    job, execute = needed("qmoe.execution:Job"), needed("qmoe.execution:execute")
    plan, store = needed("qmoe.plan:Plan"), needed("qmoe.store:Store")
    provenance, silent = needed("qmoe.provenance:capture"), needed("qmoe.progress:silent")
    one_thread()
    cells = tuple(cell(DATA["moons-0.1"], router, EPOCHS, trials=1) for router in ROUTERS)
    given = job(provenance(0, threads=1), silent, 1, "cpu", folder)
    return Path(execute("benchmark", [plan("ablation", cells)], store(None), given))


def _prepared(target: str) -> tuple[Any, Any, Any]:
    """A target, a router compiled for it, and features (input, 2)."""
    import numpy as np

    circuit = needed("qmoe.ansatz:paper")(2, LAYERS)
    device = backend(target)
    one_thread()
    weights = np.linspace(-TURN, 4 * TURN, circuit.num_weights)
    features = np.linspace(0, 3, 2 * INPUTS).reshape(INPUTS, 2)
    return device, device.compile(circuit).bind_weights(weights), features


def _seconds_per_input(target: str) -> float:
    device, compiled, features = _prepared(target)
    taken = []
    for _ in range(ROUNDS + 1):
        start = time.perf_counter()
        device.run(compiled, features, SHOTS, 0)
        taken.append(time.perf_counter() - start)
    return statistics.median(taken[1:]) / INPUTS


def _overhead(treatment: str) -> float:
    interleaved = needed("benchmarks.figures.speed.timing:interleaved")
    load, execute = needed("backends.mitigation:load"), needed("backends.execute:execute")
    device, compiled, features = _prepared(TARGETS[0])

    def task(text: str) -> Callable[[], Any]:
        treated = load(text)
        return lambda: execute(device, compiled, treated, features, SHOTS, 0)

    tasks = {name: task(name) for name in ("none", treatment)}
    for once in tasks.values():
        once()
    taken = interleaved(tasks, rounds=ROUNDS)
    return float(taken[treatment].median / taken["none"].median)
