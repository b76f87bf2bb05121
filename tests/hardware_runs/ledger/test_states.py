"""Any sequence of calls against a model of the ledger that is read in a minute."""

from __future__ import annotations

import itertools
import os
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from backends.queued import Cost, Interval, JobRef
from hardware_runs.ledger import BudgetError, Caps, JobDraft, Ledger
from qmoe.errors import QmoeError

JOBS = 4
SPENT = {"uncertain", "submitted", "running", "done", "failed", "cancelled"}
SENDERS = ("elsewhere:1:1", "further:2:2")
AFTER = {  # what each call asks for and leads to
    "sent": ({"uncertain"}, "submitted"),
    "release": ({"uncertain"}, "planned"),
    "refused": ({"uncertain"}, "failed"),
    "unsupported": ({"planned", "uncertain"}, "unsupported"),
    "doubt": ({"uncertain"}, "uncertain"),
    "running": ({"submitted", "running"}, "running"),
    "failed": ({"submitted", "running"}, "failed"),
    "cancelled": ({"planned", "submitted", "running"}, "cancelled"),
    "done": ({"submitted", "running", "done"}, "done"),
    "partial": (SPENT - {"uncertain"}, None),
}
ENDED = {"done", "failed", "cancelled"}
job = st.integers(1, JOBS)
money = st.integers(0, 5).map(float)


class Model:
    """One job, as the model has it."""

    def __init__(self):
        self.state, self.sender, self.until = "planned", None, None
        self.reserved, self.at, self.bill = None, None, None
        self.counts = {}


class Machine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.now, self.ids = datetime(2026, 1, 1, tzinfo=UTC), itertools.count()
        self.place = str(Path(self.folder.name) / "l")
        self.ledger = Ledger.open(self.place, now=lambda: self.now)
        self.ledger.add_plan("aaaa", "asked", "{}", "qmoe")
        cost = Cost(Interval(0.0, 1.0), None)
        drafts = [JobDraft(f"k{k}", f"t{k}", None, (0, 1), 10, cost) for k in range(JOBS)]
        self.ledger.add_jobs("aaaa", drafts)
        self.model = {k: Model() for k in range(1, JOBS + 1)}
        self.budget, self.events = None, ()

    def teardown(self):
        self.ledger.close()
        self.folder.cleanup()

    def spent(self):
        """Of the budget; what was reserved before it was set is not."""
        return sum(
            (each.reserved or 0.0) if each.bill is None else each.bill
            for each in self.model.values()
            if each.at is not None and each.at >= self.budget[1]
        )

    @rule(seconds=st.sampled_from([1, 30, 61]))
    def wait(self, seconds):
        self.now += timedelta(seconds=seconds)

    @rule(amount=money)
    def set_budget(self, amount):
        self.now += timedelta(seconds=1)
        self.ledger.set_budget("aws", amount, "USD", None)
        self.budget = (amount, self.now)

    @rule(number=job, who=st.sampled_from(SENDERS), cost=st.one_of(st.none(), money))
    def claim(self, number, who, cost):
        each = self.model[number]
        reserve = Cost(None if cost is None else Interval(0.0, cost), None)
        over = self.budget is not None and (
            cost is None or self.spent() + cost > self.budget[0] + 1e-9
        )
        if each.state == "planned" and over:
            with pytest.raises(BudgetError):
                self.ledger.claim(number, who, 60, "aws", reserve, Caps())
            return
        claimed = self.ledger.claim(number, who, 60, "aws", reserve, Caps())
        assert claimed == (each.state == "planned")
        if claimed:
            each.state, each.sender = "uncertain", who
            each.until = self.now + timedelta(seconds=60)
            each.reserved, each.at = cost, self.now

    @rule(number=job, who=st.sampled_from(SENDERS))
    def reclaim(self, number, who):
        each = self.model[number]
        free = each.until is None or each.until <= self.now or each.sender == who
        taken = self.ledger.reclaim(number, who, 60)
        assert taken == (each.state == "uncertain" and free)
        if taken:
            each.sender, each.until = who, self.now + timedelta(seconds=60)

    @rule(number=job, call=st.sampled_from(sorted(AFTER)), seen=st.integers(0, 10))
    def move(self, number, call, seen):
        each, (allowed, then) = self.model[number], AFTER[call]
        if call in ("running", "failed", "cancelled") and each.state in ENDED:
            assert not self._call(number, call, seen)  # somebody else was first
            return
        if each.state not in allowed:
            with pytest.raises(QmoeError, match="not to be"):
                self._call(number, call, seen)
            return
        self._call(number, call, seen)
        if call in ("done", "partial"):
            each.counts.setdefault(int(call == "done"), seen)
        each.state = then or each.state
        if call in ("release", "refused", "unsupported"):
            each.reserved = each.at = None
        if call in ("sent", "doubt", "release", "refused", "unsupported"):
            each.until = None

    def _call(self, number, call, seen):
        if call == "sent":
            ref = JobRef("lab:queue", f"id-{next(self.ids)}", 2, 10, f"t{number - 1}")
            return self.ledger.sent(number, ref, "device")
        if call in ("done", "partial"):
            rows = {int(call == "done"): [seen, 10 - seen]}
            complete = call == "done"
            return self.ledger.store(
                number, rows, source="device", complete=complete, timings={"fetching": 0.1}
            )
        if call in ("running", "failed", "cancelled"):
            return self.ledger.moved(number, call, "words")
        return getattr(self.ledger, call)(number, "words")

    @precondition(lambda self: any(each.state in ENDED for each in self.model.values()))
    @rule(number=job, cost=money)
    def billed(self, number, cost):
        if self.model[number].state == "done":
            self.ledger.billed(number, Cost(Interval(cost, cost), None))
            self.model[number].bill = cost

    @rule()
    def another_process(self):
        self.ledger.close()
        self.ledger = Ledger.open(self.place, now=lambda: self.now)

    @invariant()
    def as_the_model_says(self):
        rows = self.ledger.jobs()
        assert {row.id: row.state for row in rows} == {
            number: each.state for number, each in self.model.items()
        }
        for row in rows:
            if row.state in ("submitted", "running", "done"):
                assert row.ref is not None
        found = self.ledger.counts("aaaa")
        for number, each in self.model.items():
            said = {row: {0: n, 1: 10 - n} for row, n in each.counts.items()}
            seen = {row: {k: n for k, n in told.items() if n} for row, told in said.items()}
            assert found.get(number, {}) == seen  # the first counts of a row stay

    @invariant()
    def events_are_only_added(self):
        events = self.ledger.events()
        assert events[: len(self.events)] == self.events
        self.events = events

    @invariant()
    def never_over_the_budget(self):
        rows = self.ledger.budgets()
        if self.budget is None:
            assert rows == ()
            return
        (row,) = rows
        assert row.reserved + row.billed == pytest.approx(self.spent())
        bills = [each.bill for each in self.model.values() if each.bill is not None]
        assert row.reserved + row.billed <= row.amount + sum(bills)


Machine.TestCase.settings = settings(
    max_examples=int(os.environ.get("QMOE_EXAMPLES", "10")),
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestStates = Machine.TestCase
