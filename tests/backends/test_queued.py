"""How rows are split over jobs, and how costs add up."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.queued import FREE, Cost, Interval, Limits
from qmoe.errors import InputError


@given(
    rows=st.integers(0, 300),
    shots=st.integers(1, 1000),
    most=st.integers(1, 100),
    total=st.integers(1000, 100_000),
)
def test_rows_are_split_into_as_few_equal_jobs_as_the_limits_allow(rows, shots, most, total):
    parts = Limits((1, 1000), most, None, (1, total)).split([0] * rows, shots)
    room = min(most, total // shots)
    assert [k for part in parts for k in part] == list(range(rows))
    sizes = [len(part) for part in parts]
    assert all(1 <= size <= room for size in sizes)
    assert len(parts) == math.ceil(rows / room)
    assert not parts or max(sizes) - min(sizes) <= 1


@given(programs=st.lists(st.integers(0, 5), max_size=40), most=st.integers(1, 7))
def test_no_job_has_more_circuits_than_the_device_takes(programs, most):
    parts = Limits(programs=most).split(programs, 10)
    assert sorted(k for part in parts for k in part) == list(range(len(programs)))
    assert all(len({programs[k] for k in part}) <= most for part in parts)
    assert len(parts) == math.ceil(len(set(programs)) / most)
    assert all(list(part) == sorted(part) for part in parts)


@pytest.mark.parametrize("shots", [0, 9, 1001])
def test_shots_outside_the_range_are_refused(shots):
    with pytest.raises(InputError, match="shots"):
        Limits((10, 1000)).split([0], shots)


def test_too_few_or_too_many_shots_of_a_job_are_refused():
    with pytest.raises(InputError, match="10 to 500"):
        Limits((10, 1000), 5, None, (1, 500)).split([0], 501)
    with pytest.raises(InputError, match="100 for the 3 rows"):
        Limits((10, 1000), 5, None, (100, 500)).split([0] * 3, 30)


def test_what_is_unknown_stays_unknown_in_a_sum():
    known = Cost(Interval(1.0, 2.0), Interval(3.0, 4.0), "a list")
    assert sum([known, known], FREE) == Cost(Interval(2.0, 4.0), Interval(6.0, 8.0), "a list")
    assert (known + Cost(None, Interval(0.0, 1.0))).money is None
