from __future__ import annotations

import torch

from qmoe.routers.memory import LastValue


def counted():
    calls = []

    def product(a, b):
        calls.append(None)
        return a * b

    return LastValue(product), calls


def test_equal_inputs_are_computed_once():
    remembered, calls = counted()
    a, b = torch.ones(3), torch.arange(3.0)
    for _ in range(3):
        assert remembered(a.clone(), b.clone()).tolist() == [0, 1, 2]
    assert len(calls) == 1


def test_a_change_of_either_input_is_seen_also_in_place():
    remembered, _ = counted()
    a, b = torch.ones(3), torch.arange(3.0)
    remembered(a, b)
    a += 1
    assert remembered(a, b).tolist() == [0, 2, 4]
    b += 1
    assert remembered(a, b).tolist() == [2, 4, 6]
    assert remembered(a[:2], b[:2]).tolist() == [2, 4]
    assert remembered(a.double(), b.double()).dtype == torch.float64


def test_no_gradient_is_kept():
    remembered, _ = counted()
    a = torch.ones(3, requires_grad=True)
    assert not remembered(a, torch.ones(3)).requires_grad
