"""A ledger on its way to another machine: one file, checked when it arrives.

The source is marked before the copy is made. Whatever breaks afterwards, there are never two
ledgers that would both send; and the file can be written again from the marked source.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import zipfile
from pathlib import Path

from qmoe.errors import InputError

LEDGER, DIGEST = "ledger.sqlite", "sha256"
MAX_BYTES = 4 * 2**30


def write(source: Path, file: Path) -> None:
    """The copy of an SQLite ledger, free to send, into a new file.

    Raises:
        InputError: The file is there already, or cannot be written.
    """
    if file.exists():
        raise InputError(got=f"{file}, which exists", expected="a new file", do="name another one")
    partial = file.with_name(f".{file.name}.{os.getpid()}.partial")
    copy = file.with_name(f".{file.name}.{os.getpid()}.sqlite")
    try:
        with sqlite3.connect(source) as given, sqlite3.connect(copy) as taken:
            given.backup(taken)
            taken.execute("DELETE FROM about WHERE name = 'handed over'")
        given.close()
        taken.commit()
        taken.execute("PRAGMA journal_mode=DELETE")
        taken.close()
        with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(copy, LEDGER)
            archive.writestr(DIGEST, hashlib.sha256(copy.read_bytes()).hexdigest())
        os.replace(partial, file)
    except OSError as error:
        raise InputError(
            got=f"{file} ({error.strerror or error})",
            expected="a file that can be written",
            do="name another one; this ledger is marked as handed over and can be exported again",
        ) from error
    finally:
        for each in (partial, copy):
            each.unlink(missing_ok=True)


def take(file: Path, place: Path) -> None:
    """Puts a ledger that was handed over in its place, where there is none or an older self.

    What was there before is kept beside it.

    Raises:
        InputError: A file that is damaged or no such file, or another ledger in the place.
    """
    data = _read(file)
    place.parent.mkdir(parents=True, exist_ok=True)
    partial = place.with_name(f".{place.name}.{os.getpid()}.partial")
    partial.write_bytes(data)
    try:
        coming = _id(partial, file)
        if place.exists():
            there, plans, over = _id(place, place), *_state(place)
            if plans and (there != coming or not over):
                raise InputError(
                    got=f"{place}, which has {plans} plans of its own",
                    expected="no ledger there, or the one that was handed over",
                    do="set QMOE_LEDGER to a new file and import again",
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
    except (OSError, ValueError, zipfile.BadZipFile, RuntimeError, EOFError) as error:
        raise InputError(
            got=f"{file} ({getattr(error, 'strerror', None) or error})",
            expected="what `qmoe hardware export --ledger` wrote",
            do="copy it again",
        ) from error
    return data


def _id(path: Path, shown: Path) -> str:
    try:
        with sqlite3.connect(path) as found:
            row = found.execute("SELECT value FROM about WHERE name = 'id'").fetchone()
        found.close()
    except sqlite3.Error as error:
        raise InputError(
            got=f"{shown} ({error})", expected="a ledger", do="copy it again"
        ) from error
    return str(row[0]) if row else ""


def _state(place: Path) -> tuple[int, bool]:
    """How many plans a ledger has, and whether it was handed over."""
    with sqlite3.connect(place) as found:
        (plans,) = found.execute("SELECT COUNT(*) FROM plans").fetchone()
        over = found.execute("SELECT 1 FROM about WHERE name = 'handed over'").fetchone()
        # what is still in the log belongs to the file that is kept
        found.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    found.close()
    return int(plans), over is not None
