"""Expected best-of-k curves: the validation figure that a search of k trials would have found."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

from qmoe.arrays import Floats
from qmoe.metrics import ACCURACY_RANGE, Score, mean_score


def expected_best(values: Float64[Floats, "trial seed"]) -> Float64[Floats, "k seed"]:
    """The mean, over all sets of k of the N trials, of the largest figure in the set, per seed.

    Row k - 1 is that of k trials, k = 1..N: the first row is the mean of all trials, the last one
    their maximum. Sorted upwards as v_1..v_N, the largest of k is v_i in C(i - 1, k - 1) of the
    C(N, k) sets.

    Sets are drawn without replacement (arXiv 2004.13705), not with (arXiv 1909.03004): the draws
    with replacement repeat trials, so they underrate a search of k different ones, and their value
    at k = N is not the maximum that the search in fact found. Ours is unbiased for k independent
    trials of the same search space, at a larger variance near k = N (arXiv 2110.00613).

    >>> expected_best(np.array([[0.9], [0.6], [0.75]])).ravel().round(3).tolist()
    [0.75, 0.85, 0.9]
    """
    trials = len(values)
    if trials == 0 or not np.all(np.isfinite(values)):
        raise ValueError("got no trials or nan; expected a finite figure of every trial and seed")
    # Row k - 1 holds C(i - 1, k - 1) / C(N, k) for i = 1..N, each row made from the one before:
    # the binomials themselves outgrow a float long before their ratio does.
    chance = np.zeros((trials, trials))
    chance[0] = 1 / trials
    smaller = np.arange(trials)
    for k in range(1, trials):
        chance[k] = chance[k - 1] * (smaller - k + 1) / k * (k + 1) / (trials - k)
    return np.asarray(chance @ np.sort(values, axis=0))


def best_of(
    values: Float64[Floats, "trial seed"], level: float = 0.95, overlap: float = 0.0
) -> tuple[Score, ...]:
    """The curve of `expected_best` for k = 1..N: means over seeds with their t intervals.

    Each seed gets its own curve first: the trials of a seed share its data, so the seeds and not
    the trials are what the interval counts.

    Args:
        values: validation accuracy.
        level: the confidence level, 0 < level < 1.
        overlap: as in `qmoe.metrics.mean_score`.
    """
    curves = expected_best(values)
    return tuple(mean_score(row, level, ACCURACY_RANGE, overlap) for row in curves)
