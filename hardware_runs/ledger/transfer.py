"""A ledger on its way to another machine: one file, checked when it arrives.

The source is marked before the copy is made, and takes back only a ledger that was handed over
once more since: a file is not imported where it came from, nor over what happened after it. It can
be written again from the marked source. Nothing stops a user who imports one file on two machines:
then both would send.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import zipfile
import zlib
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from qmoe.errors import InputError

LEDGER, DIGEST = "ledger.sqlite", "sha256"
MAX_BYTES = 4 * 2**30


def check(file: Path) -> None:
    """Nothing, if a new file can be written there.

    Raises:
        InputError: It exists, or its folder does not or takes no files.
    """
    if file.exists():
        raise InputError(got=f"{file}, which exists", expected="a new file", do="name another one")
    if not (file.parent.is_dir() and os.access(file.parent, os.W_OK)):
        raise InputError(
            got=f"{file.parent}",
            expected="a folder that can be written",
            do="name another one",
        )


def write(source: Path, file: Path) -> None:
    """The copy of an SQLite ledger, free to send, into a new file; see `check`.

    Raises:
        InputError: It cannot be written.
    """
    partial = file.with_name(f".{file.name}.{os.getpid()}.partial")
    copy = file.with_name(f".{file.name}.{os.getpid()}.sqlite")
    try:
        with closing(sqlite3.connect(source)) as given, closing(sqlite3.connect(copy)) as taken:
            given.backup(taken)
            with taken:
                taken.execute("DELETE FROM about WHERE name = 'handed over'")
            taken.execute("PRAGMA journal_mode=DELETE")
        with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(copy, LEDGER)
            archive.writestr(DIGEST, hashlib.sha256(copy.read_bytes()).hexdigest())
        os.replace(partial, file)
    except (OSError, sqlite3.Error) as error:
        raise InputError(
            got=f"{file} ({getattr(error, 'strerror', None) or error})",
            expected="a file that can be written",
            do="name another one; this ledger is marked as handed over and can be exported again",
        ) from error
    finally:
        for each in (partial, copy):
            each.unlink(missing_ok=True)


def take(file: Path, place: Path) -> None:
    """Puts a ledger that was handed over in its place, where there is none or an older self.

    Older: of the same id, handed over too, fewer times. What was there before is kept beside it.

    Raises:
        InputError: A file that is damaged or no such file, or another ledger in the place.
    """
    data = _read(file)
    place.parent.mkdir(parents=True, exist_ok=True)
    partial = place.with_name(f".{place.name}.{os.getpid()}.partial")
    partial.write_bytes(data)
    try:
        coming = _told(partial, file)
        if place.exists():
            there = _told(place, place)
            if there.plans and (there.id != coming.id or not there.over):
                raise InputError(
                    got=f"{place}, which has {there.plans} plans of its own",
                    expected="no ledger there, or the one that was handed over",
                    do="set QMOE_LEDGER to a new file and import again",
                )
            if there.plans and there.times >= coming.times:
                raise InputError(
                    got=f"{file}, which is no newer than {place}",
                    expected="what the machine that went on handed over",
                    do="import the latest file",
                )
            for end in ("-wal", "-shm"):
                place.with_name(place.name + end).unlink(missing_ok=True)
            os.replace(place, place.with_name(f"{place.name}.before"))
        os.replace(partial, place)
    finally:
        partial.unlink(missing_ok=True)


def _read(file: Path) -> bytes:
    try:
        with zipfile.ZipFile(file) as archive:
            sizes = {info.filename: info.file_size for info in archive.infolist()}
            if set(sizes) != {LEDGER, DIGEST} or sizes[LEDGER] > MAX_BYTES or sizes[DIGEST] > 64:
                raise ValueError("other members")
            data, digest = archive.read(LEDGER), archive.read(DIGEST).decode("ascii")
        if hashlib.sha256(data).hexdigest() != digest:
            raise ValueError("another digest")
    except (OSError, ValueError, zipfile.BadZipFile, zlib.error, RuntimeError, EOFError) as error:
        raise InputError(
            got=f"{file} ({getattr(error, 'strerror', None) or error})",
            expected="what `qmoe hardware export --ledger` wrote",
            do="copy it again",
        ) from error
    return data


class _Told(NamedTuple):
    """What a ledger says of itself; `times` it was handed over, and whether it is now."""

    id: str
    plans: int
    times: int
    over: bool


def _told(path: Path, shown: Path) -> _Told:
    try:
        with closing(sqlite3.connect(path)) as found:
            about = dict(found.execute("SELECT name, value FROM about"))
            (plans,) = found.execute("SELECT COUNT(*) FROM plans").fetchone()
            asked = "SELECT COUNT(*) FROM events WHERE kind = 'handed over'"
            (times,) = found.execute(asked).fetchone()
            # what is still in the log belongs to the file that is kept
            found.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return _Told(about["id"], plans, times, "handed over" in about)
    except (sqlite3.Error, KeyError, ValueError) as error:
        raise InputError(
            got=f"{shown} ({error})", expected="a ledger", do="name another file"
        ) from error
