"""The tables of a ledger, and how an older one becomes a newer one.

Format 1. What happened is only ever added: events, predictions and counts refuse to be changed or
deleted, by triggers of the database itself (SQLite and PostgreSQL). A job's row is where it stands
now; how it came there is in the events.
"""

from __future__ import annotations

import secrets

from sqlalchemy import (
    Column,
    Connection,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    insert,
    inspect,
    select,
    text,
)

from qmoe.errors import InputError

FORMAT = 1
metadata = MetaData()

about = Table(
    "about",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("value", Text, nullable=False),
)
plans = Table(
    "plans",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("request", String(64), nullable=False, unique=True),
    Column("created", String(40), nullable=False),
    Column("content", Text, nullable=False),
    Column("command", Text, nullable=False),
)
schedules = Table(
    "schedules",
    metadata,
    Column("plan", ForeignKey("plans.id"), primary_key=True),
    Column("created", String(40), nullable=False),
    Column("content", Text, nullable=False),
)
predictions = Table(
    "predictions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("plan", ForeignKey("plans.id"), nullable=False, index=True),
    Column("created", String(40), nullable=False),
    Column("content", Text, nullable=False),
)
jobs = Table(
    "jobs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("plan", ForeignKey("plans.id"), nullable=False),
    Column("key", String(60), nullable=False),
    Column("tag", String(256), nullable=False, unique=True),
    Column("state", String(20), nullable=False),
    Column("account", String(40)),
    Column("due", String(40)),
    Column("executions", Text, nullable=False),
    Column("shots", Integer, nullable=False),
    Column("ref", Text),
    Column("source", String(40)),
    Column("sender", String(200)),
    Column("until", String(40)),
    Column("since", String(40)),
    Column("reserved", String(40)),
    Column("reserve_money", Float),
    Column("reserve_seconds", Float),
    Column("reserve", Text, nullable=False),
    Column("billed_money", Float),
    Column("billed_seconds", Float),
    Column("billed", Text),
    Column("words", Text, nullable=False),
    Column("updated", String(40), nullable=False),
    UniqueConstraint("plan", "key"),
    Index("jobs_by_state", "plan", "state"),
    Index("jobs_by_account", "account", "reserved"),
)
events = Table(
    "events",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", String(40), nullable=False),
    Column("plan", ForeignKey("plans.id"), index=True),
    Column("job", ForeignKey("jobs.id"), index=True),
    Column("kind", String(40), nullable=False),
    Column("content", Text, nullable=False),
)
counts = Table(
    "counts",
    metadata,
    Column("job", ForeignKey("jobs.id"), primary_key=True),
    Column("row", Integer, primary_key=True),
    Column("found", Text, nullable=False),  # "outcome:count ..." of those that were seen
    Column("created", String(40), nullable=False),
)
budgets = Table(
    "budgets",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("account", String(40), nullable=False),
    Column("unit", String(8), nullable=False),
    Column("amount", Float, nullable=False),
    Column("start", String(40), nullable=False),
    Column("until", String(40)),
    Column("over", Integer, nullable=False, default=0),
)

ADDED_ONLY = ("events", "predictions", "counts", "schedules")


def prepare(connection: Connection, place: str) -> None:
    """Makes the tables where there are none, and brings older ones forward.

    Raises:
        InputError: The ledger is newer than this code, or no ledger.
    """
    found = set(inspect(connection).get_table_names())
    if not found:
        metadata.create_all(connection)
        _protect(connection)
        values = {"format": str(FORMAT), "id": secrets.token_hex(8)}
        rows = [{"name": name, "value": value} for name, value in values.items()]
        connection.execute(insert(about), rows)
        return
    stored = None
    if "about" in found:
        stored = connection.scalar(select(about.c.value).where(about.c.name == "format"))
    if stored is None or not stored.isdecimal() or int(stored) < 1:
        raise InputError(
            got=f"{place}, which is a database of something else",
            expected="a ledger",
            do="set QMOE_LEDGER to another file",
        )
    if int(stored) > FORMAT:
        raise InputError(
            got=f"{place} of format {stored}",
            expected=f"format {FORMAT} or older",
            do="update qmoe-bench",
        )


def _protect(connection: Connection) -> None:
    lines = []
    if connection.dialect.name == "sqlite":
        lines = [
            f"CREATE TRIGGER {table}_no_{action.lower()} BEFORE {action} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{table} are only ever added to'); END"
            for table in ADDED_ONLY
            for action in ("UPDATE", "DELETE")
        ]
    elif connection.dialect.name == "postgresql":
        lines = [
            "CREATE FUNCTION added_only() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION '% are only ever added to', TG_TABLE_NAME; END $$"
        ]
        lines += [
            f"CREATE TRIGGER {table}_added_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "EXECUTE FUNCTION added_only()"
            for table in ADDED_ONLY
        ]
    for line in lines:
        connection.execute(text(line))
