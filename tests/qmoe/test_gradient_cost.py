from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from qmoe.ansatz import ANSATZE, build
from qmoe.errors import InputError
from qmoe.gradient_cost import (
    Executions,
    StateVector,
    adjoint,
    finite_differences,
    gradient_costs,
    gradient_times,
    parameter_shift,
    spsa,
)
from qmoe.simulate.program import probabilities

METHODS = ("parameter shift", "finite differences", "SPSA", "adjoint")


def problem(circuit, inputs, seed):
    rng = np.random.default_rng(seed)
    weights = rng.uniform(-np.pi, np.pi, circuit.num_weights)
    features = rng.uniform(-np.pi, np.pi, (inputs, circuit.num_features))
    return weights, features, rng.normal(size=(inputs, 2 ** len(circuit.measured)))


def by_autograd(circuit, weights, features, slope):
    """The gradient that the engines give autograd."""
    leaf = torch.from_numpy(weights).requires_grad_()
    found = probabilities(circuit, leaf, torch.from_numpy(features))
    (found * torch.from_numpy(slope)).sum().backward()
    return leaf.grad.numpy()


@given(
    st.sampled_from(sorted(ANSATZE)),
    st.integers(1, 3),
    st.integers(1, 3),
    st.integers(1, 3),
    st.data(),
)
@settings(max_examples=30, deadline=None)
def test_exact_methods_agree_with_the_engine_at_their_cost(name, n, layers, inputs, data):
    measured = data.draw(st.permutations(range(n)))[: data.draw(st.integers(1, n))]
    circuit = build(name, n, layers, measured=measured)
    given_ = problem(circuit, inputs, data.draw(st.integers(0, 99)))
    exact = by_autograd(circuit, *given_)
    run, state = Executions(circuit), StateVector(circuit.ops)
    assert np.abs(parameter_shift(run, *given_) - exact).max() < 1e-10
    assert np.abs(adjoint(state, circuit, *given_) - exact).max() < 1e-10
    assert run.count == 2 * circuit.num_weights * inputs
    assert state.passes == 2 * inputs


def test_finite_differences_take_one_execution_more_than_weights_and_are_not_exact():
    circuit = build("paper", 2, 3)
    given_, run = problem(circuit, 4, 0), Executions(circuit)
    error = np.abs(finite_differences(run, *given_) - by_autograd(circuit, *given_)).max()
    assert run.count == (circuit.num_weights + 1) * 4
    # truncation is the step (1e-6) times half the second derivative, which is at most the sum
    # over inputs of the largest slope; rounding is around 1e-16 / 1e-6
    assert 1e-12 < error < 1e-6 * np.abs(given_[2]).max(1).sum() + 1e-8


def test_spsa_takes_two_executions_and_is_right_on_average_only():
    circuit = build("paper", 2, 2)
    given_, run = problem(circuit, 1, 1), Executions(circuit)
    exact, rng = by_autograd(circuit, *given_), np.random.default_rng(0)
    draws = np.stack([spsa(run, *given_, rng) for _ in range(200)])
    assert run.count == 2 * 200
    assert np.abs(draws[0] - exact).max() > 0.05
    # besides chance (5 deviations), a step of .1 in all of 4 weights bends the function: at most
    # .1^2 / 6 times the third derivative along the step, 4^3 / 8 of the largest slope
    bend = 0.1**2 / 6 * 4**3 / 8 * np.abs(given_[2]).max()
    assert np.all(np.abs(draws.mean(0) - exact) < 5 * draws.std(0) / np.sqrt(200) + bend)


@pytest.mark.parametrize("name", sorted(ANSATZE))
def test_the_table_of_costs(name):
    tables = [gradient_costs(2, layers, ansatz=name, inputs=3) for layers in (1, 2, 3, 4)]
    for table in tables:
        assert tuple(row.method for row in table) == METHODS
        P = table[0].parameters
        assert [row.executions for row in table] == [6 * P, 3 * (P + 1), 6, None]
        assert [row.runs_on_device for row in table] == [True, True, True, False]
        assert max(table[0].error, table[3].error) < 1e-10
    by_adjoint = [table[3] for table in tables]
    assert {row.passes for row in by_adjoint} == {6}  # whatever the number of weights
    # gates: a straight line in the weights for the adjoint method, a parabola for shifts
    bends = {m: np.diff([table[k].gates for table in tables], 2) for k, m in enumerate(METHODS)}
    assert not bends["adjoint"].any()
    assert (bends["parameter shift"] > 0).all()
    assert not np.diff(bends["parameter shift"]).any()


def test_one_layer_by_hand():
    # RY(x), RY(x), RY(t), RY(t), CZ: five gates; back twice five, and one overlap per weight
    assert gradient_costs(2, 1)[3].gates == 5 + 2 * 5 + 2
    assert gradient_costs(2, 1)[0].gates == 4 * 5


def test_times_are_the_clocks():
    ticks = itertools.count()
    rows = gradient_times(2, [1, 3], inputs=4, repeats=3, clock=lambda: float(next(ticks)))
    assert [row.parameters for row in rows] == [2, 6]
    assert [(row.forward, row.gradient, row.ratio) for row in rows] == [(1.0, 2.0, 2.0)] * 2


def test_bad_input_is_one_line():
    with pytest.raises(InputError, match="number of inputs 0"):
        gradient_costs(2, 1, inputs=0)
    with pytest.raises(InputError, match="number of repeats 0"):
        gradient_times(2, [1], repeats=0)
    with pytest.raises(InputError, match="ansatz 'papper'"):
        gradient_costs(2, 1, ansatz="papper")
