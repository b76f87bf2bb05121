"""Image sets: the published files where there are some, tiny ones for everything that can fail."""

from __future__ import annotations

import gzip
import math
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from qmoe import data, datasets, images
from qmoe.data import DataSpec, Images, Sizes
from qmoe.errors import InputError
from qmoe.images import IMAGE_SETS
from tests.qmoe.picture_sets import NAMES, store, tiny

# As published, over the 60,000 training images with pixels in [0, 1].
KNOWN = {
    "mnist": (0.1307, 0.3081, [5, 0, 4, 1, 9, 2, 1, 3], 6903, 7877),
    "fashion-mnist": (0.2860, 0.3530, [9, 0, 0, 3, 0, 2, 7, 2], 7000, 7000),
}


Published = tuple[str, NDArray[np.uint8], NDArray[np.int64]]


@pytest.fixture(params=list(IMAGE_SETS), scope="module")
def published(request: pytest.FixtureRequest) -> Published:
    """The name, pixels and labels of a set whose published files are here."""
    if images.find(IMAGE_SETS[request.param]) is None:
        pytest.skip(f"no {request.param} on this machine: set {images.DATA_DIR} or fetch it")
    return request.param, *images.read(IMAGE_SETS[request.param])


@pytest.fixture
def places(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> tuple[Path, Path]:
    """An empty data folder and an empty cache."""
    monkeypatch.setenv(images.DATA_DIR, str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "data", images.cache()


# The published sets


def test_the_published_sets_have_their_known_statistics(published: Published) -> None:
    name, pixels, y = published
    mean, deviation, first, zeros, ones = KNOWN[name]
    assert pixels.shape == (70_000, 784) and y.shape == (70_000,)
    counts = np.bincount(pixels[:60_000].ravel(), minlength=256) / (60_000 * 784)
    values = np.arange(256) / 255
    average = counts @ values
    assert average == pytest.approx(mean, abs=5e-5)
    assert counts @ (values - average) ** 2 == pytest.approx(deviation**2, abs=5e-5)
    assert y[:8].tolist() == first
    assert np.bincount(y)[:2].tolist() == [zeros, ones]


def test_a_pair_of_classes_is_the_rows_with_those_labels(published: Published) -> None:
    name, pixels, y = published
    made = data.load(DataSpec.parse(f"{name},classes=8/3"))
    kept = np.isin(y, (3, 8))
    assert made.X.max() == 1.0
    np.testing.assert_array_equal(made.X * 255, pixels[kept])
    np.testing.assert_array_equal(made.y, (y[kept] == 8).astype(np.int64))
    assert made.classes == (("3", "8") if name == "mnist" else ("Dress", "Bag"))
    assert (made.name, made.fixed) == (f"{name}(classes=3/8)", True)


def test_parts_of_a_pair_have_their_sizes_and_the_classes_shares(published: Published) -> None:
    parts = data.splits(DataSpec.parse(f"{published[0]},classes=0/1"), root=0, seed=0)
    zeros, ones = KNOWN[published[0]][3:]
    for part, rows in zip(parts, (2000, 1000, 2000), strict=True):
        assert part.X.shape == (rows, 784)
        assert (part.X.min(), part.X.max()) == (0.0, 1.0)
        assert abs(int((part.y == 0).sum()) - rows * zeros / (zeros + ones)) < 1


def test_all_classes_never_stand_in_memory_as_floats(published: Published) -> None:
    name = published[0]
    tracemalloc.start()
    parts = data.splits(DataSpec.parse(name), root=0, seed=0, sizes=Sizes(2000, 1000, 5000))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # 55 MB of pixels, up to three times while they are put together; 439 MB as floats.
    assert peak < 250e6
    assert [len(part.y) for part in parts] == [2000, 1000, 5000]
    assert parts.train.classes == IMAGE_SETS[name].classes


def test_many_seeds_read_the_files_once(
    published: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def counted(*given: object) -> object:
        calls.append(given)
        return images.read(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(datasets, "read", counted)
    spec, sizes = DataSpec.parse(f"{published[0]},classes=0/1"), Sizes(60, 40, 50)
    many = data.prepared_seeds(spec, "[0, pi]", 2, root=0, seeds=range(3), sizes=sizes)
    assert len(calls) == 1
    assert len({each.digest for each in many}) == 3
    alone = data.prepared(spec, "[0, pi]", 2, root=0, seed=2, sizes=sizes)
    assert alone.digest == many[2].digest


# Where files are looked for


def test_the_data_folder_comes_before_the_cache(places: tuple[Path, Path]) -> None:
    pictures, packed = tiny()
    given, cache = places
    assert images.find(pictures) is None
    store(cache / "tiny", packed)
    assert images.find(pictures) == cache / "tiny"
    store(given / "tiny", packed)
    assert images.find(pictures) == given / "tiny"
    (given / "tiny" / NAMES[3]).unlink()
    assert images.find(pictures) == cache / "tiny"


def test_a_set_that_is_not_here_says_how_to_get_it(places: tuple[Path, Path]) -> None:
    for text in ("mnist", "fashion-mnist,classes=0/1"):
        name = DataSpec.parse(text).name
        with pytest.raises(InputError, match=f"got no {name} on this machine") as caught:
            data.load(DataSpec.parse(text))
        assert f"qmoe data fetch {name}" in str(caught.value)
        assert "QMOE_DATA_DIR" in str(caught.value)


# Reading


def test_rows_and_labels_come_as_published_training_part_first(places: tuple[Path, Path]) -> None:
    pictures, packed = tiny()
    store(places[0] / "tiny", packed)
    pixels, y = images.read(pictures)
    assert pixels.shape == (15, 16)
    assert y.tolist() == [0, 1, 2] * 5
    first, second = (gzip.decompress(packed[name])[16:] for name in (NAMES[0], NAMES[2]))
    assert pixels.tobytes() == first + second
    some, labels = images.read(pictures, (0, 2))
    np.testing.assert_array_equal(some, pixels[y != 1])
    assert labels.tolist() == [0, 2] * 5


@pytest.mark.parametrize("name", NAMES)
def test_one_altered_value_is_refused(places: tuple[Path, Path], name: str) -> None:
    pictures, packed = tiny()
    content = bytearray(gzip.decompress(packed[name]))
    content[-1] ^= 1
    store(places[0] / "tiny", {**packed, name: gzip.compress(bytes(content))})
    with pytest.raises(InputError, match=f"another sha256 in {name}"):
        images.read(pictures)


def test_a_copy_packed_in_another_way_is_the_same_set(places: tuple[Path, Path]) -> None:
    pictures, packed = tiny()
    again = {name: gzip.compress(gzip.decompress(v), 1, mtime=7) for name, v in packed.items()}
    assert again != packed
    store(places[0] / "tiny", again)
    assert len(images.read(pictures)[1]) == 15


def test_a_file_cut_short_is_one_line_and_no_other_copy_stands_in(
    places: tuple[Path, Path],
) -> None:
    pictures, packed = tiny()
    store(places[0] / "tiny", {**packed, NAMES[0]: packed[NAMES[0]][:-20]})
    store(places[1] / "tiny", packed)
    with pytest.raises(InputError, match=f"cut short or damaged in {NAMES[0]}"):
        images.read(pictures)


# Drawing parts


def marked(*counts: int) -> Images:
    """Images whose two pixels are their class and their place in it."""
    y = np.repeat(np.arange(len(counts)), counts)
    place = np.concatenate([np.arange(count) for count in counts])
    pixels = np.stack([y, place], axis=1).astype(np.uint8)
    return Images("marked", pixels, y, tuple("abcdefghij"[: len(counts)]))


def drawn(pictures: Images, seed: int, *sizes: int) -> list[list[tuple[int, int]]]:
    """The (class, place) of every row of the three parts."""
    parts = data.splits(pictures, root=0, seed=seed, sizes=Sizes(*sizes))
    for part in parts:
        np.testing.assert_array_equal(np.round(part.X[:, 0] * 255), part.y)
    rows = [np.round(part.X * 255).astype(int).tolist() for part in parts]
    return [[(label, place) for label, place in part] for part in rows]


def test_parts_are_disjoint_with_every_class_in_its_share() -> None:
    pictures = marked(100, 50, 25)
    for seed in range(5):
        parts = drawn(pictures, seed, 70, 35, 50)
        every = [row for part in parts for row in part]
        assert len(set(every)) == len(every) == 155
        counts = [np.bincount([label for label, _ in part]).tolist() for part in parts]
        # 50 rows have shares of 28.57, 14.29 and 7.14: the largest remainder gets the last row
        assert counts == [[40, 20, 10], [20, 10, 5], [29, 14, 7]]


def test_a_larger_test_part_leaves_the_others_as_they_were() -> None:
    pictures = marked(90, 90)
    small, large = (drawn(pictures, 3, 40, 20, rows) for rows in (20, 100))
    assert small[:2] == large[:2]


def test_every_row_is_drawn_equally_often() -> None:
    seeds, rows = 400, 40
    pictures = marked(rows // 2, rows // 2)
    hits = np.zeros((2, rows // 2))
    for seed in range(seeds):
        for label, place in drawn(pictures, seed, 10, 6, 8)[0]:
            hits[label, place] += 1
    # Each row is in the training part with probability 1/4. Bonferroni over 40 rows at 1e-4 in
    # all: 4.9 standard deviations of a binomial count.
    bound = 4.9 * math.sqrt(seeds * 0.25 * 0.75)
    assert np.abs(hits - seeds / 4).max() < bound
    assert hits.std() > 0


@pytest.mark.parametrize("sizes", [(0, 5, 5), (5, -5, 5), (1, 5, 5), (30, 20, 11), (100, 1, 1)])
def test_sizes_that_cannot_be_drawn_are_refused(sizes: tuple[int, int, int]) -> None:
    with pytest.raises(InputError, match="rows of marked; expected a row or more per class"):
        drawn(marked(30, 30), 0, *sizes)
    assert len(drawn(marked(30, 30), 0, 30, 20, 10)[2]) == 10


def test_the_digest_is_over_the_rows_drawn() -> None:
    pictures, sizes = marked(50, 50), Sizes(20, 10, 10)
    parts = data.splits(pictures, root=0, seed=0, sizes=sizes)
    assert data.prepared(pictures, root=0, seed=0, sizes=sizes).digest == parts.digest
    altered = pictures.pixels.copy()
    row = np.flatnonzero((pictures.pixels / 255 == parts.test.X[0]).all(axis=1))
    altered[row] += 1
    again = Images(pictures.name, altered, pictures.y, pictures.classes)
    other = data.splits(again, root=0, seed=0, sizes=sizes)
    assert other.train.digest == parts.train.digest
    assert other.test.digest != parts.test.digest
