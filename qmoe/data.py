"""Data sets by name or from the user's file: cut into three parts, scaled, ready to train on.

Synthetic sets are drawn afresh for every seed; fixed sets are cut by class, 60/20/20, another way
for every seed; of image sets every seed takes other rows. Everything fitted is fitted on the
training part.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float64, Int64

from qmoe.arrays import Floats, Ints
from qmoe.catalogue import DataSpec, Entry, catalogue, names
from qmoe.datasets import (
    Dataset,
    Images,
    Sizes,
    Splits,
    draw,
    load,
    notebook_moons,
    pool,
    splits,
)
from qmoe.errors import InputError
from qmoe.scaling import Scaler

__all__ = [
    "Clipped",
    "DataSpec",
    "Dataset",
    "Entry",
    "Images",
    "Prepared",
    "Sizes",
    "Splits",
    "Stack",
    "catalogue",
    "draw",
    "load",
    "names",
    "notebook_moons",
    "pool",
    "prepared",
    "prepared_notebook",
    "prepared_seeds",
    "splits",
    "stack",
]


class Clipped(NamedTuple):
    """How many single values of each part the scaler clipped into the trained range."""

    train: int
    validation: int
    test: int


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """The scaled parts of one seed, as a router takes them; compare two by their digests.

    `clipped` counts the values of each part outside the trained range. In the `notebook` protocol
    the three parts are the same rows, on which the scaler was fitted too: its accuracy is that on
    the training data. The digest covers the rows before scaling; the scaler stands beside it.
    """

    name: str
    protocol: Literal["controlled", "notebook"]
    fixed: bool
    classes: tuple[str, ...]
    digest: str
    scaler: Scaler
    clipped: Clipped
    X_train: Float64[Floats, "train feature"]
    y_train: Int64[Ints, " train"]
    X_validation: Float64[Floats, "validation feature"]
    y_validation: Int64[Ints, " validation"]
    X_test: Float64[Floats, "test feature"]
    y_test: Int64[Ints, " test"]


class Stack(NamedTuple):
    """The parts of many seeds: features (seed, feature, row), contiguous; labels (seed, row)."""

    X_train: Float64[Floats, "seed feature train"]
    y_train: Int64[Ints, "seed train"]
    X_validation: Float64[Floats, "seed feature validation"]
    y_validation: Int64[Ints, "seed validation"]
    X_test: Float64[Floats, "seed feature test"]
    y_test: Int64[Ints, "seed test"]


def prepared(
    source: DataSpec | Dataset | Images,
    scaler: str = "[0, pi]",
    pca: int | None = None,
    *,
    root: int,
    seed: int,
    sizes: Sizes | None = None,
    like: Prepared | None = None,
) -> Prepared:
    """The `splits` of one seed under a scaler (and PCA) fitted on its training part.

    `like`, the same parts under another scaler, lends its PCA, the slow part of wide data.

    >>> data = prepared(DataSpec.parse("wine"), pca=2, root=0, seed=3)
    >>> data.X_train.shape, data.X_test.shape, data.clipped.train
    ((106, 2), (36, 2), 0)
    """
    parts = splits(source, root=root, seed=seed, sizes=sizes)
    if like is None:
        return _scaled("controlled", parts, Scaler.fit(parts.train.X, scaler, pca))
    made = _scaled("controlled", parts, like.scaler.with_kind(scaler, parts.train.X))
    lent = like.scaler.projection
    if like.digest != made.digest or pca != (lent and len(lent.components)):
        raise InputError(
            got=f"another split of {like.name} or another PCA to take the PCA from",
            expected=f"seed {seed} of {made.name} with pca={pca}",
            do="prepare it with the same root, sizes and PCA, or anew",
        )
    return made


def prepared_seeds(
    source: DataSpec | Dataset | Images,
    scaler: str = "[0, pi]",
    pca: int | None = None,
    *,
    root: int,
    seeds: Iterable[int],
    sizes: Sizes | None = None,
    like: Sequence[Prepared] | None = None,
) -> list[Prepared]:
    """`prepared` for each seed in turn; a fixed set or file is read once.

    `like` holds the same seeds under another scaler.
    """
    once = pool(source) if isinstance(source, DataSpec) and source.fixed else source
    each = list(seeds)
    lent = [None] * len(each) if like is None else like
    return [
        prepared(once, scaler, pca, root=root, seed=seed, sizes=sizes, like=other)
        for seed, other in zip(each, lent, strict=True)
    ]


def prepared_notebook(rows: int = 1000, scaler: str = "[0, pi]") -> Prepared:
    """The published protocol as it is: all rows scaled together, no part held out."""
    every = notebook_moons(rows)
    return _scaled("notebook", Splits(every, every, every), Scaler.fit(every.X, scaler))


def stack(parts: Sequence[Prepared]) -> Stack:
    """The seeds' parts as one array each, with the rows last; all seeds have equal sizes.

    Raises:
        InputError: no seeds, or seeds of different data.
    """
    if not parts:
        raise InputError(got="0 seeds", expected="at least 1", do="pass one seed or more")
    kinds = {(p.name, p.X_train.shape, p.X_validation.shape, p.X_test.shape) for p in parts}
    if len(kinds) > 1:
        raise InputError(
            got=f"seeds of {len(kinds)} different names or shapes",
            expected="the same data for all seeds",
            do="prepare them with the same spec, PCA and sizes",
        )

    def features(each: Iterable[Floats]) -> Floats:
        return np.ascontiguousarray(np.stack([X.T for X in each]))

    return Stack(
        features(p.X_train for p in parts),
        np.stack([p.y_train for p in parts]),
        features(p.X_validation for p in parts),
        np.stack([p.y_validation for p in parts]),
        features(p.X_test for p in parts),
        np.stack([p.y_test for p in parts]),
    )


def _scaled(protocol: Literal["controlled", "notebook"], parts: Splits, scaler: Scaler) -> Prepared:
    train, validation, test = (scaler.transform(part.X) for part in parts)
    return Prepared(
        name=parts.train.name,
        protocol=protocol,
        fixed=parts.train.fixed,
        classes=parts.train.classes,
        digest=parts.digest,
        scaler=scaler,
        clipped=Clipped(train.clipped, validation.clipped, test.clipped),
        X_train=train.X,
        y_train=parts.train.y,
        X_validation=validation.X,
        y_validation=parts.validation.y,
        X_test=test.X,
        y_test=parts.test.y,
    )
