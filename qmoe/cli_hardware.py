"""Commands about hardware experiments; their work is done in hardware_runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from qmoe.dotted import named
from qmoe.errors import InputError

app = typer.Typer(
    help="Experiments on devices behind a queue: plan, submit safely, collect days later.",
    no_args_is_help=True,
)
budget_app = typer.Typer(help="What an account may spend.", no_args_is_help=True)
app.add_typer(budget_app, name="budget")

What = Annotated[str, typer.Argument(help="A suite (device-smoke, a .toml file) or a plan's id.")]
PlanId = Annotated[str, typer.Argument(help="A plan's id, or the beginning of it.")]
AnyPlan = Annotated[str | None, typer.Argument(help="A plan's id; default all that are open.")]
Target = Annotated[
    str | None, typer.Option("--target", help="Where a suite is to run: ibm:ibm_NAME, ...")
]
Repeat = Annotated[
    bool, typer.Option("--repeat", help="This month's repeat of a suite: same routers and inputs.")
]
Prices = Annotated[
    Path | None, typer.Option("--prices", help="A price list in place of the vendor's.")
]
MaxCost = Annotated[
    float | None, typer.Option("--max-cost", help="Most money of the whole plan, USD.")
]
MaxSeconds = Annotated[
    float | None, typer.Option("--max-seconds", help="Most seconds of the device.")
]
CallTimeout = Annotated[
    float | None, typer.Option("--call-timeout", help="Seconds that one call may take.")
]
Settle = Annotated[
    float, typer.Option("--settle", help="Seconds before a search for a job in doubt.")
]
Watch = Annotated[bool, typer.Option("--watch", help="Go on until nothing is open.")]
Json = Annotated[bool, typer.Option("--json", help="Print results as JSON.")]
SETTLE = 30.0


@app.command(epilog="Example: qmoe hardware plan device-small --target ibm:ibm_boston")
def plan(
    what: What,
    target: Target = None,
    repeat: Repeat = False,
    json_: Json = False,
) -> None:
    """Freeze an experiment: routers, inputs, treatments, shots, comparison, exclusion rule."""
    _do("plan", _way(json_), what, target, repeat)


@app.command(epilog="Example: qmoe hardware estimate device-small --target braket:ARN")
def estimate(
    what: What,
    target: Target = None,
    repeat: Repeat = False,
    prices: Prices = None,
    call_timeout: CallTimeout = None,
    json_: Json = False,
) -> None:
    """Circuits, jobs, shots, gates, cost and the predicted result; sends nothing."""
    _do("estimate", _way(json_, call_timeout), what, target, repeat, prices)


@app.command(epilog="Example: qmoe hardware submit device-small --target ibm:ibm_boston --yes")
def submit(
    what: What,
    target: Target = None,
    repeat: Repeat = False,
    yes: Annotated[
        bool, typer.Option("--yes/--dry-run", help="Send; without it nothing is sent.")
    ] = False,
    pilot: Annotated[
        bool, typer.Option("--pilot", help="Send 1 % first and estimate again from its bill.")
    ] = False,
    max_cost: MaxCost = None,
    max_seconds: MaxSeconds = None,
    prices: Prices = None,
    wait: Annotated[float, typer.Option("--wait", help="Seconds to wait for the pilot.")] = 3600.0,
    call_timeout: CallTimeout = None,
    settle: Settle = SETTLE,
    json_: Json = False,
) -> None:
    """Send what is due of an experiment; the same command again sends nothing twice."""
    way = _way(json_, call_timeout, settle)
    _do("submit", way, what, target, repeat, yes, pilot, max_cost, max_seconds, prices, wait)


@app.command(epilog="Example: qmoe hardware status 3f2a")
def status(what: AnyPlan = None, json_: Json = False) -> None:
    """What the ledger knows of each job; asks no service."""
    _results("status", _way(json_), what)


@app.command("list", epilog="Example: qmoe hardware list")
def list_(json_: Json = False) -> None:
    """All plans of the ledger, with how many jobs are in which state."""
    _results("list_", _way(json_))


@app.command(epilog="Example: qmoe hardware collect")
def collect(
    what: AnyPlan = None,
    watch: Watch = False,
    call_timeout: CallTimeout = None,
    json_: Json = False,
) -> None:
    """Ask the services for what was sent, and keep what is there."""
    _do("collect", _way(json_, call_timeout), what, watch)


@app.command(epilog="Example: qmoe hardware resume 3f2a --watch")
def resume(
    what: PlanId,
    watch: Watch = False,
    retry: Annotated[
        bool, typer.Option("--retry-failed", help="Send failed jobs again, as new ones.")
    ] = False,
    found: Annotated[
        list[str] | None,
        typer.Option("--found", help="JOB=ID: an uncertain job that you found at the vendor."),
    ] = None,
    resend: Annotated[
        list[str] | None,
        typer.Option("--resend", help="JOB: an uncertain job that surely never arrived."),
    ] = None,
    max_cost: MaxCost = None,
    max_seconds: MaxSeconds = None,
    call_timeout: CallTimeout = None,
    settle: Settle = SETTLE,
    json_: Json = False,
) -> None:
    """Go on after a crash: look for uncertain jobs, send what is due, collect what is there."""
    known = {}
    for text in found or ():
        job, equals, name = text.partition("=")
        if not (job and equals and name):
            raise InputError(
                got=f"--found {text}", expected="JOB=ID", do="see `qmoe hardware status PLAN`"
            )
        known[job] = name
    way = _way(json_, call_timeout, settle)
    again = tuple(resend or ())
    _do("resume", way, what, watch, retry, max_cost, max_seconds, known, again)


@app.command(epilog="Example: qmoe hardware cancel 3f2a")
def cancel(
    what: PlanId,
    call_timeout: CallTimeout = None,
    settle: Settle = SETTLE,
    json_: Json = False,
) -> None:
    """Drop what was not sent, and ask the service to drop what has not run."""
    _do("cancel", _way(json_, call_timeout, settle), what)


@app.command(epilog="Example: qmoe hardware rescore 3f2a --out runs/boston")
def rescore(
    what: PlanId,
    treatment: Annotated[
        list[str] | None,
        typer.Option("--treatment", help="A mitigation; default those of the plan."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write a run with its report to this folder.")
    ] = None,
    json_: Json = False,
) -> None:
    """Every figure again from the raw counts, and predicted against measured; offline."""
    _results("rescore_", _way(json_), what, tuple(treatment or ()), out)


@app.command(epilog="Example: qmoe hardware export 3f2a --bundle boston.zip")
def export(
    what: Annotated[str | None, typer.Argument(help="A plan's id; not for --ledger.")] = None,
    csv: Annotated[Path | None, typer.Option("--csv", help="Raw counts as CSV.")] = None,
    parquet: Annotated[
        Path | None, typer.Option("--parquet", help="Raw counts as Parquet.")
    ] = None,
    metriq: Annotated[
        Path | None, typer.Option("--metriq", help="Figures as JSON in the style of metriq.")
    ] = None,
    bundle: Annotated[
        Path | None, typer.Option("--bundle", help="All of a plan in one archive; see verify.")
    ] = None,
    ledger: Annotated[
        Path | None,
        typer.Option("--ledger", help="The whole ledger, for another machine to go on with."),
    ] = None,
    json_: Json = False,
) -> None:
    """Raw counts, figures or everything; or the ledger, handed over to another machine."""
    files = {"csv": csv, "parquet": parquet, "metriq": metriq, "bundle": bundle}
    chosen = {name: path for name, path in files.items() if path is not None}
    _results("export", _way(json_), what, chosen, ledger)


@app.command("import", epilog="Example: qmoe hardware import ledger.qmoe")
def import_(
    file: Annotated[Path, typer.Argument(help="What `export --ledger` wrote.")],
    json_: Json = False,
) -> None:
    """Take over the ledger of another machine, budgets and open jobs with it."""
    _results("import_", _way(json_), file)


@budget_app.command(
    "set", epilog="Example: qmoe hardware budget set aws 500 USD --until 2027-01-01"
)
def budget_set(
    account: Annotated[str, typer.Argument(help="aws, ibm, google or ionq.")],
    amount: Annotated[float, typer.Argument(help="How much.")],
    unit: Annotated[str, typer.Argument(help="USD, or s for seconds of the device.")],
    until: Annotated[
        str | None, typer.Option("--until", help="The last day, YYYY-MM-DD; default no end.")
    ] = None,
    json_: Json = False,
) -> None:
    """Set the most that an account may spend; replaces the one before."""
    _results("budget_set", _way(json_), account, amount, unit, until)


@budget_app.command("list", epilog="Example: qmoe hardware budget list")
def budget_list(json_: Json = False) -> None:
    """Every budget: reserved, billed, left."""
    _results("budget_list", _way(json_))


def verify(
    bundle: Annotated[Path, typer.Argument(help="What `hardware export --bundle` wrote.")],
    json_: Json = False,
) -> None:
    """Recompute every figure of a bundle, offline; exit code 1 where one differs."""
    _results("verify_", _way(json_), bundle)


def _way(json_: bool, call_timeout: float | None = None, settle: float = SETTLE) -> Any:
    return named("hardware_runs.way:Way")(call_timeout, settle, json_)


def _do(name: str, *values: Any) -> None:
    named(f"hardware_runs.commands:{name}")(*values)


def _results(name: str, *values: Any) -> None:
    named(f"hardware_runs.commands_results:{name}")(*values)
