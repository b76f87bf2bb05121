"""What may still be spent, decided inside the transaction that spends it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, func, select

from backends.queued import Cost
from hardware_runs.ledger.rows import BudgetRow, Caps
from hardware_runs.ledger.schema import budgets, jobs
from qmoe.errors import ExplainedError

COLUMNS = {
    "USD": (jobs.c.reserve_money, jobs.c.billed_money, "money"),
    "s": (jobs.c.reserve_seconds, jobs.c.billed_seconds, "seconds"),
}
HELD = ("uncertain", "submitted", "running", "done", "failed", "cancelled")
"""States in which a job may have cost something; refused and released ones reserve nothing."""


class BudgetError(ExplainedError):
    """More than a budget or a cap allows; nothing was sent for it."""

    exit_code = 5


def check(
    connection: Connection, plan: str, account: str, reserve: Cost, caps: Caps, now: datetime
) -> None:
    """Nothing, if a reservation fits every budget of the account and the caps of the plan.

    Raises:
        BudgetError: It does not, or its cost is not known where there is a limit.
    """
    for row in in_force(connection, account, now):
        amount = getattr(reserve, COLUMNS[row.unit][2])
        _fits(amount and amount.high, row.left, row.unit, f"the budget of {account}")
    for unit, cap in (("USD", caps.money), ("s", caps.seconds)):
        if cap is not None:
            amount = getattr(reserve, COLUMNS[unit][2])
            used = sum(_used(connection, unit, jobs.c.plan == plan))
            _fits(amount and amount.high, cap - used, unit, "the cap of this submission")


def in_force(connection: Connection, account: str | None, now: datetime) -> list[BudgetRow]:
    """The budgets that hold now, of one account or of all, with what was used of them."""
    given = select(budgets).where(budgets.c.over == 0).order_by(budgets.c.id)
    if account is not None:
        given = given.where(budgets.c.account == account)
    found = []
    for row in connection.execute(given).mappings():
        until = None if row["until"] is None else datetime.fromisoformat(row["until"])
        if until is not None and until <= now:
            continue
        where = and_(jobs.c.account == row["account"], jobs.c.reserved >= row["start"])
        reserved, billed = _used(connection, row["unit"], where)
        found.append(
            BudgetRow(
                account=row["account"],
                amount=row["amount"],
                unit=row["unit"],
                start=datetime.fromisoformat(row["start"]),
                until=until,
                reserved=reserved,
                billed=billed,
            )
        )
    return found


def _used(connection: Connection, unit: str, where: ColumnElement[bool]) -> tuple[float, float]:
    """Reserved by jobs without a bill, and billed."""
    reserve, bill, _ = COLUMNS[unit]
    asked = select(func.coalesce(func.sum(reserve), 0.0)).where(
        where, jobs.c.state.in_(HELD), bill.is_(None)
    )
    paid = select(func.coalesce(func.sum(bill), 0.0)).where(where)
    return float(connection.scalar(asked) or 0.0), float(connection.scalar(paid) or 0.0)


def _fits(amount: float | None, left: float, unit: str, what: str) -> None:
    if amount is None:
        raise BudgetError(
            got=f"a job whose cost in {unit} is unknown under {what}",
            expected="a known cost",
            do="lift the limit, or pass --prices FILE",
        )
    if not amount <= left + 1e-9:
        raise BudgetError(
            got=f"a job of up to {amount:,.2f} {unit}",
            expected=f"at most the {max(0.0, left):,.2f} {unit} left of {what}",
            do="raise the limit, or measure less",
        )
