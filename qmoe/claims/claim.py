"""A claim as data: what was published, what is compared, and which outcomes speak for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from qmoe.evidence import Evidence
from qmoe.stats import MARGIN, Word
from qmoe.studies import families

Metric = Literal["test accuracy", "steps to target"]
MARGINS: Final[Mapping[Metric, float]] = {"test accuracy": MARGIN, "steps to target": 10.0}
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
    """The outcome of a claim about numbers that need no statistics."""

    agrees: bool
    measured: tuple[str, ...]
    reason: str


Rule = Callable[[Evidence], Counted]
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
        experts: Experts of both routers of every pair.
        metric: What is compared.
        predicts: Words that speak for the claim.
        contradicts: Words that speak against it. All others leave it open.
        rule: Where a count or a calculation decides, and no comparison.
        needs: What is lacking to judge it at all.
        scope: The part of the claim that is judged, where it is not all of it.
        context: What is shown beside the verdict.
    """

    id: str
    statement: str
    published: str
    test: str
    study: str = ""
    pairs: tuple[Pair, ...] = ()
    experts: int = 4
    metric: Metric = "test accuracy"
    predicts: frozenset[Word] = frozenset(("better",))
    contradicts: frozenset[Word] = frozenset(("equivalent", "worse"))
    rule: Rule | None = None
    needs: str = ""
    scope: str = ""
    context: tuple[Context, ...] = ()

    @property
    def command(self) -> str:
        """The shell line that finds its figures anew and then judges them."""
        return f"qmoe study {self.study} && qmoe claims latest --claim {self.id}"


def verdict(words: Sequence[Word], claim: Claim) -> ClaimWord:
    """The word for a claim whose registered comparisons came out as `words`.

    - `holds`: every comparison came out as the claim predicts;
    - `does not hold`: every comparison contradicts it;
    - `partly`: some came out as predicted, and some contradict it;
    - `undecided`: anything else, such as comparisons that are inconclusive or untuned.
    """
    for_it = sum(word in claim.predicts for word in words)
    against = sum(word in claim.contradicts for word in words)
    if words and for_it == len(words):
        return "holds"
    if words and against == len(words):
        return "does not hold"
    return "partly" if for_it and against else "undecided"
