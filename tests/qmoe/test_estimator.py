from __future__ import annotations

import pickle
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris, make_moons
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks

from qmoe.errors import InputError
from qmoe.estimator import QMoEClassifier, RouterWarning
from qmoe.routers import ROUTERS
from qmoe.scaling import Scaler
from qmoe.spec import ModelSpec
from qmoe.train import TrainConfig, examples, train

Floats = NDArray[np.float64]
Data = tuple[Floats, NDArray[np.int64]]

MOONS: Data = make_moons(120, noise=0.1, random_state=0)
# Fewer epochs than the default, which passes too: the checks train each of these some 50 times.
CHECKED = [
    QMoEClassifier(epochs=30),
    QMoEClassifier(
        "linear", scaler="standard", epochs=20, learning_rate=0.2, max_qubits=None, dtype="float32"
    ),
]


def quick(router: str = "quantum", **parameters: Any) -> QMoEClassifier:
    return QMoEClassifier(router, **({"epochs": 30, "random_state": 0} | parameters))


@pytest.mark.filterwarnings("ignore::qmoe.estimator.RouterWarning")
@parametrize_with_checks(CHECKED)
def test_scikit_learn_checks(estimator: QMoEClassifier, check: Any) -> None:
    check(estimator)


@pytest.mark.parametrize("fraction", [0.0, 0.25])
def test_trains_as_the_trainer_does(fraction: float) -> None:
    X, y = MOONS
    made = quick(
        random_state=7,
        router_options={"layers": 3},
        batch_size=50,
        validation_fraction=fraction,
        patience=5 if fraction else None,
    ).fit(X, y)

    draw = int(np.random.default_rng(np.random.SeedSequence(7, spawn_key=(0, 0))).integers(2**32))
    rows, held = np.arange(len(y)), np.arange(0)
    if fraction:
        rows, held = train_test_split(rows, test_size=fraction, stratify=y, random_state=draw)
    config = TrainConfig(
        epochs=30, batch_size=50, patience=5 if fraction else None, evaluate_every=1
    )
    scaler = Scaler.fit(X[rows], "[0, pi]")
    parts = [
        examples(np.ascontiguousarray(scaler.transform(X[part]).X.T)[None], y[part][None], config)
        for part in (rows, held)
        if len(part)
    ]
    model = ModelSpec("quantum", 2, 2, options={"layers": 3}).build()
    done = train(model, parts[0], parts[1] if fraction else None, config, root=7, seeds=[0])

    assert made.weights_.tobytes() == done.weights[0].numpy().tobytes()
    assert made.scaler_ == scaler
    assert (made.n_iter_, made.best_epoch_) == (done.stopped_epoch[0], done.best_epoch[0])
    assert made.loss_curve_ == done.curve.train_loss[:, 0].tolist()
    assert len(made.loss_curve_) == made.n_iter_
    if fraction:
        assert made.validation_scores_ == done.curve.validation_accuracy[:, 0].tolist()
    else:
        assert made.validation_scores_ is None

    prepared = model.prepare(torch.from_numpy(scaler.transform(X).X.T.copy())[None])
    out = model.output(done.weights, prepared)
    np.testing.assert_allclose(
        made.predict_proba(X), out.logits[0].softmax(0).T.numpy(), rtol=0, atol=1e-12
    )
    np.testing.assert_allclose(made.gate_weights(X), out.gate_weights[0].T.numpy(), atol=1e-12)


@pytest.mark.parametrize("router", ROUTERS)
@pytest.mark.filterwarnings("ignore::qmoe.estimator.RouterWarning")
def test_every_router_fits_three_named_classes(router: str) -> None:
    iris = load_iris(as_frame=True)
    names = pd.Series(iris.target_names[iris.target])
    made = quick(router, epochs=80).fit(iris.data, names)
    assert made.classes_.tolist() == ["setosa", "versicolor", "virginica"]
    assert made.feature_names_in_.tolist() == iris.feature_names
    probabilities = made.predict_proba(iris.data)
    assert probabilities.shape == (150, 3)
    np.testing.assert_allclose(probabilities.sum(1), 1.0)
    assert (made.predict(iris.data) == made.classes_[probabilities.argmax(1)]).all()
    gates = made.gate_weights(iris.data)
    assert gates.shape == (150, 4)
    assert (gates >= 0).all()
    np.testing.assert_allclose(gates.sum(1), 1.0)
    # A single linear classifier gets .95 here, and each of the experts is one.
    assert made.score(iris.data, names) > 0.9


@pytest.mark.filterwarnings("ignore::qmoe.estimator.RouterWarning")
def test_more_features_than_qubits_go_through_pca() -> None:
    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)
    made = quick(epochs=150).fit(X_train, y_train)
    assert (made.n_features_in_, made.spec_.num_features) == (64, 4)
    assert made.scaler_ == Scaler.fit(X_train, "[0, pi]", 4)
    # Any single expert could be the linear classifier on these four components, so a trained
    # mixture may trail it by no more than the noise of 450 test rows: 3 sqrt(p (1 - p) / 450).
    seen, unseen = (made.scaler_.transform(part).X for part in (X_train, X_test))
    linear = LogisticRegression(C=1e3, max_iter=1000).fit(seen, y_train).score(unseen, y_test)
    noise = 3 * np.sqrt(linear * (1 - linear) / len(y_test))
    assert made.score(X_test, y_test) > linear - noise


def test_fewer_components_where_the_columns_span_less() -> None:
    X, y = MOONS
    made = quick(max_qubits=3).fit(np.hstack([X, 2 * X, -X]), y)
    assert made.spec_.num_features == 2
    assert quick("linear", max_qubits=None).fit(np.hstack([X, X]), y).spec_.num_features == 4


def test_one_feature_is_enough() -> None:
    X, y = MOONS
    made = quick().fit(X[:, 1:], y)
    assert made.spec_.num_features == 1
    assert made.score(X[:, 1:], y) > 0.7  # the upper moon lies above the lower one


def test_grid_search_over_routers_in_a_pipeline() -> None:
    X, y = MOONS
    pipeline = make_pipeline(FunctionTransformer(), quick())
    grid = {
        "qmoeclassifier__router": ["quantum", "linear", "constant"],
        "qmoeclassifier__num_experts": np.array([2, 4]),
        "qmoeclassifier__learning_rate": np.array([0.1]),
    }
    search = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(X, y)
    assert len(search.cv_results_["params"]) == 6
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    best = search.best_estimator_[-1]
    assert best.spec_.router == search.best_params_["qmoeclassifier__router"]
    assert search.score(X, y) == best.score(X, y)


def test_clone_and_pickle() -> None:
    X, y = MOONS
    options = {"layers": 1}
    made = quick(router_options=options).fit(X, y)
    assert options == {"layers": 1}
    fresh = clone(made)
    assert not hasattr(fresh, "weights_")
    assert fresh.get_params() == made.get_params()
    again = pickle.loads(pickle.dumps(made))
    assert again.predict_proba(X).tobytes() == made.predict_proba(X).tobytes()


def test_random_state() -> None:
    X, y = MOONS

    def weights(random_state: Any) -> bytes:
        made = quick(epochs=2, batch_size=40, random_state=random_state).fit(X, y)
        return bytes(made.weights_.tobytes())

    before = np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    assert weights(3) == weights(3) == weights(np.int64(3))
    assert weights(3) != weights(4)
    assert weights(np.random.RandomState(3)) == weights(np.random.RandomState(3))
    generator = np.random.RandomState(3)
    assert weights(generator) != weights(generator)
    assert weights(None) != weights(None)
    after = np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    assert after == before


def test_early_stopping_keeps_the_best_weights() -> None:
    X, y = MOONS
    made = quick("linear", epochs=400, validation_fraction=0.3, patience=10, learning_rate=0.3).fit(
        X, y
    )
    assert made.n_iter_ < 400
    assert made.best_epoch_ == made.n_iter_ - 10


def test_warns_of_what_the_router_cannot_see() -> None:
    X, y = load_iris(return_X_y=True)
    with pytest.warns(RouterWarning, match="only 3 of 4 features"):
        quick(epochs=1).fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        quick(epochs=1, router_options={"layers": 3}).fit(X, y)


@pytest.mark.parametrize(
    ("parameters", "answer"),
    [
        ({"router": "quantom"}, "did you mean 'quantum'"),
        ({"router_options": {"layer": 2}}, "did you mean 'layers'"),
        ({"router_options": {"layers": -1}}, "-1"),
        ({"router_options": [("layers", 2)]}, "expected a dict or None"),
        ({"router_options": {"num_qubits": 1}, "num_experts": 2}, "more features than qubits"),
        ({"router": "linear", "gate": "probability"}, "gate 'probability'"),
        ({"num_experts": 0}, "number of experts 0"),
        ({"top_k": 5}, "top-k 5 of 4 experts"),
        ({"max_qubits": 0}, "max_qubits 0"),
        ({"router": None}, "router None; expected a name"),
        ({"scaler": "pi"}, "scaler 'pi'"),
        ({"epochs": 0}, "number of epochs 0"),
        ({"batch_size": 0}, "batch size 0"),
        ({"learning_rate": float("nan")}, "learning rate nan"),
        ({"validation_fraction": 1.0}, "validation fraction 1.0"),
        ({"patience": 3}, "without rows held out"),
        ({"dtype": "float16"}, "dtype 'float16'"),
    ],
)
def test_wrong_parameters_are_one_line(parameters: dict[str, Any], answer: str) -> None:
    estimator = quick().set_params(**parameters)  # the constructor stores whatever it gets
    with pytest.raises(InputError) as caught:
        estimator.fit(*MOONS)
    assert answer in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not hasattr(estimator, "weights_")


def test_one_class_is_refused() -> None:
    with pytest.raises(InputError, match="labels of one class; expected at least two classes"):
        quick().fit(MOONS[0], np.ones(120))
