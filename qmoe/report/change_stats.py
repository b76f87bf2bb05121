"""Differences of one figure between two runs, B minus A, each with its interval and its p.

Everything is two-sided and symmetric: A and B swapped give the same p and the negated difference.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from qmoe.arrays import Floats
from qmoe.metrics import Score, paired_difference

LEVEL = 0.95
# What rounding makes of differences that are equal, such as .93 - .92 and .95 - .94.
_TIE = 1e-12


class Difference(NamedTuple):
    """A difference with its 95 % interval (nan ends: none), its p, and what is special about it."""

    score: Score
    p: float
    note: str = ""


def paired(
    a: Float64[Floats, " seed"], b: Float64[Floats, " seed"], overlap: float = 0.0
) -> Difference:
    """The mean difference over seeds that saw the same data; at least two, not all equal.

    A t test, with `overlap` as in `qmoe.metrics.mean_score`. Differences that are all the same
    have no spread to test against: theirs is the p of all sign flips, 2^(1 - n), and no interval.
    """
    from scipy.stats import ttest_1samp

    found = b - a
    if np.ptp(found) <= _TIE:
        return Difference(
            _bare(a, b), 2.0 ** (1 - len(a)), "equal differences: p of all sign flips"
        )
    p = ttest_1samp(_widened(found, overlap), 0.0).pvalue
    return Difference(paired_difference(b, a, LEVEL, overlap), float(p))


def unpaired(
    a: Float64[Floats, " seed"],
    b: Float64[Floats, " seed_b"],
    overlaps: tuple[float, float] = (0.0, 0.0),
) -> Difference:
    """Welch's difference of means for seeds that saw other data; at least two on either side.

    `overlaps` are those of A and of B. Values that are all the same on both sides have the p of
    all permutations, 2 / (n choose n_a), and no interval.
    """
    from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

    if max(np.ptp(a), np.ptp(b)) <= _TIE:
        p = min(2 / math.comb(len(a) + len(b), len(a)), 1.0)
        return Difference(_bare(a, b), p, "equal values on each side: p of all permutations")
    sides = (DescrStatsW(_widened(v, o)) for v, o in zip((b, a), overlaps[::-1], strict=True))
    both = CompareMeans(*sides)
    low, high = both.tconfint_diff(1 - LEVEL, usevar="unequal")
    p = both.ttest_ind(usevar="unequal")[1]
    return Difference(Score(float(b.mean() - a.mean()), float(low), float(high)), float(p))


def proportions(a: int, b: int, inputs: int) -> Difference:
    """The difference of two shares of right answers, unequal: Newcombe's interval, a pooled z test.

    Both take the two sets of answers as independent. Answers to the same inputs are not, mostly in
    the direction that makes this test too cautious.
    """
    from statsmodels.stats.proportion import confint_proportions_2indep, proportions_ztest

    low, high = confint_proportions_2indep(
        b, inputs, a, inputs, method="newcomb", compare="diff", alpha=1 - LEVEL
    )
    p = proportions_ztest([b, a], [inputs, inputs])[1]
    return Difference(Score((b - a) / inputs, float(low), float(high)), float(p))


def _widened(values: Float64[Floats, " n"], overlap: float) -> Float64[Floats, " n"]:
    """Values about the same mean whose plain error of the mean is Nadeau and Bengio's of these."""
    mean = values.mean()
    return np.asarray(mean + (values - mean) * math.sqrt(1 + len(values) * overlap))


def _bare(a: Float64[Floats, " n"], b: Float64[Floats, " m"]) -> Score:
    return Score(float(b.mean() - a.mean()), math.nan, math.nan)
