"""`python -m backends.conformance SPEC`: the conformance suite from the command line."""

from __future__ import annotations

import json
import sys
from collections import Counter
from dataclasses import asdict
from typing import Annotated

import typer

from backends.conformance.bench import Bench
from backends.conformance.suite import Check, Outcome, checks, outcomes, planned
from backends.queued import Queued
from backends.registry import load
from qmoe.angles import whole
from qmoe.entry import enter
from qmoe.errors import unknown
from qmoe.progress import choose

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command(epilog="Example: python -m backends.conformance ibm:fake_boston --seed 1")
def conformance(
    spec: Annotated[str, typer.Argument(help="The target: vendor:target,key=value.")],
    only: Annotated[
        list[str] | None, typer.Option("--only", help="One check by name; may be repeated.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Root seed of every random stream.")] = 0,
    shots: Annotated[int, typer.Option("--shots", help="Shots of each row of counts.")] = 4000,
    yes: Annotated[
        bool, typer.Option("--yes", help="Allow runs that cost, on a target behind a queue.")
    ] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print outcomes as JSON.")] = False,
) -> None:
    """Check that a target does what every target must; exit code 1 if a check failed.

    On a real target only what is free is checked, unless --yes is given.
    """
    whole(seed, "seed")
    whole(shots, "shots", 1)
    chosen = _chosen(only or [])
    backend = load(spec)
    if isinstance(backend, Queued):
        circuits, total = planned(chosen, seed, shots)
        print(
            f"{backend.spec} runs behind a queue: about {circuits} circuits, {total} shots in all. "
            + ("They are run now." if yes else "None is run; pass --yes to run them."),
            file=sys.stderr,
        )
    bench = Bench(backend, seed, shots, spend=yes)
    found: list[Outcome] = []
    with choose(wanted=not json_)(f"checking {backend.spec}", len(chosen)) as advance:
        for outcome in outcomes(bench, chosen):
            found.append(outcome)
            advance(len(found))
    if json_:
        settings = {"spec": backend.spec, "source": backend.source, "seed": seed, "shots": shots}
        print(json.dumps({**settings, "outcomes": [asdict(outcome) for outcome in found]}))
    else:
        _show(backend.spec, found)
    if any(outcome.status == "failed" for outcome in found):
        raise typer.Exit(1)


def _chosen(names: list[str]) -> tuple[Check, ...]:
    known = {check.name: check for check in checks()}
    for name in names:
        if name not in known:
            raise unknown("check", name, known)
    return tuple(known[name] for name in names) or checks()


def _show(spec: str, found: list[Outcome]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    colours = {"passed": "green", "failed": "red", "not applicable": "dim"}
    table = Table("check", "outcome", "seen", "s")
    table.columns[0].no_wrap = table.columns[1].no_wrap = True
    table.columns[3].justify = "right"
    for each in found:
        status = Text(each.status, colours[each.status])
        table.add_row(each.name, status, Text(each.seen), f"{each.seconds:.1f}")
    console = Console(highlight=False)
    console.print(table)
    counts = Counter(outcome.status for outcome in found)
    console.print(f"{spec}: " + ", ".join(f"{n} {status}" for status, n in counts.items()))


def main() -> None:
    """The entry point."""
    enter(app, "conformance", "--help")


if __name__ == "__main__":
    main()
