"""The folder of one run: written whole or not at all, read back with suspicion.

- `run.json`: the suite, the provenance, and what records.jsonl must hold;
- `records.jsonl`: one Record per line;
- `maps/*.safetensors`: one RoutingMap per file;
- whatever else the steps of the suite leave, such as checkpoints.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from qmoe.errors import InputError, unknown
from qmoe.provenance import Provenance
from qmoe.record import Record, check_format, damaged
from qmoe.routing_map import RoutingMap

__all__ = ["ROOT", "RoutingMap", "Run", "RunWriter"]

FORMAT: Final = 1
ROOT = Path("runs")
MAX_RUN_BYTES = 2**20
MAX_RECORDS_BYTES = 512 * 2**20
MAX_LINE_BYTES = 2**20
MAX_MAPS = 2000


class _Header(BaseModel):
    """What run.json holds; the count and digest tell a cut or altered records.jsonl."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    format: Literal[1] = FORMAT
    suite: Annotated[str, Field(min_length=1, max_length=200)]
    records: Annotated[int, Field(ge=0)]
    records_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    maps: Annotated[int, Field(ge=0, le=MAX_MAPS)]
    provenance: Provenance


@dataclass(frozen=True, slots=True)
class Run:
    """A finished run, read from its folder. `id` is the folder's name."""

    path: Path
    suite: str
    provenance: Provenance
    records: tuple[Record, ...]

    @property
    def id(self) -> str:
        """The name of the run's folder."""
        return self.path.name

    @classmethod
    def open(cls, run: Path | str, root: Path = ROOT) -> Run:
        """The run in a folder, with an id under `root`, or the "latest" under `root`.

        Raises:
            InputError: there is none, or it is damaged or written by a newer version.
        """
        folder = _find(run, root)
        header = _header(folder)
        return cls(folder.resolve(), header.suite, header.provenance, _records(folder, header))

    def _repr_html_(self) -> str:
        """What a notebook shows of it."""
        from qmoe.report.notebook import run_html

        return run_html(self)

    def maps(self) -> Iterator[tuple[str, RoutingMap]]:
        """Router name and routing map, one after the other, in the order they were added.

        Raises:
            InputError: a map is missing, damaged or written by a newer version.
        """
        found = sorted((self.path / "maps").glob("*.safetensors"))
        expected = _header(self.path).maps
        if len(found) != expected:
            raise InputError(
                got=f"{len(found)} files in {self.path / 'maps'}",
                expected=f"{expected} routing maps",
                do="restore the folder or run the suite again",
            )
        for path in found:
            yield RoutingMap.read(path)


class RunWriter:
    """A run being written: a context manager whose folder appears whole, or not at all.

    Everything goes to a hidden sibling of the folder, which takes its name when the block ends.
    An exception or Ctrl-C removes it.

    >>> from tempfile import TemporaryDirectory
    >>> from qmoe.provenance import capture
    >>> with TemporaryDirectory() as folder:
    ...     with RunWriter("quick", capture(seed=0), out=Path(folder) / "first") as writer:
    ...         _ = writer.path("checkpoints/note.txt").write_text("0")
    ...     Run.open(writer.out).id
    'first'

    Args:
        suite: the name of what ran.
        provenance: of the whole run; its time of creation names the default folder.
        out: the folder to make; absent or empty. Default `root`/<UTC>-<suite>.
        root: where default folders stand.

    Raises:
        InputError: on entry, where `out` holds something or cannot be made.
    """

    def __init__(
        self, suite: str, provenance: Provenance, *, out: Path | None = None, root: Path = ROOT
    ) -> None:
        self.suite = suite
        self.provenance = provenance
        self.out = out if out is not None else _free_name(suite, provenance, root)
        self._partial = self.out.with_name(f".{self.out.name}.{os.getpid()}.partial")
        self._made: list[Path] = []
        self._digest = hashlib.sha256()
        self._records = 0
        self._maps = 0

    def __enter__(self) -> RunWriter:
        check_free(self.out)
        self._made = [p for p in self.out.parents if not p.exists()]
        try:
            self._partial.mkdir(parents=True)
            (self._partial / "records.jsonl").touch()
        except OSError as error:
            self._remove()
            raise _unwritable(self.out, error) from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        finished = False
        try:
            if kind is None:
                self._finish()
                finished = True
        finally:
            if not finished:
                self._remove()

    def add(self, record: Record) -> None:
        """Appends a record."""
        line = record.to_json().encode() + b"\n"
        with (self._partial / "records.jsonl").open("ab") as file:
            file.write(line)
        self._digest.update(line)
        self._records += 1

    def add_map(self, router: str, routing_map: RoutingMap) -> None:
        """Appends the routing map of a router."""
        routing_map.write(self.path(f"maps/{self._maps:04d}.safetensors"), router)
        self._maps += 1

    def path(self, name: str) -> Path:
        """Where to write a further file of the run now, parents made; it moves when the block ends.

        `name` is relative, with forward slashes: "checkpoints/linear.safetensors".
        """
        relative = PurePosixPath(name)
        if relative.is_absolute() or ".." in relative.parts or not relative.parts:
            raise ValueError(f"got file name {name!r}; expected a path inside the run's folder")
        path = self._partial / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def _finish(self) -> None:
        header = _Header(
            suite=self.suite,
            records=self._records,
            records_sha256=self._digest.hexdigest(),
            maps=self._maps,
            provenance=self.provenance,
        )
        text = json.dumps(header.model_dump(mode="json"), indent=2, ensure_ascii=False)
        (self._partial / "run.json").write_text(text + "\n", encoding="utf-8")
        check_free(self.out)
        try:
            self._partial.replace(self.out)
        except OSError as error:
            raise _unwritable(self.out, error) from error

    def _remove(self) -> None:
        shutil.rmtree(self._partial, ignore_errors=True)
        for parent in self._made:
            try:
                parent.rmdir()
            except OSError:  # somebody else put something there meanwhile
                return


def _free_name(suite: str, provenance: Provenance, root: Path) -> Path:
    stamp = provenance.created.replace("-", "").replace(":", "")
    name = f"{stamp}-{''.join(c if c.isalnum() else '-' for c in suite)}"
    path, number = root / name, 2
    while path.exists():
        path, number = root / f"{name}-{number}", number + 1
    return path


def check_free(out: Path) -> None:
    """Refuses an output folder that holds something.

    Raises:
        InputError: It does.
    """
    if out.is_symlink() or out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise InputError(
            got=f"output folder {out} that already holds something",
            expected="a folder that is new or empty",
            do="name another one with --out",
        )


def _unwritable(out: Path, error: OSError) -> InputError:
    return InputError(
        got=f"output folder {out} ({error.strerror or error})",
        expected="a folder that can be made",
        do="name another one with --out",
    )


def _find(run: Path | str, root: Path) -> Path:
    ids = sorted(p.parent.name for p in root.glob("[!.]*/run.json")) if root.is_dir() else []
    if run == "latest":
        if not ids:
            raise InputError(
                got=f"no run under {root}", expected="at least one", do="make one with: qmoe run"
            )
        return root / ids[-1]
    if isinstance(run, str) and run in ids:
        return root / run
    path = Path(run)
    if path.is_dir():
        return path
    if isinstance(run, str) and ids and path.parent == Path():
        raise unknown("run", run, ["latest", *ids[-8:]])
    raise InputError(
        got=f"run {str(run)!r}",
        expected="the folder of a run, its id, or 'latest'",
        do=f"look under {root}",
    )


def _header(folder: Path) -> _Header:
    text = read_bounded(folder / "run.json", MAX_RUN_BYTES)
    place = str(folder / "run.json")
    check_format(text, FORMAT, place)
    try:
        return _Header.model_validate_json(text)
    except ValidationError as error:
        raise damaged(place, error) from error


def _records(folder: Path, header: _Header) -> tuple[Record, ...]:
    path = folder / "records.jsonl"
    data = read_bounded(path, MAX_RECORDS_BYTES)
    if hashlib.sha256(data).hexdigest() != header.records_sha256:
        raise InputError(
            got=f"{path} of {data.count(bytes([10]))} lines that is not what the run wrote",
            expected=f"{header.records} records with the digest in run.json",
            do="restore the file or run the suite again",
        )
    records = []
    for number, line in enumerate(data.splitlines(), start=1):
        if len(line) > MAX_LINE_BYTES:
            raise InputError(
                got=f"{path} line {number} of {len(line)} bytes",
                expected=f"at most {MAX_LINE_BYTES}",
                do="check that it was written by qmoe",
            )
        records.append(Record.from_json(line, f"{path} line {number}"))
    return tuple(records)


def read_bounded(path: Path, limit: int) -> bytes:
    """The content of a regular file of at most `limit` bytes.

    Raises:
        InputError: it is missing, too large, no regular file, or cannot be read.
    """
    expected = f"a file of at most {limit} bytes"
    do = "check the path; a run's folder holds run.json and records.jsonl"
    if not path.is_file():
        raise InputError(got=f"no file {path}", expected=expected, do=do)
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        got = f"{path} ({error.strerror or error})"
        raise InputError(got=got, expected=expected, do=do) from error
    if len(data) > limit:
        raise InputError(got=f"{path} of more than {limit} bytes", expected=expected, do=do)
    return data
