"""`twin:SPEC`: what another target does to a circuit, multiplied out in torch with gradients.

The target compiles; the twin runs `Compiled.noisy` and knows no vendor. A router trained on a
twin runs on exactly the native circuit that it was trained on: `compiled.bind_weights(weights)`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from backends import registry
from backends.base import (
    Backend,
    Compiled,
    Counts,
    Probabilities,
    TargetInfo,
    check_features,
    foldable,
    sample,
)
from backends.compiled import Noisy
from qmoe.angles import whole
from qmoe.errors import InputError
from qmoe.metrics import Score
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
        self.foldable = foldable(inner)

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
        return _probabilities(self._named(compiled), features, weights)

    def run(self, compiled: Compiled, features: Any, shots: int, seed: int) -> Counts:
        """Counts (batch, 2^m), drawn from the exact probabilities; free weights are refused."""
        x = check_features(compiled, features)
        return sample(self.probabilities(compiled, x), shots, seed)

    def _named(self, compiled: Compiled) -> Compiled:
        _steps(compiled)
        return compiled if compiled.spec == self.spec else replace(compiled, spec=self.spec)


def predict(
    compiled: Compiled,
    features: ArrayLike,
    shots: int,
    figure: Callable[[Probabilities], float],
    *,
    seed: int,
    repeats: int = 400,
    level: float = 0.95,
) -> Score:
    """What to expect of a figure of one experiment: these inputs, so many shots for each.

    The value is the expected figure. The ends are two of the figures of `repeats` experiments
    simulated from the exact probabilities: the r-th from below and the r-th from above, r the
    largest with 2 r <= (repeats + 1) (1 - level). If the target's noise is the twin's, a real
    experiment is one more draw of the same kind, and lies between them, ends included, with
    chance 1 - 2 r / (repeats + 1) at least; more often where figures tie, as counts do.

    Args:
        compiled: The circuit with its weights bound.
        features: (batch, d), radians.
        shots: Of each input.
        figure: Takes relative frequencies (batch, 2^m).
        seed: Equal seeds give equal bits.
        repeats: Simulated experiments.
        level: The chance promised, between 0 and 1.

    Raises:
        InputError: The noise is not known, bad features or shots, or too few repeats for r >= 1.
    """
    x = check_features(compiled, features)
    whole(shots, "shots", 1)
    whole(repeats, "repeats", 1)
    if not 0 < level < 1:
        raise InputError(got=f"level {level}", expected="between 0 and 1", do="pass 0.95")
    rank = int((repeats + 1) * (1 - level) / 2 + 1e-9)  # 1 - .95 is a little more than .05
    if rank < 1:
        fewest = int(np.ceil(2 / (1 - level) - 1 - 1e-9))
        raise InputError(
            got=f"{repeats} repeats for an interval at {level:g}",
            expected=f"at least {fewest}",
            do="raise the repeats",
        )
    p = np.clip(_probabilities(compiled, x), 0, None)
    p /= p.sum(1, keepdims=True)
    rng = np.random.default_rng(np.random.SeedSequence(whole(seed, "seed")))
    found = np.sort([float(figure(rng.multinomial(shots, p) / shots)) for _ in range(repeats)])
    return Score(float(found.mean()), float(found[rank - 1]), float(found[-rank]))


def noisy_probabilities(compiled: Compiled, features: ArrayLike) -> Probabilities:
    """What the noise of a compiled circuit gives (batch, 2^m), readout included; asks no target.

    Raises:
        InputError: The noise is not known, or features that do not fit.
    """
    found: Probabilities = _probabilities(compiled, np.asarray(features, dtype=np.float64))
    return found


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


def _probabilities(compiled: Compiled, features: Any, weights: Any = None) -> Any:
    import torch

    from qmoe.simulate.transfer import transfer_probabilities

    steps = _steps(compiled)
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


def _steps(compiled: Compiled) -> Noisy:
    if compiled.noisy is None:
        raise InputError(
            got=f"twin:{compiled.spec.removeprefix('twin:')}, whose target has no calibration",
            expected="a target that says what its noise is",
            do="choose another from `qmoe devices`",
        )
    return compiled.noisy


def _doubles(values: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.ascontiguousarray(values, dtype=np.float64)
