"""A bounded reader of gzip'd IDX files of bytes, the format in which MNIST is published.

An IDX file is the bytes 0, 0, 8 (unsigned bytes) and the number of axes, then each axis' length
as four bytes, most significant first, then the values, last axis fastest.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from qmoe.errors import InputError

# gzip never makes a file larger than this beyond its content: its head, and 5 bytes per block.
SLACK = 65_536
_UNSIGNED_BYTES = 8
_MOST_AXES = 3


def size(shape: tuple[int, ...]) -> int:
    """The bytes of an unpacked IDX file of this shape."""
    return 4 + 4 * len(shape) + math.prod(shape)


def unpack(path: Path, length: int) -> bytes:
    """The content of a gzip file that is known to have `length` bytes; never unpacks more.

    Raises:
        InputError: the file is cut short, damaged, or holds more or less.
    """
    try:
        if path.stat().st_size > length + SLACK:
            raise damaged(path, f"more than {length + SLACK:,} bytes")
        with gzip.open(path) as file:
            # One byte more tells a longer file, and has gzip check the content to its end.
            content = file.read(length + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise damaged(path, "a gzip file cut short or damaged") from error
    except OSError as error:
        raise InputError(
            got=f"{str(path)!r} ({error.strerror or error})",
            expected="a readable file",
            do="check the file and its permissions",
        ) from error
    if len(content) != length:
        raise damaged(path, f"{'more' if len(content) > length else 'less'} than {length:,} bytes")
    return content


def parse(content: bytes, path: Path) -> NDArray[np.uint8]:
    """The array in the content of an IDX file of unsigned bytes (read-only).

    Raises:
        InputError: no such content: its head is wrong, or its length does not fit the head.
    """
    axes = content[3] if len(content) >= 4 else 0
    if content[:3] != bytes((0, 0, _UNSIGNED_BYTES)) or not 1 <= axes <= _MOST_AXES:
        raise damaged(path, f"a file that starts with {content[:4].hex(' ') or 'nothing'}")
    head = 4 + 4 * axes
    if len(content) < head:
        raise damaged(path, "a head cut short")
    shape = struct.unpack(f">{axes}I", content[4:head])
    if size(shape) != len(content):
        raise damaged(path, f"{len(content):,} bytes for shape {' x '.join(map(str, shape))}")
    return np.frombuffer(content, np.uint8, offset=head).reshape(shape)


def damaged(path: Path, got: str) -> InputError:
    """The error for a file with other content than it should have."""
    return InputError(
        got=f"{got} in {path.name}",
        expected="the gzip'd IDX file as published",
        do="delete it and fetch the data set again",
    )
