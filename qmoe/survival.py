"""Censored time to target: how long two routers train until an accuracy is reached, if ever."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from qmoe.arrays import Floats
from qmoe.metrics import Score, mean_score, paired_difference, wilson


@dataclass(frozen=True, slots=True)
class TimeToTarget:
    """Times of one router up to a horizon, in the unit of the times.

    `restricted` is the mean of min(time, horizon) with its t interval, cut to [0, horizon].
    `median` is the Kaplan-Meier median: the first time at which more than half of the seeds have
    arrived, inf where the horizon comes first. `never` is the share of seeds that the horizon came
    first for, with its Wilson interval.
    """

    restricted: Score
    median: float
    never: Score
    seeds: int


@dataclass(frozen=True, slots=True)
class Race:
    """Two routers on the same seeds: the paired difference a - b of restricted times, and asides.

    Below 0, a is faster. `logrank_p` is the log-rank test's p, a side figure: it knows nothing of
    the pairing, and where no seed arrives, or all arrive at one time, it is 1.
    """

    a: TimeToTarget
    b: TimeToTarget
    difference: Score
    horizon: float
    logrank_p: float


def restricted(times: Float64[Floats, " seed"], horizon: float) -> Float64[Floats, " seed"]:
    """Each seed's time, cut at the horizon: min(time, horizon).

    Every seed has to be watched up to the horizon. Then the mean of these is the restricted mean
    time, the area under the Kaplan-Meier curve up to there (Royston and Parmar, BMC Med. Res.
    Methodol. 13, 152 (2013)), and a seed that never arrives counts with the horizon instead of
    going missing.

    Args:
        times: at which the target was reached, >= 0; inf where it was not.
        horizon: the last time looked at, above 0; arriving exactly then counts as arriving.
    """
    if not 0 < horizon < math.inf:
        raise ValueError(f"got horizon {horizon}; expected a finite number above 0")
    if times.size == 0 or not np.all(times >= 0):  # nan is not >= 0 either
        raise ValueError("got no times, or nan or negative ones; expected >= 0 (inf: never)")
    return np.minimum(times, horizon)


def time_to_target(
    times: Float64[Floats, " seed"], horizon: float, level: float = 0.95, overlap: float = 0.0
) -> TimeToTarget:
    """The figures of one router; arguments as in `restricted`, `overlap` as in `mean_score`.

    >>> found = time_to_target(np.array([10.0, 30.0, np.inf, 20.0]), horizon=50.0)
    >>> found.restricted.value, found.median, found.never.value
    (27.5, 30.0, 0.25)
    """
    from statsmodels.duration.survfunc import SurvfuncRight

    watched = restricted(times, horizon)
    arrived = times <= horizon
    median = float(SurvfuncRight(watched, arrived.astype(int)).quantile(0.5))
    return TimeToTarget(
        mean_score(watched, level, (0.0, horizon), overlap),
        math.inf if math.isnan(median) else median,
        wilson(int(np.count_nonzero(~arrived)), arrived.size, level),
        arrived.size,
    )


def race(
    a: Float64[Floats, " seed"],
    b: Float64[Floats, " seed"],
    horizon: float,
    level: float = 0.95,
    overlap: float = 0.0,
) -> Race:
    """Two routers' times to the same target over the same seeds.

    The difference of restricted times is the one to judge, with a margin in their unit: times are
    better when lower, so a `qmoe.stats.Sample` takes `-restricted(a, horizon)` and likewise b.
    """
    difference = paired_difference(restricted(a, horizon), restricted(b, horizon), level, overlap)
    return Race(
        time_to_target(a, horizon, level, overlap),
        time_to_target(b, horizon, level, overlap),
        difference,
        float(horizon),
        _logrank(a, b, horizon),
    )


def _logrank(a: Float64[Floats, " seed"], b: Float64[Floats, " seed"], horizon: float) -> float:
    from statsmodels.duration.survfunc import survdiff

    times = np.concatenate([a, b])
    arrived = times <= horizon
    # Nobody arrives, or all at once: nothing to compare, and a singular matrix.
    if not np.any(arrived) or np.all(times == times[0]):
        return 1.0
    group = np.repeat([0, 1], [a.size, b.size])
    return float(survdiff(np.minimum(times, horizon), arrived.astype(int), group)[1])
