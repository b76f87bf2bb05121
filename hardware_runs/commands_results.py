"""What the commands that tell, score, hand over and check do; none of them asks a service."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from hardware_runs.commands import Way
from hardware_runs.ledger import Ledger, PlanRow
from qmoe.errors import InputError, unknown

ACCOUNTS = ("aws", "ibm", "google", "ionq")
UNITS = ("USD", "s")


def status(way: Way, what: str | None) -> None:
    """The jobs of a plan, or of all that have open ones."""
    with Ledger.open() as ledger:
        if what is None:
            _plans(way, ledger, open_only=True)
            return
        row = ledger.plan(what)
        jobs = ledger.jobs(row.id)
        tree = [
            {
                "job": job.key,
                "state": job.state,
                "circuits": len(job.executions),
                "shots": job.shots,
                "id": job.ref.id if job.ref else None,
                "source": job.source,
                "due": job.due.isoformat() if job.due else None,
                "words": job.words,
            }
            for job in jobs
        ]
        lines = [f"plan {row.id}, planned {row.created:%Y-%m-%d %H:%M} UTC"]
        for one in tree:
            parts = [one["job"], one["state"], f"{one['circuits']} x {one['shots']}"]
            lines.append("  ".join([*parts, one["id"] or "", one["words"] or ""]).rstrip())
        if not jobs:
            lines.append("nothing was submitted")
        way.print({"plan": row.id, "jobs": tree}, lines)


def list_(way: Way) -> None:
    """All plans."""
    with Ledger.open() as ledger:
        _plans(way, ledger, open_only=False)


def budget_set(way: Way, account: str, amount: float, unit: str, until: str | None) -> None:
    """Sets what an account may spend.

    Raises:
        InputError: No such account or unit, a negative amount, or no date.
    """
    if account not in ACCOUNTS:
        raise unknown("account", account, ACCOUNTS)
    if unit not in UNITS:
        raise unknown("unit", unit, UNITS)
    end = None
    if until is not None:
        try:
            end = datetime.strptime(until, "%Y-%m-%d").replace(tzinfo=UTC) + timedelta(days=1)
        except ValueError as error:
            raise InputError(
                got=f"--until {until}", expected="YYYY-MM-DD", do="write 2027-01-01"
            ) from error
    with Ledger.open() as ledger:
        ledger.set_budget(account, amount, unit, end)
    budget_list(way)


def budget_list(way: Way) -> None:
    """All budgets and what is left of them."""
    with Ledger.open() as ledger:
        tree = [
            {
                "account": row.account,
                "amount": row.amount,
                "unit": row.unit,
                "until": row.until.isoformat() if row.until else None,
                "reserved": row.reserved,
                "billed": row.billed,
                "left": row.left,
            }
            for row in ledger.budgets()
        ]
    lines = [
        f"{row['account']}: {row['amount']:,.2f} {row['unit']}"
        + (f" until {row['until'][:10]}" if row["until"] else "")
        + f", billed {row['billed']:,.2f}, reserved {row['reserved']:,.2f}, left {row['left']:,.2f}"
        for row in tree
    ]
    way.print({"budgets": tree}, lines or ["no budgets"])


def import_(way: Way, file: Path) -> None:
    """Takes over what another machine handed over."""
    with Ledger.import_(file) as ledger:
        _plans(way, ledger, open_only=False)


def verify_(way: Way, bundle: Path) -> None:
    """Recomputes a bundle; its plan and figures need no account, no service and no SDK.

    Raises:
        QmoeError: A figure differs.
    """
    from hardware_runs.verify import verify

    found = verify(bundle)
    way.print(found.to_dict(), list(found.lines()))
    found.check()


def _plans(way: Way, ledger: Ledger, *, open_only: bool) -> None:
    states = ledger.counts_of_states()
    rows = [row for row in ledger.plans() if not open_only or _is_open(states.get(row.id, {}))]
    tree = [_plan(row, states.get(row.id, {})) for row in rows]
    lines = [
        f"{one['plan']}  {one['created'][:16]}  {one['suite']} on {one['target']}"
        + (f" ({one['occasion']})" if one["occasion"] else "")
        + "  "
        + (", ".join(f"{n} {state}" for state, n in one["jobs"].items()) or "not submitted")
        for one in tree
    ]
    way.print({"plans": tree}, lines or ["nothing is open" if open_only else "no plans"])


def _plan(row: PlanRow, states: Mapping[str, int]) -> dict[str, Any]:
    """A plan as the lists show it; read from its text without building its routers."""
    content = json.loads(row.content)
    return {
        "plan": row.id,
        "created": row.created.isoformat(),
        "suite": content["design"]["name"],
        "target": content["target"],
        "occasion": content.get("occasion", ""),
        "jobs": dict(states),
    }


def _is_open(states: Mapping[str, int]) -> bool:
    return bool(set(states) & {"planned", "uncertain", "submitted", "running"})
