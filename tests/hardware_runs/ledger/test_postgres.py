"""The ledger in PostgreSQL, where its server and psycopg are installed: else these are skipped."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from itertools import count
from pathlib import Path

import pytest

from backends.queued import Cost, Interval, JobRef
from hardware_runs.ledger import BudgetError, Caps, JobDraft, Ledger, sender
from qmoe.errors import QmoeError
from tests.hardware_runs.ledger.test_processes import opens, together

psycopg = pytest.importorskip("psycopg")
PASSWORD = "s3cret-canary"
COST = Cost(Interval(1.0, 2.0), None)
NONE = Caps()
NUMBERS = count()

pytestmark = pytest.mark.skipif(shutil.which("initdb") is None, reason="no PostgreSQL here")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("postgres")
    (folder / "password").write_text(PASSWORD)
    user = []
    if os.geteuid() == 0:  # whom PostgreSQL refuses
        user = ["runuser", "-u", "nobody", "--"]
        for each in (folder, *folder.parents[:2]):
            each.chmod(0o755)
        shutil.chown(folder, "nobody")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    data = folder / "data"
    make = ["initdb", "-A", "scram-sha-256", "-U", "ada", "--pwfile", str(folder / "password")]
    run = {"check": True, "stdout": subprocess.DEVNULL, "cwd": folder}
    subprocess.run([*user, *make, "-D", str(data)], **run)
    said = f"-p {port} -k {folder} -h 127.0.0.1"
    control = [*user, "pg_ctl", "-D", str(data), "-w", "-l", str(folder / "log")]
    subprocess.run([*control, "-o", said, "start"], **run)
    yield f"ada:{PASSWORD}@127.0.0.1:{port}"
    subprocess.run([*control, "-m", "immediate", "stop"], **run)


@pytest.fixture
def url(server):
    """A new database."""
    name = f"ledger{next(NUMBERS)}"
    with psycopg.connect(f"postgresql://{server}/postgres", autocommit=True) as raw:
        raw.execute(f"CREATE DATABASE {name}")
    return f"postgresql+psycopg://{server}/{name}"


def filled(url, plan="aaaa", jobs=1):
    ledger = Ledger.open(url)
    ledger.add_plan(plan, f"asked {plan}", "{}", "qmoe")
    drafts = [JobDraft(f"k{n}", f"{plan}-{n}", None, (0, 1), 10, COST) for n in range(jobs)]
    ledger.add_jobs(plan, drafts)
    return ledger


def test_the_way_of_a_job(url):
    with filled(url) as ledger:
        assert PASSWORD not in ledger.place
        assert ledger.claim(1, sender(), 60, "aws", COST, NONE)
        ledger.sent(1, JobRef("lab:q", "id-1", 2, 10, "aaaa-0"), "device")
        rows = {0: [10, 0], 1: [4, 6]}
        ledger.store(1, rows, source="device", complete=True, timings={})
        ledger.billed(1, Cost(Interval(1.5, 1.5)))
    with Ledger.open(url) as again:
        assert [job.state for job in again.jobs()] == ["done"]
        assert again.counts("aaaa") == {1: {0: {0: 10}, 1: {0: 4, 1: 6}}}
        with pytest.raises(QmoeError):
            again.hand_over(Path("nowhere"))


def test_the_past_cannot_be_changed(url):
    with filled(url) as ledger:
        before = ledger.events()
    for table in ("events", "predictions", "counts", "schedules"):
        for action in ("DELETE FROM {}", "TRUNCATE {}"):
            with (
                psycopg.connect(url.replace("+psycopg", "")) as raw,
                pytest.raises(psycopg.Error, match="only ever"),
            ):
                raw.execute(action.format(table))
    with Ledger.open(url) as ledger:
        assert ledger.events() == before


def claims(start, answers, url, plan):
    won = refused = 0
    with Ledger.open(url) as ledger:
        jobs = ledger.jobs(plan)
        start.wait()
        for job in jobs:
            try:
                won += ledger.claim(job.id, sender(), 60, "aws", COST, NONE)
            except BudgetError:
                refused += 1
    answers.put((won, refused))


def test_many_at_once_make_it_once(url):
    assert sorted(together(opens, *[(url,)] * 4)) == [False, False, False, True]


def test_of_two_submitters_of_one_plan_each_job_has_one(url):
    filled(url, jobs=30).close()
    assert sum(won for won, _ in together(claims, (url, "aaaa"), (url, "aaaa"))) == 30


def test_two_plans_never_overspend_one_budget(url):
    for plan in ("aaaa", "bbbb"):
        with filled(url, plan, jobs=20) as ledger:
            ledger.set_budget("aws", 41.0, "USD", None)
    found = together(claims, (url, "aaaa"), (url, "bbbb"))
    assert sum(won for won, _ in found) == 20  # of 2 USD each
    with Ledger.open(url) as ledger:
        assert ledger.budgets()[0].reserved == 40.0


def test_a_wrong_password_is_refused_without_showing_it(url):
    with pytest.raises(QmoeError) as caught:
        Ledger.open(url.replace(PASSWORD, "wrong-canary"))
    assert "canary" not in str(caught.value) and "\n" not in str(caught.value)
