from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmoe.errors import InputError
from qmoe.routers.outcomes import outcome_matrix, uneven

NAMES = ("modulo", "marginal", "parity")


def bits_of(outcome: int, measured: int) -> list[int]:
    return [int(c) for c in format(outcome, f"0{measured}b")]


def expert_of(name: str, outcome: int, experts: int, measured: int) -> int:
    """The same rules, digit by digit, first measured qubit first."""
    width = 0
    while 2**width < experts:
        width += 1
    bits = bits_of(outcome, measured)
    if name == "modulo":
        return outcome % experts
    if name == "parity":
        bits = [sum(bits[j::width]) % 2 for j in range(width)]
    return int("".join(map(str, bits[:width])) or "0", 2) % experts


@given(st.sampled_from(NAMES), st.integers(1, 5), st.data())
def test_every_outcome_feeds_the_expert_its_rule_says(name, measured, data):
    experts = data.draw(st.integers(1, 2**measured))
    matrix = outcome_matrix(name, experts, measured)
    assert matrix.shape == (experts, 2**measured)
    assert (matrix.sum(0) == 1).all()
    expected = [expert_of(name, o, experts, measured) for o in range(2**measured)]
    assert matrix.argmax(0).tolist() == expected
    assert (matrix.sum(1) > 0).all()  # no expert is out of reach
    even = len(set(matrix.sum(1))) == 1
    assert even == (uneven(experts, measured) == ())


@pytest.mark.parametrize("name", NAMES)
def test_as_many_experts_as_outcomes_is_the_identity(name):
    assert np.array_equal(outcome_matrix(name, 8, 3), np.eye(8))


@pytest.mark.parametrize("name", NAMES)
def test_one_expert_takes_everything(name):
    assert outcome_matrix(name, 1, 2).tolist() == [[1, 1, 1, 1]]


@pytest.mark.parametrize("name", NAMES)
def test_more_experts_than_outcomes_is_an_error_that_names_the_adapter(name):
    with pytest.raises(InputError, match=r"5 experts and 2 measured qubits.*at most 4.*'adapter'"):
        outcome_matrix(name, 5, 2)


def test_an_unknown_map_is_answered_with_the_nearest():
    with pytest.raises(InputError, match="did you mean 'parity'"):
        outcome_matrix("paritty", 2, 1)


def test_the_uneven_warning_names_both_numbers():
    assert uneven(3, 2) == (
        "4 outcomes over 3 experts: a uniform distribution favours the first experts",
    )
    assert uneven(6, 4) != ()
    assert uneven(4, 4) == ()
