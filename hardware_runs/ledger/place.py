"""Where a ledger is, how it is opened, and who is writing to it."""

from __future__ import annotations

import os
import socket
import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DatabaseError, SQLAlchemyError

from hardware_runs.ledger.schema import prepare
from qmoe.errors import InputError, QmoeError

VARIABLE = "QMOE_LEDGER"
BUSY_SECONDS = 30.0
LOCK = 0x716D6F65
"""PostgreSQL: what a transaction that writes holds until its end."""


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
        name = url.set(query={}).render_as_string() if url else where  # both can have passwords
        if url is None:
            Path(where).expanduser().absolute().parent.mkdir(parents=True, exist_ok=True)
            url = make_url("sqlite://").set(database=str(Path(where).expanduser().absolute()))
        engine = create_engine(url, **_options(url.get_backend_name()))
    except (SQLAlchemyError, ImportError, ValueError, TypeError) as error:
        raise InputError(
            got=f"a ledger address that cannot be used ({type(error).__name__})",
            expected="a path, or an SQLAlchemy URL whose driver is installed",
            do=f"correct {VARIABLE}",
        ) from None  # the words may quote the address, password and all
    except OSError as error:
        raise unusable(where, error.strerror or str(error)) from error
    _listen(engine)
    try:
        with writing(engine) as connection:
            prepare(connection, name)
    except (SQLAlchemyError, UnicodeDecodeError) as error:
        raise unusable(name, str(getattr(error, "orig", error))) from None
    return engine, name


def failed(name: str, error: DatabaseError) -> QmoeError:
    """The error for a statement that did not go through, without its values."""
    # SQLite says of a damaged file what is no subclass; others may be gone the next time
    if type(error) is DatabaseError or "readonly" in str(error.orig):
        return unusable(name, str(error.orig))
    return QmoeError(" ".join(f"ledger {name}: {error.orig}".split()))


def unusable(name: str, why: str) -> InputError:
    """The error for a place that is no ledger that can be used."""
    return InputError(
        got=f"ledger {name} ({why})",
        expected="a ledger that can be read and written",
        do=f"check its permissions, or set {VARIABLE} to another file",
    )


def writing(engine: Engine) -> Any:
    """A transaction that holds the right to write from its first statement on."""
    return engine.execution_options(immediate=True).begin()


def sender() -> str:
    """This process, so that others can tell whether it lives: host, id and time of start."""
    return f"{_host()}:{os.getpid()}:{_started(os.getpid())}"


def is_dead(who: str) -> bool:
    """Whether a sender was a process of this machine that has ended; False where nobody knows."""
    host, pid, started = who.rsplit(":", 2)
    if host != _host() or not pid.isdecimal():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return _started(int(pid)) != started


def _host() -> str:
    """Where process ids mean the same: names of machines and containers are not unique."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text()[:8]
        return f"{socket.gethostname()}-{boot}-{os.stat('/proc/self/ns/pid').st_ino}"
    except OSError:
        return socket.gethostname()


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
    if dialect == "postgresql":
        return {"isolation_level": "READ COMMITTED"}  # writers queue at a lock, see below
    return {"isolation_level": "SERIALIZABLE"}


def _listen(engine: Engine) -> None:
    if engine.dialect.name == "postgresql":

        @event.listens_for(engine, "begin")
        def lock(connection: Connection) -> None:
            if connection.get_execution_options().get("immediate"):
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCK})")

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
