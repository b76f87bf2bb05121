"""Verdicts in tables of results: planted differences, budgets, seeds and populations."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qmoe import results
from qmoe.compare import BEST_CONTROL, comparisons
from qmoe.record import Record
from qmoe.stats import FEWEST, Sample, judge
from tests.qmoe.test_results import record

SEEDS = 30
NOISE = np.random.default_rng(7).normal(0, 0.004, (4, SEEDS))
BASE = 0.9 + np.random.default_rng(8).normal(0, 0.02, SEEDS)  # what the data of a seed allow


def planted(
    differences: dict[str, float],
    trials: dict[str, int] | None = None,
    seeds: int = SEEDS,
    **changes: object,
) -> list[Record]:
    """Two controls, linear leading on validation on even seeds, and quantum routers that differ."""
    budgets = trials or {}
    out = []
    for seed in range(seeds):
        level = float(BASE[seed])
        scores = {"linear": (level, 0.9 - seed % 2 / 10), "mlp": (level, 0.85)}
        for i, (name, difference) in enumerate(differences.items()):
            scores[name] = (float(level + difference + NOISE[i, seed]), 0.9)
        for name, (test, validation) in scores.items():
            chosen = {"experts": 4, "trials": budgets.get(name, 12)}
            out.append(record(name, seed, test, validation, settings=chosen, **changes))
    return out


def registered(records: list[Record]) -> pd.DataFrame:
    table = comparisons(results.table(records))
    return table[table["control"] == BEST_CONTROL].set_index("router")


FOUR = {
    "quantum a": 0.03,
    "quantum b": -0.03,
    "quantum c": 0.0,
    "quantum d": 0.01,
}


def test_planted_differences_get_their_words() -> None:
    table = registered(planted(FOUR))
    assert dict(table["verdict"]) == {
        "quantum a": "better",
        "quantum b": "worse",
        "quantum c": "equivalent",
        "quantum d": "better",
    }
    assert table.loc["quantum a", "chosen"] == "linear: 15, mlp: 15"
    assert "lies above 0" in table.loc["quantum a", "reason"]
    assert "within +-0.01" in table.loc["quantum c", "reason"]


@settings(max_examples=20)
@given(st.lists(st.floats(-0.03, 0.03), min_size=1, max_size=4))
def test_words_and_intervals_are_those_of_one_holm_family_per_group(shifts: list[float]) -> None:
    names = [f"quantum {i}" for i in range(len(shifts))]
    records = planted(dict(zip(names, shifts, strict=True)))
    table = registered(records)
    by_router = {n: [r.metrics["accuracy_test"] for r in records if r.router == n] for n in names}
    expected = judge(
        [Sample(n, by_router[n], BASE, "new data + new init", tuned=True) for n in names]
    )
    assert list(table.index) == names
    for verdict, row in zip(expected, table.itertuples(), strict=True):
        assert (row.verdict, row.reason, row.level) == (verdict.word, verdict.reason, verdict.level)
        found = (row.difference, row.difference_low, row.difference_high)
        known = (verdict.difference.value, verdict.difference.low, verdict.difference.high)
        assert found == pytest.approx(known, abs=1e-12)


def test_other_groups_do_not_count_in_the_family() -> None:
    alone = registered(planted({"quantum a": 0.03}))
    both = registered(planted({"quantum a": 0.03}) + planted(FOUR, dataset="circles"))
    assert both.iloc[0].equals(alone.iloc[0])
    assert alone.iloc[0]["level"] == 0.95
    # and within a group they do: the first of three is held against .05 / 3
    crowded = registered(planted({"quantum a": 0.03, "quantum b": 0.0, "quantum c": 0.0}))
    assert crowded.loc["quantum a", "level"] == pytest.approx(1 - 0.05 / 3)


def test_every_other_pair_is_exploratory() -> None:
    table = comparisons(results.table(planted(FOUR)))
    rest = table[table["control"] != BEST_CONTROL]
    assert len(rest) == 8
    assert set(rest["verdict"]) == set(rest["reason"]) == {""}
    assert set(rest["level"]) == {0.95}


@pytest.mark.parametrize(
    ("trials", "reason"),
    [
        ({"mlp": 24}, "unequal search budgets, from 12 to 24 trials per router"),
        ({"quantum a": 24}, "unequal search budgets, from 12 to 24 trials per router"),
        ({"linear": 1}, "unequal search budgets, from 1 to 12 trials per router"),
        (
            dict.fromkeys(("linear", "mlp", "quantum a"), 11),
            "11 trials were searched per router, where a verdict needs 12",
        ),
        (
            dict.fromkeys(("linear", "mlp", "quantum a"), 1),
            "1 trial was searched per router, where a verdict needs 12",
        ),
        (
            {"quantum a": 0},
            "nothing was searched for this router, which reuses a choice made elsewhere",
        ),
    ],
)
def test_without_equal_budgets_of_twelve_trials_it_is_untuned(
    trials: dict[str, int], reason: str
) -> None:
    row = registered(planted({"quantum a": 0.03}, trials)).iloc[0]
    assert (row["verdict"], row["reason"], row["level"]) == ("untuned", reason, 0.95)
    assert row["difference"] == pytest.approx(0.03 + NOISE[0].mean())


def test_a_router_that_is_untuned_neither_counts_nor_hinders() -> None:
    pair = {"quantum a": 0.004, "quantum b": 0.0}
    table = registered(planted(pair, {"quantum b": 0}))
    assert table.loc["quantum b", "verdict"] == "untuned"
    assert table.loc["quantum a"].equals(registered(planted({"quantum a": 0.004})).iloc[0])


def test_a_control_that_reuses_a_choice_is_no_candidate() -> None:
    row = registered(planted({"quantum a": 0.03}, {"linear": 0})).iloc[0]
    assert (row["verdict"], row["chosen"]) == ("better", "mlp: 30")
    none = registered(planted({"quantum a": 0.03}, {"linear": 0, "mlp": 0})).iloc[0]
    assert (none["verdict"], none["chosen"]) == ("untuned", "linear: 15, mlp: 15")


def test_seeds_decide_only_where_there_are_enough_of_them() -> None:
    few = registered(planted({"quantum a": 0.03}, seeds=29)).iloc[0]
    assert few["verdict"] == "inconclusive (n too small)"
    assert "29 pairs" in few["reason"]
    assert "needs 30" in few["reason"]
    three = registered(planted({"quantum a": 0.03}, seeds=3)).iloc[0]
    assert "2^(1-3) = 0.25" in three["reason"]


def test_new_splits_of_one_data_set_are_judged_with_their_overlap() -> None:
    split = "this data set, new split"
    records = planted({"quantum a": 0.004}, seeds=FEWEST[split], population=split)
    row = registered(records).iloc[0]
    a = [r.metrics["accuracy_test"] for r in records if r.router == "quantum a"]
    [expected] = judge([Sample("q", a, BASE[:10], split, tuned=True, overlap=5000 / 500)])
    assert (row["verdict"], row["reason"]) == (expected.word, expected.reason)
    assert row["difference_high"] == pytest.approx(expected.difference.high)


def test_nothing_is_registered_without_a_validation_or_a_test_part() -> None:
    figures = {"accuracy_train": 0.5}
    notebook = [
        record(r, seed, 0.0, metrics=figures, rows={"train": 1000})
        for r in ("linear", "quantum a")
        for seed in range(30)
    ]
    blind = [record(r, seed, 0.5) for r in ("linear", "quantum a") for seed in range(30)]
    for records, reason in (
        (notebook, "no test part was held out"),
        (blind, "there is no validation part to choose on"),
    ):
        table = comparisons(results.table(records))
        assert list(table["control"]) == ["linear"]
        assert list(table["verdict"]) == ["untuned"]
        assert list(table["reason"]) == [reason]


def test_a_control_that_failed_everywhere_leaves_nothing_to_choose_from() -> None:
    records = planted({"quantum a": 0.03})
    lost = [r.model_copy(update={"metrics": {}}) if r.router == "mlp" else r for r in records]
    table = comparisons(results.table(lost))
    assert list(zip(table["control"], table["verdict"], strict=True)) == [("linear", "untuned")]
    assert set(table["reason"]) == {"no seed has the figures of every control"}


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1))
def test_the_best_control_is_the_one_that_sorting_finds(seed: int) -> None:
    rng = np.random.default_rng(seed)
    names = ["linear", "mlp", "product", "dephased"]  # 12, 32, 4 and 4 parameters
    records = [
        record(name, s, float(rng.random()), float(rng.integers(0, 3) / 2))
        for s in range(6)
        for name in ["quantum a", *names]
    ]
    table = results.table(records)
    row = registered(records).iloc[0]
    controls = table[table["family"] != "quantum"]
    order = controls.sort_values(
        ["accuracy_validation", "router_parameters"], ascending=[False, True], kind="stable"
    )
    best = order.drop_duplicates("seed").set_index("seed").sort_index()
    own = table[table["router"] == "quantum a"].set_index("seed")["accuracy"]
    assert row["difference"] == pytest.approx((own - best["accuracy"]).mean())
    often = best["router"].value_counts()
    assert row["chosen"] == ", ".join(f"{n}: {often[n]}" for n in names if n in often)
