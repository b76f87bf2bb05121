from __future__ import annotations

import io
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from qmoe import results
from qmoe.errors import InputError
from qmoe.metrics import mean_score, paired_difference
from qmoe.provenance import Provenance
from qmoe.record import Record
from qmoe.rundir import Run, RunWriter

PROVENANCE = Provenance(
    command="qmoe run quick",
    qmoe="0.1.0",
    python="3.11.2",
    platform="Linux x86_64",
    versions={},
    created="2025-01-02T03:04:05Z",
    seed=0,
)


def record(
    router: str, seed: int, test: float, validation: float | None = None, **changes: object
) -> Record:
    metrics = {
        "accuracy_train": 0.5,
        "accuracy_test": test,
        "routing_entropy": 1.0,
        "steps": 40.0,
        "frozen_numbers": 0.0,
        "multiply_adds": 8.0,
        "circuits": 1.0,
    }
    if validation is not None:
        metrics["accuracy_validation"] = validation
    fields: dict[str, object] = {
        "study": "ablation",
        "protocol": "controlled",
        "dataset": "moons",
        "dataset_digest": f"sha256:{seed}",
        "population": "new data + new init",
        "router": router,
        "family": router.split()[0],
        "seed": seed,
        "source": "exact",
        "router_parameters": {"linear": 12, "mlp": 32}.get(router, 4),
        "router_parameters_paper": 4,
        "model_parameters": 36,
        "metrics": metrics,
        "rows": {"train": 500, "validation": 250, "test": 5000},
        "expert_load": (0.2, 0.7, 0.1) if seed % 2 else (0.6, 0.1, 0.3),
        "settings": {"experts": 3, "trials": 12},
        "provenance": PROVENANCE,
    }
    return Record.model_validate(fields | changes)


# (validation, test) by router and seed: linear leads on validation at seeds 0 and 2, mlp at 1.
SCORES = {
    "linear": [(0.9, 0.80), (0.7, 0.95), (0.8, 0.85)],
    "mlp": [(0.8, 0.99), (0.9, 0.70), (0.8, 0.99)],
    "quantum L=2": [(0.9, 0.90), (0.9, 0.91), (0.9, 0.93)],
}
RECORDS = [
    record(router, seed, test, validation)
    for router, scores in SCORES.items()
    for seed, (validation, test) in enumerate(scores)
]
TABLE = results.table(RECORDS)


def test_the_table_has_its_documented_columns_then_the_others() -> None:
    settings = ["setting_experts", "setting_trials"]
    assert list(TABLE.columns) == [*results.COLUMNS, *settings, "steps"]
    assert len(TABLE) == 9
    row = TABLE.iloc[4]
    assert (row["router"], row["seed"], row["accuracy_on"]) == ("mlp", 1, "test")
    assert row["accuracy"] == row["accuracy_test"] == 0.70
    assert row["busiest_expert_load"] == 0.7
    assert row["expert_load"] == "0.2 0.7 0.1"
    assert (row["rows_test"], row["created"]) == (5000, "2025-01-02T03:04:05Z")
    assert (row["experts"], row["trials"], row["multiply_adds"], row["circuits"]) == (3, 12, 8, 1)


def test_records_that_do_not_say_how_many_experts_or_trials() -> None:
    row = results.table([record("linear", 0, 0.5, settings={}, metrics={})]).iloc[0]
    assert (row["experts"], row["trials"]) == (0, 1)
    assert math.isnan(row["multiply_adds"])


def test_a_run_and_its_csv_hold_the_same_table(tmp_path: Path) -> None:
    with RunWriter("quick", PROVENANCE, out=tmp_path / "run") as writer:
        for one in RECORDS:
            writer.add(one)
    pd.testing.assert_frame_equal(results.load(writer.out), TABLE)
    pd.testing.assert_frame_equal(results.load(Run.open(writer.out)), TABLE)
    again = pd.read_csv(io.StringIO(TABLE.to_csv(index=False)), keep_default_na=False)
    assert np.array_equal(again["accuracy"], TABLE["accuracy"])


def test_the_notebook_protocol_is_scored_on_training_rows() -> None:
    one = record("linear", 0, 0.0, metrics={"accuracy_train": 0.8}, rows={"train": 1000})
    row = results.table([one]).iloc[0]
    assert (row["accuracy_on"], row["accuracy"], row["rows_test"]) == ("train", 0.8, 0)
    assert math.isnan(row["accuracy_test"])


def test_a_held_out_figure_that_is_missing_is_not_replaced_by_the_training_one() -> None:
    lost = record("linear", 3, 0.0, metrics={"accuracy_train": 0.8}, warnings=("loss is nan",))
    table = results.table([*RECORDS, lost])
    assert math.isnan(table.iloc[-1]["accuracy"])
    row = results.summary(table).iloc[0]
    assert (row["seeds"], row["missing"], row["warnings"]) == (3, 1, 1)
    assert row["accuracy"] == pytest.approx((0.80 + 0.95 + 0.85) / 3)


def test_the_same_result_twice_is_refused() -> None:
    with pytest.raises(InputError, match=r"two records of study ablation.* router mlp, seed 1"):
        results.table([*RECORDS, record("mlp", 1, 0.5)])


def test_summary_is_the_mean_with_its_interval() -> None:
    summary = results.summary(TABLE)
    assert list(summary["router"]) == list(SCORES)
    row = summary.iloc[2]
    expected = mean_score([0.90, 0.91, 0.93])
    found = (row["accuracy"], row["accuracy_low"], row["accuracy_high"])
    assert found == (expected.value, expected.low, expected.high)
    assert row["accuracy_validation"] == pytest.approx(0.9)
    assert row["population"] == "new data + new init"
    assert (row["experts"], row["trials"], row["multiply_adds"], row["circuits"]) == (3, 12, 8, 1)
    assert row["frozen_numbers"] == 0


def test_accuracies_above_1_are_cut() -> None:
    assert results.summary(TABLE).iloc[1]["accuracy_high"] == 1.0


def test_loads_are_ranked_before_they_are_averaged() -> None:
    row = results.summary(TABLE).iloc[0]
    ranked = [float(v) for v in row["load_ranked"].split()]
    # Seeds 0 and 2: .6 .3 .1; seed 1: .7 .2 .1. By index the busiest would come to .467.
    assert ranked == pytest.approx([1.9 / 3, 0.8 / 3, 0.1])
    assert row["busiest_expert_load"] == pytest.approx(1.9 / 3)


def test_the_best_control_is_chosen_on_validation_never_on_test() -> None:
    table = results.comparisons(TABLE)
    assert list(table["control"]) == [results.BEST_CONTROL, "linear", "mlp"]
    assert list(table["verdict"]) == ["inconclusive (n too small)", "", ""]
    best = table.iloc[0]
    # Seed 0: linear by validation; seed 1: mlp; seed 2: a tie, and linear has fewer parameters.
    # By test accuracy it would have been mlp, linear, mlp.
    expected = paired_difference([0.90, 0.91, 0.93], [0.80, 0.70, 0.85])
    assert best["difference"] == pytest.approx(expected.value)
    assert best["difference_low"] == pytest.approx(expected.low)
    assert best["chosen"] == "linear: 2, mlp: 1"


def test_only_shared_seeds_are_paired() -> None:
    table = TABLE[~((TABLE["router"] == "mlp") & (TABLE["seed"] == 0))]
    found = results.comparisons(table).set_index("control")
    assert dict(found["seeds"]) == {results.BEST_CONTROL: 2, "linear": 3, "mlp": 2}
    assert found.loc["mlp", "difference"] == pytest.approx((0.91 - 0.70 + 0.93 - 0.99) / 2)


def test_protocols_data_sets_and_sources_are_never_paired_with_each_other() -> None:
    others = [
        record("linear", seed, 0.5, 0.5, **{field: value})
        for seed in range(3)
        for field, value in [
            ("protocol", "notebook"),
            ("dataset", "circles"),
            ("source", "device"),
            ("population", "init only"),
            ("settings", {"experts": 8, "trials": 12}),
        ]
    ]
    table = results.table([*RECORDS, *others])
    pd.testing.assert_frame_equal(results.comparisons(table), results.comparisons(TABLE))
    assert len(results.summary(table)) == 3 + 5


def test_a_named_baseline_meets_every_other_router() -> None:
    table = results.comparisons(TABLE, baseline="mlp")
    assert list(zip(table["router"], table["control"], strict=True)) == [
        ("mlp", "linear"),
        ("mlp", "quantum L=2"),
    ]
    assert set(table["verdict"]) == set(table["reason"]) == {""}
    with pytest.raises(InputError, match="did you mean 'linear'"):
        results.comparisons(TABLE, baseline="liner")


def test_no_quantum_router_or_no_control_means_no_comparison() -> None:
    columns = list(results.comparisons(TABLE).columns)
    for part in (TABLE["family"] == "quantum", TABLE["family"] != "quantum"):
        table = results.comparisons(TABLE[part])
        assert table.empty
        assert list(table.columns) == columns


def test_new_splits_of_one_data_set_get_the_wider_interval() -> None:
    one = results.table(
        [
            record("linear", seed, test, population="this data set, new split")
            for seed, test in enumerate([0.8, 0.9, 0.85, 0.87])
        ]
    )
    row = results.summary(one.assign(rows_train=100, rows_test=25)).iloc[0]
    wide = mean_score([0.8, 0.9, 0.85, 0.87], overlap=0.25)
    assert row["accuracy_low"] == pytest.approx(wide.low)


def test_one_seed_has_no_interval() -> None:
    table = TABLE[TABLE["seed"] == 0]
    row = results.summary(table).iloc[0]
    assert row["accuracy"] == 0.80
    assert math.isnan(row["accuracy_low"])
    found = results.comparisons(table)
    assert found["difference"].notna().all()
    assert found["difference_low"].isna().all()


def test_no_records_give_an_empty_table() -> None:
    empty = results.table([])
    assert list(empty.columns) == list(results.COLUMNS)
    assert len(results.summary(empty)) == 0
    assert len(results.comparisons(empty)) == 0
