"""What Amazon Braket asks for: the vendor's public price list, kept for a while, or a file.

Nothing is guessed: a device that the list does not name exactly once has no known price.
"""

from __future__ import annotations

import csv
import io
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from backends.registry import require
from qmoe.errors import InputError, UnreachableError

VARIABLE = "BRAKET_PRICE_OFFERS_URL"  # as the SDK reads it
LIST = "https://pricing.us-east-1.amazonaws.com/offers/v1.0/aws/AmazonBraket/current/index.csv"
KEEP_SECONDS = 7 * 86400.0
MAX_BYTES = 32 * 2**20
SECONDS = 30.0
TASK, SHOT = "Quantum Task", "Quantum Task-Shot"


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
        text, note = _given(file) if file is not None else _listed()
    except UnreachableError as error:
        return str(error)
    name = _name(arn)
    found = {}
    for family in (TASK, SHOT):
        rows = [row for row in _rows(text, file) if _fits(row, region, name, family)]
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


def _given(file: Path) -> tuple[str, str]:
    try:
        with file.open("rb") as opened:
            data = opened.read(MAX_BYTES + 1)
    except OSError as error:
        raise InputError(
            got=f"price list {file} ({error.strerror or error})",
            expected="a file in the form of the vendor's list",
            do="check the path",
        ) from error
    return _text(data, str(file)), f"{file.name}, {_age(file)}"


def _listed() -> tuple[str, str]:
    """The vendor's list: what was kept, if it is young; fetched, otherwise."""
    address = os.environ.get(VARIABLE, LIST)
    kept = _folder() / ("prices.csv" if address == LIST else "prices-other.csv")
    fresh = kept.is_file() and time.time() - kept.stat().st_mtime < KEEP_SECONDS
    if not fresh or address != LIST:
        data = _fetched(address)
        partial = kept.with_name(f".{kept.name}.{os.getpid()}.partial")
        partial.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(data)
        partial.replace(kept)
    text = _text(kept.read_bytes(), str(kept))
    return text, f"the vendor's price list, {_age(kept)}"


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


def _text(data: bytes, place: str) -> str:
    if len(data) > MAX_BYTES:
        raise InputError(
            got=f"price list {place} of more than {MAX_BYTES} bytes",
            expected="a price list",
            do="check the file",
        )
    return data.decode("utf-8", errors="replace")


def _rows(text: str, file: Path | None) -> Iterator[dict[str, str]]:
    # five lines about the list stand before its table
    _, *lines = text.split("\n", 5)
    rows = csv.DictReader(io.StringIO(lines[-1] if len(lines) == 5 else ""))
    needed = {"Region Code", "DeviceName", "Product Family", "PricePerUnit", "Currency"}
    if not needed <= set(rows.fieldnames or ()):
        raise InputError(
            got=f"price list {file or LIST} without {', '.join(sorted(needed))}",
            expected="five lines and a table, as the vendor's list has it",
            do="fetch it again, or pass --prices FILE",
        )
    yield from rows


def _fits(row: dict[str, str], region: str, name: str, family: str) -> bool:
    wanted = {"Region Code": region, "DeviceName": name, "Product Family": family}
    return all(row.get(key) == value for key, value in wanted.items())


def _name(arn: str) -> str:
    """A device's name as the list has it; the rule is that of the SDK's own tracker."""
    name = arn.rpartition("/")[2]
    name = name[:1].upper() + name[1:]
    return name.replace("Ibex", "IBEX")


def _age(file: Path) -> str:
    days = max(0.0, time.time() - file.stat().st_mtime) / 86400
    return f"{days:.0f} days old" if days >= 1 else "less than a day old"


def _folder() -> Path:
    import pooch

    return Path(pooch.os_cache("qmoe-bench"))
