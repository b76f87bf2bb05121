from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from qmoe.errors import InputError
from qmoe.scaling import RANGES, Scaler, scaler_kind

KINDS = list(RANGES)
Floats = NDArray[np.float64]


@pytest.fixture
def rows() -> Floats:
    rng = np.random.default_rng(5)
    return rng.normal(size=(60, 4)) @ rng.normal(size=(4, 4)) + [0.0, 5.0, -3.0, 100.0]


@pytest.mark.parametrize(
    ("kind", "other"),
    [
        ("standard", StandardScaler()),
        ("[0, pi]", MinMaxScaler((0, math.pi))),
        ("[-pi, pi]", MinMaxScaler((-math.pi, math.pi))),
    ],
)
def test_agrees_with_scikit_learn(rows: Floats, kind: str, other: Any) -> None:
    ours, clipped = Scaler.fit(rows, kind).transform(rows)
    np.testing.assert_allclose(ours, other.fit_transform(rows), atol=1e-12)
    assert clipped == 0


@pytest.mark.parametrize("count", [1, 3, 4])
def test_pca_agrees_with_scikit_learn(rows: Floats, count: int) -> None:
    before = StandardScaler().fit(rows)
    pca = PCA(count, svd_solver="full").fit(before.transform(rows))
    scaler = Scaler.fit(rows, "[0, pi]", count)
    assert scaler.projection is not None
    np.testing.assert_allclose(scaler.projection.components, pca.components_, atol=1e-12)

    new = np.random.default_rng(1).permutation(rows)[:7]
    parts = pca.transform(before.transform(rows))
    expected = MinMaxScaler((0, math.pi)).fit(parts)
    scaled, clipped = scaler.transform(new)
    np.testing.assert_allclose(
        scaled, expected.transform(pca.transform(before.transform(new))), atol=1e-11
    )
    assert clipped == 0
    assert (scaler.num_inputs, scaler.num_outputs) == (4, count)


@pytest.mark.parametrize("pca", [None, 3])
@pytest.mark.parametrize("first", KINDS)
@pytest.mark.parametrize("kind", KINDS)
def test_another_kind_is_exactly_as_if_fitted_anew(
    rows: Floats, first: str, kind: str, pca: int | None
) -> None:
    fitted = Scaler.fit(rows, first, pca)
    again = fitted.with_kind(kind, rows)
    assert again == Scaler.fit(rows, kind, pca)
    assert again.projection is fitted.projection


def test_another_kind_is_checked_like_a_fit(rows: Floats) -> None:
    fitted = Scaler.fit(rows, "standard", 2)
    with pytest.raises(InputError, match="did you mean 'standard'"):
        fitted.with_kind("standrd", rows)
    with pytest.raises(InputError, match="got 2 features; expected 4"):
        fitted.with_kind("standard", rows[:, :2])
    with pytest.raises(InputError, match="got nan in row 0"):
        fitted.with_kind("standard", np.full((3, 4), np.nan))


def test_standard_after_pca_has_unit_variance(rows: Floats) -> None:
    X, _ = Scaler.fit(rows, "standard", 2).transform(rows)
    np.testing.assert_allclose(X.std(axis=0), 1.0, atol=1e-12)
    np.testing.assert_allclose(X.mean(axis=0), 0.0, atol=1e-12)


def test_pca_sign_does_not_hang_on_rounding() -> None:
    # Two standardised features have components (1, 1) and (1, -1): equally large entries.
    rng = np.random.default_rng(0)
    for _ in range(20):
        X = rng.normal(size=(30, 2)) @ np.array([[1.0, 0.3], [0.2, 1.0]])
        projection = Scaler.fit(X, "standard", 2).projection
        assert projection is not None
        assert [row[0] > 0 for row in projection.components] == [True, True]


def test_values_outside_the_trained_range_are_clipped_and_counted() -> None:
    scaler = Scaler.fit(np.array([[0.0, 10.0], [1.0, 20.0]]), "[-pi, pi]")
    X, clipped = scaler.transform(np.array([[-5.0, 15.0], [0.5, 21.0], [2.0, 99.0]]))
    expected = math.pi * np.array([[-1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    np.testing.assert_allclose(X, expected, atol=1e-15)
    assert clipped == 4


def test_standard_never_clips() -> None:
    X, clipped = Scaler.fit(np.array([[0.0], [2.0]]), "standard").transform(np.array([[101.0]]))
    assert X.tolist() == [[100.0]]
    assert clipped == 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_constant_column_becomes_zero(kind: str) -> None:
    # The mean of many 0.1 is not 0.1: a deviation of an ulp must not be divided by.
    train = np.column_stack([np.full(1000, 0.1), np.arange(1000.0)])
    scaler = Scaler.fit(train, kind)
    X, clipped = scaler.transform(np.array([[0.1, 3.0], [7.0, 3.0]]))
    assert X[:, 0].tolist() == [0.0, 0.0]
    assert clipped == (0 if kind == "standard" else 1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("pca", [None, 2])
def test_reads_back_exactly_through_json(rows: Floats, kind: str, pca: int | None) -> None:
    scaler = Scaler.fit(rows, kind, pca)
    again = Scaler.from_dict(json.loads(json.dumps(scaler.to_dict())))
    assert again == scaler
    np.testing.assert_array_equal(again.transform(rows).X, scaler.transform(rows).X)


@given(
    hnp.arrays(np.float64, (6, 2), elements=st.floats(-1e90, 1e90)),
    hnp.arrays(np.float64, (5, 2), elements=st.floats(-1e90, 1e90)),
    st.sampled_from(["[0, pi]", "[-pi, pi]"]),
)
def test_range_scalers_stay_in_range(train: Floats, new: Floats, kind: str) -> None:
    scaler = Scaler.fit(train, kind)
    low = 0.0 if kind == "[0, pi]" else -math.pi
    for rows in (train, new):
        X = scaler.transform(rows).X
        assert ((low <= X) & (math.pi >= X)).all()
    assert scaler.transform(train).clipped == 0


def test_single_rows_of_a_projected_training_part_are_not_counted_as_clipped(
    rows: Floats,
) -> None:
    scaler = Scaler.fit(rows, "[0, pi]", 3)
    assert sum(scaler.transform(row[None]).clipped for row in rows) == 0


@pytest.mark.parametrize(
    ("text", "kind"),
    [("[0,pi]", "[0, pi]"), ("0,pi", "[0, pi]"), ("-pi, pi", "[-pi, pi]"), ("standard",) * 2],
)
def test_names_are_read_with_or_without_brackets(text: str, kind: str) -> None:
    assert scaler_kind(text) == kind


def test_an_unknown_scaler_is_answered_with_the_nearest() -> None:
    with pytest.raises(InputError, match="did you mean 'standard'"):
        Scaler.fit(np.zeros((2, 2)), "standrd")


@pytest.mark.parametrize("count", [-1, 0, 5])
def test_more_components_than_there_are_is_refused(rows: Floats, count: int) -> None:
    with pytest.raises(InputError, match=rf"got pca={count}; expected 1 to 4"):
        Scaler.fit(rows, "standard", count)


def test_components_beyond_the_rank_are_refused(rows: Floats) -> None:
    doubled = np.column_stack([rows, rows, np.ones(len(rows))])
    assert Scaler.fit(doubled, "[0, pi]", 4).num_outputs == 4
    with pytest.raises(InputError, match="expected 1 to 4, the rank"):
        Scaler.fit(doubled, "[0, pi]", 5)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e101])
def test_values_that_are_no_features_are_refused_with_their_place(value: float) -> None:
    X = np.zeros((3, 2))
    X[1, 0] = value
    with pytest.raises(InputError, match="in row 1, feature 0"):
        Scaler.fit(X, "standard")
    with pytest.raises(InputError, match="in row 1, feature 0"):
        Scaler.fit(np.eye(2), "standard").transform(X)


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(InputError, match="got 0 rows of 2 features"):
        Scaler.fit(np.zeros((0, 2)), "standard")
    with pytest.raises(InputError, match="got 3 features; expected 2"):
        Scaler.fit(np.eye(2), "standard").transform(np.zeros((1, 3)))


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "stanard"},
        {"kind": 3},
        {"kind": None},
        {"shift": [0.0]},
        {"shift": [0.0, "1"]},
        {"shift": [0.0, True]},
        {"shift": [0.0, math.nan]},
        {"shift": [0.0, math.inf]},
        {"shift": None},
        {"width": [1.0, -1.0]},
        {"extra": 1},
        {"projection": {}},
        {"projection": []},
        {"projection": {"mean": [0.0], "scale": [1.0], "components": [[1.0]]}},
        {"projection": {"mean": [0.0], "scale": [1.0], "components": [[1.0], [1.0, 2.0]]}},
        {"projection": {"mean": [0.0], "scale": [1.0], "components": 1.0}},
        {"projection": {"mean": [], "scale": [], "components": []}},
    ],
)
def test_altered_scalers_are_refused(change: dict[str, object]) -> None:
    data = Scaler.fit(np.array([[0.0, 1.0], [2.0, 4.0]]), "standard").to_dict()
    with pytest.raises(InputError):
        Scaler.from_dict({**data, **change})


def test_a_scaler_with_a_missing_entry_is_refused() -> None:
    data = Scaler.fit(np.eye(2), "standard").to_dict()
    del data["projection"]
    with pytest.raises(InputError, match="without exactly the entries"):
        Scaler.from_dict(data)
