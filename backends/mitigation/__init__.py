"""Error mitigation by name: `readout`, `zne,fit=linear,scales=1/3`, `readout+zne`, ...

Each is a pair of `expand` and `combine`, so that circuits can be submitted now and their results
combined days later. Nothing here imports mitiq or an SDK before it is used.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import cast

from backends.mitigation.base import Chain, Job, Mitigation, Plain, Run, Values, project
from qmoe.errors import InputError, unknown

__all__ = ["Chain", "Job", "Mitigation", "Plain", "Run", "Values", "load", "project"]

MODULES: Mapping[str, str] = MappingProxyType(
    {
        "readout": "backends.mitigation.readout",
        "zne": "backends.mitigation.zne",
        "rescale": "backends.mitigation.rescale",
        "twirl": "backends.mitigation.twirl",
        "pec": "backends.mitigation.pec",
    }
)
GROUPS: Mapping[str, str] = MappingProxyType(
    {"mitiq": "backends.mitigation.mitiq_bridge", "ibm": "backends.mitigation.vendor"}
)
"""Families of names behind a dot; their `make` takes the name too."""

NAMES = ("none", *MODULES, "mitiq.NAME", "ibm.dd", "ibm.twirl")


def load(text: str) -> Mitigation:
    """The mitigation that a text names: steps `name,key=value` joined by `+`.

    Raises:
        InputError: An unknown name or option, a value that cannot be, or steps in a wrong order.

    >>> load("none").name
    'none'
    """
    steps = tuple(_step(part.strip(), text) for part in text.split("+"))
    if len(steps) == 1:
        return steps[0]
    if any(step.name == "none" for step in steps):
        raise InputError(
            got=f"mitigation {text!r}", expected="none alone, or steps", do="leave none out"
        )
    return Chain(steps)


def _step(part: str, text: str) -> Mitigation:
    name, *pairs = part.split(",")
    options: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = (word.strip() for word in pair.partition("="))
        if not (key and equals and value) or key in options:
            raise InputError(
                got=f"{pair!r} in mitigation {text!r}",
                expected="key=value, each key once",
                do="write name,key=value",
            )
        options[key] = value
    if name == "none":
        if options:
            raise unknown("option of none", next(iter(options)), ())
        return Plain()
    if name in MODULES:
        return cast(Mitigation, import_module(MODULES[name]).make(options))
    group, dot, rest = name.partition(".")
    if dot and group in GROUPS:
        return cast(Mitigation, import_module(GROUPS[group]).make(rest, options))
    raise unknown("mitigation", name, NAMES)
