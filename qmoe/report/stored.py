"""Stored figures as the report reads them: those of a study in order, and their scores."""

from __future__ import annotations

import math

from qmoe.evidence import Evidence
from qmoe.figure import Figure
from qmoe.metrics import Score
from qmoe.record import Scalar


def measured(evidence: Evidence | None, study: str) -> list[tuple[Figure, ...]]:
    """The figures of each measurement of a study, in the order asked for; none where it did not."""
    if evidence is None or study not in evidence.studies:
        return []
    parts = {part.key: part.figures for part in evidence.figures}
    return [parts[key] for key in evidence.studies[study] if key in parts]


def score_of(figure: Figure | None) -> Score:
    """A figure as a score; nan for what it does not have, and where there is none."""
    values = (None,) * 3 if figure is None else (figure.value, figure.low, figure.high)
    return Score(*(math.nan if value is None else value for value in values))


def whole_of(value: Scalar) -> int:
    """A label that counts; 0 where it does not."""
    return value if isinstance(value, int) else 0
