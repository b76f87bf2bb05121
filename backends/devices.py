"""Every target that there is, with its size, gates and errors: what `qmoe devices` shows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict

from backends.base import TargetInfo
from backends.registry import absent, vendor, vendors
from qmoe.errors import unknown

HEAD = (*("target", "qubits", "gates", "1q", "2q", "readout", "calibrated", "source", "note"),)


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


def tell(name: str | None, as_json: bool) -> None:
    """Prints the rows as a table or as JSON."""
    rows = listing(name)
    if as_json:
        print(json.dumps([asdict(row) for row in rows]))
        return
    lines = [HEAD, *(_cells(row) for row in rows)]
    widths = [max(len(line[k]) for line in lines) for k in range(len(HEAD))]
    for line in lines:
        print("  ".join(map(str.ljust, line, widths)).rstrip())
    print(
        "\nErrors are medians: gates as average gate infidelity, readout as the mean of both ways\n"
        "to misread. Any target T has a twin, twin:T, where its noise is known."
    )


def _cells(row: TargetInfo) -> tuple[str, ...]:
    errors = (row.error_1q, row.error_2q, row.error_readout)
    return (
        row.spec,
        "" if row.qubits is None else str(row.qubits),
        " ".join(row.basis),
        *("" if error is None else f"{error:.1e}" for error in errors),
        (row.calibrated_at or "")[:10],
        row.source,
        row.note,
    )
