"""Training through a target: the training that was where it is noise-free, else the noisy one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from backends import load
from backends.twin import Twin
from hardware_runs.treated import checkpoints
from hardware_runs.treatments import checkpoint_for, train_for
from qmoe.ansatz import paper
from qmoe.cell import Cell
from qmoe.checkpoint import load as load_checkpoint
from qmoe.checkpoint import save
from qmoe.data import DataSpec
from qmoe.errors import InputError
from qmoe.predict import evaluate
from qmoe.provenance import capture
from qmoe.retrained import retrained
from qmoe.train import TrainConfig
from qmoe.trial import search
from qmoe.tune import tune
from tests.backends.planted import Sound

pytestmark = pytest.mark.usefixtures("unchecked")

NOISE = "placement=gate,depolarizing=0.05,amplitude_damping=0.1,readout=0.05"
CELL = Cell(
    DataSpec("moons", noise=0.1),
    "quantum",
    {"layers": 2},
    trials=search(6),
    seeds=(3, 5, 8, 9),
    root=11,
    config=TrainConfig(epochs=30, batch_size=30, evaluate_every=5),
    sizes=(60, 40, 50),
)


@pytest.fixture(scope="module")
def result():
    return tune(CELL)


@pytest.fixture(scope="module")
def clean(result):
    return checkpoints(retrained(CELL, result))


def compiled_by(spec, clean):
    return load(spec).compile(clean[0].routed.circuit)


def through(backend, compiled, routed, X):
    """Class probabilities by the road that a router takes on a target."""
    bound = compiled.bind_weights(routed.angles)
    return routed.answer(X, backend.probabilities(bound, routed.features(X))).probabilities


def nats(probabilities, y):
    return float(-np.log(probabilities[np.arange(len(y)), y]).mean())


def test_through_a_target_without_noise_it_is_the_training_that_was(result, clean):
    trials = [result.trials[k] for k in result.chosen]
    # one of each gate, and seeds that see features at other scales
    assert {trial.gate for trial in trials} == {"auto", "temperature"}
    assert len({trial.embedding_scale for trial in trials}) > 1
    found = train_for(CELL, result, compiled_by("torch", clean))
    assert len(found) == len(clean)
    for mine, other in zip(found, clean, strict=True):
        assert_array_equal(mine.data.X_train, other.data.X_train)
        said, expected = (
            evaluate(one.routed.model, one.routed.weights, one.data.X_test) for one in (mine, other)
        )
        assert_allclose(said.probabilities, expected.probabilities, rtol=0, atol=1e-9)


def test_through_a_noise_model_it_is_the_routers_own_training_under_it(result, clean):
    under = checkpoints(retrained(CELL, result, options={"layers": 2, "noise": NOISE}))
    found = train_for(CELL, result, compiled_by(f"ibm:dm,{NOISE}", clean))
    for mine, other, without in zip(found, under, clean, strict=True):
        assert_allclose(mine.routed.weights, other.routed.weights, rtol=0, atol=1e-7)
        assert np.abs(mine.routed.weights - without.routed.weights).max() > 1e-3


@pytest.mark.parametrize(
    "spec", ["planted", pytest.param("ibm:fake_boston", marks=pytest.mark.slow)]
)
def test_it_runs_where_it_was_trained(spec, result, clean):
    backend = Sound() if spec == "planted" else load(spec)
    compiled = backend.compile(clean[0].routed.circuit)
    for mine, other in zip(train_for(CELL, result, compiled), clean, strict=True):
        X = mine.data.X_test[:10]
        # two ways to the target's probabilities: its own, and its twin's
        own, twins = (through(one, compiled, mine.routed, X) for one in (backend, Twin(backend)))
        assert_allclose(own, twins, rtol=0, atol=1e-9)
        assert np.abs(own - through(backend, compiled, other.routed, X)).max() > 1e-4


def test_under_much_noise_it_fits_better_there_and_worse_without(result, clean):
    noisy, ideal = load(f"ibm:dm,{NOISE}"), load("torch")
    better, worse = [], []
    fitted = train_for(CELL, result, compiled_by(noisy.spec, clean))
    for mine, other in zip(fitted, clean, strict=True):
        # weights are kept by their cross-entropy on these rows
        X, y = mine.data.X_validation, mine.data.y_validation
        for backend, gains in ((noisy, better), (ideal, worse)):
            compiled = backend.compile(mine.routed.circuit)
            pair = (nats(through(backend, compiled, one.routed, X), y) for one in (other, mine))
            gains.append(next(pair) - next(pair))
    assert np.mean(better) > 0 > np.mean(worse)


def test_seeds_train_alone_as_they_do_together(result, clean):
    compiled = compiled_by(f"ibm:dm,{NOISE}", clean)
    together = train_for(CELL, result, compiled)
    for position in (1, 3):
        (alone,) = train_for(CELL, result, compiled, (position,))
        assert_allclose(alone.routed.weights, together[position].routed.weights, rtol=0, atol=1e-7)


def test_a_checkpoint_predicts_without_its_target(tmp_path, result, clean):
    target = f"ibm:dm,{NOISE}"
    stored = checkpoint_for(CELL, result, target, capture(0))
    save(tmp_path / "kept", stored)
    again = load_checkpoint(tmp_path / "kept")
    assert again.digest == stored.digest
    compiled = compiled_by(target, clean)
    (mine,) = train_for(CELL, result, compiled, (0,))
    assert_array_equal(again.weights, mine.routed.weights)
    X, y = mine.data.X_test, mine.data.y_test
    ideal = evaluate(again.model(), again.weights, X).probabilities
    noisy = through(load(target), compiled, mine.routed, X)
    assert again.metrics["accuracy_test"] == (ideal.argmax(1) == y).mean()
    assert again.metrics["accuracy_target"] == (noisy.argmax(1) == y).mean()
    assert np.abs(ideal - noisy).max() > 1e-3


def test_what_cannot_be_trained_for_is_refused(result, clean):
    compiled = compiled_by("torch", clean)
    with pytest.raises(InputError, match="does not say what its noise is"):
        train_for(CELL, result, replace(compiled, noisy=None))
    with pytest.raises(InputError, match="0 weights"):
        train_for(CELL, result, compiled.bind_weights(clean[0].routed.angles))
    with pytest.raises(InputError, match="2 features, 6 weights"):
        train_for(CELL, result, load("torch").compile(paper(2, 3)))
    with pytest.raises(ValueError, match="no result of the cell"):
        train_for(replace(CELL, root=6), result, compiled)
    mlp = replace(CELL, router="mlp", options={}, trials=search(1))
    with pytest.raises(InputError, match="no circuit"):
        train_for(mlp, tune(mlp), compiled)
