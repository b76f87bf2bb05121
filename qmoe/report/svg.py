"""Drawings: SVG for the page, coloured by its CSS variables, and PDF for print."""

from __future__ import annotations

import contextlib
import html
import io
import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

# The light scheme of page.css. The page's drawings have var(--name) in their place, so that one
# drawing serves both schemes; nothing else in a drawing has these shades. Pure black would not do:
# matplotlib leaves it out of the SVG.
COLOUR = {
    "ink": "#1b1d21",
    "ink-2": "#5b6069",
    "rule": "#dcdcd6",
    "accent": "#c24400",
    "c1": "#0b66a8",
    "c2": "#007a56",
    "c3": "#84399b",
    "c4": "#856200",
    "c5": "#ad2f5b",
    "c6": "#4a5568",
    "c7": "#00768c",
}

# Told apart by the colour-blind, on white and on black (Paul Tol's "bright"); for areas, whose
# shade carries a weight as well.
AREAS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#999999")

_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.size": 8.5,
    "axes.labelsize": 8.5,
    "axes.titlesize": 8.5,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "text.color": COLOUR["ink"],
    "axes.labelcolor": COLOUR["ink"],
    "axes.edgecolor": COLOUR["ink-2"],
    "axes.linewidth": 0.7,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": COLOUR["rule"],
    "grid.linewidth": 0.6,
    "xtick.color": COLOUR["ink-2"],
    "ytick.color": COLOUR["ink-2"],
    "xtick.labelcolor": COLOUR["ink"],
    "ytick.labelcolor": COLOUR["ink"],
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
}

Draw = Callable[[Figure], None]


@dataclass(frozen=True, slots=True)
class Drawing:
    """A picture that is drawn when it is shown: as <svg> in a page, or into a PDF file.

    Attributes:
        draw: fills an empty figure.
        size: width and height in inches, of which 72 make the width of the view box in units.
        key: unique on the page, letters, digits and hyphens; every id inside begins with it.
        alt: what a reader who cannot see it is told.
    """

    draw: Draw
    size: tuple[float, float]
    key: str
    alt: str

    def __html__(self) -> str:
        """The <svg> element. Safe as it is: matplotlib escapes every text of a drawing."""
        buffer = io.StringIO()
        self._save(buffer, format="svg")
        return _inlined(buffer.getvalue(), self.key, self.alt)

    def svg(self) -> bytes:
        """A whole SVG file, in the light scheme."""
        buffer = io.BytesIO()
        self._save(buffer, format="svg")
        return buffer.getvalue()

    def pdf(self, path: Path) -> None:
        """Writes it as vectors, in the light scheme.

        Raises:
            OSError: The file cannot be written.
        """
        with path.open("wb") as file:
            self._save(file, format="pdf")

    def _save(self, file: Any, *, format: str) -> None:
        date = "Date" if format == "svg" else "CreationDate"
        # a letter that DejaVu lacks is drawn by the fonts of the page, or as a box in print
        with _style(self.key), warnings.catch_warnings():
            warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from font", UserWarning)
            figure = Figure(figsize=self.size)
            self.draw(figure)
            figure.savefig(file, format=format, transparent=True, metadata={date: None})


@contextlib.contextmanager
def _style(key: str) -> Iterator[None]:
    # The reader's own matplotlibrc must not change the page.
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update({**_STYLE, "svg.hashsalt": key})
        yield


def _inlined(text: str, key: str, alt: str) -> str:
    body = text[text.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    # Its rule for every element would reach the whole page; the page's style sheet has it.
    body = re.sub(r"<style[^>]*>.*?</style>", "", body, flags=re.DOTALL)
    box = re.search(r'viewBox="[\d. ]*"', body)
    # Only tags are rewritten, never the texts between them.
    body = re.sub(r"<[^>]+>", lambda tag: _rewritten(tag.group(), key), body)
    start = f'<svg class="plot" role="img" aria-label="{html.escape(alt)}"'
    view = f" {box.group()}" if box else ""
    body = re.sub(r"<svg[^>]*>", lambda _: f"{start}{view}>", body, count=1)
    return re.sub(r"\n\s*", "\n", body).strip()


def _rewritten(tag: str, key: str) -> str:
    tag = re.sub(r'\bid="', f'id="{key}-', tag)
    tag = tag.replace('xlink:href="#', f'href="#{key}-').replace("xlink:href=", "href=")
    tag = tag.replace("url(#", f"url(#{key}-")
    tag = re.sub(r"'DejaVu Sans'[^;\"]*", "var(--sans)", tag)
    for name, stand_in in COLOUR.items():
        tag = tag.replace(stand_in, f"var(--{name})")
    return tag
