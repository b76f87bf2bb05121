"""How far a target's answers are from the ideal router's: distances, floors, what is retained."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import NDArray

from qmoe.angles import whole
from qmoe.metrics import Score

Array = NDArray[Any]

LEAST_ROOM = 0.02
"""The ideal router must beat an even gate by so much accuracy for a retention to mean anything."""

RESAMPLES = 2000
_FEW = 0.05  # resamples without room, as a share, that an interval survives


def total_variation(
    p: Float[Array, "row outcome"], q: Float[Array, "row outcome"]
) -> Float[Array, " row"]:
    """Half the sum of absolute differences of two distributions, row by row: 0 to 1.

    >>> total_variation(np.array([[1.0, 0.0]]), np.array([[0.5, 0.5]])).tolist()
    [0.5]
    """
    return np.asarray(np.abs(p - q).sum(1) / 2)


def hellinger_fidelity(
    p: Float[Array, "row outcome"], q: Float[Array, "row outcome"]
) -> Float[Array, " row"]:
    """The squared Bhattacharyya coefficient (sum_o sqrt(p_o q_o))^2 of two distributions, by row.

    1 where they are equal, 0 where no outcome is common. Exact ones may be short of 0 by rounding.

    >>> hellinger_fidelity(np.array([[1.0, 0.0]]), np.array([[0.25, 0.75]])).tolist()
    [0.25]
    """
    shared = np.sqrt(np.clip(p, 0, None) * np.clip(q, 0, None)).sum(1)
    return np.asarray(np.minimum(shared**2, 1.0))


def shot_floor(p: Float[Array, "row outcome"], shots: int) -> Float[Array, " row"]:
    """The expected total variation between a distribution and itself sampled with `shots` shots.

    Exact: the mean absolute deviation of a binomial count is 2 m (1 - p) P(count = m) with
    m = floor(shots * p) + 1 (de Moivre; Diaconis and Zabell, Statist. Sci. 6, 284 (1991)).
    """
    from scipy.stats import binom

    n = whole(shots, "shots", 1)
    # the ends are certain, whatever rounding made of them; scipy overflows near the smallest double
    inner = np.where(p < 1e-100, 0.0, np.minimum(p, 1.0))
    m = np.minimum(np.floor(n * inner) + 1, n)
    deviation = 2 * m * (1 - inner) * binom.pmf(m, n, inner)
    return np.asarray(deviation.sum(1) / (2 * n))


def retention(
    right: Bool[Array, " row"], ideal: Bool[Array, " row"], even: Bool[Array, " row"], seed: int
) -> Score | None:
    """Routing retention (acc - acc_even) / (acc_ideal - acc_even) over the same inputs.

    `right`, `ideal` and `even` say whether each input is answered rightly by the target, by the
    ideal router, and by the same experts under equal gate weights; `seed` is that of a bootstrap
    over inputs. None where the ideal router beats the even gate by less than `LEAST_ROOM`. The
    interval is the percentile one at 95 %; nan ends where too many resamples leave no room.
    """
    whole(seed, "seed")
    room = float(ideal.mean() - even.mean())
    if room < LEAST_ROOM:
        return None
    rng = np.random.default_rng(np.random.SeedSequence(seed))
    picked = rng.integers(len(right), size=(RESAMPLES, len(right)))
    acc, best, least = (v[picked].mean(1) for v in (right, ideal, even))
    kept = best - least >= LEAST_ROOM
    value = float((right.mean() - even.mean()) / room)
    if np.mean(~kept) > _FEW:
        return Score(value, math.nan, math.nan)
    ratios = (acc[kept] - least[kept]) / (best[kept] - least[kept])
    low, high = np.quantile(ratios, (0.025, 0.975))
    return Score(value, float(low), float(high))
