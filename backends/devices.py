"""Every target that there is, with its size, gates and errors: what `qmoe devices` shows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime

from backends.base import TargetInfo
from backends.registry import absent, vendor, vendors
from qmoe.errors import unknown

HEAD = (
    *("target", "qubits", "gates", "1q", "2q", "readout", "calibrated", "age", "source", "note"),
)


def listing(name: str | None = None) -> tuple[TargetInfo, ...]:
    """The rows of one vendor or of all; a vendor that is not installed is one row that says so.

    Raises:
        InputError: No such vendor.
    """
    if name is not None and name not in vendors():
        raise unknown("vendor", name, vendors())
    return tuple(row for each in vendors() if name in (None, each) for row in _rows(each))


def _rows(name: str) -> Iterator[TargetInfo]:
    hint = absent(name)
    if hint is not None:
        yield TargetInfo(f"{name}:...", "exact", note=f"not installed: {hint}")
        return
    yield from (row for row in vendor(name).describe() if row.spec.partition(":")[0] == name)


def age(row: TargetInfo, now: datetime) -> int | None:
    """Whole days since a target was calibrated; None where nothing says when.

    >>> row = TargetInfo("lab:x", "snapshot", calibrated_at="2026-04-17")
    >>> age(row, datetime(2026, 4, 19, tzinfo=UTC))
    2
    """
    if row.calibrated_at is None:
        return None
    when = datetime.fromisoformat(row.calibrated_at)
    return (now - (when if when.tzinfo else when.replace(tzinfo=UTC))).days


def tell(name: str | None, as_json: bool) -> None:
    """Prints the rows as a table or as JSON."""
    rows, now = listing(name), datetime.now(UTC)
    if as_json:
        print(json.dumps([{**asdict(row), "age_days": age(row, now)} for row in rows]))
        return
    lines = [HEAD, *(_cells(row, now) for row in rows)]
    widths = [max(len(line[k]) for line in lines) for k in range(len(HEAD))]
    for line in lines:
        print("  ".join(map(str.ljust, line, widths)).rstrip())
    print(
        "\nErrors are medians: gates as average gate infidelity, readout as the mean of both ways\n"
        "to misread. Any target T has a twin, twin:T, where its noise is known."
    )


def _cells(row: TargetInfo, now: datetime) -> tuple[str, ...]:
    days = age(row, now)
    errors = (row.error_1q, row.error_2q, row.error_readout)
    return (
        row.spec,
        "" if row.qubits is None else str(row.qubits),
        " ".join(row.basis),
        *("" if error is None else f"{error:.1e}" for error in errors),
        (row.calibrated_at or "")[:10],
        "" if days is None else f"{days} d",
        row.source,
        row.note,
    )
