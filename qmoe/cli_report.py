"""Command report: the page of any set of runs, what a paper needs of it, and what changed."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from qmoe.errors import InputError

app = typer.Typer()


@app.command(epilog="Example: qmoe report latest --paper paper/")
def report(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            help="Folders of runs, their ids, 'latest', or ids of plans in the ledger; one or more."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Folder of the page; default <run>/report, or runs/report."),
    ] = None,
    paper: Annotated[
        Path | None,
        typer.Option("--paper", help="Also tables, figures, methods and .bib for LaTeX, here."),
    ] = None,
    all_maps: Annotated[
        bool, typer.Option("--all-maps", help="Also every decision and gate map, as SVG files.")
    ] = False,
    compare: Annotated[
        tuple[str, str] | None,
        typer.Option("--compare", help="Two runs A B: what changed, and is it significant?"),
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print results as JSON.")] = False,
) -> None:
    """Write the report of finished runs: one page, its tables, and a text for the terminal."""
    from qmoe.report.asked import opened

    if compare is not None:
        _compare(compare, runs, out, paper, all_maps, json_)
        return
    with tempfile.TemporaryDirectory() as folder:
        found = opened(runs or ["latest"], Path(folder))
        from qmoe.report import write_report
        from qmoe.report.rich_tables import blocks
        from qmoe.report.terminal import show, summary_json

        alone = len(found) == 1 and not found[0].path.is_relative_to(folder)
        to = out or (found[0].path / "report" if alone else Path("runs/report"))
        page = write_report(found, to, all_maps=all_maps, paper=paper)
        if json_:
            tree = {"runs": [run.id for run in found], "report": str(page)}
            typer.echo(json.dumps({**tree, **summary_json(found)}))
            return
        for run in found:
            show(blocks(run))
    for run in found:
        typer.echo(f"run     {run.path if not run.path.is_relative_to(folder) else run.id}")
    typer.echo(f"report  {page}")
    if paper is not None:
        typer.echo(f"paper   {paper / 'main.tex'}")


def _compare(
    pair: tuple[str, str],
    runs: list[str] | None,
    out: Path | None,
    paper: Path | None,
    all_maps: bool,
    json_: bool,
) -> None:
    if runs or paper is not None or all_maps:
        raise InputError(
            got="--compare with other runs, --paper or --all-maps",
            expected="--compare A B alone, or with --out and --json",
            do="leave the rest out",
        )
    from qmoe.report.asked import opened
    from qmoe.report.changes import change_blocks, changes, changes_json, write_changes
    from qmoe.report.terminal import show

    with tempfile.TemporaryDirectory() as folder:
        a, b = opened(pair, Path(folder))
        found = changes(a, b)
    page = None if out is None else write_changes(found, out)
    if json_:
        told = {} if page is None else {"report": str(page)}
        typer.echo(json.dumps({**changes_json(found), **told}))
        return
    show(change_blocks(found))
    if page is not None:
        typer.echo(f"report  {page}")
