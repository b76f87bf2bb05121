"""Trained routers as tables of text: accuracy with size, and paired differences."""

from __future__ import annotations

from collections.abc import Sequence

from qmoe.report.cells import (
    INTERVAL,
    MISSING,
    Column,
    Shown,
    pruned,
    scored,
)
from qmoe.report.sections import Panel, Section
from qmoe.report.tables import DifferenceRow
from qmoe.report.words import number, percent, typeset


def accuracy_tables(sections: Sequence[Section]) -> tuple[Shown, ...]:
    """Accuracy and size of trained routers: a table per panel."""
    return tuple(pruned(_accuracy(section, p)) for section in sections for p in section.panels)


def verdict_tables(sections: Sequence[Section]) -> tuple[Shown, ...]:
    """Paired differences of a panel: those judged against the best control, then all others."""
    return tuple(
        pruned(_differences(section, panel, registered))
        for section in sections
        for panel in section.panels
        for registered in (True, False)
        if (panel.verdicts if registered else panel.differences)
    )


def _accuracy(section: Section, panel: Panel) -> Shown:
    return Shown(
        key=f"accuracy-{panel.key}",
        title=f"Accuracy on {panel.on}, {panel.title}, {section.protocol} protocol",
        note=_about(section, panel),
        head=(
            *(Column("Router"), Column("Family"), Column("Accuracy", INTERVAL)),
            Column("Router parameters", "arXiv 2512.22296", right=True),
            Column("Router parameters", "trained", right=True),
            Column("Model parameters", "trained", right=True),
            Column("Multiply-adds", right=True),
            Column("Circuits", right=True),
            Column("Seeds", right=True),
        ),
        rows=tuple(
            (
                *(row.router, row.family, scored(row.accuracy)),
                *(f"{row.parameters_paper:,}", f"{row.parameters:,}", f"{row.model_parameters:,}"),
                *(number(row.multiply_adds, ",.0f"), number(row.circuits, ",.0f")),
                f"{row.seeds:,}" + (f" ({row.missing:,} without accuracy)" if row.missing else ""),
            )
            for row in panel.routers
        ),
        source=panel.source,
    )


def _about(section: Section, panel: Panel) -> str:
    """What every row of a panel has in common."""
    parts = (
        f"Run {section.run}",
        f"study {section.study}",
        f"population {panel.population}",
        panel.seeds,
        panel.split,
        panel.budget,
    )
    return f"{'; '.join(part for part in parts if part)}. {section.reason}"


def _differences(section: Section, panel: Panel, registered: bool) -> Shown:
    rows = panel.verdicts if registered else panel.differences
    level = "[interval]" if registered else INTERVAL
    against = "the best control" if registered else "every control"
    return Shown(
        key=f"{'verdicts' if registered else 'differences'}-{panel.key}",
        title=f"Quantum routers against {against}, {panel.title}, {section.protocol} protocol",
        note=(
            f"Run {section.run}; paired differences in accuracy on {panel.on}; population "
            f"{panel.population}. {'' if registered else 'Exploratory where no verdict is given.'}"
        ).strip(),
        head=(
            *(Column("Router"), Column("Control"), Column("Verdict")),
            *(Column("Difference", level), Column("Paired seeds", right=True), Column("Reason")),
        ),
        rows=tuple(_difference(row, registered) for row in rows),
        source=panel.source,
    )


def _difference(row: DifferenceRow, registered: bool) -> tuple[str, ...]:
    shown = scored(row.difference, "+.3f")
    if registered and row.difference.has_interval:
        shown = f"{shown} at {percent(row.level)}"
    return (
        *(row.router, row.control, row.verdict or MISSING),
        *(shown, f"{row.seeds:,}", typeset(row.reason) or MISSING),
    )
