"""The store of a run's finished parts: what an interrupted run goes on from.

One file per cell or measurement, named by its content hash and written at once. The folder is
named by the digest of the code and the libraries that make the numbers, so that no part of one
version is ever mixed with parts of another.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import qmoe
from qmoe.cell import CellResult
from qmoe.errors import InputError
from qmoe.figure import Figures
from qmoe.rundir import read_bounded

MAX_BYTES = 64 * 2**20


class Store:
    """Finished parts by key. With no folder it holds nothing and keeps nothing."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder

    def cell(self, key: str) -> CellResult | None:
        """The result of a cell, if it is there.

        Raises:
            InputError: A file that is not what was written.
        """
        text = self._read(key)
        return None if text is None else CellResult.from_json(text, f"finished cell {key}")

    def figures(self, key: str) -> Figures | None:
        """The result of a measurement, if it is there.

        Raises:
            InputError: A file that is not what was written.
        """
        text = self._read(key)
        return None if text is None else Figures.from_json(text, f"finished measurement {key}")

    def keep(self, part: CellResult | Figures) -> None:
        """Writes a part; it appears whole or not at all."""
        if self.folder is None:
            return
        text = part.model_dump_json()
        digest = hashlib.sha256(text.encode()).hexdigest()
        self.folder.mkdir(parents=True, exist_ok=True)
        partial = self.folder / f".{part.key}.{os.getpid()}.partial"
        partial.write_text(f"{digest}\n{text}", encoding="utf-8")
        partial.replace(self.folder / f"{part.key}.json")

    def count(self) -> int:
        """How many parts are there."""
        return 0 if self.folder is None else len(list(self.folder.glob("[!.]*.json")))

    def drop(self) -> None:
        """Forgets everything: the run is finished."""
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _read(self, key: str) -> str | None:
        if self.folder is None or not (self.folder / f"{key}.json").exists():
            return None
        path = self.folder / f"{key}.json"
        digest, _, text = read_bounded(path, MAX_BYTES).decode("utf-8", "replace").partition("\n")
        if hashlib.sha256(text.encode()).hexdigest() != digest:
            raise InputError(
                got=f"{path} that is not what was written",
                expected="the finished part of an interrupted run",
                do="delete that file; it is made again",
            )
        return text


def folder_of(root: Path, name: str, versions: Mapping[str, str]) -> Path:
    """Where the parts of an unfinished run of this name, code and libraries stand under `root`."""
    content = hashlib.sha256(json.dumps([name, dict(versions)], sort_keys=True).encode())
    top = Path(qmoe.__file__).resolve().parent.parent
    # the rooms above the core measure too, where they are installed
    for room in ("qmoe", "backends", "hardware_runs"):
        for path in sorted((top / room).rglob("*.py")):
            content.update(path.relative_to(top).as_posix().encode())
            content.update(path.read_bytes())
    return root / f".unfinished-{name}-{content.hexdigest()[:12]}"
