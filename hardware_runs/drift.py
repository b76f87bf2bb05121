"""Change points of a series of repeats: where a device became another one.

Binary segmentation: the split with the largest standardised difference of means on its two sides
is a change point if a permutation of the series reaches it seldom enough; then both sides are
looked at alone, each with half of the level. A series without a change so has one found with
probability `level` at most, if its values can be exchanged.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.05
PERMUTATIONS = 999
FEWEST = 6
"""Values below which no change is looked for: fewer orders exist than the level needs."""


def change_points(
    values: Sequence[float], *, seed: int, level: float = LEVEL, permutations: int = PERMUTATIONS
) -> tuple[int, ...]:
    """The positions at which a new level begins, ascending; none in a series of fewer than FEWEST.

    >>> change_points([0.9, 0.91, 0.9, 0.89, 0.9, 0.7, 0.71, 0.69, 0.7, 0.71], seed=0)
    (5,)
    """
    series = np.asarray(values, dtype=np.float64)
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(7,)))
    return tuple(sorted(_split(series, 0, level, permutations, rng)))


def _split(
    series: NDArray[np.float64],
    first: int,
    level: float,
    permutations: int,
    rng: np.random.Generator,
) -> list[int]:
    if len(series) < FEWEST or np.ptp(series) < 1e-12:
        return []
    found = _statistics(series[None])[0]
    place = int(found.argmax())
    orders = rng.permuted(np.tile(series, (permutations, 1)), axis=1)
    # equal values in another order may differ in the last digit
    reached = int((_statistics(orders).max(1) >= found[place] - 1e-9).sum())
    if (1 + reached) / (1 + permutations) > level:
        return []
    cut = place + 1
    return [
        first + cut,
        *_split(series[:cut], first, level / 2, permutations, rng),
        *_split(series[cut:], first + cut, level / 2, permutations, rng),
    ]


def _statistics(series: NDArray[np.float64]) -> NDArray[np.float64]:
    """|mean before - mean after| sqrt(k (n - k) / n) for k = 1 .. n - 1; rows are series."""
    n = series.shape[1]
    k = np.arange(1, n)
    sums = series.cumsum(1)
    before = sums[:, :-1] / k
    after = (sums[:, -1:] - sums[:, :-1]) / (n - k)
    return np.asarray(np.abs(before - after) * np.sqrt(k * (n - k) / n))
