"""Temperatures fitted to outcomes: against scipy's brute force, and for models that have one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import brute, fmin

from qmoe.errors import InputError
from qmoe.spec import ModelSpec
from qmoe.temperature import LOG_RANGE, lowest, with_temperature

SEEDS = 3


def test_the_lowest_place_is_that_of_brute_force():
    shifts = np.array([-1.3, 0.0, 0.7, 2.2])

    def loss(x):  # two valleys, of which the grid has to find the deeper one
        return np.cos(3 * (x - shifts)) + 0.2 * (x - shifts) ** 2 + 0.1 * (x - shifts)

    found = lowest(loss, len(shifts), -4.0, 4.0)
    for k in range(len(shifts)):

        def alone(x, k=k):
            return loss(np.full(len(shifts), float(x[0])))[k]

        expected = brute(alone, [(-4, 4)], Ns=400, finish=fmin)
        assert found[k] == pytest.approx(expected[0], abs=1e-4)


def test_the_lowest_place_may_be_at_an_end_and_is_never_worse_than_the_grid():
    assert lowest(lambda x: x, 2, -1.0, 3.0).tolist() == [-1.0, -1.0]
    assert lowest(lambda x: -x, 1, -1.0, 3.0).tolist() == [3.0]
    rng = np.random.default_rng(0)
    places, values = np.linspace(0, 1, 40), rng.random(40)

    def rough(x):
        return np.interp(x, places, values)

    assert rough(lowest(rough, 1, 0.0, 1.0))[0] <= values.min()


def model(gate="temperature", router="quantum", **options):
    return ModelSpec(router, 2, 2, 4, options=options, gate=gate).build()


def planted(made, seed=0, rows=80):
    """Weights, rows and outcome frequencies of a few shots for some seeds."""
    rng = np.random.default_rng(seed)
    weights = torch.from_numpy(np.stack([made.init(0, s) for s in range(SEEDS)]))
    features = torch.from_numpy(rng.uniform(0, np.pi, (SEEDS, 2, rows)))
    labels = torch.from_numpy(rng.integers(2, size=(SEEDS, rows)))
    counts = rng.multinomial(50, rng.dirichlet(np.ones(4), (SEEDS, rows)))
    return weights, features, labels, torch.from_numpy(counts / 50).transpose(1, 2)


@pytest.mark.parametrize("seed", range(4))
def test_a_fitted_temperature_is_that_of_brute_force(seed):
    made = model()
    weights, features, labels, outcomes = planted(made, seed)
    fitted = with_temperature(made, weights, features, labels, outcomes)
    assert torch.equal(fitted[:, :-1], weights[:, :-1])
    for k in range(SEEDS):
        opinions = made.experts.forward(weights[k : k + 1, 4:-1], features[k : k + 1])[0][0].numpy()

        def loss(log_t, k=k, opinions=opinions):
            scaled = outcomes[k].numpy() / np.exp(float(np.squeeze(log_t)))
            gates = np.exp(scaled - scaled.max(0))
            gates /= gates.sum(0)
            logits = (gates[:, None] * opinions).sum(0)
            log_p = logits - np.log(np.exp(logits).sum(0))
            return -log_p[labels[k].numpy(), np.arange(len(labels[k]))].mean()

        place, least, *_ = brute(loss, [LOG_RANGE], Ns=800, finish=None, full_output=True)
        assert loss(fitted[k, -1]) <= least + 1e-9
        assert loss(fitted[k, -1]) == pytest.approx(least, abs=1e-4), place


@pytest.mark.parametrize(
    "made", [model("probability"), model("temperature", "linear")], ids=["probability", "linear"]
)
def test_a_model_without_a_temperature_or_a_circuit_is_refused(made):
    with pytest.raises(InputError, match="train it with gate temperature"):
        with_temperature(made, *planted(made))
