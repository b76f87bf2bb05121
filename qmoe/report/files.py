"""The files of a report: the page, and its tables as CSV and Parquet."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from qmoe.errors import InputError
from qmoe.report.content import Content, gather
from qmoe.report.page import render
from qmoe.rundir import Run

PAGE = "index.html"


def write_report(runs: Run | Sequence[Run], out: Path) -> Path:
    """Writes the report of a run, or of several, into a folder; returns the page's path.

    The folder, made if need be, gets `index.html`, which loads nothing; and every table of
    `Content.tables` as CSV and as Parquet: `results`, one row per router and seed
    (`qmoe.results.load`), `summary` and `comparisons` (`qmoe.results`), and one of each part of
    `qmoe.report.parts` that there is. Equal runs give equal files. Earlier ones are replaced, each
    at once, and only after everything has been rendered.

    Raises:
        InputError: the runs hold nothing to show, are damaged, or the folder cannot be written.
        QmoeError: two runs found different figures for the same measurement.
    """
    content = gather([runs] if isinstance(runs, Run) else runs)
    write_files(files_of(content), out)
    return out / PAGE


def files_of(content: Content) -> dict[str, bytes]:
    """Every file of a report by its name."""
    found = {PAGE: render(content).encode()}
    for name, frame in content.tables().items():
        found[f"{name}.csv"] = csv(frame)
        found[f"{name}.parquet"] = _parquet(frame)
    return found


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
    # a column of several kinds (settings that are numbers here and words there) has no type
    mixed = [
        c for c in frame if frame[c].dtype == object and frame[c].dropna().map(type).nunique() > 1
    ]
    texts = {column: frame[column].map(lambda v: v if v is None else str(v)) for column in mixed}
    frame.assign(**texts).to_parquet(buffer, index=False)
    return buffer.getvalue()
