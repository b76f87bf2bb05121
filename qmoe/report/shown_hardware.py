"""Experiments on devices as tables of text."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from qmoe.report.cells import (
    INTERVAL,
    MISSING,
    WHERE,
    Column,
    Shown,
    pruned,
    scored,
    sources_of,
)
from qmoe.report.hardware import Hardware, alike
from qmoe.report.words import number, typeset


def hardware_tables(experiments: Sequence[Hardware]) -> tuple[Shown, ...]:
    """Experiments on devices: treatments, circuits with time and cost, then what was predicted.

    Experiments stand in one table only with the same routers, inputs and shots.
    """
    made = []
    for k, group in enumerate(alike(experiments), start=1):
        made += list(_experiments(group.experiments, group.about, f"hardware-{k}"))
    return tuple(map(pruned, made))


def _experiments(found: Sequence[Hardware], about: str, key: str) -> Iterator[Shown]:
    source = sources_of(each.source for each in found)
    about = f"{about[0].upper()}{about[1:]}."
    nothing = (MISSING,) * 9
    treated: list[tuple[str, ...]] = []
    for each in found:
        treated += [
            (
                *_place(each),
                *(row.name, scored(row.accuracy), number(row.exact)),
                *(scored(row.retention, ".2f"), scored(row.distance), number(row.floor)),
                *(scored(row.agreement), scored(row.fidelity), number(row.circuits, ",.0f")),
                *(number(row.shots, ",.0f"), number(row.gamma, ".2f")),
            )
            for row in each.treatments
        ] or [(*_place(each), "nothing counts", MISSING, *nothing)]
    yield Shown(
        key=f"{key}-treatments",
        title="Experiments on devices: targets and treatments",
        note=about,
        head=(
            *(*WHERE, Column("Treatment"), Column("Accuracy", INTERVAL)),
            *(Column("Exact", right=True), Column("Retention R", INTERVAL)),
            *(Column("Total variation", INTERVAL), Column("Shot floor", right=True)),
            *(Column("Top-1 agreement", INTERVAL), Column("Measured fidelity", INTERVAL)),
            *(Column(name, right=True) for name in ("Circuits", "Shots", "Gamma")),
        ),
        rows=tuple(treated),
        source=source,
    )
    yield Shown(
        key=f"{key}-verdicts",
        title="Experiments on devices: the registered comparison",
        note=f"{about} Accuracy minus that of the exact routers on the same inputs.",
        head=(*WHERE, Column("Plan"), Column("Difference", "[interval]"), Column("Verdict")),
        rows=tuple(
            (*_place(e), e.plan, scored(e.difference, "+.3f"), typeset(e.verdict)) for e in found
        ),
        source=source,
    )
    phases = tuple(dict.fromkeys(phase for each in found for phase in each.seconds))
    yield Shown(
        key=f"{key}-costs",
        title="Experiments on devices: circuits, time and cost",
        note=f"{about} Seconds of a whole experiment, as far as the service tells.",
        head=(
            *(*WHERE, Column("Two-qubit gates", right=True), Column("Depth", right=True)),
            *(Column("Expected fidelity", right=True), Column("Calibrated")),
            *(Column("Qubits used"), *(Column(p.capitalize(), "s", right=True) for p in phases)),
            *(Column("1,000 exact predictions", "s", right=True), Column("Billed")),
        ),
        rows=tuple(
            (
                *(*_place(each), number(each.circuit.two_qubit_gates, ".0f")),
                *(number(each.circuit.depth, ".0f"), number(each.circuit.fidelity, ".4f")),
                *(str(each.labels["calibrated"] or "")[:10] or MISSING,),
                each.circuit.layout or MISSING,
                *(number(each.seconds.get(phase, math.nan), ".3g") for phase in phases),
                number(each.exact_per_thousand, ".3g"),
                ", ".join(each.billed) or "not said",
            )
            for each in found
        ),
        source=source,
    )
    expected = tuple(
        (
            *(*_place(each), one.treatment, one.figure, scored(one.predicted)),
            "inside" if one.inside else "outside",
        )
        for each in found
        for one in each.expected
    )
    if expected:
        yield Shown(
            key=f"{key}-predicted",
            title="Experiments on devices: predicted before the first job was sent",
            note=about,
            head=(
                *(*WHERE, Column("Treatment"), Column("Figure")),
                *(Column("Predicted", INTERVAL), Column("Measured is")),
            ),
            rows=expected,
            source=source,
        )


def _place(found: Hardware) -> tuple[str, str]:
    return str(found.labels["target"]), sources_of([found.source])
