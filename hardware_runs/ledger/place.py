"""Where a ledger is, how it is opened, and who is writing to it."""

from __future__ import annotations

import os
import socket
import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, NoSuchModuleError

from hardware_runs.ledger.schema import prepare
from qmoe.errors import InputError

VARIABLE = "QMOE_LEDGER"
BUSY_SECONDS = 30.0


def place() -> str:
    """$QMOE_LEDGER, or a file in the user's data folder."""
    named = os.environ.get(VARIABLE)
    if named:
        return named
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return str(Path(base) / "qmoe-bench" / "ledger.sqlite")


def opened(where: str) -> tuple[Engine, str]:
    """The engine of a path or an SQLAlchemy URL, its tables in place; and its name for messages.

    Raises:
        InputError: It cannot be opened, is no ledger, or is newer than this code.
    """
    try:
        url = make_url(where) if "://" in where else None
        name = url.render_as_string(hide_password=True) if url else where
        if url is None:
            Path(where).expanduser().absolute().parent.mkdir(parents=True, exist_ok=True)
            url = make_url("sqlite://").set(database=str(Path(where).expanduser().absolute()))
        engine = create_engine(url, **_options(url.get_backend_name()))
    except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as error:
        raise InputError(
            got=f"a ledger address that cannot be used ({type(error).__name__})",
            expected="a path, or an SQLAlchemy URL whose driver is installed",
            do=f"correct {VARIABLE}",
        ) from None  # the words may quote the address, password and all
    except OSError as error:
        raise _unusable(where, error.strerror or str(error)) from error
    _listen(engine)
    try:
        with writing(engine) as connection:
            prepare(connection, name)
    except DatabaseError as error:
        raise _unusable(name, str(error.orig)) from None
    return engine, name


def writing(engine: Engine) -> Any:
    """A transaction that holds the right to write from its first statement on."""
    return engine.execution_options(immediate=True).begin()


def sender() -> str:
    """This process, so that others can tell whether it lives: host, id and time of start."""
    return f"{socket.gethostname()}:{os.getpid()}:{_started(os.getpid())}"


def is_dead(who: str) -> bool:
    """Whether a sender was a process of this machine that has ended; False where nobody knows."""
    host, pid, started = who.rsplit(":", 2)
    if host != socket.gethostname() or not pid.isdecimal():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return _started(int(pid)) != started


def _started(pid: int) -> str:
    """When a process began, in the ticks of the system; "" where the system does not tell."""
    try:
        line = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    fields = line.rpartition(")")[2].split()
    return "" if fields[0] in "ZX" else fields[19]  # a zombie has ended


def _options(dialect: str) -> dict[str, Any]:
    if dialect == "sqlite":
        return {"connect_args": {"timeout": BUSY_SECONDS}}
    return {"isolation_level": "SERIALIZABLE"}


def _listen(engine: Engine) -> None:
    if engine.dialect.name != "sqlite":
        return

    @event.listens_for(engine, "connect")
    def settings(connection: sqlite3.Connection, _: object) -> None:
        connection.isolation_level = None  # transactions begin where we say, not the driver
        for line in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {line}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        immediate = connection.get_execution_options().get("immediate")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


def _unusable(name: str, why: str) -> InputError:
    return InputError(
        got=f"ledger {name} ({why})",
        expected="a ledger that can be read and written",
        do=f"check its permissions, or set {VARIABLE} to another file",
    )
