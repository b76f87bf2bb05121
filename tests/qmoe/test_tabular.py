from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from qmoe.errors import InputError
from qmoe.tabular import read

Array = NDArray[Any]
GOOD = "a,b,kind\n1,2,cat\n3,4.5,dog\n-1e3,0,cat\n"


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str | bytes], Path]:
    def to(text: str | bytes) -> Path:
        path = tmp_path / "data.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return to


Write = Callable[[str | bytes], Path]


def refused(path: Path, target: str | None = "kind", **kwargs: int) -> str:
    with pytest.raises(InputError) as caught:
        read(path, target, **kwargs)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith("got ")
    return message


def test_reads_a_csv(write: Write) -> None:
    X, y, classes = read(write(GOOD), "kind")
    assert X.tolist() == [[1.0, 2.0], [3.0, 4.5], [-1000.0, 0.0]]
    assert y.tolist() == [0, 1, 0]
    assert classes == ("cat", "dog")


def test_the_target_may_stand_anywhere_and_the_rest_keeps_its_order(write: Write) -> None:
    X, y, classes = read(write("b,kind,a\n1,x,2\n3,y,4\n"), "kind")
    assert X.tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert (y.tolist(), classes) == ([0, 1], ("x", "y"))


def test_byte_order_mark_quotes_blank_lines_and_spaces_are_read(write: Write) -> None:
    text = '\ufeffa, kind\r\n 1,"a, b"\r\n\r\n2, c \r\n'
    X, _, classes = read(write(text), "kind")
    assert X.tolist() == [[1.0], [2.0]]
    assert classes == ("a, b", "c")


@pytest.mark.parametrize(
    ("labels", "classes"),
    [(["10", "9", "-1"], ("-1", "9", "10")), (["b", "10", "9"], ("10", "9", "b"))],
)
def test_classes_stand_in_numeric_order_where_they_are_numbers(
    write: Write, labels: list[str], classes: tuple[str, ...]
) -> None:
    table = read(write("a,kind\n" + "".join(f"0,{label}\n" for label in labels)), "kind")
    assert table.classes == classes
    assert [table.classes[i] for i in table.y] == labels


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "got target column 'kind'"),
        ("a,b,kind\n", "got 0 rows of 2 features"),
        ("kind\ncat\ndog\n", "no column beside 'kind'"),
        ("1,2,3\n4,5,6\n", "got numbers in the first line"),
        ("a,a,kind\n1,2,cat\n", "column name 'a' 2 times"),
        ("a,,kind\n1,2,cat\n", "column name '' 1 times"),
        ("a,b,kin\n1,2,cat\n", "did you mean 'kin'?"),
        ("a;b;kind\n1;2;cat\n", "got target column 'kind'; expected one of a;b;kind"),
        ("a,b,kind\n1,2,cat\n3,4\n", "got 2 cells in data.csv, line 3; expected 3"),
        ("a,b,kind\n1,2,cat,9\n", "got 4 cells in data.csv, line 2; expected 3"),
        ("a,b,kind\n1,2,cat\n1,red,dog\n", "'red' in column 'b' of data.csv, line 3"),
        ("a,b,kind\n1,2,cat\n1,,dog\n", "got nothing in column 'b' of data.csv, line 3"),
        ("a,b,kind\n1,2,cat\n\n1,nan,dog\n", "got nan in column 'b' of data.csv, line 4"),
        ("a,b,kind\n-inf,2,cat\n1,nan,dog\n", "got -inf in column 'a' of data.csv, line 2"),
        ("a,b,kind\n1e999,2,cat\n1,1,dog\n", "got inf in column 'a'"),
        ("a,b,kind\n1,2,cat\n1,2,\n", "got no label in data.csv, line 3"),
        ("a,b,kind\n1,2,cat\n1,2,NaN\n", "got no label in data.csv, line 3"),
        ("a,b,kind\n1,2,cat\n3,4,cat\n", "the single class 'cat'"),
        ('a,b,kind\n1,2,cat\n3,4,"do', "unreadable row in data.csv after line"),
        (b"a,b,kind\n1,2,caf\xe9\n", "not UTF-8"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "unreadable row"),
    ],
)
def test_bad_csv_is_refused_in_one_line(write: Write, text: str | bytes, expected: str) -> None:
    assert expected in refused(write(text))


def test_a_column_of_a_wide_table_is_answered_with_the_nearest_alone(write: Write) -> None:
    header = ",".join(f"column{i}" for i in range(500))
    message = refused(write(f"{header},species\n"), "speceis")
    assert "one of 501 names" in message
    assert "did you mean 'species'?" in message
    assert len(message) < 200


def test_long_cells_and_names_are_shortened(write: Write) -> None:
    message = refused(write("a,kind\n" + "x" * 5000 + ",cat\n"))
    assert len(message) < 250


def test_files_that_are_no_tables_are_refused(write: Write, tmp_path: Path) -> None:
    assert "without a target" in refused(write(GOOD), None)
    assert "got no file" in refused(tmp_path / "missing.csv")
    assert "got file type '.parquet'" in refused(tmp_path / "data.parquet")
    (tmp_path / "folder.csv").mkdir()
    assert "got no file" in refused(tmp_path / "folder.csv")


def test_size_is_bounded_before_reading(write: Write) -> None:
    path = write(GOOD)
    size = path.stat().st_size
    assert len(read(path, "kind", max_bytes=size).y) == 3
    assert f"expected at most {size - 1}" in refused(path, max_bytes=size - 1)


def save(path: Path, **arrays: object) -> Path:
    np.savez(path, **arrays)  # type: ignore[arg-type]
    return path


X = np.arange(6.0).reshape(3, 2)


@pytest.mark.parametrize(
    ("y", "classes"),
    [
        (np.array([3, 1, 3]), ("1", "3")),
        (np.array(["b", "a", "b"]), ("a", "b")),
        (np.array([b"b", b"a", b"b"]), ("a", "b")),
        (np.array([True, False, True]), ("False", "True")),
        (np.array([2.5, -1.0, 2.5], dtype=np.float32), ("-1.0", "2.5")),
    ],
)
def test_reads_an_npz(tmp_path: Path, y: Array, classes: tuple[str, ...]) -> None:
    table = read(save(tmp_path / "d.npz", X=X.astype(np.float32), y=y))
    assert table.X.dtype == np.float64
    assert table.X.tolist() == X.tolist()
    assert table.y.tolist() == [1, 0, 1]
    assert table.classes == classes


def test_npz_compressed_and_with_another_target(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "d.npz", X=X.astype(int), label=np.array([0, 1, 1]))
    assert read(tmp_path / "d.npz", "label").y.tolist() == [0, 1, 1]
    assert "did you mean 'label'?" in refused(tmp_path / "d.npz", "lable")


class Bomb:
    """An object whose unpickling would be seen."""

    opened: list[str] = []  # noqa: RUF012

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return self.opened.append, ("opened",)


@pytest.mark.parametrize("key", ["X", "y"])
def test_pickled_objects_are_refused_and_never_opened(tmp_path: Path, key: str) -> None:
    arrays: dict[str, object] = {"X": X, "y": np.array([0, 1, 0])}
    arrays[key] = np.array([Bomb(), 1, 2], dtype=object)
    path = save(tmp_path / "d.npz", **arrays)
    assert f"got pickled objects in {key} of d.npz" in refused(path, None)
    assert Bomb.opened == []


@pytest.mark.parametrize(
    ("arrays", "expected"),
    [
        ({"X": X}, "got target 'y'; expected one of X"),
        ({"y": np.zeros(3)}, "got features 'X'; expected one of y"),
        ({"X": X[0], "y": np.zeros(2)}, "got X of shape (2,)"),
        ({"X": X[:0], "y": np.zeros(0)}, "got X of shape (0, 2)"),
        ({"X": X.astype(complex), "y": np.zeros(3)}, "type complex128"),
        ({"X": X.astype(str), "y": np.zeros(3)}, "got X of shape (3, 2) and type <U32"),
        ({"X": X, "y": np.zeros(2)}, "got y of shape (2,)"),
        ({"X": X, "y": np.zeros((3, 1))}, "expected 3 labels"),
        ({"X": X, "y": np.zeros(3, dtype=complex)}, "type complex128"),
        ({"X": X, "y": np.array([0.0, np.nan, 1.0])}, "got no label in d.npz, row 1"),
        ({"X": X, "y": np.array(["a", " ", "b"])}, "got no label in d.npz, row 1"),
        ({"X": np.where(X == 3, np.nan, X), "y": np.zeros(3)}, "'X[:, 1]' of d.npz, row 1"),
        ({"X": X, "y": np.zeros(3)}, "the single class '0.0'"),
    ],
)
def test_bad_npz_is_refused_in_one_line(
    tmp_path: Path, arrays: dict[str, object], expected: str
) -> None:
    assert expected in refused(save(tmp_path / "d.npz", **arrays), None)


def test_a_long_float_beyond_the_range_of_a_double_is_refused(tmp_path: Path) -> None:
    big = np.full((2, 1), np.finfo(np.longdouble).max)
    assert "got inf in column" in refused(save(tmp_path / "d.npz", X=big, y=np.array([0, 1])), None)


def test_every_cut_and_every_altered_byte_is_refused_or_changes_nothing(tmp_path: Path) -> None:
    path = save(tmp_path / "d.npz", X=X, y=np.array([0, 1, 1]))
    whole = path.read_bytes()
    right = read(path)
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        assert "damaged" in refused(path, None)
    # The zip format checks the content but not its own file names, dates and flags.
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x5A]) + whole[place + 1 :])
        try:
            again = read(path)
        except InputError:
            continue
        assert again.X.tolist() == right.X.tolist()
        assert again.y.tolist() == right.y.tolist()


def npz(path: Path, **entries: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for key, content in entries.items():
            archive.writestr(f"{key}.npy", content)
    return path


def npy(array: Array) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


@pytest.mark.parametrize("shape", ["(10**9, 2), ", "(900000000, 2), ", "(-3, -2), ", "(3, 9), "])
def test_a_header_that_promises_more_than_is_there_is_refused(tmp_path: Path, shape: str) -> None:
    head = npy(X).replace(b"(3, 2), ", shape.encode())
    # The header's length stands in bytes 8 and 9; it grew with the shape.
    grown = len(shape) - len("(3, 2), ")
    length = int.from_bytes(head[8:10], "little") + grown
    head = head[:8] + length.to_bytes(2, "little") + head[10:]
    assert "damaged" in refused(npz(tmp_path / "d.npz", X=head, y=npy(np.zeros(3))), None)


def test_rows_without_bytes_are_refused(tmp_path: Path) -> None:
    # Shape (10**12, 0) takes no memory, a list of its labels would.
    empty = npy(np.zeros((10**12, 0)))
    labels = npy(np.zeros((10**12, 0), dtype=int))
    assert "got X of shape" in refused(npz(tmp_path / "d.npz", X=empty, y=labels), None)


def test_unpacked_size_is_bounded(tmp_path: Path) -> None:
    path = npz(tmp_path / "d.npz", X=npy(np.zeros((20000, 2))), y=npy(np.zeros(20000)))
    assert path.stat().st_size < 10_000
    assert "expected at most 10,000" in refused(path, None, max_bytes=10_000)


def test_packing_that_numpy_never_uses_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "d.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("X.npy", npy(X))
        archive.writestr("y.npy", npy(np.zeros(3)))
    assert "damaged" in refused(path, None)


def test_a_damaged_name_inside_the_file_is_refused(tmp_path: Path) -> None:
    path = npz(tmp_path / "d.npz", X=npy(X), é=npy(np.zeros(3)))
    whole = path.read_bytes()
    assert read(npz(tmp_path / "e.npz", X=npy(X), é=npy(np.array([0, 1, 1]))), "é").y[0] == 0
    path.write_bytes(whole.replace("é".encode(), b"\xff\xff"))
    assert "damaged" in refused(path, "é")
