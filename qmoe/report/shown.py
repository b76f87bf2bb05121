"""Tables as text: what Markdown, LaTeX and any other rendering but the page's own show."""

from __future__ import annotations

from qmoe.report.cells import (
    EMULATED,
    INTERVAL,
    MISSING,
    WHERE,
    Column,
    Shown,
    pruned,
    scored,
    sources_of,
)
from qmoe.report.content import Content
from qmoe.report.noise import Noise
from qmoe.report.shown_hardware import hardware_tables
from qmoe.report.shown_routers import accuracy_tables, verdict_tables
from qmoe.report.shown_targets import device_tables, target_tables
from qmoe.report.volumetric import Volumetric
from qmoe.report.words import counted, number, source_label, typeset

__all__ = [
    "Column",
    "Shown",
    "accuracy_tables",
    "breakdown_table",
    "device_tables",
    "hardware_tables",
    "tables_of",
    "target_tables",
    "verdict_tables",
    "volumetric_tables",
]


def tables_of(content: Content) -> tuple[Shown, ...]:
    """Every table of a report, in the order of its page."""
    parts = content.parts
    breakdowns = breakdown_table(parts.noise) if parts.noise else None
    return (
        *accuracy_tables(content.sections),
        *verdict_tables(content.sections),
        *target_tables(parts.targets),
        *(device_tables(parts.devices) if parts.devices else ()),
        *(volumetric_tables(parts.volumetric) if parts.volumetric else ()),
        *([breakdowns] if breakdowns else []),
        *hardware_tables(parts.hardware),
    )


def breakdown_table(noise: Noise) -> Shown | None:
    """Breakdown points against the linear router; None where there is none."""
    if not noise.breakdowns:
        return None
    return pruned(
        Shown(
            key="breakdown",
            title="Breakdown points against the linear router",
            note=(
                "The noise strength at which the mean paired difference falls to 0, with a 95\xa0% "
                "interval from resampled seeds. Rows that are not registered are exploratory."
            ),
            head=(
                *(Column(name) for name in ("Router", "Data", "Placement", "Trained")),
                Column("Shots", right=True),
                Column("Other"),
                Column("Seeds", right=True),
                *(Column(name) for name in ("Source", "Registered", "Outcome")),
            ),
            rows=tuple(
                (
                    *(row.router, row.dataset, row.placement, row.trained),
                    f"{row.shots:,}" if row.shots else "exact",
                    row.other or MISSING,
                    f"{row.seeds:,}",
                    source_label(EMULATED),
                    "yes" if row.registered else "no",
                    typeset(row.said),
                )
                for row in noise.breakdowns
            ),
            source=source_label(EMULATED),
        )
    )


def volumetric_tables(found: Volumetric) -> tuple[Shown, ...]:
    """What each target carries of random circuits: a row per width and number of layers."""
    rows = [
        (
            *(grid.target, source_label(grid.source) or MISSING, f"{cell.width}", f"{cell.layers}"),
            scored(cell.share),
            ("yes" if cell.carried else "no") if cell.known else MISSING,
            *(number(cell.two_qubit_gates, ".0f"), number(cell.depth, ".0f")),
            cell.note or MISSING,
        )
        for grid in found.grids
        for cell in grid.cells
    ]
    rows += [
        (grid.target, source_label(grid.source) or MISSING, *(MISSING,) * 6, grid.note)
        for grid in found.grids
        if not grid.cells
    ]
    if not rows:
        return ()
    table = Shown(
        key="volumetric",
        title="What width and depth each target carries",
        note=(
            "1 - TV(target, ideal) / TV(uniform, ideal), mean over "
            f"{counted(found.draws, 'draw')} of weights; carried from two thirds on, the "
            "convention of quantum volume."
        ),
        head=(
            *(*WHERE, Column("Qubits", right=True), Column("Layers", right=True)),
            *(Column("Left", INTERVAL), Column("Carried")),
            *(Column("Two-qubit gates", right=True), Column("Depth", right=True), Column("Note")),
        ),
        rows=tuple(rows),
        source=sources_of(grid.source for grid in found.grids),
    )
    return (pruned(table),)
