"""Figures from scores and from plain numbers, for the measurements of the studies."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

from qmoe.figure import Figure
from qmoe.metrics import Score, mean_score
from qmoe.record import Scalar

DIGITS: Final = 5
"""Decimal places of what is kept of each seed."""

Labels = Mapping[str, Scalar]
"""What tells figures of one name apart."""


def scored(name: str, labels: Labels, score: Score, *, unit: str = "", note: str = "") -> Figure:
    """A score as a figure; ends that are not known are None.

    >>> scored("accuracy", {"seed": 0}, Score(0.9, math.nan, math.nan)).low is None
    True
    """
    low, high = (end if math.isfinite(end) else None for end in (score.low, score.high))
    return Figure(
        name=name, labels=dict(labels), value=score.value, low=low, high=high, unit=unit, note=note
    )


def plain(name: str, labels: Labels, value: int | float | None, note: str = "") -> Figure:
    """A number without interval, as counts and exact values are; None where there is none."""
    number = None if value is None else float(value)
    return Figure(name=name, labels=dict(labels), value=number, note=note)


def over_seeds(
    name: str,
    labels: Labels,
    per_seed: Sequence[float | None],
    *,
    note: str = "",
    limits: tuple[float, float] = (-math.inf, math.inf),
) -> Figure:
    """The mean over paired seeds with its 95 % interval, and the value of each.

    Seeds that have no value, as a retention with no room for routing, are left out and counted.
    """
    known = [value for value in per_seed if value is not None]
    each = tuple(None if value is None else round(value, DIGITS) for value in per_seed)
    if not known:
        made = plain(name, labels, None, "an even gate answers as well")
    else:
        if len(known) < len(each):
            note = f"{len(known)} of {len(each)} seeds: an even gate answers as well for the others"
        made = scored(name, labels, mean_score(known, limits=limits), note=note)
    ends = {
        key: None if value is None else round(value, DIGITS + 1)
        for key, value in (("value", made.value), ("low", made.low), ("high", made.high))
    }
    return made.model_copy(update={**ends, "per_seed": each})
