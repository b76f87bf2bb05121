from __future__ import annotations

import gc
import math
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import ttost_paired

from qmoe.arrays import Floats
from qmoe.metrics import Score
from qmoe.record import Population
from qmoe.stats import ALPHA, FEWEST, MARGIN, Sample, Verdict, best_control, judge, power

OVERLAP = 36 / 106
SWAPPED = {"better": "worse", "worse": "better"}
NOISE = np.random.default_rng(0).normal(size=(100, 40))


def sample(
    differences: Sequence[float] | Floats,
    name: str = "moons",
    population: Population = "new data + new init",
    tuned: bool = True,
) -> Sample:
    b = np.full(len(differences), 0.5)
    overlap = OVERLAP if population == "this data set, new split" else 0.0
    return Sample(name, b + np.asarray(differences), b, population, tuned, overlap)


def normal(mean: float, sd: float, n: int = 30, seed: int = 0) -> Floats:
    """n figures with exactly this mean and standard deviation."""
    z = NOISE[seed, :n]
    return np.asarray(mean + sd * (z - z.mean()) / z.std(ddof=1))


Drawn = list[tuple[Floats, str, Population, bool]]


def built(drawn: Drawn) -> list[Sample]:
    """The family of what was drawn: run-time type checks use `random`, which strategies may not."""
    return [sample(*arguments) for arguments in drawn]


@st.composite
def families(draw: st.DrawFn) -> Drawn:
    """Families whose differences lie near the margins, so that every word comes up."""
    found = []
    for i in range(draw(st.integers(1, 4))):
        population = draw(st.sampled_from(list(FEWEST)))
        n = draw(st.sampled_from([5, FEWEST[population], 40]))
        mean = draw(st.sampled_from([0.0, 0.004, -0.008, 0.012, -0.03]))
        mean += draw(st.floats(-0.004, 0.004))
        differences = normal(mean, draw(st.floats(0.0, 0.03)), n, draw(st.integers(0, 99)))
        # counts of 1,000 test rows: ties and exact zeros, as in life
        if draw(st.booleans()):
            differences = np.round(differences, 3)
        found.append((differences, str(i), population, draw(st.integers(0, 4)) > 0))
    return found


# One sample against scipy, statsmodels and by hand


@pytest.mark.parametrize("mean", [0.0, 0.006, -0.02])
def test_one_sample_is_the_paired_t_test_and_tost(mean: float) -> None:
    rng = np.random.default_rng(3)
    b = rng.normal(0.9, 0.02, 30)
    a = b + rng.normal(mean, 0.015, 30)
    (found,) = judge([Sample("moons", a, b, "new data + new init", True)])
    assert found.p == pytest.approx(stats.ttest_rel(a, b).pvalue)
    assert found.p_equivalence == pytest.approx(ttost_paired(a, b, -MARGIN, MARGIN)[0])
    assert found.difference.value == pytest.approx(np.mean(a - b))
    assert found.n == 30


def test_overlapping_splits_by_hand() -> None:
    # Nadeau and Bengio: ten differences of mean .2 and variance .01, 1/10 + .4 in place of 1/10.
    d = normal(0.2, 0.1, 10)
    b = np.full(10, 0.5)
    (found,) = judge([Sample("wine", b + d, b, "this data set, new split", True, 0.4)])
    t = 0.2 / math.sqrt(0.01 * (0.1 + 0.4))
    assert t == pytest.approx(2.8284271247)
    assert found.p == pytest.approx(2 * stats.t.sf(t, 9))
    assert found.p_equivalence == pytest.approx(stats.t.sf(-0.19 / math.sqrt(0.005), 9))
    half = stats.t.isf(0.025, 9) * math.sqrt(0.005)
    assert found.difference.low == pytest.approx(0.2 - half)
    assert found.word == "better"
    assert "this data set only" in found.reason
    # The plain test would have had t = 6.3.
    plain = stats.ttest_1samp(d, 0)
    assert found.p is not None
    assert found.p > 100 * plain.pvalue


@pytest.mark.parametrize(
    ("mean", "sd", "word"),
    [
        (0.03, 0.02, "better"),
        (-0.03, 0.02, "worse"),
        (0.001, 0.01, "equivalent"),
        (0.005, 0.005, "equivalent"),
        (0.005, 0.03, "inconclusive"),
        (0.0, 0.05, "inconclusive"),
    ],
)
def test_the_words(mean: float, sd: float, word: str) -> None:
    (found,) = judge([sample(normal(mean, sd))])
    assert found.word == word


def test_a_significant_but_negligible_difference_is_equivalent_and_says_so() -> None:
    (found,) = judge([sample(normal(0.005, 0.005))])
    assert found.p is not None
    assert found.p < 0.0001
    assert found.word == "equivalent"
    assert found.level == pytest.approx(0.9)
    assert found.reason == (
        "the 90 % interval [+0.0034, +0.0066] of 30 pairs lies within +-0.01 (Holm p < 0.0001): "
        "there is a difference (Holm p < 0.0001), but it is negligible"
    )
    (narrower,) = judge([sample(normal(0.005, 0.005))], margin=0.004)
    assert narrower.word == "better"


def test_a_margin_of_0_makes_nothing_equivalent() -> None:
    found = judge([sample(np.zeros(30), "a"), sample(normal(0, 1e-9), "b")], margin=0.0)
    assert [v.word for v in found] == ["inconclusive", "inconclusive"]


# Families


def test_holm_over_two_data_sets() -> None:
    first, second = sample(normal(0.011, 0.02), "moons .1"), sample(normal(0.008, 0.02), "moons .2")
    p = [stats.ttest_1samp(normal(mean, 0.02), 0).pvalue for mean in (0.011, 0.008)]
    assert p[0] < 0.025 < p[1] < 0.05
    found = judge([second, first])
    assert [v.name for v in found] == ["moons .2", "moons .1"]
    assert [v.word for v in found] == ["better", "better"]
    assert [v.level for v in found] == pytest.approx([0.95, 0.975])
    assert [v.p for v in found] == pytest.approx([p[1], 2 * p[0]])
    # Once the smallest is not rejected the other is not either, though alone it would be.
    weaker = judge([second, sample(normal(0.0082, 0.02), "moons .1")])
    assert [v.word for v in weaker] == ["inconclusive", "inconclusive"]
    assert [v.level for v in weaker] == pytest.approx([0.975, 0.975])
    assert judge([second])[0].word == "better"


def test_an_undecided_sample_shows_the_wider_of_its_two_intervals() -> None:
    # Last of three in the question of a difference (95 %), first in that of equivalence (96.7 %):
    # the narrower one lies within the margin, which was not shown.
    undecided = sample(normal(0, 0.0047 * math.sqrt(30)), "c")
    found = judge([sample(normal(0.05, 0.02), "a"), sample(normal(-0.05, 0.02), "b"), undecided])
    assert [v.word for v in found] == ["better", "worse", "inconclusive"]
    assert found[2].level == pytest.approx(1 - 2 * 0.05 / 3)
    assert found[2].difference.high > MARGIN > undecided.difference(0.95).high


@pytest.fixture
def little_garbage() -> Iterator[None]:
    """What other tests left is not looked through: multipletests collects garbage at every call."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("little_garbage")
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(families(), st.sampled_from([0.01, 0.05, 0.2]))
def test_p_is_adjusted_as_statsmodels_does_over_what_is_tested(drawn: Drawn, alpha: float) -> None:
    family = built(drawn)
    found = judge(family, alpha=alpha)
    tested = [i for i, s in enumerate(family) if s.tuned and s.n >= FEWEST[s.population]]
    assert [i for i, v in enumerate(found) if v.p is not None] == tested
    assume(tested)
    alone = [judge([family[i]], alpha=alpha)[0] for i in tested]
    for name in ("p", "p_equivalence"):
        adjusted = multipletests([getattr(v, name) for v in alone], alpha, method="holm")[1]
        assert [getattr(found[i], name) for i in tested] == pytest.approx(list(adjusted))


@given(families(), st.sampled_from([0.0, 0.004, MARGIN]), st.sampled_from([0.01, ALPHA, 0.2]))
def test_words_p_and_intervals_agree(drawn: Drawn, margin: float, alpha: float) -> None:
    family = built(drawn)
    found = judge(family, margin, alpha)
    assert [v.name for v in found] == [s.name for s in family]
    for verdict, judged in zip(found, family, strict=True):
        low, high = verdict.difference.low, verdict.difference.high
        assert verdict.difference == judged.difference(verdict.level)
        if verdict.p is None or verdict.p_equivalence is None:
            assert verdict.word in ("untuned", "inconclusive (n too small)")
            continue
        if verdict.word == "equivalent":
            assert verdict.p_equivalence < alpha
            assert -margin < low <= high < margin
        elif verdict.word in SWAPPED:
            assert verdict.p < alpha <= verdict.p_equivalence
            assert low > 0 if verdict.word == "better" else high < 0
        else:
            assert verdict.word == "inconclusive"
            assert min(verdict.p, verdict.p_equivalence) >= alpha
            assert low <= 0 <= high
            assert low <= -margin or high >= margin


@given(families())
def test_swapping_the_sides_swaps_the_words(drawn: Drawn) -> None:
    family = built(drawn)
    there = judge(family)
    back = judge([Sample(s.name, s.b, s.a, s.population, s.tuned, s.overlap) for s in family])
    for one, other in zip(there, back, strict=True):
        assert other.word == SWAPPED.get(one.word, one.word)
        assert (other.p, other.p_equivalence) == (one.p, one.p_equivalence)
        ends = one.difference
        assert other.difference == Score(-ends.value, -ends.high, -ends.low)


@given(families(), st.sampled_from([-0.25, 0.125, 0.5]))
def test_what_both_sides_share_does_not_count(drawn: Drawn, constant: float) -> None:
    family = built(drawn)
    shifted = [
        Sample(s.name, s.a + constant, s.b + constant, s.population, s.tuned, s.overlap)
        for s in family
    ]
    for one, other in zip(judge(family), judge(shifted), strict=True):
        assert other.difference.value == pytest.approx(one.difference.value, abs=1e-12)
        if one.p is not None and one.p > 1e-6:
            assert other.word == one.word
            assert other.p == pytest.approx(one.p, rel=1e-6)


@given(st.integers(0, 99), st.floats(0.001, 0.03), st.floats(-0.03, 0.03), st.floats(0, 0.03))
def test_a_larger_difference_is_never_a_worse_word(
    seed: int, sd: float, mean: float, more: float
) -> None:
    order = ["worse", "inconclusive", "equivalent", "better"]
    ranks = []
    for m in (mean, mean + more):
        word = judge([sample(normal(m, sd, seed=seed))])[0].word
        # between worse and better both middle words can come first
        ranks.append(1 if word == "equivalent" else order.index(word))
    assert [0, 1, 1, 2][ranks[0]] <= [0, 1, 1, 2][ranks[1]]


@given(families())
def test_the_order_of_a_family_does_not_matter(drawn: Drawn) -> None:
    family = built(drawn)
    back = {v.name: v for v in judge(family[::-1])}
    for verdict in judge(family):
        other = back[verdict.name]
        # Equal p share the steps by their order: then only the level may differ.
        assert (other.word, other.p, other.p_equivalence) == (
            verdict.word,
            verdict.p,
            verdict.p_equivalence,
        )


def test_no_samples_no_verdicts() -> None:
    assert judge([]) == ()


# What is not judged


def test_untuned_comes_before_too_small() -> None:
    found = judge([sample(normal(0.05, 0.01, 5), tuned=False)])[0]
    assert found.word == "untuned"
    assert found.p is None
    assert "search budget" in found.reason


@pytest.mark.parametrize("population", list(FEWEST))
def test_pairs_that_are_too_few(population: Population) -> None:
    fewest = FEWEST[population]
    assert judge([sample(normal(0.1, 0.01, fewest), population=population)])[0].word == "better"
    found = judge([sample(normal(0.1, 0.01, fewest - 1), population=population)])[0]
    assert found.word == "inconclusive (n too small)"
    assert (found.n, found.p, found.p_equivalence) == (fewest - 1, None, None)
    assert f"needs {fewest}" in found.reason


def test_five_pairs_cannot_reach_the_level_at_all() -> None:
    reason = judge([sample(normal(0.1, 0.01, 5))])[0].reason
    assert reason == (
        "5 pairs, where 'new data + new init' needs 30: even a sign-flip test cannot reach a p "
        "below 2^(1-5) = 0.0625, above 0.05"
    )
    # 2^(1-6) = .031 can.
    assert "sign-flip" not in judge([sample(normal(0.1, 0.01, 6))])[0].reason
    assert "sign-flip" in judge([sample(normal(0.1, 0.01, 6))], alpha=0.01)[0].reason


def test_one_pair_has_no_interval() -> None:
    found = judge([sample([0.1])])[0]
    assert found.word == "inconclusive (n too small)"
    assert not found.difference.has_interval


def test_what_is_not_judged_does_not_weigh_on_the_others() -> None:
    alone = judge([sample(normal(0.008, 0.02), "a")])
    beside = judge(
        [
            sample(normal(0.008, 0.02), "a"),
            sample(normal(0.05, 0.02), "b", tuned=False),
            sample(normal(0.05, 0.02, 29), "c"),
        ]
    )
    assert beside[0] == alone[0]
    assert [v.word for v in beside[1:]] == ["untuned", "inconclusive (n too small)"]
    assert beside[1].level == pytest.approx(0.95)
    assert beside[1].difference.low > 0  # shown, not judged


# Degenerate samples


@pytest.mark.parametrize(
    ("d", "word", "p", "p_equivalence"),
    [
        (0.0, "equivalent", 1.0, 0.0),
        (0.0078125, "equivalent", 0.0, 0.0),
        (0.015625, "better", 0.0, 1.0),
        (-0.25, "worse", 0.0, 1.0),
    ],
)
@pytest.mark.parametrize("population", list(FEWEST))
def test_equal_differences(
    d: float, word: str, p: float, p_equivalence: float, population: Population
) -> None:
    found = judge([sample(np.full(30, d), population=population)])[0]
    assert found.difference == Score(d, d, d)
    assert (found.word, found.p, found.p_equivalence) == (word, p, p_equivalence)


def test_differences_whose_variance_underflows() -> None:
    found = judge([Sample("a", [1e-200] + [0.0] * 29, [0.0] * 30, "init only", True)])[0]
    assert found.word == "equivalent"
    assert found.p == 0.0


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_figure_that_is_not_finite_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        Sample("moons", [0.9, bad], [0.9, 0.9], "init only", True)


@pytest.mark.parametrize(("a", "b"), [([], []), ([0.9], [0.9, 0.8])])
def test_samples_are_pairs(a: list[float], b: list[float]) -> None:
    with pytest.raises(ValueError, match="pairs"):
        Sample("moons", a, b, "init only", True)


@pytest.mark.parametrize(
    ("population", "overlap"),
    [
        ("this data set, new split", 0.0),
        ("this data set, new split", math.inf),
        ("new data + new init", 0.3),
        ("init only", -0.1),
    ],
)
def test_overlap_belongs_to_new_splits(population: Population, overlap: float) -> None:
    if overlap < 0:
        population = "this data set, new split"
    with pytest.raises(ValueError, match="overlap"):
        Sample("wine", [0.9, 0.8], [0.9, 0.7], population, True, overlap)


def test_a_family_names_each_sample_once_and_its_level_makes_sense() -> None:
    with pytest.raises(ValueError, match="twice"):
        judge([sample(np.zeros(30)), sample(np.zeros(30))])
    for margin, alpha in ((-0.01, 0.05), (0.01, 0.0), (0.01, 0.5), (math.nan, 0.05)):
        with pytest.raises(ValueError, match="margin"):
            judge([], margin, alpha)


# Power


@pytest.mark.parametrize("family", [1, 2])
def test_power_is_that_of_the_noncentral_t(family: int) -> None:
    nc = 0.02 / (0.04 / math.sqrt(30))
    critical = stats.t.isf(ALPHA / family / 2, 29)
    passes = stats.nct.cdf(stats.t.ppf(ALPHA, 29), 29, 0.01 / (0.04 / math.sqrt(30)))
    expected = stats.nct.sf(critical, 29, nc) - passes
    assert power(0.02, 0.04, 30, family=family) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("sd", "n"), [(0.02, 30), (0.035, 30), (0.04, 60)])
def test_simulated_studies_find_what_power_says(sd: float, n: int) -> None:
    # A lower bound that is nearly exact: 500 studies, 4 binomial deviations, .01 of slack above.
    rng = np.random.default_rng(4)
    studies = 500
    hits = sum(judge([sample(rng.normal(0.02, sd, n))])[0].word == "better" for _ in range(studies))
    stated = power(0.02, sd, n)
    bound = 4 * math.sqrt(stated * (1 - stated) / studies)
    assert stated - bound <= hits / studies <= stated + bound + 0.01


def test_power_of_overlapping_splits_is_that_of_correlated_differences() -> None:
    # Under the correlation that Nadeau and Bengio assume, r / (1 + r), the corrected t is exact.
    rng = np.random.default_rng(5)
    n, studies, sd = 10, 500, 0.05
    shared = rng.normal(0, sd * math.sqrt(OVERLAP), (studies, 1))
    differences = 0.15 + shared + rng.normal(0, sd, (studies, n))
    words = [
        judge([sample(row, population="this data set, new split")])[0].word for row in differences
    ]
    stated = power(0.15, sd, n, overlap=OVERLAP)
    assert 0.5 < stated < 0.99
    bound = 4 * math.sqrt(stated * (1 - stated) / studies)
    assert abs(words.count("better") / studies - stated) <= bound


def test_power_grows_with_pairs_and_shrinks_with_the_family() -> None:
    assert power(0.02, 0.04, 60) > power(0.02, 0.04, 30) > power(0.02, 0.04, 30, family=2)
    assert power(0.02, 0.04, 30, overlap=0.3) < power(0.02, 0.04, 30)
    # A difference inside the margin is called equivalent, not better.
    assert power(0.002, 0.002, 30) < 1e-6
    for bad in ((0.0, 0.1, 30), (0.1, 0.0, 30), (0.1, 0.1, 1)):
        with pytest.raises(ValueError, match="difference"):
            power(*bad)


# The best control


def test_the_best_control_leads_on_validation_and_not_on_the_test_part() -> None:
    found = best_control(
        {
            "mlp": np.array([0.9, 0.8, 0.7, 0.9]),
            "linear": np.array([0.8, 0.9, 0.7, 0.9]),
            "tiny": np.array([0.1, 0.9, 0.7, 0.2]),
            "also tiny": np.array([0.1, 0.9, 0.7, 0.2]),
        },
        {
            "mlp": np.array([0.5, 1.0, 1.0, 1.0]),
            "linear": np.array([1.0, 1.0, 1.0, 0.6]),
            "tiny": np.array([1.0, 0.3, 0.4, 1.0]),
            "also tiny": np.array([1.0, 0.0, 0.0, 1.0]),
        },
        {"mlp": 42, "linear": 12, "tiny": 3, "also tiny": 3},
    )
    assert found.chosen == ("mlp", "tiny", "tiny", "linear")
    assert found.test.tolist() == [0.5, 0.3, 0.4, 0.6]
    assert found.often == {"mlp": 1, "linear": 1, "tiny": 2, "also tiny": 0}
    assert list(found.often) == ["mlp", "linear", "tiny", "also tiny"]


@given(st.data(), st.integers(1, 5), st.integers(1, 6))
def test_the_best_control_agrees_with_sorting(data: st.DataObject, count: int, seeds: int) -> None:
    figure = st.integers(0, 3).map(lambda i: i / 4)
    row = st.lists(figure, min_size=seeds, max_size=seeds).map(np.array)
    names = [f"c{i}" for i in range(count)]
    validation, test = ({name: data.draw(row) for name in names} for _ in range(2))
    parameters = {name: data.draw(st.integers(1, 3)) for name in names}
    found = best_control(validation, test, parameters)
    for i in range(seeds):
        best = min(names, key=lambda c: (-validation[c][i], parameters[c], names.index(c)))
        assert found.chosen[i] == best
        assert found.test[i] == test[best][i]
    assert sum(found.often.values()) == seeds


def test_controls_have_the_same_names_and_every_figure() -> None:
    one = {"a": np.array([0.5, 0.6])}
    with pytest.raises(ValueError, match="names"):
        best_control(one, {"b": np.array([0.5, 0.6])}, {"a": 1})
    with pytest.raises(ValueError, match="names"):
        best_control({}, {}, {})
    with pytest.raises(ValueError, match="missing"):
        best_control({"a": np.array([0.5, math.nan])}, one, {"a": 1})


def test_a_verdict_is_a_value() -> None:
    again = [judge([sample(normal(0.02, 0.02))])[0] for _ in range(2)]
    assert isinstance(again[0], Verdict)
    assert again[0] == again[1]
