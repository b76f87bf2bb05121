"""Figures from scores and from plain numbers, for the measurements of the studies."""

from __future__ import annotations

import math
from collections.abc import Mapping

from qmoe.figure import Figure
from qmoe.metrics import Score
from qmoe.record import Scalar

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
