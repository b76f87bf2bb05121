"""The page: a run's records and routing maps as one HTML file, with its tables as CSV."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import get_args

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from qmoe.errors import InputError
from qmoe.evidence import Evidence, evidence_of
from qmoe.record import Record
from qmoe.report.marks import marks
from qmoe.report.parts import Parts
from qmoe.report.searches import Searches, searches
from qmoe.report.sections import MOST_DRAWN, sections
from qmoe.report.sensitivity import FIGURES
from qmoe.report.tables import WIDTH
from qmoe.report.words import (
    FEW,
    counted,
    interval,
    number,
    percent,
    source_label,
    typeset,
    written,
)
from qmoe.results import comparisons, summary, table
from qmoe.rundir import Run
from qmoe.stats import MARGIN, Word
from qmoe.trial import FEWEST_TRIALS

PAGE = "index.html"


def write_report(run: Run, out: Path) -> Path:
    """Writes the report of a run into a folder, made if need be, and returns the page's path.

    The folder gets `index.html`, which loads nothing and runs no script; `results.csv`, one row
    per router and seed (`qmoe.results.load`); `summary.csv` (`qmoe.results.summary`) and
    `comparisons.csv` (`qmoe.results.comparisons`); and a table of each part of
    `qmoe.report.parts` that the run has: `eta.csv`, `targets.csv`, `devices.csv`,
    `sensitivity.csv`, `noise.csv`. A run of an experiment on a device has a page of its own and
    `hardware.csv`. Equal runs give equal files. Earlier ones are replaced, each at
    once, and only after everything has been rendered.

    Raises:
        InputError: the run holds no records, is damaged, or the folder cannot be written.
    """
    evidence = evidence_of(run)
    parts = Parts.of(evidence)
    texts = _of_routers(run, evidence, parts) if run.records else _of_hardware(run, parts)
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            partial = out / f".{name}.{os.getpid()}.partial"
            try:
                partial.write_text(text, encoding="utf-8", newline="\n")
                partial.replace(out / name)
            finally:
                partial.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(
            got=f"report folder {out} ({error.strerror or error})",
            expected="a folder that can be written",
            do="name another one",
        ) from error
    return out / PAGE


def _of_hardware(run: Run, parts: Parts) -> dict[str, str]:
    """The files of a run that measured on devices and trained nothing."""
    if not parts.hardware:
        raise InputError(
            got=f"run {run.id} without records",
            expected="at least one trained router, or an experiment on a device",
            do="run a suite that trains",
        )
    page = _environment().get_template("hardware.html.j2")
    text = page.render(run=run, provenance=run.provenance, experiments=parts.hardware)
    return {PAGE: text} | {f"{name}.csv": _csv(found) for name, found in parts.tables().items()}


def _of_routers(run: Run, evidence: Evidence | None, parts: Parts) -> dict[str, str]:
    """The files of a run that trained routers."""
    frame = table(run.records)
    return {
        "results.csv": _csv(frame),
        "summary.csv": _csv(summary(frame)),
        "comparisons.csv": _csv(comparisons(frame)),
        PAGE: render(run, frame, searches(evidence), parts),
        **{f"{name}.csv": _csv(found) for name, found in parts.tables().items()},
    }


def render(run: Run, frame: pd.DataFrame, searched: Searches, parts: Parts) -> str:
    """The page as text; `frame` is `qmoe.results.load(run)`."""
    styles = marks(zip(frame["router"], frame["family"], strict=True))
    made = sections(frame, run.records, tuple(run.maps()), styles, searched)
    ran = parts.targets
    more = [row.source for row in ran.rows if row.source] if ran else []
    if parts.noise or parts.devices or parts.sensitivity:
        more.append("synthetic")
    sources = _unique([*frame["source"], *more])
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            run=run,
            provenance=run.provenance,
            commands=_unique(
                [run.provenance.command, *(r.provenance.command for r in run.records)]
            ),
            sections=made,
            words=tally(w for s in made for panel in s.panels for w in panel.words.values()),
            cards=sum(len(section.panels) for section in made) <= FEW,
            margin=MARGIN,
            fewest=FEWEST_TRIALS,
            most_drawn=MOST_DRAWN,
            sources=[source_label(source) for source in sources],
            hardware="device" in sources,
            targets=ran,
            devices=parts.devices,
            sensitivity=parts.sensitivity,
            sensitivity_figures=FIGURES,
            noise=parts.noise,
            warnings=_warnings(run.records),
            etas=parts.etas is not None,
            total=len(frame),
            plot_width=WIDTH,
        )
    )


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("qmoe.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = number
    environment.filters["interval"] = interval
    environment.filters["written"] = written
    environment.filters["percent"] = percent
    environment.filters["typeset"] = typeset
    environment.filters["counted"] = counted
    environment.filters["source"] = source_label
    environment.filters["tally"] = tally
    environment.globals["style"] = Markup(_style_sheet(environment))
    return environment


def _style_sheet(environment: Environment) -> str:
    return environment.get_template("page.css").render()


def _csv(frame: pd.DataFrame) -> str:
    # Floats as Python's repr: the shortest text that reads back to the same number.
    return str(frame.to_csv(index=False, lineterminator="\n"))


def _unique(values: Sequence[str] | pd.Series[str]) -> list[str]:
    return list(dict.fromkeys(values))


def tally(words: Iterable[str]) -> list[tuple[str, int]]:
    """How often each verdict was given, in the order of `qmoe.stats.Word`."""
    counts = Counter(words)
    return [(word, counts[word]) for word in get_args(Word) if counts[word]]


def _warnings(records: Sequence[Record]) -> list[tuple[str, int]]:
    """Each kind of warning by its first words, with its first text and how many records have it."""
    every = [text for record in records for text in record.warnings]
    times = Counter(text.partition(":")[0] for text in every)
    first = {text.partition(":")[0]: text for text in reversed(every)}
    return [(first[kind], count) for kind, count in times.most_common()]
