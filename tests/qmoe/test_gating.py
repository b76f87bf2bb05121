from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from qmoe.errors import InputError
from qmoe.gating import GATE_KINDS, Gate

SEEDS, EXPERTS, BATCH = 2, 4, 5


def inputs(kind: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Parameters (2, 0 | 1) and probabilities (2, 4, 5)."""
    rng = np.random.default_rng(0)
    out = torch.from_numpy(rng.dirichlet(np.ones(EXPERTS), size=(SEEDS, BATCH))).mT.contiguous()
    return torch.from_numpy(rng.normal(size=(SEEDS, int(kind == "temperature")))), out


def plainly(kind: str, parameters: torch.Tensor, out: torch.Tensor, top_k: int | None):
    """The gate written down once more, one sample at a time."""
    rows = []
    for s in range(len(out)):
        for b in range(out.shape[2]):
            values = out[s, :, b]
            if kind == "temperature":
                values = values / torch.exp(parameters[s, 0])
            if kind != "probability":
                values = torch.exp(values) / torch.exp(values).sum()
            if top_k not in (None, EXPERTS):
                floor = values.sort(descending=True).values[top_k - 1]
                values = torch.where(values >= floor, values, torch.zeros_like(values))
                values = values / values.sum()
            rows.append(values)
    return torch.stack(rows).unflatten(0, (len(out), -1)).mT


@pytest.mark.parametrize("top_k", [None, 1, 2, 3, 4])
@pytest.mark.parametrize("kind", GATE_KINDS)
def test_gate_and_gradient_are_those_of_the_plain_formula(kind, top_k):
    gate = Gate(kind, "probabilities", EXPERTS, top_k=top_k)
    parameters, out = (t.requires_grad_() for t in inputs(kind))
    assert gate.size == parameters.shape[1]
    expected = plainly(kind, parameters, out, top_k)
    chosen, saved = gate.forward(parameters.detach(), out.detach())
    torch.testing.assert_close(chosen, expected.detach(), rtol=0, atol=1e-14)
    torch.testing.assert_close(chosen.sum(1), torch.ones(SEEDS, BATCH).double(), rtol=0, atol=1e-14)
    if top_k is not None:
        assert ((chosen > 0).sum(1) == top_k).all()

    cotangent = torch.from_numpy(np.random.default_rng(1).normal(size=chosen.shape))
    found = torch.autograd.grad((expected * cotangent).sum(), (out, parameters), allow_unused=True)
    to_out, to_parameters = gate.backward(parameters.detach(), saved, cotangent)
    torch.testing.assert_close(to_out, found[0], rtol=0, atol=1e-12)
    if gate.size:
        torch.testing.assert_close(to_parameters, found[1], rtol=0, atol=1e-12)
    else:
        assert to_parameters.shape == (SEEDS, 0)


def test_softmax_over_probabilities_cannot_route_sharply():
    certain = torch.tensor([[[1.0], [0.0], [0.0], [0.0]]], dtype=torch.float64)
    none = torch.zeros(1, 0, dtype=torch.float64)
    chosen, _ = Gate("softmax", "probabilities", 4).forward(none, certain)
    assert chosen.max().item() == pytest.approx(math.e / (math.e + 3), abs=1e-14)
    cold, _ = Gate("temperature", "probabilities", 4).forward(none.new_tensor([[-5.0]]), certain)
    assert cold.max() > 0.999


def test_equal_weights_keep_exactly_k():
    flat = torch.full((1, 4, 3), 0.25, dtype=torch.float64)
    gate = Gate("probability", "probabilities", 4, top_k=2)
    chosen, _ = gate.forward(torch.zeros(1, 0, dtype=torch.float64), flat)
    assert ((chosen == 0.5).sum(1) == 2).all()
    assert ((chosen == 0).sum(1) == 2).all()


def test_large_logits_do_not_overflow():
    out = torch.tensor([[[1e4], [-1e4], [0.0]]], dtype=torch.float64)
    gate = Gate("softmax", "logits", 3)
    chosen, saved = gate.forward(torch.zeros(1, 0, dtype=torch.float64), out)
    assert chosen.flatten().tolist() == [1, 0, 0]
    to_out, _ = gate.backward(torch.zeros(1, 0, dtype=torch.float64), saved, torch.ones_like(out))
    assert torch.isfinite(to_out).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("sofmax", "logits", 4, None), "did you mean 'softmax'"),
        (("probability", "logits", 4, None), "'probability' on a router that emits logits"),
        (("softmax", "logits", 4, 5), "top-k 5 of 4 experts; expected at most 4"),
        (("softmax", "logits", 4, 0), "top-k 0"),
        (("softmax", "logits", 4, -1), "top-k -1"),
    ],
)
def test_gates_that_cannot_be_are_refused(arguments, message):
    *positional, top_k = arguments
    with pytest.raises(InputError, match=message):
        Gate(*positional, top_k=top_k)
