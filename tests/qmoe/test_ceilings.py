"""Support vector ceilings against sklearn's own machines on Gram matrices made another way."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.svm import SVC

from qmoe.ansatz import notebook
from qmoe.ceilings import KERNELS, fit_svc, multiply_adds, tune_svc
from qmoe.data import DataSpec, Prepared, Sizes, prepared_seeds
from qmoe.errors import InputError
from qmoe.kernels import feature_map, overlap_kernel
from qmoe.trial import Trial

TRIALS = (
    Trial(),
    Trial(embedding_scale=2.0, penalty=30.0),
    Trial(scaler="standard", embedding_scale=0.5, penalty=3.0),
    Trial(scaler="standard", embedding_scale=0.5, penalty=3.0, learning_rate=0.2),
)


def parts_of(data: str, seeds: int, sizes: Sizes | None, pca: int | None = None):
    return {
        scaler: prepared_seeds(
            DataSpec.parse(data), scaler, pca, root=0, seeds=range(seeds), sizes=sizes
        )
        for scaler in ("[0, pi]", "standard")
    }


def gram(kernel: str, X: np.ndarray, Z: np.ndarray, scale: float) -> np.ndarray:
    """By sklearn, and by simulating the states of a circuit with layers after its embedding."""
    if kernel == "rbf":
        return rbf_kernel(scale * X, scale * Z, gamma=1 / X.shape[1])
    circuit = notebook(X.shape[1], 1)
    return overlap_kernel(
        circuit.bind_weights(np.linspace(-2, 2, circuit.num_weights)), scale * X, scale * Z
    )


@pytest.mark.parametrize("data", ["moons,noise=0.2", "wine"])
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize(("penalty", "scale"), [(1.0, 1.0), (50.0, 0.5)])
def test_it_is_sklearns_machine_on_the_gram_matrix(kernel, data, penalty, scale):
    sizes = Sizes(80, 10, 60) if data.startswith("moons") else None
    part = parts_of(data, 1, sizes, pca=3 if sizes is None else None)["[0, pi]"][0]
    found = fit_svc(part.X_train, part.y_train, kernel=kernel, penalty=penalty, scale=scale)
    oracle = SVC(C=penalty, kernel="precomputed")
    oracle.fit(gram(kernel, part.X_train, part.X_train, scale), part.y_train)
    rows = gram(kernel, part.X_test, part.X_train, scale)
    # libsvm stops at a tolerance of 1e-3 in the gradient, so only to that
    np.testing.assert_allclose(
        found.decision_function(part.X_test), oracle.decision_function(rows), rtol=0, atol=5e-3
    )
    clear = np.abs(oracle.decision_function(rows)).reshape(len(rows), -1).min(1) > 5e-3
    assert clear.mean() > 0.9
    assert np.array_equal(found.predict(part.X_test)[clear], oracle.predict(rows)[clear])


def test_the_product_machine_is_linear_in_the_trigonometric_rows():
    part = parts_of("circles", 1, Sizes(100, 10, 200))["[0, pi]"][0]
    found = fit_svc(part.X_train, part.y_train, kernel="product", penalty=10.0, scale=0.5)
    oracle = SVC(C=10.0, kernel="linear").fit(feature_map(part.X_train, 0.5), part.y_train)
    np.testing.assert_allclose(
        found.decision_function(part.X_test),
        oracle.decision_function(feature_map(part.X_test, 0.5)),
        rtol=0,
        atol=5e-3,
    )


def test_a_ring_is_out_of_reach_of_a_line_and_within_reach_of_both_kernels():
    rng = np.random.default_rng(0)
    radius = np.where(np.arange(400) % 2, rng.uniform(0, 0.6, 400), rng.uniform(0.8, 1.4, 400))
    angle = rng.uniform(0, 2 * np.pi, 400)
    X = np.pi / 2 + np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1)
    y = np.arange(400) % 2
    train, test = slice(0, 200), slice(200, 400)
    line = LogisticRegression(C=1e6).fit(X[train], y[train])
    assert line.score(X[test], y[test]) < 0.7
    for kernel in KERNELS:
        machine = fit_svc(X[train], y[train], kernel=kernel, penalty=100.0)
        assert machine.score(X[test], y[test]) > 0.99


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize(
    ("data", "sizes"), [("moons,noise=0.2", Sizes(60, 40, 70)), ("wine", None)]
)
def test_the_search_written_out(kernel, data, sizes):
    parts = parts_of(data, 3, sizes)
    done: list[int] = []
    tuned = tune_svc(parts, TRIALS, kernel, done.append)
    assert done == list(range(1, 3 * len(TRIALS) + 1))
    for i in range(3):
        machines = []
        for t, trial in enumerate(TRIALS):
            part = parts[trial.scaler][i]
            machines.append(
                fit_svc(
                    part.X_train,
                    part.y_train,
                    kernel=kernel,
                    penalty=trial.penalty,
                    scale=trial.embedding_scale,
                )
            )
            accuracy = machines[t].score(part.X_validation, part.y_validation)
            right = accuracy * len(part.y_validation)
            assert tuned.validation_correct[t, i] == pytest.approx(right)
        column = tuned.validation_correct[:, i].tolist()
        t = tuned.chosen[i]
        assert column[t] == max(column) and max(column) not in column[:t]
        part = parts[TRIALS[t].scaler][i]
        test, train = (
            machines[t].score(X, y) * len(y)
            for X, y in ((part.X_test, part.y_test), (part.X_train, part.y_train))
        )
        assert tuned.test_correct[i] == pytest.approx(test)
        assert tuned.train_correct[i] == pytest.approx(train)
        assert tuned.support_vectors[i] == machines[t].n_support_.sum()
    # the last two trials differ in what a support vector machine does not have
    assert np.array_equal(tuned.validation_correct[2], tuned.validation_correct[3])
    assert 3 not in tuned.chosen
    again = tune_svc(parts, TRIALS, kernel)
    assert all(np.array_equal(a, b) for a, b in zip(tuned, again, strict=True))


def test_a_choice_does_not_see_the_test_part():
    def without_labels(part: Prepared) -> Prepared:
        return replace(part, y_test=np.zeros_like(part.y_test))

    parts = parts_of("moons,noise=0.3", 3, Sizes(60, 30, 50))
    blind = {scaler: [without_labels(p) for p in each] for scaler, each in parts.items()}
    seen, unseen = tune_svc(parts, TRIALS, "rbf"), tune_svc(blind, TRIALS, "rbf")
    assert np.array_equal(seen.chosen, unseen.chosen)
    assert not np.array_equal(seen.test_correct, unseen.test_correct)


def test_a_prediction_costs_its_kernel_values_and_coefficients():
    assert multiply_adds(10, 2, 2) == 30
    part = parts_of("wine", 1, None)["standard"][0]
    machine = fit_svc(part.X_train, part.y_train, kernel="rbf")
    stored = machine.support_vectors_.size + machine.dual_coef_.size
    assert multiply_adds(len(machine.support_), 13, 3) == stored


def test_what_cannot_be_fitted_is_said():
    X, y = np.zeros((4, 2)), np.array([0, 1, 0, 1])
    with pytest.raises(InputError, match="kernel 'rfb'; expected one of product, rbf"):
        fit_svc(X, y, kernel="rfb")
    with pytest.raises(InputError, match="training rows of one class"):
        fit_svc(X, np.ones(4, dtype=np.int64), kernel="rbf")
