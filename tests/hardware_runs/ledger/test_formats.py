"""A ledger of format 1 as it was first written: this code still reads it and goes on with it.

`python -m tests.hardware_runs.ledger.test_formats` writes the dump again: only with a new format.
"""

from __future__ import annotations

import sqlite3
import tempfile
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from backends.queued import Cost, Interval, JobRef
from hardware_runs.ledger import Caps, JobDraft, Ledger
from hardware_runs.ledger.schema import FORMAT
from qmoe.errors import InputError

GOLDEN = Path(__file__).parent.parent / "golden" / "ledger-1.sql"
START = datetime(2026, 1, 1, tzinfo=UTC)
COST = Cost(Interval(1.0, 2.0), Interval(3.0, 5.0), "a list")
REF = JobRef("ibm:ibm_boston", "id-1", 2, 10, "tag-0")


def write(place):
    """A ledger with a row of everything."""
    times = iter(START + timedelta(minutes=k) for k in range(100))
    with Ledger.open(str(place), now=lambda: next(times)) as ledger:
        ledger.add_plan("aaaa", "asked", '{"a": 1}', "qmoe hardware plan")
        ledger.add_schedule("aaaa", '{"b": 2}')
        ledger.add_prediction("aaaa", '{"c": 3}')
        drafts = [JobDraft(f"r00-b0{n}-p00", f"tag-{n}", START, (4, 7), 10, COST) for n in range(3)]
        ledger.add_jobs("aaaa", drafts)
        ledger.set_budget("ibm", 100.0, "s", START + timedelta(days=400000))
        for job in (1, 2):
            assert ledger.claim(job, "host:1:1", 60, "ibm", COST, Caps())
        ledger.sent(1, REF, "device")
        ledger.store(1, {0: [10, 0], 1: [4, 6]}, source="device", complete=True, timings={})
        ledger.billed(1, Cost(None, Interval(4.0, 4.0), "billed"))


def restored(place):
    with closing(sqlite3.connect(place)) as raw:
        raw.executescript(GOLDEN.read_text(encoding="utf-8"))
    return str(place)


def schema(place):
    with closing(sqlite3.connect(place)) as raw:
        asked = (
            "SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY type, name"
        )
        return [(kind, name, " ".join(sql.split())) for kind, name, sql in raw.execute(asked)]


def test_format_1_is_read_and_gone_on_with(tmp_path):
    with Ledger.open(restored(tmp_path / "l")) as ledger:
        assert ledger.plan("aa").content == '{"a": 1}'
        assert ledger.schedule("aaaa") == '{"b": 2}'
        assert [content for _, content in ledger.predictions("aaaa")] == ['{"c": 3}']
        done, doubt, planned = ledger.jobs()
        assert [job.state for job in (done, doubt, planned)] == ["done", "uncertain", "planned"]
        assert (done.ref, done.executions, done.source) == (REF, (4, 7), "device")
        assert done.billed == Cost(None, Interval(4.0, 4.0), "billed") and done.reserve == COST
        assert ledger.counts("aaaa") == {1: {0: {0: 10}, 1: {0: 4, 1: 6}}}
        (row,) = ledger.budgets()
        assert (row.reserved, row.billed, row.left) == (5.0, 4.0, 91.0)
        assert [event.kind for event in ledger.events(job=1)] == [
            "planned",
            "intent",
            "sent",
            "stored",
            "billed",
        ]
        assert ledger.reclaim(doubt.id, "other:1:1", 60)
        assert ledger.claim(planned.id, "other:1:1", 60, "ibm", COST, Caps())


def test_a_changed_schema_is_a_new_format(tmp_path):
    """Whoever changes a table raises FORMAT, and brings ledgers of format 1 forward."""
    Ledger.open(str(tmp_path / "new")).close()
    Ledger.open(restored(tmp_path / "old")).close()
    assert schema(tmp_path / "old") == schema(tmp_path / "new")
    with closing(sqlite3.connect(tmp_path / "old")) as raw:
        asked = "SELECT value FROM about WHERE name = 'format'"
        assert raw.execute(asked).fetchone() == (str(FORMAT),)


@pytest.mark.parametrize("stored", [str(FORMAT + 1), "10", "0", "-1", "", "one", "1.5"])
def test_other_formats_are_refused_and_left_as_they_are(tmp_path, stored):
    place = restored(tmp_path / "l")
    with closing(sqlite3.connect(place)) as raw, raw:
        raw.execute("UPDATE about SET value = ? WHERE name = 'format'", (stored,))
    before = schema(place)
    with pytest.raises(InputError) as caught:
        Ledger.open(place)
    newer = stored.isdecimal() and int(stored) > FORMAT
    assert ("update qmoe-bench" in str(caught.value)) == newer
    assert "\n" not in str(caught.value) and schema(place) == before


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder) / "l")
        with closing(sqlite3.connect(Path(folder) / "l")) as made:
            GOLDEN.write_text("\n".join(made.iterdump()) + "\n", encoding="utf-8")
