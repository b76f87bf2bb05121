"""What Amazon Braket asks for: the vendor's public price list, kept for a while, or a file.

Nothing is guessed: a device that the list does not name exactly once has no known price.
"""

from __future__ import annotations

import csv
import io
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from backends.registry import require
from qmoe.errors import InputError, UnreachableError

VARIABLE = "BRAKET_PRICE_OFFERS_URL"  # as the SDK reads it
LIST = "https://pricing.us-east-1.amazonaws.com/offers/v1.0/aws/AmazonBraket/current/index.csv"
KEEP_SECONDS = 7 * 86400.0
MAX_BYTES = 32 * 2**20
SECONDS = 30.0
TASK, SHOT = "Quantum Task", "Quantum Task-Shot"
NAME = "the vendor's price list"
NEEDED = {"Region Code", "DeviceName", "Product Family", "PricePerUnit", "Currency"}

Rows: TypeAlias = list[dict[str, str]]


@dataclass(frozen=True, slots=True)
class Prices:
    """What one task and one shot of a device cost, in USD, and where that is from."""

    task: float
    shot: float
    note: str


def prices(arn: str, region: str, file: Path | None = None) -> Prices | str:
    """The prices of a device in a region, or why they are not known.

    file: A list in the form of the vendor's, in place of it.

    Raises:
        InputError: A file that cannot be read, or is no such list.
    """
    try:
        table, note = _given(file) if file is not None else _listed()
    except UnreachableError as error:
        return str(error)
    name = _name(arn)
    found = {}
    for family in (TASK, SHOT):
        rows = [row for row in table if _fits(row, region, name, family)]
        if len(rows) != 1:
            return f"{len(rows)} prices of {name} in {region} for {family!r} in {note}"
        try:
            price = float(rows[0]["PricePerUnit"])
        except (TypeError, ValueError):
            price = -1.0
        if not 0 <= price < 1e6 or rows[0].get("Currency") != "USD":
            return f"a price of {name} that cannot be read in {note}"
        found[family] = price
    return Prices(found[TASK], found[SHOT], note)


def _given(file: Path) -> tuple[Rows, str]:
    try:
        with file.open("rb") as opened:
            table = _rows(opened.read(MAX_BYTES + 1))
            when = os.fstat(opened.fileno()).st_mtime
    except OSError as error:
        raise InputError(
            got=f"price list {file} ({error.strerror or error})",
            expected="a file in the form of the vendor's list",
            do="check the path",
        ) from error
    except ValueError as error:
        raise InputError(
            got=f"price list {file} ({error})",
            expected="five lines and a table, as the vendor's list has it",
            do="fetch it again",
        ) from error
    return table, f"{file.name}, {_age(when)}"


def _listed() -> tuple[Rows, str]:
    """The vendor's list: what was kept, if it is young; fetched, otherwise.

    Raises:
        UnreachableError: No answer, or one that is no such list, which is not kept.
    """
    address = os.environ.get(VARIABLE, LIST)
    kept = _folder() / "prices.csv"
    with suppress(OSError, ValueError):  # nothing was kept, or nothing that can be read
        when = kept.stat().st_mtime
        if address == LIST and time.time() - when < KEEP_SECONDS:
            return _rows(kept.read_bytes()), f"{NAME}, {_age(when)}"
    data = _fetched(address)
    try:
        table = _rows(data)
    except ValueError as error:
        raise UnreachableError(
            got=f"a price list that cannot be used ({error})",
            expected="five lines and a table",
            do="try again later, or pass --prices FILE",
        ) from error
    if address == LIST:
        with suppress(OSError):  # a list that cannot be kept is still a list
            kept.parent.mkdir(parents=True, exist_ok=True)
            partial = kept.with_name(f".{kept.name}.{os.getpid()}.partial")
            partial.write_bytes(data)
            partial.replace(kept)
    return table, f"{NAME}, {_age(time.time())}"


def _fetched(address: str) -> bytes:
    urllib3 = require("braket", "urllib3")
    pool = urllib3.PoolManager(timeout=urllib3.Timeout(SECONDS), retries=1)
    try:
        with pool.request("GET", address, preload_content=False) as reply:
            if reply.status != 200:
                raise UnreachableError(
                    got=f"the price list with status {reply.status}",
                    expected="200",
                    do="try again later, or pass --prices FILE",
                )
            data: bytes = reply.read(MAX_BYTES + 1)
    except urllib3.exceptions.HTTPError as error:
        raise UnreachableError(
            got=f"no price list ({type(error).__name__})",
            expected="an answer of the vendor",
            do="check the network, or pass --prices FILE",
        ) from error
    return data


def _rows(data: bytes) -> Rows:
    """The table of a list; five lines about the list stand before it.

    Raises:
        ValueError: It is none.
    """
    if len(data) > MAX_BYTES:
        raise ValueError(f"more than {MAX_BYTES} bytes")
    _, *lines = data.decode("utf-8", errors="replace").split("\n", 5)
    rows = csv.DictReader(io.StringIO(lines[-1] if len(lines) == 5 else ""))
    try:
        if not set(rows.fieldnames or ()) >= NEEDED:
            raise ValueError(f"without {', '.join(sorted(NEEDED))}")
        return list(rows)
    except csv.Error as error:
        raise ValueError(str(error)) from error


def _fits(row: dict[str, str], region: str, name: str, family: str) -> bool:
    wanted = {"Region Code": region, "DeviceName": name, "Product Family": family}
    return all(row.get(key) == value for key, value in wanted.items())


def _name(arn: str) -> str:
    """A device's name as the list has it; the rule is that of the SDK's own tracker."""
    name = arn.rpartition("/")[2]
    name = name[:1].upper() + name[1:]
    return name.replace("Ibex", "IBEX")


def _age(when: float) -> str:
    days = max(0.0, time.time() - when) / 86400
    return f"{days:.0f} days old" if days >= 1 else "less than a day old"


def _folder() -> Path:
    import pooch

    return Path(pooch.os_cache("qmoe-bench"))
