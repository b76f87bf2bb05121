"""A tiny image set with its own files and checksums, for tests without the published ones."""

from __future__ import annotations

import gzip
import hashlib
import struct
from pathlib import Path

import numpy as np

from qmoe.images import File, ImageSet

NAMES = ("train-images.gz", "train-labels.gz", "test-images.gz", "test-labels.gz")


def tiny(url: str = "http://127.0.0.1:9/") -> tuple[ImageSet, dict[str, bytes]]:
    """The set and its packed files: 9 and 6 images of 4 x 4 in three classes."""
    rng = np.random.default_rng(0)
    arrays = []
    for rows in (9, 6):
        arrays += [
            rng.integers(0, 256, (rows, 4, 4), np.uint8),
            np.arange(rows, dtype=np.uint8) % 3,
        ]
    files, packed = [], {}
    for name, array in zip(NAMES, arrays, strict=True):
        head = bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape)
        content = head + array.tobytes()
        data = gzip.compress(content, mtime=0)
        packed[name] = data
        sums = hashlib.md5(data).hexdigest(), hashlib.sha256(content).hexdigest()
        files.append(File(name, sums[0], len(data), array.shape, sums[1]))
    one, two, three, four = files
    return ImageSet("tiny", url, (one, two, three, four), ("ant", "bee", "cat")), packed


def store(folder: Path, packed: dict[str, bytes]) -> None:
    """Writes the files into a folder."""
    folder.mkdir(parents=True)
    for name, data in packed.items():
        (folder / name).write_bytes(data)
