"""Sections of the page: one per protocol, with a panel per data set; like stands with like."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from markupsafe import Markup

from qmoe.record import Record
from qmoe.report.curves import bands, learning_curves
from qmoe.report.maps import decision_and_gates
from qmoe.report.marks import Mark
from qmoe.report.plots import accuracy_against_parameters, expert_load
from qmoe.report.tables import Axis, DifferenceRow, RouterRow, difference_rows, router_rows
from qmoe.report.words import ON, Headline, headline, number, source_label
from qmoe.results import LIKE, SPLITS, comparisons, summary
from qmoe.rundir import RoutingMap

_REASONS = {
    "controlled": (
        "Choices and scaling see the training and validation parts only; accuracy is measured "
        "once, on test rows that no training saw."
    ),
    "notebook": (
        "The published protocol (arXiv 2512.22296) as it is: inputs are scaled on all data and "
        "accuracy is measured on the rows trained on. That is fit, not generalisation, so these "
        "figures stand apart and are never ranked with held-out ones."
    ),
}
_ORDER = tuple(_REASONS)

Maps = Sequence[tuple[str, RoutingMap]]


@dataclass(frozen=True, slots=True)
class Card:
    """A picture that belongs to one router."""

    router: str
    mark: Mark
    figure: Markup
    note: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """Everything shown of one data set under one protocol, population and source."""

    key: str
    dataset: str
    population: str
    source: str
    on: str
    seeds: str
    split: str
    floor: str
    headline: Headline | None
    routers: tuple[RouterRow, ...]
    accuracy_axis: Axis | None
    differences: tuple[DifferenceRow, ...]
    difference_axis: Axis | None
    parameters: Markup
    load: Markup | None
    curves: tuple[Card, ...]
    maps: tuple[Card, ...]
    reference: str | None
    settings: tuple[tuple[str, str], ...]
    digests: str


@dataclass(frozen=True, slots=True)
class Section:
    """The panels of one protocol of one study, and why they stand apart from the others."""

    key: str
    study: str
    protocol: str
    reason: str
    panels: tuple[Panel, ...]


def sections(
    df: pd.DataFrame, records: Sequence[Record], maps: Maps, marks: Mapping[str, Mark]
) -> tuple[Section, ...]:
    """The sections of a run: `controlled` first, then `notebook`, then others as they come."""
    places = list(dict.fromkeys(zip(df["study"], df["protocol"], strict=True)))
    places.sort(key=lambda p: _ORDER.index(p[1]) if p[1] in _ORDER else len(_ORDER))
    made = []
    for number_, (study, protocol) in enumerate(places, start=1):
        part = df[(df["study"] == study) & (df["protocol"] == protocol)]
        panels = [
            _panel(f"s{number_}-{i}", group, records, maps, dict(marks))
            for i, (_, group) in enumerate(part.groupby([*LIKE, "accuracy_on"], sort=False), 1)
        ]
        reason = _REASONS.get(protocol, "A protocol of its own, not ranked with any other.")
        made.append(Section(f"s{number_}", study, protocol, reason, tuple(panels)))
    return tuple(made)


def _panel(
    key: str, group: pd.DataFrame, records: Sequence[Record], maps: Maps, marks: dict[str, Mark]
) -> Panel:
    rows, first = summary(group), group.iloc[0]
    routers, accuracy_axis = router_rows(rows, marks)
    differences, difference_axis = difference_rows(comparisons(group))
    head = headline(rows, group)
    reference = head.quantum if head else None
    names = [row.router for row in routers]
    groups = {name: group[group["router"] == name] for name in names}
    on = ON[first["accuracy_on"]]
    return Panel(
        key=key,
        dataset=first["dataset"],
        population=first["population"],
        source=source_label(first["source"]),
        on=on,
        seeds=_range(rows["seeds"], "seed"),
        split=_split(first),
        floor=_floor(rows, first),
        headline=head,
        routers=routers,
        accuracy_axis=accuracy_axis,
        differences=differences,
        difference_axis=difference_axis,
        parameters=accuracy_against_parameters(rows, marks, f"{key}-parameters", on),
        load=expert_load(groups, marks, f"{key}-load"),
        curves=_curve_cards(key, names, reference, marks, _matching(records, first)),
        maps=_map_cards(key, names, marks, maps, group),
        reference=reference,
        settings=_settings(group),
        digests=_digests(group["dataset_digest"]),
    )


def _curve_cards(
    key: str,
    names: Sequence[str],
    reference: str | None,
    marks: dict[str, Mark],
    records: Sequence[Record],
) -> tuple[Card, ...]:
    found = {name: bands([r for r in records if r.router == name]) for name in names}
    cards = []
    for i, name in enumerate(names):
        figure = learning_curves(name, found, reference, marks, f"{key}-curve-{i}")
        if figure is not None:
            cards.append(Card(name, marks[name], figure))
    return tuple(cards)


def _map_cards(
    key: str, names: Sequence[str], marks: dict[str, Mark], maps: Maps, group: pd.DataFrame
) -> tuple[Card, ...]:
    place = (group.iloc[0]["protocol"], group.iloc[0]["dataset"])
    by_seed = group.set_index(["router", "seed"])["accuracy"]
    cards = []
    for i, (name, routing) in enumerate(maps):
        if name not in names or (routing.protocol, routing.dataset) != place:
            continue
        accuracy = float(by_seed.get((name, routing.seed), math.nan))
        note = f"seed {routing.seed}, accuracy {number(accuracy)}"
        figure = decision_and_gates(name, routing, f"{key}-map-{i}")
        cards.append(Card(name, marks[name], figure, note))
    return tuple(sorted(cards, key=lambda card: names.index(card.router)))


def _matching(records: Sequence[Record], first: pd.Series[Any]) -> list[Record]:
    return [r for r in records if all(getattr(r, name) == first[name] for name in LIKE)]


def _range(counts: pd.Series[int], noun: str) -> str:
    low, high = int(counts.min()), int(counts.max())
    plural = "" if high == 1 else "s"
    return f"{high} {noun}{plural}" if low == high else f"{low} to {high} {noun}s"


def _split(first: pd.Series[Any]) -> str:
    sizes = {part: int(first[f"rows_{part}"]) for part in SPLITS}
    return ", ".join(f"{size:,} {part}" for part, size in sizes.items() if size)


def _floor(rows: pd.DataFrame, first: pd.Series[Any]) -> str:
    """What the size of the test part alone adds to one seed's accuracy."""
    count, best = float(first["rows_test"]), float(rows["accuracy"].max())
    if first["accuracy_on"] != "test" or not count or not math.isfinite(best):
        return ""
    error = math.sqrt(best * (1 - best) / count)
    return (
        f"The size of the test part alone gives one seed at accuracy {number(best)} a binomial "
        f"standard error of {number(error, '.4f')}."
    )


def _settings(group: pd.DataFrame) -> tuple[tuple[str, str], ...]:
    """Settings of a data set: one value where all routers agree, else each router's own."""
    shown = []
    for column in [c for c in group.columns if c.startswith("setting_")]:
        by_router = {
            str(name): ", ".join(dict.fromkeys(_scalar(v) for v in part[column].dropna()))
            for name, part in group.groupby("router", sort=False)
        }
        by_router = {name: text for name, text in by_router.items() if text}
        if not by_router:
            continue
        values = set(by_router.values())
        same = len(values) == 1 and len(by_router) == group["router"].nunique()
        text = values.pop() if same else "; ".join(f"{n}: {t}" for n, t in by_router.items())
        shown.append((column.removeprefix("setting_").replace("_", " "), text))
    return tuple(shown)


def _scalar(value: object) -> str:
    # A column that some records leave out holds its whole numbers as floats.
    return f"{value:g}" if isinstance(value, float) else str(value)


def _digests(digests: pd.Series[str]) -> str:
    unique = list(dict.fromkeys(digests))
    if len(unique) == 1:
        return str(unique[0])
    return f"{len(unique)} digests, one for each drawing of the data, in results.csv"
