"""Names in drawings: shortened, and set beside points so that none hides another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from matplotlib.axes import Axes

from qmoe.report.svg import COLOUR

Point = tuple[float, float]
Box = tuple[float, float, float, float]

# Mean width of a letter of DejaVu Sans, over its size; the fonts of the page are narrower.
_LETTER = 0.62
_ROOM = 3.5
_DIRECTIONS = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1))
_DISTANCES = (5.0, 13.0, 22.0, 32.0)
# Farther than this a line leads from the name to its point.
_LED = 8.0


def shortened(name: str, longest: int) -> str:
    """A name on one line, with an ellipsis in place of what goes beyond `longest` characters.

    >>> shortened("ibm:fake_boston", 20), shortened("ibm:fake_boston", 8)
    ('ibm:fake_boston', 'ibm:fak…')
    """
    line = " ".join(name.split())
    return line if len(line) <= longest else line[: longest - 1] + "…"


def named(axes: Axes, place: int, name: str, about: str) -> None:
    """Writes a name to the left of the axes at a place of their y axis, and below it what it is."""
    for shift, text, colour in ((-0.21, name, COLOUR["ink"]), (0.21, about, COLOUR["ink-2"])):
        axes.text(
            -0.03,
            place + shift,
            text,
            transform=axes.get_yaxis_transform(),
            ha="right",
            va="center",
            fontsize=8,
            color=colour,
        )


def beside(
    axes: Axes,
    points: Sequence[Point],
    texts: Sequence[str],
    taken: Sequence[tuple[Point, Point]] = (),
    size: float = 8.0,
) -> None:
    """Writes each text beside its point, where it meets the fewest texts and marks.

    `taken` are lines, such as intervals and other points, from one end to the other. All is in
    data coordinates; limits and scales of the axes have to be set before.
    """
    units = 72 / axes.figure.dpi
    inside: Box = tuple(units * float(v) for v in axes.bbox.extents)  # type: ignore[assignment]

    def placed(point: Point) -> Point:
        x, y = axes.transData.transform(point)
        return units * float(x), units * float(y)

    occupied = [_hull(placed(a), placed(b)) for a, b in [*taken, *zip(points, points, strict=True)]]
    for point, text in zip(points, texts, strict=True):
        at, width = placed(point), _LETTER * size * len(text)
        shift, box = min(
            _places(at, width, size), key=lambda place: _cost(place[1], occupied, inside)
        )
        occupied.append(box)
        far = max(map(abs, shift)) > _LED
        axes.annotate(
            text,
            point,
            xytext=(box[0] - at[0], box[1] - at[1]),
            textcoords="offset points",
            fontsize=size,
            va="bottom",
            arrowprops={"arrowstyle": "-", "color": COLOUR["ink-2"], "linewidth": 0.5}
            if far
            else None,
        )


def _places(at: Point, width: float, size: float) -> Iterator[tuple[Point, Box]]:
    """The boxes about a point in which a text can stand, the nearest first, with their shifts."""
    for distance in _DISTANCES:
        for right, up in _DIRECTIONS:
            x = at[0] + right * distance - width * (1 - right) / 2
            y = at[1] + up * distance - 1.1 * size * (1 - up) / 2
            yield (right * distance, up * distance), (x, y, x + width, y + 1.1 * size)


def _hull(a: Point, b: Point) -> Box:
    return (
        min(a[0], b[0]) - _ROOM,
        min(a[1], b[1]) - _ROOM,
        max(a[0], b[0]) + _ROOM,
        max(a[1], b[1]) + _ROOM,
    )


def _cost(box: Box, occupied: Sequence[Box], inside: Box) -> float:
    """The area that is not free: of other boxes, and beyond the axes, where it counts twice."""
    area = (box[2] - box[0]) * (box[3] - box[1])
    hit = sum(_common(box, other) for other in occupied)
    return round(hit + 2 * (area - _common(box, inside)), 6)


def _common(a: Box, b: Box) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    return max(width, 0.0) * max(height, 0.0)
