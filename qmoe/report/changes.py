"""What changed between two runs: by how much, and whether that is more than chance explains."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, NamedTuple

import pandas as pd

from qmoe.errors import InputError
from qmoe.evidence import evidence_of
from qmoe.provenance import Provenance
from qmoe.record import Scalar
from qmoe.report.change_parts import (
    HIGHER,
    LOWER,
    NO_CHANGE,
    UNCHANGED,
    WORDS,
    Change,
    Found,
    figure,
    figures,
    router,
    routers,
    run_targets,
    target,
)
from qmoe.report.files import csv, write_files
from qmoe.report.page import environment
from qmoe.report.rich_tables import Block, Grid
from qmoe.report.words import counted, number, written
from qmoe.rundir import Run
from qmoe.stats import ALPHA, holm

PAGE: Final = "changes.html"
MOST_NAMED: Final = 8
"""Of what only one run has, how much a terminal names."""


class Apart(NamedTuple):
    """Something of the two runs' origin that differs."""

    what: str
    a: str
    b: str


@dataclass(frozen=True, slots=True)
class Changes:
    """Two runs beside each other: figures that both have, and what only one of them has."""

    a: Run
    b: Run
    changes: tuple[Change, ...]
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]
    apart: tuple[Apart, ...]

    @property
    def tested(self) -> int:
        """How many figures were tested."""
        return sum(change.p is not None for change in self.changes)

    @property
    def words(self) -> list[tuple[str, int]]:
        """How often each word was given."""
        counts = Counter(change.word for change in self.changes)
        return [(word, counts[word]) for word in WORDS if counts[word]]

    @property
    def note(self) -> str:
        """How to read it."""
        return (
            "Differences are B minus A. Seeds that saw the same data are paired; intervals are at "
            f"95 % and each stands for itself, p is adjusted by Holm over the "
            f"{counted(self.tested, 'figure')} tested, and {HIGHER} or {LOWER} means p < "
            f"{ALPHA:g}. These words are not the verdicts of a registered comparison: they say "
            "that a figure of two runs differs, not that it matters."
        )


def changes(a: Run, b: Run) -> Changes:
    """What differs from run `a` to run `b`.

    - Accuracies of routers with equal names (`qmoe.columns.LIKE`): paired where at least two seeds
      are in both and every one of these saw the same data, else Welch's test.
    - Targets with equal names, mitigation, source, router, inputs and shots: shares of right
      answers; the total variation is described only.
    - Figures of the studies `device` and `hardware`: paired over routers where they have a value
      for each, and described elsewhere.

    Figures that are equal value by value are unchanged, and no part of the Holm family.

    Raises:
        InputError: A run is damaged, or they have no figure in common.
    """
    first, second = evidence_of(a), evidence_of(b)
    kinds: tuple[tuple[Iterator[Found], Iterator[Found], Callable[..., Iterator[Change]]], ...] = (
        (routers(a.records), routers(b.records), router),
        (run_targets(first), run_targets(second), target),
        (figures(first, "device"), figures(second, "device"), figure),
        (figures(first, "hardware"), figures(second, "hardware"), figure),
    )
    found: list[Change] = []
    only_a: list[str] = []
    only_b: list[str] = []
    for of_a, of_b, change in kinds:
        ones, twos = list(of_a), list(of_b)
        pairs = _matched(ones, twos)
        found += [each for one, two in pairs for each in change(one, two)]
        only_a += _alone(ones, {one.text for one, _ in pairs})
        only_b += _alone(twos, {two.text for _, two in pairs})
    if not found:
        raise InputError(
            got=f"runs {a.id} and {b.id} without a figure in common",
            expected="routers, targets or experiments of equal names in both",
            do="compare runs of one suite, or show both with: qmoe report A B",
        )
    apart = tuple(_apart(a, b))
    return Changes(a, b, tuple(_worded(found)), tuple(only_a), tuple(only_b), apart)


def change_blocks(found: Changes) -> Iterator[Block]:
    """What changed, for a terminal: a block per group, with what did not change named below."""
    total = counted(len(found.changes), "figure")
    told = "; ".join(f"{word}: {times}" for word, times in found.words)
    yield Block(
        f"From run {found.a.id} (A) to run {found.b.id} (B), {total} in both. {told}",
        None,
        (found.note,),
    )
    for group in dict.fromkeys((c.kind, c.group) for c in found.changes):
        rows = [c for c in found.changes if (c.kind, c.group) == group]
        differ = [c for c in rows if c.word != UNCHANGED]
        alike = ", ".join(_name(c) for c in rows if c.word == UNCHANGED)
        alike = alike if differ else f"all {counted(len(rows), 'figure')}"
        notes = tuple(f"{_name(c)}: {c.note}" for c in rows if c.note)
        said = (f"Unchanged: {alike}",) if alike else ()
        yield Block(group[1], _grid(differ) if differ else None, (*said, *notes))
    for side, names in (("A", found.only_a), ("B", found.only_b)):
        if names:
            left = len(names) - MOST_NAMED
            more = (f"and {left} more",) if left > 0 else ()
            title = f"Only in {side}: {len(names)}"
            yield Block(title, None, (*(f"  {name}" for name in names[:MOST_NAMED]), *more))
    if found.apart:
        grid = Grid(("what", "A", "B"), tuple(map(tuple, found.apart)), names=3)
        yield Block("Provenance that differs", grid, ())


def changes_table(found: Changes) -> pd.DataFrame:
    """The changes for other programs: one row per figure."""
    rows = [
        {
            "kind": change.kind,
            "group": change.group,
            "name": change.name,
            "figure": change.figure,
            "a": change.a,
            "b": change.b,
            "basis": change.basis,
            "difference": change.difference.value,
            "difference_low": change.difference.low,
            "difference_high": change.difference.high,
            "p": math.nan if change.p is None else change.p,
            "p_holm": math.nan if change.adjusted is None else change.adjusted,
            "word": change.word,
            "note": change.note,
        }
        for change in found.changes
    ]
    return pd.DataFrame(rows)


def changes_json(found: Changes) -> dict[str, Any]:
    """Everything as JSON values; what is not known is None."""
    return {
        "a": found.a.id,
        "b": found.b.id,
        "note": found.note,
        "changes": [
            {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in row.items()}
            for row in changes_table(found).to_dict(orient="records")
        ],
        "only_a": list(found.only_a),
        "only_b": list(found.only_b),
        "provenance": [each._asdict() for each in found.apart],
    }


def write_changes(found: Changes, out: Path) -> Path:
    """Writes changes.csv and a page that loads nothing into a folder; returns the page's path.

    Raises:
        InputError: The folder cannot be written.
    """
    template = environment().get_template("changes.html.j2")
    groups = [
        (kind, group, [c for c in found.changes if (c.kind, c.group) == (kind, group)])
        for kind, group in dict.fromkeys((c.kind, c.group) for c in found.changes)
    ]
    page = template.render(found=found, groups=groups, p_text=p_text)
    write_files({"changes.csv": csv(changes_table(found)), PAGE: page.encode()}, out)
    return out / PAGE


def p_text(p: float | None) -> str:
    """A p as it is shown; an en dash where there is none.

    >>> p_text(0.00001), p_text(0.0312), p_text(None)
    ('< 0.0001', '0.031', '–')
    """
    return "–" if p is None else "< 0.0001" if p < 1e-4 else number(p, ".2g")


def _grid(rows: Sequence[Change]) -> Grid:
    headers = ("name", "change", "A", "B", "B − A, 95 % interval", "p, Holm")
    lines = tuple(
        (
            _name(change),
            f"{change.word} ({change.basis})",
            number(change.a),
            number(change.b),
            written(change.difference, "+.4f"),
            p_text(change.adjusted),
        )
        for change in rows
    )
    return Grid(headers, lines, names=2)


def _name(change: Change) -> str:
    return change.name if change.figure == "accuracy" else f"{change.name}, {change.figure}"


def _matched(ones: Sequence[Found], twos: Sequence[Found]) -> list[tuple[Found, Found]]:
    """Pairs of equal keys; where a run has several of one key, only those equal within."""
    of_a, of_b = _by_key(ones), _by_key(twos)
    pairs: list[tuple[Found, Found]] = []
    for key, mine in of_a.items():
        other = of_b.get(key, {})
        if len(mine) == len(other) == 1:
            pairs += zip(mine.values(), other.values(), strict=True)
        else:
            pairs += [(mine[within], other[within]) for within in mine if within in other]
    return pairs


def _alone(found: Sequence[Found], shared: set[str]) -> Iterator[str]:
    return (text for text in dict.fromkeys(each.text for each in found) if text not in shared)


def _by_key(found: Sequence[Found]) -> dict[tuple[Scalar, ...], dict[str, Found]]:
    by_key: dict[tuple[Scalar, ...], dict[str, Found]] = {}
    for each in found:
        by_key.setdefault(each.key, {}).setdefault(each.within, each)
    return by_key


def _worded(found: Sequence[Change]) -> Iterator[Change]:
    """The changes with their adjusted p and the words that follow."""
    steps = iter(holm([change.p for change in found if change.p is not None], ALPHA))
    for change in found:
        if change.p is None:
            yield change
            continue
        p = next(steps).p
        side = HIGHER if change.difference.value > 0 else LOWER
        yield replace(change, adjusted=p, word=side if p < ALPHA else NO_CHANGE)


def _apart(a: Run, b: Run) -> Iterator[Apart]:
    def facts(run: Run) -> Mapping[str, str]:
        made: Provenance = run.provenance
        return {
            "suite": run.suite,
            "command": made.command,
            "qmoe": made.qmoe,
            "commit": made.commit or "",
            "uncommitted changes": {None: "unknown", True: "yes", False: "no"}[made.dirty],
            "root seed": str(made.seed),
            "machine": made.platform,
            "threads": str(made.threads or ""),
            "python": made.python,
            **dict(sorted(made.versions.items())),
            "created": made.created,
        }

    of_a, of_b = facts(a), facts(b)
    for what in dict.fromkeys((*of_a, *of_b)):
        if of_a.get(what, "") != of_b.get(what, ""):
            yield Apart(what, of_a.get(what, ""), of_b.get(what, ""))
