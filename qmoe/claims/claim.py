"""A claim as data: what was published, what is compared, and which outcomes speak for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from qmoe.evidence import Evidence
from qmoe.stats import MARGIN, Word
from qmoe.studies import families

Metric = Literal["test accuracy", "steps to target", "accuracy lost to noise"]
MARGINS: Final[Mapping[Metric, float]] = {
    "test accuracy": MARGIN,
    "steps to target": 10.0,
    "accuracy lost to noise": MARGIN,
}
"""What a difference has to reach to matter; 10 steps are one interval between evaluations."""

MOONS: Final = tuple(str(data) for data in families.MOONS)
"""The data sets of a Holm family, unless a claim names others."""

ClaimWord = Literal["holds", "does not hold", "partly", "undecided", "not judged yet"]


class NotStoredError(Exception):
    """What a claim needs and the evidence lacks; the message says what, in part of a sentence."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two routers on one data set, by the names that their cells carry."""

    dataset: str
    router: str
    control: str

    @property
    def name(self) -> str:
        """What the comparison is called in its Holm family."""
        return f"{self.dataset}: {self.router} against {self.control}"


@dataclass(frozen=True, slots=True)
class Counted:
    """The outcome of a claim that no comparison of two routers decides.

    `agrees` says of each of its parts whether it speaks for the claim, None where that is open.
    """

    agrees: tuple[bool | None, ...]
    measured: tuple[str, ...]
    reason: str


Rule = Callable[[Evidence, "Claim"], Counted]
"""Judges a claim by stored figures; raises `NotStoredError`."""
Context = Callable[[Evidence, "Claim"], Sequence[str]]
"""Exploratory lines beside a verdict; none where the figures are not stored."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One published claim, registered before anything was measured.

    Attributes:
        id: "C1" to "C14".
        statement: The claim as published.
        published: The figures published for it.
        test: What decides it here.
        study: The study that trains and measures what it needs.
        pairs: The registered comparisons, one Holm family.
        losses: Registered comparisons of the accuracy lost to noise, another Holm family: `better`
            is the side that loses more.
        experts: Experts of both routers of every pair.
        metric: What is compared in `pairs`.
        predicts: Words that speak for the claim.
        contradicts: Words that speak against it. All others leave it open.
        rule: Where a count or a calculation decides, and no comparison.
        scope: The part of the claim that is judged, where it is not all of it.
        without_losses: The same while the evidence has the pairs and lacks the losses.
        context: What is shown beside the verdict.
    """

    id: str
    statement: str
    published: str
    test: str
    study: str = ""
    pairs: tuple[Pair, ...] = ()
    losses: tuple[Pair, ...] = ()
    experts: int = 4
    metric: Metric = "test accuracy"
    predicts: frozenset[Word] = frozenset(("better",))
    contradicts: frozenset[Word] = frozenset(("equivalent", "worse"))
    rule: Rule | None = None
    scope: str = ""
    without_losses: str = ""
    context: tuple[Context, ...] = ()

    @property
    def command(self) -> str:
        """The shell line that finds its figures anew and then judges them."""
        return f"qmoe {self.job} && qmoe claims latest --claim {self.id}"

    @property
    def job(self) -> str:
        """The command that finds its figures; noise has a suite of its own."""
        return "run noise" if self.study == "noise" else f"study {self.study}"


def verdict(words: Sequence[Word], claim: Claim) -> ClaimWord:
    """The word for a claim whose registered comparisons came out as `words`."""
    return combined(
        [True if w in claim.predicts else False if w in claim.contradicts else None for w in words]
    )


def combined(agrees: Sequence[bool | None]) -> ClaimWord:
    """The word for a claim whose parts speak for it, against it, or (None) neither.

    - `holds`: every part speaks for it;
    - `does not hold`: every part speaks against it;
    - `partly`: some speak for it, and some against it;
    - `undecided`: anything else, such as comparisons that are inconclusive or untuned.
    """
    found = set(agrees)
    if found == {True}:
        return "holds"
    if found == {False}:
        return "does not hold"
    return "partly" if {True, False} <= found else "undecided"
