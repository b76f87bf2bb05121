"""What every drawing must hold: well-formed, readable in the smallest card, nothing cut off."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from qmoe.report.page import environment
from qmoe.report.svg import Drawing, _style

HARMFUL = "<script>alert(1)</script> & $\\frac{1}{0}$ \\textbf{}"
LONG = "a name that goes on and on, far longer than any card of the page is wide, to its end"
# CSS pixels: the smallest card, and the smallest letters on it.
_CARD, _LEAST = 330, 8.0


def canvas(drawing: Drawing) -> Figure:
    """The drawing on a canvas whose layout is known."""
    with _style(drawing.key):
        figure = Figure(figsize=drawing.size, dpi=72)
        FigureCanvasAgg(figure)
        drawing.draw(figure)
        figure.canvas.draw()
    return figure


def texts(figure: Figure) -> list[tuple[str, Bbox]]:
    """The texts that are drawn, with their places in units of the drawing."""
    renderer = figure.canvas.get_renderer()
    return [(text.get_text(), Text.get_window_extent(text, renderer)) for text in _shown(figure)]


def _shown(figure: Figure) -> list[Text]:
    # ticks beyond the ends of an axis exist, but nobody sees them
    beyond = {
        id(label)
        for axes in figure.axes
        for side, axis in enumerate((axes.xaxis, axes.yaxis))
        for label in axis.get_majorticklabels()
        if not _between(label.get_position()[side], axis.get_view_interval())
    }
    found = (text for text in figure.findobj(Text) if text.get_visible() and text.get_text())
    return [text for text in found if id(text) not in beyond]


def _between(value: float, ends: tuple[float, float]) -> bool:
    return min(ends) <= value <= max(ends)


def check(drawing: Drawing) -> Figure:
    """Asserts what holds for each, and gives the canvas."""
    figure = canvas(drawing)
    scale = _CARD / (72 * drawing.size[0])
    for text in _shown(figure):
        assert text.get_fontsize() * scale >= _LEAST, text
    width, height = (72 * size for size in drawing.size)
    for text, box in texts(figure):
        assert box.x0 >= -1 and box.x1 <= width + 1, (text, box)
        assert box.y0 >= -1 and box.y1 <= height + 1, (text, box)
    svg = drawing.__html__()
    root = ElementTree.fromstring(svg.replace("&nbsp;", " "))
    assert root.get("aria-label") == drawing.alt
    ids = re.findall(r'\bid="([^"]*)"', svg)
    assert len(set(ids)) == len(ids) and all(one.startswith(drawing.key) for one in ids)
    assert re.fullmatch(r"[A-Za-z0-9-]+", drawing.key)
    return figure


def rendered(template: str, call: str, **found: object) -> str:
    """The text of a macro of a template, `macros.NAME(...)`, as the page has it."""
    source = (
        "{% set count = namespace(table=0, figure=0) %}"
        f"{{% import '{template}' as macros %}}{{{{ macros.{call} }}}}"
    )
    return environment().from_string(source).render(**found)


def values(text: str) -> list[float]:
    """The numbers that stand in data attributes, without nan."""
    numbers = (float(v) for v in re.findall(r'data-(?:value|low|high)="([^"]*)"', text))
    return [value for value in numbers if value == value]
