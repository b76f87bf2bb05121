"""The outcome of a run in a terminal, or as JSON: the figures of the page's first screen."""

from __future__ import annotations

import json
from typing import Any

from qmoe.metrics import Score
from qmoe.report.words import ON, headline, written
from qmoe.results import LIKE, comparisons, summary, table
from qmoe.rundir import Run

UNTUNED_LINE = "untuned: the routers had no equal search budgets, so there is no verdict"


def summary_text(run: Run) -> str:
    """One block per protocol and data set: a line per router, then who leads and by how much."""
    frame = table(run.records)
    lines: list[str] = []
    for names, rows in summary(frame).groupby(LIKE, sort=False):
        like = dict(zip(LIKE, names, strict=True))
        group = frame[(frame[LIKE] == list(names)).all(axis=1)]
        first = rows.iloc[0]
        lines.append(
            f"{like['dataset']}, protocol {like['protocol']}: accuracy on "
            f"{ON[first['accuracy_on']]}, {first['seeds']} seeds "
            f"({like['population']}), {like['source']}"
        )
        width = max(len(name) for name in rows["router"])
        for _, row in rows.iterrows():
            score = Score(row["accuracy"], row["accuracy_low"], row["accuracy_high"])
            parameters = f"{row['router_parameters']} parameters"
            lines.append(f"  {row['router']:{width}}  {written(score)}  {parameters}")
        said = headline(rows, group)
        if said is not None:
            lines.append(said.sentence)
        lines += [UNTUNED_LINE, ""]
    return "\n".join(lines)


def summary_json(run: Run) -> dict[str, Any]:
    """The tables `summary` and `comparisons` of `qmoe.results` as lists of objects."""
    frame = table(run.records)
    return {
        "summary": json.loads(summary(frame).to_json(orient="records")),
        "comparisons": json.loads(comparisons(frame).to_json(orient="records")),
    }
