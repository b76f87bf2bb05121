"""Figures with their uncertainty: scores with intervals, paired differences, routing measures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Integer
from numpy.typing import NDArray

Array = NDArray[Any]
Values = Sequence[float] | Float[Array, " seed"]

ACCURACY_RANGE = (0.0, 1.0)


@dataclass(frozen=True, slots=True)
class Score:
    """A figure with the ends of its interval; the ends are nan where no interval exists.

    >>> str(Score(0.983, 0.979, 0.986))
    '0.983 [0.979, 0.986]'
    >>> f"{Score(0.0123, -0.001, 0.0256):+.2f}"
    '+0.01 [-0.00, +0.03]'
    >>> str(Score(0.9, math.nan, math.nan))
    '0.900 [no interval]'
    """

    value: float
    low: float
    high: float

    @property
    def has_interval(self) -> bool:
        """Whether both ends of the interval are known."""
        return math.isfinite(self.low) and math.isfinite(self.high)

    def __format__(self, spec: str) -> str:
        spec = spec or ".3f"
        if not self.has_interval:
            return f"{self.value:{spec}} [no interval]"
        return f"{self.value:{spec}} [{self.low:{spec}}, {self.high:{spec}}]"

    def __str__(self) -> str:
        return format(self, "")


def wilson(successes: int, n: int, level: float = 0.95) -> Score:
    """The proportion successes / n with its Wilson score interval.

    Closed form of Wilson, J. Am. Stat. Assoc. 22, 209 (1927), without continuity correction: the
    same as `scipy.stats.binomtest(k, n).proportion_ci(level, "wilson")`. With n = 0 nothing is
    known: the value is nan and the interval [0, 1].

    >>> str(wilson(10, 10))
    '1.000 [0.722, 1.000]'
    """
    _check_level(level)
    if not 0 <= successes <= n:
        raise ValueError(f"got {successes} successes of {n}; expected 0 <= successes <= n")
    if n == 0:
        return Score(math.nan, 0.0, 1.0)
    from scipy.special import ndtri

    z2 = float(ndtri(0.5 + level / 2)) ** 2
    p = successes / n
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = math.sqrt(z2 * (p * (1 - p) / n + z2 / (4 * n * n))) / (1 + z2 / n)
    # The exact ends at 0 and n successes are 0 and 1; rounding would miss them by an ulp.
    low = 0.0 if successes == 0 else centre - half
    high = 1.0 if successes == n else centre + half
    return Score(p, low, high)


def mean_score(
    values: Values,
    level: float = 0.95,
    limits: tuple[float, float] = (-math.inf, math.inf),
    overlap: float = 0.0,
) -> Score:
    """The mean over seeds with its Student t interval, cut to what the figure can be.

    Args:
        values: one figure per seed.
        level: the confidence level, 0 < level < 1.
        limits: the range of the quantity; pass `ACCURACY_RANGE` for accuracies, whose t interval
            may otherwise reach past 1. Cutting at an impossible value costs no coverage.
        overlap: test rows / training rows where the seeds are new splits of *one* data set; their
            training parts overlap, and the variance is s^2 (1/n + overlap) in place of s^2 / n
            (Nadeau and Bengio, Machine Learning 52, 239 (2003)). 0 for independent seeds.

    One seed has no interval: its ends are nan. Equal values give [v, v], which says that these
    seeds did not differ, not that others cannot.

    >>> str(mean_score([0.9, 1.0, 0.95], limits=ACCURACY_RANGE))
    '0.950 [0.826, 1.000]'
    """
    _check_level(level)
    sample = np.asarray(values, dtype=np.float64)
    if sample.size == 0:
        raise ValueError("got no values; expected at least one")
    low, high = _t_interval(sample, level, overlap)
    mean = float(np.clip(sample.mean(), sample.min(), sample.max()))
    return Score(mean, max(low, limits[0]), min(high, limits[1]))


def paired_difference(a: Values, b: Values, level: float = 0.95, overlap: float = 0.0) -> Score:
    """The mean of a - b over paired seeds with its Student t interval.

    `a[i]` and `b[i]` come from the same seed: same data, same split; `overlap` as in `mean_score`.
    Fewer than two seeds have no interval (nan ends); equal differences d give [d, d], all ties
    [0, 0].

    >>> f"{paired_difference([0.9, 1.0, 0.9], [0.8, 0.9, 0.9]):+.3f}"
    '+0.067 [-0.077, +0.210]'
    """
    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if first.shape != second.shape:
        raise ValueError(f"got {first.size} and {second.size} values; expected pairs")
    return mean_score(first - second, level, overlap=overlap)


def accuracy(
    predicted: Integer[Array, "*seed batch"], labels: Integer[Array, "*seed batch"]
) -> Float[Array, "*seed"] | float:
    """The share of predictions equal to the label, per leading (seed) axis."""
    if predicted.shape[-1] == 0:
        raise ValueError("got no predictions; expected at least one")
    share: Array | float = np.mean(predicted == labels, axis=-1, dtype=np.float64)
    return share


def expert_load(
    gates: Float[Array, "*seed expert batch"],
) -> Float[Array, "*seed expert"]:
    """The mean gate weight of each expert over a batch: non-negative, sums to 1.

    >>> expert_load(np.array([[1.0, 0.5], [0.0, 0.5]])).tolist()
    [0.75, 0.25]
    """
    return np.asarray(gates.mean(axis=-1, dtype=np.float64))


def routing_entropy(
    gates: Float[Array, "*seed expert batch"],
) -> Float[Array, "*seed"] | float:
    """The mean Shannon entropy of the gate weights, in bits: 0 is one expert per input.

    At most log2(E), reached by equal weights. It is taken per input and then averaged, so that a
    router which sends every input wholly to one expert scores 0 however even the load is.

    >>> float(routing_entropy(np.array([[1.0, 0.5], [0.0, 0.5]])))
    0.5
    """
    weights = gates.astype(np.float64)
    # 0 log 0 = 0: the logarithm of 1 stands in where the weight is 0.
    logs = np.log2(np.where(weights > 0, weights, 1.0))
    # Adding 0 turns the -0.0 of a one-hot gate into 0.0.
    entropy: Array | float = -np.sum(weights * logs, axis=-2).mean(axis=-1) + 0.0
    return entropy


def _t_interval(sample: Float[Array, " seed"], level: float, overlap: float) -> tuple[float, float]:
    if sample.size < 2:
        return math.nan, math.nan
    if np.all(sample == sample[0]):
        return float(sample[0]), float(sample[0])
    # scipy.special alone: scipy.stats takes most of a second to import.
    from scipy.special import stdtrit

    mean = float(sample.mean())
    error = float(sample.std(ddof=1)) * math.sqrt(1 / sample.size + overlap)
    half = float(stdtrit(sample.size - 1, 0.5 + level / 2)) * error
    return mean - half, mean + half


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise ValueError(f"got level {level}; expected 0 < level < 1")
