"""A ledger that goes to another machine: at no time would two of them send."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing

import pytest

from backends.queued import Cost, Interval, JobRef
from hardware_runs.ledger import BudgetError, Caps, JobDraft, Ledger, sender
from hardware_runs.ledger.transfer import take
from qmoe.errors import InputError

COST = Cost(Interval(1.0, 2.0), None)
NONE = Caps()


def filled(place, jobs=3):
    ledger = Ledger.open(str(place))
    ledger.add_plan("aaaa", "asked", "{}", "qmoe")
    ledger.add_jobs("aaaa", [JobDraft(f"k{n}", f"t{n}", None, (0,), 10, COST) for n in range(jobs)])
    return ledger


def send(ledger):
    job = ledger.jobs(states=("planned",))[0]
    assert ledger.claim(job.id, sender(), 60, "aws", COST, NONE)
    ledger.sent(job.id, JobRef("lab:q", f"id-{job.id}", 1, 10, job.tag), "device")
    return job.id


def sends(place):
    """Whether a ledger would send."""
    with Ledger.open(str(place)) as ledger:
        job = ledger.jobs(states=("planned",))[0]
        try:
            return ledger.claim(job.id, sender(), 60, "aws", COST, NONE)
        except InputError:
            return False


def handed(tmp_path):
    """A ledger that was handed over, the file, and the ledger made of it."""
    here, there, file = tmp_path / "here", tmp_path / "there", tmp_path / "file"
    with filled(here) as ledger:
        ledger.hand_over(file)
    take(file, there)
    return here, there, file


def test_everything_travels(tmp_path):
    with filled(tmp_path / "here") as ledger:
        ledger.add_schedule("aaaa", "{}")
        ledger.add_prediction("aaaa", '{"a": 1}')
        ledger.set_budget("aws", 5.0, "USD", None)
        first = send(ledger)
        ledger.store(first, {0: [3, 7]}, source="device", complete=True, timings={})
        ledger.billed(first, Cost(Interval(1.5, 1.5)))
        send(ledger)
        ledger.hand_over(tmp_path / "file")
        told = ledger.jobs(), ledger.counts("aaaa"), ledger.budgets(), ledger.predictions("aaaa")
        events = ledger.events()
    take(tmp_path / "file", tmp_path / "there")
    with Ledger.open(str(tmp_path / "there")) as ledger:
        found = ledger.jobs(), ledger.counts("aaaa"), ledger.budgets(), ledger.predictions("aaaa")
        assert found == told and ledger.schedule("aaaa") == "{}"
        assert ledger.events() == events
        (job,) = ledger.jobs(states=("planned",))
        with pytest.raises(BudgetError):  # 1.5 billed, 2 reserved, 2 more of 5
            ledger.claim(job.id, sender(), 60, "aws", COST, NONE)
    with closing(sqlite3.connect(tmp_path / "there")) as raw, pytest.raises(sqlite3.Error):
        raw.execute("DELETE FROM events")  # its guards travel too


def test_of_two_machines_one_sends(tmp_path):
    here, there, _ = handed(tmp_path)
    assert not sends(here) and sends(there)
    with (
        Ledger.open(str(here)) as ledger,
        pytest.raises(InputError, match=r"handed over on [^\n]*$"),
    ):
        ledger.claim(1, sender(), 60, "aws", COST, NONE)


def test_a_file_is_not_taken_back_where_it_came_from(tmp_path):
    here, there, file = handed(tmp_path)
    with pytest.raises(InputError, match="no newer"):
        take(file, here)
    assert not sends(here) and sends(there)


def test_an_old_file_does_not_replace_what_happened_since(tmp_path):
    here, there, file = handed(tmp_path)
    with Ledger.open(str(there)) as ledger:
        send(ledger)
        ledger.hand_over(tmp_path / "back")
    with pytest.raises(InputError, match="no newer"):
        take(file, there)  # the job would be sent again
    with Ledger.open(str(here)) as ledger:  # what it still notes makes it no newer
        for _ in range(10):
            ledger.note("aaaa", None, "unanswered", "")
    take(tmp_path / "back", here)
    with Ledger.open(str(here)) as ledger:
        assert [job.state for job in ledger.jobs()] == ["submitted", "planned", "planned"]
    assert sends(here) and not sends(there)


def test_an_import_into_a_ledger_that_goes_on_is_refused(tmp_path):
    _, there, file = handed(tmp_path)
    with pytest.raises(InputError, match="plans of its own"):
        take(file, there)
    assert sends(there)


def test_a_file_that_cannot_be_written_is_refused_before_anything_is_marked(tmp_path):
    (tmp_path / "there already").write_text("")
    for file in (tmp_path / "there already", tmp_path / "no folder" / "file"):
        with filled(tmp_path / "here") as ledger, pytest.raises(InputError):
            ledger.hand_over(file)
    assert sends(tmp_path / "here")


def test_a_ledger_named_by_url_or_by_home_is_handed_over(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for k, where in enumerate(("~/mine", f"sqlite:///{tmp_path}/other")):
        with filled(where) as ledger:
            ledger.hand_over(tmp_path / f"file {k}")
        take(tmp_path / f"file {k}", tmp_path / f"there {k}")
        assert sends(tmp_path / f"there {k}")


def test_a_ledger_in_memory_is_not_handed_over(tmp_path):
    with Ledger.open("sqlite://") as ledger, pytest.raises(InputError, match="an SQLite file"):
        ledger.hand_over(tmp_path / "file")


def test_every_damage_of_a_file_is_refused_or_harmless(tmp_path):
    with filled(tmp_path / "here") as ledger:
        ledger.hand_over(tmp_path / "file")
    data, rng = (tmp_path / "file").read_bytes(), random.Random(0)
    said = []
    for _ in range(300):
        broken = bytearray(data)
        broken[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        (tmp_path / "broken").write_bytes(broken)
        try:
            take(tmp_path / "broken", tmp_path / "there")
        except InputError as error:
            said.append(str(error))
            continue
        with Ledger.open(str(tmp_path / "there")) as ledger:  # a date in the archive, say
            assert len(ledger.jobs()) == 3
        for each in tmp_path.glob("there*"):
            each.unlink()
    assert len(said) > 200 and not any("\n" in each for each in said)


def test_a_place_that_holds_something_else_is_not_replaced(tmp_path):
    _, _, file = handed(tmp_path)
    (tmp_path / "text").write_text("letters " * 500)
    with closing(sqlite3.connect(tmp_path / "other")) as raw, raw:
        raw.execute("CREATE TABLE about (name, value)")
    for name in ("text", "other"):
        before = (tmp_path / name).read_bytes()
        with pytest.raises(InputError):
            take(file, tmp_path / name)
        assert (tmp_path / name).read_bytes() == before
