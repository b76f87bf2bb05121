"""The table of parameter efficiencies: every reading of eta, with ranks and rank flips."""

from __future__ import annotations

import math

import pandas as pd

from qmoe.eta import efficiencies
from qmoe.evidence import Evidence

STUDY = "efficiency"


def eta_table(evidence: Evidence | None) -> pd.DataFrame | None:
    """One row per router of study `efficiency` and reading of eta; None for runs without it.

    Columns: protocol, dataset, experts, router, numerator (accuracy, or accuracy above the
    constant gate), counted (which parameters), base (of the logarithm), parameters, eta with its
    ends at 95 %, rank (1 is the most efficient of its data set and number of experts), flipped
    (routers that stand on the other side of this one in the plainest reading, separated by |).
    """
    if evidence is None or STUDY not in evidence.studies:
        return None
    asked = evidence.asked_by(STUDY)
    rows = []
    for row in efficiencies(r for r in evidence.results if r.key in asked):
        ends = (math.nan,) * 3 if row.eta is None else (row.eta.value, row.eta.low, row.eta.high)
        rows.append(
            {
                "protocol": row.protocol,
                "dataset": row.dataset,
                "experts": row.experts,
                "router": row.router,
                **row.reading._asdict(),
                "parameters": row.parameters,
                **dict(zip(("eta", "eta_low", "eta_high"), ends, strict=True)),
                "rank": row.rank,
                "flipped": " | ".join(row.flipped),
            }
        )
    return pd.DataFrame(rows).astype({"rank": "Int64"}) if rows else None
