"""Verdicts: what paired figures of two routers allow to say, one Holm family per claim."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

import numpy as np
from jaxtyping import Float64

from qmoe.arrays import Floats
from qmoe.metrics import Score, Values, paired_difference
from qmoe.record import Population

Word = Literal[
    "better", "worse", "equivalent", "inconclusive", "inconclusive (n too small)", "untuned"
]

MARGIN: Final = 0.01
"""The accuracy that a difference has to reach to matter."""
ALPHA: Final = 0.05
FEWEST: Final[Mapping[Population, int]] = {
    "new data + new init": 30,
    "this data set, new split": 10,
    "init only": 30,
    "checkpoints on a device": 8,
}
"""Pairs below which nothing is judged."""
_SCOPE: Final[Mapping[Population, str]] = {
    "new data + new init": "",
    "this data set, new split": "; this holds for this data set only",
    "init only": "; this holds for this data set and split only",
    "checkpoints on a device": "; this holds for this device as it was, and for these inputs",
}


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One comparison on one data set: the figures of a and b by seed, where higher is better.

    `a[i]` and `b[i]` belong to one seed. What is better when lower (a time, a loss) is passed
    negated, and judged with a margin in its own unit.

    Attributes:
        name: What the comparison is called in its family, usually the data set.
        population: What a seed draws anew.
        tuned: Whether both sides had the same search budget.
        overlap: Test rows / training rows where the seeds are new splits of one data set, whose
            training parts overlap; 0 for every other population.
    """

    name: str
    a: Values
    b: Values
    population: Population
    tuned: bool
    overlap: float = 0.0

    def __post_init__(self) -> None:
        if len(self.a) != len(self.b) or len(self.a) == 0:
            raise ValueError(f"got {len(self.a)} and {len(self.b)} values; expected pairs")
        if not (np.all(np.isfinite(self.a)) and np.all(np.isfinite(self.b))):
            raise ValueError(f"got nan or infinite figures in {self.name!r}; expected finite ones")
        # Without its overlap a new-split sample would silently get the plain t test.
        split = self.population == "this data set, new split"
        if split != (self.overlap > 0) or not math.isfinite(self.overlap):
            raise ValueError(
                f"got overlap {self.overlap} for {self.population!r}; expected "
                + ("test rows / training rows" if split else "0")
            )

    @property
    def n(self) -> int:
        """The number of pairs."""
        return len(self.a)

    def difference(self, level: float) -> Score:
        """The mean of a - b with its t interval (Nadeau and Bengio's where splits overlap)."""
        return paired_difference(self.a, self.b, level, self.overlap)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The word for one sample of a family, with the figures behind it.

    `p` is that of the two-sided t test of no difference, `p_equivalence` that of two one-sided
    tests against a difference of the margin or more, both adjusted by Holm over the family; None
    where nothing was tested. `level` is the confidence level of the interval in `difference`: that
    of the test which gave the word (see `judge`), or 1 - alpha where none did.
    """

    name: str
    word: Word
    difference: Score
    level: float
    n: int
    p: float | None
    p_equivalence: float | None
    margin: float
    reason: str


def judge(
    samples: Sequence[Sample], margin: float = MARGIN, alpha: float = ALPHA
) -> tuple[Verdict, ...]:
    """The verdicts on one registered family, in its order.

    Samples without equal budgets read `untuned`, those with fewer pairs than `FEWEST` read
    `inconclusive (n too small)`; neither is tested nor counted in the family. The others are
    tested for a difference and, apart from that, for equivalence (two one-sided t tests, TOST),
    each question with Holm's step-down over the family:

    - `equivalent`: the equivalence p is below alpha. A difference that is significant but smaller
      than the margin is equivalent, and its reason says so.
    - `better`, `worse`: the difference p is below alpha.
    - `inconclusive`: neither.

    The interval agrees with the word, being that of the same t at the step where Holm decided it.
    Of m samples, the k-th smallest p is held against alpha / (m - k + 1) while all before it were
    rejected; once one is not, Holm stops, and the rest are held against that same step. With that
    share a of alpha the level is 1 - a for `better` (above 0) and `worse` (below 0), 1 - 2 a for
    `equivalent` (inside +-margin; 90 % in a family of one), and the wider of the two for
    `inconclusive` (holds 0 and reaches +-margin). Intervals of one family are not simultaneous.

    Equal differences d have the interval [d, d], p = 0 (d = 0: 1) and equivalence p = 0 inside
    +-margin, else 1.

    Raises:
        ValueError: a margin below 0, an alpha outside (0, .5), or a name twice.
    """
    if not (0 <= margin < math.inf and 0 < alpha < 0.5):
        raise ValueError(f"got margin {margin}, alpha {alpha}; expected >= 0 and in (0, .5)")
    if len({sample.name for sample in samples}) != len(samples):
        raise ValueError("got a name twice; expected each data set of a family once")
    family = [i for i, sample in enumerate(samples) if _judged(sample)]
    tests = [_test(samples[i], margin) for i in family]
    unequal = holm([test.difference for test in tests], alpha)
    equal = holm([test.equivalence for test in tests], alpha)
    found = {
        i: _verdict(samples[i], first, second, margin, alpha)
        for i, first, second in zip(family, unequal, equal, strict=True)
    }
    return tuple(
        found[i] if i in found else _set_aside(sample, margin, alpha)
        for i, sample in enumerate(samples)
    )


def power(
    difference: float,
    sd: float,
    n: int,
    *,
    family: int = 1,
    overlap: float = 0.0,
    margin: float = MARGIN,
    alpha: float = ALPHA,
) -> float:
    """The least probability that `judge` calls a true difference better, to state before a run.

    P(t test finds it, at the first Holm step) - P(TOST's upper test passes), since `equivalent`
    goes first: a lower bound, nearly exact for a difference of twice the margin or more.

    Args:
        difference: a - b in truth, above 0.
        sd: standard deviation of the paired differences; of new splits, that within one data set.
        n: pairs.
        family: samples in the Holm family.
        overlap: as in `Sample`. The power is then that under the correlation which Nadeau and
            Bengio assume between splits; where the true one is smaller, high powers are higher
            still and low ones lower.
        margin: as in `judge`.
        alpha: as in `judge`.
    """
    if not (difference > 0 and sd > 0 and n >= 2 and family >= 1):
        raise ValueError(
            f"got difference {difference}, sd {sd}, n {n}, family {family}; "
            "expected > 0, > 0, >= 2 and >= 1"
        )
    from statsmodels.stats.power import TTestPower

    # TTestPower knows the error sd / sqrt(n) only: overlap enters as a larger sd.
    spread = sd * math.sqrt(1 + n * overlap)
    test = TTestPower()
    finds = test.power(difference / spread, n, alpha / family / 2, alternative="larger")
    passes = test.power((difference - margin) / spread, n, alpha, alternative="smaller")
    return max(0.0, float(finds) - float(passes))


@dataclass(frozen=True, slots=True, eq=False)
class BestControl:
    """Test figures of the control chosen per seed, its name there, and how often each was."""

    test: Float64[Floats, " seed"]
    chosen: tuple[str, ...]
    often: dict[str, int]


def best_control(
    validation: Mapping[str, Float64[Floats, " seed"]],
    test: Mapping[str, Float64[Floats, " seed"]],
    parameters: Mapping[str, int],
) -> BestControl:
    """The control that leads on validation, per seed: never the one that leads on the test part.

    Ties go to the control with fewer parameters, then to the one that `validation` has first.
    The three mappings have the controls' names as keys; `often` keeps the order of `validation`
    and names controls that were never chosen too.
    """
    if not validation or not set(validation) == set(test) == set(parameters):
        raise ValueError("got controls that differ; expected the same names, at least one")
    names = sorted(validation, key=lambda name: parameters[name])  # stable
    seen = np.stack([validation[name] for name in names])
    held_out = np.stack([test[name] for name in names])
    if seen.shape != held_out.shape or not np.all(np.isfinite(np.stack([seen, held_out]))):
        raise ValueError("got missing figures; expected every control on every seed")
    best = seen.argmax(axis=0)  # the first of equals
    chosen = tuple(names[i] for i in best)
    return BestControl(
        np.take_along_axis(held_out, best[np.newaxis], axis=0)[0],
        chosen,
        {name: chosen.count(name) for name in validation},
    )


class _Test(NamedTuple):
    """Unadjusted p of the two questions."""

    difference: float
    equivalence: float


class _Step(NamedTuple):
    """The adjusted p of one member of a Holm family, and the alpha its own p was held against."""

    p: float
    alpha: float


def _judged(sample: Sample) -> bool:
    return sample.tuned and sample.n >= FEWEST[sample.population]


def _test(sample: Sample, margin: float) -> _Test:
    differences = np.asarray(sample.a, dtype=np.float64) - np.asarray(sample.b, dtype=np.float64)
    mean = float(differences.mean())
    error = float(differences.std(ddof=1)) * math.sqrt(1 / sample.n + sample.overlap)
    if error == 0 or np.all(differences == differences[0]):
        alike = float(np.clip(mean, differences.min(), differences.max()))
        return _Test(float(alike == 0), float(abs(alike) >= margin))
    # scipy.special alone: scipy.stats takes most of a second to import.
    from scipy.special import stdtr

    t = np.array([-abs(mean), abs(mean) - margin]) / error
    tail, excess = stdtr(sample.n - 1, t)
    return _Test(2 * float(tail), float(excess))


def holm(p: Sequence[float], alpha: float) -> list[_Step]:
    """Holm's step-down procedure, Scand. J. Stat. 6, 65 (1979).

    statsmodels' multipletests gives the same adjusted p, but not the step that decided, and it
    collects garbage on every call (50 ms and more in a process of ours).
    """
    values = np.asarray(p, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    left = np.arange(len(values), 0, -1)
    adjusted = np.minimum(np.maximum.accumulate(values[order] * left), 1.0)
    stop = int(np.count_nonzero(adjusted < alpha))
    used = alpha / left[np.minimum(np.arange(len(values)), stop)]
    steps = {i: _Step(float(q), float(a)) for i, q, a in zip(order, adjusted, used, strict=True)}
    return [steps[i] for i in range(len(values))]


def _verdict(sample: Sample, unequal: _Step, equal: _Step, margin: float, alpha: float) -> Verdict:
    levels = 1 - unequal.alpha, 1 - 2 * equal.alpha
    alike, differs = equal.p < alpha, unequal.p < alpha
    level = levels[1] if alike else levels[0] if differs else max(levels)
    score = sample.difference(level)
    shown = f"the {_interval(score, level)} of {sample.n} pairs"
    word: Word
    if alike:
        word = "equivalent"
        reason = f"{shown} lies within +-{margin:g} ({_p(equal.p)})"
        if differs:
            reason += f": there is a difference ({_p(unequal.p)}), but it is negligible"
    elif differs:
        word = "better" if score.value > 0 else "worse"
        side = "above" if score.value > 0 else "below"
        reason = f"{shown} lies {side} 0 ({_p(unequal.p)})"
    else:
        word = "inconclusive"
        reason = (
            f"{shown} holds 0 ({_p(unequal.p)}) and reaches +-{margin:g} ({_p(equal.p)}), so that "
            "neither a difference nor equivalence is shown"
        )
    reason += _SCOPE[sample.population]
    return Verdict(sample.name, word, score, level, sample.n, unequal.p, equal.p, margin, reason)


def _set_aside(sample: Sample, margin: float, alpha: float) -> Verdict:
    """The verdict on a sample that is not tested."""
    score, n = sample.difference(1 - alpha), sample.n
    word: Word = "inconclusive (n too small)" if sample.tuned else "untuned"
    if sample.tuned:
        fewest, smallest = FEWEST[sample.population], 2.0 ** (1 - n)
        reason = f"{n} {'pair' if n == 1 else 'pairs'}, where {sample.population!r} needs {fewest}"
        if smallest > alpha:
            reason += (
                f": even a sign-flip test cannot reach a p below 2^(1-{n}) = {smallest:.4g}, "
                f"above {alpha:g}"
            )
    else:
        reason = "the two sides did not have the same search budget"
    return Verdict(sample.name, word, score, 1 - alpha, n, None, None, margin, reason)


def _interval(score: Score, level: float) -> str:
    return f"{100 * level:.4g} % interval [{score.low:+.4f}, {score.high:+.4f}]"


def _p(value: float) -> str:
    return "Holm p < 0.0001" if 0 < value < 1e-4 else f"Holm p = {value:.2g}"
