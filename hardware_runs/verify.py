"""A bundle checked: its digests, and every figure computed again from its raw counts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hardware_runs.bundle import figures, unpack
from qmoe.errors import InputError, QmoeError

CLOSE = 1e-9
"""How far figures may differ between machines."""
HUGE = 10**300  # a whole number beyond that has no float
SHOWN = 10
_LATER = re.compile(r"/by_router/\d+/(fidelity|loads|confusion)(/|$)")  # not in older bundles
_SENSELESS = (ArithmeticError, AttributeError, LookupError, MemoryError, TypeError, ValueError)


@dataclass(frozen=True, slots=True)
class Verified:
    """What checking a bundle found: how many figures, and those that differ."""

    plan: str
    target: str
    sources: tuple[str, ...]
    figures: int
    differences: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "plan": self.plan,
            "target": self.target,
            "sources": list(self.sources),
            "figures": self.figures,
            "differences": list(self.differences),
        }

    def lines(self) -> Iterator[str]:
        """What a person reads."""
        where = ", ".join(self.sources) or "nothing collected"
        about = " ".join(f"plan {self.plan} on {self.target} ({where})".split())  # not trusted
        yield f"{about}: {self.figures} figures recomputed"
        for line in self.differences[:SHOWN]:
            yield f"differs: {line}"
        if not self.differences:
            yield "all of them agree"

    def check(self) -> None:
        """Nothing, if all figures agree.

        Raises:
            QmoeError: Some differ.
        """
        if self.differences:
            raise QmoeError(
                f"{len(self.differences)} of {self.figures} figures differ, "
                f"first {self.differences[0]}"
            )


def verify(path: Path) -> Verified:
    """Computes every figure of a bundle again.

    Raises:
        InputError: No bundle, or one that was altered.
    """
    records, stated = unpack(path)
    try:
        computed = figures(records)
    except QmoeError:
        raise
    except _SENSELESS as error:  # its parts are sound, but do not belong together
        raise InputError(
            got=f"bundle {path} whose counts cannot be scored ({type(error).__name__})",
            expected="what `qmoe hardware export --bundle` wrote",
            do="copy it again",
        ) from error
    found = dict(_leaves(computed, ""))
    told = dict(_leaves(stated, ""))
    if not any(map(_LATER.search, told)):  # written before these were computed
        found = {name: value for name, value in found.items() if not _LATER.search(name)}
    differences = [
        f"{name}: stated {told.get(name)!r}, found {found.get(name)!r}"
        for name in sorted({*found, *told})
        if not _agree(found.get(name), told.get(name))
    ]
    return Verified(
        plan=records.plan.id,
        target=records.plan.target,
        sources=records.sources,
        figures=len(found),
        differences=tuple(differences),
    )


def _leaves(tree: Any, name: str) -> Iterator[tuple[str, Any]]:
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from _leaves(value, f"{name}/{key}")
    elif isinstance(tree, list):
        yield f"{name}/length", len(tree)
        for number, value in enumerate(tree):
            yield from _leaves(value, f"{name}/{number}")
    else:
        yield name, tree


def _agree(a: Any, b: Any) -> bool:
    if _number(a) and _number(b):
        return bool(abs(a - b) <= CLOSE)
    return bool(a == b)


def _number(value: Any) -> bool:
    known = isinstance(value, (int, float)) and not isinstance(value, bool)
    return known and abs(value) < HUGE
