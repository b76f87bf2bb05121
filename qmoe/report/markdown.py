"""Markdown: a report's texts and tables for GitHub and whatever else reads that dialect."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from qmoe.report.cells import Shown
from qmoe.report.rich_tables import visible

# Entities where a backslash would not do everywhere: not all renderers know \< and \|.
_ENTITIES: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&#124;"}
_BACKSLASHED: Final = "\\`*_{}[]#~!$@"
_ESCAPES: Final = str.maketrans(_ENTITIES | {mark: f"\\{mark}" for mark in _BACKSLASHED})
_LINKS = re.compile(r":(?=//)|(?<=www)\.", re.IGNORECASE)
# What begins a list, a rule or an underlined title at the start of a line.
_BLOCK = re.compile(r"^([-+=]|\d+(?=[.)]))")


def markdown(title: str, lines: Sequence[str], tables: Sequence[Shown]) -> str:
    """A document: the title, each line as a paragraph, and each table under its own title.

    Everything shows as text, whatever it looks like; control and direction characters are written
    out as in a terminal.
    """
    blocks = [f"# {escaped(title)}", *(_paragraph(line) for line in lines)]
    for table in tables:
        blocks += [f"## {escaped(table.title)}", _paragraph(table.note), table_of(table)]
        blocks.append(_paragraph(f"Source: {table.source}." if table.source else ""))
    return "\n\n".join(block for block in blocks if block) + "\n"


def table_of(table: Shown) -> str:
    """A table alone, figures on the right where their column says so."""
    lines = [
        _row([column.text for column in table.head]),
        "|" + "|".join("---:" if column.right else ":---" for column in table.head) + "|",
        *map(_row, table.rows),
    ]
    return "\n".join(lines)


def escaped(text: str) -> str:
    r"""A text that Markdown shows as it is, on one line.

    >>> escaped("<b>`a|b`</b> [x](http://y) fake_boston")
    '&lt;b&gt;\\`a&#124;b\\`&lt;/b&gt; \\[x\\](http\\://y) fake\\_boston'
    """
    plain = visible(text).translate(_ESCAPES)
    return _LINKS.sub(lambda match: f"\\{match.group()}", plain)


def _paragraph(text: str) -> str:
    plain = escaped(text).strip()
    return _BLOCK.sub(_broken, plain)


def _broken(match: re.Match[str]) -> str:
    start = match.group()
    return f"{start}\\" if start.isdigit() else f"\\{start}"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(escaped(cell) for cell in cells) + " |"
