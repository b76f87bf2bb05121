"""What a ledger takes and gives: plain values."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from backends.queued import Cost, Interval, JobRef

State = Literal[
    "planned", "uncertain", "submitted", "running", "done", "failed", "cancelled", "unsupported"
]


@dataclass(frozen=True, slots=True)
class PlanRow:
    """A plan as it is stored; `content` is its JSON."""

    id: str
    request: str
    created: datetime
    content: str
    command: str


@dataclass(frozen=True, slots=True)
class JobDraft:
    """A job that is to be sent: `due` is the earliest time, None is at once."""

    key: str
    tag: str
    due: datetime | None
    executions: tuple[int, ...]
    shots: int
    reserve: Cost


@dataclass(frozen=True, slots=True)
class JobRow:
    """Where a job stands.

    Attributes:
        listed: Its executions as they are stored; read only where somebody needs them.
        ref: The vendor's id and what belongs to it, once known.
        source: Where its results come from, as the sender saw it.
        sender: Who last meant to send it, and `until` when that is respected.
        since: When it was first meant to be sent.
        reserve: Its estimate; `billed` what the vendor said, once it did.
        words: Why, where there is something to say.
    """

    id: int
    plan: str
    key: str
    tag: str
    state: State
    due: datetime | None
    listed: str
    shots: int
    ref: JobRef | None
    source: str | None
    sender: str | None
    until: datetime | None
    since: datetime | None
    reserve: Cost
    billed: Cost | None
    words: str
    updated: datetime

    @property
    def executions(self) -> tuple[int, ...]:
        """What it runs, by place in the schedule, in the order of its rows."""
        return tuple(map(int, self.listed.split()))

    @property
    def circuits(self) -> int:
        """How many rows it has."""
        return self.listed.count(" ") + 1

    def again(self, key: str, tag: str) -> JobDraft:
        """The draft of a job that measures the same once more."""
        return JobDraft(key, tag, None, self.executions, self.shots, self.reserve)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, to a plan or to one of its jobs."""

    at: datetime
    plan: str | None
    job: int | None
    kind: str
    content: str


@dataclass(frozen=True, slots=True)
class Caps:
    """The most that all jobs of a plan together may take in one submission; None is no cap."""

    money: float | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class BudgetRow:
    """A budget and what was used of it since it was set."""

    account: str
    amount: float
    unit: str
    start: datetime
    until: datetime | None
    reserved: float
    billed: float

    @property
    def left(self) -> float:
        """What jobs can still reserve."""
        return self.amount - self.reserved - self.billed


def cost_to_text(cost: Cost) -> str:
    """JSON; `cost_from_text` reads it back."""
    tree: dict[str, Any] = {"note": cost.note}
    for name in ("money", "seconds"):
        amount = getattr(cost, name)
        tree[name] = None if amount is None else [amount.low, amount.high]
    return json.dumps(tree, sort_keys=True, allow_nan=False)


def cost_from_text(text: str) -> Cost:
    """The cost that `cost_to_text` wrote."""
    tree = json.loads(text)
    money, seconds = (
        None if tree[name] is None else Interval(*tree[name]) for name in ("money", "seconds")
    )
    return Cost(money, seconds, tree["note"])


def sparse(found: Sequence[int]) -> str:
    """Counts (2^m,) as text, outcomes that were not seen left out.

    >>> sparse([512, 0, 488, 0])
    '512:0 488:2'
    """
    return " ".join(f"{int(n)}:{k}" for k, n in enumerate(found) if n)


def dense(text: str) -> dict[int, int]:
    """Counts by outcome.

    >>> dense("512:0 488:2")
    {0: 512, 2: 488}
    """
    pairs = (part.split(":") for part in text.split())
    return {int(outcome): int(n) for n, outcome in pairs}
