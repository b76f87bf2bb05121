"""A target that emits every circuit once: mitigations of many routers share most of theirs."""

from __future__ import annotations

from numpy.typing import ArrayLike

from backends.base import Backend, Compiled, Counts, foldable
from qmoe.circuit import Circuit
from qmoe.record import Source


class Remembered:
    """Another target, with what it has emitted kept for as long as this object lives."""

    def __init__(self, inner: Backend) -> None:
        self.inner = inner
        self.spec, self.source = inner.spec, inner.source
        self.foldable = foldable(inner)
        self._emitted: dict[tuple[Circuit, tuple[str, ...]], Compiled] = {}

    spec: str
    source: Source

    def compile(self, circuit: Circuit) -> Compiled:
        """What the target makes of it."""
        return self.inner.compile(circuit)

    def emit(self, native: Circuit, like: Compiled) -> Compiled:
        """What the target makes of it; from memory where these qubits have seen it before."""
        key = (native, like.physical)
        if key not in self._emitted:
            self._emitted[key] = self.inner.emit(native, like)
        return self._emitted[key]

    def run(self, compiled: Compiled, features: ArrayLike, shots: int, seed: int) -> Counts:
        """Counts of the target."""
        return self.inner.run(compiled, features, shots, seed)
