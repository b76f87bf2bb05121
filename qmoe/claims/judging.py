"""Judging: from stored results to the verdict on every claim, and the check of stored verdicts."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from qmoe.claims.claim import Claim, ClaimWord, NotStoredError, combined, verdict
from qmoe.claims.compared import Comparison, compared
from qmoe.claims.noisy import lost
from qmoe.claims.table import CLAIMS
from qmoe.evidence import Evidence, Rounded, StoredVerdict
from qmoe.metrics import Score

DIGITS = 6
TOLERANCE = 2e-6
"""Two roundings to `DIGITS` of figures that another machine computes from the same counts."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A claim with what the evidence says about it; `scope` is the part that the verdict is on."""

    claim: Claim
    verdict: ClaimWord
    reason: str
    scope: str = ""
    measured: tuple[str, ...] = ()
    comparisons: tuple[Comparison, ...] = ()


def judged(evidence: Evidence, claims: Sequence[Claim] = CLAIMS) -> tuple[Judged, ...]:
    """Every claim, judged from stored counts and figures; stored verdicts are not looked at."""
    return tuple(_judged(evidence, claim) for claim in claims)


def beside(evidence: Evidence, claim: Claim) -> tuple[str, ...]:
    """The exploratory lines beside the verdict on a claim, which have no part in it."""
    return tuple(line for lines in claim.context for line in lines(evidence, claim))


def _judged(evidence: Evidence, claim: Claim) -> Judged:
    try:
        if claim.rule is not None:
            counted = claim.rule(evidence, claim)
            word = combined(counted.agrees)
            return Judged(claim, word, counted.reason, claim.scope, counted.measured)
        found = compared(evidence, claim)
        if not found:
            return _compared(claim, lost(evidence, claim))
    except NotStoredError as missing:
        return Judged(claim, "not judged yet", f"The evidence lacks {missing}.")
    try:
        return _compared(claim, (*found, *lost(evidence, claim)))
    except NotStoredError as missing:
        half = _compared(claim, found)
        reason = f"{half.reason} Of noise, the evidence lacks {missing}: qmoe run noise finds it."
        return replace(half, reason=reason, scope=claim.without_losses)


def _compared(claim: Claim, found: tuple[Comparison, ...]) -> Judged:
    word = verdict([c.verdict.word for c in found], claim)
    return Judged(claim, word, _reason(claim, found), claim.scope, tuple(map(str, found)), found)


def _reason(claim: Claim, found: Sequence[Comparison]) -> str:
    """One sentence: what was predicted, what came out, and why the open ones are open."""
    counts = Counter(c.verdict.word for c in found)
    outcome = ", ".join(f"{count} {word}" for word, count in counts.items())
    wanted = " or ".join(sorted(claim.predicts))
    text = f"Predicted was {wanted} in each of {len(found)} comparisons; found were {outcome}"
    decided = claim.predicts | claim.contradicts
    left = next((c for c in found if c.verdict.word not in decided), None)
    if left is not None:
        text += f" ({left.pair.dataset}: {left.verdict.reason})"
    return f"{text}."


def stored(found: Sequence[Judged]) -> dict[str, StoredVerdict]:
    """Verdicts in the form in which evidence keeps them."""
    return {
        one.claim.id: StoredVerdict(
            verdict=one.verdict,
            words={c.name: c.verdict.word for c in one.comparisons},
            figures={c.name: _rounded(c.difference) for c in one.comparisons},
        )
        for one in found
    }


def with_verdicts(evidence: Evidence) -> Evidence:
    """The evidence with the verdicts that it gives."""
    return evidence.model_copy(update={"verdicts": stored(judged(evidence))})


def disagreements(*parts: Evidence) -> tuple[str, ...]:
    """Where the verdicts stored in evidence are not those that its results give, in words.

    Each part is judged alone. Empty as well where none are stored.
    """
    return tuple(line for part in parts for line in _disagreements(part))


def _disagreements(evidence: Evidence) -> tuple[str, ...]:
    if not evidence.verdicts:
        return ()
    derived = stored(judged(evidence))
    out = []
    for name in sorted({*derived, *evidence.verdicts}, key=lambda name: (len(name), name)):
        was, now = evidence.verdicts.get(name), derived.get(name)
        if was is None or now is None:
            out.append(
                f"{name}: {'no verdict is' if was is None else 'an unknown claim is'} stored"
            )
        elif was.verdict != now.verdict:
            out.append(f"{name}: {was.verdict!r} is stored, the results give {now.verdict!r}")
        elif was.words != now.words:
            out.append(f"{name}: the stored words are not those that the results give")
        elif not _agree(was, now):
            out.append(f"{name}: the stored figures are not those that the results give")
    return tuple(out)


def _agree(was: StoredVerdict, now: StoredVerdict) -> bool:
    return was.figures.keys() == now.figures.keys() and all(
        (a is None) == (b is None) and (a is None or b is None or abs(a - b) <= TOLERANCE)
        for name, figure in now.figures.items()
        for a, b in zip(figure, was.figures[name], strict=True)
    )


def _rounded(score: Score) -> Rounded:
    value, low, high = (
        round(v, DIGITS) if math.isfinite(v) else None for v in (score.value, score.low, score.high)
    )
    return value, low, high
