from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings

from qmoe.ansatz import notebook, paper, reupload
from qmoe.circuit import Circuit, Feature, Op, Sum, Weight
from qmoe.errors import InputError
from qmoe.simulate import adjoint, probabilities, reference
from qmoe.simulate.program import Program, with_seeds
from tests.qmoe.strategies import EXAMPLES, circuits, spread, values

METHODS = ("fused", "adjoint")
# 1, a part of and all of a batch of 7 for two seeds on three qubits
CHUNKS = (1, 2 * 2**3 * 3, 2**20)


def run(circuit: Circuit, method: str, weights, features) -> np.ndarray:
    """(batch, 2^m) from numpy weights (P,) and features (batch, d)."""
    w = torch.from_numpy(np.asarray(weights, dtype=float)).unsqueeze(0)
    x = torch.from_numpy(np.asarray(features, dtype=float)).T.unsqueeze(0)
    return Program(circuit, method=method)(w, x)[0].T.numpy()


@settings(EXAMPLES, max_examples=60)
@given(circuits())
def test_both_engines_are_the_reference_on_any_circuit(circuit):
    weights, features = values(circuit)
    expected = reference.probabilities(circuit, weights, features)
    for method in METHODS:
        got = run(circuit, method, weights, features)
        assert spread(got, expected) < 1e-12
        assert (got >= 0).all()


@settings(EXAMPLES, max_examples=25)
@given(circuits(max_qubits=7, max_ops=40, num_features=3, num_weights=5))
def test_both_engines_are_the_reference_across_groups_of_wires(circuit):
    weights, features = values(circuit, seed=1)
    expected = reference.probabilities(circuit, weights, features)
    for method in METHODS:
        assert spread(run(circuit, method, weights, features), expected) < 1e-12


@settings(EXAMPLES, max_examples=20)
@given(circuits(max_qubits=5, max_ops=20, gates=("ry", "cz", "cx", "h", "x", "y", "z")))
def test_real_circuits_run_in_real_arithmetic(circuit):
    weights, features = values(circuit)
    expected = reference.probabilities(circuit, weights, features)
    for method in METHODS:
        program = Program(circuit, method=method)
        assert program.layered.real
        state = program.engine(torch.float64, torch.device("cpu"))
        kept = state.forward_features(
            torch.from_numpy(weights).unsqueeze(0), torch.from_numpy(features).T.unsqueeze(0)
        )[1]
        final = kept.states[0] if method == "adjoint" else kept[-1]
        assert final.dtype == torch.float64
        assert spread(run(circuit, method, weights, features), expected) < 1e-12


def test_one_complex_gate_makes_the_arithmetic_complex():
    assert Program(paper(2, 2)).layered.real
    assert Program(reupload(3, 2)).layered.real
    assert not Program(notebook(2, 1)).layered.real


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "circuit",
    [
        Circuit(1, (), (0,)),
        Circuit(1, (Op("h", (0,)),), (0,)),
        Circuit(1, (Op("ry", (0,), (Feature(0),)),), (0,), 1, 0),
        Circuit(1, (Op("ry", (0,), (Weight(0),)),), (0,), 0, 1),
        Circuit(1, (Op("ry", (0,), (Sum((Feature(0), Weight(0)), 0.3),)),), (0,), 1, 1),
        Circuit(2, (Op("h", (0,)), Op("cx", (0, 1))), (1, 0)),
        Circuit(2, (Op("sx", (0,)), Op("cx", (0, 1)), Op("ry", (1,), (0.4,))), (1,), 0, 2),
        Circuit(3, (Op("ry", (1,), (Feature(1),)),), (2, 1, 0), 3, 4),
        Circuit(4, (Op("rx", (3,), (0.1,)),), (0,), 1, 1),
    ],
    ids=str,
)
def test_circuits_with_next_to_nothing_in_them(circuit, method):
    weights, features = values(circuit)
    expected = reference.probabilities(circuit, weights, features)
    assert spread(run(circuit, method, weights, features), expected) < 1e-12
    program = Program(circuit, method=method)
    w = torch.from_numpy(np.stack([weights, 2 * weights]))
    x = torch.from_numpy(features).T.unsqueeze(0)
    prepared = program.prepare(x)
    out, saved = program.forward(w, prepared)
    assert torch.equal(out.expand(2, -1, -1), program(w, x))
    assert (program.backward(w, saved, torch.ones_like(out)).abs() < 1e-12).all()


@pytest.mark.parametrize("method", METHODS)
def test_a_circuit_without_weights_has_a_seed_axis_all_the_same(method):
    circuit = Circuit(2, (Op("ry", (0,), (Feature(0),)),), (0, 1), 1, 0)
    program = Program(circuit, method=method)
    x = torch.rand(1, 1, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    out, _ = program.forward(torch.zeros(3, 0, dtype=torch.float64), program.prepare(x))
    assert out.shape == (3, 4, 4)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("measured", [(0,), (2, 0), (1, 2, 0), (3, 1), (3, 2, 1, 0)])
@pytest.mark.parametrize("ansatz", [paper, notebook])
def test_any_measured_subset_in_any_order(ansatz, measured, method):
    circuit = ansatz(4, 3, measured=measured)
    weights, features = values(circuit)
    expected = reference.probabilities(circuit, weights, features)
    assert spread(run(circuit, method, weights, features), expected) < 1e-12


AXES = [
    paper(3, 2),
    reupload(3, 2),
    notebook(3, 2, measured=(2, 0)),
    paper(7, 2, measured=(6, 3, 0)),
]


@pytest.mark.parametrize("circuit", AXES, ids=["paper", "reupload", "notebook", "paper-7"])
@pytest.mark.parametrize("many_features", [False, True])
@pytest.mark.parametrize("many_weights", [False, True])
def test_seed_axes_are_the_loop_over_seeds(circuit, many_weights, many_features):
    rng = np.random.default_rng(0)
    seeds, batch = 3, 4
    weights = rng.normal(size=(seeds, circuit.num_weights))
    features = rng.normal(size=(seeds, batch, circuit.num_features))
    w = torch.from_numpy(weights if many_weights else weights[0]).requires_grad_()
    x = torch.from_numpy(features if many_features else features[0]).requires_grad_()
    out = probabilities(circuit, w, x)
    cotangent = torch.from_numpy(rng.normal(size=out.shape))
    (out * cotangent).sum().backward()

    if not (many_weights or many_features):
        assert (
            spread(out.detach().numpy(), reference.probabilities(circuit, weights[0], features[0]))
            < 1e-12
        )
        return
    assert out.shape == (seeds, batch, 2 ** len(circuit.measured))
    to_weights, to_features = torch.zeros_like(w), torch.zeros_like(x)
    for s in range(seeds):
        mine = weights[s if many_weights else 0], features[s if many_features else 0]
        expected = reference.probabilities(circuit, *mine)
        assert spread(out[s].detach().numpy(), expected) < 1e-12
        one_w, one_x = (torch.from_numpy(a.copy()).requires_grad_() for a in mine)
        (probabilities(circuit, one_w, one_x) * cotangent[s]).sum().backward()
        to_weights[s if many_weights else ...] += one_w.grad
        to_features[s if many_features else ...] += one_x.grad
    torch.testing.assert_close(w.grad, to_weights, rtol=0, atol=1e-12)
    torch.testing.assert_close(x.grad, to_features, rtol=0, atol=1e-12)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("circuit", AXES[:3], ids=["paper", "reupload", "notebook"])
def test_shared_features_equal_repeated_ones(circuit, method):
    rng = np.random.default_rng(1)
    program = Program(circuit, method=method)
    w = torch.from_numpy(rng.normal(size=(3, circuit.num_weights)))
    x = torch.from_numpy(rng.normal(size=(1, circuit.num_features, 5)))
    grad = torch.from_numpy(rng.normal(size=(3, program.num_outcomes, 5)))
    shared, kept = program.forward(w, program.prepare(x))
    repeated, kept_too = program.forward(w, program.prepare(x.repeat(3, 1, 1)))
    torch.testing.assert_close(shared, repeated, rtol=0, atol=1e-13)
    torch.testing.assert_close(
        program.backward(w, kept, grad), program.backward(w, kept_too, grad), rtol=0, atol=1e-12
    )


@pytest.mark.parametrize("circuit", AXES[:3], ids=["paper", "reupload", "notebook"])
def test_chunks_of_the_adjoint_engine_change_nothing(circuit, monkeypatch):
    rng = np.random.default_rng(2)
    weights = rng.normal(size=(2, circuit.num_weights))
    features = rng.normal(size=(2, circuit.num_features, 7))
    cotangent = torch.from_numpy(rng.normal(size=(2, 2 ** len(circuit.measured), 7)))
    results = []
    for chunk in CHUNKS:
        monkeypatch.setattr(adjoint, "CHUNK", chunk)
        w, x = (torch.from_numpy(a.copy()).requires_grad_() for a in (weights, features))
        out = Program(circuit, method="adjoint")(w, x)
        (out * cotangent).sum().backward()
        results.append((out.detach(), w.grad, x.grad))
    for other in results[1:]:
        torch.testing.assert_close(other, results[0], rtol=0, atol=1e-12)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("circuit", AXES, ids=["paper", "reupload", "notebook", "paper-7"])
def test_single_precision_is_close(circuit, method):
    rng = np.random.default_rng(3)
    weights = rng.normal(size=(2, circuit.num_weights))
    features = rng.normal(size=(2, circuit.num_features, 6))
    cotangent = rng.normal(size=(2, 2 ** len(circuit.measured), 6))
    results = []
    for dtype in (torch.float32, torch.float64):
        w, x = (torch.from_numpy(a).to(dtype).requires_grad_() for a in (weights, features))
        out = Program(circuit, method=method)(w, x)
        (out * torch.from_numpy(cotangent).to(dtype)).sum().backward()
        assert out.dtype == w.grad.dtype == x.grad.dtype == dtype
        results.append([out.detach(), w.grad, x.grad])
    for single, double in zip(*results, strict=True):
        assert (single.double() - double).abs().max() < 1e-5 * double.abs().max()


def test_probabilities_take_the_dtype_of_the_weights():
    out = probabilities(paper(2, 1), torch.zeros(2), torch.zeros(3, 2, dtype=torch.float64))
    assert out.dtype == torch.float32


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("method", METHODS)
def test_the_device_of_the_weights_is_where_it_runs(method):
    circuit = notebook(4, 2, measured=(2, 0))
    weights, features = values(circuit)
    w = torch.from_numpy(weights).cuda().unsqueeze(0).requires_grad_()
    x = torch.from_numpy(features).cuda().T.unsqueeze(0).requires_grad_()
    out = Program(circuit, method=method)(w, x)
    out.square().sum().backward()
    assert out.is_cuda
    assert w.grad.is_cuda
    expected = reference.probabilities(circuit, weights, features)
    assert spread(out[0].T.detach().cpu().numpy(), expected) < 1e-12


@pytest.mark.parametrize("circuit", AXES, ids=["paper", "reupload", "notebook", "paper-7"])
def test_a_batch_of_one_is_a_row_of_the_batch(circuit):
    weights, features = values(circuit)
    w, x = torch.from_numpy(weights), torch.from_numpy(features)
    whole = probabilities(circuit, w, x)
    for i in range(len(x)):
        single = probabilities(circuit, w, x[i : i + 1])
        torch.testing.assert_close(single, whole[i : i + 1], rtol=0, atol=1e-14)


@pytest.mark.parametrize("circuit", AXES, ids=["paper", "reupload", "notebook", "paper-7"])
def test_an_empty_batch_has_no_rows_and_no_gradient(circuit):
    w = torch.ones(circuit.num_weights, dtype=torch.float64, requires_grad=True)
    x = torch.zeros(0, circuit.num_features, dtype=torch.float64, requires_grad=True)
    out = probabilities(circuit, w, x)
    assert out.shape == (0, 2 ** len(circuit.measured))
    out.sum().backward()
    assert (w.grad == 0).all()
    assert x.grad.shape == x.shape


@pytest.mark.parametrize(
    ("weights", "features", "message"),
    [
        ((3,), (4, 2), r"got weights of shape \(3,\); expected \(2,\) or \(seed, 2\)"),
        ((2, 2, 2), (4, 2), r"weights of shape \(2, 2, 2\)"),
        ((2,), (4, 3), r"got features of shape \(4, 3\); expected \(batch, 2\)"),
        ((2,), (2,), r"features of shape \(2,\)"),
        ((3, 2), (2, 4, 2), "3 seeds of weights and 2 of features"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(weights, features, message):
    with pytest.raises(InputError, match=message):
        with_seeds(paper(2, 1), torch.zeros(weights), torch.zeros(features))


def test_half_precision_is_refused():
    with pytest.raises(InputError, match=r"torch\.float16; expected float32 or float64"):
        probabilities(paper(2, 1), torch.zeros(2, dtype=torch.float16), torch.zeros(1, 2))


def test_an_unknown_method_is_refused():
    with pytest.raises(InputError, match="fused or adjoint"):
        Program(paper(2, 1), method="quick")


def test_the_engine_follows_the_number_of_active_qubits():
    assert Program(paper(6, 2)).method == "fused"
    assert Program(paper(7, 2)).method == "adjoint"
    assert Program(paper(40, 2, measured=(20,))).method == "fused"


def test_the_same_call_gives_the_same_bits():
    circuit = notebook(4, 3)
    weights, features = values(circuit)
    for method in METHODS:
        first, again = (run(circuit, method, weights, features) for _ in range(2))
        assert np.array_equal(first, again)
