"""How figures are written on the page and in a terminal."""

from __future__ import annotations

import math
import re

from qmoe.metrics import Score

FEW = 3
"""Groups of a run that are summed up one by one at its start; more get an index."""

ON = {"test": "held-out test", "train": "training data"}
"""What `accuracy_on` is called on the page."""

_SOURCES = {
    "exact": "exact simulation",
    "sampled": "simulation, sampled shots",
    "twin": "simulated twin of a device",
    "snapshot": "simulated device snapshot",
    "synthetic": "simulation with made-up noise",
    "hosted-simulator": "hosted simulator",
    "loopback": "loopback, not a vendor's endpoint",
    "device": "quantum hardware",
}


def source_label(source: str) -> str:
    """What a source is called on the page."""
    return _SOURCES.get(source, source)


def number(value: float | int, spec: str = ".3f") -> str:
    """A number with a true minus sign; an en dash where there is none.

    >>> number(-0.0123, "+.3f")
    '−0.012'
    >>> number(float("nan"))
    '–'
    """
    if not math.isfinite(value):
        return "–"
    text = f"{value:{spec}}"
    # A rounded zero has no sign worth showing.
    if float(text.replace(",", "")) == 0:
        text = text.replace("-", "").replace("+", "")
    return text.replace("-", "−")


def seconds(value: float) -> str:
    """A time to three digits, never in powers of ten.

    >>> [seconds(value) for value in (0.000285, 4.6551, 3612.4)]
    ['0.000285', '4.66', '3,612']
    """
    return number(value, ".3g" if abs(value) < 100 else ",.0f")


def interval(score: Score, spec: str = ".3f") -> str:
    r"""The interval alone, in brackets, with a space that does not break.

    >>> interval(Score(0.98, 0.979, 0.986))
    '[0.979,\xa00.986]'
    """
    if not score.has_interval:
        return "no interval"
    return f"[{number(score.low, spec)},\xa0{number(score.high, spec)}]"


def written(score: Score, spec: str = ".3f") -> str:
    r"""A figure with its interval, for running text; it stays on one line.

    >>> written(Score(-0.004, -0.0061, 0.0012), "+.3f")
    '−0.004\xa0[−0.006,\xa0+0.001]'
    """
    return f"{number(score.value, spec)}\xa0{interval(score, spec)}"


def inside(expected: Score, value: float) -> str:
    """Whether a value lies within an interval, ends included.

    >>> inside(Score(0.5, 0.4, 0.6), 0.6), inside(Score(0.5, 0.4, 0.6), 0.7)
    ('inside', 'outside')
    """
    return "inside" if expected.low <= value <= expected.high else "outside"


def percent(level: float) -> str:
    r"""A confidence level.

    >>> percent(1 - 0.05 / 3)
    '98.33\xa0%'
    """
    return f"{100 * level:.4g}\xa0%"


def typeset(text: str) -> str:
    """Plain text with true minus and plus-minus signs; hyphens inside words and powers stay.

    >>> typeset("the interval [-0.004, +0.001] of a t-test lies within +-0.01")
    'the interval [−0.004, +0.001] of a t-test lies within ±0.01'
    """
    return re.sub(r"(?<!\w)-(?=\d)", "−", text.replace("+-", "±"))


def counted(count: int, noun: str) -> str:
    """A count with its noun.

    >>> counted(1, "expert"), counted(1200, "pair")
    ('1 expert', '1,200 pairs')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
