"""The ledger as text for a terminal and as JSON."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from qmoe.claims.claim import ClaimWord
from qmoe.claims.judging import Judged, beside
from qmoe.evidence import Evidence
from qmoe.metrics import Score

SCALE = (
    "The trained circuits have 2 to 8 qubits and are simulated, without noise unless it is named."
)
STYLES: dict[ClaimWord, str] = {"not judged yet": "dim", "undecided": "bold"}


def heading(*parts: Evidence) -> str:
    """Where the figures come from, and at what scale."""
    return (
        f"Judged from the results of {' and of '.join(_origin(part) for part in parts)}.\n"
        f"{SCALE} Intervals of means are at 95 %; those of differences at the level of the verdict."
    )


def _origin(evidence: Evidence) -> str:
    made = evidence.provenance
    commit = f", commit {made.commit[:12]}" if made.commit else ""
    return f"{made.command!r} (qmoe {made.qmoe}{commit}, {made.created})"


def blocks(evidence: Evidence, found: Sequence[Judged]) -> Iterator[Table]:
    """One block of two columns per claim, each as wide as the terminal allows."""
    for one in found:
        table = Table.grid(padding=(0, 2))
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        for name, text in _lines(evidence, one):
            style = STYLES.get(one.verdict, "bold") if name == "verdict" else ""
            table.add_row(Text(name, "bold" if name == one.claim.id else "dim"), Text(text, style))
        table.add_row("", "")
        yield table


def _lines(evidence: Evidence, one: Judged) -> Iterator[tuple[str, str]]:
    claim = one.claim
    yield claim.id, claim.statement
    yield "published", claim.published
    yield "judged by", claim.test
    for k, text in enumerate(one.measured):
        yield "" if k else "measured", text
    yield "verdict", said(one)
    yield "reason", one.reason
    for k, text in enumerate(beside(evidence, claim)):
        yield "" if k else "beside it", text
    if claim.study:
        yield "command", claim.command


def said(one: Judged) -> str:
    """The verdict, with the part of the claim that it is about."""
    return f"{one.verdict} ({one.scope})" if one.scope else one.verdict


def as_json(
    evidence: Evidence, found: Sequence[Judged], parts: Sequence[Evidence] = ()
) -> dict[str, Any]:
    """The ledger as JSON values; `parts` are those that the evidence was united from."""
    return {
        "evidence": _named(evidence),
        "parts": [_named(part) for part in parts or (evidence,)],
        "scale": SCALE,
        "claims": [_claim(evidence, one) for one in found],
    }


def _named(evidence: Evidence) -> dict[str, Any]:
    return {
        "digest": evidence.digest,
        "provenance": evidence.provenance.model_dump(mode="json"),
    }


def _claim(evidence: Evidence, one: Judged) -> dict[str, Any]:
    claim = one.claim
    return {
        "id": claim.id,
        "claim": claim.statement,
        "published": claim.published,
        "test": claim.test,
        "measured": list(one.measured),
        "verdict": one.verdict,
        "scope": one.scope,
        "reason": one.reason,
        "context": list(beside(evidence, claim)),
        "command": claim.command if claim.study else None,
        "comparisons": [
            {
                "dataset": c.pair.dataset,
                "router": c.pair.router,
                "control": c.pair.control,
                "metric": c.metric,
                "router_score": _score(c.a),
                "control_score": _score(c.b),
                "difference": _score(c.difference),
                "level": c.verdict.level,
                "pairs": c.verdict.n,
                "margin": c.verdict.margin,
                "p": c.verdict.p,
                "p_equivalence": c.verdict.p_equivalence,
                "word": c.verdict.word,
                "reason": c.verdict.reason,
            }
            for c in one.comparisons
        ],
    }


def _score(score: Score) -> list[float | None]:
    ends = (score.value, score.low, score.high)
    return [v if math.isfinite(v) else None for v in ends]
