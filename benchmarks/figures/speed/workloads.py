"""What is timed: router steps and training runs, as plain numpy values that every peer can read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64, Int64
from numpy.typing import NDArray

from qmoe.data import prepared_notebook
from qmoe.seeds import stream
from qmoe.spec import ModelSpec

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

ROOT = 0
LEARNING_RATE = 0.05
BETAS = (0.9, 0.999)
EPS = 1e-8


class StepResult(NamedTuple):
    """Probabilities (batch, 2^n) and the gradient to the weights (P,), as the library's arrays."""

    probabilities: Any
    gradient: Any


Step = Callable[[], StepResult]  # one forward and backward pass, finished when it returns


@dataclass(frozen=True)
class RouterWork:
    """One router step: ansatz `paper` with a ring, all qubits measured, loss sum(probs * G).

    Weights (P,) in the order layer, then qubit; features (batch, qubits) in [0, pi]; G (batch,
    2^n) standard normal; angles in radians, outcomes big-endian (qubit 0 most significant).
    """

    qubits: int
    layers: int
    batch: int

    @property
    def title(self) -> str:
        """The size as one label."""
        return f"n={self.qubits} L={self.layers} B={self.batch}"

    @cached_property
    def weights(self) -> Float64[Floats, " weight"]:
        """Angles uniform over the circle."""
        return stream(ROOT, 0, "init").uniform(-np.pi, np.pi, self.qubits * self.layers)

    @cached_property
    def features(self) -> Float64[Floats, "batch feature"]:
        """Inputs uniform over [0, pi]."""
        return stream(ROOT, 0, "data").uniform(0.0, np.pi, (self.batch, self.qubits))

    @cached_property
    def cotangent(self) -> Float64[Floats, "batch outcome"]:
        """The fixed random G of the loss."""
        return stream(ROOT, 1, "data").standard_normal((self.batch, 2**self.qubits))

    @property
    def pairs(self) -> tuple[tuple[int, int], ...]:
        """The qubits that CZ joins in each layer: a ring, which for two qubits is one CZ."""
        n = self.qubits
        return tuple((i, (i + 1) % n) for i in range(n if n > 2 else n - 1))


ROUTER_WORKS = (RouterWork(2, 12, 256), RouterWork(4, 6, 256), RouterWork(12, 4, 64))


class TrainResult(NamedTuple):
    """What a run ends with: each seed's mean batch loss in the last epoch, and all its numbers.

    The numbers: angles, then the experts' matrices (expert, class, feature), then their biases
    (expert, class).
    """

    losses: Float64[Floats, " seed"]
    weights: Float64[Floats, "seed weight"]


@dataclass(frozen=True)
class TrainWork:
    """One training run: Two Moons in [0, pi], router `paper` with n=2, four linear experts.

    Gate: softmax over the four outcome probabilities, taken literally. Cross-entropy, Adam. Each
    seed has its own initial weights and its own order of the rows in every epoch, the same for
    all implementations; drawing the orders is part of the run. batch_size None: the full batch.
    """

    seeds: int
    batch_size: int | None = 64
    epochs: int = 100
    layers: int = 12
    points: int = 1000

    @property
    def title(self) -> str:
        """The size as one label."""
        batch = "full batch" if self.batch_size is None else f"minibatch {self.batch_size}"
        return f"{batch}, {self.seeds} seed{'s' if self.seeds > 1 else ''}"

    @property
    def num_angles(self) -> int:
        """Router parameters of one seed: 2 L."""
        return 2 * self.layers

    @property
    def model(self) -> ModelSpec:
        """The same model as our library names it."""
        return ModelSpec("quantum", 2, 2, options={"layers": self.layers}, gate="softmax")

    @cached_property
    def data(self) -> tuple[Float64[Floats, "row feature"], Int64[Ints, " row"]]:
        """Features in [0, pi], scaled on all rows, and labels in {0, 1}."""
        moons = prepared_notebook(self.points)
        return moons.X_train, moons.y_train

    @cached_property
    def initial(self) -> Float64[Floats, "seed weight"]:
        """Initial numbers of every seed."""
        model = self.model.build()
        return np.stack([model.init(ROOT, seed) for seed in range(self.seeds)])

    def orders(self) -> Int64[Ints, "epoch seed row"]:
        """The order of the rows in every epoch of every seed, as the trainer draws it."""
        streams = [stream(ROOT, seed, "batches") for seed in range(self.seeds)]
        return np.stack(
            [[rng.permutation(self.points) for rng in streams] for _ in range(self.epochs)]
        )
