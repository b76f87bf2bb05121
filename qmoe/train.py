"""Training: many seeds as one batched program, Adam on a hand-written gradient.

Every seed has its own initial weights, its own batches and, where the data say so, its own data;
none sees another. Early stopping keeps, per seed, the weights with the lowest validation
cross-entropy. The same call on the same machine, thread count and versions gives the same bits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from qmoe.angles import finite, whole
from qmoe.arrays import Floats, Ints
from qmoe.compiled import FEWEST_STEPS, CompiledEpochs, covers
from qmoe.epochs import Epochs, Examples, Orders, PlainEpochs, one_hot
from qmoe.errors import InputError, QmoeError, unknown
from qmoe.moe import MixtureOfExperts
from qmoe.schedule import Layerwise
from qmoe.trial import Trial

ENGINES = ("auto", "plain", "compiled")
DTYPES = {"float32": torch.float32, "float64": torch.float64}


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """How to train.

    Attributes:
        epochs: Passes over the training data, at least 1.
        batch_size: Samples of one step; None is the full batch. The last one may be smaller.
        learning_rate: Adam's step size (betas .9 and .999, eps 1e-8).
        patience: Epochs without a lower validation cross-entropy after which a seed stops;
            None never stops early (the best weights are still the ones kept).
        evaluate_every: Epochs between evaluations.
        layerwise: Whether circuit layers are grown one after the other (`qmoe.schedule`).
        replicate: Which of the independent initialisations and batch orders of each seed; two
            replicates of one family are equal learners.
        dtype: "float64" or "float32".
        engine: "plain" (tensors), "compiled" (the kernel of `qmoe.kernel`), or "auto": compiled
            where the model is covered and the steps are many and small.
        device: A torch device.
    """

    epochs: int = 400
    batch_size: int | None = None
    learning_rate: float = 0.05
    patience: int | None = None
    evaluate_every: int = 10
    layerwise: bool = False
    replicate: int = 0
    dtype: str = "float64"
    device: str = "cpu"
    engine: str = "auto"

    def __post_init__(self) -> None:
        whole(self.epochs, "number of epochs", 1)
        whole(self.replicate, "replicate", 0)
        whole(self.evaluate_every, "epochs between evaluations", 1)
        for value, what in ((self.batch_size, "batch size"), (self.patience, "patience")):
            if value is not None:
                whole(value, what, 1)
        if finite(self.learning_rate, "learning rate") <= 0:
            raise InputError(
                got=f"learning rate {self.learning_rate}", expected="> 0", do="try 0.05"
            )
        if self.dtype not in DTYPES:
            raise unknown("dtype", self.dtype, DTYPES)
        if self.engine not in ENGINES:
            raise unknown("engine", self.engine, ENGINES)


class Curve(NamedTuple):
    """Learning curves, one row per evaluation; no validation rows without validation data."""

    epochs: Int64[Ints, " point"]
    train_loss: Float64[Floats, "point seed"]
    validation_accuracy: Float64[Floats, "point seed"]


class Trained(NamedTuple):
    """Weights of every seed, the epoch they are from, and how they came about."""

    weights: Float[Tensor, "seed weight"]
    best_epoch: Int64[Ints, " seed"]
    stopped_epoch: Int64[Ints, " seed"]
    curve: Curve


def train(
    model: MixtureOfExperts,
    data: Examples,
    validation: Examples | None,
    config: TrainConfig,
    *,
    root: int,
    seeds: Sequence[int],
    trials: Sequence[Trial] | None = None,
    progress: Callable[[int], None] | None = None,
) -> Trained:
    """One model, trained for all seeds at once.

    trials: one per entry of `seeds`, which may then name a seed once per trial; its learning
        rate, init scale and embedding scale are used (its scaler and gate are the business of
        whoever prepared data and model). Entries of one seed see the same batches.
    progress: called with the number of epochs done.

    Raises:
        InputError: No seeds, repeated seeds, or data of another number of seeds.
        QmoeError: A loss that is no longer finite, where there is nothing else to choose: with
            trials, such an entry keeps its best weights so far (its first ones if there are none).
    """
    _check(data, validation, seeds, trials, model.experts.num_classes)
    scales = [None] * len(seeds) if trials is None else [trial.init_scale for trial in trials]
    start = np.stack(
        [
            model.init(root, seed, scale, config.replicate)
            for seed, scale in zip(seeds, scales, strict=True)
        ]
    )
    weights = torch.from_numpy(start).to(config.device, DTYPES[config.dtype])
    rates = weights.new_full((len(seeds),), config.learning_rate)
    if trials is not None:
        rates = weights.new_tensor([trial.learning_rate for trial in trials])
        data = _embedded(data, trials)
        validation = None if validation is None else _embedded(validation, trials)
    schedule = Layerwise(model, config.epochs) if config.layerwise else None
    if schedule is not None:
        schedule.start(weights)
    rows = data.labels.shape[1]
    orders = Orders(rows, config.batch_size, root, seeds, config.replicate)
    engine = _engine(model, weights, data, orders, config, rates)
    monitor = _Monitor(model, validation, config, weights, forgiving=trials is not None)
    for epoch in range(1, config.epochs + 1):
        loss = engine.epoch(None if schedule is None else schedule.moving(epoch))
        if epoch % config.evaluate_every == 0 or epoch == config.epochs:
            monitor.look(epoch, weights, loss)
        if progress is not None:
            progress(epoch)
        if monitor.all_done:
            break
    return monitor.result(weights)


def examples(
    features: Float64[Floats, "s feature batch"],
    labels: Int64[Ints, "s batch"],
    config: TrainConfig,
) -> Examples:
    """Arrays moved to the dtype and device of a configuration."""
    rows = torch.from_numpy(features).to(config.device, DTYPES[config.dtype])
    return Examples(rows, torch.from_numpy(labels).to(config.device))


def _embedded(data: Examples, trials: Sequence[Trial]) -> Examples:
    """What each trial's router sees; the features themselves where no trial rescales them."""
    scales = data.features.new_tensor([trial.embedding_scale for trial in trials])
    if bool((scales == 1.0).all()):
        return data._replace(seen=data.features)
    return data._replace(seen=data.features * scales[:, None, None])


def _engine(
    model: MixtureOfExperts,
    weights: Float[Tensor, "seed weight"],
    data: Examples,
    orders: Orders,
    config: TrainConfig,
    rates: Float[Tensor, " seed"],
) -> Epochs:
    asked = config.engine == "compiled"
    many = config.engine == "auto" and config.epochs * orders.steps >= FEWEST_STEPS
    if (asked or many) and not config.layerwise and covers(model, weights):
        return CompiledEpochs(model, weights, data, orders, rates)
    if asked:
        raise InputError(
            got=f"engine 'compiled' for {model.router.label}",
            expected="a real circuit of few qubits with one upload, on the CPU in float64, "
            "all layers at once",
            do="leave the engine at auto",
        )
    return PlainEpochs(model, weights, data, orders, rates)


class _Monitor:
    """Curves, and the best weights of each seed so far."""

    def __init__(
        self,
        model: MixtureOfExperts,
        validation: Examples | None,
        config: TrainConfig,
        weights: Float[Tensor, "seed weight"],
        *,
        forgiving: bool = False,
    ) -> None:
        self.model, self.config = model, config
        self.forgiving = forgiving
        seeds = len(weights)
        self.best = weights.clone()
        self.lowest = np.full(seeds, np.inf)
        self.best_epoch = np.zeros(seeds, dtype=np.int64)
        self.stopped = np.zeros(seeds, dtype=np.int64)
        self.epochs: list[int] = []
        self.losses: list[Float64[Floats, " seed"]] = []
        self.accuracies: list[Float64[Floats, " seed"]] = []
        self.validation = validation
        if validation is not None:
            self.prepared = model.prepare(validation.features, validation.seen)
            self.targets = one_hot(validation.labels, model.experts.num_classes).to(weights)

    @property
    def all_done(self) -> bool:
        return bool((self.stopped > 0).all())

    def look(
        self, epoch: int, weights: Float[Tensor, "seed weight"], loss: Float[Tensor, " seed"]
    ) -> None:
        losses = loss.double().cpu().numpy()
        gone = ~np.isfinite(losses) & (self.stopped == 0)
        if gone.any() and not self.forgiving:
            lost = ", ".join(map(str, np.flatnonzero(gone)))
            raise QmoeError(
                f"the loss is no longer finite at epoch {epoch} (seeds at {lost}); "
                "lower the learning rate"
            )
        self.epochs.append(epoch)
        self.losses.append(losses)
        if self.validation is None:
            return
        logits = self.model.output(weights, self.prepared).logits
        right = (logits.argmax(1) == self.validation.labels).double().mean(1)
        self.accuracies.append(right.cpu().numpy())
        held_out = -(self.targets * logits.log_softmax(1)).sum(1).mean(1).double().cpu().numpy()
        better = (held_out < self.lowest) & (self.stopped == 0)
        self.lowest[better] = held_out[better]
        self.best_epoch[better] = epoch
        mask = torch.from_numpy(better).to(weights.device)
        self.best[mask] = weights[mask]
        if self.config.patience is not None:
            tired = epoch - self.best_epoch >= self.config.patience
            self.stopped[tired & (self.stopped == 0)] = epoch

    def result(self, weights: Float[Tensor, "seed weight"]) -> Trained:
        last = self.epochs[-1]
        kept = self.best if self.validation is not None else weights
        best_epoch = (
            self.best_epoch if self.validation is not None else np.full_like(self.best_epoch, last)
        )
        curve = Curve(
            np.array(self.epochs),
            np.stack(self.losses),
            np.stack(self.accuracies) if self.accuracies else np.empty((0, len(weights))),
        )
        return Trained(kept, best_epoch, np.where(self.stopped > 0, self.stopped, last), curve)


def _check(
    data: Examples,
    validation: Examples | None,
    seeds: Sequence[int],
    trials: Sequence[Trial] | None,
    num_classes: int,
) -> None:
    if trials is not None and len(trials) != len(seeds):
        raise ValueError(f"got {len(trials)} trials for {len(seeds)} entries; expected one each")
    entries = list(zip(seeds, trials, strict=True)) if trials is not None else list(seeds)
    if not seeds or len(set(entries)) != len(entries):
        raise InputError(
            got=f"{len(seeds)} seeds ({len(set(seeds))} different)",
            expected="at least one seed, none twice",
            do="pass a number of seeds >= 1",
        )
    for part in (data, validation):
        if part is None:
            continue
        if len(part.features) not in (1, len(seeds)):
            raise InputError(
                got=f"data of {len(part.features)} seeds for {len(seeds)} seeds",
                expected="one data set per seed, or one for all",
                do="prepare the data with the same seeds",
            )
        low, high = int(part.labels.min()), int(part.labels.max())
        if low < 0 or high >= num_classes:
            raise InputError(
                got=f"labels from {low} to {high}",
                expected=f"0 to {num_classes - 1}, as the model has {num_classes} classes",
                do="number the classes from 0",
            )
