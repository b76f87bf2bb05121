from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings

from qmoe.ansatz import notebook, paper, reupload
from qmoe.circuit import Circuit, Feature, Op, Sum, Weight
from qmoe.simulate.program import Program
from tests.qmoe.simulate import oracle
from tests.qmoe.strategies import EXAMPLES, circuits

METHODS = ("fused", "adjoint")
SEEDS, BATCH = 2, 3


def inputs(circuit: Circuit, *, shared: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
    """Weights (2, P) and features (1 | 2, d, 3) that want gradients."""
    rng = np.random.default_rng(circuit.num_qubits)
    lead = 1 if shared else SEEDS
    weights = torch.from_numpy(rng.normal(size=(SEEDS, circuit.num_weights)))
    features = torch.from_numpy(rng.normal(size=(lead, circuit.num_features, BATCH)))
    return weights.requires_grad_(), features.requires_grad_()


def gradients(out: torch.Tensor, wanted: tuple[torch.Tensor, ...]) -> list[torch.Tensor]:
    """Of a fixed random linear functional of the outputs, which no symmetry can hide from."""
    rng = np.random.default_rng(99)
    functional = (out * torch.from_numpy(rng.normal(size=tuple(out.shape)))).sum()
    # a circuit in which nothing is free has an oracle output without a graph
    if not functional.requires_grad:
        return [torch.zeros_like(t) for t in wanted]
    found = torch.autograd.grad(functional, wanted, allow_unused=True)
    return [torch.zeros_like(t) if g is None else g for g, t in zip(found, wanted, strict=True)]


@settings(EXAMPLES, max_examples=30)
@given(circuits(max_ops=12))
def test_gradients_on_any_circuit_are_those_of_autograd_through_every_gate(circuit):
    wanted = inputs(circuit)
    expected = oracle.seeded(circuit, *wanted)
    slopes = gradients(expected, wanted)
    for method in METHODS:
        out = Program(circuit, method=method)(*wanted)
        torch.testing.assert_close(out, expected, rtol=0, atol=1e-12)
        for got, slope in zip(gradients(out, wanted), slopes, strict=True):
            torch.testing.assert_close(got, slope, rtol=0, atol=1e-11)


@settings(EXAMPLES, max_examples=10)
@given(circuits(max_qubits=6, max_ops=30, num_features=3, num_weights=4))
def test_gradients_with_shared_features_across_groups_of_wires(circuit):
    wanted = inputs(circuit, shared=True)
    slopes = gradients(oracle.seeded(circuit, *wanted), wanted)
    for method in METHODS:
        out = Program(circuit, method=method)(*wanted)
        for got, slope in zip(gradients(out, wanted), slopes, strict=True):
            torch.testing.assert_close(got, slope, rtol=0, atol=1e-11)


MIXED = Circuit(
    2,
    (
        Op("ry", (0,), (Sum((Feature(0, 2.0), Weight(0, -0.5)), 0.3),)),
        Op("sx", (1,)),
        Op("rz", (1,), (Sum((Feature(1), Feature(0), Weight(1)), -1.0),)),
        Op("cx", (1, 0)),
        Op("phased_xz", (0,), (Weight(1), Feature(1), Sum((Weight(0), Weight(2)), 0.1))),
        Op("rzz", (0, 1), (Weight(2, 2.0),)),
        Op("h", (1,)),
        Op("rx", (0,), (Weight(0),)),
    ),
    (1, 0),
    2,
    3,
)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize(
    "circuit",
    [paper(3, 2), reupload(2, 2), notebook(2, 2, measured=(1,)), MIXED],
    ids=["paper", "reupload", "notebook", "mixed"],
)
def test_gradients_are_finite_differences(circuit, shared, method):
    assert torch.autograd.gradcheck(
        Program(circuit, method=method), inputs(circuit, shared=shared), fast_mode=True
    )


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("circuit", [paper(3, 2), reupload(3, 2), notebook(3, 2), MIXED])
def test_the_route_of_the_trainer_has_the_gradient_of_autograd(circuit, method):
    program = Program(circuit, method=method)
    for shared in (False, True):
        w, x = inputs(circuit, shared=shared)
        out = program(w, x)
        cotangent = torch.from_numpy(np.random.default_rng(5).normal(size=tuple(out.shape)))
        expected = torch.autograd.grad((out * cotangent).sum(), w)[0]
        w, x = w.detach(), x.detach()
        again, kept = program.forward(w, program.prepare(x))
        torch.testing.assert_close(again, out.detach(), rtol=0, atol=1e-14)
        got = program.backward(w, kept, cotangent)
        torch.testing.assert_close(got, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_only_the_gradients_that_are_asked_for(method):
    circuit = reupload(3, 2)
    program = Program(circuit, method=method)
    w, x = inputs(circuit)
    both = gradients(program(w, x), (w, x))
    alone = gradients(program(w, x.detach()), (w,))
    torch.testing.assert_close(alone[0], both[0], rtol=0, atol=1e-14)
    alone = gradients(program(w.detach(), x), (x,))
    torch.testing.assert_close(alone[0], both[1], rtol=0, atol=1e-14)
    assert not program(w.detach(), x.detach()).requires_grad


@pytest.mark.parametrize("method", METHODS)
def test_a_cotangent_that_is_not_contiguous(method):
    circuit = notebook(3, 2, measured=(2, 0))
    program = Program(circuit, method=method)
    w, x = inputs(circuit)
    transposed = gradients(program(w, x).transpose(1, 2).contiguous().transpose(1, 2), (w, x))
    for got, expected in zip(transposed, gradients(program(w, x), (w, x)), strict=True):
        torch.testing.assert_close(got, expected, rtol=0, atol=1e-13)
    expanded = torch.autograd.grad(program(w, x)[:, :1].sum(), w)[0]  # an expanded cotangent
    single = program(w, x)[:, 0]
    torch.testing.assert_close(
        expanded, torch.autograd.grad(single, w, torch.ones_like(single))[0], rtol=0, atol=1e-13
    )


@pytest.mark.parametrize("method", METHODS)
def test_total_probability_has_no_gradient(method):
    circuit = notebook(4, 2, measured=(3, 1))
    w, x = inputs(circuit)
    for slope in torch.autograd.grad(Program(circuit, method=method)(w, x).sum(), (w, x)):
        assert slope.abs().max() < 1e-13


def test_second_derivatives_are_refused_and_not_silently_wrong():
    w, x = inputs(paper(2, 1))
    out = Program(paper(2, 1))(w, x).square().sum()
    (slope,) = torch.autograd.grad(out, w, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        slope.sum().backward()
