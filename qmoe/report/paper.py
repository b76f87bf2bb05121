"""A report for a paper: tables, vector figures, methods and references, and a document of them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from qmoe.report.bibliography import Entry, bibliography, bibtex
from qmoe.report.content import Content
from qmoe.report.labels import shortened
from qmoe.report.latex import booktabs, escaped
from qmoe.report.methods import methods
from qmoe.report.pdf import at_width
from qmoe.report.shown import Shown, tables_of
from qmoe.report.svg import Drawing

MAIN: Final = "main.tex"
COLUMN: Final = 3.4
"""Inches: the width of every figure, and of a column of the document."""
LONGEST: Final = 600
"""Characters of a figure's caption, whose drawing may tell every number."""
_TOGETHER: Final = 8

_START: Final = r"""% Written by qmoe. It needs LaTeX with booktabs (Debian: texlive-latex-base,
% texlive-latex-recommended) and is compiled by: pdflatex main, bibtex main, pdflatex main, twice.
\documentclass[twocolumn]{article}
\usepackage[T1]{fontenc}
\usepackage[utf8]{inputenc}
\usepackage{textcomp}
\IfFileExists{lmodern.sty}{\usepackage{lmodern}}{}
\usepackage[textwidth=7in,textheight=9.4in,columnsep=0.2in]{geometry}
\usepackage{array,booktabs,graphicx}
\begin{document}
"""
_END: Final = r"""\clearpage
\bibliographystyle{plain}
\bibliography{references}
\end{document}
"""


@dataclass(frozen=True, slots=True, eq=False)
class Paper:
    """What a paper has of a report.

    `methods` is one paragraph of plain text, `commands` are the shell lines that made the figures.
    """

    title: str
    tables: tuple[Shown, ...]
    drawings: tuple[Drawing, ...]
    methods: str
    entries: tuple[Entry, ...]
    commands: tuple[str, ...]

    @classmethod
    def of(cls, content: Content) -> Paper:
        """The paper of a report's content."""
        return cls(
            f"Results of {', '.join(run.id for run in content.runs)}",
            tables_of(content),
            tuple(drawings_of(content)),
            methods(content),
            bibliography(content),
            content.commands,
        )

    def files(self) -> dict[str, bytes]:
        """Every file by its name.

        Raises:
            ValueError: Two tables, or two drawings, have one key.
        """
        for keys in ([t.key for t in self.tables], [d.key for d in self.drawings]):
            if len(set(keys)) < len(keys):
                raise ValueError(f"got one key twice in {keys}; expected a key each")
        files = {f"tables/{table.key}.tex": booktabs(table).encode() for table in self.tables}
        with tempfile.TemporaryDirectory() as folder:
            for drawing in self.drawings:
                path = Path(folder) / f"{drawing.key}.pdf"
                drawing.pdf(path)
                files[f"figures/{path.name}"] = at_width(path.read_bytes(), 72 * COLUMN)
        files["methods.tex"] = _methods(self.methods, self.entries).encode()
        files["references.bib"] = bibtex(self.entries).encode()
        files[MAIN] = _main(self).encode()
        return files


def write_paper(content: Content, out: Path) -> tuple[Path, ...]:
    """Writes what a paper needs of a report into a folder, made if need be; returns the paths.

    `tables/*.tex` (booktabs), `figures/*.pdf` (vectors, `COLUMN` inches wide), `methods.tex`,
    `references.bib`, and `main.tex`, which has all of them. Equal content gives equal files. Those
    of an earlier report are replaced, each at once; whatever else lies there stays as it is.

    Raises:
        InputError: The folder cannot be written.
    """
    from qmoe.report.files import write_files  # files.py writes this as a part of its report

    files = Paper.of(content).files()
    write_files(files, out)
    return tuple(out / name for name in files)


def drawings_of(content: Content) -> Iterator[Drawing]:
    """Every drawing of a report, in the order of its page."""
    for section, panel in ((s, panel) for s in content.sections for panel in s.panels):
        # on the page they stand below this as a title
        where = f"{panel.title}, {section.protocol} protocol, {panel.source}, run {section.run}."
        cards = (card.figure for card in (*panel.curves, *panel.maps))
        for drawing in (*panel.costs, panel.load, panel.search, *cards):
            if drawing is not None:
                yield replace(drawing, alt=f"{where} {drawing.alt}")
    parts = content.parts
    for pictures in content.pictured.values():
        yield from pictures.drawings
    for grid in parts.volumetric.grids if parts.volumetric else ():
        if grid.drawing is not None:
            yield grid.drawing
    for _, row in parts.noise.rows if parts.noise else ():
        yield from (multiple.figure for multiple in row)
    for each in content.experiments.values():
        yield from each.drawings


def _methods(told: str, entries: Sequence[Entry]) -> str:
    text = escaped(told)
    if entries:
        keys = ",".join(entry.key for entry in entries)
        text += f" Model, software and targets: \\cite{{{keys}}}."
    return text + "\n"


def _main(paper: Paper) -> str:
    lines = [f"\\title{{{escaped(paper.title)}}}", r"\author{}", r"\date{}", r"\maketitle"]
    lines += [r"\section*{Methods}", r"\sloppy", r"\input{methods}"]
    if paper.commands:
        lines += [r"\section*{Commands}", r"\begin{itemize}\raggedright"]
        lines += [f"\\item {{\\ttfamily {escaped(command)}}}" for command in paper.commands]
        lines.append(r"\end{itemize}")
    floats = [f"\\input{{tables/{table.key}}}" for table in paper.tables]
    floats += map(_figure, paper.drawings)
    return _START + "\n".join([*lines, *_spread(floats)]) + "\n" + _END


def _figure(drawing: Drawing) -> str:
    return "\n".join(
        (
            r"\begin{figure}[tbp]",
            rf"\centering\includegraphics{{figures/{drawing.key}.pdf}}",
            rf"\caption{{{escaped(shortened(drawing.alt, LONGEST))}}}\label{{fig:{drawing.key}}}",
            r"\end{figure}",
        )
    )


def _spread(floats: Sequence[str]) -> Iterator[str]:
    """Floats with a new page after a few, as LaTeX holds back only so many."""
    for place, text in enumerate(floats, start=1):
        yield text
        if place % _TOGETHER == 0:
            yield r"\clearpage"
