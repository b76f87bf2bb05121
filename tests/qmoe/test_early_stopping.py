"""What a run keeps, when it stops and whom it tells, with validation losses from a script."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from qmoe.epochs import Examples
from qmoe.errors import QmoeError
from qmoe.moe import Gradient, MixtureOfExperts, Output
from qmoe.spec import ModelSpec
from qmoe.train import TrainConfig, Trained, train
from tests.qmoe.training import SPECS, small


class Scripted(MixtureOfExperts):
    """A model whose validation cross-entropy is a script, and whose weights count the steps."""

    def __init__(self, script: list[list[float]], losses: list[list[float]] | None = None) -> None:
        built = ModelSpec("constant", 2, 2).build()
        super().__init__(built.router, built.experts, built.gate)
        self.script, self.losses = iter(script), iter(losses or [])
        self.has_losses = losses is not None

    def init(self, root, seed, scale=None, replicate=0):
        return np.zeros(self.size)

    def gradient(self, weights, data, targets):
        loss = next(self.losses) if self.has_losses else [1.0] * len(weights)
        return Gradient(weights.new_tensor(loss), -torch.ones_like(weights))

    def output(self, weights, data):
        wanted = weights.new_tensor(next(self.script))
        margin = -torch.log(torch.expm1(wanted))  # of the right class, label 0
        logits = torch.stack([margin, torch.zeros_like(margin)], 1).unsqueeze(2)
        logits = logits.expand(-1, -1, data.features.shape[2])
        return Output(logits, torch.full_like(logits, 0.5))


def scripted(script, patience, *, epochs, every=1, losses=None, **more) -> Trained:
    seeds = len(script[0])
    config = TrainConfig(epochs=epochs, patience=patience, evaluate_every=every, learning_rate=1.0)
    data = Examples(torch.zeros(1, 2, 4).double(), torch.zeros(1, 4, dtype=torch.int64))
    model = Scripted(script, losses)
    return train(model, data, data, config, root=0, seeds=range(seeds), **more)


def test_the_best_weights_are_kept_for_each_seed():
    script = [[0.9, 0.5], [0.4, 0.6], [0.7, 0.2], [0.5, 0.3]]
    result = scripted(script, None, epochs=4)
    assert result.best_epoch.tolist() == [2, 3]
    assert result.stopped_epoch.tolist() == [4, 4]
    # every step moves every weight by the learning rate
    torch.testing.assert_close(
        result.weights, torch.tensor([[2.0], [3.0]]).double().expand_as(result.weights)
    )
    assert result.curve.validation_accuracy.shape == (4, 2)


def test_patience_counts_epochs_for_each_seed():
    script = [[0.5, 0.9], [0.6, 0.8], [0.6, 0.7], [0.1, 0.6], [0.1, 0.65], [0.1, 0.65], [0, 0]]
    result = scripted(script, 2, epochs=20)
    # the first stops at 3, so the better value at 4 is not its own; the second at 6
    assert result.best_epoch.tolist() == [1, 4]
    assert result.stopped_epoch.tolist() == [3, 6]
    torch.testing.assert_close(result.weights[:, 0], torch.tensor([1.0, 4.0]).double())
    assert result.curve.epochs.tolist() == [1, 2, 3, 4, 5, 6]


def test_patience_with_evaluations_that_are_far_apart():
    result = scripted([[0.5], [0.6], [0.6], [0.6]], 5, epochs=9, every=3)
    assert result.curve.epochs.tolist() == [3, 6, 9]
    assert result.best_epoch.tolist() == [3]
    assert result.stopped_epoch.tolist() == [9]


def test_an_equal_loss_is_no_better():
    result = scripted([[0.5], [0.5], [0.5]], 2, epochs=10)
    assert result.best_epoch.tolist() == [1]
    assert result.stopped_epoch.tolist() == [3]


def test_the_last_epoch_is_always_evaluated():
    result = scripted([[0.5], [0.4], [0.3]], None, epochs=7, every=3)
    assert result.curve.epochs.tolist() == [3, 6, 7]
    assert result.best_epoch.tolist() == [7]


def test_without_validation_data_the_last_weights_stand():
    config = TrainConfig(epochs=5, evaluate_every=2, patience=1)
    result = train(SPECS["mlp"].build(), small(1, 8, config), None, config, root=0, seeds=[0, 1])
    assert result.best_epoch.tolist() == result.stopped_epoch.tolist() == [5, 5]
    assert result.curve.validation_accuracy.shape == (0, 2)
    assert result.curve.epochs.tolist() == [2, 4, 5]


def test_a_seed_that_has_stopped_may_diverge_without_harm_to_the_others():
    script = [[0.5, 0.9], [0.6, 0.8], [0.6, 0.7], [0.6, 0.6]]
    losses = [[1, 1], [1, 1], [math.nan, 1], [math.nan, 1]]
    result = scripted(script, 1, epochs=4, losses=losses)
    assert result.best_epoch.tolist() == [1, 4]
    assert result.stopped_epoch.tolist() == [2, 4]


# ---- progress and failure


def test_progress_is_told_every_epoch():
    seen: list[int] = []
    scripted([[0.5], [0.4], [0.3]], None, epochs=7, every=3, progress=seen.append)
    assert seen == [1, 2, 3, 4, 5, 6, 7]


def test_progress_is_told_the_last_epoch_of_a_run_that_stops_early():
    seen: list[int] = []
    scripted([[0.5], [0.6]], 1, epochs=9, progress=seen.append)
    assert seen == [1, 2]


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_no_longer_finite_is_an_error_that_names_the_seed(bad):
    losses = [[1, 1, 1], [1, bad, 1]]
    with pytest.raises(QmoeError, match=r"no longer finite at epoch 2 \(seeds at 1\)"):
        scripted([[0.5] * 3] * 2, None, epochs=5, losses=losses)
