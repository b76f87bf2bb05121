"""What an experiment takes before it is sent: circuits, jobs, shots, gates, time and money.

An interval where the vendor's figures leave one open, and "unknown" where nobody said: neither a
price nor a time is ever guessed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from backends.queued import FREE, Cost, Interval, Limits, Queued
from hardware_runs.ledger import Caps
from hardware_runs.ledger.budget import BudgetError
from hardware_runs.schedule import Chunk, Schedule
from qmoe.errors import InputError


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a number of jobs takes on a target.

    Attributes:
        target: The spec.
        account: Who is paid.
        source: What its results will be called.
        jobs: Jobs.
        circuits: Rows of all jobs, each a circuit with its numbers put in.
        shots: Of all circuits.
        circuit_shots: Of each circuit.
        repeats: How often everything is measured, and the seconds from one to the next.
        two_qubit_gates: Of the data circuit, and the most of any circuit.
        depth: Likewise.
        fidelity: Expected of the data circuit; None where the noise is not known.
        calibrated_at: When the noise was measured.
        limits: What the target takes at once.
        each: The cost of every job.
        left: Seconds of the device that the account has left, where there is such a limit.
    """

    target: str
    account: str
    source: str
    jobs: int
    circuits: int
    shots: int
    circuit_shots: int
    repeats: tuple[int, float]
    two_qubit_gates: tuple[int, int]
    depth: tuple[int, int]
    fidelity: float | None
    calibrated_at: str | None
    limits: Limits
    each: tuple[Cost, ...]
    left: float | None

    @property
    def cost(self) -> Cost:
        """Of all jobs together."""
        return sum(self.each, FREE) if self.each else FREE

    def scaled(self, measured: Cost, expected: Cost) -> Estimate:
        """The same with every job as much dearer or cheaper as a pilot was than expected.

        What the vendor did not bill stays as it was estimated.
        """
        return replace(self, each=tuple(_scaled(cost, measured, expected) for cost in self.each))

    def check(self, caps: Caps) -> None:
        """Refuses what the caps or the account's time do not cover, before anything is sent.

        Raises:
            BudgetError: The cost may go over a cap, or is not known where there is one.
        """
        for cap, amount, unit in (
            (caps.money, self.cost.money, "USD"),
            (caps.seconds, self.cost.seconds, "s of the device"),
        ):
            if cap is not None and (amount is None or amount.high > cap):
                got = "unknown" if amount is None else f"up to {amount.high:,.2f} {unit}"
                raise BudgetError(
                    got=f"an estimate that is {got}",
                    expected=f"at most {cap:,.2f} {unit}",
                    do="raise the cap, or measure less",
                )
        seconds = self.cost.seconds
        if self.left is not None and seconds is not None and seconds.high > self.left:
            raise BudgetError(
                got=f"an estimate of up to {seconds.high:,.0f} s of the device",
                expected=f"at most the {self.left:,.0f} s that the account has left",
                do="measure less, or wait until the account has more time",
            )

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        cost = self.cost
        return {
            "target": self.target,
            "account": self.account,
            "source": self.source,
            "jobs": self.jobs,
            "circuits": self.circuits,
            "shots": self.shots,
            "circuit_shots": self.circuit_shots,
            "repeats": {"count": self.repeats[0], "every_seconds": self.repeats[1]},
            "two_qubit_gates": {"data": self.two_qubit_gates[0], "most": self.two_qubit_gates[1]},
            "depth": {"data": self.depth[0], "most": self.depth[1]},
            "expected_fidelity": self.fidelity,
            "calibrated_at": self.calibrated_at,
            "limits": {
                "shots": list(self.limits.shots),
                "rows": self.limits.rows,
                "programs": self.limits.programs,
                "total": list(self.limits.total),
            },
            "money_usd": _pair(cost.money),
            "device_seconds": _pair(cost.seconds),
            "device_seconds_left": self.left,
            "note": cost.note,
        }

    def lines(self) -> tuple[tuple[str, str], ...]:
        """Name and text of each figure, as a person reads them."""
        cost, (data2, most2), (deep, deepest) = self.cost, self.two_qubit_gates, self.depth
        count, every = self.repeats
        fidelity = "unknown: the target reports no noise"
        if self.fidelity is not None:
            when = f", calibrated {self.calibrated_at}" if self.calibrated_at else ""
            fidelity = f"{self.fidelity:.4f}{when}"
        found = [
            ("jobs", f"{self.jobs:,}" + (f" in {count} repeats" if count > 1 else "")),
            ("circuits", f"{self.circuits:,} x {self.circuit_shots:,} shots = {self.shots:,}"),
            ("two-qubit gates", f"{data2} (at most {most2})"),
            ("depth", f"{deep} (at most {deepest})"),
            ("expected fidelity", fidelity),
            ("limits", _limits(self.limits)),
            ("cost", _told(cost.money, "USD", 2)),
            ("device time", _told(cost.seconds, "s", 1)),
        ]
        if count > 1:
            found.insert(1, ("repeats", f"{count}, one every {every:g} s"))
        if self.left is not None:
            found.append(("device time left", f"{self.left:,.0f} s"))
        if cost.note:
            found.append(("of the cost", cost.note))
        return tuple(found)


def estimate(
    backend: Queued,
    schedule: Schedule,
    chunks: Sequence[Chunk],
    shots: int,
    repeats: tuple[int, float],
    prices: Path | None = None,
) -> Estimate:
    """The estimate of jobs that are still to be sent.

    prices: A file in place of the vendor's price list.

    Raises:
        InputError: A price file that cannot be read.
        UnreachableError: The service does not answer.
    """
    rows = [len(chunk.executions) for chunk in chunks]
    data = schedule.compiled
    every = [item.compiled for item in schedule.items]
    known: dict[int, Cost] = {}
    for size in rows:
        if size not in known:
            known[size] = backend.cost([size], shots, prices)
    return Estimate(
        target=backend.spec,
        account=backend.account,
        source=backend.source,
        jobs=len(chunks),
        circuits=sum(rows),
        shots=sum(rows) * shots,
        circuit_shots=shots,
        repeats=repeats,
        two_qubit_gates=(data.two_qubit_gates, max(each.two_qubit_gates for each in every)),
        depth=(data.depth, max(each.depth for each in every)),
        fidelity=data.expected_fidelity,
        calibrated_at=data.calibrated_at,
        limits=backend.limits(),
        each=tuple(known[size] for size in rows),
        left=backend.left(),
    )


def pilot(jobs: int) -> int:
    """How many jobs a pilot sends: one in a hundred, at least one.

    >>> pilot(24), pilot(1000)
    (1, 10)
    """
    return math.ceil(jobs / 100)


def caps(money: float | None, seconds: float | None) -> Caps:
    """The caps of one submission.

    Raises:
        InputError: One that is negative or no number.
    """
    for name, value in (("--max-cost", money), ("--max-seconds", seconds)):
        if value is not None and not 0 <= value < math.inf:
            raise InputError(got=f"{name} {value}", expected="0 or more", do="pass an amount")
    return Caps(money, seconds)


def _scaled(cost: Cost, measured: Cost, expected: Cost) -> Cost:
    found = {}
    for name in ("money", "seconds"):
        own, was, is_ = (getattr(each, name) for each in (cost, expected, measured))
        if own is not None and was is not None and is_ is not None and was.high > 0:
            factor = is_.high / was.high
            own = Interval(own.high * factor, own.high * factor)
        found[name] = own
    return Cost(**found, note=cost.note)


def _pair(amount: Interval | None) -> list[float] | None:
    return None if amount is None else [amount.low, amount.high]


def _told(amount: Interval | None, unit: str, digits: int) -> str:
    if amount is None:
        return "unknown"
    low, high = (f"{value:,.{digits}f}" for value in (amount.low, amount.high))
    return f"{low} {unit}" if low == high else f"{low} to {high} {unit}"


def _limits(limits: Limits) -> str:
    known = [
        f"{limits.shots[1]:,} shots a circuit" if limits.shots[1] else "",
        f"{limits.rows:,} circuits a job" if limits.rows else "",
        f"{limits.programs:,} different circuits a job" if limits.programs else "",
        f"{limits.total[1]:,} shots a job" if limits.total[1] else "",
    ]
    return ", ".join(filter(None, known)) or "the target says none"
