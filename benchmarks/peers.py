"""Ratios to other simulators over the project's history, in one process, in turns.

A peer is timed only after its numbers agree with ours. Peers that are not installed are n/a.
"""

from __future__ import annotations

from typing import Any

from benchmarks.common import Cache, collected, needed, thinned, told

ROUTER_PEERS = (
    "PennyLane default.qubit, torch backprop",
    "PennyLane default.qubit, jax.jit",
    "tensorcircuit-ng, jax jit + vmap",
)
TRAINING_PEERS = (
    "hand-written JAX, jit(vmap) and scan",
    "PennyLane default.qubit, torch backprop",
)
SHAPES = ((2, 12, 256), (4, 6, 256))
"""Qubits, layers, batch."""
SEEDS, EPOCHS = 8, 20
ROUNDS = 5


class RouterStep:
    """Time of our router step over the peer's, forward and backward to the weights.

    Medians of processor time on one core, double precision; the embedding is computed in every
    step by both.
    """

    version = "1"
    unit = "ratio"
    timeout = 120.0
    deterministic = False
    param_names = ("peer", "qubits, layers, batch")
    params = (thinned(ROUTER_PEERS), thinned(SHAPES))

    def setup_cache(self) -> Cache:
        return collected(self.params, _router)

    def setup(self, cache: Cache, *which: Any) -> None:
        told(cache, *which)

    def track_ratio(self, cache: Cache, *which: Any) -> Any:
        return cache[which]


class Training:
    """Time of our training over the peer's, per model: eight seeds, 20 epochs in minibatches.

    Two Moons, minibatches of 64. PennyLane trains one model for one epoch, which counts as 20.
    """

    version = "1"
    unit = "ratio"
    timeout = 120.0
    deterministic = False
    param_names = ("peer",)
    params = (thinned(TRAINING_PEERS),)

    def setup_cache(self) -> Cache:
        return collected(self.params, _training)

    def setup(self, cache: Cache, *which: Any) -> None:
        told(cache, *which)

    def track_ratio(self, cache: Cache, *which: Any) -> Any:
        return cache[which]


def _router(name: str, shape: tuple[int, int, int]) -> float:
    measure = _measure("router")
    peers = needed("benchmarks.figures.speed.peers:ROUTER_PEERS")
    work = needed("benchmarks.figures.speed.workloads:RouterWork")(*shape)
    peer = next(peer for peer in peers if peer.name == name)
    return _ratio(measure(work, rounds=ROUNDS, peers=(peer,)), name)


def _training(name: str) -> float:
    measure = _measure("training")
    work = needed("benchmarks.figures.speed.workloads:TrainWork")(SEEDS, 64, EPOCHS)
    return _ratio(measure(work, rounds=ROUNDS), name)


def _measure(what: str) -> Any:
    """The function that times one workload, on one core: XLA and torch count cores on import."""
    needed("benchmarks.figures.speed.timing:one_core")()
    measure = needed(f"benchmarks.figures.speed.{what}:measure")
    needed("torch:set_num_threads")(1)
    return measure


def _ratio(rows: Any, name: str) -> float:
    """Ours over the peer's.

    Raises:
        NotImplementedError: The peer is not installed.
        ValueError: Its numbers are not ours.
    """
    row = next(row for row in rows if row.name == name)
    if row.ratio is not None:
        return float(1 / row.ratio)
    if row.note.startswith("refused"):
        raise ValueError(f"{name}: {row.note}")
    raise NotImplementedError(row.note)
