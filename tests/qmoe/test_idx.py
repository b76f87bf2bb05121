from __future__ import annotations

import gzip
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from qmoe import idx
from qmoe.errors import InputError

HERE = Path("here.gz")


def written(array: np.ndarray) -> bytes:
    """An IDX file as its specification says."""
    head = bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.tobytes()


GRID = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
CONTENT = written(GRID)


@given(hnp.arrays(np.uint8, hnp.array_shapes(max_dims=3, min_side=0)))
def test_an_array_reads_back(array: np.ndarray) -> None:
    content = written(array)
    assert len(content) == idx.size(array.shape)
    np.testing.assert_array_equal(idx.parse(content, HERE), array)


@given(st.binary(max_size=40))
def test_any_bytes_are_an_array_or_an_input_error(content: bytes) -> None:
    try:
        array = idx.parse(content, HERE)
    except InputError:
        return
    assert written(array) == content


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "starts with nothing"),
        (b"\x00\x00\x08", "starts with 00 00 08"),
        (b"\x89PNG" + CONTENT, "starts with 89 50 4e 47"),
        (bytes((0, 0, 13)) + CONTENT[3:], "starts with 00 00 0d 03"),
        (bytes((0, 0, 8, 0)), "starts with 00 00 08 00"),
        (bytes((0, 0, 8, 4)) + CONTENT[4:], "starts with 00 00 08 04"),
        (CONTENT[:10], "a head cut short"),
        (CONTENT[:-1], "39 bytes for shape 2 x 3 x 4"),
        (CONTENT + b"\x00", "41 bytes for shape 2 x 3 x 4"),
        (CONTENT[:4] + b"\xff" * 12 + CONTENT[16:], "40 bytes for shape 4294967295 x"),
    ],
)
def test_other_content_is_one_line(content: bytes, expected: str) -> None:
    with pytest.raises(InputError) as caught:
        idx.parse(content, HERE)
    assert expected in str(caught.value) and "here.gz" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_content_of_a_gzip_file_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "grid.gz"
    path.write_bytes(gzip.compress(CONTENT))
    assert idx.unpack(path, len(CONTENT)) == CONTENT


PACKED = gzip.compress(CONTENT, mtime=0)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "less than 40 bytes"),
        (b"no gzip file", "cut short or damaged"),
        (PACKED[:-1], "cut short or damaged"),
        (PACKED[: len(PACKED) // 2], "cut short or damaged"),
        (PACKED[:-8] + bytes(4) + PACKED[-4:], "cut short or damaged"),  # another CRC
        (PACKED[:10] + b"\xff" + PACKED[11:], "cut short or damaged"),  # no such block
        (PACKED + b"more", "cut short or damaged"),
        (gzip.compress(CONTENT[:-1], mtime=0), "less than 40 bytes"),
        (gzip.compress(CONTENT + b"x", mtime=0), "more than 40 bytes"),
        (PACKED + PACKED, "more than 40 bytes"),
        (bytes(40 + idx.SLACK + 1), "more than 65,576 bytes"),
    ],
)
def test_damaged_gzip_files_are_one_line(tmp_path: Path, data: bytes, expected: str) -> None:
    path = tmp_path / "grid.gz"
    path.write_bytes(data)
    with pytest.raises(InputError) as caught:
        idx.unpack(path, len(CONTENT))
    assert expected in str(caught.value) and "grid.gz" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_gzip_bomb_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(bytes(50 * 2**20)))
    tracemalloc.start()
    with pytest.raises(InputError, match="more than 1,000 bytes"):
        idx.unpack(path, 1000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**20


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected a readable file"):
        idx.unpack(tmp_path, 2**20)
    with pytest.raises(InputError, match=r"absent\.gz.*No such file"):
        idx.unpack(tmp_path / "absent.gz", 10)
