"""Refitting: experts trained again on what a target measured, the circuit left as it is.

A target's noise and its shots change the gate weights that the experts were trained with. Their
cure costs measurements of training inputs and no simulation: the angles stay, so nothing has to
be differentiated through the target.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from qmoe.angles import finite, whole
from qmoe.arrays import Floats, Ints
from qmoe.epochs import Adam, one_hot
from qmoe.errors import InputError
from qmoe.moe import MixtureOfExperts, Prepared
from qmoe.routed import RoutedCircuit
from qmoe.routers.quantum import QuantumRouter


class Measured:
    """A quantum router behind its circuit: what it takes for features are outcomes (2^m)."""

    def __init__(self, router: QuantumRouter) -> None:
        self.router = router
        self.label, self.family, self.emits = router.label, router.family, router.emits
        self.num_features = 2 ** len(router.circuit.measured)
        self.num_experts, self.size = router.num_experts, router.size
        self.counts, self.cost, self.warnings = router.counts, router.cost, router.warnings

    def init(self, rng: np.random.Generator, scale: float = 1.0) -> Float64[Floats, " weight"]:
        """Initial weights of the router."""
        return self.router.init(rng, scale)

    def __call__(
        self, weights: Float[Tensor, "seed weight"], features: Float[Tensor, "s outcome batch"]
    ) -> Float[Tensor, "s expert batch"]:
        """Expert probabilities, or logits behind an adapter; angles have no effect on them."""
        return self.router.from_outcomes(weights, features)


def refit(
    model: MixtureOfExperts,
    weights: Float64[Floats, "seed weight"],
    X: Float64[Floats, "_ _ feature"],
    y: Int64[Ints, "_ _"],
    outcomes: Float64[Floats, "_ _ outcome"],
    *,
    epochs: int = 400,
    learning_rate: float = 0.05,
    adapter: bool = False,
) -> Float64[Floats, "seed weight"]:
    """Weights with the experts, and the gate's temperature where it has one, trained again.

    They start from where they are and follow Adam on all measured rows at once, by the
    cross-entropy alone: load balancing is for whoever trains the router. The weights of the lowest
    cross-entropy are kept, so that no seed ends above its start. For linear experts the problem is
    convex but for the temperature. Nothing is drawn at random.

    Args:
        model: The model of all seeds.
        weights: Its trained numbers. The circuit's angles are returned bit by bit.
        X: Training inputs, scaled as the experts take them.
        y: Their classes.
        outcomes: What the target measured for them, relative frequencies or probabilities,
            big-endian over the measured qubits.
        epochs: Steps of Adam.
        learning_rate: Their size.
        adapter: Whether the router's linear map from outcomes to logits is trained too.

    Raises:
        InputError: A router without a circuit, no rows, arrays that do not fit it or each other,
            or entries that are not finite.
    """
    router = RoutedCircuit(model, weights.reshape(-1)).router
    _check(model, router, weights, X, y, outcomes)
    steps = whole(epochs, "number of epochs", 1)
    if finite(learning_rate, "learning rate") <= 0:
        raise InputError(got=f"learning rate {learning_rate}", expected="> 0", do="try 0.05")
    behind = MixtureOfExperts(Measured(router), model.experts, model.gate)
    data = Prepared(_last(outcomes), _last(X))
    targets = one_hot(torch.from_numpy(y.copy()), model.experts.num_classes).double()
    moving = torch.ones(model.size, dtype=torch.bool)
    moving[: router.circuit.num_weights if adapter else router.size] = False
    found = torch.from_numpy(weights.copy())
    adam = Adam(found, found.new_full((len(found),), learning_rate))
    best, lowest = found.clone(), found.new_full((len(found),), np.inf)
    for _ in range(steps + 1):
        slope = behind.gradient(found, data, targets)
        better = slope.cross_entropy < lowest
        best[better], lowest[better] = found[better], slope.cross_entropy[better]
        adam.step(slope.to_weights, moving)
    return best.numpy()


def _check(
    model: MixtureOfExperts,
    router: QuantumRouter,
    weights: Floats,
    X: Floats,
    y: Ints,
    outcomes: Floats,
) -> None:
    size = 2 ** len(router.circuit.measured)
    seeds, rows = y.shape
    expected = {
        "weights": (weights, (seeds, model.size)),
        "inputs": (X, (seeds, rows, router.num_features)),
        "outcomes": (outcomes, (seeds, rows, size)),
    }
    for what, (found, shape) in expected.items():
        if found.shape != shape or not found.size:
            raise InputError(
                got=f"{what} of shape {found.shape} for {seeds} seeds with {rows} classes each",
                expected=f"{shape}, none of it 0",
                do="pass one row of outcomes and one class for each input of each seed",
            )
        if not np.isfinite(found).all():
            raise InputError(
                got=f"{what} that are not finite", expected="finite numbers", do="leave them out"
            )
    if y.min() < 0 or y.max() >= model.experts.num_classes:
        raise InputError(
            got=f"classes from {y.min()} to {y.max()}",
            expected=f"0 to {model.experts.num_classes - 1}",
            do="number the classes from 0",
        )


def _last(rows: Float64[Floats, "seed row column"]) -> Float[Tensor, "seed column row"]:
    return torch.from_numpy(rows.transpose(0, 2, 1).copy())
