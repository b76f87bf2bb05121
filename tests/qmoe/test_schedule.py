"""Layer-wise training: which weights move when, and that the grown circuit is the shallow one."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from qmoe.errors import InputError
from qmoe.schedule import Layerwise
from qmoe.spec import ModelSpec
from qmoe.train import TrainConfig, train
from tests.qmoe.training import small


def deep(layers: int):
    return ModelSpec("quantum", 2, 2, 4, {"layers": layers}).build()


def test_layers_move_one_after_the_other_and_then_all():
    schedule = Layerwise(deep(3), 12)
    seen = []
    for epoch in range(1, 13):
        moving = schedule.moving(epoch)
        seen.append("all" if moving is None else "".join("01"[int(v)] for v in moving[:6]))
        assert moving is None or bool(moving[6:].all())  # experts always learn
    grown = ["110000"] * 2 + ["001100"] * 2 + ["000011"] * 2
    assert seen == grown + ["all"] * 6


def test_while_the_first_layer_grows_the_circuit_is_the_one_layer_circuit():
    """Frozen layers at zero are CZs, which no measurement sees: the same weights, bit for bit."""
    data = small(1, 30, TrainConfig())
    tall, low = deep(3), deep(1)
    config = TrainConfig(epochs=2, layerwise=False, evaluate_every=1)
    schedule = Layerwise(tall, 12)
    start = torch.from_numpy(tall.init(0, 5)).unsqueeze(0)
    schedule.start(start)
    assert not start[0, 2:6].any() and start[0, :2].all()
    short = torch.cat([start[:, :2], start[:, 6:]], 1)
    p = tall.output(start, tall.prepare(data.features)).gate_weights
    q = low.output(short, low.prepare(data.features)).gate_weights
    torch.testing.assert_close(p, q, rtol=0, atol=1e-12)
    assert config.epochs == 2


def test_frozen_layers_do_not_move_at_all_and_released_ones_do():
    data = small(2, 30, TrainConfig())
    model = deep(2)
    half = TrainConfig(epochs=8, layerwise=True, evaluate_every=8)
    result = train(model, data, None, half, root=0, seeds=(1, 2))
    assert bool((result.weights[:, :4] != 0).all())
    start = np.stack([model.init(0, s) for s in (1, 2)])
    assert np.abs(result.weights[:, :2].numpy() - start[:, :2]).max() > 0.01


@pytest.mark.parametrize(
    ("router", "epochs", "said"),
    [("linear", 40, "layer-wise training of linear"), ("quantum", 3, "3 epochs for layer-wise")],
)
def test_what_cannot_be_grown_is_refused(router, epochs, said):
    model = ModelSpec(router, 2, 2).build()
    with pytest.raises(InputError, match=said):
        Layerwise(model, epochs)
