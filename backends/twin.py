"""`twin:SPEC`: what another target does to a circuit, multiplied out in torch with gradients.

The target compiles; the twin runs `Compiled.noisy` and knows no vendor. A router trained on a
twin runs on exactly the native circuit that it was trained on: `compiled.bind_weights(weights)`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from backends import registry
from backends.base import Backend, Compiled, Counts, TargetInfo, check_features, sample
from qmoe.errors import InputError
from qmoe.record import Source

if TYPE_CHECKING:
    from backends.registry import Spec
    from qmoe.circuit import Circuit


class Twin:
    """The twin of another target; `inner` is that target."""

    source: Source = "twin"

    def __init__(self, inner: Backend) -> None:
        self.inner = inner
        self.spec = f"twin:{inner.spec}"

    def compile(self, circuit: Circuit) -> Compiled:
        """What the target makes of the circuit, weights and features still free.

        Raises:
            InputError: The target does not say what its noise is.
        """
        return self._named(self.inner.compile(circuit))

    def emit(self, native: Circuit, like: Compiled) -> Compiled:
        """What the target makes of a changed native circuit, nothing optimised."""
        return self._named(self.inner.emit(native, replace(like, spec=self.inner.spec)))

    def probabilities(self, compiled: Compiled, features: Any, weights: Any = None) -> Any:
        """Probabilities with the noise of the target, readout error included.

        features (batch, d) or (seed, batch, d), weights (P,) or (seed, P), radians; torch tensors
        give a tensor, as `qmoe.simulate.probabilities` with gradients to both, and numpy arrays
        give an array. weights None: they have been bound.

        Raises:
            InputError: Shapes that do not fit, or free weights that were not given.
        """
        import torch

        from qmoe.simulate.transfer import transfer_probabilities

        steps = self._named(compiled).noisy
        assert steps is not None
        in_torch = isinstance(features, torch.Tensor) or isinstance(weights, torch.Tensor)
        if weights is None and not in_torch:
            features = check_features(compiled, features)
        x = features if isinstance(features, torch.Tensor) else torch.from_numpy(_doubles(features))
        if weights is None:
            weights = x.new_zeros(0)
        w = weights if isinstance(weights, torch.Tensor) else torch.from_numpy(_doubles(weights))
        native = compiled.native
        out = transfer_probabilities(
            steps,
            native.num_qubits,
            native.measured,
            w,
            x.to(w.device),
            num_features=native.num_features,
            num_weights=native.num_weights,
            confusion=compiled.confusion,
        )
        return out if in_torch else out.numpy()

    def run(self, compiled: Compiled, features: Any, shots: int, seed: int) -> Counts:
        """Counts (batch, 2^m), drawn from the exact probabilities; free weights are refused."""
        x = check_features(compiled, features)
        return sample(self.probabilities(compiled, x), shots, seed)

    def _named(self, compiled: Compiled) -> Compiled:
        if compiled.noisy is None:
            raise InputError(
                got=f"{self.spec}, whose target {compiled.spec} has no calibration",
                expected="a target that says what its noise is",
                do="choose another from `qmoe devices`",
            )
        return compiled if compiled.spec == self.spec else replace(compiled, spec=self.spec)


def load(spec: Spec) -> Twin:
    """The twin of the target whose spec follows `twin:`."""
    inner = ",".join([spec.target, *(f"{key}={value}" for key, value in spec.options.items())])
    if inner.partition(":")[0] in ("", "twin"):
        raise InputError(
            got=f"target {spec}",
            expected="twin:SPEC with the spec of another target",
            do="write twin:ibm:fake_boston",
        )
    return Twin(registry.load(inner))


def targets() -> tuple[str, ...]:
    """None by itself: every target that says its noise has a twin."""
    return ()


def describe() -> tuple[TargetInfo, ...]:
    """None by itself, likewise."""
    return ()


def _doubles(values: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.ascontiguousarray(values, dtype=np.float64)
