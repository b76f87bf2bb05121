"""Pictures of a RoutingMap: where a router draws the class boundary and which expert it asks."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from qmoe.report.svg import AREAS, COLOUR, Drawing
from qmoe.rundir import RoutingMap

Floats = NDArray[Any]

CLASS_MARKERS = ("o", "^", "s", "D", "v", "P", "X")
_MAX_POINTS = 150
# Smaller regions carry no number: it would hide them.
_LABELLED_SHARE = 0.02


def decision_and_gates(router: str, routing: RoutingMap, key: str) -> Drawing:
    """Two panels side by side: class regions with points on them, and regions of the experts.

    Colour is the most likely class, or the expert with the largest weight; it fades to the page
    as that class or expert comes down to an even share.
    """

    def draw(figure: Figure) -> None:
        left = figure.add_axes((0.115, 0.18, 0.42, 0.72))
        right = figure.add_axes((0.57, 0.18, 0.42, 0.72))
        _classes(left, routing)
        _experts(right, routing)
        for axes, title in ((left, "class"), (right, "expert")):
            axes.set_title(title, loc="left")
            axes.grid(visible=False)
            axes.set_xlim(routing.extent[:2])
            axes.set_ylim(routing.extent[2:])
            axes.xaxis.set_major_locator(MaxNLocator(4))
            axes.yaxis.set_major_locator(MaxNLocator(4))
            axes.set_xlabel(routing.features[0], labelpad=1, parse_math=False)
        right.tick_params(labelleft=False)
        left.set_ylabel(routing.features[1], labelpad=1, parse_math=False)

    shares = _shares(routing.gates)
    told = ", ".join(f"expert {e + 1} {share:.0%}" for e, share in enumerate(shares))
    alt = f"Class regions and expert regions of {router}. Share of the plane: {told}."
    return Drawing(draw, (4.2, 2.15), key, alt)


def shaded(weights: Floats, strongest: float) -> Floats:
    """An image (rows, columns, 4): colour of the largest weight, opacity its excess over 1/K.

    `weights` (K, rows, columns) sum to 1 over K; weight 1 gets the opacity `strongest`.
    """
    count = weights.shape[0]
    top = weights.argmax(axis=0)
    colours = np.array([to_rgb(AREAS[i % len(AREAS)]) for i in range(count)])
    even = 1 / count
    excess = (weights.max(axis=0) - even) / (1 - even) if count > 1 else np.ones(top.shape)
    opacity = strongest * (0.12 + 0.88 * np.clip(excess, 0, 1))
    return np.concatenate([colours[top], opacity[..., None]], axis=-1)


def _classes(axes: Axes, routing: RoutingMap) -> None:
    weights = np.asarray(routing.class_probabilities, dtype=np.float64)
    # Paler than the experts, so that points of the same colour stand out.
    _image(axes, shaded(weights, 0.45), routing.extent)
    _borders(axes, weights, routing.extent)
    points, labels = routing.points[:_MAX_POINTS], routing.labels[:_MAX_POINTS]
    for label in np.unique(labels):
        here = points[labels == label]
        axes.plot(
            here[:, 0],
            here[:, 1],
            CLASS_MARKERS[label % len(CLASS_MARKERS)],
            color=AREAS[label % len(AREAS)],
            markeredgecolor=COLOUR["ink"],
            markeredgewidth=0.35,
            markersize=2.8,
        )


def _experts(axes: Axes, routing: RoutingMap) -> None:
    weights = np.asarray(routing.gates, dtype=np.float64)
    _image(axes, shaded(weights, 0.8), routing.extent)
    _borders(axes, weights, routing.extent)
    for expert, share in enumerate(_shares(weights)):
        if share < _LABELLED_SHARE:
            continue
        x, y = _deepest(weights.argmax(axis=0) == expert, routing.extent)
        axes.text(x, y, str(expert + 1), ha="center", va="center", weight="bold")


def _image(axes: Axes, image: Floats, extent: tuple[float, float, float, float]) -> None:
    axes.imshow(image, extent=extent, origin="lower", aspect="auto", interpolation="none")


def _borders(axes: Axes, weights: Floats, extent: tuple[float, float, float, float]) -> None:
    """A line where two weights share the lead."""
    count, rows, columns = weights.shape
    if count < 2 or rows < 2 or columns < 2:
        return
    xs, ys = _centres(extent[0], extent[1], columns), _centres(extent[2], extent[3], rows)
    # With two, the second line would lie on the first.
    for i in range(count if count > 2 else 1):
        lead = weights[i] - np.delete(weights, i, axis=0).max(axis=0)
        if lead.min() < 0 < lead.max():
            axes.contour(xs, ys, lead, levels=[0.0], colors=[COLOUR["ink"]], linewidths=0.9)


def _shares(weights: Floats) -> Floats:
    top = weights.argmax(axis=0)
    return np.array([np.mean(top == i) for i in range(weights.shape[0])])


def _deepest(region: Floats, extent: tuple[float, float, float, float]) -> tuple[float, float]:
    """The centre of the cell of a region that lies farthest from its edge."""
    from scipy.ndimage import distance_transform_edt

    depth = distance_transform_edt(np.pad(region, 1))[1:-1, 1:-1]
    row, column = np.unravel_index(int(depth.argmax()), region.shape)
    xs = _centres(extent[0], extent[1], region.shape[1])
    ys = _centres(extent[2], extent[3], region.shape[0])
    return float(xs[column]), float(ys[row])


def _centres(low: float, high: float, count: int) -> Floats:
    return low + (np.arange(count) + 0.5) * (high - low) / count
