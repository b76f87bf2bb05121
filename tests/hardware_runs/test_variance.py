"""Variance components: unbiased on planted ones, and the variance of a mean that follows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from hardware_runs.variance import Components, components, deviation

# chances of a wrong answer: .5, +- .05 by router, +- .2 by input, +- .1 by what a draw shares
ROUTER, INPUT, SHARED = 0.05, 0.2, 0.1
PLANTED = Components(ROUTER**2, INPUT**2, 0.25 - ROUTER**2 - INPUT**2)


def planted(rng, routers: int, inputs: int, draws: int, shared: float = 0.0):
    """Differences (router, input, draw), 0 or -1."""

    def signs(*shape: int):
        return rng.choice((-1, 1), size=shape)

    chance = 0.5 + ROUTER * signs(routers, 1, 1) + INPUT * signs(routers, inputs, 1)
    chance = chance + shared * signs(routers, 1, draws)
    return -(rng.random((routers, inputs, draws)) < chance).astype(np.int8)


def averaged(shared: bool, repeats: int = 400) -> Iterator[tuple[str, float, float]]:
    """Name, mean and standard error of the estimated components, each not cut at 0."""
    rng = np.random.default_rng(int(shared))
    inputs = 40
    found = [
        components(planted(rng, 12, inputs, 5, SHARED if shared else 0.0), shared=shared)
        for _ in range(repeats)
    ]
    for name in ("routers", "inputs", "shots"):
        values = np.array([getattr(each, name) for each in found])
        yield name, float(values.mean()), float(values.std() / np.sqrt(repeats))


def test_components_are_estimated_without_bias():
    for name, mean, error in averaged(shared=False):
        assert abs(mean - getattr(PLANTED, name)) < 4.5 * error, name
        # sharp enough to tell a variance from one that is off by a quarter
        assert error < 0.05 * getattr(PLANTED, name), name


def test_what_a_draw_shares_counts_as_often_as_there_are_inputs():
    truth = Components(
        ROUTER**2, INPUT**2, 0.25 - ROUTER**2 - INPUT**2 - SHARED**2 + 40 * SHARED**2
    )
    for name, mean, error in averaged(shared=True):
        if name != "routers":  # small beside the shared shots, so that cutting at 0 biases it
            assert abs(mean - getattr(truth, name)) < 4.5 * error, name


def test_the_variance_of_a_mean_is_the_one_that_simulated_means_have():
    rng = np.random.default_rng(5)
    means = np.array([planted(rng, 6, 10, 1).mean() for _ in range(4000)])
    # the relative error of a variance of 4000 nearly normal values is sqrt(2 / 4000)
    assert means.var() == pytest.approx(PLANTED.of_mean(6, 10), rel=4.5 * np.sqrt(2 / 4000))


def test_components_agree_with_an_analysis_of_variance_of_one_router():
    import pandas as pd
    from statsmodels.formula.api import ols
    from statsmodels.stats.anova import anova_lm

    inputs, draws = 7, 4
    one = planted(np.random.default_rng(2), 1, inputs, draws, SHARED)
    rows = [{"d": float(d), "input": j, "draw": r} for (j, r), d in np.ndenumerate(one[0])]
    table = anova_lm(ols("d ~ C(input) + C(draw)", pd.DataFrame(rows)).fit())
    squares = table["mean_sq"]
    twice = np.concatenate([one, one])  # two routers that are the same
    for shared, name in ((False, "Residual"), (True, "C(draw)")):
        found = components(twice, shared=shared)
        assert found.shots == pytest.approx(squares[name])
        expected = max(0.0, (squares["C(input)"] - squares["Residual"]) / draws)
        assert found.inputs == pytest.approx(expected)
        assert found.routers == 0


def test_the_interval_of_the_deviation_covers_the_true_one():
    rng = np.random.default_rng(3)
    truth = np.sqrt(PLANTED.of_mean(1, 25))
    scores = [deviation(planted(rng, 30, 60, 3), 25) for _ in range(300)]
    hits = np.mean([score.low <= truth <= score.high for score in scores])
    # a normal interval from a jackknife of 30 routers: between 90 and 99 %, four errors aside
    assert 0.90 - 4 * np.sqrt(0.09 / 300) < hits < 1
    assert all(score.low < score.value < score.high for score in scores)


def test_answers_that_never_differ_have_no_variance():
    none = np.zeros((3, 5, 2), dtype=np.int8)
    assert components(none) == Components(0.0, 0.0, 0.0)
    assert deviation(none, 10).high == 0
