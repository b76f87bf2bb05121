"""Readers of the user's own table: a CSV file with a header, or an npz file with X and y.

The file is untrusted: its size is bounded before anything is read, pickled objects are never
loaded, and whatever is wrong with it is one line that names the column and the place.
"""

from __future__ import annotations

import csv
import io
import math
import struct
import zipfile
import zlib
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from qmoe.errors import InputError, unknown
from qmoe.scaling import LARGEST

MAX_BYTES = 256 * 2**20
SUFFIXES = (".csv", ".npz")
# Longer lists of names are not shown whole: an error is one line.
_SHOWN = 12
# What zipfile raises over bytes that are no zip file; it lets some of its readers' errors through.
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    UnicodeDecodeError,
)
_PLAIN = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class Table(NamedTuple):
    """Features (row, feature), labels 0..K-1 (row,), and the labels' original text."""

    X: NDArray[np.float64]
    y: NDArray[np.int64]
    classes: tuple[str, ...]


class _Raw(NamedTuple):
    """What a file holds, before its labels are numbered; `lines` says where each row stands."""

    X: NDArray[np.float64]
    labels: list[str]
    columns: Sequence[str]
    lines: Sequence[int]
    place: str


def read(path: Path, target: str | None = None, *, max_bytes: int = MAX_BYTES) -> Table:
    """The table in a .csv or .npz file; every column but `target` is a feature.

    Args:
        path: the file. CSV is UTF-8, separated by commas, and its first line names the columns.
            An npz file holds the features as "X" (row, feature).
        target: the column with the label (any text); for npz the name of the labels, default "y".
        max_bytes: the largest file, and the largest unpacked npz content, that is read.

    Raises:
        InputError: the file is missing, too large, damaged or not such a table.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise unknown("file type", path.suffix, SUFFIXES)
    try:
        if not path.is_file():
            raise InputError(
                got=f"no file {str(path)!r}", expected="a .csv or .npz file", do="check the path"
            )
        _bounded(path, path.stat().st_size, max_bytes)
        if suffix == ".npz":
            raw = _read_npz(path, "y" if target is None else target, max_bytes)
        elif target is None:
            raise InputError(
                got=f"{path.name} without a target",
                expected="the name of the column with the label",
                do="pass --target COLUMN",
            )
        else:
            raw = _read_csv(path, target)
    except OSError as error:
        raise InputError(
            got=f"{str(path)!r} ({error.strerror or error})",
            expected="a readable file",
            do="check the file and its permissions",
        ) from error
    _check(path, raw)
    y, classes = _encode(raw.labels)
    if len(classes) == 1:
        raise InputError(
            got=f"the single class {_short(classes[0])!r} in {path.name}",
            expected="2 or more classes",
            do="add rows of another class, or name another target",
        )
    return Table(raw.X, y, classes)


def _read_csv(path: Path, target: str) -> _Raw:
    values = array("d")  # 8 bytes a cell, however long the file
    labels: list[str] = []
    lines = array("l")
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = _rows(path, file)
        header = [name.strip() for name in next(rows, (1, []))[1]]
        label = _target_column(path, header, target)
        columns = header[:label] + header[label + 1 :]
        for line, cells in rows:
            if len(cells) != len(header):
                raise InputError(
                    got=f"{len(cells)} cells in {path.name}, line {line}",
                    expected=f"{len(header)}, as in the header",
                    do="complete or remove that line (the file may be cut short)",
                )
            lines.append(line)
            labels.append(cells.pop(label).strip())
            try:
                values.extend(map(float, cells))
            except ValueError as error:
                pairs = zip(columns, cells, strict=True)
                name, cell = next(pair for pair in pairs if not _is_number(pair[1]))
                got = repr(_short(cell)) if cell.strip() else "nothing"
                raise _bad_cell(path, name, f"line {line}", got) from error
    X = np.array(values, dtype=np.float64).reshape(len(labels), len(columns))
    return _Raw(X, labels, columns, lines, "line")


def _rows(path: Path, file: io.TextIOWrapper) -> Iterator[tuple[int, list[str]]]:
    """Each row that is not blank, with the number of the line on which it ends."""
    reader = csv.reader(file, strict=True)
    try:
        for cells in reader:
            if cells:
                yield reader.line_num, cells
    except (csv.Error, UnicodeDecodeError) as error:
        reason = "not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
        raise InputError(
            got=f"an unreadable row in {path.name} after line {reader.line_num} ({reason})",
            expected="UTF-8 text separated by commas",
            do="export it again (the file may be cut short)",
        ) from error


def _target_column(path: Path, header: list[str], target: str) -> int:
    if header and all(map(_is_number, header)):
        raise InputError(
            got=f"numbers in the first line of {path.name}",
            expected="the names of the columns",
            do="add a header line",
        )
    times = Counter(header)
    odd = next((name for name in header if not name or times[name] > 1), None)
    if odd is not None:
        raise InputError(
            got=f"the column name {_short(odd)!r} {times[odd]} times in {path.name}",
            expected="a name of its own for each column",
            do="rename it in the header",
        )
    _known("target column", target, header)
    if len(header) == 1:
        raise InputError(
            got=f"no column beside {target!r} in {path.name}",
            expected="at least one feature",
            do="add columns, separated by commas",
        )
    return header.index(target)


def _read_npz(path: Path, target: str, max_bytes: int) -> _Raw:
    try:
        with zipfile.ZipFile(path) as archive:
            entries = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
            _bounded(path, sum(info.file_size for info in entries.values()), max_bytes)
            for what, key in (("features", "X"), ("target", target)):
                _known(what, key, entries)
            X = _array(path, "X", _unpack(path, archive, entries["X"]))
            y = _array(path, target, _unpack(path, archive, entries[target]))
    except _DAMAGE as error:
        raise _damaged(path) from error
    if X.dtype.kind not in "fiub" or X.ndim != 2 or 0 in X.shape:
        raise InputError(
            got=f"X of shape {X.shape} and type {X.dtype} in {path.name}",
            expected="real numbers of shape (row, feature), at least one of each",
            do="save X as a float array with two axes",
        )
    if y.shape != X.shape[:1] or y.dtype.kind not in "fiubUS":
        raise InputError(
            got=f"{target} of shape {y.shape} and type {y.dtype} in {path.name}",
            expected=f"{len(X)} labels, one for each row of X",
            do="save one number or text per row",
        )
    with np.errstate(over="ignore"):  # longer floats become inf, which is refused by name
        features = X.astype(np.float64)
    if y.dtype.kind == "S":
        y = np.array([text.decode("utf-8", "replace") for text in y.tolist()], dtype=np.str_)
    labels = [str(value).strip() for value in y.tolist()]
    return _Raw(features, labels, [f"X[:, {i}]" for i in range(X.shape[1])], range(len(X)), "row")


def _unpack(path: Path, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    if entry.flag_bits & 1 or entry.compress_type not in _PLAIN:
        raise _damaged(path)  # encrypted, or packed as numpy never does
    with archive.open(entry) as file:
        # With a length the unpacking stops there; without one a forged entry fills the memory.
        return file.read(entry.file_size)


def _array(path: Path, key: str, data: bytes) -> NDArray[Any]:
    """One npy entry; its header must fit its size before memory is taken for it."""
    stream = io.BytesIO(data)
    npy: Any = np.lib.format  # its readers are untyped
    try:
        plain = npy.read_magic(stream) == (1, 0)
        header = npy.read_array_header_1_0 if plain else npy.read_array_header_2_0
        shape, _, dtype = header(stream)
        if not dtype.hasobject and math.prod(shape) * dtype.itemsize == len(data) - stream.tell():
            stream.seek(0)
            array: NDArray[Any] = npy.read_array(stream, allow_pickle=False)
            return array
    except (ValueError, EOFError) as error:
        raise _damaged(path) from error
    if dtype.hasobject:
        raise InputError(
            got=f"pickled objects in {key} of {path.name}",
            expected="plain numbers or text, since a pickle can run code",
            do="save it with a numeric or text dtype",
        )
    raise _damaged(path)


def _check(path: Path, raw: _Raw) -> None:
    if 0 in raw.X.shape:
        raise InputError(
            got=f"{raw.X.shape[0]} rows of {raw.X.shape[1]} features in {path.name}",
            expected="at least one of each",
            do="add rows below the header, or columns beside the target",
        )
    bad = ~(np.abs(raw.X) <= LARGEST)
    if bad.any():
        row, column = np.argwhere(bad)[0].tolist()
        where = f"{raw.place} {raw.lines[row]}"
        raise _bad_cell(path, raw.columns[column], where, str(raw.X[row, column]))
    for line, label in zip(raw.lines, raw.labels, strict=True):
        if label.lower() in ("", "nan"):
            raise InputError(
                got=f"no label in {path.name}, {raw.place} {line}",
                expected="a label for every row",
                do="label or remove that row",
            )


def _encode(labels: list[str]) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Labels as 0..K-1, in numeric order where every label is a number, else in text order."""
    names = sorted(set(labels))
    if all(map(_is_number, names)):
        names.sort(key=float)
    index = {name: i for i, name in enumerate(names)}
    return np.array([index[label] for label in labels], dtype=np.int64), tuple(names)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _known(what: str, name: str, names: Iterable[str]) -> None:
    choices = list(names)
    if name in choices:
        return
    error = unknown(what, _short(name), map(_short, choices))
    if len(choices) <= _SHOWN:
        raise error
    nearest = str(error).rpartition("; ")[2]
    raise InputError(
        got=f"{what} {_short(name)!r}",
        expected=f"one of {len(choices)} names, {_short(choices[0])} to {_short(choices[-1])}",
        do=nearest,
    )


def _bounded(path: Path, size: int, limit: int) -> None:
    if size > limit:
        raise InputError(
            got=f"{size:,} bytes in {path.name}",
            expected=f"at most {limit:,}",
            do="pass fewer rows or columns",
        )


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:37]}..."


def _bad_cell(path: Path, column: str, where: str, got: str) -> InputError:
    return InputError(
        got=f"{got} in column {_short(column)!r} of {path.name}, {where}",
        expected=f"a finite number of at most {LARGEST:g}",
        do="correct or remove that row, or leave the column out",
    )


def _damaged(path: Path) -> InputError:
    return InputError(
        got=f"{path.name}, which is cut short or damaged",
        expected="an npz file as numpy.savez writes it",
        do="export or copy it again",
    )
