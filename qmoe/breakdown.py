"""The breakdown point: the noise strength at which a mean paired advantage is used up."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from jaxtyping import Float64, Int64

from qmoe.arrays import Floats, Ints
from qmoe.metrics import Score
from qmoe.stats import MARGIN

Word = Literal[
    "no advantage at zero noise", "breaks at p [low, high]", "does not break up to P", "undecided"
]

FEWEST: Final = 10
"""Seeds below which no interval is given: resamples of fewer cannot spread as far as it has to."""
_HALVINGS = 40


@dataclass(frozen=True, slots=True)
class Breakdown:
    """Where an advantage ends, and what may be said of it.

    Attributes:
        word: The outcome; p, low, high and P stand for numbers that `text` has.
        at: The breakdown point with its interval. Each of the three is 0 where there is no
            advantage at zero noise, and inf where it lies beyond `up_to`; the ends are nan where
            there is no interval.
        up_to: P, the largest strength measured.
        text: The outcome as a sentence part, with its numbers.
    """

    word: Word
    at: Score
    up_to: float
    text: str


def breakdown(
    strengths: Float64[Floats, " strength"],
    differences: Float64[Floats, "seed strength"],
    *,
    margin: float = 0.0,
    matters: float = MARGIN,
    level: float = 0.95,
    seed: int = 0,
    resamples: int = 2000,
) -> Breakdown:
    """The strength at which the mean of paired differences falls to the margin.

    The mean curve is made decreasing by isotonic regression with equal weights and joined by
    Fritsch and Carlson's monotone cubic; straight lines between strengths as far apart as .05
    would put the crossing of a convex curve too high by more than its error at 300 seeds. The
    crossing is the first strength where the curve is not above the margin. It counts as 0 where
    the mean measured at zero noise is not above the margin (not the fit, whose first value is
    the mean or more), and as inf where the last value of the fit still is.

    The interval has the percentiles of the crossings of resampled seeds, each seed with its whole
    curve, at a level widened for few seeds: percentiles are those of a normal distribution with
    the variance divided by n, so that the tail alpha / 2 is replaced by
    Phi(-sqrt(n / (n - 1)) t(n - 1, 1 - alpha / 2)) (Hesterberg, arXiv 1411.5279, section 3.2). A
    crossing that is 0 or inf takes its place in their order, which is all that a percentile needs.
    Seeds have to be independent: new data and a new initialisation each.

    With that interval [low, high] the words are

    - `breaks at p [low, high]`: low is above 0 and high is not inf, so that there is an advantage
      at zero noise, and it is used up at P;
    - `does not break up to P`: low is inf, so that there still is an advantage at P;
    - `no advantage at zero noise`: low is 0, so that none is shown, and one of `matters` above
      the margin is excluded, by the same percentiles of the mean at zero noise (what is
      equivalent there has no advantage to lose, however many seeds say so);
    - `undecided`: everything else: low is 0, but an advantage that matters is not excluded; or
      low is above 0 and high is inf; or there are fewer than `FEWEST` seeds.

    Equal curves have the interval [p, p] of their crossing; a tie with the margin, up to 1e-12, is
    no advantage.

    Args:
        strengths: from 0 upwards, at least two; their number is best kept below 30.
        differences: router minus control of each seed at every strength, higher is better.
        margin: the difference that counts as no advantage, fixed beforehand.
        matters: what an advantage at zero noise has to be to matter, beyond the margin.
        level: the confidence level.
        seed: of the resampling.
        resamples: how many; ends are order statistics, rounded outwards.

    Raises:
        ValueError: strengths that do not rise from 0, figures that are missing or not finite, a
            level outside (0, 1), or too few resamples for the percentiles.
    """
    _check(strengths, differences, margin, matters, level)
    n, last = len(differences), float(strengths[-1])
    value = float(_crossings(differences.mean(axis=0, keepdims=True) - margin, strengths)[0])
    if n < FEWEST:
        text = f"undecided: {n} seed{'s' if n > 1 else ''}, where an interval needs {FEWEST}"
        return Breakdown("undecided", Score(value, math.nan, math.nan), last, text)
    rank = math.floor(_tail(n, level) * (resamples + 1))
    if rank < 1:
        raise ValueError(f"got {resamples} resamples; expected enough for a level of {level}")
    means = _drawn(n, resamples, np.random.default_rng(seed)) @ differences / n - margin
    found = np.sort(_crossings(means, strengths))
    at = Score(value, float(found[rank - 1]), float(found[-rank]))
    return _said(at, last, float(np.sort(means[:, 0])[-rank]) < matters)


def _said(at: Score, last: float, none_matters: bool) -> Breakdown:
    """The word for a crossing with its interval."""
    up_to = f"up to {last:g}"
    if at.low == math.inf:
        return Breakdown("does not break up to P", at, last, f"does not break {up_to}")
    if at.low > 0 and at.high < math.inf:
        return Breakdown("breaks at p [low, high]", at, last, f"breaks at {at:.4f}")
    if at.low == 0 and none_matters:
        word: Word = "no advantage at zero noise"
        return Breakdown(word, at, last, word)
    gone = f"gone by {at.high:.4f}" if at.high < math.inf else f"not shown to break {up_to}"
    if at.low > 0:
        text = f"undecided: an advantage up to {at.low:.4f} at least, {gone}"
    else:
        text = f"undecided: an advantage at zero noise is neither shown nor excluded, {gone}"
    return Breakdown("undecided", at, last, text)


def _tail(n: int, level: float) -> float:
    """The widened tail of the percentiles on either side."""
    # scipy.special alone: scipy.stats takes most of a second to import.
    from scipy.special import ndtr, stdtrit

    return float(ndtr(-math.sqrt(n / (n - 1)) * stdtrit(n - 1, 0.5 + level / 2)))


def _drawn(n: int, resamples: int, rng: np.random.Generator) -> Int64[Ints, "resample seed"]:
    """How often each seed is in each resample."""
    picked = rng.integers(0, n, (resamples, n)) + n * np.arange(resamples)[:, np.newaxis]
    return np.bincount(picked.ravel(), minlength=resamples * n).reshape(resamples, n)


def _crossings(
    above: Float64[Floats, "curve strength"], strengths: Float64[Floats, " strength"]
) -> Float64[Floats, " curve"]:
    """Where each mean curve, less the margin, falls to 0: 0 and inf as in `breakdown`."""
    from scipy.interpolate import PchipInterpolator

    # sums of equal terms in another order: a tie is a tie
    above, fit = np.round(above, 12), np.round(_decreasing(above), 12)
    found: Floats = np.where(above[:, 0] > 0, np.inf, 0.0)
    breaks = np.flatnonzero((above[:, 0] > 0) & (fit[:, -1] <= 0))
    fit = fit[breaks]
    # the interval that ends in the first strength without an advantage
    left = np.argmax(fit <= 0, axis=1) - 1
    cubic = PchipInterpolator(strengths, fit, axis=1).c[:, left, np.arange(len(fit))]
    high: Floats = strengths[left + 1] - strengths[left]
    low: Floats = np.zeros(high.shape)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        still = ((cubic[0] * middle + cubic[1]) * middle + cubic[2]) * middle + cubic[3] > 0
        low, high = np.where(still, middle, low), np.where(still, high, middle)
    found[breaks] = strengths[left] + high
    return found


def _decreasing(curves: Float64[Floats, "curve strength"]) -> Float64[Floats, "curve strength"]:
    """The least-squares decreasing fit of each curve, all at once.

    By the min-max formula: the value at k is the least over i <= k of the greatest over j >= k of
    the mean from i to j (Robertson, Wright and Dykstra, Order Restricted Statistical Inference,
    1988, theorem 1.4.4).
    """
    sums = np.pad(np.cumsum(curves, axis=1), ((0, 0), (1, 0)))
    at = np.arange(curves.shape[1])
    first, last = at[:, np.newaxis], at
    counts = np.maximum(last - first + 1, 1)
    means = (sums[:, np.newaxis, 1:] - sums[:, :-1, np.newaxis]) / counts
    means[:, first > last] = -np.inf
    greatest = np.maximum.accumulate(means[:, :, ::-1], axis=2)[:, :, ::-1]
    greatest[:, first > last] = np.inf
    return np.asarray(greatest.min(axis=1))


def _check(
    strengths: Float64[Floats, " strength"],
    differences: Float64[Floats, "seed strength"],
    margin: float,
    matters: float,
    level: float,
) -> None:
    if len(strengths) < 2 or strengths[0] != 0 or not np.all(np.diff(strengths) > 0):
        raise ValueError(f"got strengths {strengths.tolist()}; expected two or more, rising from 0")
    if len(differences) == 0 or not np.all(np.isfinite(differences)):
        raise ValueError("got no differences, or nan or infinite ones; expected finite ones")
    if not (math.isfinite(margin) and matters >= 0 and 0 < level < 1):
        raise ValueError(
            f"got margin {margin}, matters {matters}, level {level}; expected finite, >= 0 and "
            "in (0, 1)"
        )
