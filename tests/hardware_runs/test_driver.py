"""The driver against a queue of our own, whose every answer is known."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import numpy as np
import pytest

from backends.queued import FREE, BusyError, Cost, Interval, JobRef, Limits, RefusedError
from hardware_runs import driver as driving
from hardware_runs.driver import Driver, Patience, tag
from hardware_runs.ledger import BudgetError, Caps, JobDraft, Ledger, sender
from qmoe.errors import CredentialsError, FitError, InputError, QmoeError, UnreachableError

NONE = Caps()
SILENT = UnreachableError(got="no answer", expected="one", do="wait")


class Queue:
    """A queue in memory. `answers` are raised, one for each submission, None being accepted."""

    spec, source, account = "lab:queue", "loopback", "lab"

    def __init__(self, *answers, idempotent=False, after=()):
        self.answers, self.idempotent, self.after = list(answers), idempotent, set(after)
        self.sent, self.searches, self.listed, self.seconds = [], 0, True, 1.0
        self.states, self.rows = {}, {}

    def limits(self):
        return Limits()

    def submit(self, programs, shots, *, tag):
        answer = self.answers.pop(0) if self.answers else None
        number = len(self.sent)
        known = self.idempotent and tag in self.sent
        if (answer is None or number in self.after) and not known:
            self.sent.append(tag)
        if answer is not None:
            raise answer
        return JobRef(self.spec, tag, sum(programs), shots, tag)

    def find(self, tag, since):
        self.searches += 1
        if isinstance(self.listed, Exception):
            raise self.listed
        return tuple(each for each in self.sent if each == tag) if self.listed else ()

    def status(self, ref):
        found = self.states.get(ref.id, "done")
        if isinstance(found, Exception):
            raise found
        return found

    def fetch(self, ref):
        if isinstance(self.rows, Exception):
            raise self.rows
        return self.rows or {k: np.array([ref.shots, 0]) for k in range(ref.rows)}

    def cancel(self, ref):
        self.states[ref.id] = "cancelled"

    def usage(self, ref):
        return Cost(None, Interval(self.seconds, self.seconds))


@pytest.fixture
def drive(tmp_path, monkeypatch):
    """Makes a driver of a plan with some jobs of two rows each, on a queue."""
    monkeypatch.setattr(driving, "programs", lambda *_: [2])
    opened = []

    def make(queue, jobs=1, due=None, reserve=FREE):
        ledger = Ledger.open(str(tmp_path / f"{len(opened)}.sqlite"))
        opened.append(ledger)
        ledger.add_plan("aaaa", "asked", "{}", "qmoe")
        keys = [f"r00-b{k:02}-p00" for k in range(jobs)]
        ledger.add_jobs(
            "aaaa", [JobDraft(key, tag("aaaa", key), due, (0, 1), 10, reserve) for key in keys]
        )
        slept = []
        return Driver(
            ledger=ledger,
            backend=queue,
            plan=SimpleNamespace(id="aaaa"),
            schedule=SimpleNamespace(compiled=SimpleNamespace(num_outcomes=2)),
            patience=Patience(settle=3, tries=3, pause=1, busy=5),
            sleep=slept.append,
            now=lambda: datetime.now(UTC),
            sender=sender(),
            tell=slept.append,
        )

    yield make
    for ledger in opened:
        ledger.close()


def states(driver):
    return [job.state for job in driver.ledger.jobs("aaaa")]


def words(driver):
    return driver.ledger.jobs("aaaa")[0].words


def test_what_is_sent_is_collected_and_billed_once(drive):
    driver = drive(Queue(), jobs=3)
    assert driver.submit(NONE).sent == 3
    assert driver.collect().collected == 3
    assert states(driver) == ["done"] * 3
    assert driver.submit(NONE).sent == 0 and driver.collect().collected == 0
    assert driver.ledger.jobs()[0].billed.seconds == Interval(1.0, 1.0)
    assert len(driver.backend.sent) == 3


def test_a_lost_answer_is_found_by_its_tag_and_not_sent_again(drive):
    driver = drive(Queue(SILENT, after={0}))
    done = driver.submit(NONE)
    assert (done.found, done.sent) == (1, 0) and states(driver) == ["submitted"]
    assert len(driver.backend.sent) == 1 and driver.backend.searches == 1


def test_what_never_arrived_is_sent_again_after_two_empty_searches(drive):
    driver = drive(Queue(SILENT))
    assert driver.submit(NONE).sent == 1
    assert driver.backend.searches == 2
    assert [each for each in driver.sleep.__self__ if each == 3] == [3, 3]  # a wait before each
    assert len(driver.backend.sent) == 1


def test_where_the_same_request_is_the_same_job_one_search_is_enough(drive):
    driver = drive(Queue(SILENT, idempotent=True, after={0}))
    driver.backend.listed = False  # late
    assert driver.submit(NONE).sent == 1
    assert driver.backend.searches == 1 and len(driver.backend.sent) == 1


@pytest.mark.parametrize(
    ("listed", "said"),
    [(QmoeError("more jobs than are listed"), "cannot tell"), (SILENT, "the search failed")],
)
def test_where_nobody_can_know_the_job_stays_uncertain_with_the_reason(drive, listed, said):
    driver = drive(Queue(SILENT, after={0}), jobs=2)
    driver.backend.listed = listed
    done = driver.submit(NONE)
    assert done.uncertain == 1 and said in words(driver)
    assert states(driver)[0] == "uncertain" and len(driver.backend.sent) < 3
    driver.backend.listed = True
    assert driver.settle().found == 1


def test_two_jobs_with_one_tag_are_a_question(drive):
    driver = drive(Queue(SILENT))
    driver.backend.find = lambda tag, since: ("a", "b")
    assert driver.submit(NONE).uncertain == 1
    assert "2 jobs have its tag: a b" in words(driver)
    with pytest.raises(InputError, match="uncertain job"):
        driver.adopt("r09-b00-p00", "a")
    driver.adopt("r00-b00-p00", "a")
    assert driver.ledger.jobs()[0].ref.id == "a"


def test_the_user_may_know_that_it_never_arrived(drive):
    driver = drive(Queue(SILENT))
    driver.backend.listed = QmoeError("who knows")
    driver.submit(NONE)
    assert driver.resend("r00-b00-p00").sent == 1 and len(driver.backend.sent) == 1


def test_in_doubt_twice_it_is_not_sent_a_third_time(drive):
    driver = drive(Queue(SILENT, SILENT))
    assert driver.submit(NONE).uncertain == 1
    assert driver.backend.sent == []


def test_a_fault_of_a_client_is_a_doubt_and_no_traceback(drive):
    driver = drive(Queue(KeyError("id"), after={0}))
    assert driver.submit(NONE).found == 1
    assert "KeyError" in next(e.content for e in driver.ledger.events() if e.kind == "doubt")


def test_a_busy_service_is_asked_again_with_longer_pauses(drive):
    busy = BusyError(got="busy", expected="not", do="wait")
    driver = drive(Queue(busy, busy))
    assert driver.submit(NONE).sent == 1
    assert driver.sleep.__self__ == [5, 10]
    driver = drive(Queue(busy, busy, busy))
    with pytest.raises(BusyError):
        driver.submit(NONE)
    assert states(driver) == ["planned"]


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (RefusedError("the vendor's own words"), "failed"),
        (InputError(got="a", expected="b", do="the vendor's own words"), "failed"),
        (FitError(got="a", expected="b", do="the vendor's own words"), "unsupported"),
    ],
)
def test_a_refusal_is_a_record_and_stops_the_others(drive, error, state):
    driver = drive(Queue(error), jobs=2)
    done = driver.submit(NONE)
    assert done.failed == 1 and done.waiting == 1 and done.stop is error
    assert states(driver) == [state, "planned"] and "own words" in words(driver)


def test_refused_credentials_leave_the_job_as_it_was(drive):
    error = CredentialsError(got="a", expected="b", do="c")
    driver = drive(Queue(error))
    with pytest.raises(CredentialsError):
        driver.submit(NONE)
    assert states(driver) == ["planned"]


def test_a_failed_job_is_planned_again_beside_its_record(drive):
    driver = drive(Queue(RefusedError("too hot")))
    driver.submit(NONE)
    assert driver.retry() == 1 and driver.retry() == 0
    driver.resume(NONE)
    assert [(job.key, job.state) for job in driver.ledger.jobs()] == [
        ("r00-b00-p00", "failed"),
        ("r00-b00-p00+1", "done"),
    ]


def test_nothing_is_sent_before_it_is_due(drive):
    driver = drive(Queue(), due=datetime.now(UTC) + timedelta(hours=1))
    done = driver.resume(NONE)
    assert (done.sent, done.waiting) == (0, 1) and driver.backend.sent == []


def test_a_cap_is_kept_job_by_job(drive):
    driver = drive(Queue(), jobs=3, reserve=Cost(Interval(1, 2), Interval(0, 0)))
    done = driver.submit(Caps(money=4.0))
    assert done.sent == 2 and isinstance(done.stop, BudgetError)
    with pytest.raises(BudgetError):
        driver.submit(Caps(money=4.0))
    assert len(driver.backend.sent) == 2


def test_the_pilot_is_as_many_as_asked(drive):
    driver = drive(Queue(), jobs=3)
    assert driver.submit(NONE, most=1).sent == 1


@pytest.mark.parametrize(
    "rows",
    [
        {0: np.array([9, 0]), 1: np.array([10, 0])},
        {0: np.array([10, 0, 0])},
        {5: np.array([10, 0])},
        {0: np.array([11, -1])},
        QmoeError("cannot be read"),
    ],
)
def test_results_that_cannot_be_are_not_kept_and_not_lost(drive, rows):
    driver = drive(Queue())
    driver.submit(NONE)
    driver.backend.rows = rows
    done = driver.collect()
    assert done.waiting == 1 and states(driver) == ["submitted"]
    assert driver.ledger.counts("aaaa") == {}
    driver.backend.rows = {}
    assert driver.collect().collected == 1


def test_partial_results_are_kept(drive):
    driver = drive(Queue(), jobs=2)
    driver.submit(NONE)
    driver.backend.rows = {1: np.array([4, 6])}
    driver.backend.states = {driver.backend.sent[0]: "failed"}
    done = driver.collect()
    assert (done.failed, done.collected) == (1, 1)
    assert states(driver) == ["failed", "done"] and "1 rows are missing" in done.words[1]
    assert [sorted(rows) for rows in driver.ledger.counts("aaaa").values()] == [[1], [1]]


def test_a_service_that_does_not_answer_ends_the_pass(drive):
    driver = drive(Queue(), jobs=3)
    driver.submit(NONE)
    driver.backend.states = dict.fromkeys(driver.backend.sent, SILENT)
    done = driver.collect()
    assert done.stop is SILENT and len([s for s in driver.sleep.__self__ if s in (1, 2)]) == 2


def test_cancelling_drops_what_was_not_sent_and_asks_for_the_rest(drive):
    driver = drive(Queue(), jobs=3)
    driver.submit(NONE, most=1)
    driver.backend.states = {driver.backend.sent[0]: "running"}
    driver.collect()
    assert states(driver)[0] == "running"
    assert driver.cancel().cancelled == 3
    assert states(driver) == ["cancelled"] * 3
