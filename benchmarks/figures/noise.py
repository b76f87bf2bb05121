"""`python -m benchmarks.figures.noise`: a training step under noise beside one without, as ratios.

A step is the router's forward and backward pass as the trainer takes them, the data prepared
beforehand. One core, one thread, implementations interleaved, medians of processor seconds.
Before anything is timed, noise of strength zero is held to the noise-free engine.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from benchmarks.figures.speed.rows import Row, table
from benchmarks.figures.speed.timing import Timing, interleaved, one_core

if TYPE_CHECKING:
    from qmoe.channel import Channel
    from qmoe.circuit import Circuit, Op

BATCH = 256
STRENGTH = 0.02
SEEDS = (1, 64)
SHAPES = ((2, 2, 2.0), (2, 12, 2.0), (4, 2, 3.0))
"""Qubits, layers, and the most that noise may multiply the cost of a step with one seed by."""

SAME = "same engine, no channels"
NOISY = f"placement=gate,depolarizing={STRENGTH:g}"
DEVICE = "through a device's native list"
IDEAL = "real amplitudes, no noise"
Step = Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Work:
    """One size of a router circuit, trained with a number of seeds at once."""

    num_qubits: int
    layers: int
    seeds: int

    def title(self) -> str:
        """The size, as printed."""
        return (
            f"n={self.num_qubits} L={self.layers}, batch {BATCH}, "
            f"{self.seeds} seed{'s' * (self.seeds > 1)}"
        )


def measure(work: Work, rounds: int) -> dict[str, Timing]:
    """A step through each program."""
    steps = programs(work)
    for _ in range(3):  # constants are placed, caches filled
        for step in steps.values():
            step()
    return interleaved(steps, rounds=rounds)


def report(work: Work, timings: dict[str, Timing], most: float) -> str:
    """The timings as a table, and the ratios that are asked for."""
    base = timings[SAME].median
    rows = [
        Row("noise", work.title(), name, timing, None if name == SAME else timing.median / base)
        for name, timing in timings.items()
    ]
    noise, device = timings[NOISY].median / base, timings[DEVICE].median / timings[IDEAL].median
    bound = f" (at most {most:g} wanted)" if work.seeds == 1 else ""
    return (
        f"{table(work.title(), rows)}\n"
        f"  noise / the same engine without: {noise:.2f}{bound}; "
        f"device / real amplitudes without noise: {device:.2f}\n"
    )


def programs(work: Work) -> dict[str, Step]:
    """One training step of every program, on equal weights, features and cotangents."""
    import numpy as np
    import torch

    from qmoe.ansatz import paper
    from qmoe.noise import NoiseModel
    from qmoe.simulate.noisy import NoisyProgram
    from qmoe.simulate.program import Program

    n = work.num_qubits
    circuit = paper(n, work.layers)
    rng = np.random.default_rng(0)
    weights = torch.from_numpy(rng.uniform(-np.pi, np.pi, (work.seeds, circuit.num_weights)))
    features = torch.from_numpy(rng.uniform(0, np.pi, (1, n, BATCH)))
    grad = torch.from_numpy(rng.normal(size=(work.seeds, 2**n, BATCH)))

    def noisy(ops: Sequence[Op | Channel]) -> NoisyProgram:
        return NoisyProgram(ops, circuit.measured, num_features=n, num_weights=circuit.num_weights)

    made: dict[str, Any] = {
        SAME: noisy(circuit.ops),
        NOISY: noisy(NoiseModel(depolarizing=STRENGTH).place(circuit)),
        DEVICE: noisy(device(circuit)),
        IDEAL: Program(circuit),
    }

    def step_of(program: Any) -> Step:
        rows = program.prepare(features)

        def step() -> tuple[torch.Tensor, torch.Tensor]:
            with torch.no_grad():
                out, saved = program.forward(weights, rows)
                return out, program.backward(weights, saved, grad)

        return step

    steps = {name: step_of(program) for name, program in made.items()}
    expected = steps[IDEAL]()
    for step in (steps[SAME], step_of(noisy(native(circuit).ops))):
        for one, other in zip(step(), expected, strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=1e-9)
    return steps


def native(circuit: Circuit) -> Circuit:
    """The circuit in the gates of a superconducting device: each RY is RZ SX RZ SX RZ."""
    return replace(circuit.simplify(), ops=tuple(_lowered(circuit)))


def _lowered(circuit: Circuit) -> Iterator[Op]:
    import numpy as np

    from qmoe.angles import add
    from qmoe.circuit import Op

    for op in circuit.simplify().ops:
        if op.gate != "ry":
            yield op
            continue
        yield Op("sx", op.qubits)
        yield Op("rz", op.qubits, (add(op.angles[0], np.pi),))
        yield Op("sx", op.qubits)
        yield Op("rz", op.qubits, (np.pi,))


def device(circuit: Circuit) -> list[Op | Channel]:
    """The native circuit with what calibrations report: relaxation on top of depolarizing."""
    from qmoe import channels

    steps: list[Op | Channel] = []
    for op in native(circuit).ops:
        steps.append(op)
        if op.gate in ("sx", "cz"):
            steps.append(channels.depolarizing(op.qubits, 3e-4 if op.gate == "sx" else 4e-3))
            time = 0.03 if op.gate == "sx" else 0.07
            steps += (channels.thermal_relaxation(q, 200.0, 150.0, time) for q in op.qubits)
    return steps


def main() -> int:
    """Measures and prints."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.figures.noise", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    rounds = 3 if parser.parse_args().quick else 20

    import torch

    torch.set_num_threads(1)
    for seeds in SEEDS:
        for num_qubits, layers, most in SHAPES:
            work = Work(num_qubits, layers, seeds)
            print(report(work, measure(work, rounds), most), flush=True)
    return 0


if __name__ == "__main__":
    one_core()
    sys.exit(main())
