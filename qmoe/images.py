"""The image sets: where each is published, which bytes it is, and where its files lie here.

The files come from $QMOE_DATA_DIR, or else from the cache that `qmoe data fetch` fills. Whichever
it is, their content is checked each time it is read, and nothing ever stands in for a missing set.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from qmoe import idx
from qmoe.errors import InputError

DATA_DIR = "QMOE_DATA_DIR"


class File(NamedTuple):
    """One published file: its name, the MD5 and size of the .gz there, shape and sha256 within.

    The MD5 is what its publisher states. Copies of a set differ in their gzip heads, so only the
    sha256 of the unpacked bytes says that a file is the right one.
    """

    name: str
    md5: str
    packed: int
    shape: tuple[int, ...]
    sha256: str


class ImageSet(NamedTuple):
    """A published set: training images and labels, then test images and labels; class names."""

    name: str
    url: str
    files: tuple[File, File, File, File]
    classes: tuple[str, ...]


def _files(*rows: tuple[str, int, str]) -> tuple[File, File, File, File]:
    names = (
        *("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"),
        *("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"),
    )
    shapes = ((60_000, 28, 28), (60_000,), (10_000, 28, 28), (10_000,))
    made = zip(names, rows, shapes, strict=True)
    one, two, three, four = (
        File(name, md5, packed, shape, sha256) for name, (md5, packed, sha256), shape in made
    )
    return one, two, three, four


_SETS = (
    ImageSet(
        "mnist",
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        _files(
            (
                *("f68b3c2dcbeaaa9fbdd348bbdeb94873", 9_912_422),
                "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            ),
            (
                *("d53e105ee54ea40749a09fcbcd1e9432", 28_881),
                "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            ),
            (
                *("9fb629c4189551a2d022fa330f9573f3", 1_648_877),
                "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            ),
            (
                *("ec29112dd5afa0611ce80d1b7f02629c", 4_542),
                "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
            ),
        ),
        tuple("0123456789"),
    ),
    ImageSet(
        "fashion-mnist",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        _files(
            (
                *("8d4fb7e6c68d591d4c3dfef9ec88bf0d", 26_421_880),
                "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            ),
            (
                *("25c81989df183df01b3e8a0aad5dffbe", 29_515),
                "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            ),
            (
                *("bef4ecab320f06d8554ea6380940ec79", 4_422_102),
                "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            ),
            (
                *("bb300cfdad3c16e7a12a480ee83cd310", 5_148),
                "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
            ),
        ),
        (
            *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
            *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
        ),
    ),
)
IMAGE_SETS: Mapping[str, ImageSet] = {made.name: made for made in _SETS}


def cache() -> Path:
    """The user's cache folder, with one folder per fetched set."""
    import pooch

    return Path(pooch.os_cache("qmoe-bench"))


def find(images: ImageSet) -> Path | None:
    """The folder with all files of a set, $QMOE_DATA_DIR first; None where there is none."""
    given = os.environ.get(DATA_DIR)
    folders = ([Path(given).expanduser()] if given else []) + [cache()]
    for folder in (each / images.name for each in folders):
        if all((folder / file.name).is_file() for file in images.files):
            return folder
    return None


def read(
    images: ImageSet, classes: tuple[int, ...] | None = None
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Pixels (row, pixel) in 0..255 and labels (row,) of the classes asked for, as published.

    The published training part comes first, then the test part; labels keep their numbers.

    Raises:
        InputError: the set is not here, or a file is damaged or altered.
    """
    folder = find(images)
    if folder is None:
        raise InputError(
            got=f"no {images.name} on this machine",
            expected=f"its {len(images.files)} files in ${DATA_DIR}/{images.name} "
            f"or in {cache() / images.name}",
            do=f"run `qmoe data fetch {images.name}`, or set {DATA_DIR} to a folder that has it",
        )
    parts = []
    for drawings, labels in (images.files[:2], images.files[2:]):
        y = read_file(folder, labels)
        kept = np.isin(y, range(len(images.classes)) if classes is None else classes)
        X = read_file(folder, drawings)
        parts.append((X.reshape(len(X), -1)[kept], y[kept].astype(np.int64)))
    X, y = (np.concatenate(part) for part in zip(*parts, strict=True))
    return X, y


def read_file(folder: Path, file: File) -> NDArray[np.uint8]:
    """The array in one file of a set; any byte that differs is an InputError."""
    path = folder / file.name
    content = idx.unpack(path, idx.size(file.shape))
    array = idx.parse(content, path)
    if hashlib.sha256(content).hexdigest() != file.sha256:
        raise idx.damaged(path, "bytes with another sha256")
    return array
