"""Affine angles: a number, a scaled feature, a scaled weight, or a sum of these, all in radians.

`affine` is the one reader and `angle_of` the one writer; everything that computes with angles
goes through the two, so an angle has a single normal form and equal angles compare equal.
"""

from __future__ import annotations

import math
import operator
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import TypeAlias

from qmoe.errors import InputError


def whole(value: object, what: str, least: int = 0) -> int:
    """`value` as a plain int of at least `least`; numpy integers pass, bools and floats do not."""
    try:
        number = -1 if isinstance(value, bool) else operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        number = -1
    if isinstance(value, bool) or number < least:
        raise InputError(
            got=f"{what} {reprlib.repr(value)}",
            expected=f"a whole number >= {least}",
            do=f"correct the {what}",
        )
    return number


def finite(value: object, what: str) -> float:
    """`value` as a plain finite float without a negative zero; bools and text do not pass."""
    if isinstance(value, Real) and not isinstance(value, bool):
        number = _float(value)
        if math.isfinite(number):
            return number + 0.0  # -0.0 + 0.0 is 0.0
    raise InputError(
        got=f"{what} {reprlib.repr(value)}",
        expected="a finite real number",
        do=f"correct the {what}",
    )


@dataclass(frozen=True, slots=True)
class Feature:
    """The angle `scale * x[index]` of one input feature."""

    __no_type_check__ = True  # __post_init__ takes more types than it stores, and checks them

    index: int
    scale: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "index", whole(self.index, "feature index"))
        object.__setattr__(self, "scale", finite(self.scale, "feature scale"))

    def __hash__(self) -> int:
        # The generated hash covers the fields alone and would be that of Weight(index, scale).
        return hash((0, self.index, self.scale))


@dataclass(frozen=True, slots=True)
class Weight:
    """The angle `scale * theta[index]` of one trained weight."""

    __no_type_check__ = True  # as for Feature

    index: int
    scale: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "index", whole(self.index, "weight index"))
        object.__setattr__(self, "scale", finite(self.scale, "weight scale"))

    def __hash__(self) -> int:
        return hash((1, self.index, self.scale))


@dataclass(frozen=True, slots=True)
class Sum:
    """The angle `offset` plus the sum of `terms`; equal indices are merged, zero terms vanish.

    >>> Sum((Weight(0), Feature(1), Feature(1)), -0.0)
    Sum(terms=(Feature(index=1, scale=2.0), Weight(index=0, scale=1.0)), offset=0.0)
    """

    __no_type_check__ = True  # as for Feature

    terms: tuple[Feature | Weight, ...]
    offset: float = 0.0

    def __post_init__(self) -> None:
        features: dict[int, float] = {}
        weights: dict[int, float] = {}
        for term in self.terms:
            if isinstance(term, Feature):
                features[term.index] = features.get(term.index, 0.0) + term.scale
            elif isinstance(term, Weight):
                weights[term.index] = weights.get(term.index, 0.0) + term.scale
            else:
                raise InputError(
                    got=f"sum term {term!r}",
                    expected="a Feature or a Weight",
                    do="put numbers into the offset",
                )
        object.__setattr__(self, "terms", _terms(features, weights))
        object.__setattr__(self, "offset", finite(self.offset, "angle offset"))


Angle: TypeAlias = float | Feature | Weight | Sum


@dataclass(frozen=True, slots=True)
class Affine:
    """An angle read out: `offset + sum_i features[i] * x[i] + sum_j weights[j] * theta[j]`."""

    features: dict[int, float]
    weights: dict[int, float]
    offset: float

    def value(self, weights: Mapping[int, float], features: Mapping[int, float]) -> Affine:
        """The angle with the given weights and features put in; others stay free."""
        offset = self.offset
        free_features, free_weights = {}, {}
        for index, scale in self.features.items():
            if index in features:
                offset += scale * features[index]
            else:
                free_features[index] = scale
        for index, scale in self.weights.items():
            if index in weights:
                offset += scale * weights[index]
            else:
                free_weights[index] = scale
        return Affine(free_features, free_weights, offset)


def affine(angle: Angle | int) -> Affine:
    """The coefficients of an angle: the one reader.

    >>> affine(Feature(2, 0.5))
    Affine(features={2: 0.5}, weights={}, offset=0.0)
    """
    if isinstance(angle, Feature):
        return Affine({angle.index: angle.scale} if angle.scale else {}, {}, 0.0)
    if isinstance(angle, Weight):
        return Affine({}, {angle.index: angle.scale} if angle.scale else {}, 0.0)
    if isinstance(angle, Sum):
        return Affine(
            {term.index: term.scale for term in angle.terms if isinstance(term, Feature)},
            {term.index: term.scale for term in angle.terms if isinstance(term, Weight)},
            angle.offset,
        )
    return Affine({}, {}, finite(angle, "angle"))


def angle_of(
    features: Mapping[int, float], weights: Mapping[int, float], offset: float = 0.0
) -> Angle:
    """The simplest angle with these coefficients: the one writer.

    >>> angle_of({0: 1.0}, {}), angle_of({0: 0.0}, {}, 0.5)
    (Feature(index=0, scale=1.0), 0.5)
    """
    terms = _terms(features, weights)
    offset = finite(offset, "angle offset")
    if not terms:
        return offset
    if len(terms) == 1 and offset == 0.0:
        return terms[0]
    return Sum(terms, offset)


def add(*angles: Angle) -> Angle:
    """The sum of angles, in normal form."""
    features: dict[int, float] = {}
    weights: dict[int, float] = {}
    offset = 0.0
    for part in map(affine, angles):
        for total, scales in ((features, part.features), (weights, part.weights)):
            for index, scale in scales.items():
                total[index] = total.get(index, 0.0) + scale
        offset += part.offset
    return angle_of(features, weights, offset)


def scaled(angle: Angle, factor: float) -> Angle:
    """The angle times a number, in normal form."""
    part = affine(angle)
    return angle_of(
        {index: factor * scale for index, scale in part.features.items()},
        {index: factor * scale for index, scale in part.weights.items()},
        factor * part.offset,
    )


def negate(angle: Angle) -> Angle:
    """The angle with the opposite sign, in normal form."""
    return scaled(angle, -1.0)


def normal(angle: object) -> Angle:
    """The angle in normal form: a Sum equal to a number, Feature or Weight becomes that.

    Raises:
        InputError: It is no angle.

    >>> normal(Sum((Feature(0), Feature(0, -1.0)), 0.25))
    0.25
    """
    if type(angle) is float and math.isfinite(angle):
        return angle + 0.0
    if isinstance(angle, Feature | Weight) and angle.scale:
        return angle
    part = affine(angle if isinstance(angle, Feature | Weight | Sum) else finite(angle, "angle"))
    return angle_of(part.features, part.weights, part.offset)


def _float(value: Real) -> float:
    try:
        return float(value)
    except OverflowError:  # a whole number beyond the floats
        return math.inf


def _terms(
    features: Mapping[int, float], weights: Mapping[int, float]
) -> tuple[Feature | Weight, ...]:
    """Features, then weights, each by index, without the zero ones."""
    return (
        *(Feature(index, scale) for index, scale in sorted(features.items()) if scale),
        *(Weight(index, scale) for index, scale in sorted(weights.items()) if scale),
    )
