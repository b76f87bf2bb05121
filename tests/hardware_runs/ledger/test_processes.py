"""What several processes do at once, and what is left where one is killed: real processes."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import sqlite3
import time

import pytest
from sqlalchemy import event

from backends.queued import Cost, Interval, JobRef
from hardware_runs.ledger import BudgetError, Caps, JobDraft, Ledger, sender

FORK = multiprocessing.get_context("fork")
NONE = Caps()
COST = Cost(Interval(1.0, 2.0), None)


def cost(number):
    """Between 1 and 4 USD."""
    return Cost(Interval(0.0, 1.0 + number % 4), None)


def filled(place, plan, jobs):
    with Ledger.open(place) as ledger:
        ledger.add_plan(plan, f"asked {plan}", "{}", "qmoe")
        ledger.add_jobs(
            plan,
            [JobDraft(f"k{n}", f"{plan}-{n}", None, (0,), 10, cost(n)) for n in range(jobs)],
        )


def together(target, *rest):
    """What processes answer that start at the same moment; one for each of `rest`."""
    start, answers = FORK.Barrier(len(rest)), FORK.Queue()
    made = [FORK.Process(target=target, args=(start, answers, *each)) for each in rest]
    for each in made:
        each.start()
    found = [answers.get(timeout=120) for _ in made]
    for each in made:
        each.join()
    return found


def opens(start, answers, place):
    start.wait()
    with Ledger.open(place) as ledger:
        answers.put(ledger.add_plan("aaaa", "asked", "{}", "qmoe"))


def test_a_new_ledger_opened_by_many_at_once_is_made_once(tmp_path):
    for k in range(4):
        found = together(opens, *[(str(tmp_path / f"{k}"),)] * 4)
        assert sorted(found) == [False, False, False, True]


def claims(start, answers, place, plan, seed):
    """Sends, gives up, or is billed for whatever it gets; answers with what it won."""
    rng, won = random.Random(seed), []
    with Ledger.open(place) as ledger:
        jobs = list(ledger.jobs(plan))
        rng.shuffle(jobs)
        start.wait()
        for job in jobs:
            try:
                if not ledger.claim(job.id, sender(), 60, "aws", job.reserve, NONE):
                    continue
            except BudgetError:
                continue
            fate = rng.randrange(3)
            if fate == 0:
                ledger.release(job.id, "busy")
                continue
            ledger.sent(job.id, JobRef("lab:q", f"id-{job.id}", 1, 10, job.tag), "device")
            if fate == 1:
                ledger.store(job.id, {0: [10]}, source="device", complete=True, timings={})
                ledger.billed(job.id, Cost(Interval(0.5, 0.5), None))
            won.append(job.id)
    answers.put(won)


def watches(start, answers, place):
    """The least that was ever left, as another process sees it."""
    least = float("inf")
    with Ledger.open(place) as ledger:
        start.wait()
        until = time.monotonic() + 1.0
        while time.monotonic() < until:
            (row,) = ledger.budgets()
            least = min(least, row.left)
    answers.put(least)


def mixed(start, answers, what, *rest):
    (claims if what == "claims" else watches)(start, answers, *rest)


@pytest.mark.parametrize("seed", range(4))
def test_plans_that_race_never_go_over_one_budget(tmp_path, seed):
    place = str(tmp_path / "l")
    for plan in ("aaaa", "bbbb"):
        filled(place, plan, 20)
    with Ledger.open(place) as ledger:
        ledger.set_budget("aws", 17.0, "USD", None)
    found = together(
        mixed,
        ("claims", place, "aaaa", seed),
        ("claims", place, "bbbb", seed + 100),
        ("claims", place, "aaaa", seed + 200),
        ("watches", place),
    )
    (least,) = [each for each in found if isinstance(each, float)]
    assert least >= 0.0
    won = [job for each in found if isinstance(each, list) for job in each]
    assert won and len(won) == len(set(won))  # no job has two senders
    with Ledger.open(place) as ledger:
        (row,) = ledger.budgets()
        held = [job for job in ledger.jobs() if job.id in set(won)]
        spent = sum(0.5 if job.billed else job.reserve.money.high for job in held)
        assert row.reserved + row.billed == pytest.approx(spent)
        assert spent <= 17.0
        cheapest = min(j.reserve.money.high for j in ledger.jobs(states=("planned",)))
        assert cheapest >= 1.0


def race(start, answers, place, kind):
    with Ledger.open(place) as ledger:
        (job,) = ledger.jobs()
        start.wait()
        if kind == "claim":
            answers.put(ledger.claim(job.id, sender(), 60, "aws", COST, NONE))
        else:
            answers.put(ledger.reclaim(job.id, sender(), 60))
        start.wait()  # who has ended may be followed by the next


@pytest.mark.parametrize("kind", ["claim", "reclaim"])
def test_of_processes_that_want_one_job_exactly_one_gets_it(tmp_path, kind):
    for k in range(4):
        place = str(tmp_path / f"{k}")
        filled(place, "aaaa", 1)
        if kind == "reclaim":
            with Ledger.open(place) as ledger:
                assert ledger.claim(1, "elsewhere:1:1", 60, "aws", COST, NONE)
                ledger.doubt(1, "no answer")
        assert sum(together(race, *[(place, kind)] * 4)) == 1


# ---- killed between statements


def steps(place):
    """A scenario of every kind of write, one transaction each."""
    ledger = Ledger.open(place)
    yield ledger
    ledger.add_plan("aaaa", "asked", "{}", "qmoe")
    yield ledger
    ledger.add_schedule("aaaa", "{}")
    yield ledger
    ledger.add_prediction("aaaa", "{}")
    yield ledger
    ledger.add_jobs("aaaa", [JobDraft(f"k{n}", f"t{n}", None, (0, 1), 10, COST) for n in (0, 1)])
    yield ledger
    ledger.set_budget("aws", 9.0, "USD", None)
    yield ledger
    ledger.set_budget("aws", 8.0, "USD", None)
    yield ledger
    ledger.claim(1, "elsewhere:1:1", 60, "aws", COST, NONE)
    yield ledger
    ledger.sent(1, JobRef("lab:q", "id-1", 2, 10, "t0"), "device")
    yield ledger
    rows = {0: [10, 0], 1: [4, 6]}
    ledger.store(1, rows, source="device", complete=True, timings={})
    yield ledger
    ledger.billed(1, Cost(Interval(1.0, 1.0)))
    yield ledger
    ledger.close()


def picture(place):
    """All that is stored, times apart."""
    with sqlite3.connect(place) as raw:
        names = [row[0] for row in raw.execute("SELECT name FROM sqlite_master ORDER BY name")]
        tables = {}
        for name in ("about", "plans", "schedules", "predictions", "jobs", "events", "counts"):
            if name in names:
                found = raw.execute(f"SELECT * FROM {name}")
                kept = [
                    k
                    for k, column in enumerate(found.description)
                    if column[0] not in ("at", "created", "updated", "until", "since", "reserved")
                    and not (name == "about" and column[0] == "value")
                ]
                tables[name] = [tuple(row[k] for k in kept) for row in found]
        if "budgets" in names:
            asked = "SELECT account, amount, over FROM budgets ORDER BY id"
            tables["budgets"] = raw.execute(asked).fetchall()
        (sound,) = raw.execute("PRAGMA integrity_check").fetchone()
        assert sound == "ok" and not raw.execute("PRAGMA foreign_key_check").fetchall()
    return names, tables


def killed(place, at):
    """A child that does the scenario and is killed after its statement number `at`."""
    count = 0

    def each(connection, cursor, statement, *rest):
        nonlocal count
        if statement.split()[0] in ("INSERT", "UPDATE", "CREATE"):
            count += 1
            if count == at:
                os.kill(os.getpid(), signal.SIGKILL)

    from sqlalchemy.engine import Engine

    event.listen(Engine, "after_cursor_execute", each)
    for _ in steps(place):
        pass
    os._exit(0)


def kill_all(folder, points):
    """Kills at each of `points` until the scenario has no more statements; how many were."""
    whole = str(folder / "whole")
    pictures = [([], {})]
    for ledger in steps(whole):
        ledger.close()
        pictures.append(picture(whole))
    for at in points:
        place = str(folder / f"{at}")
        child = FORK.Process(target=killed, args=(place, at))
        child.start()
        child.join()
        if child.exitcode == 0:
            return at
        assert child.exitcode == -signal.SIGKILL
        assert picture(place) in pictures  # all of a transaction, or nothing
    return None


def test_a_kill_between_statements_leaves_whole_transactions(tmp_path):
    rng = random.Random(0)
    points = sorted(rng.sample(range(1, 40), 6))
    assert kill_all(tmp_path, points) is None  # killed at each of them


@pytest.mark.slow
def test_a_kill_after_every_statement_leaves_whole_transactions(tmp_path):
    assert kill_all(tmp_path, range(1, 200)) > 40  # tables, triggers and every write were hit
