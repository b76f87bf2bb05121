"""The first screen of a run as blocks of a title, a table and sentences; here for a terminal."""

from __future__ import annotations

import io
import textwrap
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from qmoe.columns import LIKE
from qmoe.compare import BEST_CONTROL, comparisons
from qmoe.evidence import evidence_of
from qmoe.metrics import Score
from qmoe.report.device import Devices
from qmoe.report.hardware import Hardware
from qmoe.report.headline import headline, sentence
from qmoe.report.parts import Parts
from qmoe.report.sensitivity import Sensitivity, sensitivity_lines
from qmoe.report.stored import whole_of
from qmoe.report.targets import Targets
from qmoe.report.words import FEW, ON, counted, number, source_label, typeset, written
from qmoe.results import summary, table
from qmoe.rundir import Run

WIDTH = 140
"""Of tables where no terminal says how wide it is."""

_NARROW = 12
_INDENT = 2
_GAP = 2


@dataclass(frozen=True, slots=True)
class Grid:
    """A table of texts; the first `names` columns hold names, which may be folded, not cut.

    Figures stay whole: where a console is too narrow for them, each row becomes a small list.
    """

    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    names: int = 1

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[RenderableType]:
        rows = [tuple(visible(text) for text in row) for row in self.rows]
        widths = [max(map(cell_len, column)) for column in zip(self.headers, *rows, strict=True)]
        least = [min(w, _NARROW) for w in widths[: self.names]] + widths[self.names :]
        if sum(least) + _GAP * (len(least) - 1) + _INDENT <= options.max_width:
            yield Padding(self._wide(rows, least), (0, 0, 0, _INDENT))
        else:
            for row in rows:
                yield Padding(Text(row[0], overflow="fold"), (0, 0, 0, _INDENT))
                yield Padding(self._listed(row), (0, 0, 0, 2 * _INDENT))

    def _listed(self, row: Sequence[str]) -> Table:
        """A row after its name as a list of its own: a line per column."""
        made = Table.grid(padding=(0, _GAP, 0, 0))
        made.add_column(overflow="fold")
        made.add_column(overflow="fold")
        for header, text in zip(self.headers[1:], row[1:], strict=True):
            made.add_row(Text(header), Text(text))
        return made

    def _wide(self, rows: Sequence[tuple[str, ...]], least: Sequence[int]) -> Table:
        made = Table(box=None, padding=(0, _GAP, 0, 0), pad_edge=False)
        for k, (header, width) in enumerate(zip(self.headers, least, strict=True)):
            made.add_column(Text(header), min_width=width, no_wrap=k >= self.names, overflow="fold")
        for row in rows:
            made.add_row(*(Text(text) for text in row))
        return made


@dataclass(frozen=True, slots=True)
class Line:
    """A line of running text, broken at plain spaces only: rich would break figures apart."""

    text: str
    style: str = ""

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[RenderableType]:
        for part in textwrap.wrap(visible(self.text), options.max_width) or [""]:
            yield Text(part, self.style, overflow="fold")


@dataclass(frozen=True, slots=True)
class Block:
    """A title, a table and sentences about the same; the table may be missing."""

    title: str
    grid: Grid | None
    sentences: tuple[str, ...]


def as_text(run: Run, width: int = WIDTH) -> str:
    """The same as text: tables at most `width` wide where their figures allow, sentences whole."""
    return text_of(blocks(run), width)


def rendered(found: Iterator[Block]) -> Iterator[RenderableType]:
    """Blocks for a console, an empty line after each; nothing in them is read as markup."""
    for block in found:
        yield Line(block.title, "bold")
        if block.grid is not None:
            yield block.grid
        yield from map(Line, block.sentences)
        yield Line("")


def text_of(found: Iterator[Block], width: int = WIDTH) -> str:
    """Blocks as plain text; titles and sentences stay on one line, for what reads lines."""
    lines = []
    for each in rendered(found):
        if isinstance(each, Line):
            lines.append(visible(each.text))
            continue
        console = Console(
            file=io.StringIO(), width=width, color_system=None, force_jupyter=False, _environ={}
        )
        with console.capture() as shown:
            console.print(each)
        lines += [line.rstrip() for line in shown.get().splitlines()]
    return "\n".join(lines)


def blocks(run: Run) -> Iterator[Block]:
    """One block per group of routers, then one per part of the run that a first screen has.

    A run with more than `FEW` groups leaves the tables of the routers to its page.

    Raises:
        InputError: the run is damaged.
    """
    if run.records:
        yield from _groups(run)
    parts = Parts.of(evidence_of(run))
    yield from (_targets(found) for found in parts.targets)
    if parts.devices is not None:
        yield _devices(parts.devices)
    if parts.sensitivity is not None:
        yield _sensitivity(parts.sensitivity)
    yield from (_hardware(found) for found in parts.hardware)


def verdict_lines(compared: pd.DataFrame) -> Iterator[str]:
    """A line per verdict of `comparisons`; those alike in word and reason share one."""
    registered = compared[compared["control"] == BEST_CONTROL]
    judged = compared[compared["verdict"] != ""] if registered.empty else registered
    alike: dict[str, list[str]] = {}
    for row in judged.itertuples():
        names = alike.setdefault(sentence(str(row.verdict), str(row.reason)), [])
        if row.router not in names:
            names.append(str(row.router))
    for text, names in alike.items():
        yield f"{', '.join(names)}: {text}"


def visible(text: str) -> str:
    r"""A text in which control and direction characters are written out, as terminals obey them.

    >>> visible("a\x1b[2Jb\n")
    'a\\x1b[2Jb\\n'
    """
    if text.isprintable():
        return text
    hidden = ("Cc", "Cf", "Cs", "Zl", "Zp")
    return "".join(
        c.encode("unicode_escape").decode() if unicodedata.category(c) in hidden else c
        for c in text
    )


def _groups(run: Run) -> Iterator[Block]:
    frame = table(run.records)
    groups = summary(frame).groupby(LIKE, sort=False)
    for names, rows in groups:
        group = frame[(frame[LIKE] == list(names)).all(axis=1)]
        compared = comparisons(group)
        said = headline(rows, group, compared)
        told = [] if said is None else [said.sentence, *([said.compared] if said.compared else [])]
        yield Block(
            _group_title(dict(zip(LIKE, names, strict=True)), rows),
            _routers(rows) if len(groups) <= FEW else None,
            (*told, *verdict_lines(compared)),
        )


def _group_title(like: dict[str, object], rows: pd.DataFrame) -> str:
    first = rows.iloc[0]
    experts = f", {counted(int(first['experts']), 'expert')}" if first["experts"] else ""
    return (
        f"{like['dataset']}{experts}, protocol {like['protocol']}: accuracy on "
        f"{ON[first['accuracy_on']]}, {counted(int(first['seeds']), 'seed')} "
        f"({like['population']}), {like['source']}"
    )


def _routers(rows: pd.DataFrame) -> Grid:
    made = []
    for _, row in rows.iterrows():
        score = Score(*(float(row[f"accuracy{end}"]) for end in ("", "_low", "_high")))
        made.append((str(row["router"]), written(score), f"{row['router_parameters']:,}"))
    return Grid(("router", "accuracy, 95 % interval", "parameters"), tuple(made))


def _targets(found: Targets) -> Block:
    ran = [row for row in found.rows if row.ran]
    headers = ("target", "source", "accuracy", "R", "TV", "floor", "top-1", "two-qubit")
    rows = tuple(
        (
            row.name,
            source_label(row.source),
            written(row.accuracy),
            number(row.retention.value, ".2f"),
            number(row.distance.value),
            number(row.floor) if row.shots else "exact",
            number(row.agreement.value, ".2f"),
            number(row.two_qubit_gates, ".0f"),
            number(row.depth, ".0f"),
        )
        for row in ran
    )
    return Block(
        f"{found.router}, seed {found.seed}, on "
        f"{counted(len({row.target for row in found.rows}), 'target')}: "
        f"{counted(found.inputs, 'test input')} of {found.dataset}, "
        f"{counted(found.shots, 'shot')} each",
        Grid((*headers, "depth"), rows, names=2) if rows else None,
        tuple(f"{row.name}: {row.note}" for row in found.rows if not row.ran),
    )


def _devices(found: Devices) -> Block:
    ran = [target for target in found.targets if not target.note]
    rows = tuple(
        (
            target.target,
            written(raw.accuracy),
            number(target.exact.value),
            number(raw.retention.value, ".2f"),
            number(raw.distance.value),
            number(target.floor),
        )
        for target in ran
        for raw in target.rows[:1]
    )
    said = [f"{target.target}: {target.note}" for target in found.targets if target.note]
    for target in ran:
        said += [
            f"{target.target}: device minus exact: {typeset(target.verdict)}",
            f"{target.target}: by accuracy: {target.by_accuracy}",
            f"{target.target}: by total variation: {target.by_distance}",
        ]
    return Block(
        f"{counted(found.routers, 'router')} {found.router} on emulated devices: "
        f"{counted(found.inputs, 'test input')} of {found.dataset}, "
        f"{counted(found.shots, 'shot')} each, whatever the treatment",
        Grid(("target", "accuracy", "exact", "R", "TV", "floor"), rows),
        tuple(said),
    )


def _sensitivity(found: Sensitivity) -> Block:
    title, *lines = sensitivity_lines(found)
    return Block(title, None, tuple(line.strip() for line in lines))


def _hardware(found: Hardware) -> Block:
    at = found.labels
    rows = tuple(
        (
            row.name,
            written(row.accuracy),
            number(row.exact),
            number(row.retention.value, ".2f"),
            number(row.distance.value),
            number(row.floor),
        )
        for row in found.treatments
    )
    return Block(
        f"{at['suite']} on {at['target']} ({at['source'] or 'nothing collected'}): "
        f"{counted(whole_of(at['routers']), 'router')}, {at['inputs']} inputs each",
        Grid(("treatment", "accuracy", "exact", "R", "TV", "floor"), rows) if rows else None,
        (f"device minus exact: {typeset(found.verdict)}",),
    )
