"""The ledger: what it lets happen, what it keeps, and what several processes can do at once."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sqlite3
import time
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backends.queued import Cost, Interval, JobRef
from hardware_runs.ledger import BudgetError, Caps, JobDraft, Ledger, sender
from hardware_runs.ledger.transfer import take
from qmoe.errors import InputError, QmoeError

COST = Cost(Interval(1.0, 2.0), Interval(3.0, 5.0), "a list")
UNKNOWN = Cost(None, None, "nobody says")
REF = JobRef("lab:queue", "id-1", 2, 10, "tag")
NONE = Caps()
SPAWN = multiprocessing.get_context("fork")


def draft(key="r00-b00-p00", cost=COST):
    return JobDraft(key, f"tag-{key}-{os.urandom(4).hex()}", None, (4, 7), 10, cost)


def planned(place, *keys, cost=COST, plan="aaaa"):
    ledger = Ledger.open(str(place))
    ledger.add_plan(plan, f"request {plan}", "{}", "qmoe")
    ledger.add_jobs(plan, [draft(key, cost) for key in keys or ("r00-b00-p00",)])
    return ledger


def claimed(ledger, plan="aaaa", caps=NONE, account="aws"):
    job = ledger.jobs(plan, ("planned",))[0]
    assert ledger.claim(job.id, sender(), 60, account, job.reserve, caps)
    return job


def test_the_way_of_a_job(tmp_path):
    with planned(tmp_path / "l") as ledger:
        job = claimed(ledger)
        ledger.sent(job.id, REF, "device")
        ledger.moved(job.id, "running")
        ledger.store(job.id, {0: [10, 0]}, source="device", complete=False, timings={})
        ledger.store(job.id, {0: [10, 0], 1: [4, 6]}, source="device", complete=True, timings={})
        ledger.billed(job.id, Cost(Interval(1.5, 1.5)))
    with Ledger.open(str(tmp_path / "l")) as again:  # as another process finds it
        (found,) = again.jobs("aaaa")
        assert (found.state, found.ref, found.source) == ("done", REF, "device")
        assert found.executions == (4, 7) and found.circuits == 2
        assert found.billed.money == Interval(1.5, 1.5)
        assert again.counts("aaaa") == {found.id: {0: {0: 10}, 1: {0: 4, 1: 6}}}
        kinds = [event.kind for event in again.events("aaaa", found.id)]
        assert kinds == ["planned", "intent", "sent", "running", "stored", "stored", "billed"]


STATES = ("planned", "uncertain", "submitted", "running", "done", "failed", "cancelled")
ENDED = ("done", "failed", "cancelled")
MOVES = {
    "claim": ("planned", "uncertain"),
    "sent": ("uncertain", "submitted"),
    "release": ("uncertain", "planned"),
    "refused": ("uncertain", "failed"),
    "doubt": ("uncertain", "uncertain"),
    "running": ("submitted running", "running"),
    "failed": ("submitted running", "failed"),
    "cancelled": ("planned submitted running", "cancelled"),
    "done": ("submitted running done", "done"),
}


def move(ledger, job, name):
    if name == "claim":
        return ledger.claim(job, sender(), 60, "aws", COST, NONE)
    if name == "sent":
        return ledger.sent(job, REF, "device")
    if name == "done":
        return ledger.store(job, {0: [10]}, source="device", complete=True, timings={})
    if name in ("release", "refused", "doubt"):
        return getattr(ledger, name)(job, "words")
    return ledger.moved(job, name, "words")


@settings(max_examples=30, deadline=None)
@given(names=st.lists(st.sampled_from(sorted(MOVES)), max_size=12))
def test_only_what_can_happen_happens(tmp_path_factory, names):
    with planned(tmp_path_factory.mktemp("ledger") / "l") as ledger:
        (job,) = ledger.jobs()
        state, before = "planned", len(ledger.events())
        for name in names:
            allowed, then = MOVES[name]
            if state in allowed.split():
                assert move(ledger, job.id, name) in (None, True)
                state = then
                before += 1
            elif name == "claim":
                assert move(ledger, job.id, name) is False
            elif name in ("running", "failed", "cancelled") and state in ENDED:
                assert move(ledger, job.id, name) is False  # another process was first
            else:
                with pytest.raises(QmoeError, match="not to be"):
                    move(ledger, job.id, name)
            assert ledger.jobs()[0].state == state
            assert len(ledger.events()) == before  # what is refused leaves nothing
            (row,) = ledger.jobs()
            assert (row.ref is not None) == (state in ("submitted", "running", "done")) or (
                state in ("failed", "cancelled")
            )


def test_other_counts_of_a_row_do_not_replace_the_first(tmp_path):
    with planned(tmp_path / "l") as ledger:
        job = claimed(ledger)
        ledger.sent(job.id, REF, "device")
        ledger.store(job.id, {0: [10, 0]}, source="device", complete=True, timings={})
        ledger.store(job.id, {0: [9, 1]}, source="device", complete=True, timings={})
        assert ledger.counts("aaaa")[job.id] == {0: {0: 10}}
        assert [e.content for e in ledger.events() if e.kind == "differs"] == ["row 0: 9:0 1:1"]


@pytest.mark.parametrize(("sent", "fetched"), [("device", "loopback"), ("loopback", "device")])
def test_what_went_over_a_loopback_is_no_devices(tmp_path, sent, fetched):
    with planned(tmp_path / "l") as ledger:
        job = claimed(ledger)
        ledger.sent(job.id, REF, sent)
        ledger.store(job.id, {0: [10, 0]}, source=fetched, complete=True, timings={})
        assert ledger.jobs()[0].source == "loopback"


@pytest.mark.parametrize("table", ["events", "predictions", "counts", "schedules"])
@pytest.mark.parametrize("action", ["DELETE FROM {}", "UPDATE {} SET rowid = rowid + 1"])
def test_the_past_cannot_be_changed(tmp_path, table, action):
    with planned(tmp_path / "l") as ledger:
        ledger.add_prediction("aaaa", "{}")
        ledger.add_schedule("aaaa", "{}")
        job = claimed(ledger)
        ledger.sent(job.id, REF, "device")
        ledger.store(job.id, {0: [10, 0]}, source="device", complete=True, timings={})
    with sqlite3.connect(tmp_path / "l") as raw, pytest.raises(sqlite3.Error, match="only ever"):
        raw.execute(action.format(table))


def test_a_sender_that_lives_is_left_alone_and_a_dead_one_is_not(tmp_path):
    with planned(tmp_path / "l") as ledger:
        child = SPAWN.Process(target=time.sleep, args=(60,))
        child.start()
        fields = (f"/proc/{child.pid}/stat",)
        with open(fields[0]) as file:
            started = file.read().rpartition(")")[2].split()[19]
        living = f"{sender().split(':')[0]}:{child.pid}:{started}"
        (job,) = ledger.jobs()
        assert ledger.claim(job.id, living, 60, "aws", COST, NONE)
        assert not ledger.reclaim(job.id, sender(), 60)
        os.kill(child.pid, signal.SIGKILL)
        child.join()
        assert ledger.reclaim(job.id, sender(), 60)
        assert ledger.reclaim(job.id, sender(), 60)  # its own


def test_a_sender_elsewhere_is_respected_for_its_time(tmp_path):
    now = [datetime(2026, 1, 1, tzinfo=UTC)]
    planned(tmp_path / "l").close()
    with Ledger.open(str(tmp_path / "l"), now=lambda: now[0]) as ledger:
        (job,) = ledger.jobs()
        assert ledger.claim(job.id, "elsewhere:1:1", 60, "aws", COST, NONE)
        now[0] += timedelta(seconds=59)
        assert not ledger.reclaim(job.id, sender(), 60)
        now[0] += timedelta(seconds=2)
        assert ledger.reclaim(job.id, sender(), 60)


# ---- money


def test_a_budget_is_never_exceeded_and_the_bill_replaces_the_reservation(tmp_path):
    with planned(tmp_path / "l", "r00-b00-p00", "r00-b01-p00", "r00-b02-p00") as ledger:
        ledger.set_budget("aws", 4.0, "USD", None)
        first = claimed(ledger)
        claimed(ledger)
        third = ledger.jobs("aaaa", ("planned",))[0]
        with pytest.raises(BudgetError, match=r"0\.00 USD left of the budget of aws") as caught:
            ledger.claim(third.id, sender(), 60, "aws", COST, NONE)
        assert caught.value.exit_code == 5
        assert ledger.jobs("aaaa", ("planned",)) == (third,)
        ledger.sent(first.id, REF, "device")
        ledger.store(first.id, {0: [10]}, source="device", complete=True, timings={})
        ledger.billed(first.id, Cost(Interval(0.0, 0.0)))
        assert ledger.claim(third.id, sender(), 60, "aws", COST, NONE)
        (row,) = ledger.budgets()
        assert (row.reserved, row.billed, row.left) == (4.0, 0.0, 0.0)


@pytest.mark.parametrize("end", ["release", "refused"])
def test_what_was_not_accepted_reserves_nothing(tmp_path, end):
    with planned(tmp_path / "l") as ledger:
        ledger.set_budget("ibm", 5.0, "s", None)
        job = claimed(ledger, account="ibm")
        assert ledger.budgets()[0].reserved == 5.0
        getattr(ledger, end)(job.id, "no")
        assert ledger.budgets()[0].reserved == 0.0


def test_caps_bind_one_plan_and_the_unknown_is_refused_under_a_limit(tmp_path):
    with planned(tmp_path / "l", "r00-b00-p00", "r00-b01-p00") as ledger:
        claimed(ledger, caps=Caps(money=3.0))
        job = ledger.jobs("aaaa", ("planned",))[0]
        with pytest.raises(BudgetError, match="the cap of this submission"):
            ledger.claim(job.id, sender(), 60, "aws", COST, Caps(money=3.0))
        with pytest.raises(BudgetError, match="unknown"):
            ledger.claim(job.id, sender(), 60, "aws", UNKNOWN, Caps(seconds=9.0))
        assert ledger.claim(job.id, sender(), 60, "aws", UNKNOWN, NONE)


def test_a_budget_ends_and_starts_anew(tmp_path):
    now = [datetime(2026, 1, 1, tzinfo=UTC)]
    planned(tmp_path / "l").close()
    with Ledger.open(str(tmp_path / "l"), now=lambda: now[0]) as ledger:
        for amount, until in ((-1.0, None), (float("nan"), None), (1.0, now[0])):
            with pytest.raises(InputError):
                ledger.set_budget("aws", amount, "USD", until)
        ledger.set_budget("aws", 1.0, "USD", now[0] + timedelta(days=1))
        with pytest.raises(BudgetError):
            claimed(ledger)
        now[0] += timedelta(days=1)
        claimed(ledger)


def race(place, plan, start, answers):
    with Ledger.open(place) as ledger:
        start.wait()
        won = refused = 0
        for job in ledger.jobs(plan):
            try:
                won += ledger.claim(job.id, sender(), 60, "aws", job.reserve, NONE)
            except BudgetError:
                refused += 1
        answers.put((won, refused))


def both(place, plans):
    start, answers = SPAWN.Barrier(2), SPAWN.Queue()
    racers = [SPAWN.Process(target=race, args=(place, plan, start, answers)) for plan in plans]
    for each in racers:
        each.start()
    found = [answers.get(timeout=60) for _ in racers]
    for each in racers:
        each.join()
    return found


def test_of_two_submitters_of_one_plan_each_job_has_one(tmp_path):
    keys = [f"r00-b{k:02}-p00" for k in range(40)]
    planned(tmp_path / "l", *keys).close()
    found = both(str(tmp_path / "l"), ("aaaa", "aaaa"))
    assert sum(won for won, _ in found) == len(keys)


def test_two_plans_at_once_never_overspend_one_budget(tmp_path):
    keys = [f"r00-b{k:02}-p00" for k in range(30)]
    planned(tmp_path / "l", *keys).close()
    with planned(tmp_path / "l", *keys, plan="bbbb") as ledger:
        ledger.set_budget("aws", 41.0, "USD", None)
    found = both(str(tmp_path / "l"), ("aaaa", "bbbb"))
    assert sum(won for won, _ in found) == 20  # of 2 USD each
    assert sum(refused for _, refused in found) == 40
    with Ledger.open(str(tmp_path / "l")) as ledger:
        assert ledger.budgets()[0].reserved == 40.0


# ---- another machine


def test_a_ledger_goes_to_another_machine_and_comes_back(tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    with planned(here, "r00-b00-p00", "r00-b01-p00") as ledger:
        ledger.set_budget("aws", 9.0, "USD", None)
        first = claimed(ledger)
        ledger.sent(first.id, REF, "device")
        ledger.hand_over(tmp_path / "file")
        job = ledger.jobs("aaaa", ("planned",))[0]
        with pytest.raises(InputError, match="handed over"):
            ledger.claim(job.id, sender(), 60, "aws", COST, NONE)
        ledger.hand_over(tmp_path / "again")  # the file once more
    take(tmp_path / "file", there)
    with Ledger.open(str(there)) as ledger:
        assert [row.state for row in ledger.jobs()] == ["submitted", "planned"]
        assert ledger.budgets()[0].reserved == 2.0
        claimed(ledger)
        ledger.hand_over(tmp_path / "back")
    take(tmp_path / "back", here)
    with Ledger.open(str(here)) as ledger:
        assert [row.state for row in ledger.jobs()] == ["submitted", "uncertain"]
        assert ledger.reclaim(ledger.jobs()[1].id, sender(), 60)
    assert (tmp_path / "here.before").exists()


def test_a_ledger_with_plans_of_its_own_is_not_replaced(tmp_path):
    with planned(tmp_path / "here") as ledger:
        ledger.hand_over(tmp_path / "file")
    planned(tmp_path / "there", plan="cccc").close()
    with pytest.raises(InputError, match="plans of its own"):
        take(tmp_path / "file", tmp_path / "there")
    with Ledger.open(str(tmp_path / "there")) as ledger:
        assert [row.id for row in ledger.plans()] == ["cccc"]


@pytest.mark.parametrize("cut", [0, 30, -30])
def test_a_damaged_transfer_is_refused(tmp_path, cut):
    with planned(tmp_path / "here") as ledger:
        ledger.hand_over(tmp_path / "file")
    data = (tmp_path / "file").read_bytes()
    (tmp_path / "file").write_bytes(data[:cut] if cut >= 0 else data[:cut] + b"x" * 30)
    with pytest.raises(InputError):
        take(tmp_path / "file", tmp_path / "there")
    assert not (tmp_path / "there").exists()


# ---- places that are none


def test_files_that_are_no_ledger_are_refused_in_one_line(tmp_path):
    (tmp_path / "text").write_text("no database, and long enough to be read as one" * 10)
    with sqlite3.connect(tmp_path / "other") as raw:
        raw.execute("CREATE TABLE things (a)")
    planned(tmp_path / "newer").close()
    with sqlite3.connect(tmp_path / "newer") as raw:
        raw.execute("UPDATE about SET value = '2' WHERE name = 'format'")
    planned(tmp_path / "cut").close()
    (tmp_path / "cut").write_bytes((tmp_path / "cut").read_bytes()[:2000])
    for name in ("text", "other", "newer", "cut"):
        with pytest.raises((InputError, QmoeError)) as caught:
            Ledger.open(str(tmp_path / name)).plans()
        assert "\n" not in str(caught.value) and name in str(caught.value)


def test_no_password_of_an_address_is_shown():
    for url in ("postgresql://ada:s3cret@127.0.0.1:1/x", "nonsense+driver://ada:s3cret@h/x"):
        with pytest.raises(InputError) as caught:
            Ledger.open(url)
        assert "s3cret" not in str(caught.value)


def test_a_write_that_is_killed_in_the_middle_leaves_nothing(tmp_path):
    planned(tmp_path / "l").close()

    def torn():
        from sqlalchemy import event

        ledger = Ledger.open(str(tmp_path / "l"))

        @event.listens_for(ledger._engine, "after_cursor_execute")
        def kill(_, __, statement, *___):
            if statement.startswith("UPDATE jobs"):
                os.kill(os.getpid(), signal.SIGKILL)

        claimed(ledger)

    child = SPAWN.Process(target=torn)
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    with Ledger.open(str(tmp_path / "l")) as ledger:
        assert ledger.jobs()[0].state == "planned"
        assert [event.kind for event in ledger.events()] == ["planned", "planned"]
        claimed(ledger)


def test_plans_are_found_by_the_beginning_of_their_id(tmp_path):
    with planned(tmp_path / "l", plan="abc1") as ledger:
        ledger.add_plan("abd2", "other", json.dumps({}), "qmoe")
        assert ledger.plan("abc").id == "abc1"
        assert ledger.plan_of("other") == "abd2"
        for wrong in ("ab", "", "zz"):
            with pytest.raises(InputError):
                ledger.plan(wrong)
