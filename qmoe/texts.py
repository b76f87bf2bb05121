"""Options in text, `name,key=value,...`, as commands take them for routers and data."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from qmoe.errors import InputError


def name_and_options(text: str, what: str) -> tuple[str, dict[str, Any]]:
    """A name and its options; numbers, true and false become values, the rest stays text.

    Lists of whole numbers are written with slashes, one number alone with a slash behind it.

    >>> name_and_options("quantum,layers=2,measured=1/0,ansatz=reupload", "router")
    ('quantum', {'layers': 2, 'measured': (1, 0), 'ansatz': 'reupload'})

    Raises:
        InputError: An option without a value, or given twice.
    """
    name, *pairs = text.split(",")
    read = _pairs(pairs, f"{what} {text!r}")
    return name.strip(), {key: _value(value) for key, value in read.items()}


def options(text: str, what: str) -> dict[str, str]:
    """Options alone, `key=value,...`, whose values stay text.

    >>> options("placement=wire, px=0.02", "noise")
    {'placement': 'wire', 'px': '0.02'}

    Raises:
        InputError: An option without a value, or given twice.
    """
    return _pairs(text.split(","), f"{what} {text!r}")


def _pairs(pairs: Iterable[str], where: str) -> dict[str, str]:
    read: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = (part.strip() for part in pair.partition("="))
        if not (key and equals and value):
            raise InputError(
                got=f"{pair.strip()!r} in {where}", expected="key=value", do="correct it"
            )
        if key in read:
            raise InputError(got=f"{key} twice in {where}", expected="it once", do="leave one out")
        read[key] = value
    return read


def _value(text: str) -> Any:
    constants = {"true": True, "false": False}
    if text.lower() in constants:
        return constants[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    numbers = text.removesuffix("/").split("/")
    if "/" in text and all(part.isdecimal() for part in numbers):
        return tuple(int(part) for part in numbers)
    return text
