"""The exact classical forms of the quantum router: trigonometric, product and dephased."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from qmoe.circuit import Circuit, Op
from qmoe.errors import InputError
from qmoe.routers import build
from qmoe.routers.dephased import DephasedRouter
from qmoe.routers.product import ProductRouter
from qmoe.routers.quantum import QuantumRouter, router_circuit
from qmoe.routers.trig import TrigRouter, extract, num_rows, trig_rows, uploads
from qmoe.simulate.reference import op_matrix

D = torch.float64


def weights_of(router, seeds: int = 2) -> torch.Tensor:
    return torch.from_numpy(np.stack([router.init(np.random.default_rng(s)) for s in range(seeds)]))


def points(num_features: int, batch: int, seed: int = 7) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.uniform(-7, 7, size=(1, num_features, batch)))


def test_rows_are_products_with_the_last_feature_fastest():
    x = points(2, 5)
    a, b = x[0, 0], x[0, 1]
    first = (torch.ones_like(a), a.cos(), a.sin())
    second = (torch.ones_like(b), b.cos(), b.sin())
    expected = torch.stack([p * q for p in first for q in second])
    torch.testing.assert_close(trig_rows(x, 1)[0], expected, rtol=0, atol=1e-15)
    assert trig_rows(x, 3).shape == (1, 49, 5)
    torch.testing.assert_close(trig_rows(x, 3)[0, 6], (3 * b).sin(), rtol=0, atol=1e-14)


ROUTERS = {
    "paper L=1": (2, 4, {"layers": 1}, 1),
    "paper L=3": (2, 4, {"layers": 3}, 1),
    "paper L=3 ring": (3, 3, {"layers": 3, "entangler": "ring"}, 1),
    "reupload L=2": (2, 4, {"layers": 2, "ansatz": "reupload"}, 2),
    "reupload L=3": (2, 2, {"layers": 3, "ansatz": "reupload"}, 3),
    "notebook": (2, 4, {"layers": 3, "ansatz": "notebook"}, 1),
    "z": (2, 2, {"layers": 3, "ansatz": "notebook", "readout": "z"}, 1),
    "adapter": (2, 5, {"layers": 2, "outcome_map": "adapter", "num_qubits": 3}, 1),
    "parity": (3, 2, {"layers": 2, "outcome_map": "parity", "measured": (2, 0, 1)}, 1),
    "marginal": (3, 3, {"layers": 2, "outcome_map": "marginal", "measured": (1, 2, 0)}, 1),
    "one feature": (1, 4, {"layers": 2}, 1),
}


@pytest.mark.parametrize("name", ROUTERS)
def test_a_quantum_router_is_linear_in_the_rows_of_its_degree(name):
    d, experts, options, degree = ROUTERS[name]
    router = QuantumRouter(d, experts, **options)
    assert uploads(router) == degree
    weights = weights_of(router)
    seen, unseen = points(d, 4 * (2 * degree + 1) ** d + 20), points(d, 50, seed=8)
    # fitted on some points it is exact on others, so nothing outside these rows is in it
    rows = trig_rows(seen, degree)[0].T.expand(2, -1, -1)
    fit = torch.linalg.lstsq(rows, router(weights, seen).mT).solution
    predicted = torch.matmul(fit.mT, trig_rows(unseen, degree)[0])
    torch.testing.assert_close(predicted, router(weights, unseen), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["reupload L=2", "reupload L=3"])
def test_a_lower_degree_does_not_hold_it(name):
    d, experts, options, degree = ROUTERS[name]
    router = QuantumRouter(d, experts, **options)
    weights, x = weights_of(router), points(d, 200)
    rows = trig_rows(x, degree - 1)[0].T.expand(2, -1, -1)
    target = router(weights, x).mT
    fit = torch.linalg.lstsq(rows, target).solution
    assert (rows @ fit - target).abs().max() > 1e-3


@pytest.mark.parametrize("name", ROUTERS)
def test_the_extracted_coefficients_are_the_router(name):
    d, experts, options, degree = ROUTERS[name]
    router = QuantumRouter(d, experts, **options)
    weights, x = weights_of(router), points(d, 40)
    table = extract(router, weights)
    assert table.shape == (2, experts, (2 * degree + 1) ** d)
    expected = router(weights, x)
    torch.testing.assert_close(
        torch.matmul(table, trig_rows(x, degree)[0]), expected, rtol=0, atol=1e-12
    )
    classical = TrigRouter(d, experts, degree=degree)
    torch.testing.assert_close(classical(table.flatten(1), x), expected, rtol=0, atol=1e-12)


def test_extraction_takes_no_gradient_along():
    router = QuantumRouter(2, 4)
    weights = weights_of(router).requires_grad_()
    assert not extract(router, weights).requires_grad


def test_above_20_000_rows_is_refused_with_the_count():
    assert num_rows(9, 1) == 3**9 == 19_683
    assert num_rows(2, 70) == 141**2
    with pytest.raises(InputError, match=r"59,049 trigonometric rows \(10 features of degree 1\)"):
        TrigRouter(10, 4)
    with pytest.raises(InputError, match="expected at most 20,000; reduce the features with PCA"):
        TrigRouter(2, 4, degree=71)
    with pytest.raises(InputError, match="degree 0"):
        TrigRouter(2, 4, degree=0)


def test_a_count_with_thousands_of_digits_is_still_one_readable_line():
    with pytest.raises(InputError) as caught:
        num_rows(12_288, 4)
    assert len(str(caught.value)) < 200
    assert "10^11726 trigonometric rows" in str(caught.value)


@pytest.mark.parametrize("outcome_map", ["modulo", "marginal", "parity"])
@pytest.mark.parametrize(("d", "experts"), [(2, 4), (2, 3), (3, 4), (5, 8), (1, 4), (3, 2), (2, 1)])
def test_one_layer_is_the_product_router_with_the_same_angles(d, experts, outcome_map):
    quantum = QuantumRouter(d, experts, layers=1, outcome_map=outcome_map)
    dephased = DephasedRouter(d, experts, layers=1, outcome_map=outcome_map)
    product = ProductRouter(d, experts, outcome_map=outcome_map)
    assert product.size == quantum.size == dephased.size
    weights, x = weights_of(quantum, 3), points(d, 20)
    expected = product(weights, x)
    torch.testing.assert_close(quantum(weights, x), expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(dephased(weights, x), expected, rtol=0, atol=1e-12)


def test_the_product_router_is_its_formula():
    router = ProductRouter(2, 4)
    weights, x = weights_of(router, 1), points(2, 3)
    out = router(weights, x)
    for b in range(3):
        zero = [math.cos((x[0, i, b] + weights[0, i]) / 2) ** 2 for i in range(2)]
        expected = [zero[0] * zero[1], zero[0] * (1 - zero[1]), (1 - zero[0]) * zero[1]]
        assert out[0, :3, b].tolist() == pytest.approx(expected, abs=1e-14)


def embedded(op: Op, n: int, theta: np.ndarray, x: np.ndarray) -> np.ndarray:
    """A gate's matrix on the whole register, entry by entry."""
    small = op_matrix(op, theta, x)
    out = np.zeros((2**n, 2**n), dtype=complex)
    for column in range(2**n):
        bits = [(column >> (n - 1 - q)) & 1 for q in range(n)]
        mine = int("".join(str(bits[q]) for q in op.qubits), 2)
        for row in range(len(small)):
            after = list(bits)
            for q, bit in zip(op.qubits, format(row, f"0{len(op.qubits)}b"), strict=True):
                after[q] = int(bit)
            out[int("".join(map(str, after)), 2), column] += small[row, mine]
    return out


def dephased_distribution(circuit: Circuit, theta: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Density matrices, with all coherences removed after every published layer."""
    n = circuit.num_qubits
    rho = np.zeros((2**n, 2**n), dtype=complex)
    rho[0, 0] = 1
    for op in circuit.ops:
        if op.gate == "mark_layer":
            rho = np.diag(np.diag(rho))
        elif not op.is_mark:
            unitary = embedded(op, n, theta, x)
            rho = unitary @ rho @ unitary.conj().T
    density = np.diag(rho).real.reshape((2,) * n)
    others = [q for q in range(n) if q not in circuit.measured]
    return (
        density.transpose(*circuit.measured, *others).reshape(2 ** len(circuit.measured), -1).sum(1)
    )


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize(
    ("d", "experts", "options"),
    [
        (2, 4, {}),
        (3, 4, {"entangler": "ring"}),
        (3, 8, {"ansatz": "reupload"}),
        (2, 4, {"ansatz": "notebook"}),
        (3, 4, {"ansatz": "notebook", "measured": (2, 0)}),
        (2, 4, {"num_qubits": 3, "measured": (2, 1)}),
        (1, 2, {}),
    ],
)
def test_the_dephased_router_is_full_dephasing_after_every_layer(d, experts, options, layers):
    router = DephasedRouter(d, experts, layers=layers, **options)
    circuit = router_circuit(d, experts, layers=layers, **{"ansatz": "paper", **options})
    weights, x = weights_of(router), points(d, 3)
    out = router(weights, x)
    for s in range(2):
        for b in range(3):
            expected = dephased_distribution(circuit, weights[s].numpy(), x[0, :, b].numpy())
            assert np.abs(out[s, :, b].numpy() - expected).max() < 1e-12


def test_dephasing_is_not_without_effect_at_two_layers():
    quantum, dephased = QuantumRouter(2, 4, layers=2), DephasedRouter(2, 4, layers=2)
    weights, x = weights_of(quantum), points(2, 10)
    assert (quantum(weights, x) - dephased(weights, x)).abs().max() > 0.05


def test_a_dephased_router_on_many_qubits_is_refused():
    with pytest.raises(InputError, match="a dephased router on 17 qubits; expected at most 16"):
        build("dephased", 17, 4)
