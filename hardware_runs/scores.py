"""Scores of what a target answers, beside the same router exact and with an even gate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backends import load
from backends.base import Exact
from qmoe.agreement import LEAST_ROOM, total_variation
from qmoe.routed import RoutedCircuit

Array = NDArray[np.float64]

FIGURES = ("accuracy", "total variation", "top-1 agreement")
"""What `Asked` scores; the last two against the ideal router."""


def exact(routed: RoutedCircuit, X: Array) -> Array:
    """The outcome distribution (row, 2^m) of the ideal router for rows of scaled features."""
    cpu = load("torch")
    assert isinstance(cpu, Exact)
    return cpu.probabilities(cpu.compile(routed.template), routed.features(X))


def retained(accuracy: float, ideal: float, even: float) -> float | None:
    """Routing retention of one router; None where the ideal one has too little room.

    ideal, even: The accuracy of the ideal router and of the same experts under equal gate
    weights, on the same inputs.

    >>> retained(0.875, 1.0, 0.5), retained(0.8, 0.81, 0.8)
    (0.75, None)
    """
    room = ideal - even
    return (accuracy - even) / room if room >= LEAST_ROOM else None


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """Some inputs of one router with what its ideal circuit answers; it scores outcomes."""

    routed: RoutedCircuit
    X: Array
    y: NDArray[np.int64]
    ideal: Array
    first: NDArray[np.int64]

    @classmethod
    def of(cls, routed: RoutedCircuit, X: Array, y: NDArray[np.int64]) -> Asked:
        """Rows of scaled features with their labels."""
        ideal = exact(routed, X)
        return cls(routed, X, y, ideal, routed.answer(X, ideal).gate_weights.argmax(1))

    def score(self, name: str, outcomes: Array) -> float:
        """One of `FIGURES` of outcome distributions or relative frequencies (row, 2^m)."""
        if name == "total variation":
            return float(total_variation(outcomes, self.ideal).mean())
        answer = self.routed.answer(self.X, outcomes)
        if name == "accuracy":
            return float((answer.probabilities.argmax(1) == self.y).mean())
        return float((answer.gate_weights.argmax(1) == self.first).mean())
