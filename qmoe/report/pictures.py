"""The pictures of each table of targets: accuracies, distances, fidelities, routing, maps."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from qmoe.report.confusion import Confusions, confusions
from qmoe.report.drift_plot import Drift, drift
from qmoe.report.hardware import Hardware
from qmoe.report.maps import decision_and_gates
from qmoe.report.survival_plot import accuracy_by_target, distance_by_target, fidelity_by_target
from qmoe.report.svg import Drawing
from qmoe.report.targets import Targets
from qmoe.report.words import source_label
from qmoe.routing_map import RoutingMap

TWIN = "from the target’s twin"


class TargetMap(NamedTuple):
    """What a router decides on one target, and what computed it."""

    title: str
    note: str
    figure: Drawing


@dataclass(frozen=True, slots=True, eq=False)
class Pictures:
    """The pictures of one table; None and empty where its figures do not have them."""

    accuracy: Drawing | None
    distance: Drawing | None
    fidelity: Drawing | None
    routing: Confusions | None
    maps: tuple[TargetMap, ...]

    @property
    def drawings(self) -> tuple[Drawing, ...]:
        """Every picture, in the order of the page."""
        plain = [each for each in (self.accuracy, self.distance, self.fidelity) if each]
        routing = self.routing.cards if self.routing else ()
        return (*plain, *(card.drawing for card in routing), *(card.figure for card in self.maps))


def pictures(found: Targets, maps: Sequence[tuple[str, RoutingMap]]) -> Pictures:
    """The pictures of a table; `maps` are those of the runs, with the names of their routers."""
    asked = [figure for row in found.rows for figure in row.figures]
    own = [
        each
        for name, each in maps
        if (name, each.dataset, each.seed) == (found.router, found.dataset, found.seed)
        and (not each.target or each.target in {row.target for row in found.rows if row.ran})
    ]
    return Pictures(
        accuracy=accuracy_by_target(found),
        distance=distance_by_target(found),
        fidelity=fidelity_by_target(found),
        routing=confusions(asked, f"{found.key}-routing"),
        maps=target_maps(found.router, own, found.key) if any(m.target for m in own) else (),
    )


@dataclass(frozen=True, slots=True, eq=False)
class OfExperiment:
    """The pictures of one experiment on a device."""

    drift: Drift
    routing: Confusions | None
    maps: tuple[TargetMap, ...]

    @property
    def drawings(self) -> tuple[Drawing, ...]:
        """Every picture, in the order of the page."""
        repeats = (self.drift.drawing,) if self.drift.drawing else ()
        routing = self.routing.cards if self.routing else ()
        maps = (card.figure for card in self.maps)
        return (*repeats, *self.drift.pictures, *(card.drawing for card in routing), *maps)


def pictures_of(found: Hardware, maps: Sequence[tuple[str, RoutingMap]]) -> OfExperiment:
    """The pictures of an experiment; of its maps, that of the first router of its plan."""
    own = [(name, each) for name, each in maps if each.protocol == f"plan {found.plan}"][:1]
    figures = [figure for row in found.treatments for figure in row.figures]
    key = f"plan-{re.sub('[^A-Za-z0-9]', '-', found.plan)}"
    shown = tuple(card for name, each in own for card in target_maps(name, [each], key))
    return OfExperiment(drift(found, key), confusions(figures, f"{key}-routing"), shown)


def target_maps(router: str, maps: Sequence[RoutingMap], key: str) -> tuple[TargetMap, ...]:
    """The maps of one router: the ideal one first, then one for each target."""
    made = []
    for k, each in enumerate(sorted(maps, key=lambda each: bool(each.target))):
        where = f"{router} on {each.target}" if each.target else f"{router}, exact"
        note = TWIN if each.source == "twin" else source_label(each.source or "exact")
        drawing = decision_and_gates(f"{where} ({note})", each, f"{key}-map-{k}")
        made.append(TargetMap(each.target or "exact, this CPU", note, drawing))
    return tuple(made)
