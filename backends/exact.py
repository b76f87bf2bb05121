"""The project's own simulators as targets: `reference` (numpy) and `torch`, both noise-free."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from backends.base import Compiled, Counts, Probabilities, TargetInfo, check_features, sample
from backends.checks import check_like, check_width
from backends.compiled import as_given
from qmoe.errors import InputError
from qmoe.record import Source
from qmoe.simulate import reference

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from backends.registry import Spec
    from qmoe.circuit import Circuit

MOST_QUBITS = {"reference": reference.MAX_QUBITS, "torch": 24}


class ExactBackend:
    """A simulator of this project; native is the circuit as given."""

    source: Source = "exact"

    def __init__(self, spec: str) -> None:
        self.spec = spec

    def compile(self, circuit: Circuit) -> Compiled:
        """The circuit itself."""
        check_width(circuit.num_qubits, MOST_QUBITS[self.spec], self.spec)
        return as_given(self.spec, circuit)

    def emit(self, native: Circuit, like: Compiled) -> Compiled:
        """The circuit itself."""
        check_like(native, like)
        return self.compile(native)

    def probabilities(self, compiled: Compiled, features: ArrayLike) -> Probabilities:
        """Probabilities (batch, 2^m)."""
        x = check_features(compiled, features)
        if self.spec == "reference":
            return reference.probabilities(compiled.native, (), x)
        import torch

        from qmoe.simulate import probabilities

        none = torch.zeros(0, dtype=torch.float64)
        if not len(x):
            return np.zeros((0, compiled.num_outcomes))
        out: Probabilities = probabilities(compiled.native, none, torch.from_numpy(x)).numpy()
        return out

    def run(self, compiled: Compiled, features: ArrayLike, shots: int, seed: int) -> Counts:
        """Counts (batch, 2^m), drawn from the exact probabilities."""
        return sample(self.probabilities(compiled, features), shots, seed)


def load(spec: Spec) -> ExactBackend:
    """The simulator named by the spec."""
    spec.only()
    if spec.target:
        raise InputError(
            got=f"target {spec}", expected=spec.vendor, do="leave out what follows the colon"
        )
    return ExactBackend(spec.vendor)


def targets() -> tuple[str, ...]:
    """Both."""
    return tuple(MOST_QUBITS)


def describe() -> tuple[TargetInfo, ...]:
    """Both, with what they are."""
    notes = {"reference": "numpy, one circuit at a time", "torch": "this CPU, many at once"}
    return tuple(
        TargetInfo(name, "exact", qubits, ("any",), note=notes[name])
        for name, qubits in MOST_QUBITS.items()
    )
