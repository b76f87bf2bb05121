"""How many routers, inputs and shots a wanted answer takes.

The answer is that of a t test of paired differences over trained routers, each with inputs of its
own. A plan is bought by shots: of all plans that reach what is wanted, the cheapest has the fewest
of them. So few shots that they move accuracy themselves are no bargain: that is a bias, which no
number of routers takes away, and plans keep it below a quarter of what they reach.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from hardware_runs.rehearsal import Rehearsed
from hardware_runs.variance import Components, components
from qmoe.angles import finite, whole
from qmoe.errors import InputError
from qmoe.metrics import Score, mean_score, wilson

FEWEST_ROUTERS = 8
"""As for any verdict on hardware."""

FEWEST_INPUTS = 50
FEWEST_CHANGES = 2
"""Answers that the two sides give differently, expected in the whole experiment. Where there are
fewer, means are far from normal, and plans reckon with the variance of so many."""

MOST_INPUTS = 5000
BIAS = 0.25
SLACK = 0.05
"""Fewer routers are worth so much more shots: each has to be trained."""

REPEATS = 2000


@dataclass(frozen=True, slots=True)
class Aim:
    """What is wanted: an interval of some width, or a test of some power.

    Attributes:
        size: Half the width of the interval, or the difference to be found; None where a budget
            decides.
        power: The chance to find it, two-sided; None: an interval.
        alpha: The level of the test; the interval has 1 - alpha.

    Raises:
        InputError: A size or a chance out of range.
    """

    size: float | None
    power: float | None = 0.8
    alpha: float = 0.05

    def __post_init__(self) -> None:
        what = "precision" if self.power is None else "difference to detect"
        _between(self.alpha, "alpha", 0.0)
        if self.size is not None:
            _between(self.size, what, 0.0)
        if self.power is not None:
            _between(self.power, "power", self.alpha)

    def factor(self, routers: int) -> float:
        """What is reached, in standard errors of the mean over so many routers.

        Student's quantile for an interval, the noncentrality with that power for a test.
        """
        if self.power is None:
            from scipy.special import stdtrit

            return float(stdtrit(routers - 1, 1 - self.alpha / 2))
        from statsmodels.stats.power import TTestPower

        effect = TTestPower().solve_power(nobs=routers, alpha=self.alpha, power=self.power)
        return float(effect) * math.sqrt(routers)


@dataclass(frozen=True, slots=True)
class Plan:
    """An experiment: so many routers, inputs for each, shots for each input.

    Attributes:
        reaches: Half the width of the interval (root mean square), or the smallest difference
            that is found with the power.
        bias: What its number of shots does to the mean difference.
        floor: The shot floor of the target, a total variation.
        circuits: All circuits, those of both sides if both take shots.
        total: All shots.
    """

    routers: int
    inputs: int
    shots: int
    reaches: float
    bias: float
    floor: float
    circuits: int
    total: int


def plans(aim: Aim, rehearsed: Iterable[Rehearsed], most_routers: int) -> tuple[Plan, ...]:
    """The cheapest plan with each number of shots that reaches the size wanted, cheapest first.

    Raises:
        InputError: None reaches it.
    """
    wanted = aim.size
    if wanted is None:
        raise ValueError("got no size; expected one, or a budget for plans_within")

    def inputs(seen: Rehearsed, found: Components, routers: int, factor: float) -> int:
        room = routers * (wanted / factor) ** 2 - found.routers
        if room <= 0:
            return 0
        changes = math.sqrt(FEWEST_CHANGES / (routers * room))
        least = max((found.inputs + found.shots) / room, changes)
        return max(FEWEST_INPUTS, math.ceil(min(least, MOST_INPUTS + 1)))

    made = _search(aim, rehearsed, most_routers, inputs, lambda plan: plan.total)
    if not made:
        raise InputError(
            got=f"{wanted:g} with at most {most_routers} routers of {MOST_INPUTS} inputs",
            expected="what the shots rehearsed can reach",
            do="ask for less, or allow more routers with --routers",
        )
    return made


def plans_within(
    budget: int, aim: Aim, rehearsed: Iterable[Rehearsed], most_routers: int
) -> tuple[Plan, ...]:
    """The plan that reaches the smallest size with each number of shots, the best first.

    budget: Shots of the whole experiment. `aim.size` is not used.

    Raises:
        InputError: A budget that is too small for any plan.
    """
    whole(budget, "budget", 1)

    def inputs(seen: Rehearsed, found: Components, routers: int, factor: float) -> int:
        return min(MOST_INPUTS, budget // (seen.sampled * seen.shots * routers))

    made = _search(
        replace(aim, size=None), rehearsed, most_routers, inputs, lambda plan: plan.reaches
    )
    if not made:
        raise InputError(
            got=f"a budget of {budget} shots",
            expected=f"enough for {FEWEST_ROUTERS} routers with {FEWEST_INPUTS} inputs, with so "
            "many shots each that their bias is small",
            do="raise it",
        )
    return made


def realised(plan: Plan, aim: Aim, seen: Rehearsed, *, seed: int) -> Score:
    """What a plan reaches in simulated experiments, with a 95 % interval of the simulation.

    The shapes of the distributions are those of the rehearsal, which are not normal; their
    variances are the estimated components. For a test, it is the share of experiments that find
    the smallest difference that the plan promises to find, up and down in turn; for an interval,
    half its width (root mean square).
    """
    d = seen.differences
    found = components(d, shared=seen.shared)
    share = np.stack([(d == value).mean(1) for value in (-1, 0, 1)], axis=-1)
    centre = share[..., 2] - share[..., 0]
    routers = centre.mean(1)
    within = float((1 - share[..., 1] - centre**2).mean())
    rng = np.random.default_rng(np.random.SeedSequence(seed))
    size = (REPEATS, plan.routers)
    r, k = (rng.integers(count, size=size) for count in centre.shape)
    counts = rng.multinomial(plan.inputs, share[r, k])
    inner = (counts[..., 2] - counts[..., 0]) / plan.inputs - centre[r, k]
    outer = routers[r] - routers.mean()
    means = outer * _scale(found.routers, float(routers.var())) + inner * _scale(
        found.inputs + found.shots, within
    )
    error = means.std(1, ddof=1) / math.sqrt(plan.routers)
    from scipy.special import stdtrit

    half = float(stdtrit(plan.routers - 1, 1 - aim.alpha / 2)) * error
    if aim.power is None:
        square = mean_score(half**2, limits=(0.0, math.inf))
        return Score(*(math.sqrt(each) for each in (square.value, square.low, square.high)))
    planted = plan.reaches * np.tile((-1, 1), REPEATS // 2)
    return wilson(int((np.abs(means.mean(1) + planted) > half).sum()), REPEATS)


def _search(
    aim: Aim,
    rehearsed: Iterable[Rehearsed],
    most_routers: int,
    inputs: Callable[[Rehearsed, Components, int, float], int],
    cost: Callable[[Plan], float],
) -> tuple[Plan, ...]:
    """The best plan with each number of shots, the best of all first."""
    whole(most_routers, "routers", FEWEST_ROUTERS)
    factors = {n: aim.factor(n) for n in _routers(most_routers)}
    best = []
    for seen in rehearsed:
        found = components(seen.differences, shared=seen.shared)
        fit = []
        for routers, factor in factors.items():  # the fewest first
            count = inputs(seen, found, routers, factor)
            if FEWEST_INPUTS <= count <= MOST_INPUTS:
                least = FEWEST_CHANGES / (routers * count) ** 2
                variance = max(found.of_mean(routers, count), found.routers / routers + least)
                reaches = factor * math.sqrt(variance)
                if abs(seen.bias) <= BIAS * (aim.size or reaches):
                    fit.append(_plan(seen, routers, count, reaches))
        if fit:
            least = min(map(cost, fit))
            best.append(next(plan for plan in fit if cost(plan) <= (1 + SLACK) * least))
    return tuple(sorted(best, key=cost))


def _plan(seen: Rehearsed, routers: int, inputs: int, reaches: float) -> Plan:
    each, common = seen.circuits
    return Plan(
        routers,
        inputs,
        seen.shots,
        reaches,
        seen.bias,
        seen.floor,
        circuits=routers * (each * inputs + common),
        total=seen.sampled * routers * inputs * seen.shots,
    )


def _routers(most: int) -> Iterator[int]:
    """All numbers of routers up to 30, then ever wider apart, and the last."""
    n = FEWEST_ROUTERS
    while n < most:
        yield n
        n += max(1, n // 30)
    yield most


def _scale(wanted: float, found: float) -> float:
    return math.sqrt(wanted / found) if found > 0 else 0.0


def _between(value: float, what: str, low: float) -> None:
    if not low < finite(value, what) < 1:
        raise InputError(got=f"{what} {value:g}", expected=f"between {low:g} and 1", do="change it")
