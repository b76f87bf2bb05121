"""`python -m benchmarks.figures.twin`: the twin beside Aer and a route made by hand, as ratios.

One core, one thread, implementations interleaved, medians of processor seconds; the last figure
alone is elapsed time of fresh processes on all cores. Every route's probabilities are compared
with ours before anything is timed.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from benchmarks.figures.speed.rows import Row, table
from benchmarks.figures.speed.timing import (
    THREAD_VARIABLES,
    Timing,
    first_call,
    interleaved,
    one_core,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from backends.base import Compiled
    from qmoe.circuit import Circuit

TARGET = "ibm:fake_boston"
QUBITS, LAYERS = 4, 2
OURS = "twin: block built and applied"
AGREE = 1e-6  # total variation

FRESH = """
import os
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {cores})
import numpy as np
import backends
from qmoe.ansatz import paper
rng = np.random.default_rng(0)
target = backends.load("{target}")
router = target.compile(paper({qubits}, {layers})).bind_weights(rng.normal(size={weights}))
counts = target.run(router, rng.normal(size=(1000, {qubits})), 1000, seed=0)
assert counts.shape == (1000, {outcomes}) and (counts.sum(1) == 1000).all()
"""


def against_aer(title: str, circuit: Circuit, inputs: int, rounds: int) -> list[Row]:
    """Probabilities of many inputs on a calibrated device, the circuit compiled beforehand."""
    import numpy as np

    import backends
    from benchmarks.figures.by_hand import by_hand, prepared, product

    rng = np.random.default_rng(0)
    weights = rng.uniform(-np.pi, np.pi, circuit.num_weights)
    x = rng.uniform(-np.pi, np.pi, (inputs, circuit.num_features))
    target: Any = backends.load(TARGET)
    target.compile(circuit)  # the calibration is read here
    compiling = first_call(lambda: target.compile(circuit))
    found = target.compile(circuit).bind_weights(weights)
    routes: dict[str, Callable[[], NDArray[np.float64]]] = {
        OURS: lambda: twin(found, x),
        "Aer: density matrix, parameter_binds": aer(found, x),
    }
    if title.startswith("one upload"):
        routes["by hand: SuperOp once, then numpy"] = lambda: by_hand(found, x)
        effects, states = prepared(found)
        routes["by hand: numpy product alone"] = lambda: product(effects, states, x)
    expected = routes[OURS]()
    apart = {
        name: 0.5 * float(np.abs(route() - expected).sum(1).max()) for name, route in routes.items()
    }
    assert max(apart.values()) < AGREE, apart
    note = f"compiling, needed by all: {compiling * 1e3:.0f} ms"
    return _rows(f"{title}, {inputs} inputs", interleaved(routes, rounds=rounds), apart, note)


def twin(found: Compiled, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """The twin from the noisy list to probabilities; nothing is kept from call to call."""
    import numpy as np
    import torch

    from qmoe.simulate.transfer import Transfer

    assert found.noisy is not None
    transfer = Transfer(found.noisy, found.native.measured, confusion=found.confusion)
    none = torch.zeros(1, 0, dtype=torch.float64)
    out = transfer(none, torch.from_numpy(x).T.contiguous()[None])
    return np.asarray(out[0].T.contiguous().numpy())


def aer(found: Compiled, x: NDArray[np.float64]) -> Callable[[], NDArray[np.float64]]:
    """Aer with the noise cut to the active qubits; circuit and noise model built beforehand."""
    from backends.ibm import layout, snapshots
    from backends.ibm.aer import exact
    from backends.ibm.circuits import to_qiskit

    calibration = snapshots.calibration(TARGET.partition(":")[2])
    model = calibration.noise_model(found.native, layout.physical_qubits(found))
    circuit, measured = to_qiskit(found.native, measure=False), found.native.measured
    assert found.confusion is not None
    reading = found.confusion.T
    return lambda: exact(circuit, measured, x, noise_model=model) @ reading


def against_transpiling(inputs: int, rounds: int) -> list[Row]:
    """A transpiled template bound to each input, beside transpiling each bound circuit."""
    import numpy as np
    from qiskit import transpile

    from backends.ibm import snapshots
    from backends.ibm.circuits import to_qiskit
    from qmoe.ansatz import paper

    circuit = paper(QUBITS, LAYERS)
    rng = np.random.default_rng(0)
    template = to_qiskit(circuit.bind_weights(rng.normal(size=circuit.num_weights)))
    x = rng.normal(size=(inputs, QUBITS))
    target = snapshots.calibration(TARGET.partition(":")[2]).target

    def compiled(given: Any) -> Any:
        return transpile(given, target=target, optimization_level=3, seed_transpiler=0)

    def once() -> None:
        done = compiled(template)
        for row in x:
            done.assign_parameters(dict(zip(template.parameters, row, strict=True)))

    def each() -> None:
        for row in x:
            compiled(template.assign_parameters(dict(zip(template.parameters, row, strict=True))))

    compiled(template)  # the target's tables are made once
    routes = {"template transpiled once, then bound": once, "each bound circuit transpiled": each}
    title = f"compiling {inputs} inputs, level 3, one transpiler seed, binding included"
    return _rows(title, interleaved(routes, rounds=rounds), {}, "")


def fresh(rounds: int, cores: set[int]) -> list[Row]:
    """1,000 inputs x 1,000 shots from nothing: a new process, imports and compiling included."""
    code = FRESH.format(
        cores=cores,
        target=TARGET,
        qubits=QUBITS,
        layers=LAYERS,
        weights=QUBITS * LAYERS,
        outcomes=2**QUBITS,
    )
    plain = {key: value for key, value in os.environ.items() if key not in THREAD_VARIABLES}
    taken = []
    for _ in range(rounds):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], env=plain, check=True)
        taken.append(time.perf_counter() - start)
    work = f"1,000 inputs x 1,000 shots on {TARGET}, new process, {len(cores)} cores, elapsed time"
    return [Row("fresh", work, "load, compile, run", Timing.of(taken))]


def _rows(
    work: str, timings: Mapping[str, Timing], apart: Mapping[str, float], note: str
) -> list[Row]:
    """The first is ours."""
    ours = next(iter(timings))
    return [
        Row("twin", work, name, timing, note=note)
        if name == ours
        else Row("twin", work, name, timing, timing.median / timings[ours].median, apart.get(name))
        for name, timing in timings.items()
    ]


def main(cores: set[int]) -> int:
    """Measures and prints."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.figures.twin", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer inputs and rounds")
    quick = parser.parse_args().quick

    import torch

    from qmoe.ansatz import paper, reupload

    torch.set_num_threads(1)
    inputs, rounds = (1000, 1) if quick else (10_000, 3)
    shape = f"n={QUBITS} L={LAYERS} on {TARGET}"
    for rows in (
        against_aer(f"one upload, {shape}", paper(QUBITS, LAYERS), inputs, rounds),
        against_aer(f"re-uploading, {shape}", reupload(QUBITS, LAYERS), inputs, rounds),
        against_transpiling(20 if quick else 200, rounds),
        fresh(rounds, cores),
    ):
        print(table(rows[0].work, rows) + "\n", flush=True)
    return 0


if __name__ == "__main__":
    available = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else {0}
    one_core()
    sys.exit(main(available))
