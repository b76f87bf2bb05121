"""The closed-form kernel against simulated states, PennyLane and its space written out."""

from __future__ import annotations

import numpy as np
import pennylane as qml
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from qmoe.ansatz import notebook, paper, reupload
from qmoe.errors import InputError
from qmoe.kernels import dimension, effective_rank, feature_map, overlap_kernel, product_kernel
from qmoe.routers.trig import TrigRouter


def rows(count: int, features: int, seed: int = 0, width: float = 7.0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-width, width, size=(count, features))


def bound(build, n: int, layers: int, seed: int = 0, **options):
    circuit = build(n, layers, **options)
    return circuit.bind_weights(np.random.default_rng(seed).uniform(-3, 3, circuit.num_weights))


@pytest.mark.parametrize("scale", [0.25, 1.0, 2.0])
def test_the_formula_is_the_one_written_in_the_claim(scale):
    X, Z = rows(1030, 3), rows(4, 3, seed=1)  # more rows than are taken at a time
    expected = [[np.prod(np.cos(scale * (x - z) / 2) ** 2) for z in Z] for x in X]
    np.testing.assert_allclose(product_kernel(X, Z, scale), expected, rtol=0, atol=1e-14)


@given(
    st.integers(1, 4),
    st.integers(1, 30),
    st.floats(0.01, 4),
    st.integers(0, 2**32 - 1),
)
def test_it_is_a_kernel(features, count, scale, seed):
    X = rows(count, features, seed)
    gram = product_kernel(X, X, scale)
    assert (gram >= 0).all() and (gram <= 1 + 1e-12).all()
    np.testing.assert_allclose(np.diag(gram), 1, rtol=0, atol=1e-12)
    np.testing.assert_allclose(gram, gram.T, rtol=0, atol=1e-14)
    assert np.linalg.eigvalsh(gram).min() > -1e-12 * count
    shifted = product_kernel(X + 0.7, X + 0.7, scale)  # only differences matter
    np.testing.assert_allclose(gram, shifted, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("build", "n", "layers", "options"),
    [
        (paper, 1, 1, {}),
        (paper, 2, 1, {}),
        (paper, 4, 3, {"entangler": "ring", "measured": (2,)}),
        (notebook, 2, 3, {}),
        (notebook, 4, 2, {"measured": (3, 0)}),
        (reupload, 3, 1, {}),
    ],
)
def test_layers_after_the_embedding_change_nothing(build, n, layers, options):
    X, Z = rows(5, n), rows(4, n, seed=1)
    closed = product_kernel(X, Z)
    for seed in (0, 1):
        found = overlap_kernel(bound(build, n, layers, seed, **options), X, Z)
        np.testing.assert_allclose(found, closed, rtol=0, atol=1e-13)


def test_an_embedding_between_the_layers_is_no_longer_this_kernel():
    X, Z = rows(5, 2), rows(4, 2, seed=1)
    first, second = (overlap_kernel(bound(reupload, 2, 2, seed), X, Z) for seed in (0, 1))
    assert np.abs(first - second).max() > 0.05
    assert np.abs(first - product_kernel(X, Z)).max() > 0.05


def test_the_scale_is_that_of_the_features():
    X, Z = rows(5, 3), rows(4, 3, seed=1)
    found = overlap_kernel(bound(paper, 3, 2), 0.5 * X, 0.5 * Z)
    np.testing.assert_allclose(product_kernel(X, Z, 0.5), found, rtol=0, atol=1e-13)


def test_pennylane_measures_the_same_overlaps():
    n, layers = 3, 2
    theta = np.random.default_rng(0).uniform(-3, 3, (layers, n, 3))

    def embed(x):
        qml.AngleEmbedding(x, wires=range(n))
        qml.StronglyEntanglingLayers(theta, wires=range(n))

    @qml.qnode(qml.device("default.qubit", wires=n))
    def back_and_forth(x, z):
        embed(x)
        qml.adjoint(embed)(z)
        return qml.probs(wires=range(n))

    X, Z = rows(3, n), rows(3, n, seed=1)
    expected = [[back_and_forth(x, z)[0] for z in Z] for x in X]
    circuit = notebook(n, layers).bind_weights(theta.reshape(-1))
    np.testing.assert_allclose(overlap_kernel(circuit, X, Z), expected, rtol=0, atol=1e-12)
    np.testing.assert_allclose(product_kernel(X, Z), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("scale", [0.5, 1.0])
@pytest.mark.parametrize("features", [1, 2, 4])
def test_the_written_out_space_has_the_kernel_as_inner_product(features, scale):
    X, Z = rows(20, features), rows(7, features, seed=1)
    left, right = feature_map(X, scale), feature_map(Z, scale)
    assert left.shape == (20, 3**features)
    np.testing.assert_allclose(left @ right.T, product_kernel(X, Z, scale), rtol=0, atol=1e-13)


def test_the_space_is_that_of_the_trigonometric_router():
    X = rows(9, 3)
    seen = TrigRouter(3, 2).prepare(torch.from_numpy(X.T.copy()).unsqueeze(0))[0].T.numpy()
    np.testing.assert_allclose(feature_map(X) * 8**0.5, seen, rtol=0, atol=1e-14)


@pytest.mark.parametrize("features", [1, 2, 3, 4])
def test_the_rank_is_three_to_the_features_or_the_number_of_rows(features):
    # angles over whole periods: products of {1, cos, sin} are linearly independent there
    many = rows(3**features + 40, features)
    found = dimension(many)
    assert found.products == found.rank == 3**features
    assert 1 < found.effective <= found.rank
    few = rows(2, features)
    assert dimension(few).rank == 2
    assert dimension(np.repeat(few, 5, axis=0)).rank == 2


@pytest.mark.parametrize("features", [1, 2, 4])
def test_even_angles_fill_the_space_as_far_as_its_spectrum_lets_them(features):
    # over a whole period the eigenvalues of one feature are 1/2, 1/4, 1/4: their ratio is 8/3
    side = np.arange(4) * np.pi / 2
    grid = np.stack(np.meshgrid(*[side] * features), -1).reshape(-1, features)
    found = dimension(grid)
    assert found.effective == pytest.approx((8 / 3) ** features, rel=1e-12)
    assert found.rank == 3**features


def test_a_wider_kernel_has_fewer_effective_dimensions():
    X = rows(60, 3, width=1.5)
    effective = [dimension(X, scale).effective for scale in (0.05, 0.25, 1.0, 2.0)]
    assert effective == sorted(effective)
    assert effective[0] < 1.05


@given(st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_the_effective_rank_is_the_participation_ratio_of_the_eigenvalues(count, seed):
    root = np.random.default_rng(seed).normal(size=(count, count))
    values = np.linalg.eigvalsh(root @ root.T)
    expected = values.sum() ** 2 / (values**2).sum()
    assert effective_rank(root @ root.T) == pytest.approx(expected, rel=1e-10)


def test_what_does_not_fit_is_said():
    X = rows(2, 3)
    with pytest.raises(InputError, match="3 free weights; expected a circuit of features"):
        overlap_kernel(paper(3, 1), X, X)
    with pytest.raises(InputError, match="got 3 features; expected 2"):
        overlap_kernel(bound(paper, 2, 1), X, X)
    with pytest.raises(InputError, match="got a circuit of 21 qubits; expected at most 20"):
        overlap_kernel(bound(paper, 21, 1), rows(2, 21), rows(2, 21))
    with pytest.raises(InputError, match="59,049 trigonometric rows"):
        dimension(rows(2, 10))
