"""The ledger: what was planned, meant, sent, answered and paid, in one database.

Every method is one transaction. Two processes at once are safe on SQLite: a transaction that
writes holds the right to from its first statement.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any

from sqlalchemy import Connection, Engine, RowMapping, func, insert, select, update
from sqlalchemy.exc import DatabaseError

from backends.queued import Cost, JobRef
from hardware_runs.ledger import budget, transfer
from hardware_runs.ledger.place import failed, is_dead, opened, place, unusable, writing
from hardware_runs.ledger.rows import (
    BudgetRow,
    Caps,
    Event,
    JobDraft,
    JobRow,
    PlanRow,
    State,
    cost_from_text,
    cost_to_text,
    dense,
    sparse,
)
from hardware_runs.ledger.schema import (
    about,
    budgets,
    counts,
    events,
    jobs,
    plans,
    predictions,
    schedules,
)
from qmoe.errors import InputError, QmoeError, unknown

Clock = Callable[[], datetime]


def utc() -> datetime:
    """Now."""
    return datetime.now(UTC)


class Ledger:
    """An open ledger; a context manager. `place` names it in messages, without credentials."""

    def __init__(self, engine: Engine, name: str, now: Clock) -> None:
        self._engine, self.place, self._now = engine, name, now

    @classmethod
    def open(cls, where: str | None = None, *, now: Clock = utc) -> Ledger:
        """The ledger at a path or URL, $QMOE_LEDGER or the user's own where that is None.

        Raises:
            InputError: It cannot be opened, is no ledger, or is newer than this code.
        """
        engine, name = opened(place() if where is None else str(where))
        return cls(engine, name, now)

    def close(self) -> None:
        """Lets go of the database."""
        self._engine.dispose()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    # --- plans

    def add_plan(self, plan: str, request: str, content: str, command: str) -> bool:
        """Keeps a plan; False where it, or one for the same request, is there already."""
        with self._writing() as to:
            there = select(plans.c.id).where((plans.c.id == plan) | (plans.c.request == request))
            if to.scalar(there) is not None:
                return False
            values = {"id": plan, "request": request, "content": content, "command": command}
            to.execute(insert(plans).values(created=self._stamp(), **values))
            self._event(to, plan, None, "planned", command)
            return True

    def plan(self, beginning: str) -> PlanRow:
        """The plan whose id begins so.

        Raises:
            InputError: None does, or several do.
        """
        with self._reading() as at:
            ids = list(at.scalars(select(plans.c.id)))
            found = [each for each in ids if each.startswith(beginning)] if beginning else []
            if len(found) != 1:
                if found:
                    raise InputError(
                        got=f"plan {beginning!r}, with which {len(found)} ids begin",
                        expected="one",
                        do=f"write more of it: {', '.join(sorted(found)[:5])}",
                    )
                if not ids:
                    raise InputError(
                        got=f"plan {beginning!r}",
                        expected=f"a suite, or a plan of the ledger {self.place}, which has none",
                        do="run `qmoe hardware plan SUITE --target SPEC` first",
                    )
                raise unknown("suite or plan", beginning, ids)
            row = at.execute(select(plans).where(plans.c.id == found[0])).mappings().one()
            return _plan_row(row)

    def plan_of(self, request: str) -> str | None:
        """The id of the plan that was made for a request."""
        with self._reading() as at:
            found = at.scalar(select(plans.c.id).where(plans.c.request == request))
            return None if found is None else str(found)

    def plans(self) -> tuple[PlanRow, ...]:
        """All plans, oldest first."""
        with self._reading() as at:
            rows = at.execute(select(plans).order_by(plans.c.created, plans.c.id)).mappings()
            return tuple(map(_plan_row, rows))

    def add_prediction(self, plan: str, content: str) -> None:
        """Registers what is expected; never replaced, only added to."""
        with self._writing() as to:
            values = {"plan": plan, "created": self._stamp(), "content": content}
            to.execute(insert(predictions).values(**values))
            self._event(to, plan, None, "predicted", "")

    def predictions(self, plan: str) -> tuple[tuple[datetime, str], ...]:
        """When and what was predicted, oldest first."""
        asked = select(predictions).where(predictions.c.plan == plan).order_by(predictions.c.id)
        with self._reading() as at:
            rows = at.execute(asked).mappings()
            return tuple((datetime.fromisoformat(row["created"]), row["content"]) for row in rows)

    def add_schedule(self, plan: str, content: str) -> None:
        """Keeps what a plan was compiled to; the first one stays."""
        with self._writing() as to:
            if to.scalar(select(schedules.c.plan).where(schedules.c.plan == plan)) is None:
                values = {"plan": plan, "created": self._stamp(), "content": content}
                to.execute(insert(schedules).values(**values))
                self._event(to, plan, None, "compiled", "")

    def schedule(self, plan: str) -> str | None:
        """What `add_schedule` kept."""
        with self._reading() as at:
            found = at.scalar(select(schedules.c.content).where(schedules.c.plan == plan))
            return None if found is None else str(found)

    # --- jobs

    def add_jobs(self, plan: str, drafts: Sequence[JobDraft]) -> None:
        """Plans jobs; those whose key the plan has already stay as they are."""
        with self._writing() as to:
            known = set(to.scalars(select(jobs.c.key).where(jobs.c.plan == plan)))
            for draft in drafts:
                if draft.key in known:
                    continue
                values = {
                    "plan": plan,
                    "key": draft.key,
                    "tag": draft.tag,
                    "state": "planned",
                    "due": None if draft.due is None else _text(draft.due),
                    "executions": " ".join(map(str, draft.executions)),
                    "shots": draft.shots,
                    "reserve": cost_to_text(draft.reserve),
                    "words": "",
                    "updated": self._stamp(),
                }
                made = to.execute(insert(jobs).values(**values)).inserted_primary_key
                assert made is not None
                self._event(to, plan, made[0], "planned", "")

    def jobs(
        self, plan: str | None = None, states: Sequence[str] | None = None
    ) -> tuple[JobRow, ...]:
        """The jobs of a plan, or of all, in the order of their planning."""
        asked = select(jobs).order_by(jobs.c.id)
        if plan is not None:
            asked = asked.where(jobs.c.plan == plan)
        if states is not None:
            asked = asked.where(jobs.c.state.in_(states))
        with self._reading() as at:
            return tuple(map(_job_row, at.execute(asked).mappings()))

    def counts_of_states(self, plan: str | None = None) -> dict[str, dict[str, int]]:
        """How many jobs of each plan are in which state."""
        asked = select(jobs.c.plan, jobs.c.state, func.count()).group_by(jobs.c.plan, jobs.c.state)
        if plan is not None:
            asked = asked.where(jobs.c.plan == plan)
        found: dict[str, dict[str, int]] = {}
        with self._reading() as at:
            for name, state, number in at.execute(asked):
                found.setdefault(name, {})[state] = number
        return found

    def claim(
        self, job: int, sender: str, seconds: float, account: str, reserve: Cost, caps: Caps
    ) -> bool:
        """The intent to send a job, with its reservation; False where it is not planned any more.

        From here on its fate is uncertain until an answer is written down. For `seconds` nobody
        else takes it, unless the sender is a process of this machine that has ended.

        Raises:
            BudgetError: Over a budget or a cap; nothing has changed.
            QmoeError: This ledger was handed over to another machine.
        """
        with self._writing() as to:
            self._check_own(to)
            row = self._row(to, job)
            if row["state"] != "planned":
                return False
            now = self._now()
            budget.check(to, row["plan"], account, reserve, caps, now)
            values = {
                "account": account,
                "sender": sender,
                "until": _text(now + timedelta(seconds=seconds)),
                "since": row["since"] or _text(now),
                "reserved": _text(now),
                "reserve_money": reserve.money and reserve.money.high,
                "reserve_seconds": reserve.seconds and reserve.seconds.high,
            }
            self._move(to, row, "uncertain", "intent", sender, **values)
            return True

    def reclaim(self, job: int, sender: str, seconds: float) -> bool:
        """Takes over an uncertain job whose sender has ended or whose time is over; else False.

        Raises:
            QmoeError: This ledger was handed over to another machine.
        """
        with self._writing() as to:
            self._check_own(to)
            row = self._row(to, job)
            now = self._now()
            held = row["sender"] is not None and row["sender"] != sender
            if held and row["until"] is not None:
                held = datetime.fromisoformat(row["until"]) > now and not is_dead(row["sender"])
            elif held:
                held = False  # its sender put it down in doubt
            if row["state"] != "uncertain" or held:
                return False
            values = {"sender": sender, "until": _text(now + timedelta(seconds=seconds))}
            self._move(to, row, "uncertain", "taken over", sender, **values)
            return True

    def sent(self, job: int, ref: JobRef, source: str) -> None:
        """The vendor has the job, and this is its id."""
        values = {"ref": json.dumps(ref.to_dict()), "source": source, "until": None}
        self._to(job, "submitted", "sent", ref.id, ("uncertain",), **values)

    def release(self, job: int, words: str) -> None:
        """Nothing was accepted: the job is planned as before."""
        self._to(job, "planned", "released", words, ("uncertain",), **_UNRESERVED)

    def refused(self, job: int, words: str) -> None:
        """The vendor said no, with these words: nothing was accepted, nothing will be."""
        self._to(job, "failed", "refused", words, ("uncertain",), **_UNRESERVED)

    def unsupported(self, job: int, words: str) -> None:
        """The device does not take the circuit."""
        self._to(job, "unsupported", "unsupported", words, ("planned", "uncertain"), **_UNRESERVED)

    def doubt(self, job: int, words: str) -> None:
        """No answer came, or none that says anything: uncertain, and free to be settled."""
        self._to(job, "uncertain", "doubt", words, ("uncertain",), until=None)

    def moved(self, job: int, state: State, words: str = "") -> bool:
        """What the vendor says of a job that was sent; or the end of one that never was.

        False where another process has ended the job in the meantime: that stays.
        """
        if state not in _MOVES:
            raise ValueError(f"got state {state}; expected one of {sorted(_MOVES)}")
        with self._writing() as to:
            row = self._row(to, job)
            if row["state"] in ENDED:
                return False
            if row["state"] not in _MOVES[state]:
                raise _illegal(row, state)
            self._move(to, row, state, state, words)
            return True

    def store(
        self,
        job: int,
        found: Mapping[int, Sequence[int]],
        *,
        source: str,
        complete: bool,
        timings: Mapping[str, float],
    ) -> None:
        """Keeps raw counts (2^m,) by row, for good; `complete` ends the job.

        The same counts once more change nothing; other counts of a row that is there are noted as
        an event, and the first stay. Results that came or went over a loopback address are of
        source loopback.
        """
        with self._writing() as to:
            row = self._row(to, job)
            if row["state"] not in (("submitted", "running", "done") if complete else SENT):
                raise _illegal(row, "done")
            asked = select(counts.c.row, counts.c.found).where(counts.c.job == job)
            there = {row.row: row.found for row in to.execute(asked)}
            new = []
            for number, values in sorted(found.items()):
                text = sparse(values)
                if number not in there:
                    new.append({"job": job, "row": number, "found": text, "created": self._stamp()})
                elif there[number] != text:
                    self._event(to, row["plan"], job, "differs", f"row {number}: {text}")
            if new:
                to.execute(insert(counts), new)
            sources = {row["source"], source} - {None}
            told = source if len(sources) == 1 else "loopback"
            content = json.dumps({"rows": len(new), "source": source, "timings": dict(timings)})
            state = "done" if complete and row["state"] != "done" else row["state"]
            self._move(to, row, state, "stored", content, source=told, words=row["words"])

    def counts(self, plan: str) -> dict[int, dict[int, dict[int, int]]]:
        """Raw counts by job, row and outcome."""
        asked = (
            select(counts.c.job, counts.c.row, counts.c.found)
            .join(jobs, jobs.c.id == counts.c.job)
            .where(jobs.c.plan == plan)
        )
        found: dict[int, dict[int, dict[int, int]]] = {}
        with self._reading() as at:
            for job, number, text in at.execute(asked):
                found.setdefault(job, {})[number] = dense(text)
        return found

    def billed(self, job: int, cost: Cost) -> None:
        """What the vendor says a job has cost, in place of its reservation."""
        with self._writing() as to:
            row = self._row(to, job)
            text = cost_to_text(cost)
            values = {
                "billed": text,
                "billed_money": cost.money and cost.money.high,
                "billed_seconds": cost.seconds and cost.seconds.high,
            }
            self._move(to, row, row["state"], "billed", text, words=row["words"], **values)

    def note(self, plan: str | None, job: int | None, kind: str, content: str) -> None:
        """Adds an event that changes no state."""
        with self._writing() as to:
            self._event(to, plan, job, kind, content)

    def events(self, plan: str | None = None, job: int | None = None) -> tuple[Event, ...]:
        """What happened, oldest first."""
        asked = select(events).order_by(events.c.id)
        if plan is not None:
            asked = asked.where(events.c.plan == plan)
        if job is not None:
            asked = asked.where(events.c.job == job)
        with self._reading() as at:
            return tuple(
                Event(
                    datetime.fromisoformat(row["at"]),
                    row["plan"],
                    row["job"],
                    row["kind"],
                    row["content"],
                )
                for row in at.execute(asked).mappings()
            )

    # --- budgets

    def set_budget(self, account: str, amount: float, unit: str, until: datetime | None) -> None:
        """Sets what an account may spend from now on, in place of the budget before.

        What was reserved or billed before it was set does not count against it.

        Raises:
            InputError: A negative amount, or an end in the past.
        """
        now = self._now()
        if not 0 <= amount < float("inf"):
            raise InputError(got=f"a budget of {amount}", expected="0 or more", do="correct it")
        if until is not None and until <= now:
            raise InputError(
                got=f"a budget until {until:%Y-%m-%d}", expected="a later day", do="correct it"
            )
        with self._writing() as to:
            same = (budgets.c.account == account) & (budgets.c.unit == unit)
            to.execute(update(budgets).where(same).values(over=1))
            values = {"account": account, "unit": unit, "amount": amount, "start": _text(now)}
            end = None if until is None else _text(until)
            to.execute(insert(budgets).values(until=end, over=0, **values))
            self._event(to, None, None, "budget", f"{account} {amount} {unit} until {end}")

    def budgets(self) -> tuple[BudgetRow, ...]:
        """The budgets in force, with what was used of them."""
        with self._reading() as at:
            return tuple(budget.in_force(at, None, self._now()))

    # --- another machine

    def hand_over(self, file: Path) -> None:
        """Writes the whole ledger into a file for another machine; this one sends nothing more.

        See `hardware_runs.ledger.transfer`. Once more gives the file once more.
        """
        stamp = f"{self._now():%Y-%m-%d %H:%M} UTC"
        source = self._engine.url.database
        if self._engine.dialect.name != "sqlite" or not source:
            raise InputError(
                got=f"ledger {self.place}",
                expected="an SQLite file",
                do="give the other machine the address of the database instead",
            )
        transfer.check(file)
        with self._writing() as to:  # first: a copy of a ledger that goes on could pay twice
            if to.scalar(select(about.c.value).where(about.c.name == HANDED_OVER)) is None:
                to.execute(insert(about).values(name=HANDED_OVER, value=stamp))
                self._event(to, None, None, "handed over", "")
        transfer.write(Path(source), file)

    # --- within a transaction

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        try:
            with writing(self._engine) as connection:
                yield connection
        except DatabaseError as error:
            raise failed(self.place, error) from None

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        try:
            with self._engine.begin() as connection:
                yield connection
        except DatabaseError as error:
            raise failed(self.place, error) from None
        except QmoeError:
            raise
        except (ValueError, KeyError, TypeError) as error:  # what is stored is not what we wrote
            raise unusable(self.place, f"damaged: {error}") from error

    def _stamp(self) -> str:
        return _text(self._now())

    def _event(
        self, to: Connection, plan: str | None, job: int | None, kind: str, content: str
    ) -> None:
        values = {"at": self._stamp(), "plan": plan, "job": job, "kind": kind, "content": content}
        to.execute(insert(events).values(**values))

    def _row(self, to: Connection, job: int) -> RowMapping:
        row = to.execute(select(jobs).where(jobs.c.id == job)).mappings().one_or_none()
        if row is None:
            raise InputError(got=f"job {job}", expected="a job of the ledger", do="check its plan")
        return row

    def _to(
        self, job: int, state: State, kind: str, words: str, allowed: Sequence[str], **values: Any
    ) -> None:
        with self._writing() as to:
            row = self._row(to, job)
            if row["state"] not in allowed:
                raise _illegal(row, state)
            self._move(to, row, state, kind, words, **values)

    def _move(
        self, to: Connection, row: RowMapping, state: str, kind: str, content: str, **values: Any
    ) -> None:
        """The new state of a job, and the event, in one transaction."""
        told = {"words": content if kind in _TOLD else "", **values}
        new = {"state": state, "updated": self._stamp(), **told}
        to.execute(update(jobs).where(jobs.c.id == row["id"]).values(**new))
        self._event(to, row["plan"], row["id"], kind, content)

    def _check_own(self, to: Connection) -> None:
        """Refuses to send from a ledger that another machine goes on with."""
        found = to.scalar(select(about.c.value).where(about.c.name == HANDED_OVER))
        if found is not None:
            raise InputError(
                got=f"ledger {self.place}, handed over on {found}",
                expected="the machine that imported it",
                do="submit there; a ledger comes back the same way",
            )


HANDED_OVER = "handed over"
ENDED = ("done", "failed", "cancelled")
SENT = ("submitted", "running", *ENDED)
_UNRESERVED = dict.fromkeys(("reserved", "reserve_money", "reserve_seconds", "until", "sender"))
_TOLD = ("released", "refused", "unsupported", "doubt", "failed", "cancelled")
_MOVES: Mapping[str, tuple[str, ...]] = {
    "running": ("submitted", "running"),
    "failed": ("submitted", "running"),
    "cancelled": ("planned", "submitted", "running"),
}


def _illegal(row: RowMapping, state: str) -> QmoeError:
    return QmoeError(f"job {row['key']} of plan {row['plan']} is {row['state']}, not to be {state}")


def _text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def _plan_row(row: RowMapping) -> PlanRow:
    created = datetime.fromisoformat(row["created"])
    return PlanRow(row["id"], row["request"], created, row["content"], row["command"])


def _job_row(row: RowMapping) -> JobRow:
    due, until, since = (
        None if row[name] is None else datetime.fromisoformat(row[name])
        for name in ("due", "until", "since")
    )
    return JobRow(
        id=row["id"],
        plan=row["plan"],
        key=row["key"],
        tag=row["tag"],
        state=row["state"],
        due=due,
        listed=row["executions"],
        shots=row["shots"],
        ref=None if row["ref"] is None else JobRef.from_dict(json.loads(row["ref"])),
        source=row["source"],
        sender=row["sender"],
        until=until,
        since=since,
        reserve=cost_from_text(row["reserve"]),
        billed=None if row["billed"] is None else cost_from_text(row["billed"]),
        words=row["words"],
        updated=datetime.fromisoformat(row["updated"]),
    )
