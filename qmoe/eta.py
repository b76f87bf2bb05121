"""Parameter efficiency eta = accuracy / log(1 + P), in every way that the formula can be read.

The formula (arXiv 2512.22296) leaves open the base of the logarithm, whether accuracy is a
fraction or in percent, and which parameters count. Base and unit scale every eta alike; which
parameters count, and what accuracy is measured from, can change who is more efficient.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from qmoe.cell import CellResult
from qmoe.metrics import ACCURACY_RANGE, Score, mean_score, paired_difference

BASES: Final[Mapping[str, float]] = {"2": 2.0, "e": math.e, "10": 10.0}
UNITS: Final[Mapping[str, float]] = {"fraction": 1.0, "percent": 100.0}
NUMERATORS: Final = ("accuracy", "accuracy above constant gate")
COUNTS: Final[Mapping[str, str]] = {
    "router": "router_parameters",
    "router as published": "router_parameters_paper",
    "model": "model_parameters",
}
"""What P may count, and the figure of a `CellResult` that it is."""


class Reading(NamedTuple):
    """One way to read the formula, accuracy as a fraction."""

    numerator: str
    counted: str
    base: str


STATED: Final = Reading("accuracy", "router", "e")
"""The plainest reading, against which rank flips are marked."""
READINGS: Final = tuple(
    Reading(numerator, count, base)
    for numerator in NUMERATORS
    for count in COUNTS
    for base in BASES
)


@dataclass(frozen=True, slots=True)
class Efficiency:
    """One router's eta in one reading.

    Attributes:
        dataset, experts, router: Whose eta it is; routers of one data set, protocol and number of
            experts are ranked together.
        protocol: As in `CellResult`.
        reading: How the formula was read.
        parameters: P in that reading.
        eta: Mean over seeds with its interval; None where P is 0.
        rank: 1 is the most efficient; routers of equal eta share a rank.
        flipped: Routers that stand on the other side of this one in the reading `STATED`.
    """

    protocol: str
    dataset: str
    experts: int
    router: str
    reading: Reading
    parameters: int
    eta: Score | None
    rank: int | None
    flipped: tuple[str, ...]


def eta(accuracy: float, parameters: int, base: str = "e") -> float:
    """The formula, accuracy / log(1 + P), in one of `BASES`; P is at least 1.

    >>> round(eta(94.0, 24), 1), round(eta(0.94, 24), 2)
    (29.2, 0.29)
    """
    return accuracy * math.log(BASES[base]) / math.log1p(parameters)


def efficiencies(results: Iterable[CellResult]) -> tuple[Efficiency, ...]:
    """The eta of every router in every reading, with ranks and rank flips.

    What is above the constant gate is the paired difference to the router "constant" of the same
    group; a group without one has no such readings.
    """
    groups: dict[tuple[str, str, int], list[CellResult]] = {}
    for result in results:
        groups.setdefault((result.protocol, result.dataset, result.experts), []).append(result)
    return tuple(itertools.chain.from_iterable(_ranked(group) for group in groups.values()))


def _ranked(group: Sequence[CellResult]) -> Iterable[Efficiency]:
    floor = next((result for result in group if result.family == "constant"), None)
    above = {True: floor, False: None}
    stated = [_eta(result, STATED, None) for result in group]
    for reading in READINGS:
        relative = reading.numerator != NUMERATORS[0]
        if relative and floor is None:
            continue
        etas = [_eta(result, reading, above[relative]) for result in group]
        for i, (result, own) in enumerate(zip(group, etas, strict=True)):
            yield Efficiency(
                protocol=result.protocol,
                dataset=result.dataset,
                experts=result.experts,
                router=result.router,
                reading=reading,
                parameters=getattr(result, COUNTS[reading.counted]),
                eta=own,
                rank=None if own is None else 1 + sum(_side(other, own) > 0 for other in etas),
                flipped=tuple(
                    other.router
                    for j, other in enumerate(group)
                    if _side(own, etas[j]) * _side(stated[i], stated[j]) < 0
                ),
            )


def _eta(result: CellResult, reading: Reading, floor: CellResult | None) -> Score | None:
    parameters = getattr(result, COUNTS[reading.counted])
    if parameters == 0:
        return None
    if floor is None:
        score = mean_score(result.accuracy, limits=ACCURACY_RANGE, overlap=result.overlap)
    else:
        score = paired_difference(result.accuracy, floor.accuracy, overlap=result.overlap)
    return Score(*(eta(v, parameters, reading.base) for v in (score.value, score.low, score.high)))


def _side(a: Score | None, b: Score | None) -> int:
    """1 where a is above b, -1 below, 0 where they are equal or one is not known."""
    if a is None or b is None:
        return 0
    return (a.value > b.value) - (a.value < b.value)
