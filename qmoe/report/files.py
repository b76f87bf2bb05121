"""The files of a report: the page, and its tables as CSV and Parquet."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pandas as pd

from qmoe.errors import InputError
from qmoe.report.content import Content, gather
from qmoe.report.glance import glance
from qmoe.report.maps import decision_and_gates
from qmoe.report.markdown import markdown
from qmoe.report.page import render
from qmoe.report.paper import write_paper
from qmoe.report.shown import tables_of
from qmoe.rundir import Run

PAGE, TEXT = "index.html", "report.md"


def write_report(
    runs: Run | Sequence[Run], out: Path, *, all_maps: bool = False, paper: Path | None = None
) -> Path:
    """Writes the report of a run, or of several, into a folder; returns the page's path.

    The folder, made if need be, gets `index.html`, which loads nothing; `report.md`, the same as
    text; and every table of
    `Content.tables` as CSV and as Parquet: `results`, one row per router and seed
    (`qmoe.results.load`), `summary` and `comparisons` (`qmoe.results`), and one of each part of
    `qmoe.report.parts` that there is. Equal runs give equal files. Earlier ones are replaced, each
    at once, and only after everything has been rendered. With `all_maps` it also gets every
    routing map of the runs as an SVG file, in a folder `maps`; `paper` is a folder for what
    `qmoe.report.paper` writes.

    Raises:
        InputError: the runs hold nothing to show, are damaged, or the folder cannot be written.
        QmoeError: two runs found different figures for the same measurement.
    """
    content = gather([runs] if isinstance(runs, Run) else runs)
    files = files_of(content)
    if all_maps:
        files |= dict(_maps(content))
    write_files(files, out)
    if paper is not None:
        write_paper(content, paper)
    return out / PAGE


def files_of(content: Content) -> dict[str, bytes]:
    """Every file of a report by its name."""
    found = {PAGE: render(content).encode(), TEXT: _text(content).encode()}
    for name, frame in content.tables().items():
        found[f"{name}.csv"] = csv(frame)
        found[f"{name}.parquet"] = _parquet(frame)
    return found


def _text(content: Content) -> str:
    """The page's questions and tables as Markdown."""
    runs = ", ".join(run.id for run in content.runs)
    lines = [f"{answer.question} {answer.text}" for answer in glance(content)]
    lines += [f"Made by: {command}" for command in content.commands]
    return markdown(
        f"Routers for a Mixture of Experts, compared: {runs}", lines, tables_of(content)
    )


def _maps(content: Content) -> Iterator[tuple[str, bytes]]:
    """Every routing map by the name of its file."""
    for number, (router, each) in enumerate(content.maps):
        where = f"{router} on {each.target}" if each.target else router
        told = f"{where}, {each.dataset}, {each.protocol}, seed {each.seed}"
        name = re.sub(r"[^A-Za-z0-9]+", "-", told).strip("-")[:100]
        drawing = decision_and_gates(f"{told} ({each.source or 'exact'})", each, f"map-{number}")
        yield f"maps/{number:03}-{name}.svg", drawing.svg()


def write_files(files: Mapping[str, bytes], out: Path) -> None:
    """Writes files into a folder, made if need be; each appears whole or not at all.

    Raises:
        InputError: The folder cannot be written.
    """
    try:
        for name, data in files.items():
            path = out / name
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
            try:
                partial.write_bytes(data)
                partial.replace(path)
            finally:
                partial.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(
            got=f"report folder {out} ({error.strerror or error})",
            expected="a folder that can be written",
            do="name another one",
        ) from error


def csv(frame: pd.DataFrame) -> bytes:
    """A table as CSV; floats as Python's repr, the shortest text that reads back as the same."""
    return str(frame.to_csv(index=False, lineterminator="\n")).encode()


def _parquet(frame: pd.DataFrame) -> bytes:
    buffer = io.BytesIO()
    typed = frame.copy()
    for name, column in frame.items():
        # of several kinds (settings that are numbers here and words there): it has no type
        if column.dtype == object and column.dropna().map(type).nunique() > 1:
            typed[name] = column.map(str, na_action="ignore")
    typed.to_parquet(buffer, index=False)
    return buffer.getvalue()
