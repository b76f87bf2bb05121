"""Functions named by their dotted path, imported when they are called for.

The core names steps of the rooms above it by text alone, so that it imports none of them.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from qmoe.errors import InputError

ROOMS = ("qmoe.", "backends.", "hardware_runs.")


def named(dotted: str) -> Any:
    """The function behind `module:function`, in a room of this project.

    Raises:
        InputError: A module of something else.
    """
    module, _, name = dotted.partition(":")
    if not module.startswith(ROOMS):
        raise InputError(
            got=f"step {dotted!r}", expected="a function of this project", do="correct it"
        )
    return getattr(import_module(module), name)
