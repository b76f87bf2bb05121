"""Hypothesis strategies for random circuits: every gate, affine angles, any measured subset."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from qmoe.circuit import GATES, MARKS, Angle, Circuit, Feature, Op, Sum, Weight

EXAMPLES = settings(max_examples=80, deadline=None)
T = TypeVar("T")
GATE_NAMES = tuple(name for name in GATES if name not in MARKS)

# Few values, so that rotations often cancel; angles beyond 2 pi, negative ones and zero occur.
_numbers = st.one_of(
    st.sampled_from([0.0, 0.5, -0.5, np.pi, -np.pi / 2, 2 * np.pi]),
    st.floats(-7, 7, allow_subnormal=False),
)
_scales = st.sampled_from([1.0, -1.0, 0.5, 2.0])


@st.composite
def without_random(draw: st.DrawFn, strategy: st.SearchStrategy[T]) -> T:
    """The same strategy, leaving the global random state alone as hypothesis demands.

    beartype draws from it to choose which item of a tuple it checks.
    """
    state = random.getstate()
    drawn = draw(strategy)
    random.setstate(state)
    return drawn


def angles(num_features: int, num_weights: int) -> st.SearchStrategy[Angle]:
    """Numbers and affine angles over so many features and weights."""
    terms: list[st.SearchStrategy[Feature | Weight]] = []
    if num_features:
        terms.append(st.builds(Feature, st.integers(0, num_features - 1), _scales))
    if num_weights:
        terms.append(st.builds(Weight, st.integers(0, num_weights - 1), _scales))
    if not terms:
        return _numbers
    term = st.one_of(terms)
    sums = st.builds(Sum, st.lists(term, max_size=3).map(tuple), _numbers)
    return without_random(st.one_of(_numbers, term, sums))


@st.composite
def ops(
    draw: st.DrawFn,
    num_qubits: int,
    num_features: int,
    num_weights: int,
    gates: Sequence[str] = (*GATE_NAMES, *MARKS),
) -> Op:
    """One op that fits a register of `num_qubits`."""
    fitting = [name for name in gates if (GATES[name].num_qubits or 0) <= num_qubits]
    row = GATES[draw(st.sampled_from(fitting))]
    qubits = draw(st.permutations(range(num_qubits)))
    size = draw(st.integers(0, num_qubits)) if row.num_qubits is None else row.num_qubits
    angle = angles(num_features, num_weights)
    return Op(row.name, tuple(qubits[:size]), tuple(draw(angle) for _ in range(row.num_angles)))


def circuits(**limits: Any) -> st.SearchStrategy[Circuit]:
    """A circuit with free features and weights and a random measured subset, in random order.

    Limits: max_qubits=4, max_ops=14, gates (all, marks too), num_features=2, num_weights=3.
    """
    return without_random(_circuits(**limits))


@st.composite
def _circuits(
    draw: st.DrawFn,
    max_qubits: int = 4,
    max_ops: int = 14,
    gates: Sequence[str] = (*GATE_NAMES, *MARKS),
    num_features: int = 2,
    num_weights: int = 3,
) -> Circuit:
    num_qubits = draw(st.integers(1, max_qubits))
    op = ops(num_qubits, num_features, num_weights, gates)
    measured = draw(st.permutations(range(num_qubits)))[: draw(st.integers(1, num_qubits))]
    listed = draw(st.lists(op, max_size=max_ops))
    return Circuit(num_qubits, tuple(listed), tuple(measured), num_features, num_weights)


def values(circuit: Circuit, seed: int = 0) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weights (P,) and features (3, d) for a circuit, the same for the same seed."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=circuit.num_weights), rng.normal(size=(3, circuit.num_features))


def spread(got: NDArray[np.float64], expected: NDArray[np.float64]) -> float:
    """The largest difference between two arrays, which must have one shape."""
    assert got.shape == expected.shape
    return float(np.max(np.abs(got - expected), initial=0.0))


def same_up_to_phase(
    got: NDArray[np.complex128], expected: NDArray[np.complex128], tolerance: float = 1e-12
) -> bool:
    """Whether two matrices or states differ by a global phase alone."""
    phase = np.vdot(expected, got)
    return bool(
        np.allclose(got * abs(phase), expected * phase, rtol=0, atol=tolerance * abs(phase))
    )
