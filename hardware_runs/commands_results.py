"""What the commands that tell, score, hand over and check do; none of them asks a service."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from hardware_runs.ledger import Ledger, PlanRow
from hardware_runs.ledger.place import place
from hardware_runs.ledger.transfer import take
from hardware_runs.way import Way
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
                "circuits": job.circuits,
                "shots": job.shots,
                "id": job.ref.id if job.ref else None,
                "source": job.source,
                "due": job.due.isoformat() if job.due else None,
                "words": job.words,
            }
            for job in jobs
        ]
        lines = [f"plan {row.id}, planned {row.created:%Y-%m-%d %H:%M} UTC"]
        for job in jobs:
            size = f"{job.circuits} x {job.shots}"
            name = job.ref.id if job.ref else ""
            lines.append("  ".join((job.key, job.state, size, name, job.words)).rstrip())
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
        rows = ledger.budgets()
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
        for row in rows
    ]
    lines = [
        f"{row.account}: {row.amount:,.2f} {row.unit}"
        + (f" until {row.until:%Y-%m-%d}" if row.until else "")
        + f", billed {row.billed:,.2f}, reserved {row.reserved:,.2f}, left {row.left:,.2f}"
        for row in rows
    ]
    way.print({"budgets": tree}, lines or ["no budgets"])


def rescore_(way: Way, what: str, treatments: tuple[str, ...], out: Path | None) -> None:
    """Every figure again from raw counts; with `out`, a run and its report."""
    from hardware_runs.comparison import compared, lines
    from hardware_runs.records import records
    from hardware_runs.rescore import rescore

    with Ledger.open() as ledger:
        found = records(ledger, what)
    outcome = rescore(
        found.plan,
        found.schedule,
        found.measured,
        treatments=treatments or None,
        sources=found.sources,
    )
    sides = compared(found, outcome)
    tree = {**outcome.to_dict(), "predictions": list(found.predictions), "compared": sides}
    told = list(lines(found, outcome, sides))
    if out is not None:
        from hardware_runs.run_folder import write_run

        page = write_run(found, outcome, sides, out)
        tree |= {"run": str(out), "report": str(page)}
        told += [f"run     {out}", f"report  {page}"]
    way.print(tree, told)


def export(way: Way, what: str | None, files: Mapping[str, Path], ledger_to: Path | None) -> None:
    """Writes what was asked for, each file whole or not at all.

    Raises:
        InputError: Nothing was asked for, or files of a plan without a plan.
    """
    if not files and ledger_to is None:
        raise InputError(
            got="nothing to write",
            expected="one or more of --csv, --parquet, --metriq, --bundle, --ledger",
            do="add one",
        )
    if (what is None) == bool(files):
        raise InputError(
            got="a plan without a file for it" if what else "files of a plan without a plan",
            expected="PLAN with --csv, --parquet, --metriq or --bundle",
            do="correct the command",
        )
    with Ledger.open() as ledger:
        if what is not None:
            _write(ledger, what, files)
        if ledger_to is not None:
            ledger.hand_over(ledger_to)
    every = [*files.values(), *([ledger_to] if ledger_to else [])]
    way.print({"files": [str(path) for path in every]}, [f"wrote {path}" for path in every])


def _write(ledger: Ledger, what: str, files: Mapping[str, Path]) -> None:
    from hardware_runs import bundle
    from hardware_runs.export import csv, metriq_json, parquet
    from hardware_runs.records import records
    from hardware_runs.rescore import rescore

    found = records(ledger, what)
    for name, path in files.items():
        if name == "csv":
            csv(found, path)
        elif name == "parquet":
            parquet(found, path)
        elif name == "bundle":
            bundle.pack(found, path)
        else:
            outcome = rescore(found.plan, found.schedule, found.measured, sources=found.sources)
            metriq_json(found, outcome, path)


def import_(way: Way, file: Path) -> None:
    """Takes over what another machine handed over."""
    where = place()
    if "://" in where:
        raise InputError(
            got="a ledger behind an URL",
            expected="an SQLite file to import into",
            do="set QMOE_LEDGER to a path",
        )
    take(file, Path(where).expanduser())
    with Ledger.open() as ledger:
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
