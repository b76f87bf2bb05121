"""`python -m hardware_runs.submit SUITE --target SPEC`: the same as `qmoe hardware submit`."""

from __future__ import annotations

import typer

from qmoe.cli_hardware import submit
from qmoe.entry import enter

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
app.command()(submit)

if __name__ == "__main__":
    enter(app, "submit", "python -m hardware_runs.submit --help")
