"""Training on Two Moons: ours beside hand-written JAX and PennyLane, seconds per model."""

from __future__ import annotations

import numpy as np

from benchmarks.speed.peers import missing
from benchmarks.speed.rows import Row
from benchmarks.speed.timing import Timing, first_call, interleaved
from benchmarks.speed.workloads import TrainResult, TrainWork

# After one epoch nothing has had time to grow; after 100 epochs of minibatches Adam amplifies the
# last bit of a sum, on some seeds to 1e-8: the long run only has to end at the same losses.
ONE_EPOCH = 1e-10
WHOLE_RUN = 1e-6
OURS, JAX, PENNYLANE = "ours", "hand-written JAX, jit(vmap) + scan", "PennyLane default.qubit + torch"


def largest(a: np.ndarray, b: np.ndarray) -> float:
    """The largest absolute difference."""
    return float(np.abs(a - b).max())


def measure(work: TrainWork, *, rounds: int) -> list[Row]:
    """Rows of one workload: ours, the JAX program after compilation, PennyLane extrapolated."""
    from benchmarks.speed.ours import ours_train

    results: list[TrainResult] = []

    def ours() -> None:
        results[:] = [ours_train(work)]

    ours_first = first_call(ours)
    tasks = {OURS: ours}
    rows: dict[str, Row] = {OURS: Row("training", work.title, OURS, first=ours_first / work.seeds)}

    absent = missing("jax")
    if absent:
        rows[JAX] = Row("training", work.title, JAX, note=_install(absent))
    else:
        from benchmarks.speed import peer_jax

        program = peer_jax.Training(work)
        first = first_call(program.run)
        differs = largest(program.run().losses, results[0].losses)
        if differs <= WHOLE_RUN:
            tasks[JAX] = lambda: program.run()
            rows[JAX] = Row(
                "training", work.title, JAX, difference=differs, first=first / work.seeds
            )
        else:
            rows[JAX] = Row("training", work.title, JAX, note=f"refused: losses differ {differs:.1e}")
