"""Feature scalers fitted on the training part only, with an optional PCA, as JSON-able values.

A router reads its features as angles in radians, so values outside the trained range are clipped
to it (and counted) by the range scalers: an angle beyond the range would wrap around.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float64

from qmoe.arrays import Floats
from qmoe.errors import InputError, unknown

ScalerKind = Literal["standard", "[0, pi]", "[-pi, pi]"]
Vector = tuple[float, ...]

RANGES: dict[ScalerKind, tuple[float, float] | None] = {
    "standard": None,
    "[0, pi]": (0.0, math.pi),
    "[-pi, pi]": (-math.pi, math.pi),
}
# Squares and sums of larger features overflow; no angle comes from a number that large.
LARGEST = 1e100
# A matrix product rounds differently in batches of different sizes, so after a PCA a training row
# can land this far (in units of the range) outside: clipped all the same, but not counted.
_SLACK = 1e-12


class Scaled(NamedTuple):
    """Scaled features (row, feature) and how many single values were clipped into the range."""

    X: Floats
    clipped: int


@dataclass(frozen=True, slots=True)
class Projection:
    """A PCA of standardised features: components (k, d) in order of falling variance.

    Each component's first entry of largest size is positive. Entries within one part in a billion
    count as equally large: two correlated features give (.707, -.707), whose sign would otherwise
    depend on rounding. Without such ties this is scikit-learn's convention.
    """

    mean: Vector
    scale: Vector
    components: tuple[Vector, ...]

    def __post_init__(self) -> None:
        lengths = {len(self.mean), len(self.scale), *map(len, self.components)}
        if len(lengths) != 1 or not self.components or min(self.scale, default=-1.0) < 0:
            raise _damaged("a projection whose parts do not fit together")


@dataclass(frozen=True, slots=True)
class Scaler:
    """A fitted scaler: features in their own units in, `kind` features out.

    The order is: standardise, project (both only with a PCA), then shift and divide by the width:
    mean and standard deviation for `standard`, minimum and range for the range scalers. So `kind`
    always describes what the router sees; `standard` after a PCA gives components of variance 1.
    A feature that is constant in the training part has width 0 and becomes 0, whatever the kind.
    """

    kind: ScalerKind
    shift: Vector
    width: Vector
    projection: Projection | None = None

    def __post_init__(self) -> None:
        if len(self.shift) != len(self.width) or min(self.width, default=-1.0) < 0:
            raise _damaged("a scaler whose shift and width do not fit together")
        if self.projection is not None and len(self.projection.components) != len(self.shift):
            raise _damaged("a scaler whose projection has another number of components")

    @classmethod
    def fit(cls, X: Float64[Floats, "row feature"], kind: str, pca: int | None = None) -> Scaler:
        """The scaler of the training rows X (row, feature), projected to `pca` components if asked.

        >>> Scaler.fit(np.array([[0.0], [2.0]]), "[0, pi]").transform(np.array([[1.0], [9.0]]))
        Scaled(X=array([[1.57079633],
               [3.14159265]]), clipped=1)
        """
        name = scaler_kind(kind)
        _check(X)
        return _fitted(X, name, None if pca is None else _project(X, pca))

    def with_kind(self, kind: str, X: Float64[Floats, "row feature"]) -> Scaler:
        """What `fit` gives for another kind on the same training rows X, without a PCA anew.

        >>> X = np.array([[0.0, 1.0], [2.0, 5.0], [4.0, 0.0]])
        >>> Scaler.fit(X, "[0, pi]", 2).with_kind("standard", X) == Scaler.fit(X, "standard", 2)
        True
        """
        name = scaler_kind(kind)
        self._check(X)
        return _fitted(X, name, self.projection)

    @property
    def num_inputs(self) -> int:
        """The number of features that `transform` takes."""
        return len(self.shift) if self.projection is None else len(self.projection.mean)

    @property
    def num_outputs(self) -> int:
        """The number of features that `transform` gives: what the router sees."""
        return len(self.shift)

    def transform(self, X: Float64[Floats, "row feature"]) -> Scaled:
        """The scaled rows and the number of values clipped; `standard` never clips."""
        self._check(X)
        seen = _seen(self.projection, X)
        shift, width = np.array(self.shift), np.array(self.width)
        varies = width > 0
        with np.errstate(over="ignore"):  # a far value over a tiny width: clipped just below
            unit = (seen - shift) / np.where(varies, width, 1.0)
        limits = RANGES[self.kind]
        if limits is None:
            return Scaled(np.where(varies, unit, 0.0), 0)
        low, high = limits
        outside = (unit < -_SLACK) | (unit > 1.0 + _SLACK)
        outside[:, ~varies] = (seen != shift)[:, ~varies]
        angles = low + np.clip(unit, 0.0, 1.0) * (high - low)
        return Scaled(np.where(varies, angles, 0.0), int(outside.sum()))

    def _check(self, X: Floats) -> None:
        if X.shape[1] != self.num_inputs:
            raise InputError(
                got=f"{X.shape[1]} features",
                expected=f"{self.num_inputs}, as the scaler was fitted on",
                do="pass the same columns in the same order",
            )
        _check(X)

    def to_dict(self) -> dict[str, Any]:
        """A JSON-able dict; Python writes floats so that they read back exactly."""
        made = self.projection
        return {
            "kind": self.kind,
            "shift": list(self.shift),
            "width": list(self.width),
            "projection": made
            and {
                "mean": list(made.mean),
                "scale": list(made.scale),
                "components": [list(row) for row in made.components],
            },
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Scaler:
        """The scaler that `to_dict` wrote; anything missing, added or not finite is an InputError.

        >>> scaler = Scaler.fit(np.array([[0.1], [0.3]]), "standard")
        >>> Scaler.from_dict(scaler.to_dict()) == scaler
        True
        """
        kind, shift, width, inner = _fields(data, ("kind", "shift", "width", "projection"))
        if not isinstance(kind, str) or kind not in RANGES:
            raise _damaged(f"a stored scaler of kind {kind!r}")
        projection = None
        if inner is not None:
            mean, scale, rows = _fields(inner, ("mean", "scale", "components"))
            if not isinstance(rows, list):
                raise _damaged("a projection whose components are no list")
            projection = Projection(_read(mean), _read(scale), tuple(map(_read, rows)))
        return cls(kind, _read(shift), _read(width), projection)


def scaler_kind(text: str) -> ScalerKind:
    """The scaler's canonical name; brackets and spaces may be left out on a command line.

    >>> scaler_kind("-pi,pi")
    '[-pi, pi]'
    """
    short = text.strip(" []").replace(" ", "")
    for kind in RANGES:
        if kind.strip("[]").replace(" ", "") == short:
            return kind
    raise unknown("scaler", text, RANGES)


def _fitted(X: Floats, kind: ScalerKind, projection: Projection | None) -> Scaler:
    seen = _seen(projection, X)
    shift, width = _moments(seen) if RANGES[kind] is None else _extent(seen)
    return Scaler(kind, _vector(shift), _vector(width), projection)


def _project(X: Floats, count: int) -> Projection:
    """The PCA of the standardised rows, by a full singular value decomposition."""
    mean, scale = _moments(X)
    _, values, rows = np.linalg.svd(_standardise(X, mean, scale), full_matrices=False)
    floor = values.max(initial=0.0) * max(X.shape) * np.finfo(np.float64).eps
    rank = int((values > floor).sum())
    if not 1 <= count <= rank:
        # Components beyond the rank are rounding noise, which a range scaler would blow up.
        raise InputError(
            got=f"pca={count}",
            expected=f"1 to {rank}, the rank of the training part ({len(X)} x {X.shape[1]})",
            do="ask for fewer components, or leave pca out" if rank else "leave pca out",
        )
    components = rows[:count]
    size = np.abs(components)
    largest = np.argmax(size >= size.max(axis=1, keepdims=True) * (1 - 1e-9), axis=1)
    components = components * np.sign(components[np.arange(count), largest])[:, None]
    return Projection(_vector(mean), _vector(scale), tuple(map(_vector, components)))


def _seen(projection: Projection | None, X: Floats) -> Floats:
    """The rows as shift and width see them: projected where there is a PCA."""
    if projection is None:
        return X
    seen = _standardise(X, np.array(projection.mean), np.array(projection.scale))
    projected: Floats = seen @ np.array(projection.components).T
    return projected


def _standardise(X: Floats, mean: Floats, scale: Floats) -> Floats:
    return np.where(scale > 0, (X - mean) / np.where(scale > 0, scale, 1.0), 0.0)


def _moments(X: Floats) -> tuple[Floats, Floats]:
    """Mean and standard deviation of each feature."""
    # A constant such as 0.1 has a mean that is off by an ulp, hence a deviation just above 0.
    return X.mean(axis=0), np.where(np.ptp(X, axis=0) > 0, X.std(axis=0), 0.0)


def _extent(X: Floats) -> tuple[Floats, Floats]:
    """Minimum and range of each feature."""
    return X.min(axis=0), np.ptp(X, axis=0)


def _check(X: Floats) -> None:
    if 0 in X.shape:
        raise InputError(
            got=f"{X.shape[0]} rows of {X.shape[1]} features",
            expected="at least one of each",
            do="pass data with rows and feature columns",
        )
    bad = ~(np.abs(X) <= LARGEST)
    if bad.any():
        row, column = np.argwhere(bad)[0].tolist()
        raise InputError(
            got=f"{X[row, column]} in row {row}, feature {column}",
            expected=f"finite numbers of at most {LARGEST:g}",
            do="clean that value",
        )


def _vector(values: Floats) -> Vector:
    return tuple(values.tolist())


def _fields(data: object, names: tuple[str, ...]) -> list[Any]:
    if not isinstance(data, Mapping) or set(data) != set(names):
        raise _damaged(f"a stored scaler without exactly the entries {', '.join(names)}")
    return [data[name] for name in names]


def _read(values: object) -> Vector:
    numbers: list[Any] = values if isinstance(values, list) else [None]
    # bool is an int to Python; True is no number that to_dict wrote.
    if any(type(v) not in (int, float) or not abs(v) <= LARGEST**2 for v in numbers):
        raise _damaged("a stored scaler with something else than lists of finite numbers")
    return tuple(map(float, numbers))


def _damaged(got: str) -> InputError:
    return InputError(
        got=got,
        expected="a scaler as Scaler.to_dict writes it",
        do="restore the file from its source",
    )
