"""`python -m benchmarks.figures.breakdown`: the estimator on curves whose crossing is known.

Per planted curve and number of seeds: how often the 95 % interval holds the planted crossing, the
mean of the estimates, the median width of the interval, and how often each word is given.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float64

from qmoe.arrays import Floats
from qmoe.breakdown import breakdown
from qmoe.metrics import Score, wilson

STRENGTHS: Final = np.array([0, 0.005, 0.01, 0.02, 0.025, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2])
SEEDS: Final = (10, 30, 300)
SHAPES: Final[dict[str, Callable[[Floats], Floats]]] = {
    "straight": lambda p: -0.6 * p,
    "saturating": lambda p: 0.06 * np.exp(-p / 0.06),
    "shoulder": lambda p: 0.06 / (1 + (p / 0.08) ** 2),
}
"""Mean accuracy lost or kept with the strength, up to a constant."""


@dataclass(frozen=True, slots=True)
class Planted:
    """Differences of seeds around a mean curve that is 0 at `crossing`.

    A seed has its own level and its own share of the loss, and noise whose correlation from one
    strength to the next is `correlation`: test sets are the same at every strength. `skewed` draws
    levels and shares from exponential distributions of the same variance.
    """

    shape: str
    crossing: float
    correlation: float = 0.0
    skewed: bool = False

    def __str__(self) -> str:
        skewed = ", skewed seeds" if self.skewed else ""
        return f"{self.shape} at {self.crossing:g}, correlation {self.correlation:g}{skewed}"

    def draw(self, seeds: int, rng: np.random.Generator) -> Float64[Floats, "seed strength"]:
        """The differences of some seeds."""
        curve = SHAPES[self.shape]
        start = float((curve(STRENGTHS[:1]) - curve(np.array([self.crossing])))[0])
        loss = curve(STRENGTHS) - curve(STRENGTHS[:1])
        effects = rng.exponential(size=(2, seeds, 1)) - 1
        if not self.skewed:
            effects = rng.normal(size=(2, seeds, 1))
        noise = rng.normal(size=(seeds, len(STRENGTHS)))
        for k in range(1, len(STRENGTHS)):
            kept = self.correlation
            noise[:, k] = kept * noise[:, k - 1] + np.sqrt(1 - kept**2) * noise[:, k]
        return np.asarray(
            start + 0.006 * effects[0] + (1 + 0.25 * effects[1]) * loss + 0.004 * noise
        )


CASES: Final = (
    Planted("straight", 0.024),
    Planted("straight", 0.05, 0.8),
    Planted("saturating", 0.024, 0.8),
    Planted("saturating", 0.05),
    Planted("shoulder", 0.05, 0.8),
    Planted("shoulder", 0.12, 0.8),
    Planted("saturating", 0.05, 0.8, skewed=True),
)


@dataclass(frozen=True, slots=True)
class Measured:
    """What came out over many repeats of one planted curve.

    `mean` is that of the estimates, with one beyond the last strength counted as that strength;
    `width` is the median, inf where the interval has an open end.
    """

    case: Planted
    seeds: int
    coverage: Score
    mean: float
    width: float
    words: Counter[str]


def measured(case: Planted, seeds: int, repeats: int, resamples: int = 2000) -> Measured:
    """Draws, estimates and counts."""
    values, widths, covered = [], [], 0
    words: Counter[str] = Counter()
    for repeat in range(repeats):
        differences = case.draw(seeds, np.random.default_rng((seeds, repeat)))
        found = breakdown(STRENGTHS, differences, seed=repeat, resamples=resamples)
        words[found.word] += 1
        at = found.at
        covered += at.low <= case.crossing <= at.high
        values.append(min(at.value, found.up_to))
        widths.append(at.high - at.low if at.low < np.inf else 0.0)
    share = wilson(covered, repeats)
    return Measured(case, seeds, share, float(np.mean(values)), float(np.median(widths)), words)


def lines(found: Sequence[Measured]) -> list[str]:
    """The table, a line per planted curve and number of seeds."""
    out = [f"{'planted curve':50} {'seeds':>5}  {'covered':20} {'mean':>7} {'width':>7}  words"]
    for row in found:
        words = ", ".join(f"{count} {word}" for word, count in row.words.most_common())
        out.append(
            f"{row.case!s:50} {row.seeds:5}  {row.coverage!s:20} {row.mean:7.4f} "
            f"{row.width:7.4f}  {words}"
        )
    return out


def main() -> int:
    """Measures and prints."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.figures.breakdown", description=__doc__
    )
    parser.add_argument("--repeats", type=int, default=2000, help="repeats per line")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS, help="numbers of seeds")
    given = parser.parse_args()
    for k, case in enumerate(CASES):
        found = [measured(case, seeds, given.repeats) for seeds in given.seeds]
        print("\n".join(lines(found)[k > 0 :]), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
