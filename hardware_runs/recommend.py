"""Which treatment is worth its cost on a target: chosen on one part, confirmed on another.

The candidate is the treatment with the best mean on validation inputs; whether it is recommended
is decided on test inputs alone, by the paired interval of its difference to the raw target. So
there is one comparison, however many treatments there are, and no choice among test figures.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from qmoe.errors import InputError
from qmoe.metrics import Score, paired_difference

RAW = "none"
FEWEST = 8
"""Paired checkpoints below which nothing is recommended."""


@dataclass(frozen=True, slots=True)
class Recommendation:
    """What to do on a target.

    Attributes:
        treatment: `none`, or the candidate where the interval speaks for it.
        candidate: The best on validation; `none` where nothing is better than the raw target.
        difference: Candidate minus raw on test inputs, paired, 95 %; higher is better.
        reason: Why, in part of a sentence.
    """

    treatment: str
    candidate: str
    difference: Score
    reason: str


def recommend(
    validation: Mapping[str, Sequence[float]],
    test: Mapping[str, Sequence[float]],
    *,
    lower_is_better: bool = False,
) -> Recommendation:
    """The recommendation from a figure of each checkpoint under each treatment, `none` among them.

    Raises:
        InputError: No raw figures, or treatments with other checkpoints.

    >>> raw, better = [0.8] * 8, [0.9, 0.91] * 4
    >>> recommend({"none": raw, "readout": better}, {"none": raw, "readout": better}).treatment
    'readout'
    """
    counts = {len(values) for part in (validation, test) for values in part.values()}
    if RAW not in validation or set(validation) != set(test) or len(counts) != 1:
        raise InputError(
            got=f"treatments {sorted(validation)} and {sorted(test)} with {sorted(counts)} values",
            expected=f"the same on validation and test, {RAW!r} among them, equally many values",
            do="score every treatment on both parts",
        )
    sign = -1.0 if lower_is_better else 1.0
    # ties go to the raw target, then to what was listed first
    names = [RAW, *(name for name in validation if name != RAW)]
    candidate = max(names, key=lambda name: sign * float(np.mean(validation[name])))
    difference = paired_difference(
        sign * np.asarray(test[candidate], dtype=np.float64),
        sign * np.asarray(test[RAW], dtype=np.float64),
    )
    if candidate == RAW:
        return Recommendation(RAW, RAW, difference, "nothing was better on validation inputs")
    if next(iter(counts)) < FEWEST:
        reason = f"{candidate} was best on validation inputs, but {FEWEST} checkpoints are needed"
        return Recommendation(RAW, candidate, difference, reason)
    if math.isfinite(difference.low) and difference.low > 0:
        return Recommendation(candidate, candidate, difference, "confirmed on test inputs")
    word = "worse" if difference.high < 0 else "not shown to be better"
    reason = f"{candidate} was best on validation inputs, {word} on test inputs"
    return Recommendation(RAW, candidate, difference, reason)
