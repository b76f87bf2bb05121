from __future__ import annotations

import math
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from qmoe.bench import Bench
from qmoe.cell import Cell
from qmoe.data import DataSpec, Sizes, stack
from qmoe.failures import (
    OSCILLATION,
    PLATEAU_RATE,
    Training,
    collapse,
    failures,
    imbalance,
    oscillation,
    plateau,
)
from qmoe.metrics import Score, expert_load
from qmoe.spec import ModelSpec
from qmoe.train import TrainConfig, examples, train
from qmoe.trainability import gradient_variance
from qmoe.tune import tune

SEEDS = (0, 1, 2)
HEALTHY = Training(
    accuracy=0.9,
    rows=500,
    majority=0.5,
    classes=2,
    expert_load=np.array([0.3, 0.2, 0.25, 0.25]),
    steps=np.arange(10, 201, 10),
    train_loss=0.1 + np.exp(-np.arange(20) / 4),
)


MOONS = DataSpec("moons", noise=0.2)
FULL = TrainConfig(epochs=60, evaluate_every=4)
CASES = {
    "healthy": (MOONS, ModelSpec("quantum", 2, 2), FULL),
    "healthy in batches": (
        MOONS,
        ModelSpec("quantum", 2, 2),
        replace(FULL, epochs=24, batch_size=64, evaluate_every=1),
    ),
    "circles": (DataSpec("circles"), ModelSpec("quantum", 2, 2), FULL),
    "circles without a router": (DataSpec("circles"), ModelSpec("constant", 2, 2), FULL),
    "saturated": (MOONS, ModelSpec("mlp", 2, 2), replace(FULL, learning_rate=1.0)),
    "one of eight": (MOONS, ModelSpec("linear", 2, 2, 8, top_k=1, init_scale=30.0), FULL),
    "rate 5": (
        MOONS,
        ModelSpec("quantum", 2, 2),
        replace(FULL, learning_rate=5.0, evaluate_every=1),
    ),
}


@cache
def trained(case: str) -> tuple[Training, ...]:
    """Real trainings, one per seed, as the detectors see them."""
    source, spec, config = CASES[case]
    bench = Bench.controlled(source, root=0, seeds=SEEDS, sizes=Sizes(1000, 100, 500))
    parts = stack(bench.parts)
    rows = examples(parts.X_train, parts.y_train, config)
    held_out = examples(parts.X_validation, parts.y_validation, config)
    test = examples(parts.X_test, parts.y_test, config)
    model = spec.build()
    result = train(model, rows, held_out, config, root=0, seeds=SEEDS)
    out = model.output(result.weights, model.prepare(test.features))
    right = (out.logits.argmax(1) == test.labels).double().mean(1)
    load = expert_load(out.gate_weights.numpy())
    return tuple(
        Training(
            accuracy=float(right[s]),
            rows=500,
            majority=0.5,
            classes=2,
            expert_load=load[s],
            steps=result.curve.epochs,
            train_loss=result.curve.train_loss[:, s],
        )
        for s in range(len(SEEDS))
    )


def names(case: str) -> set[str]:
    return {text.split(":")[0] for training in trained(case) for text in failures(training)}


@cache
def variances(cost: str, layers: int, sizes: tuple[int, ...]) -> dict[int, Score]:
    return {n: gradient_variance(n, layers, cost=cost) for n in sizes}


# ---- planted in real trainings


@pytest.mark.parametrize("case", ["healthy", "healthy in batches", "circles"])
def test_healthy_trainings_are_not_warned_of(case):
    assert names(case) == set()


def test_linear_experts_without_a_router_collapse_on_circles():
    found = [collapse(training) for training in trained("circles without a router")]
    assert all(found)
    assert "--init-scale 0.1" in str(found[0])
    assert "no barren plateau" in str(found[0])
    assert not any(map(plateau, trained("circles without a router")))
    assert not any(map(collapse, trained("circles")))


def test_a_saturated_router_sends_everything_to_one_expert():
    found = [imbalance(training) for training in trained("saturated")]
    assert all(found)
    for failure, training in zip(found, trained("saturated"), strict=True):
        top = training.expert_load.argmax()
        assert f"expert {top} of 4 carries" in str(failure)
        assert "--load-balance 0.01" in str(failure)


def test_an_expert_that_no_input_reaches_is_named():
    for training in trained("one of eight"):
        assert training.expert_load.min() == 0
        assert training.expert_load.max() < 1 - 1 / 16
        unused = int(training.expert_load.argmin())
        assert f"expert {unused} of 8 carries 0 of the load" in str(imbalance(training))
    assert not any(map(imbalance, trained("healthy")))


def test_a_learning_rate_of_5_oscillates_and_one_of_a_twentieth_does_not():
    for training in trained("rate 5"):
        assert "lower the learning rate (--lr)" in str(oscillation(training))
    for case in ("healthy", "healthy in batches"):
        assert not any(map(oscillation, trained(case)))


def test_a_global_measurement_of_many_qubits_is_a_barren_plateau_whatever_the_accuracy():
    wide = variances("global", 12, (2, 8))
    found = plateau(replace(HEALTHY, gradient_variance=wide))
    assert "at 8 qubits" in str(found)
    assert "--layerwise" in str(found)
    assert failures(replace(HEALTHY, gradient_variance=wide)) == (str(found),)


def test_neither_few_qubits_nor_a_local_measurement_nor_low_accuracy_is_a_plateau():
    lost = replace(HEALTHY, accuracy=0.5)
    assert plateau(lost) is None
    assert plateau(replace(lost, gradient_variance=variances("global", 12, (2,)))) is None
    assert plateau(replace(lost, gradient_variance=variances("local", 12, (2, 8)))) is None
    assert plateau(replace(lost, gradient_variance=variances("outcome", 1, (2, 8)))) is None


def test_of_a_result_is_what_it_says():
    cell = Cell(
        MOONS,
        "quantum",
        seeds=(0, 1),
        config=TrainConfig(epochs=20, batch_size=50, evaluate_every=10),
        sizes=(100, 50, 200),
    )
    result = tune(cell)
    found = Training.of(result, 1, 0.5)
    assert found.accuracy == result.test_correct[1] / 200
    assert (found.rows, found.majority, found.classes) == (200, 0.5, 2)
    assert found.steps.tolist() == [20, 40]
    assert found.train_loss.tolist() == [row[1] for row in result.curve_loss]
    assert found.expert_load.tolist() == list(result.expert_load[1])
    # a result without its loss curves says nothing of oscillation
    assert Training.of(result.small(), 1, 0.5).steps.size == 0
    assert oscillation(Training.of(result.small(), 1, 0.5)) is None


# ---- the bounds


@given(st.integers(1, 3000), st.floats(0.1, 0.9))
def test_the_bound_of_chance_is_the_binomial_quantile(rows, majority):
    luck = stats.binom.ppf(0.99, rows, majority)
    at, above = (
        replace(HEALTHY, rows=rows, majority=majority, accuracy=float(k / rows))
        for k in (luck, luck + 1)
    )
    enough = luck / rows < (1 + majority) / 2
    assert (collapse(at) is not None) == enough
    assert collapse(above) is None


def test_a_few_rows_say_nothing_of_chance():
    assert collapse(replace(HEALTHY, accuracy=0.5, rows=10)) is None
    assert collapse(replace(HEALTHY, accuracy=0.5, rows=50)) is not None


@given(st.lists(st.floats(0.01, 1), min_size=1, max_size=8), st.randoms())
def test_imbalance_is_its_two_bounds_in_any_order_of_experts(shares, random):
    load = np.array(shares) / sum(shares)
    expected = load.max() > 1 - 0.5 / len(load) if len(load) > 1 else False
    expected = bool(expected or load.min() < 1 / 500)
    assert (imbalance(replace(HEALTHY, expert_load=load)) is not None) == expected
    random.shuffle(shares)
    again = np.array(shares) / sum(shares)
    assert (imbalance(replace(HEALTHY, expert_load=again)) is not None) == expected


@given(st.lists(st.floats(0, 0.5), min_size=1, max_size=60), st.integers(0, 9))
def test_a_falling_loss_with_small_noise_or_one_spike_is_no_oscillation(falls, seed):
    loss = 1 + sum(falls) - np.cumsum(falls)
    noise = np.random.default_rng(seed).uniform(0, OSCILLATION * math.log(2), len(loss))
    curves = [loss, loss + noise]
    curves += [loss + 50 * (np.arange(len(loss)) == at) for at in range(len(loss))]
    for curve in curves:
        assert oscillation(replace(HEALTHY, train_loss=curve, steps=np.arange(len(loss)))) is None


@given(st.integers(8, 60), st.floats(0.15, 10))
def test_a_loss_that_comes_and_goes_is_one(points, height):
    loss = 1 + height * (np.arange(points) % 2)
    training = replace(HEALTHY, train_loss=loss, steps=np.arange(points))
    # half of all moves, give or take one, are rises by the height; fewer than three are none
    rises = (np.diff(loss)[points // 2 - 1 :] > 0).sum()
    assert (oscillation(training) is not None) == (rises >= 3)
    # what it did early and no longer does is forgiven
    quiet = np.concatenate([loss, np.full(points + 1, 1.0)])
    forgiven = replace(HEALTHY, train_loss=quiet, steps=np.arange(len(quiet)))
    assert oscillation(forgiven) is None


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_lost_is_named_with_its_step(bad):
    loss = HEALTHY.train_loss.copy()
    loss[7:] = bad
    assert "no longer finite at step 80;" in str(oscillation(replace(HEALTHY, train_loss=loss)))


@given(st.floats(-3, 3), st.integers(3, 12))
def test_a_plateau_is_a_fall_faster_than_the_rate(rate, n):
    def exactly(value: float) -> Score:
        return Score(value, value, value)

    gradient = {2: exactly(0.3), n: exactly(0.3 * math.exp(-rate * (n - 2)))}
    if abs(rate - PLATEAU_RATE) > 1e-9:
        found = plateau(replace(HEALTHY, gradient_variance=gradient))
        assert (found is not None) == (rate > PLATEAU_RATE)


def test_a_gradient_of_nothing_is_a_plateau_and_an_unknown_interval_is_none():
    nothing = {2: Score(0.3, 0.2, 0.4), 6: Score(0.0, 0.0, 0.0)}
    assert "factor inf" in str(plateau(replace(HEALTHY, gradient_variance=nothing)))
    unknown = {2: Score(0.3, 0.2, 0.4), 6: Score(0.0, math.nan, math.nan)}
    assert plateau(replace(HEALTHY, gradient_variance=unknown)) is None
    # nor is one whose interval reaches too far up
    wide = {2: Score(0.3, 0.2, 0.4), 6: Score(0.001, 0.0001, 0.2)}
    assert plateau(replace(HEALTHY, gradient_variance=wide)) is None


def test_all_that_is_wrong_is_said_in_single_lines():
    training = replace(
        HEALTHY,
        accuracy=0.5,
        expert_load=np.array([1.0, 0.0]),
        train_loss=np.arange(20) % 2 * 3.0,
        gradient_variance={2: Score(0.3, 0.2, 0.4), 9: Score(1e-6, 1e-7, 1e-5)},
    )
    found = failures(training)
    assert [text.split(":")[0] for text in found] == [
        "collapse near chance",
        "barren plateau",
        "expert imbalance",
        "oscillation",
    ]
    assert not any("\n" in text for text in found)
    assert failures(HEALTHY) == ()
