"""The named data sets, one row of a table each, and the spec that names data on a command line."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from sys import float_info
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from qmoe import tabular
from qmoe.errors import InputError, unknown
from qmoe.texts import name_and_options

Points = tuple[NDArray[np.float64], NDArray[np.int64]]
Draw = Callable[[int, np.random.Generator, float, int], Points]

Options = Mapping[str, int | float | str]

_NOTHING: Options = {}


class Entry(NamedTuple):
    """One named set, as `qmoe data list` shows it.

    `rows` is None for a synthetic set, which every seed draws afresh with `draw`; `options` holds
    what can be set, with the defaults. `classes` is the number at those defaults.
    """

    name: str
    description: str
    features: int
    classes: int
    rows: int | None = None
    options: Options = _NOTHING
    draw: Draw | None = None


@dataclass(frozen=True, slots=True)
class DataSpec:
    """Which data: a named set with its options, or the user's file with its target column.

    Options left out take the set's defaults, so equal specs describe equal data. `arms` and
    `rings` are the classes of the sets made of those; `classes` are the ones wanted of an image
    set, in rising order, or None for all of them.

    >>> DataSpec.parse("moons") == DataSpec("moons", noise=0.1)
    True
    >>> print(DataSpec.parse("spirals,arms=3"))
    spirals(arms=3,noise=0.05)
    >>> print(DataSpec.parse("mnist,classes=1/0"))
    mnist(classes=0/1)
    """

    name: str
    noise: float | None = None
    arms: int | None = None
    rings: int | None = None
    classes: tuple[int, ...] | None = None
    path: Path | None = None
    target: str | None = None

    def __post_init__(self) -> None:
        if self.path is None and self.name not in SETS:
            raise unknown("data set", self.name, SETS)
        if self.path is None and self.target is not None:
            raise InputError(
                got=f"target {self.target!r} with the named set {self.name!r}",
                expected="a target for a .csv or .npz file only",
                do="leave the target out",
            )
        options = _NOTHING if self.path is not None else SETS[self.name].options
        given = {key: getattr(self, key) for key in _READERS}
        given = {key: value for key, value in given.items() if value is not None}
        for key, value in _read(self.name, options, given).items():
            object.__setattr__(self, key, value)

    @classmethod
    def parse(cls, text: str, target: str | None = None) -> DataSpec:
        """The spec in `NAME`, `NAME,key=value`, its canonical `NAME(key=value)`, or a file's path.

        Raises:
            InputError: an unknown name or option, a value out of range, a target with a named set.
        """
        path = Path(text)
        if path.suffix.lower() in tabular.SUFFIXES:
            return cls(path.name, path=path, target=target)
        flat = re.sub(r"^([^(),]+)\((.*)\)$", r"\1,\2", text.strip())
        name, given = name_and_options(flat, "data")
        if name not in SETS and ("." in name or "/" in name):
            raise InputError(
                got=f"data {text!r}",
                expected="a named set, or a file that ends in .csv or .npz",
                do="convert the file, or choose a set of `qmoe data list`",
            )
        if name not in SETS:
            raise unknown("data set", name, SETS)
        return cls(name, target=target, **_read(name, SETS[name].options, given))

    @property
    def fixed(self) -> bool:
        """Whether the rows exist once; otherwise every seed draws its own."""
        return self.path is not None or SETS[self.name].draw is None

    def __str__(self) -> str:
        keys = (*sorted(_READERS), "target")
        pairs = [(key, getattr(self, key)) for key in keys]
        options = ",".join(f"{key}={_text(value)}" for key, value in pairs if value is not None)
        return f"{self.name}({options})" if options else self.name


def names() -> tuple[str, ...]:
    """The named sets, in the order of `catalogue`."""
    return tuple(SETS)


def catalogue() -> tuple[Entry, ...]:
    """Every named set with its description, its sizes and the defaults of its options."""
    return tuple(SETS.values())


def _moons(rows: int, rng: np.random.Generator, noise: float, count: int) -> Points:
    from sklearn.datasets import make_moons

    X, y = make_moons(rows, noise=noise, random_state=int(rng.integers(2**32)))
    return X, y.astype(np.int64)


def _circles(rows: int, rng: np.random.Generator, noise: float, count: int) -> Points:
    from sklearn.datasets import make_circles

    X, y = make_circles(rows, noise=noise, factor=0.5, random_state=int(rng.integers(2**32)))
    return X, y.astype(np.int64)


def _spirals(rows: int, rng: np.random.Generator, noise: float, count: int) -> Points:
    y = rng.permutation(np.arange(rows, dtype=np.int64) % count)
    radius = rng.uniform(0.1, 1.0, rows)
    angle = 2 * math.pi * (y / count + radius)
    X = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return X + rng.normal(0.0, noise, X.shape), y


def _rings(rows: int, rng: np.random.Generator, noise: float, count: int) -> Points:
    y = rng.permutation(np.arange(rows, dtype=np.int64) % count)
    angle = rng.uniform(0.0, 2 * math.pi, rows)
    X = ((y + 1) / count)[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return X + rng.normal(0.0, noise, X.shape), y


def _linear(rows: int, rng: np.random.Generator, noise: float, count: int) -> Points:
    y = rng.permutation(np.arange(rows, dtype=np.int64) % 2)
    across = (2 * y - 1) * rng.uniform(0.05, 1.0, rows)
    along = rng.uniform(-1.0, 1.0, rows)
    # Turned by 30 degrees, so that no single feature gives the class away.
    cos, sin = math.cos(math.pi / 6), math.sin(math.pi / 6)
    X = np.stack([cos * across - sin * along, sin * across + cos * along], axis=1)
    return X + rng.normal(0.0, noise, X.shape), y


_ROWS = (
    Entry("moons", "two interleaved half circles", 2, 2, None, {"noise": 0.1}, _moons),
    Entry("circles", "circles of radius 0.5 and 1", 2, 2, None, {"noise": 0.1}, _circles),
    Entry(
        "spirals",
        "arms that make one turn from radius 0.1 to 1",
        *(2, 2, None, {"arms": 2, "noise": 0.05}, _spirals),
    ),
    Entry(
        "rings",
        "concentric circles, evenly spaced up to radius 1",
        *(2, 3, None, {"noise": 0.05, "rings": 3}, _rings),
    ),
    Entry(
        "linear",
        "a square cut by an oblique line, gap 0.1 before noise",
        *(2, 2, None, {"noise": 0.0}, _linear),
    ),
    Entry("digits", "8 x 8 images of handwritten digits", 64, 10, 1797),
    Entry("breast_cancer", "cell nuclei, malignant or benign", 30, 2, 569),
    Entry("wine", "chemical analyses of wines from three cultivars", 13, 3, 178),
    *(
        Entry(name, description, 784, 10, 70_000, {"classes": "all"})
        for name, description in (
            ("mnist", "28 x 28 images of handwritten digits"),
            ("fashion-mnist", "28 x 28 images of clothes"),
        )
    ),
)
SETS: Mapping[str, Entry] = {entry.name: entry for entry in _ROWS}
MOST_CLASSES = 20
# scikit-learn spaces the points of these evenly along their arcs and draws only the noise: without
# noise the test points are the training points.
_EVENLY_SPACED = ("moons", "circles")


def _read(name: str, options: Options, given: Mapping[str, Any]) -> dict[str, Any]:
    """Every option of a set as `DataSpec` keeps it: what is given, else the default."""
    for key, value in given.items():
        if key not in _READERS:
            raise unknown("data option", key, _READERS)
        if key not in options:
            raise InputError(
                got=f"{key}={_text(value)} for {name}",
                expected=" and ".join(options) if options else "no options",
                do=f"leave {key} out",
            )
    return {key: _READERS[key](name, key, value) for key, value in {**options, **given}.items()}


def _noise(name: str, key: str, value: Any) -> float:
    even = name in _EVENLY_SPACED
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 <= value <= float_info.max or (even and value == 0):
        raise InputError(
            got=f"{key}={_text(value)} for {name}",
            expected="a number above 0" if even else "a number of 0 or more",
            do="pass noise=0.1",
        )
    return float(value) + 0.0


def _count(name: str, key: str, value: Any) -> int:
    if value not in range(2, MOST_CLASSES + 1):
        raise InputError(
            got=f"{key}={_text(value)}",
            expected=f"a whole number from 2 to {MOST_CLASSES}",
            do=f"pass {key}=3",
        )
    return int(value)


def _classes(name: str, key: str, value: Any) -> tuple[int, ...] | None:
    count = SETS[name].classes
    if value == "all":
        return None
    chosen = value if isinstance(value, tuple) else ()
    if len(chosen) < 2 or len({*chosen}) < len(chosen) or not {*chosen} <= {*range(count)}:
        raise InputError(
            got=f"{key}={_text(value)} for {name}",
            expected=f"all, or 2 or more different classes from 0 to {count - 1}",
            do="write them as classes=0/1",
        )
    return tuple(sorted(chosen)) if len(chosen) < count else None


def _text(value: object) -> str:
    """A value of an option as it is written; a list has slashes."""
    return "/".join(map(str, value)) if isinstance(value, tuple) else str(value)


_READERS: Mapping[str, Callable[[str, str, Any], Any]] = {
    "noise": _noise,
    "arms": _count,
    "rings": _count,
    "classes": _classes,
}
