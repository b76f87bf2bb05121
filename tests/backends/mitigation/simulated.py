"""Small exact targets whose noise is what a test needs it to be; native is the circuit as given."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from backends.base import Compiled, check_features, sample
from backends.compiled import as_given
from backends.twin import Twin
from qmoe.circuit import Circuit
from qmoe.noise import NoiseModel
from qmoe.record import Source
from qmoe.simulate import reference


class Noisy:
    """A noise model, multiplied out by our transfer engine.

    confusion: [read, true] of whatever is measured, in place of the model's.
    """

    source: Source = "synthetic"
    spec = "simulated:noisy"

    def __init__(self, noise: NoiseModel, confusion: Any = None) -> None:
        self.noise, self.confusion = noise, confusion

    def compile(self, circuit: Circuit) -> Compiled:
        made = as_given(self.spec, circuit, self.noise)
        return made if self.confusion is None else replace(made, confusion=self.confusion)

    def emit(self, native: Circuit, like: Compiled) -> Compiled:
        return self.compile(native)

    def probabilities(self, compiled: Compiled, features: Any) -> Any:
        return Twin(self).probabilities(compiled, np.asarray(features, dtype=np.float64))

    def run(self, compiled: Compiled, features: Any, shots: int, seed: int) -> Any:
        return sample(self.probabilities(compiled, features), shots, seed)


class White(Noisy):
    """Every gate mixes the whole register with the even distribution: it keeps a share `kept`."""

    spec = "simulated:white"

    def __init__(self, kept: float) -> None:
        super().__init__(NoiseModel())
        self.kept = kept

    def probabilities(self, compiled: Compiled, features: Any) -> Any:
        ideal = reference.probabilities(compiled.native, (), check_features(compiled, features))
        kept = self.kept ** sum(not op.is_mark for op in compiled.native.ops)
        return kept * ideal + (1 - kept) / compiled.num_outcomes
