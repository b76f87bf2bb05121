"""Noise on the page: what routers keep as the noise grows, and where their advantage ends."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import MaxNLocator

from qmoe.cell import CellResult
from qmoe.channels import as_lambda
from qmoe.claims.claim import NotStoredError
from qmoe.claims.noisy import CONTROL, REGISTERED, broken
from qmoe.evidence import Evidence
from qmoe.figure import Figure
from qmoe.metrics import ACCURACY_RANGE, Score, mean_score
from qmoe.noise import PLACEMENTS
from qmoe.record import Scalar
from qmoe.report.scale import NICE
from qmoe.report.stored import score_of
from qmoe.report.svg import COLOUR, Drawing

STUDY = "noise"
METRICS: Final[Mapping[str, str]] = {
    "accuracy under noise": "Accuracy",
    "routing retention under noise": "Retention R",
    "regret under noise": "Regret",
}
LABELS: Final = (
    *("dataset", "router", "layers", "placement", "convention", "trained", "shots", "circuit"),
    "experts",
)
TRAINED: Final = ("clean", "noise-aware", "temperature")
"""The order of lines, as `PLACEMENTS` is that of pictures, whatever came first in a run."""
DRAWN_CONTROLS: Final = (CONTROL, "constant")
_COLOURS: Final = ("c1", "accent", "c2", "c3", "c4", "c5", "c6", "c7")


class Curve(NamedTuple):
    """The figures of one metric and one way to train and score, by rising strength."""

    labels: Mapping[str, Scalar]
    points: Mapping[float, Figure]


@dataclass(frozen=True, slots=True)
class Multiple:
    """One small picture of a row of like ones."""

    title: str
    figure: Drawing


@dataclass(frozen=True, slots=True)
class BreakdownRow:
    """A breakdown point against the linear router; `said` is its outcome with numbers."""

    dataset: str
    router: str
    placement: str
    trained: str
    shots: int
    other: str
    seeds: int
    said: str
    at: Score
    registered: bool


@dataclass(frozen=True, slots=True)
class ConventionRow:
    """One strength in the other convention: as it was run, and as the sweep says.

    strength: the share lambda. between: the accuracies of the sweep at the two Pauli
    probabilities that a gate of one and of two qubits makes of it; equal elsewhere.
    """

    router: str
    placement: str
    strength: float
    measured: Score
    between: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Noise:
    """What the page shows of study `noise`: rows of pictures by title, and the tables."""

    rows: tuple[tuple[str, tuple[Multiple, ...]], ...]
    breakdowns: tuple[BreakdownRow, ...]
    conventions: tuple[ConventionRow, ...]
    curves: Mapping[str, tuple[Curve, ...]]


def noise_of(evidence: Evidence | None) -> Noise | None:
    """The noise study of a run; None where it did not run or found nothing."""
    if evidence is None or STUDY not in evidence.studies:
        return None
    asked = evidence.asked_by(STUDY)
    figures = [f for part in evidence.figures if part.key in asked for f in part.figures]
    found = {name: _curves(name, figures) for name in METRICS}
    if not found["accuracy under noise"]:
        return None
    controls = {
        (r.dataset, r.router): r
        for r in evidence.results
        if r.key in asked and r.router in DRAWN_CONTROLS and r.protocol == "controlled"
    }
    return Noise(
        rows=(*_by_placement(found, controls), *_by_training(found, controls)),
        breakdowns=_breakdowns(found["accuracy under noise"], controls),
        conventions=tuple(_conventions(found["accuracy under noise"])),
        curves=found,
    )


def noise_table(found: Noise) -> pd.DataFrame:
    """One row per figure and strength, then one per breakdown point, for other programs."""
    rows: list[dict[str, Any]] = []
    for name, curves in found.curves.items():
        for curve in curves:
            for strength, figure in curve.points.items():
                seeds = sum(value is not None for value in figure.per_seed)
                ends = {"value": figure.value, "low": figure.low, "high": figure.high}
                about = {key: curve.labels.get(key) for key in LABELS}
                rows.append(
                    {"figure": name, **about, "strength": strength, **ends, "seeds": seeds}
                    | {"note": figure.note}
                )
    for row in found.breakdowns:
        about = {key: getattr(row, key) for key in ("dataset", "router", "placement", "trained")}
        ends = {"value": row.at.value, "low": row.at.low, "high": row.at.high}
        told = {"shots": row.shots, **ends, "seeds": row.seeds, "note": _noted(row)}
        rows.append({"figure": f"breakdown point against {CONTROL}", **about, **told})
    return pd.DataFrame(rows).astype({"layers": "Int64", "shots": "Int64"})


def _noted(row: BreakdownRow) -> str:
    return f"{row.said} ({row.other})" if row.other else row.said


def _curves(name: str, figures: Sequence[Figure]) -> tuple[Curve, ...]:
    found: dict[tuple[Scalar, ...], dict[float, Figure]] = {}
    for figure in figures:
        strength = figure.labels.get("strength")
        if figure.name == name and isinstance(strength, int | float):
            key = tuple(figure.labels.get(label, "") for label in LABELS)
            found.setdefault(key, {})[float(strength)] = figure
    curves = [
        Curve(dict(zip(LABELS, key, strict=True)), dict(sorted(points.items())))
        for key, points in found.items()
    ]
    return tuple(sorted(curves, key=_place))


def _place(curve: Curve) -> tuple[Any, ...]:
    """Where a curve stands: equal names have equal places, whatever finished first."""
    labels = curve.labels
    known = (
        (order.index(labels[key]) if labels[key] in order else len(order))
        for key, order in (("placement", PLACEMENTS), ("trained", TRAINED))
    )
    layers = labels["layers"] if isinstance(labels["layers"], int) else 0
    return (str(labels["dataset"]), layers, str(labels["router"]), *known, labels["shots"])


def _fits(curve: Curve, labels: Mapping[str, Scalar]) -> bool:
    return labels.items() <= curve.labels.items()


Controls = Mapping[tuple[str, str], CellResult]
Found = Mapping[str, tuple[Curve, ...]]


def _by_placement(found: Found, controls: Controls) -> list[tuple[str, tuple[Multiple, ...]]]:
    """A row per data set and metric: a picture per placement, a line per number of layers."""
    rows: list[tuple[str, tuple[Multiple, ...]]] = []
    routers = _values(found, "router")
    for dataset in _values(found, "dataset"):
        for name, title in METRICS.items():
            pictures: list[Multiple] = []
            for placement in _values(found, "placement"):
                wanted = {**REGISTERED, "dataset": dataset, "placement": placement}
                lines = {str(c.labels["router"]): c for c in found[name] if _fits(c, wanted)}
                if lines:
                    key = f"noise-{len(rows)}-{len(pictures)}"
                    pictures.append(
                        Multiple(
                            f"placement {placement}",
                            _picture(title, str(dataset), lines, controls, key, routers),
                        )
                    )
            if pictures:
                told = f"{title} on {dataset}, trained without noise, exact probabilities"
                rows.append((told, tuple(pictures)))
    return rows


def _by_training(found: Found, controls: Controls) -> list[tuple[str, tuple[Multiple, ...]]]:
    """A row per data set: accuracy by training, a picture per number of shots."""
    rows: list[tuple[str, tuple[Multiple, ...]]] = []
    for dataset in _values(found, "dataset"):
        pictures: list[Multiple] = []
        for shots in sorted(_values(found, "shots"), key=lambda value: (value == 0, value)):
            wanted = {
                **{k: v for k, v in REGISTERED.items() if k != "trained"},
                **{"dataset": dataset, "router": "quantum L=2", "shots": shots},
            }
            curves = [c for c in found["accuracy under noise"] if _fits(c, wanted)]
            lines = {str(c.labels["trained"]): c for c in curves}
            if lines:
                key = f"trained-{len(rows)}-{len(pictures)}"
                title = f"{shots:,} shots" if shots else "exact probabilities"
                figure = _picture("Accuracy", str(dataset), lines, controls, key, TRAINED)
                pictures.append(Multiple(title, figure))
        if pictures:
            told = f"Accuracy of quantum L=2 on {dataset} by training, noise after each gate"
            rows.append((told, tuple(pictures)))
    return rows


def _values(found: Found, label: str) -> list[Any]:
    """The values of a label in the order of the curves."""
    return list(dict.fromkeys(c.labels[label] for c in found["accuracy under noise"]))


def _picture(
    title: str,
    dataset: str,
    lines: Mapping[str, Curve],
    controls: Controls,
    key: str,
    names: Sequence[str],
) -> Drawing:
    """Means with 95 % bands against the strength; controls have no noise and are level lines.

    names: of all lines of its kind, so that a name has one colour in every picture.
    """
    level = {
        name: mean_score(controls[dataset, name].accuracy, limits=ACCURACY_RANGE)
        for name in DRAWN_CONTROLS
        if title == "Accuracy" and (dataset, name) in controls
    }

    def draw(figure: Canvas) -> None:
        axes = figure.add_axes((0.18, 0.19, 0.8, 0.77))
        for name, curve in lines.items():
            place = names.index(name) if name in names else len(names)
            _draw(axes, name, curve, COLOUR[_COLOURS[place % len(_COLOURS)]])
        for (name, score), dashes in zip(level.items(), ((3, 2), (1, 2)), strict=False):
            colour, style = COLOUR["ink-2"], (0, dashes)
            axes.axhline(score.value, label=name, color=colour, linewidth=0.9, linestyle=style)
        axes.set_xlabel("noise strength", labelpad=2)
        axes.set_ylabel(title)
        axes.xaxis.set_major_locator(MaxNLocator(4, steps=NICE))
        axes.yaxis.set_major_locator(MaxNLocator(5, steps=NICE))
        axes.legend(frameon=False, fontsize=7, handlelength=1.4, labelspacing=0.25)

    told = "; ".join(
        f"{name} {_ends(curve)}" for name, curve in lines.items() if _known(curve.points)
    )
    flat = "".join(f"; {name} {score.value:.3f} without noise" for name, score in level.items())
    return Drawing(
        draw, (3.4, 2.4), key, f"{title} against noise strength on {dataset}: {told}{flat}."
    )


def _draw(axes: Axes, name: str, curve: Curve, colour: str) -> None:
    points = _known(curve.points)
    at = np.array([strength for strength, _ in points])
    mean, low, high = (
        np.array([getattr(f, end) for _, f in points], dtype=np.float64)
        for end in ("value", "low", "high")
    )
    if np.isfinite(low).all() and len(at):
        axes.fill_between(at, low, high, color=colour, alpha=0.25, linewidth=0)
    axes.plot(at, mean, color=colour, linewidth=1.4, label=name)


def _known(points: Mapping[float, Figure]) -> list[tuple[float, Figure]]:
    return [(strength, f) for strength, f in points.items() if f.value is not None]


def _ends(curve: Curve) -> str:
    (first, a), *_, (last, b) = [*_known(curve.points), *_known(curve.points)]
    return f"from {a.value:.3f} at {first:g} to {b.value:.3f} at {last:g}"


def _breakdowns(curves: Sequence[Curve], controls: Controls) -> tuple[BreakdownRow, ...]:
    rows = []
    for curve in curves:
        labels = curve.labels
        control = controls.get((str(labels["dataset"]), CONTROL))
        values = {
            strength: np.array([v for v in f.per_seed if v is not None], dtype=np.float64)
            for strength, f in curve.points.items()
        }
        if control is None or len({len(each) for each in values.values()}) != 1:
            continue
        try:
            found = broken(values, control.accuracy)
        except NotStoredError:
            continue
        changed = [
            f"{key} {labels[key]}"
            for key in ("convention", "circuit", "experts")
            if labels[key] != REGISTERED[key]
        ]
        plain = all(labels[key] == value for key, value in REGISTERED.items())
        shots = labels["shots"]
        rows.append(
            BreakdownRow(
                dataset=str(labels["dataset"]),
                router=str(labels["router"]),
                placement=str(labels["placement"]),
                trained=str(labels["trained"]),
                shots=shots if isinstance(shots, int) else 0,
                other=", ".join(changed),
                seeds=len(control.seeds),
                said=found.text,
                at=_finite(found.at),
                registered=plain and labels["router"] == "quantum L=2",
            )
        )
    return tuple(sorted(rows, key=lambda row: not row.registered))


def _conventions(curves: Sequence[Curve]) -> Iterator[ConventionRow]:
    """Every curve in lambda beside the sweep, relabelled and interpolated."""
    sweeps = {_alike(c): c for c in curves if c.labels["convention"] == "pauli"}
    for curve in curves:
        sweep = sweeps.get(_alike(curve))
        if curve.labels["convention"] != "lambda" or sweep is None:
            continue
        placement = str(curve.labels["placement"])
        at, values = zip(*((s, f.value) for s, f in _known(sweep.points)), strict=True)
        for strength, figure in _known(curve.points):
            # lambda is proportional to the probability, by a factor for each size of gate
            pauli = [strength / factor for factor in as_lambda(1.0, placement)]
            ends = sorted(float(np.interp(q, at, values)) for q in pauli)
            if strength and max(pauli) <= at[-1]:
                yield ConventionRow(
                    str(curve.labels["router"]),
                    placement,
                    strength,
                    score_of(figure),
                    (ends[0], ends[1]),
                )


def _alike(curve: Curve) -> tuple[Scalar, ...]:
    return tuple(value for key, value in curve.labels.items() if key != "convention")


def _finite(at: Score) -> Score:
    """Without ends that lie beyond what was measured."""
    return Score(*(v if math.isfinite(v) else math.nan for v in (at.value, at.low, at.high)))
