from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest
from sklearn.datasets import make_moons
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import MinMaxScaler

from qmoe import data
from qmoe.data import Dataset, DataSpec, Sizes
from qmoe.errors import InputError
from qmoe.scaling import Scaler

SYNTHETIC = ["moons", "circles", "spirals", "spirals,arms=3", "rings", "rings,rings=5", "linear"]
FIXED = ["digits", "breast_cancer", "wine"]
IMAGES = ["mnist", "fashion-mnist"]
SMALL = Sizes(60, 40, 50)


def spec(text: str) -> DataSpec:
    return DataSpec.parse(text)


def sizes(text: str) -> Sizes | None:
    return None if spec(text).fixed else SMALL


# Specs


@pytest.mark.parametrize("text", [*SYNTHETIC, *FIXED, *IMAGES, "mnist,classes=7/2"])
def test_a_specs_text_reads_back(text: str) -> None:
    made = spec(text)
    assert spec(str(made)) == made


COUNTS = st.integers(2, 20)
NOISES = st.floats(1e-3, 1e300)
OPTIONS: dict[str, dict[str, st.SearchStrategy[object]]] = {
    "moons": {"noise": NOISES},
    "spirals": {"noise": NOISES | st.just(0.0), "arms": COUNTS},
    "rings": {"noise": NOISES | st.just(0.0), "rings": COUNTS},
    "wine": {},
    "mnist": {"classes": st.lists(st.integers(0, 9), min_size=2, unique=True).map(tuple)},
}


@pytest.mark.parametrize("name", OPTIONS)
@settings(max_examples=30)
@given(st.data())
def test_any_specs_text_reads_back(name: str, chosen: st.DataObject) -> None:
    made = DataSpec(name, **chosen.draw(st.fixed_dictionaries({}, optional=OPTIONS[name])))
    text = str(made)
    assert spec(text) == made
    assert str(spec(text)) == text
    assert spec(text.replace("(", ",").replace(")", "")) == made


def read_or_refused(text: str) -> DataSpec | str:
    try:
        return spec(text)
    except InputError as error:
        return str(error)


@settings(max_examples=50)
@given(st.text("moonsclae=/,.()0123456789-x٣\x00", max_size=30) | st.text())
def test_any_text_is_a_spec_or_an_input_error(text: str) -> None:
    for each in (text, f"moons,noise={text}", f"mnist,classes={text}", f"rings,rings={text}"):
        made = read_or_refused(each)
        if isinstance(made, str):
            assert "\n" not in made
        else:
            assert made.path is not None or made.name in data.names()


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("moons", "moons(noise=0.1)"),
        ("moons,noise=.2", "moons(noise=0.2)"),
        (" moons( noise = 2e-1 ) ", "moons(noise=0.2)"),
        ("linear,noise=-0.0", "linear(noise=0.0)"),
        ("spirals", "spirals(arms=2,noise=0.05)"),
        ("rings", "rings(noise=0.05,rings=3)"),
        ("rings,noise=0,rings=2", "rings(noise=0.0,rings=2)"),
        ("digits", "digits"),
        ("mnist", "mnist"),
        ("mnist,classes=all", "mnist"),
        ("mnist,classes=9/8/7/6/5/4/3/2/1/0", "mnist"),
        ("fashion-mnist,classes=9/0/3", "fashion-mnist(classes=0/3/9)"),
        ("mnist(classes=1/0)", "mnist(classes=0/1)"),
    ],
)
def test_canonical_names(text: str, canonical: str) -> None:
    assert str(spec(text)) == canonical


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("moon", "did you mean 'moons'?"),
        ("", "got data set ''"),
        ("moons,nois=0.1", "did you mean 'noise'?"),
        ("moons,arms=3", "got arms=3 for moons; expected noise"),
        ("moons,noise", "expected key=value"),
        ("moons,noise=0.1,noise=0.2", "got noise twice"),
        ("moons,noise=loud", "got noise=loud for moons"),
        ("moons,noise=true", "got noise=True for moons"),
        ("moons,noise=nan", "got noise=nan for moons"),
        ("moons,noise=0", "got noise=0 for moons; expected a number above 0"),
        ("linear,noise=-1", "got noise=-1 for linear"),
        ("linear,noise=1" + "0" * 400, "expected a number of 0 or more"),
        ("linear,noise=inf", "got noise=inf for linear"),
        ("spirals,arms=1", "got arms=1"),
        ("spirals,arms=2.5", "got arms=2.5"),
        ("spirals,arms=nan", "got arms=nan"),
        ("rings,rings=1", "got rings=1; expected a whole number from 2 to 20; pass rings=3"),
        ("rings,arms=3", "got arms=3 for rings; expected noise and rings"),
        ("mnist,classes=3/11", "got classes=3/11 for mnist; expected all, or 2 or more different"),
        ("mnist,classes=3", "got classes=3 for mnist"),
        ("mnist,classes=3/", "got classes=3 for mnist"),
        ("mnist,classes=3/3", "got classes=3/3 for mnist"),
        ("mnist,classes=0/1/0", "got classes=0/1/0 for mnist"),
        ("mnist,classes=zero/one", "got classes=zero/one for mnist"),
        ("mnist,classes=-1/1", "classes from 0 to 9; write them as classes=0/1"),
        ("wine,classes=0/1", "got classes=0/1 for wine; expected no options"),
        ("mnist,noise=0.1", "got noise=0.1 for mnist; expected classes"),
        ("digits,noise=0.1", "got noise=0.1 for digits; expected no options"),
        ("data.parquet", "a file that ends in .csv or .npz"),
        ("some/folder", "a file that ends in .csv or .npz"),
    ],
)
def test_bad_specs_are_refused(text: str, expected: str) -> None:
    with pytest.raises(InputError) as caught:
        spec(text)
    assert expected in str(caught.value)


def test_a_target_belongs_to_a_file() -> None:
    made = DataSpec.parse("folder/rows.csv", target="kind")
    assert (made.path, str(made), made.fixed) == (
        Path("folder/rows.csv"),
        "rows.csv(target=kind)",
        True,
    )
    with pytest.raises(InputError, match="got target 'kind' with the named set 'wine'"):
        DataSpec.parse("wine", target="kind")
    with pytest.raises(InputError, match=r"got noise=0\.1 for rows\.csv"):
        DataSpec("rows.csv", noise=0.1, path=Path("rows.csv"))


# The table of named sets


def test_the_catalogue_says_what_is_loaded_or_drawn() -> None:
    assert data.names() == tuple(entry.name for entry in data.catalogue())
    drawn_anew = {"moons", "circles", "spirals", "rings", "linear"}
    assert set(data.names()) == {*drawn_anew, *FIXED, *IMAGES}
    for entry in data.catalogue():
        if entry.name in IMAGES:
            continue  # test_images.py: their files need not be here
        made = spec(entry.name)
        assert made.fixed == (entry.rows is not None)
        rows = 100 if entry.rows is None else entry.rows
        drawn = data.load(made) if made.fixed else data.draw(made, rows, np.random.default_rng(0))
        assert drawn.X.shape == (rows, entry.features)
        assert len(drawn.classes) == entry.classes
        assert np.unique(drawn.y).tolist() == list(range(entry.classes))
        assert drawn.fixed == made.fixed


def test_fixed_sets_keep_their_class_names() -> None:
    assert data.load(spec("breast_cancer")).classes == ("malignant", "benign")
    assert data.load(spec("digits")).classes == tuple("0123456789")


@pytest.mark.parametrize("text", SYNTHETIC)
@pytest.mark.parametrize("rows", [60, 61])
def test_drawn_classes_are_as_equal_as_they_can_be(text: str, rows: int) -> None:
    drawn = data.draw(spec(text), rows, np.random.default_rng(3))
    counts = np.bincount(drawn.y, minlength=len(drawn.classes))
    assert counts.sum() == rows
    assert np.ptp(counts) <= 1
    # Shuffled: a block of one class would make every minibatch one-sided.
    assert len(set(drawn.y[:20].tolist())) == len(drawn.classes)


def separability(text: str) -> float:
    drawn = data.draw(spec(text), 2000, np.random.default_rng(0))
    model = LogisticRegression(C=1e6, max_iter=10_000).fit(drawn.X, drawn.y)
    return float(model.score(drawn.X, drawn.y))


def test_a_line_separates_linear_and_nothing_else() -> None:
    assert separability("linear") == 1.0
    # Each class crosses the other's side; 0.5 is a guess, and the best line gets part of it.
    assert separability("spirals") < 0.75
    assert separability("spirals,arms=3") < 0.65
    assert separability("circles") < 0.6
    # Three equal classes about one centre: a line tells none from the others.
    assert separability("rings") < 0.45
    assert 0.8 < separability("moons") < 0.95


def test_noise_is_a_difficulty_knob() -> None:
    assert separability("linear,noise=0.2") < 1.0
    assert separability("moons,noise=0.4") < separability("moons,noise=0.1")


def test_rings_are_evenly_spaced_with_random_angles() -> None:
    drawn = data.draw(spec("rings,rings=4,noise=0"), 400, np.random.default_rng(0))
    np.testing.assert_allclose(np.hypot(*drawn.X.T), (drawn.y + 1) / 4, atol=1e-15)
    for label in range(4):
        angles = np.arctan2(*drawn.X[drawn.y == label].T)
        # scipy's test at a fixed seed; evenly spaced angles would have a distance below 0.01
        uniform = kstest(angles, "uniform", (-math.pi, 2 * math.pi))
        assert uniform.pvalue > 1e-3 and uniform.statistic > 0.02
    noisy = data.draw(spec("rings"), 30_000, np.random.default_rng(1))
    off = np.hypot(*noisy.X.T) - (noisy.y + 1) / 3
    # Beyond the first ring's curvature the radius is off by the noise: sd of an sd is s / sqrt(2n).
    assert off[noisy.y == 2].std() == pytest.approx(0.05, abs=4 * 0.05 / math.sqrt(20_000))


def test_no_single_feature_separates_linear() -> None:
    drawn = data.draw(spec("linear"), 2000, np.random.default_rng(0))
    for column in drawn.X.T:
        one, two = (column[drawn.y == label] for label in (0, 1))
        assert one.max() > two.min()


# Splits


@pytest.mark.parametrize("text", [*SYNTHETIC, *FIXED])
def test_a_seed_always_gives_the_same_parts_and_another_seed_others(text: str) -> None:
    def digests(root: int, seed: int) -> list[str]:
        parts = data.splits(spec(text), root=root, seed=seed, sizes=sizes(text))
        return [part.digest for part in parts]

    first = digests(0, 1)
    assert digests(0, 1) == first
    others = [*digests(0, 2), *digests(1, 1)]
    assert len({*first, *others}) == 9


def test_default_sizes_of_drawn_parts() -> None:
    parts = data.splits(spec("moons"), root=0, seed=0)
    assert [len(part.y) for part in parts] == [1000, 500, 5000]


@pytest.mark.parametrize("text", SYNTHETIC)
def test_drawn_parts_are_independent_of_each_others_sizes(text: str) -> None:
    small = data.splits(spec(text), root=0, seed=0, sizes=Sizes(60, 40, 50))
    large = data.splits(spec(text), root=0, seed=0, sizes=Sizes(60, 80, 500))
    assert small.train.digest == large.train.digest
    assert small.validation.digest != large.validation.digest


@pytest.mark.parametrize("text", [*SYNTHETIC, *FIXED])
def test_parts_never_overlap(text: str) -> None:
    parts = data.splits(spec(text), root=0, seed=4, sizes=sizes(text))
    rows = [{row.tobytes() for row in part.X} for part in parts]
    # The rows of these sets are distinct, so sets of rows stand for sets of indices.
    assert [len(each) for each in rows] == [len(part.y) for part in parts]
    assert len(set.union(*rows)) == sum(map(len, rows))


@pytest.mark.parametrize("text", FIXED)
def test_a_fixed_set_is_cut_whole_by_class_into_equal_sizes_for_all_seeds(text: str) -> None:
    whole = data.load(spec(text))
    counts = np.bincount(whole.y)
    cuts = [data.splits(whole, root=0, seed=seed) for seed in range(3)]
    for parts in cuts:
        assert np.concatenate([part.y for part in parts]).shape == whole.y.shape
        for part, share in zip(parts, (0.6, 0.2, 0.2), strict=True):
            assert part.fixed
            # Two roundings of at most half a row each.
            assert (np.abs(np.bincount(part.y) - share * counts) <= 1).all()
    assert len({tuple(len(part.y) for part in parts) for parts in cuts}) == 1


def test_rows_keep_their_labels_when_cut() -> None:
    y = np.arange(40) % 2
    marked = Dataset(
        "marked", np.stack([y.astype(np.float64), np.arange(40.0)], axis=1), y, ("a", "b"), True
    )
    for part in data.splits(marked, root=0, seed=0):
        assert (part.X[:, 0] == part.y).all()


def test_loading_once_and_loading_per_seed_give_the_same_parts() -> None:
    once = data.load(spec("wine"))
    assert (
        data.splits(once, root=2, seed=5).digest == data.splits(spec("wine"), root=2, seed=5).digest
    )


def test_the_digest_covers_rows_labels_and_classes() -> None:
    X, y = np.array([[0.0, 1.0], [2.0, 3.0]]), np.array([0, 1])
    one = Dataset("a", X, y, ("n", "p"), True)
    assert one.digest == Dataset("b", np.where(X == 0, -0.0, X), y.copy(), ("n", "p"), False).digest
    others = [
        Dataset("a", X.reshape(1, 4), y[:1], ("n", "p"), True),
        Dataset("a", X + 1e-15, y, ("n", "p"), True),
        Dataset("a", X, y[::-1].copy(), ("n", "p"), True),
        Dataset("a", X, y, ("n", "q"), True),
    ]
    assert len({one.digest, *(other.digest for other in others)}) == 5


def test_sizes_that_leave_a_class_out_are_refused() -> None:
    for bad in (Sizes(train=0), Sizes(validation=1), Sizes(test=-5)):
        with pytest.raises(InputError, match=r"rows of moons.*at least 2, one per class"):
            data.splits(spec("moons"), root=0, seed=0, sizes=bad)
    with pytest.raises(InputError, match="got 2 rows of spirals"):
        data.draw(spec("spirals,arms=3"), 2, np.random.default_rng(0))


def test_sizes_of_a_fixed_set_are_refused() -> None:
    with pytest.raises(InputError, match="got sizes for the fixed set wine"):
        data.splits(spec("wine"), root=0, seed=0, sizes=SMALL)


def test_drawing_fixed_and_loading_synthetic_sets_are_refused() -> None:
    with pytest.raises(InputError, match="got wine to draw from"):
        data.draw(spec("wine"), 10, np.random.default_rng(0))
    with pytest.raises(InputError, match="got synthetic data moons"):
        data.load(spec("moons"))


@pytest.mark.parametrize("rare", [0, 1, 4])
def test_a_class_too_small_to_cut_is_named(rare: int) -> None:
    y = np.array([0] * 20 + [1] * rare)
    small = Dataset("mine", np.zeros((len(y), 1)), y, ("big", "rare"), True)
    with pytest.raises(InputError, match=f"got {rare} rows of class 'rare' in mine"):
        data.splits(small, root=0, seed=0)


def test_the_smallest_class_that_can_be_cut_stands_in_every_part() -> None:
    y = np.array([0] * 20 + [1] * 5)
    small = Dataset("mine", np.zeros((25, 1)), y, ("big", "rare"), True)
    parts = data.splits(small, root=0, seed=0)
    assert [int((part.y == 1).sum()) for part in parts] == [3, 1, 1]


def test_the_users_file_goes_the_same_way(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    rows = "".join(f"{i},{i * i},{'even' if i % 2 == 0 else 'odd'}\n" for i in range(50))
    path.write_text("a,b,kind\n" + rows)
    made = data.prepared(DataSpec.parse(str(path), "kind"), "[-pi, pi]", root=0, seed=0)
    assert made.name == "mine.csv(target=kind)"
    assert made.classes == ("even", "odd")
    assert [len(made.y_train), len(made.y_validation), len(made.y_test)] == [30, 10, 10]


# Prepared parts


@pytest.mark.parametrize("text", ["moons", "wine"])
@pytest.mark.parametrize("kind", ["standard", "[0, pi]", "[-pi, pi]"])
@pytest.mark.parametrize("pca", [None, 2])
def test_prepared_parts_are_the_splits_under_a_scaler_of_the_training_part(
    text: str, kind: str, pca: int | None
) -> None:
    parts = data.splits(spec(text), root=0, seed=1, sizes=sizes(text))
    made = data.prepared(spec(text), kind, pca, root=0, seed=1, sizes=sizes(text))
    assert made.digest == parts.digest
    assert made.scaler == Scaler.fit(parts.train.X, kind, pca)
    assert made.clipped.train == 0
    np.testing.assert_array_equal(made.X_test, made.scaler.transform(parts.test.X).X)
    np.testing.assert_array_equal(made.y_validation, parts.validation.y)


def test_an_outlier_in_the_test_part_alters_nothing_but_the_clipped_count() -> None:
    whole = data.load(spec("wine"))
    made = data.prepared(whole, "[0, pi]", root=0, seed=0)
    raw = data.splits(whole, root=0, seed=0).test.X[0]
    planted = whole.X.copy()
    planted[(planted == raw).all(axis=1)] = 1e6
    again = data.prepared(
        Dataset(whole.name, planted, whole.y, whole.classes, True), "[0, pi]", root=0, seed=0
    )
    assert again.scaler == made.scaler
    np.testing.assert_array_equal(again.X_train, made.X_train)
    np.testing.assert_array_equal(again.X_test[1:], made.X_test[1:])
    np.testing.assert_array_equal(again.X_test[0], math.pi)
    before = made.scaler.transform(raw[None]).clipped
    assert again.clipped.test == made.clipped.test - before + whole.X.shape[1]
    assert again.clipped.validation == made.clipped.validation


@pytest.mark.parametrize("pca", [None, 2])
@pytest.mark.parametrize("kind", ["standard", "[-pi, pi]"])
def test_parts_under_another_scaler_are_as_if_prepared_anew(kind: str, pca: int | None) -> None:
    seeds = range(2)
    first = data.prepared_seeds(spec("wine"), "[0, pi]", pca, root=0, seeds=seeds)
    lent = data.prepared_seeds(spec("wine"), kind, pca, root=0, seeds=seeds, like=first)
    anew = data.prepared_seeds(spec("wine"), kind, pca, root=0, seeds=seeds)
    for one, two in zip(lent, anew, strict=True):
        assert (one.scaler, one.digest, one.clipped) == (two.scaler, two.digest, two.clipped)
        np.testing.assert_array_equal(one.X_train, two.X_train)
        np.testing.assert_array_equal(one.X_test, two.X_test)
    if pca is not None:
        assert all(
            one.scaler.projection is two.scaler.projection
            for one, two in zip(lent, first, strict=True)
        )


def test_the_pca_of_another_split_is_refused() -> None:
    first = data.prepared(spec("wine"), pca=2, root=0, seed=0)
    for seed, pca in ((1, 2), (0, 3), (0, None)):
        with pytest.raises(InputError, match="another split of wine or another PCA"):
            data.prepared(spec("wine"), "standard", pca, root=0, seed=seed, like=first)


def test_preparing_many_seeds_reads_once_and_agrees_with_one_by_one() -> None:
    many = data.prepared_seeds(spec("wine"), "standard", 2, root=0, seeds=range(3))
    alone = [data.prepared(spec("wine"), "standard", 2, root=0, seed=seed) for seed in range(3)]
    assert [each.digest for each in many] == [each.digest for each in alone]


@pytest.mark.parametrize("text", ["moons", "wine"])
def test_a_stack_has_the_rows_last(text: str) -> None:
    parts = data.prepared_seeds(spec(text), root=0, seeds=[0, 7, 3], sizes=sizes(text))
    stacked = data.stack(parts)
    rows, features = parts[0].X_train.shape
    assert stacked.X_train.shape == (3, features, rows)
    assert stacked.y_train.shape == (3, rows)
    for array in stacked:
        assert array.flags.c_contiguous
        assert array.flags.writeable
        assert array.dtype in (np.float64, np.int64)
    for i, part in enumerate(parts):
        np.testing.assert_array_equal(stacked.X_train[i].T, part.X_train)
        np.testing.assert_array_equal(stacked.X_validation[i].T, part.X_validation)
        np.testing.assert_array_equal(stacked.X_test[i].T, part.X_test)
        np.testing.assert_array_equal(stacked.y_test[i], part.y_test)


def test_no_seeds_and_seeds_of_other_data_do_not_stack() -> None:
    with pytest.raises(InputError, match="got 0 seeds"):
        data.stack([])
    one = data.prepared(spec("moons"), root=0, seed=0, sizes=SMALL)
    two = data.prepared(spec("circles"), root=0, seed=0, sizes=SMALL)
    with pytest.raises(InputError, match="2 different names or shapes"):
        data.stack([one, two])


# The published protocol


def test_the_notebook_scales_all_rows_together_and_holds_none_out() -> None:
    X, y = make_moons(1000, noise=0.1, random_state=42)
    made = data.prepared_notebook()
    expected = MinMaxScaler((0, math.pi)).fit_transform(X)
    np.testing.assert_allclose(made.X_train, expected, atol=1e-14)
    np.testing.assert_array_equal(made.y_train, y)
    np.testing.assert_array_equal(made.X_test, made.X_train)
    assert (made.protocol, made.fixed, made.clipped) == ("notebook", True, (0, 0, 0))
    np.testing.assert_array_equal(
        data.notebook_moons(500).X, make_moons(500, noise=0.1, random_state=42)[0]
    )


def test_importing_loads_no_heavy_package() -> None:
    heavy = "{'sklearn', 'pandas', 'scipy', 'torch', 'pooch', 'requests'}"
    code = f"import sys, qmoe.data; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_no_draw_touches_the_global_random_state() -> None:
    before = np.random.get_state()
    for text in SYNTHETIC:
        data.splits(spec(text), root=0, seed=0, sizes=SMALL)
    np.testing.assert_equal(np.random.get_state(), before)
