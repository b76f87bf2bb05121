"""Axis ranges that a single far-off router cannot flatten."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from qmoe.metrics import Score

NICE = (1, 2, 2.5, 5, 10)
"""Steps between ticks, for matplotlib's MaxNLocator."""

_CORE_SHARE = 0.6
_FAR = 3.0


def focus(scores: Sequence[Score]) -> tuple[float, float] | None:
    """The range that holds the intervals of all scores but the far-off ones.

    The core is the 60 % of scores nearest to the median; a score whose value lies more than three
    widths of the core (intervals included) from the median is far off. It is drawn as an arrow at
    the edge. None without any finite value.

    >>> near = [Score(v, v - 0.01, v + 0.01) for v in (0.95, 0.96, 0.97, 0.98)]
    >>> focus([*near, Score(0.5, 0.45, 0.55)])
    (0.94, 0.99)
    """
    known = [score for score in scores if math.isfinite(score.value)]
    if not known:
        return None
    median = float(np.median([score.value for score in known]))
    nearest = sorted(known, key=lambda score: abs(score.value - median))
    low, high = _hull(nearest[: math.ceil(_CORE_SHARE * len(known))])
    width = high - low
    kept = [s for s in known if width == 0 or abs(s.value - median) <= _FAR * width]
    return _hull(kept)


def _hull(scores: Sequence[Score]) -> tuple[float, float]:
    ends = [v for s in scores for v in (s.value, s.low, s.high) if math.isfinite(v)]
    return min(ends), max(ends)
