"""The peers by name: what each needs to be installed, imported when used."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import cast

from benchmarks.figures.speed.workloads import RouterWork, Step


@dataclass(frozen=True, slots=True)
class RouterPeer:
    """A router step by dotted path.

    `largest` is the most qubits it is timed on: compiled one gate after another, a large circuit
    takes minutes to compile.
    """

    name: str
    needs: tuple[str, ...]
    path: str
    largest: int | None = None

    @property
    def missing(self) -> tuple[str, ...]:
        """The modules it needs that are not installed."""
        return missing(*self.needs)

    def load(self) -> Callable[[RouterWork], Step]:
        """The function that builds its step."""
        module, _, attribute = self.path.partition(":")
        return cast(Callable[[RouterWork], Step], getattr(import_module(module), attribute))


OURS = RouterPeer("ours", ("torch",), "benchmarks.figures.speed.ours:router")
OURS_CACHED = RouterPeer(
    "ours, embedding cached", ("torch",), "benchmarks.figures.speed.ours:router_cached"
)
ROUTER_PEERS = (
    RouterPeer(
        "PennyLane default.qubit, torch backprop",
        ("pennylane",),
        "benchmarks.figures.speed.peer_pennylane:router_torch",
    ),
    RouterPeer(
        "PennyLane default.qubit, jax.jit",
        ("pennylane", "jax"),
        "benchmarks.figures.speed.peer_pennylane:router_jax",
    ),
    RouterPeer(
        "tensorcircuit-ng, jax jit + vmap",
        ("tensorcircuit", "jax"),
        "benchmarks.figures.speed.peer_tensorcircuit:router",
    ),
)


def missing(*modules: str) -> tuple[str, ...]:
    """Those of the modules that are not installed."""
    return tuple(module for module in modules if find_spec(module) is None)


def how_to_get(modules: tuple[str, ...]) -> str:
    """What to print where modules are missing."""
    return f"not installed ({', '.join(modules)}): pip install 'qmoe-bench[dev,peers]'"
