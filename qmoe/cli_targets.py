"""Commands about targets: devices, doctor, compile. Their work is done in the rooms above."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from qmoe.dotted import named

app = typer.Typer()
Json = Annotated[bool, typer.Option("--json", help="Print results as JSON.")]


@app.command(epilog="Example: qmoe devices ibm")
def devices(
    vendor: Annotated[
        str | None, typer.Argument(help="One vendor: ibm, braket, cirq, ...; default all.")
    ] = None,
    json_: Json = False,
) -> None:
    """The targets: qubits, gates, median errors, calibration, and what is missing."""
    named("backends.devices:tell")(vendor, json_)


@app.command(epilog="Example: qmoe doctor")
def doctor(json_: Json = False) -> None:
    """What is installed, which credentials are named (never their values), where data are."""
    named("backends.doctor:tell")(json_)


@app.command("compile", epilog="Example: qmoe compile runs/latest/checkpoints/NAME ibm:fake_boston")
def compile_(
    checkpoint: Annotated[Path, typer.Argument(help="The folder of a checkpoint.")],
    target: Annotated[str, typer.Argument(help="A target (see: qmoe devices).")],
    json_: Json = False,
) -> None:
    """A trained router as a target would run it: picture, layout, depth, expected fidelity."""
    named("hardware_runs.compiling:tell")(checkpoint, target, json_)
