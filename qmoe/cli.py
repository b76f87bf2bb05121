"""The command line: every command by name, each importing what it needs when it runs."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.exceptions import TyperException

from qmoe.errors import InputError, QmoeError, unknown

if TYPE_CHECKING:
    from qmoe.provenance import Provenance

STUDIES = {"ablation": "qmoe.studies.ablation:ablation"}

app = typer.Typer(
    name="qmoe",
    help="Does a quantum router earn its place in a Mixture of Experts? Train, compare, report.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
data_app = typer.Typer(help="Data sets: what there is.", no_args_is_help=True)
app.add_typer(data_app, name="data")

Seed = Annotated[int, typer.Option("--seed", help="Root seed of every random stream.")]
Seeds = Annotated[int, typer.Option("--seeds", help="Number of paired seeds.")]
Out = Annotated[
    Path | None, typer.Option("--out", help="Folder of the run; default runs/<UTC>-<name>.")
]
Json = Annotated[bool, typer.Option("--json", help="Print results as JSON.")]
Threads = Annotated[
    int, typer.Option("--threads", help="Threads; one is fastest below about 8 qubits.")
]
Device = Annotated[str, typer.Option("--device", help="Torch device: cpu, cuda, ...")]


@app.command(epilog="Example: qmoe run quick --seeds 30 --out runs/first")
def run(
    suite: Annotated[str, typer.Argument(help="A shipped suite or a .toml file.")] = "quick",
    seeds: Annotated[
        int | None, typer.Option("--seeds", help="Number of paired seeds; default the suite's.")
    ] = None,
    seed: Seed = 0,
    out: Out = None,
    threads: Threads = 1,
    device: Device = "cpu",
    json_: Json = False,
) -> None:
    """Run a suite (default: quick, the main job) and write its report."""
    from qmoe.suite import load, resolve

    chosen = load(suite)
    count = chosen.seeds if seeds is None else seeds
    steps = [(resolve(step.call), step.options) for step in chosen.steps]
    _finish(steps, chosen.name, seed, count, threads, device, out, json_)


@app.command(epilog="Example: qmoe study ablation --protocol notebook --seeds 30")
def study(
    name: Annotated[str, typer.Argument(help="The study: " + ", ".join(STUDIES))],
    protocol: Annotated[
        str, typer.Option("--protocol", help="controlled, notebook or both.")
    ] = "both",
    data: Annotated[str, typer.Option("--data", help="Data of the controlled protocol.")] = "moons",
    seeds: Seeds = 30,
    seed: Seed = 0,
    out: Out = None,
    threads: Threads = 1,
    device: Device = "cpu",
    json_: Json = False,
) -> None:
    """Run one study and write its report."""
    from qmoe.suite import resolve

    if name not in STUDIES:
        raise unknown("study", name, STUDIES)
    steps = [(resolve(STUDIES[name]), {"protocol": protocol, "data": data})]
    _finish(steps, name, seed, seeds, threads, device, out, json_)


@app.command(
    epilog="Example: qmoe train --data moons,noise=0.2 --router quantum,layers=2 --seeds 5"
)
def train(
    data: Annotated[
        str, typer.Option("--data", help="A named set (see: qmoe data list), a .csv or .npz file.")
    ] = "moons",
    target: Annotated[
        str | None, typer.Option("--target", help="The column (key) with the classes of a file.")
    ] = None,
    router: Annotated[
        str, typer.Option("--router", help="A router with its options: mlp,hidden=16")
    ] = "quantum,layers=2",
    layers: Annotated[
        int | None, typer.Option("--layers", help="Circuit layers; same as layers= in --router.")
    ] = None,
    experts: Annotated[int, typer.Option("--experts", help="Linear experts.")] = 4,
    gate: Annotated[
        str, typer.Option("--gate", help="probability, softmax, temperature or auto.")
    ] = "auto",
    top_k: Annotated[
        int | None, typer.Option("--top-k", help="Keep the k largest gate weights.")
    ] = None,
    load_balance: Annotated[
        float, typer.Option("--load-balance", help="Factor of the load-balancing loss.")
    ] = 0.0,
    scaler: Annotated[
        str, typer.Option("--scaler", help="standard, [0, pi] or [-pi, pi].")
    ] = "[0, pi]",
    pca: Annotated[
        int | None, typer.Option("--pca", help="Reduce to this many features first.")
    ] = None,
    epochs: Annotated[int, typer.Option("--epochs", help="Passes over the data.")] = 400,
    batch_size: Annotated[
        int | None, typer.Option("--batch-size", help="Samples of one step; default all.")
    ] = None,
    learning_rate: Annotated[float, typer.Option("--lr", help="Adam's step size.")] = 0.05,
    patience: Annotated[
        int | None, typer.Option("--patience", help="Stop after this many epochs without gain.")
    ] = None,
    seeds: Seeds = 1,
    seed: Seed = 0,
    out: Out = None,
    threads: Threads = 1,
    device: Device = "cpu",
    json_: Json = False,
) -> None:
    """Train one router on one data set, for one seed or many, and write its report."""
    from qmoe.studies.single import single
    from qmoe.texts import name_and_options
    from qmoe.train import TrainConfig

    name, options = name_and_options(router, "router")
    if layers is not None:
        options["layers"] = layers
    wanted = {
        "source": data,
        "target": target,
        "router": name,
        "options": options,
        "experts": experts,
        "gate": gate,
        "top_k": top_k,
        "load_balance": load_balance,
        "scaler": scaler,
        "pca": pca,
        "config": TrainConfig(epochs, batch_size, learning_rate, patience, device=device),
    }
    _finish([(single, wanted)], "train", seed, seeds, threads, device, out, json_)


@app.command(epilog="Example: qmoe predict runs/latest/checkpoints/NAME --data my.csv --target y")
def predict(
    checkpoint: Annotated[Path, typer.Argument(help="The folder of a checkpoint.")],
    data: Annotated[str, typer.Option("--data", help="A .csv or .npz file, or a named fixed set.")],
    target: Annotated[
        str | None, typer.Option("--target", help="The column (key) with the classes.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write class probabilities to this .csv file.")
    ] = None,
    json_: Json = False,
) -> None:
    """Score a trained router on data with known classes."""
    from qmoe.scoring import score

    result = score(checkpoint, data, target, out)
    if json_:
        typer.echo(json.dumps(result.to_dict()))
    else:
        typer.echo(str(result))


@app.command(epilog="Example: qmoe report latest")
def report(
    run: Annotated[str, typer.Argument(help="A run's folder, its id, or 'latest'.")] = "latest",
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder of the page; default <run>/report.")
    ] = None,
    json_: Json = False,
) -> None:
    """Write the report of a finished run again."""
    from qmoe.rundir import Run

    _tell(Run.open(run).path, out, json_)


@data_app.command("list", epilog="Example: qmoe data list --json")
def data_list(json_: Json = False) -> None:
    """The named data sets."""
    from qmoe.data import catalogue

    if json_:
        rows = [
            {
                "name": entry.name,
                "rows": entry.rows,
                "features": entry.features,
                "classes": entry.classes,
                "options": dict(entry.options),
                "description": entry.description,
            }
            for entry in catalogue()
        ]
        typer.echo(json.dumps(rows))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("name", "rows", "features", "classes", "options", "what it is")
    for entry in catalogue():
        table.add_row(
            entry.name,
            str(entry.rows or "drawn"),
            str(entry.features),
            str(entry.classes),
            ", ".join(f"{key}={value}" for key, value in entry.options.items()),
            entry.description,
        )
    Console().print(table)


def _finish(
    steps: Any,
    name: str,
    seed: int,
    seeds: int,
    threads: int,
    device: str,
    out: Path | None,
    json_: bool,
) -> None:
    """Runs steps into a folder, writes the report, says what came out."""
    from qmoe.progress import choose
    from qmoe.suite import execute, seed_range

    seed_range(seeds)
    provenance = _prepare(seed, threads, device)
    folder = execute(
        steps,
        name=name,
        provenance=provenance,
        seeds=seeds,
        device=device,
        progress=choose(wanted=not json_),
        out=out,
    )
    _tell(folder, None, json_)


def _prepare(seed: int, threads: int, device: str) -> Provenance:
    """Sets the number of threads, checks the device, and notes where results come from."""
    import torch

    from qmoe.angles import whole
    from qmoe.provenance import capture

    torch.set_num_threads(whole(threads, "number of threads", 1))
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(
            got=f"device {device!r}",
            expected="a torch device of this machine",
            do="use --device cpu",
        ) from error
    return capture(whole(seed, "seed"), threads=threads)


def _tell(folder: Path, out: Path | None, json_: bool) -> None:
    """Writes the page of a run and prints its outcome."""
    from qmoe.report import write_report
    from qmoe.report.terminal import summary_json, summary_text
    from qmoe.rundir import Run

    finished = Run.open(folder)
    page = write_report(finished, out or folder / "report")
    if json_:
        typer.echo(json.dumps({"run": str(folder), "report": str(page), **summary_json(finished)}))
        return
    typer.echo(summary_text(finished))
    typer.echo(f"run     {folder}\nreport  {page}")


def main() -> None:
    """The entry point: a user's mistake is one line on standard error and an exit code."""
    try:
        code = app(standalone_mode=False)
    except QmoeError as error:
        _stop(str(error), error.exit_code)
    except TyperException as error:
        _stop(f"{error.format_message()} (see: qmoe --help)", error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        _stop("interrupted; nothing was left behind", 130)
    except OSError as error:
        _stop(f"{error.strerror or error}: {error.filename or ''}".rstrip(": "), 1)
    sys.exit(code if isinstance(code, int) else 0)


def _stop(message: str, code: int) -> None:
    print(f"qmoe: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(code)


if __name__ == "__main__":
    main()
