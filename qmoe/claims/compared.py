"""Registered comparisons: stored cells found by name, checked to be a fair pair, and judged."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64

from qmoe.arrays import Floats
from qmoe.cell import CellResult
from qmoe.claims.claim import MARGINS, Claim, Metric, NotStoredError, Pair
from qmoe.evidence import Evidence
from qmoe.metrics import ACCURACY_RANGE, Score, mean_score
from qmoe.stats import Sample, Verdict, judge
from qmoe.survival import restricted, time_to_target
from qmoe.trial import FEWEST_TRIALS

TARGET = 0.9
"""The validation accuracy to be reached: above that of a constant gate on the claim's data."""
HORIZON = 200
"""The training steps in which to reach it; a seed that does not is censored there."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One registered comparison with its verdict.

    `a` and `b` are the means of router and control with 95 % intervals, `difference` their
    paired difference at the level of the verdict, in the unit of the metric: router minus
    control, for steps too, although fewer are better.
    """

    pair: Pair
    metric: Metric
    a: Score
    b: Score
    a_parameters: int
    b_parameters: int
    difference: Score
    verdict: Verdict

    @property
    def name(self) -> str:
        """What it is called among the comparisons of its claim."""
        lost = self.metric == "accuracy lost to noise"
        return f"{self.pair.name}, {self.metric}" if lost else self.pair.name

    def __str__(self) -> str:
        spec, unit = (".1f", " steps") if self.metric == "steps to target" else (".3f", "")
        first = f"{named(self.pair.router, self.a_parameters)} {self.a:{spec}}"
        second = f"{named(self.pair.control, self.b_parameters)} {self.b:{spec}}"
        level = f"{100 * self.verdict.level:.4g} % interval"
        what, word = f"{self.verdict.n} seeds", str(self.verdict.word)
        if self.metric == "accuracy lost to noise":
            what = f"{what}, {self.metric}"
            word = {"better": "loses more", "worse": "loses less"}.get(word, word)
        return (
            f"{self.pair.dataset}, {what}: {first} against {second}: difference "
            f"{self.difference:+{spec}}{unit} ({level}): {word}"
        )


def named(router: str, parameters: int) -> str:
    """A router with its size; what is no router has none."""
    return f"{router} ({parameters} parameters)" if parameters else router


def compared(evidence: Evidence, claim: Claim) -> tuple[Comparison, ...]:
    """The registered comparisons of a claim, judged as one Holm family.

    Raises:
        NotStoredError: The evidence lacks a cell, or its cells are no pair.
    """
    cells = [both(evidence, claim, pair) for pair in claim.pairs]
    samples = [
        sample(pair.name, a, b, claim.metric)
        for pair, (a, b) in zip(claim.pairs, cells, strict=True)
    ]
    verdicts = judge(samples, MARGINS[claim.metric])
    return tuple(
        _comparison(pair, claim.metric, a, b, found)
        for pair, (a, b), found in zip(claim.pairs, cells, verdicts, strict=True)
    )


def both(evidence: Evidence, claim: Claim, pair: Pair) -> tuple[CellResult, CellResult]:
    """The cells of a pair, which share seeds, data and the sizes of its parts.

    Raises:
        NotStoredError: One is not there, or they are no pair.
    """
    a, b = (one(evidence, claim, pair.dataset, name) for name in (pair.router, pair.control))
    if not paired(a, b):
        raise NotStoredError(f"{pair.router} and {pair.control} on {pair.dataset} with equal seeds")
    return a, b


def one(evidence: Evidence, claim: Claim, dataset: str, router: str) -> CellResult:
    """The cell of a router: of the claim's study where that ran, else of any.

    Raises:
        NotStoredError: There is none, or several that differ.
    """
    found = [
        r
        for r in evidence.find(dataset=dataset, router=router, experts=claim.experts)
        if r.held_out and r.validation_correct
    ]
    asked = evidence.asked_by(claim.study)
    found = [r for r in found if r.key in asked] or found
    if len(found) != 1:
        experts = f"{claim.experts} expert{'s' if claim.experts > 1 else ''}"
        what = f"{router} on {dataset} with {experts}"
        raise NotStoredError(what if not found else f"one {what} (there are {len(found)})")
    return found[0]


def paired(a: CellResult, b: CellResult) -> bool:
    """Whether the figures of two cells belong together seed by seed."""
    return (a.seeds, a.dataset_digest, a.rows, a.population) == (
        *(b.seeds, b.dataset_digest),
        *(b.rows, b.population),
    )


def searched(result: CellResult) -> int:
    """The trials that each seed chose from, counted; 0 where another cell's choice is reused."""
    if "like" in result.cell:
        return 0
    trained = [sum(row[i] is not None for row in result.validation_correct) for i in _seeds(result)]
    return min(trained)


def unequal(a: CellResult, b: CellResult) -> str:
    """Why two cells had no equal budgets that allow a verdict; empty where they had.

    Growing a circuit layer by layer is a way to spend the same budget, not another one.
    """
    counts = searched(a), searched(b)
    if counts[0] != counts[1]:
        return f"{counts[0]} trials were searched against {counts[1]}"
    if counts[0] < FEWEST_TRIALS:
        return f"{counts[0]} trials were searched, where a verdict needs {FEWEST_TRIALS}"
    if _training(a) != _training(b):
        return "the two sides did not train equally long"
    return ""


def sample(name: str, a: CellResult, b: CellResult, metric: Metric) -> Sample:
    """The paired figures of two cells, higher is better."""
    first, second = (_values(r, metric) for r in (a, b))
    reason = unequal(a, b)
    return Sample(name, first, second, a.population, tuned=not reason, overlap=a.overlap)


def accuracy(result: CellResult) -> Score:
    """The mean accuracy over seeds with its 95 % interval."""
    return mean_score(result.accuracy, limits=ACCURACY_RANGE, overlap=result.overlap)


def steps_to_target(result: CellResult) -> Float64[Floats, " seed"]:
    """The training step at which validation accuracy was first seen at the target; inf: never.

    Raises:
        NotStoredError: A training that was not watched up to the horizon.
    """
    watched = bool(result.curve_epochs) and bool(result.curve_validation_correct)
    if not watched or min(result.epochs_run) * result.steps_per_epoch < HORIZON:
        raise NotStoredError(f"{HORIZON} training steps of {result.router} on {result.dataset}")
    steps = np.asarray(result.curve_epochs, dtype=np.float64) * result.steps_per_epoch
    correct = np.asarray(result.curve_validation_correct, dtype=np.float64)
    # point x seed; a quotient of counts that equals the target is the same double
    there = (correct / result.rows["validation"] >= TARGET) & (steps <= HORIZON)[:, None]
    return np.where(there.any(axis=0), steps[there.argmax(axis=0)], math.inf)


def _values(result: CellResult, metric: Metric) -> Float64[Floats, " seed"]:
    if metric == "test accuracy":
        return result.accuracy
    return -restricted(steps_to_target(result), float(HORIZON))


def _comparison(
    pair: Pair, metric: Metric, a: CellResult, b: CellResult, found: Verdict
) -> Comparison:
    way = found.difference
    if metric == "steps to target":
        way = Score(*(0.0 - end for end in (way.value, way.high, way.low)))
    return Comparison(
        pair=pair,
        metric=metric,
        a=_mean(a, metric),
        b=_mean(b, metric),
        a_parameters=a.router_parameters,
        b_parameters=b.router_parameters,
        difference=way,
        verdict=replace(found, reason=unequal(a, b) or found.reason),
    )


def _mean(result: CellResult, metric: Metric) -> Score:
    if metric == "test accuracy":
        return accuracy(result)
    return time_to_target(
        steps_to_target(result), float(HORIZON), overlap=result.overlap
    ).restricted


def _training(result: CellResult) -> dict[str, object]:
    training = result.cell.get("training", {})
    return {key: v for key, v in training.items() if key not in ("layerwise", "replicate")}


def _seeds(result: CellResult) -> Sequence[int]:
    return range(len(result.seeds))
