"""Command shots: how large an experiment has to be. Its work is done in the rooms above."""

from __future__ import annotations

from typing import Annotated

import typer

from qmoe.dotted import named

app = typer.Typer()


@app.command(epilog="Example: qmoe shots ibm:fake_boston --detect 0.02 --power 0.8")
def shots(
    target: Annotated[str, typer.Argument(help="A target (see: qmoe devices).")],
    against: Annotated[
        str,
        typer.Option(
            "--against",
            help="What to compare with: exact (the same routers without noise and shots), "
            "a mitigation such as readout (with the raw target), or another target.",
        ),
    ] = "exact",
    precision: Annotated[
        float | None, typer.Option("--precision", help="Half the width of the 95 % interval.")
    ] = None,
    detect: Annotated[
        float | None, typer.Option("--detect", help="A difference in accuracy to be found.")
    ] = None,
    budget: Annotated[
        int | None,
        typer.Option("--budget", help="All shots; what is the smallest difference they find?"),
    ] = None,
    power: Annotated[float, typer.Option("--power", help="The chance to find it.")] = 0.8,
    alpha: Annotated[
        float, typer.Option("--alpha", help="Level of the test; the interval has 1 - alpha.")
    ] = 0.05,
    routers: Annotated[
        int, typer.Option("--routers", help="The most routers (seeds) that a plan may take.")
    ] = 30,
    trained: Annotated[
        int, typer.Option("--trained", help="Routers trained here to find the variances.")
    ] = 30,
    seed: Annotated[int, typer.Option("--seed", help="Root seed of every random stream.")] = 0,
    json_: Annotated[bool, typer.Option("--json", help="Print results as JSON.")] = False,
) -> None:
    """Shots, inputs and seeds for a wanted precision or power, from the twin of a target.

    The figure is the mean difference in accuracy between two treatments of the same inputs.
    """
    named("hardware_runs.sizing:tell")(
        target,
        against,
        precision=precision,
        detect=detect,
        budget=budget,
        power=power,
        alpha=alpha,
        most_routers=routers,
        trained=trained,
        seed=seed,
        as_json=json_,
    )
