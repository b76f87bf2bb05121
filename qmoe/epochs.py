"""One epoch of training for all seeds, by tensors: the plain way, which works for every model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Int64, Num
from torch import Tensor

from qmoe.arrays import Ints
from qmoe.moe import MixtureOfExperts, Prepared
from qmoe.seeds import stream

BETAS, EPS = (0.9, 0.999), 1e-8


class Examples(NamedTuple):
    """Features and labels; a seed axis of length 1 is shared by all seeds.

    `seen` is what the router sees of the features; None: the model's own embedding of them.
    """

    features: Float[Tensor, "s feature batch"]
    labels: Int[Tensor, "s batch"]
    seen: Float[Tensor, "seed feature batch"] | None = None


@runtime_checkable
class Epochs(Protocol):
    """Something that trains weights in place, an epoch at a time."""

    def epoch(self, moving: Bool[Tensor, " weight"] | None = None) -> Float[Tensor, " seed"]:
        """One pass over the data; the mean cross-entropy of its batches.

        moving: the weights that may change; None lets all of them.
        """
        ...


class Orders:
    """The order of the samples in every epoch: each seed's own, from its own stream."""

    def __init__(
        self, rows: int, size: int | None, root: int, seeds: Sequence[int], replicate: int = 0
    ) -> None:
        self.rows = rows
        self.size = rows if size is None else min(size, rows)
        self.steps = steps_in(rows, size)
        self.streams = [stream(root, seed, "batches", replicate) for seed in seeds]

    @property
    def full_batch(self) -> bool:
        """Whether one batch holds everything, so that order does not matter."""
        return self.size == self.rows

    def next(self) -> Int64[Ints, "seed row"]:
        """The permutations of the next epoch."""
        return np.stack([rng.permutation(self.rows) for rng in self.streams])


class Adam:
    """Adam (arXiv 1412.6980) in place on one flat weight vector per seed, each with its own rate.

    `step` leaves weights where `moving` is False exactly as they are.
    """

    def __init__(
        self, weights: Float[Tensor, "seed weight"], learning_rates: Float[Tensor, " seed"]
    ) -> None:
        self.weights, self.rates = weights, learning_rates.to(weights).unsqueeze(1)
        self.mean = torch.zeros_like(weights)
        self.square = torch.zeros_like(weights)
        self.steps = 0

    def step(
        self,
        gradient: Float[Tensor, "seed weight"],
        moving: Bool[Tensor, " weight"] | None = None,
    ) -> None:
        """One update of the weights."""
        self.steps += 1
        first, second = BETAS
        self.mean.lerp_(gradient, 1 - first)
        self.square.mul_(second).addcmul_(gradient, gradient, value=1 - second)
        scale = (self.square / (1 - second**self.steps)).sqrt_().add_(EPS)
        update = (self.mean / scale).mul_(self.rates / (1 - first**self.steps))
        self.weights.sub_(update if moving is None else update * moving)


class PlainEpochs:
    """Batches through `MixtureOfExperts.gradient`, all seeds in every tensor operation."""

    def __init__(
        self,
        model: MixtureOfExperts,
        weights: Float[Tensor, "seed weight"],
        data: Examples,
        orders: Orders,
        learning_rates: Float[Tensor, " seed"],
    ) -> None:
        self.model, self.weights, self.orders = model, weights, orders
        self.data = model.prepare(data.features, data.seen)
        self.targets = one_hot(data.labels, model.experts.num_classes).to(weights)
        self.adam = Adam(weights, learning_rates)

    def epoch(self, moving: Bool[Tensor, " weight"] | None = None) -> Float[Tensor, " seed"]:
        """One pass over the data; the mean cross-entropy of its batches."""
        data, targets = self.data, self.targets
        if not self.orders.full_batch:
            order = torch.from_numpy(self.orders.next()).to(targets.device)
            features = _take(data.features, order)
            cached = data.rows is not data.features
            data = Prepared(_take(data.rows, order) if cached else features, features)
            targets = _take(targets, order)
        total = torch.zeros_like(self.weights[:, 0])
        for i in range(0, self.orders.rows, self.orders.size):
            part = slice(i, i + self.orders.size)
            batch = Prepared(data.rows[..., part], data.features[..., part])
            gradient = self.model.gradient(self.weights, batch, targets[..., part])
            self.adam.step(gradient.to_weights, moving)
            total += gradient.cross_entropy
        return total / self.orders.steps


def steps_in(rows: int, size: int | None) -> int:
    """Batches in an epoch: the last may be smaller, and no size is one batch of everything.

    >>> steps_in(1000, 64), steps_in(1000, None)
    (16, 1)
    """
    return 1 if size is None else -(-rows // size)


def one_hot(labels: Int[Tensor, "s batch"], num_classes: int) -> Int[Tensor, "s class batch"]:
    """Labels as 0/1 rows, batch last."""
    return torch.nn.functional.one_hot(labels, num_classes).transpose(1, 2)


def _take(
    rows: Num[Tensor, "s row batch"], order: Int64[Tensor, "seed batch"]
) -> Num[Tensor, "seed row batch"]:
    """The columns of each seed in its own order."""
    index = order.unsqueeze(1).expand(-1, rows.shape[1], -1)
    return rows.expand(len(order), -1, -1).gather(2, index)
