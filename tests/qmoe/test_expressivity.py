from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

from qmoe.ansatz import build
from qmoe.errors import InputError
from qmoe.expressivity import expressibility, fidelities, function_space, real_limit
from qmoe.seeds import stream
from qmoe.simulate import reference
from qmoe.simulate.program import probabilities

LAYERS = (1, 2, 3, 4)


def rank(matrix: np.ndarray) -> int:
    return int(np.linalg.matrix_rank(matrix, tol=1e-9 * np.linalg.norm(matrix, 2)))


@pytest.mark.parametrize(
    ("ansatz", "layers"), [*(("paper", k) for k in LAYERS), ("reupload", 2), ("notebook", 2)]
)
def test_dimensions_are_those_of_sampled_function_values(ansatz, layers):
    """Without trigonometry: values at more inputs than the functions have dimensions."""
    circuit, rng = build(ansatz, 2, layers), np.random.default_rng(3)
    inputs = torch.from_numpy(rng.uniform(-np.pi, np.pi, (100, 2)))
    weights = torch.from_numpy(rng.uniform(-np.pi, np.pi, (90, circuit.num_weights)))
    found = function_space(2, layers, ansatz=ansatz)
    values = probabilities(circuit, weights, inputs).flatten(1).numpy()
    assert found.span == rank(values)
    step = 1e-4 * torch.eye(circuit.num_weights, dtype=weights.dtype)
    up, down = (probabilities(circuit, weights[0] + s, inputs) for s in (step, -step))
    # differences of step h are off by h^2, so directions that move nothing show 1e-8
    slopes = np.linalg.svd(((up - down) / 2e-4).flatten(1).numpy(), compute_uv=False)
    assert found.freedoms == int((slopes > 1e-5 * slopes[0]).sum())
    assert found.parameters == circuit.num_weights
    assert found.freedoms <= min(found.parameters, found.span) <= found.most


@pytest.mark.parametrize("n", [2, 3, 4])
def test_no_dimension_shrinks_as_layers_are_added(n):
    found = [function_space(n, layers) for layers in LAYERS]
    for before, after in itertools.pairwise(found):
        assert before.span <= after.span <= after.most
        assert before.freedoms <= after.freedoms <= after.parameters


def test_two_qubits_have_the_freedoms_of_their_rotations():
    # a real circuit on two qubits is a rotation of four dimensions, which has six angles
    assert [function_space(2, k).freedoms for k in LAYERS] == [2, 4, 6, 6]


def test_ranks_do_not_hang_on_the_draw():
    assert {function_space(2, 3, root=root) for root in range(5)} == {function_space(2, 3)}


def test_one_layer_is_a_product_distribution_and_two_are_not():
    rng = np.random.default_rng(0)
    for layers, independent in ((1, True), (2, False)):
        circuit = build("paper", 2, layers)
        for _ in range(5):
            w, x = rng.uniform(-3, 3, 2 * layers), rng.uniform(-3, 3, 2)
            joint = reference.probabilities(circuit, w, x).reshape(2, 2)
            apart = np.outer(joint.sum(1), joint.sum(0))
            assert (np.abs(joint - apart).max() < 1e-14) == independent


@pytest.mark.parametrize("layers", LAYERS)
def test_no_function_sees_the_last_entangling_layer(layers):
    circuit = build("paper", 3, layers)
    places = [k for k, op in enumerate(circuit.ops) if op.gate == "cz"]
    rng = np.random.default_rng(1)
    w, x = rng.uniform(-3, 3, 3 * layers), rng.uniform(-3, 3, (4, 3))
    whole = reference.probabilities(circuit, w, x)

    def without(gone: list[int]) -> np.ndarray:
        kept = tuple(op for k, op in enumerate(circuit.ops) if k not in gone)
        return reference.probabilities(replace(circuit, ops=kept), w, x)

    assert np.abs(without(places[-2:]) - whole).max() < 1e-14
    if layers > 1:
        assert np.abs(without(places[:2]) - whole).max() > 1e-3


@pytest.mark.parametrize("ansatz", ["paper", "reupload", "notebook"])
@pytest.mark.parametrize("n", [1, 3])
def test_fidelities_are_overlaps_of_states(ansatz, n):
    found = fidelities(n, 2, ansatz=ansatz, pairs=6, root=4)
    circuit = build(ansatz, n, 2)
    both = stream(4, n, "init").uniform(-np.pi, np.pi, (6, 2 * circuit.num_weights))
    for value, (a, b) in zip(found, both.reshape(6, 2, -1), strict=True):
        states = [reference.final_state(circuit, w, np.zeros(n)) for w in (a, b)]
        assert value == pytest.approx(abs(np.vdot(*states)) ** 2, abs=1e-12)


def test_one_layer_of_states_is_a_product_too():
    found = fidelities(3, 1, ansatz="paper", pairs=20, root=0)
    angles = stream(0, 3, "init").uniform(-np.pi, np.pi, (20, 2, 3))
    expected = (np.cos((angles[:, 0] - angles[:, 1]) / 2) ** 2).prod(1)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_the_limit_of_real_states_is_a_divergence_of_beta_distributions(n):
    edges, d = np.linspace(0, 1, 31), 2**n - 1
    real, uniform = (-np.diff(stats.beta(a, b).sf(edges)) for a, b in ((0.5, d / 2), (1, d)))
    assert real_limit(n, 30) == pytest.approx(stats.entropy(real, uniform), rel=1e-9)


@pytest.mark.parametrize(("n", "layers"), [(1, 1), (1, 5), (2, 12)])
def test_real_circuits_reach_the_limit_of_real_states(n, layers):
    # one qubit: angles only add up, so that every depth has it exactly
    found = expressibility(n, layers, pairs=5000, level=0.9999)
    bias = 74 / (2 * 5000)
    assert found.low - bias < real_limit(n) < found.high


def test_complex_circuits_come_close_to_uniform_states():
    # twice pairs times the divergence is chi-squared with 74 degrees where both agree
    assert expressibility(2, 12, ansatz="notebook", pairs=2000).value < (
        stats.chi2.ppf(1 - 1e-4, 74) / (2 * 2000)
    )


def test_the_estimate_is_the_divergence_of_the_histogram():
    found = expressibility(2, 1, pairs=400, bins=10)
    values = fidelities(2, 1, ansatz="paper", pairs=400, root=0)
    share = np.histogram(values, np.linspace(0, 1, 11))[0] / 400
    uniform = np.diff(stats.beta(1, 3).cdf(np.linspace(0, 1, 11)))
    assert found.value == pytest.approx(stats.entropy(share, uniform), rel=1e-9)
    assert found.low < found.value < found.high
    assert math.isfinite(found.high)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"pairs": 1}, "number of pairs 1"), ({"bins": 0}, "number of bins 0")],
)
def test_bad_input_is_one_line(options, message):
    with pytest.raises(InputError, match=message):
        expressibility(2, 1, **options)
    with pytest.raises(InputError, match="number of layers 0"):
        function_space(2, 0)
    with pytest.raises(InputError, match="rows"):
        function_space(10, 1)
