"""Training on Two Moons: ours beside hand-written JAX and PennyLane, in seconds per model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.figures.speed.ours import ours_train
from benchmarks.figures.speed.peers import how_to_get, missing
from benchmarks.figures.speed.rows import Row
from benchmarks.figures.speed.timing import Timing, first_call, interleaved
from benchmarks.figures.speed.workloads import TrainResult, TrainWork

# Over 1600 steps Adam amplifies the last bit of a sum, on single seeds to 1e-8; one epoch does not.
WHOLE_RUN = 1e-6
ONE_EPOCH = 1e-10
OURS = "ours"
JAX = "hand-written JAX, jit(vmap) and scan"
PENNYLANE = "PennyLane default.qubit, torch backprop"


def measure(work: TrainWork, *, rounds: int) -> list[Row]:
    """Rows of one workload: ours, the compiled JAX program, PennyLane extrapolated."""
    section = _Section(work)
    section.time_ours()
    section.add(JAX, ("jax",), section.jax)
    section.add(PENNYLANE, ("pennylane",), section.pennylane)
    return section.rows(rounds)


class _Section:
    """The implementations of one workload that agreed, and the rows of those that did not."""

    def __init__(self, work: TrainWork) -> None:
        self.work = work
        self.tasks: dict[str, Callable[[], object]] = {}
        self.made: dict[str, Row] = {}
        # how many models' whole runs one call of a task stands for
        self.models: dict[str, float] = {}

    def time_ours(self) -> None:
        results: list[TrainResult] = []
        first = first_call(lambda: results.append(ours_train(self.work)))
        self.expected = results[0]
        self._accept(OURS, lambda: ours_train(self.work), first=first / self.work.seeds)

    def add(self, name: str, needs: tuple[str, ...], build: Callable[[], None]) -> None:
        absent = missing(*needs)
        if absent:
            self.made[name] = Row("training", self.work.title, name, note=how_to_get(absent))
        else:
            build()

    def jax(self) -> None:
        from benchmarks.figures.speed import peer_jax

        program = peer_jax.Training(self.work)
        results: list[TrainResult] = []
        first = first_call(lambda: results.append(program.run())) / self.work.seeds
        differs = _largest(results[0].losses, self.expected.losses)
        if self._agrees(JAX, differs, WHOLE_RUN):
            self._accept(JAX, program.run, difference=differs, first=first)

    def pennylane(self) -> None:
        from benchmarks.figures.speed import peer_pennylane

        trainer = peer_pennylane.Training(self.work)
        short = ours_train(replace(self.work, seeds=1, epochs=1))
        epoch = trainer.epoch()
        pairs = zip(epoch, short, strict=True)
        differs = float(np.max([_largest(a, b) for a, b in pairs]))
        if self._agrees(PENNYLANE, differs, ONE_EPOCH):
            note = f"one model, extrapolated from 1 of {self.work.epochs} epochs"
            self._accept(PENNYLANE, trainer.epoch, difference=differs, note=note)
            self.models[PENNYLANE] = 1 / self.work.epochs

    def rows(self, rounds: int) -> list[Row]:
        timings = interleaved(self.tasks, rounds=rounds)
        per_model = {name: _scaled(t, 1 / self.models[name]) for name, t in timings.items()}
        ours, base = self.made[OURS], per_model[OURS].median
        for name, timing in per_model.items():
            row = replace(self.made[name], timing=timing)
            if name != OURS:
                row = replace(row, ratio=timing.median / base)
            if name == JAX and row.first is not None and ours.first is not None:
                row = replace(row, note=f"{row.first / ours.first:.3g} x ours by the first call")
            self.made[name] = row
        return list(self.made.values())

    def _agrees(self, name: str, differs: float, tolerance: float) -> bool:
        if differs <= tolerance:
            return True
        note = f"refused: differs from ours by {differs:.1e} (> {tolerance:.0e})"
        self.made[name] = Row("training", self.work.title, name, note=note)
        return False

    def _accept(
        self,
        name: str,
        task: Callable[[], object],
        *,
        difference: float | None = None,
        first: float | None = None,
        note: str = "",
    ) -> None:
        self.tasks[name] = task
        self.models[name] = self.work.seeds
        self.made[name] = Row(
            "training", self.work.title, name, difference=difference, first=first, note=note
        )


def _largest(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """The largest absolute difference."""
    return float(np.abs(a - b).max())


def _scaled(timing: Timing, factor: float) -> Timing:
    """The same calls in another unit of work."""
    return replace(
        timing,
        median=timing.median * factor,
        low=timing.low * factor,
        high=timing.high * factor,
    )
