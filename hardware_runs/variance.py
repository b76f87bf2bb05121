"""What the mean difference in accuracy between two treatments varies with: routers, inputs, shots.

Differences are paired: d = right under one treatment minus right under the other, -1, 0 or 1, for
the same trained router and the same input. Routers are drawn anew with each seed, inputs within a
router, shots within an input, so that by the law of total variance the mean over N routers with I
inputs each varies by (routers + (inputs + shots) / I) / N.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int8
from numpy.typing import NDArray

from qmoe.arrays import Floats
from qmoe.metrics import Score

Differences = Int8[NDArray[np.int8], "router input draw"]
"""The same inputs answered several times: each draw has shots of its own."""


@dataclass(frozen=True, slots=True)
class Components:
    """Variances of a difference in accuracy; `shots` is that within one input."""

    routers: float
    inputs: float
    shots: float

    def of_mean(self, routers: int, inputs: int) -> float:
        """The variance of the mean over so many routers with so many inputs each."""
        return (self.routers + (self.inputs + self.shots) / inputs) / routers


def components(differences: Differences, *, shared: bool = False) -> Components:
    """Unbiased estimates by analysis of variance (inputs crossed with draws, within routers).

    A negative one, which chance can make of a small variance, is put to 0.

    shared: Whether the answers to all inputs of a draw share some of their shots, such as those
        of a calibration. The part of the variance that comes with them does not average out over
        inputs by itself, but the shots shared are a share of the whole budget and grow with the
        inputs: it stands in `shots`, too.
    """
    return _combined(_squares(differences), differences.shape, shared)


def deviation(differences: Differences, inputs: int, *, shared: bool = False) -> Score:
    """The standard deviation over routers of the mean difference of so many inputs.

    With its 95 % interval, by jackknife over routers, of which there are at least three.
    """
    each = _squares(differences)
    routers, *rest = differences.shape

    def found(kept: _Squares) -> float:
        shape = (len(kept.mean), *rest)
        return math.sqrt(_combined(kept, shape, shared).of_mean(1, inputs))

    left_out = np.array([found(_without(each, k)) for k in range(routers)])
    value = found(each)
    error = math.sqrt((routers - 1) / routers * float(np.sum((left_out - left_out.mean()) ** 2)))
    return Score(value, max(0.0, value - 1.96 * error), value + 1.96 * error)


class _Squares(NamedTuple):
    """The mean of each router, and its mean squares of inputs, draws and the rest."""

    mean: Float64[Floats, " router"]
    inputs: Float64[Floats, " router"]
    draws: Float64[Floats, " router"]
    rest: Float64[Floats, " router"]


def _squares(differences: Differences) -> _Squares:
    d = differences.astype(np.float64)
    inputs, draws = d.shape[1:]
    by_input, by_draw, mean = d.mean(2), d.mean(1), d.mean((1, 2))
    rest = d - by_input[:, :, None] - by_draw[:, None, :] + mean[:, None, None]
    return _Squares(
        mean,
        draws * by_input.var(1, ddof=1),
        inputs * by_draw.var(1, ddof=1),
        (rest**2).sum((1, 2)) / ((inputs - 1) * (draws - 1)),
    )


def _without(each: _Squares, k: int) -> _Squares:
    return _Squares(*(np.delete(values, k) for values in each))


def _combined(each: _Squares, shape: tuple[int, ...], shared: bool) -> Components:
    _, inputs, draws = shape
    rest = float(each.rest.mean())
    within = (float(each.inputs.mean()) - rest) / draws
    shots = float(each.draws.mean()) if shared else rest
    between = float(each.mean.var(ddof=1)) - within / inputs - shots / (inputs * draws)
    return Components(max(0.0, between), max(0.0, within), max(0.0, shots))
