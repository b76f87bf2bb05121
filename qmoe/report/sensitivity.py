"""What a calibration does not know: coverage of predictions by effect, and what folding retains."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from qmoe.evidence import Evidence
from qmoe.figure import Figure
from qmoe.metrics import Score
from qmoe.record import Scalar
from qmoe.report.stored import measured, score_of
from qmoe.report.words import counted, number

STUDY = "sensitivity"
COVERAGE, EFFECT, FOLDING = (
    "prediction coverage",
    "effect of the disturbance",
    "retention by folding",
)
FIGURES = ("accuracy", "total variation", "top-1 agreement")
KEPT = ("routing retention", "accuracy", "total variation")
LEVEL = 0.95
"""The chance that the predictions promise."""


@dataclass(frozen=True, slots=True)
class EffectRow:
    """One effect at one strength: coverage and mean change, in the order of `FIGURES`."""

    effect: str
    strength: float
    coverage: tuple[Score, ...]
    change: tuple[Score, ...]

    @property
    def broken(self) -> tuple[bool, ...]:
        """Whether each figure is covered less often than promised, beyond its interval."""
        return tuple(score.high < LEVEL for score in self.coverage)


@dataclass(frozen=True, slots=True)
class SensitiveTarget:
    """One target: its effects, and per fold scale the scores in the order of `KEPT`."""

    target: str
    rows: tuple[EffectRow, ...]
    folds: tuple[tuple[int, tuple[Score, ...]], ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """All targets, and what was asked of each."""

    router: str
    dataset: str
    asked: str
    targets: tuple[SensitiveTarget, ...]


def sensitivity(evidence: Evidence | None) -> Sensitivity | None:
    """What a run found about effects that twins lack; None where it did not ask."""
    found = measured(evidence, STUDY)
    ran = [figures[0] for figures in found if figures[0].value is not None]
    if not ran:
        return None
    first = ran[0]
    shots, inputs = (int(str(first.labels[name])) for name in ("shots", "inputs"))
    return Sensitivity(
        router=str(first.labels["router"]),
        dataset=str(first.labels["dataset"]),
        asked=f"{first.note}, {counted(inputs, 'input')}, {counted(shots, 'shot')} each",
        targets=tuple(_target(figures) for figures in found),
    )


def sensitivity_table(found: Sensitivity) -> pd.DataFrame:
    """The effects for other programs: one row per target, effect, strength and figure."""
    rows: list[dict[str, Scalar]] = []
    for target in found.targets:
        for row in target.rows:
            for name, covered, change in zip(FIGURES, row.coverage, row.change, strict=True):
                rows.append(
                    {
                        "target": target.target,
                        "effect": row.effect,
                        "strength": row.strength,
                        "figure": name,
                        "coverage": covered.value,
                        "coverage_low": covered.low,
                        "coverage_high": covered.high,
                        "change": change.value,
                        "change_low": change.low,
                        "change_high": change.high,
                    }
                )
    return pd.DataFrame(rows)


def sensitivity_lines(found: Sensitivity) -> Iterator[str]:
    """The same for a terminal: which effects break the predictions of each target."""
    yield (
        f"95 % prediction intervals of the twins, {found.router} on {found.dataset}: {found.asked}"
    )
    for target in found.targets:
        if target.note:
            yield f"  {target.target}: {target.note}"
            continue
        lost = [
            f"{row.effect} {row.strength:g} ({FIGURES[k]} {number(row.coverage[k].value, '.2f')})"
            for row in target.rows
            for k, broken in enumerate(row.broken)
            if broken
        ]
        yield f"  {target.target}: {'; '.join(lost) or 'no effect breaks them'}"


def _target(figures: Sequence[Figure]) -> SensitiveTarget:
    first = figures[0]
    name = str(first.labels["target"])
    if first.value is None:
        return SensitiveTarget(name, (), (), first.note)
    cases = dict.fromkeys(
        (str(f.labels["effect"]), float(str(f.labels["strength"])))
        for f in figures
        if f.name == COVERAGE
    )
    scales = dict.fromkeys(
        int(str(f.labels["scale"])) for f in figures if f.name == FOLDING and "scale" in f.labels
    )
    return SensitiveTarget(
        name,
        tuple(
            EffectRow(
                effect,
                strength,
                tuple(
                    _one(figures, COVERAGE, n, effect=effect, strength=strength) for n in FIGURES
                ),
                tuple(_one(figures, EFFECT, n, effect=effect, strength=strength) for n in FIGURES),
            )
            for effect, strength in cases
        ),
        tuple((s, tuple(_one(figures, FOLDING, n, scale=s) for n in KEPT)) for s in scales),
    )


def _one(figures: Sequence[Figure], name: str, figure: str, **labels: Scalar) -> Score:
    wanted = {"figure": figure, **labels}
    alike = (f for f in figures if f.name == name and wanted.items() <= f.labels.items())
    return score_of(next(alike, None))
