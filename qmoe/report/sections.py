"""Sections of the page: one per study and protocol, with a panel per group of like figures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from qmoe.columns import LIKE, SPLITS
from qmoe.compare import BEST_CONTROL, comparisons, overlap
from qmoe.record import Record
from qmoe.report.curves import bands, learning_curves
from qmoe.report.headline import TESTED, Headline, headline
from qmoe.report.maps import decision_and_gates
from qmoe.report.marks import Mark
from qmoe.report.pareto import pareto
from qmoe.report.plots import expert_load
from qmoe.report.searches import Searches, best_of_trials
from qmoe.report.svg import Drawing
from qmoe.report.tables import Axis, DifferenceRow, RouterRow, difference_rows, router_rows
from qmoe.report.words import ON, counted, number, source_label
from qmoe.results import summary
from qmoe.rundir import RoutingMap

MOST_DRAWN = 12
"""Routers of one group beyond which their learning curves and loads are not drawn."""

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
    figure: Drawing
    note: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """Everything shown of one group: one data set, protocol, population, source, experts."""

    key: str
    title: str
    population: str
    source: str
    on: str
    seeds: str
    split: str
    floor: str
    budget: str
    headline: Headline | None
    routers: tuple[RouterRow, ...]
    accuracy_axis: Axis | None
    verdicts: tuple[DifferenceRow, ...]
    verdict_axis: Axis | None
    differences: tuple[DifferenceRow, ...]
    difference_axis: Axis | None
    costs: tuple[Drawing, ...]
    load: Drawing | None
    search: Drawing | None
    curves: tuple[Card, ...]
    maps: tuple[Card, ...]
    reference: str | None
    settings: tuple[tuple[str, str], ...]
    digests: str

    @property
    def words(self) -> dict[str, str]:
        """The verdict on each quantum router."""
        return {row.router: row.verdict for row in self.verdicts or self.differences}

    @property
    def tested(self) -> bool:
        """Whether a verdict here comes from a test."""
        return any(word in TESTED for word in self.words.values())


@dataclass(frozen=True, slots=True)
class Section:
    """The panels of one protocol of one study, and why they stand apart from the others."""

    key: str
    title: str
    run: str
    study: str
    protocol: str
    reason: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Apart:
    """The run that sections are of; `prefix` begins their keys where a page shows several runs."""

    run: str
    prefix: str = ""


def sections(
    df: pd.DataFrame,
    records: Sequence[Record],
    maps: Maps,
    marks: Mapping[str, Mark],
    searches: Searches,
    apart: Apart,
) -> tuple[Section, ...]:
    """The sections of a run: `controlled` first, then `notebook`, then others as they come."""
    places = list(dict.fromkeys(zip(df["study"], df["protocol"], strict=True)))
    places.sort(key=lambda p: _ORDER.index(p[1]) if p[1] in _ORDER else len(_ORDER))
    studies = df["study"].nunique()
    sizes = df["experts"].nunique()
    made = []
    for number_, (study, protocol) in enumerate(places, start=1):
        part = df[(df["study"] == study) & (df["protocol"] == protocol)]
        key = f"{apart.prefix}s{number_}"
        panels = [
            _panel(f"{key}-{i}", group, records, maps, dict(marks), searches, sizes > 1)
            for i, (_, group) in enumerate(part.groupby([*LIKE, "accuracy_on"], sort=False), 1)
        ]
        reason = _REASONS.get(protocol, "A protocol of its own, not ranked with any other.")
        title = f"{protocol} protocol" if studies == 1 else f"{study}, {protocol} protocol"
        title = f"{title[0].upper()}{title[1:]}"
        if apart.prefix:
            title = f"{title}, run {apart.run}"
            reason = f"{reason} Runs stand apart: their data, budgets or code may differ."
        made.append(Section(key, title, apart.run, study, protocol, reason, tuple(panels)))
    return tuple(made)


def _panel(
    key: str,
    group: pd.DataFrame,
    records: Sequence[Record],
    maps: Maps,
    marks: dict[str, Mark],
    searches: Searches,
    sized: bool,
) -> Panel:
    rows, first, compared = summary(group), group.iloc[0], comparisons(group)
    routers, accuracy_axis = router_rows(rows, marks)
    registered = compared["control"] == BEST_CONTROL
    verdicts, verdict_axis = difference_rows(compared[registered])
    differences, difference_axis = difference_rows(compared[~registered])
    head = headline(rows, group, compared)
    reference = head.quantum if head else None
    names = [row.router for row in routers]
    groups = {name: group[group["router"] == name] for name in names}
    on = ON[first["accuracy_on"]]
    found = searches.get(tuple(first[name] for name in LIKE), {})
    return Panel(
        key=key,
        title=_title(first, sized),
        population=first["population"],
        source=source_label(first["source"]),
        on=on,
        seeds=_range(rows["seeds"], "seed"),
        split=_split(first),
        floor=_floor(rows, first),
        budget=_budget(rows["trials"]),
        headline=head,
        routers=routers,
        accuracy_axis=accuracy_axis,
        verdicts=verdicts,
        verdict_axis=verdict_axis,
        differences=differences,
        difference_axis=difference_axis,
        costs=pareto(rows, marks, f"{key}-cost", on),
        load=expert_load(groups, marks, f"{key}-load") if len(names) <= MOST_DRAWN else None,
        search=best_of_trials(
            {name: found[name] for name in names if name in found},
            overlap(group),
            marks,
            f"{key}-search",
        ),
        curves=_curve_cards(key, names, reference, marks, _matching(records, group)),
        maps=_map_cards(key, names, marks, maps, group),
        reference=reference,
        settings=_settings(group),
        digests=_digests(group["dataset_digest"]),
    )


def _title(first: pd.Series[Any], sized: bool) -> str:
    """The data set, and the number of experts where the run has several."""
    experts = counted(int(first["experts"]), "expert") if first["experts"] else "experts unknown"
    return f"{first['dataset']}, {experts}" if sized else str(first["dataset"])


def _curve_cards(
    key: str,
    names: Sequence[str],
    reference: str | None,
    marks: dict[str, Mark],
    records: Sequence[Record],
) -> tuple[Card, ...]:
    if len(names) > MOST_DRAWN:
        return ()
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
    first = group.iloc[0]
    place = (first["protocol"], first["dataset"])
    by_seed = group.set_index(["router", "seed"])["accuracy"]
    cards = []
    for i, (name, routing) in enumerate(maps):
        if name not in names or (routing.protocol, routing.dataset) != place:
            continue
        if first["experts"] not in (0, len(routing.gates)):
            continue
        accuracy = float(by_seed.get((name, routing.seed), math.nan))
        note = f"seed {routing.seed}, accuracy {number(accuracy)}"
        figure = decision_and_gates(name, routing, f"{key}-map-{i}")
        cards.append(Card(name, marks[name], figure, note))
    return tuple(sorted(cards, key=lambda card: names.index(card.router)))


def _matching(records: Sequence[Record], group: pd.DataFrame) -> list[Record]:
    # The table keeps the place of each record as its index.
    return [records[i] for i in group.index]


def _budget(trials: pd.Series[int]) -> str:
    searched = trials[trials > 0]
    if searched.empty:
        return "choices reused from other numbers of experts"
    text = f"{_range(searched, 'trial')} per router and seed"
    return text if len(searched) == len(trials) else f"{text}, some routers reuse a choice"


def _range(counts: pd.Series[int], noun: str) -> str:
    low, high = int(counts.min()), int(counts.max())
    return counted(high, noun) if low == high else f"{low} to {counted(high, noun)}"


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
    """Settings of a group: one value where all agree, each router's own, or those chosen."""
    shown = []
    for column in [c for c in group.columns if c.startswith("setting_")]:
        by_router = {
            str(name): list(dict.fromkeys(part[column].dropna()))
            for name, part in group.groupby("router", sort=False)
        }
        by_router = {name: values for name, values in by_router.items() if values}
        if not by_router:
            continue
        values = list(dict.fromkeys(v for values in by_router.values() for v in values))
        if any(len(own) > 1 for own in by_router.values()):
            text = f"chosen for each router and seed: {_listed(values)}"
        elif len(values) == 1 and len(by_router) == group["router"].nunique():
            text = _scalar(values[0])
        else:
            text = "; ".join(f"{name}: {_scalar(own[0])}" for name, own in by_router.items())
        shown.append((column.removeprefix("setting_").replace("_", " "), text))
    return tuple(shown)


def _listed(values: Sequence[Any]) -> str:
    """A few values one by one, many numbers as their range."""
    numbers = [v for v in values if isinstance(v, int | float)]
    if len(numbers) == len(values) > 4:
        return f"{_scalar(min(numbers))} to {_scalar(max(numbers))}"
    return ", ".join(_scalar(v) for v in values)


def _scalar(value: object) -> str:
    # A column that some records leave out holds its whole numbers as floats.
    return f"{value:g}" if isinstance(value, float) else str(value)


def _digests(digests: pd.Series[str]) -> str:
    unique = list(dict.fromkeys(digests))
    if len(unique) == 1:
        return str(unique[0])
    return f"{len(unique)} digests, one for each drawing of the data, in results.csv"
