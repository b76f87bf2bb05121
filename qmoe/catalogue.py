"""The named data sets, one row of a table each, and the spec that names data on a command line."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from qmoe import tabular
from qmoe.errors import InputError, unknown

Points = tuple[NDArray[np.float64], NDArray[np.int64]]
Draw = Callable[[int, np.random.Generator, float, int], Points]

_NOTHING: Mapping[str, float] = {}


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
    options: Mapping[str, float] = _NOTHING
    draw: Draw | None = None


@dataclass(frozen=True, slots=True)
class DataSpec:
    """Which data: a named set with its options, or the user's file with its target column.

    Options left out take the set's defaults, so equal specs describe equal data.

    >>> DataSpec.parse("moons") == DataSpec("moons", noise=0.1)
    True
    >>> print(DataSpec.parse("spirals,arms=3"))
    spirals(arms=3,noise=0.05)
    """

    name: str
    noise: float | None = None
    arms: int | None = None
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
        for key in ("noise", "arms"):
            value = getattr(self, key)
            if value is not None and key not in options:
                raise InputError(
                    got=f"{key}={value} for {self.name}",
                    expected=" and ".join(options) if options else "no options",
                    do=f"leave {key} out",
                )
        if "noise" in options:
            noise = options["noise"] if self.noise is None else self.noise
            object.__setattr__(self, "noise", _noise(self.name, noise))
        if "arms" in options:
            arms = options["arms"] if self.arms is None else self.arms
            object.__setattr__(self, "arms", _arms(arms))

    @classmethod
    def parse(cls, text: str, target: str | None = None) -> DataSpec:
        """The spec in `NAME`, `NAME,key=value`, its canonical `NAME(key=value)`, or a file's path.

        Raises:
            InputError: an unknown name or option, a value out of range, a target with a named set.
        """
        path = Path(text)
        if path.suffix.lower() in tabular.SUFFIXES:
            return cls(path.name, path=path, target=target)
        name, *options = re.sub(r"^([^(),]+)\((.*)\)$", r"\1,\2", text.strip()).split(",")
        name = name.strip()
        if name not in SETS and ("." in name or "/" in name):
            raise InputError(
                got=f"data {text!r}",
                expected="a named set, or a file that ends in .csv or .npz",
                do="convert the file, or choose a set of `qmoe data list`",
            )
        values: dict[str, float] = {}
        for option in options:
            key, _, value = (part.strip() for part in option.partition("="))
            if key not in ("noise", "arms"):
                raise unknown("data option", key, ("noise", "arms"))
            values[key] = _number(text, value)
        arms = values.get("arms")
        return cls(name, values.get("noise"), None if arms is None else _arms(arms), target=target)

    @property
    def fixed(self) -> bool:
        """Whether the rows exist once; otherwise every seed draws its own."""
        return self.path is not None or SETS[self.name].draw is None

    def __str__(self) -> str:
        pairs = {"arms": self.arms, "noise": self.noise, "target": self.target}
        options = ",".join(f"{key}={value}" for key, value in pairs.items() if value is not None)
        return f"{self.name}({options})" if options else self.name


def names() -> tuple[str, ...]:
    """The named sets, in the order of `catalogue`."""
    return tuple(SETS)


def catalogue() -> tuple[Entry, ...]:
    """Every named set with its description, its sizes and the defaults of its options."""
    return tuple(SETS.values())


def _moons(rows: int, rng: np.random.Generator, noise: float, arms: int) -> Points:
    from sklearn.datasets import make_moons

    X, y = make_moons(rows, noise=noise, random_state=int(rng.integers(2**32)))
    return X, y.astype(np.int64)


def _circles(rows: int, rng: np.random.Generator, noise: float, arms: int) -> Points:
    from sklearn.datasets import make_circles

    X, y = make_circles(rows, noise=noise, factor=0.5, random_state=int(rng.integers(2**32)))
    return X, y.astype(np.int64)


def _spirals(rows: int, rng: np.random.Generator, noise: float, arms: int) -> Points:
    y = rng.permutation(np.arange(rows, dtype=np.int64) % arms)
    radius = rng.uniform(0.1, 1.0, rows)
    angle = 2 * math.pi * (y / arms + radius)
    X = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return X + rng.normal(0.0, noise, X.shape), y


def _linear(rows: int, rng: np.random.Generator, noise: float, arms: int) -> Points:
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
        "linear",
        "a square cut by an oblique line, gap 0.1 before noise",
        *(2, 2, None, {"noise": 0.0}, _linear),
    ),
    Entry("digits", "8 x 8 images of handwritten digits", 64, 10, 1797),
    Entry("breast_cancer", "cell nuclei, malignant or benign", 30, 2, 569),
    Entry("wine", "chemical analyses of wines from three cultivars", 13, 3, 178),
)
SETS: Mapping[str, Entry] = {entry.name: entry for entry in _ROWS}
MOST_ARMS = 20
# scikit-learn spaces the points of these evenly along their arcs and draws only the noise: without
# noise the test points are the training points.
_EVENLY_SPACED = ("moons", "circles")


def _noise(name: str, noise: float) -> float:
    even = name in _EVENLY_SPACED
    if not math.isfinite(noise) or noise < 0 or (even and noise == 0):
        raise InputError(
            got=f"noise={noise} for {name}",
            expected="a number above 0" if even else "a number of 0 or more",
            do="pass noise=0.1",
        )
    return float(noise) + 0.0


def _arms(arms: float | int) -> int:
    if not 2 <= arms <= MOST_ARMS or arms != int(arms):
        raise InputError(
            got=f"arms={arms:g}", expected=f"a whole number from 2 to {MOST_ARMS}", do="pass arms=3"
        )
    return int(arms)


def _number(text: str, value: str) -> float:
    try:
        return float(value)
    except ValueError as error:
        raise InputError(
            got=f"data {text!r}", expected="NAME,key=number", do="write it as moons,noise=0.1"
        ) from error
