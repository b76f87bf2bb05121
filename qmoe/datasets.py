"""One data set and its three parts: drawn afresh for every seed, or taken from fixed rows."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int64, UInt8
from numpy.typing import NDArray

from qmoe import tabular
from qmoe.arrays import Floats, Ints
from qmoe.catalogue import SETS, DataSpec
from qmoe.errors import InputError
from qmoe.images import IMAGE_SETS, read
from qmoe.seeds import stream

# Three parts of 60, 20 and 20 % need one row of each class in each.
FEWEST_PER_CLASS = 5


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """Features X (row, feature), labels y (row,) in 0..K-1, and the classes' original names.

    `fixed` says what a seed can re-draw: False for a synthetic set (new data), True for a set that
    exists once (another cut of the same rows).
    """

    name: str
    X: Float64[Floats, "row feature"]
    y: Int64[Ints, " row"]
    classes: tuple[str, ...]
    fixed: bool

    @property
    def digest(self) -> str:
        """The sha256 of the classes, X and y in a byte order of its own, as hex."""
        head = json.dumps([list(self.classes), list(self.X.shape)])
        content = hashlib.sha256(head.encode())
        content.update((self.X + 0.0).astype("<f8").tobytes())  # + 0.0 makes -0.0 and 0.0 one
        content.update(self.y.astype("<i8").tobytes())
        return content.hexdigest()


@dataclass(frozen=True, slots=True, eq=False)
class Images:
    """An image set as bytes (row, pixel) in 0..255, an eighth of their size as features.

    Labels y (row,) are in 0..K-1, and `classes` are their names.
    """

    name: str
    pixels: UInt8[NDArray[np.uint8], "row pixel"]
    y: Int64[Ints, " row"]
    classes: tuple[str, ...]

    def rows(self, index: Int64[Ints, " chosen"] | slice) -> Dataset:
        """The rows at `index` (`slice(None)` for all), with features in [0, 1]."""
        X = self.pixels[index].astype(np.float64)
        X /= 255
        return Dataset(self.name, X, self.y[index], self.classes, fixed=True)


class Splits(NamedTuple):
    """The three disjoint parts of one seed: fit on train, choose on validation, test once."""

    train: Dataset
    validation: Dataset
    test: Dataset

    @property
    def digest(self) -> str:
        """The sha256 over the digests of the three parts, as hex."""
        return hashlib.sha256("".join(part.digest for part in self).encode()).hexdigest()


class Sizes(NamedTuple):
    """Rows of each part of a synthetic set; a small test part widens every interval."""

    train: int = 1000
    validation: int = 500
    test: int = 5000


# A test part larger than the training part would widen the intervals of repeated draws from one
# set: their corrected variance grows with test rows / training rows (see `splits`).
IMAGE_SIZES = Sizes(2000, 1000, 2000)


def draw(spec: DataSpec, rows: int, rng: np.random.Generator) -> Dataset:
    """`rows` fresh points of a synthetic set, shuffled, classes as equal in size as they can be."""
    maker = None if spec.path is not None else SETS[spec.name].draw
    if maker is None:
        synthetic = ", ".join(entry.name for entry in SETS.values() if entry.draw)
        raise InputError(
            got=f"{spec} to draw from",
            expected=f"one of {synthetic}",
            do="load a fixed set instead",
        )
    count = spec.arms or spec.rings or SETS[spec.name].classes
    if rows < count:
        raise InputError(
            got=f"{rows} rows of {spec}",
            expected=f"at least {count}, one per class",
            do="ask for more rows",
        )
    noise = 0.0 if spec.noise is None else spec.noise
    X, y = maker(rows, rng, noise, count)
    return Dataset(str(spec), X, y, tuple(map(str, range(count))), fixed=False)


def load(spec: DataSpec) -> Dataset:
    """All rows of a fixed set or of the user's file, in their own order."""
    whole = pool(spec)
    return whole if isinstance(whole, Dataset) else whole.rows(slice(None))


def pool(spec: DataSpec) -> Dataset | Images:
    """What `splits` takes every seed's parts of a fixed set from, read once; images as bytes."""
    if spec.path is not None:
        table = tabular.read(spec.path, spec.target)
        return Dataset(str(spec), table.X, table.y, table.classes, fixed=True)
    if not spec.fixed:
        raise InputError(
            got=f"synthetic data {spec}",
            expected="a fixed set or a file to load",
            do="draw it, with a number of rows and a generator",
        )
    if spec.name in IMAGE_SETS:
        images = IMAGE_SETS[spec.name]
        chosen = tuple(range(len(images.classes))) if spec.classes is None else spec.classes
        pixels, labels = read(images, chosen)
        y = np.searchsorted(chosen, labels)  # the classes of a spec are in rising order
        return Images(str(spec), pixels, y, tuple(images.classes[i] for i in chosen))
    from sklearn import datasets

    bunch = getattr(datasets, f"load_{spec.name}")()
    X, y = bunch.data.astype(np.float64), bunch.target.astype(np.int64)
    return Dataset(str(spec), X, y, tuple(map(str, bunch.target_names)), fixed=True)


def splits(
    source: DataSpec | Dataset | Images, *, root: int, seed: int, sizes: Sizes | None = None
) -> Splits:
    """The parts of one seed in the `controlled` protocol, from the stream (root, seed, "data").

    A synthetic set gives fresh points of the given sizes, each part from a child stream of its own,
    so that a larger test part leaves the others as they were. A fixed set (or one loaded before,
    which saves reading it again for every seed) is cut by class, with equal sizes for all seeds.

    Of an image set each seed draws three disjoint parts of the given sizes, by class and without
    replacement, from all its rows: the published training and test parts were written by different
    people, and a test part that is the same for all seeds would never be re-drawn. The parts of two
    seeds share rows, as two cuts of a smaller set do, so their population is the same ("this data
    set, new split") and so is the corrected variance of differences over seeds. Its correlation,
    test / (train + test), is that of parts that use up the set; parts of a larger set share less,
    which makes it cautious here.

    Raises:
        InputError: a part is empty, a class is too small to cut, or sizes come with another fixed
            set.
    """
    rng = stream(root, seed, "data")
    if isinstance(source, DataSpec) and not source.fixed:
        parts = zip(Sizes() if sizes is None else sizes, rng.spawn(3), strict=True)
        return Splits(*(draw(source, rows, child) for rows, child in parts))
    data = pool(source) if isinstance(source, DataSpec) else source
    if isinstance(data, Images):
        return _drawn(data, IMAGE_SIZES if sizes is None else sizes, rng)
    if sizes is not None:
        raise InputError(
            got=f"sizes for the fixed set {data.name}",
            expected="sizes for a synthetic or an image set only (others are cut 60/20/20)",
            do="leave the sizes out",
        )
    return _cut(data, rng)


def notebook_moons(rows: int = 1000) -> Dataset:
    """The points of the published notebook: make_moons, noise 0.1, random_state 42, no split.

    One fixed set: its seeds re-draw nothing but initial weights and batches (arXiv 2512.22296).
    """
    from sklearn.datasets import make_moons

    X, y = make_moons(rows, noise=0.1, random_state=42)
    return Dataset("moons(noise=0.1)", X, y.astype(np.int64), ("0", "1"), fixed=True)


def _cut(data: Dataset, rng: np.random.Generator) -> Splits:
    """Train, validation and test by class; the counts depend on the class sizes alone."""
    counts = np.bincount(data.y, minlength=len(data.classes))
    rarest = int(counts.argmin())
    if len(counts) < 2 or counts[rarest] < FEWEST_PER_CLASS:
        raise InputError(
            got=f"{counts[rarest]} rows of class {data.classes[rarest]!r} in {data.name}",
            expected=f"2 or more classes of at least {FEWEST_PER_CLASS} rows",
            do="merge or remove rare classes (a continuous target has no classes)",
        )
    fifth = (counts + 2) // 5
    order = _deal(data.y, np.stack([counts - 2 * fifth, fifth, fifth]), rng)
    return Splits(*(Dataset(data.name, data.X[i], data.y[i], data.classes, True) for i in order))


def _drawn(images: Images, sizes: Sizes, rng: np.random.Generator) -> Splits:
    """Parts of the given sizes, each with the classes' shares of the whole set."""
    counts = np.bincount(images.y, minlength=len(images.classes))
    takes = np.stack([_shares(rows, counts) for rows in sizes])
    if takes.min() < 1 or (takes.sum(axis=0) > counts).any():
        raise InputError(
            got=f"parts of {', '.join(map(str, sizes))} rows of {images.name}",
            expected=f"a row or more per class in each, and less than {len(images.y):,} in all",
            do="leave the sizes out, or pass others",
        )
    return Splits(*(images.rows(index) for index in _deal(images.y, takes, rng)))


def _shares(rows: int, counts: Int64[Ints, " label"]) -> Int64[Ints, " label"]:
    """`rows` over the classes in proportion to their counts, by largest remainders."""
    shares, rest = np.divmod(rows * counts, counts.sum())
    shares[np.argsort(-rest, kind="stable")[: rows - shares.sum()]] += 1
    return shares


def _deal(
    y: Int64[Ints, " row"], takes: Int64[Ints, "part label"], rng: np.random.Generator
) -> list[Ints]:
    """The shuffled rows of disjoint parts, each with `takes` rows of every class."""
    pieces = []
    for label, ends in enumerate(takes.cumsum(axis=0).T):
        rows = rng.permutation(np.flatnonzero(y == label))
        pieces.append(np.split(rows, ends)[: len(takes)])
    return [rng.permutation(np.concatenate(part)) for part in zip(*pieces, strict=True)]
