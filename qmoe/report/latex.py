r"""LaTeX: texts escaped, tables as booktabs, for documents in T1 with input in UTF-8."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Final

from qmoe.report.cells import Column, Shown
from qmoe.report.rich_tables import visible

WIDEST: Final = 34
"""Characters of a cell beyond which a column of texts is broken into lines."""
HIGHEST: Final = 52
"""Lines of one page; a longer table goes on in another."""

# Braces as commands, so that BibTeX too finds them balanced; brackets and asterisks in braces, as
# a row that begins with one would be read as an argument of the line's end before it.
_SPECIAL: Final = {
    "\\": r"\textbackslash{}",
    "{": r"\textbraceleft{}",
    "}": r"\textbraceright{}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "'": r"\textquotesingle{}",
    "`": r"\textasciigrave{}",
    "[": "{[}",
    "]": "{]}",
    "*": "{*}",
    "\xa0": "~",
    "−": "$-$",
    "±": r"$\pm$",
    "×": r"$\times$",
    "÷": r"$\div$",
    "√": r"$\surd$",
    "Σ": r"$\Sigma$",
    "λ": r"$\lambda$",
    "°": r"\textdegree{}",
    "·": r"\textperiodcentered{}",
    "–": r"\textendash{}",
    "—": r"\textemdash{}",
    "…": r"\dots{}",
    "‘": r"\textquoteleft{}",
    "’": r"\textquoteright{}",
    "“": r"\textquotedblleft{}",
    "”": r"\textquotedblright{}",
}
# Letters of Latin-1 and Latin Extended-A, less those that T1 has not.
_LETTERS: Final = frozenset(map(chr, range(0xC0, 0x17F))) - frozenset("×÷ĦħĸĿŀŉŦŧ")
# What T1 joins into another sign: dashes, and low quotes.
# Words longer than this may be broken after as many characters, without a hyphen.
_WORD: Final = 30
_JOINED = re.compile(r"([-,])(?=\1)")


def escaped(text: str) -> str:
    r"""A text that LaTeX shows as it is; a character that T1 has not, by its code.

    >>> print(escaped("50% of a_b -- \\input{x} [日]"))
    50\% of a\_b -{}- \textbackslash{}input\textbraceleft{}x\textbraceright{} {[}{[}U+65E5{]}{]}
    """
    plain = unicodedata.normalize("NFC", visible(text))
    return _JOINED.sub(r"\1{}", " ".join(map(_word, plain.split(" "))))


def booktabs(table: Shown) -> str:
    r"""A table in a float as wide as the page, or several where it is longer than one.

    It needs the packages booktabs, array and graphicx. Its label is `tab:` and the table's key,
    in later parts with a hyphen and their number.
    """
    parts = list(_parts(table.rows))
    texts = []
    for place, rows in enumerate(parts, start=1):
        title = table.title if place == 1 else f"{table.title}, continued"
        label = table.key if place == 1 else f"{table.key}-{place}"
        told = f" {table.note} Source: {table.source}." if place == 1 else ""
        texts.append(_float(table.head, rows, f"{title}.{told}", label, table.rows))
    return "\n".join(texts)


def _word(text: str) -> str:
    pieces = (text[start : start + _WORD] for start in range(0, len(text), _WORD))
    return r"\allowbreak{}".join("".join(map(_shown, piece)) for piece in pieces)


def _shown(character: str) -> str:
    if character in _SPECIAL:
        return _SPECIAL[character]
    if character.isascii() or character in _LETTERS:
        return character
    return f"{{[}}U+{ord(character):04X}{{]}}"


def _parts(rows: Sequence[tuple[str, ...]]) -> Iterator[list[tuple[str, ...]]]:
    """Rows in parts that fit a page; one empty part where there are none."""
    part: list[tuple[str, ...]] = []
    lines = 0
    for row in rows:
        high = max((math.ceil(len(cell) / WIDEST) for cell in row), default=1)
        if part and lines + high > HIGHEST:
            yield part
            part, lines = [], 0
        part.append(row)
        lines += high
    yield part


def _float(
    head: Sequence[Column],
    rows: Sequence[tuple[str, ...]],
    caption: str,
    label: str,
    every: Sequence[tuple[str, ...]],
) -> str:
    # all parts of a table have equal columns
    places = "".join(_side(column, [row[i] for row in every]) for i, column in enumerate(head))
    names = [_line([column.name for column in head])]
    if any(column.unit for column in head):
        names.append(_line([column.unit for column in head]))
    # a table wider than the page is made smaller, no other one is
    fit = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"
    lines = [
        r"\begin{table*}[tbp]",
        r"\centering\footnotesize\setlength{\tabcolsep}{4pt}",
        rf"\caption{{{escaped(caption)}}}\label{{tab:{label}}}",
        fit,
        rf"\begin{{tabular}}{{@{{}}{places}@{{}}}}",
        *(r"\toprule", *names, r"\midrule", *map(_line, rows), r"\bottomrule"),
        r"\end{tabular}}",
        r"\end{table*}",
    ]
    return "\n".join(lines) + "\n"


def _side(column: Column, cells: Sequence[str]) -> str:
    if column.right:
        return "r"
    long = max(map(len, cells), default=0) > WIDEST
    return r">{\raggedright\arraybackslash}p{4.6cm}" if long else "l"


def _line(cells: Sequence[str]) -> str:
    return " & ".join(map(escaped, cells)) + r" \\"
