"""Everything that a report shows, gathered once from its runs: what all renderings are made of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

import pandas as pd

from qmoe.compare import comparisons
from qmoe.errors import InputError
from qmoe.evidence import evidence_of, united
from qmoe.provenance import Provenance
from qmoe.record import Record
from qmoe.report.marks import marks
from qmoe.report.parts import Parts
from qmoe.report.pictures import OfExperiment, Pictures, pictures, pictures_of
from qmoe.report.searches import searches
from qmoe.report.sections import Apart, Section, sections
from qmoe.report.words import FEW
from qmoe.results import summary, table
from qmoe.rundir import RoutingMap, Run
from qmoe.stats import Word

Maps = tuple[tuple[str, RoutingMap], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """The routers that one run trained: `qmoe.results.table` of those that no run before it has."""

    run: str
    frame: pd.DataFrame


@dataclass(frozen=True, slots=True, eq=False)
class Content:
    """What a report shows of one run, or of several side by side.

    `sections` hold the trained routers, those of each run apart. `sources` are where any figure
    comes from. `warnings` are the kinds of warning with their number, `maps` every routing map,
    `asked` the ids of the runs that asked for each study, `pictured` the pictures of each table
    of targets by its key, `experiments` those of each experiment by its plan.
    """

    runs: tuple[Run, ...]
    trained: tuple[Trained, ...]
    sections: tuple[Section, ...]
    parts: Parts
    maps: Maps
    sources: tuple[str, ...]
    warnings: tuple[tuple[str, int], ...]
    asked: Mapping[str, tuple[str, ...]]
    pictured: Mapping[str, Pictures]
    experiments: Mapping[str, OfExperiment]

    def runs_of(self, study: str) -> str:
        """The runs that asked for a study, as a caption names them."""
        names = self.asked.get(study, ())
        return f"Run{'s' if len(names) > 1 else ''} {', '.join(names)}"

    @property
    def models(self) -> int:
        """How many trained models it has."""
        return sum(len(each.frame) for each in self.trained)

    @property
    def provenances(self) -> tuple[Provenance, ...]:
        """Where each run comes from."""
        return tuple(run.provenance for run in self.runs)

    @property
    def commands(self) -> tuple[str, ...]:
        """Every command that made something of it, once."""
        trained = (r.provenance.command for run in self.runs for r in run.records)
        return tuple(dict.fromkeys((*(p.command for p in self.provenances), *trained)))

    @property
    def hardware(self) -> bool:
        """Whether any of it was measured on a quantum device."""
        return "device" in self.sources

    @property
    def words(self) -> list[tuple[str, int]]:
        """How often each verdict was given."""
        return tally(
            word for s in self.sections for panel in s.panels for word in panel.words.values()
        )

    @property
    def cards(self) -> bool:
        """Whether the groups are few enough to be summed up one by one at the start."""
        return sum(len(section.panels) for section in self.sections) <= FEW

    def tables(self) -> dict[str, pd.DataFrame]:
        """The tables for other programs, by name; with a column `run` where there are several."""
        found = {}
        if self.trained:
            found["results"] = self._of_each(lambda frame: frame)
            found["summary"] = self._of_each(summary)
            found["comparisons"] = self._of_each(comparisons)
        routing = [each.routing.table for each in self.pictured.values() if each.routing]
        routing += [each.routing.table for each in self.experiments.values() if each.routing]
        if routing:
            found["routing"] = pd.concat(routing, ignore_index=True)
        return found | self.parts.tables()

    def _of_each(self, made: Callable[[pd.DataFrame], pd.DataFrame]) -> pd.DataFrame:
        frames = [made(each.frame) for each in self.trained]
        if len(self.runs) == 1:
            return frames[0]
        named = []
        for each, frame in zip(self.trained, frames, strict=True):
            named.append(frame.copy())
            named[-1].insert(0, "run", each.run)
        return pd.concat(named, ignore_index=True)


def gather(runs: Sequence[Run]) -> Content:
    """The content of a report on these runs, in their order.

    What several runs measured alike is shown once. Trained routers of different runs stand apart:
    they may differ in data, budget or code.

    Raises:
        InputError: a run is damaged, or none holds anything to show.
        QmoeError: two runs found different figures for the same measurement.
    """
    stored = [(run, each) for run in runs if (each := evidence_of(run)) is not None]
    parts = Parts.of(united([each for _, each in stored]) if stored else None)
    asked: dict[str, tuple[str, ...]] = {}
    for run, each in stored:
        asked |= {study: (*asked.get(study, ()), run.id) for study in each.studies}
    trained: list[Trained] = []
    made: list[Section] = []
    seen: set[str] = set()
    maps: list[tuple[str, RoutingMap]] = []
    for number, run in enumerate(runs):
        own = tuple(run.maps())
        maps += own
        records = [record for record in run.records if _told(record) not in seen]
        if not records:
            continue
        seen.update(map(_told, records))
        frame = table(records)
        styles = marks(zip(frame["router"], frame["family"], strict=True))
        plain = [each for each in own if not each[1].target]
        apart = Apart(run.id, f"r{number + 1}-") if len(runs) > 1 else Apart(run.id)
        made += sections(frame, records, plain, styles, searches(evidence_of(run)), apart)
        trained.append(Trained(run.id, frame))
    if not trained and not parts.any:
        raise InputError(
            got=f"run {', '.join(run.id for run in runs)} without records",
            expected="at least one trained router, or an experiment on a device",
            do="run a suite that trains",
        )
    sources = [source for each in trained for source in each.frame["source"]]
    return Content(
        runs=tuple(runs),
        trained=tuple(trained),
        sections=tuple(made),
        parts=parts,
        maps=tuple(maps),
        sources=tuple(dict.fromkeys([*sources, *parts.sources])),
        warnings=tuple(_warnings([r for run in runs for r in run.records])),
        asked=asked,
        pictured={each.key: pictures(each, maps) for each in parts.targets},
        experiments={each.plan: pictures_of(each, maps) for each in parts.hardware},
    )


def tally(words: Iterable[str]) -> list[tuple[str, int]]:
    """How often each verdict was given, in the order of `qmoe.stats.Word`."""
    counts = Counter(words)
    return [(word, counts[word]) for word in get_args(Word) if counts[word]]


def _told(record: Record) -> str:
    """What a record says, whoever made it."""
    return record.model_dump_json(exclude={"provenance"})


def _warnings(records: Sequence[Record]) -> list[tuple[str, int]]:
    """Each kind of warning by its first words, with its first text and how many records have it."""
    every = [text for record in records for text in record.warnings]
    times = Counter(text.partition(":")[0] for text in every)
    first = {text.partition(":")[0]: text for text in reversed(every)}
    return [(first[kind], count) for kind, count in times.most_common()]
