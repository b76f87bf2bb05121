"""The outcome of a run in a terminal, or as JSON: the figures of the page's first screen."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pandas as pd

from qmoe.columns import LIKE
from qmoe.compare import BEST_CONTROL, comparisons
from qmoe.evidence import evidence_of
from qmoe.metrics import Score
from qmoe.report.headline import headline, sentence
from qmoe.report.parts import Parts
from qmoe.report.words import FEW, ON, counted, written
from qmoe.results import summary, table
from qmoe.rundir import Run


def summary_text(run: Run) -> str:
    """One block per group: a line per router, then who leads, and the verdicts with reasons.

    A run with more than `FEW` groups leaves the lines of the routers to its page.
    """
    if not run.records:
        return "\n".join(Parts.of(evidence_of(run)).lines())
    frame = table(run.records)
    lines: list[str] = []
    groups = summary(frame).groupby(LIKE, sort=False)
    for names, rows in groups:
        like = dict(zip(LIKE, names, strict=True))
        group = frame[(frame[LIKE] == list(names)).all(axis=1)]
        first = rows.iloc[0]
        experts = f", {counted(int(first['experts']), 'expert')}" if first["experts"] else ""
        lines.append(
            f"{like['dataset']}{experts}, protocol {like['protocol']}: accuracy on "
            f"{ON[first['accuracy_on']]}, {counted(int(first['seeds']), 'seed')} "
            f"({like['population']}), {like['source']}"
        )
        width = max(len(name) for name in rows["router"])
        for _, row in rows.iterrows() if len(groups) <= FEW else ():
            score = Score(row["accuracy"], row["accuracy_low"], row["accuracy_high"])
            parameters = f"{row['router_parameters']} parameters"
            lines.append(f"  {row['router']:{width}}  {written(score)}  {parameters}")
        compared = comparisons(group)
        said = headline(rows, group, compared)
        if said is not None:
            lines += [said.sentence, *([said.compared] if said.compared else [])]
        lines += [*_verdicts(compared), ""]
    lines += Parts.of(evidence_of(run)).lines()
    return "\n".join(lines)


def summary_json(run: Run) -> dict[str, Any]:
    """The tables `summary` and `comparisons` of `qmoe.results` and those of the parts."""
    tables = {}
    if run.records:
        frame = table(run.records)
        tables = {"summary": summary(frame), "comparisons": comparisons(frame)}
    tables |= Parts.of(evidence_of(run)).tables()
    return {name: json.loads(each.to_json(orient="records")) for name, each in tables.items()}


def _verdicts(compared: pd.DataFrame) -> Iterator[str]:
    """A line per verdict; those alike in word and reason share one."""
    registered = compared[compared["control"] == BEST_CONTROL]
    judged = compared[compared["verdict"] != ""] if registered.empty else registered
    alike: dict[str, list[str]] = {}
    for row in judged.itertuples():
        names = alike.setdefault(sentence(str(row.verdict), str(row.reason)), [])
        if row.router not in names:
            names.append(str(row.router))
    for text, names in alike.items():
        yield f"{', '.join(names)}: {text}"
