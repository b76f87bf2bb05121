"""What third parties add by entry points: routers (`qmoe.routers`), targets (`qmoe.backends`)."""

from __future__ import annotations

from importlib import metadata
from typing import Any

from qmoe.errors import InputError


def added(group: str) -> tuple[str, ...]:
    """The names that installed packages add to a group, sorted; nothing is imported."""
    return tuple(sorted({point.name for point in metadata.entry_points(group=group)}))


def loaded(group: str, name: str) -> Any:
    """The object behind one of these names.

    Raises:
        InputError: It cannot be imported.
    """
    point = next(p for p in metadata.entry_points(group=group) if p.name == name)
    try:
        return point.load()
    except (ImportError, AttributeError) as error:
        raise InputError(
            got=f"{name!r} of {point.value} ({error})",
            expected="a package that can be imported",
            do="install it again or leave it out",
        ) from error
