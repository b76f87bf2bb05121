"""Exports: every shot in the tables, every figure in the JSON, whole files or none."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from backends.queued import FREE, JobRef
from hardware_runs import schedule_json
from hardware_runs.export import COLUMNS, csv, metriq_json, parquet, table, write
from hardware_runs.ledger import Caps, JobDraft, Ledger
from hardware_runs.records import records
from hardware_runs.rescore import rescore
from qmoe.errors import InputError
from tests.hardware_runs.measured import kept, simulated
from tests.hardware_runs.planned import planned

PLAN = planned("torch", inputs=4, block=2, count=2)
SCHEDULE, MEASURED = simulated(PLAN)
RECORDS = kept(PLAN, SCHEDULE, MEASURED)


def test_the_table_holds_every_shot_of_every_execution():
    found = table(RECORDS)
    assert tuple(found.columns) == COLUMNS
    assert (found["count"] > 0).all()
    counts = {key: np.zeros(4, dtype=np.int64) for key in MEASURED}
    for row in found.itertuples():
        counts[row.repeat, row.execution][row.outcome] += row.count
        one = SCHEDULE.executions[row.execution]
        assert (row.block, row.kind, row.router, row.input) == (
            *(one.block, one.kind),
            *(one.router, one.row),
        )
        assert row.circuit == SCHEDULE.items[one.item].name
        assert row.job == f"r{row.repeat:02}-b{row.block:02}-p00"
    assert all((counts[key] == MEASURED[key]).all() for key in MEASURED)


def test_files_read_back_as_the_table(tmp_path):
    csv(RECORDS, tmp_path / "c.csv")
    parquet(RECORDS, tmp_path / "c.parquet")
    assert pd.read_csv(tmp_path / "c.csv").equals(table(RECORDS))
    assert pd.read_parquet(tmp_path / "c.parquet").equals(table(RECORDS))


def test_figures_have_the_keys_of_metriq_gym(tmp_path):
    outcome = rescore(PLAN, SCHEDULE, MEASURED, sources=RECORDS.sources)
    metriq_json(RECORDS, outcome, tmp_path / "m.json")
    found = json.loads((tmp_path / "m.json").read_text())
    assert set(found) == {
        *("app_version", "timestamp", "suite_id", "job_type"),
        *("platform", "params", "results"),
    }
    assert found["timestamp"] == "2026-11-01T00:01:00+00:00"
    assert found["platform"]["device_metadata"]["source"] == ["loopback"]
    for name in ("none", "readout"):
        score = outcome.treatments[name].accuracy
        stated = found["results"][f"{name} accuracy"]
        assert stated == {"value": score.value, "uncertainty": (score.high - score.low) / 2}


def test_a_file_that_is_there_stays_and_a_failed_one_leaves_nothing(tmp_path):
    there = tmp_path / "c.csv"
    there.write_text("mine")
    with pytest.raises(InputError, match="exists"):
        csv(RECORDS, there)
    assert there.read_text() == "mine"

    def half(partial):
        partial.write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(InputError, match="No space left"):
        write(tmp_path / "new", half)
    with pytest.raises(InputError, match="can be written"):
        csv(RECORDS, tmp_path / "no" / "c.csv")
    assert list(tmp_path.iterdir()) == [there]


# --- out of a ledger


def test_records_of_a_ledger_are_what_was_stored(tmp_path):
    with Ledger.open(str(tmp_path / "ledger.sqlite")) as ledger:
        ledger.add_plan(PLAN.id, PLAN.request, PLAN.to_json(), "plan")
        with pytest.raises(InputError, match="nothing was sent"):
            records(ledger, PLAN.id)
        ledger.add_schedule(PLAN.id, schedule_json.to_json(SCHEDULE))
        ledger.add_prediction(PLAN.id, '{"calibrated_at": "2026-11-01"}')
        places = range(len(SCHEDULE.executions))
        drafts = [
            JobDraft(
                f"r{repeat:02}-b{block:02}-p00",
                f"qmoe-{repeat}-{block}",
                None,
                tuple(k for k in places if SCHEDULE.executions[k].block == block),
                40,
                FREE,
            )
            for repeat in range(2)
            for block in range(2)
        ]
        ledger.add_jobs(PLAN.id, drafts)
        last = drafts[-1].key
        for job in ledger.jobs(PLAN.id):
            if job.key == last:
                continue  # never sent
            assert ledger.claim(job.id, "me", 60.0, "ibm", FREE, Caps())
            ref = JobRef("torch", f"id-{job.key}", len(job.executions), 40, job.tag)
            ledger.sent(job.id, ref, "loopback")
            repeat = int(job.key[1:3])
            counts = {n: MEASURED[repeat, k].tolist() for n, k in enumerate(job.executions)}
            ledger.store(job.id, counts, source="loopback", complete=True, timings={})
        # failed ones are measured again as a job of their own
        again = replace(drafts[-1], key=f"{last}+1", tag="qmoe-again")
        ledger.add_jobs(PLAN.id, [again])
        found = records(ledger, PLAN.id)
    assert found.plan == PLAN
    assert schedule_json.to_json(found.schedule) == schedule_json.to_json(SCHEDULE)
    whole = {key: row for key, row in MEASURED.items() if not is_last(key)}
    assert found.measured.keys() == whole.keys()
    assert all((found.measured[key] == row).all() for key, row in whole.items())
    assert found.sources == ("loopback",)
    assert [job["state"] for job in found.jobs] == ["done"] * 3 + ["planned"] * 2
    assert found.predictions[0]["calibrated_at"] == "2026-11-01"
    one, two = (
        rescore(PLAN, SCHEDULE, measured, sources=["loopback"]).to_dict()
        for measured in (found.measured, whole)
    )
    assert one == two


def is_last(key):
    repeat, place = key
    return repeat == 1 and SCHEDULE.executions[place].block == 1
