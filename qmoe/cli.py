"""The command line: every command by name, each importing what it needs when it runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from qmoe import cli_hardware, cli_report, cli_shots, cli_targets
from qmoe.dotted import named
from qmoe.entry import enter
from qmoe.errors import InputError, QmoeError, unknown
from qmoe.session import finish

STUDIES = {
    name: f"{room}.studies.{name}:{name}"
    for room, names in (
        ("qmoe", ("ablation", "efficiency", "interference", "convergence", "trainability")),
        ("qmoe", ("images", "hunt", "noise")),
        ("hardware_runs", ("device", "sensitivity", "volumetric")),
    )
    for name in names
}

app = typer.Typer(
    name="qmoe",
    help="Does a quantum router earn its place in a Mixture of Experts? Train, compare, report.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
data_app = typer.Typer(help="Data sets: what there is, and downloads.", no_args_is_help=True)
app.add_typer(data_app, name="data")
app.add_typer(cli_targets.app)
app.add_typer(cli_shots.app)
app.add_typer(cli_report.app)
app.add_typer(cli_hardware.app, name="hardware")
app.command(epilog="Example: qmoe verify boston.zip")(cli_hardware.verify)

Seed = Annotated[int, typer.Option("--seed", help="Root seed of every random stream.")]
Seeds = Annotated[int, typer.Option("--seeds", help="Number of paired seeds.")]
Out = Annotated[
    Path | None, typer.Option("--out", help="Folder of the run; default runs/<UTC>-<name>.")
]
Json = Annotated[bool, typer.Option("--json", help="Print results as JSON.")]
Threads = Annotated[
    int, typer.Option("--threads", help="Threads; one is fastest below about 8 qubits.")
]
Trials = Annotated[
    int, typer.Option("--trials", help="Trials per family, chosen from on validation.")
]
Workers = Annotated[int | None, typer.Option("--workers", help="Processes; default one per core.")]
Device = Annotated[str, typer.Option("--device", help="Torch device: cpu, cuda, ...")]


@app.command(epilog="Example: qmoe run quick --seeds 30 --out runs/first")
def run(
    suite: Annotated[str, typer.Argument(help="A shipped suite or a .toml file.")] = "quick",
    seeds: Annotated[
        int | None, typer.Option("--seeds", help="Number of paired seeds; default the suite's.")
    ] = None,
    trials: Annotated[
        int | None, typer.Option("--trials", help="Trials per family; default the suite's.")
    ] = None,
    seed: Seed = 0,
    out: Out = None,
    workers: Workers = None,
    device: Device = "cpu",
    json_: Json = False,
) -> None:
    """Run a suite (default: quick, the main job) and write its report.

    Interrupted, it keeps what is finished: the same command goes on from there.
    """
    from qmoe.suite import load, resolve, setup

    chosen = load(suite)
    count = chosen.seeds if seeds is None else seeds
    made = setup(seed, count, chosen.trials if trials is None else trials)
    plans = [resolve(step.call)(made, **step.options) for step in chosen.steps]
    finish(plans, chosen.name, seed, workers, device, out, json_, estimated=chosen.estimate)


@app.command(epilog="Example: qmoe study ablation --protocol notebook --seeds 30")
def study(
    name: Annotated[str, typer.Argument(help="The study: " + ", ".join(STUDIES))],
    protocol: Annotated[
        str | None, typer.Option("--protocol", help="ablation: controlled, notebook or both.")
    ] = None,
    data: Annotated[
        str | None, typer.Option("--data", help="ablation: one data set; default both moons.")
    ] = None,
    seeds: Seeds = 30,
    trials: Trials = 12,
    seed: Seed = 0,
    out: Out = None,
    workers: Workers = None,
    device: Device = "cpu",
    json_: Json = False,
) -> None:
    """Run one study and write its report."""
    from qmoe.suite import resolve, setup

    if name not in STUDIES:
        raise unknown("study", name, STUDIES)
    given = {"protocol": protocol, "data": data}
    options = {key: value for key, value in given.items() if value is not None}
    if options and name != "ablation":
        raise InputError(
            got=f"--{next(iter(options))} for study {name}",
            expected="no such option",
            do="leave it out",
        )
    plan = resolve(STUDIES[name])(setup(seed, seeds, trials), **options)
    finish([plan], name, seed, workers, device, out, json_, estimated=True)


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
    layerwise: Annotated[
        bool, typer.Option("--layerwise", help="Grow the circuit a layer at a time.")
    ] = False,
    init_scale: Annotated[
        float, typer.Option("--init-scale", help="Factor of the router's starting numbers.")
    ] = 1.0,
    embedding_scale: Annotated[
        float, typer.Option("--embedding-scale", help="Factor of the features the router sees.")
    ] = 1.0,
    expert_hidden: Annotated[
        int | None, typer.Option("--expert-hidden", help="Hidden units per expert; default none.")
    ] = None,
    noise: Annotated[
        str | None,
        typer.Option(
            "--noise", help="Train a circuit under noise: placement=gate,depolarizing=.02"
        ),
    ] = None,
    trained_for: Annotated[
        str, typer.Option("--for", help="Train the first seed for a target too: ibm:fake_boston")
    ] = "",
    seeds: Seeds = 1,
    trials: Trials = 1,
    seed: Seed = 0,
    out: Out = None,
    threads: Threads = 1,
    device: Device = "cpu",
    json_: Json = False,
) -> None:
    """Train one router on one data set, for one seed or many, and write its report."""
    from qmoe.scaling import scaler_kind
    from qmoe.studies.single import single
    from qmoe.suite import setup
    from qmoe.texts import name_and_options
    from qmoe.train import TrainConfig
    from qmoe.trial import Trial

    name, options = name_and_options(router, "router")
    if layers is not None:
        options["layers"] = layers
    if noise is not None:
        options["noise"] = noise
    if trained_for:
        named("hardware_runs.treatments:check")(trained_for, name)
    plan = single(
        setup(seed, seeds, trials),
        source=data,
        target=target,
        trained_for=trained_for,
        config=TrainConfig(
            epochs, batch_size, patience=patience, layerwise=layerwise, device=device
        ),
        trial=Trial(
            learning_rate, scaler_kind(scaler), init_scale, embedding_scale=embedding_scale
        ),
        router=name,
        options=options,
        experts=experts,
        gate=gate,
        top_k=top_k,
        load_balance=load_balance,
        expert_hidden=expert_hidden,
        pca=pca,
    )
    finish([plan], "train", seed, 1, device, out, json_, threads=threads, resumable=False)


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


@app.command(epilog="Example: qmoe claims --claim C7")
def claims(
    run: Annotated[
        str | None,
        typer.Argument(help="A run's folder, its id, 'latest', or a file; default as committed."),
    ] = None,
    claim: Annotated[str | None, typer.Option("--claim", help="One claim, C1 to C14.")] = None,
    export: Annotated[
        Path | None, typer.Option("--export", help="Write results and verdicts to this file.")
    ] = None,
    json_: Json = False,
) -> None:
    """Judge the published claims by stored results; exit code 1 if these contradict themselves."""
    from rich.console import Console

    from qmoe.claims import CLAIMS, disagreements, judged, with_verdicts
    from qmoe.claims.written import as_json, blocks, heading
    from qmoe.evidence import parts_of, united

    if claim is not None and claim not in {known.id for known in CLAIMS}:
        raise unknown("claim", claim, [known.id for known in CLAIMS])
    parts = parts_of(run)
    evidence = united(parts)
    found = judged(evidence, [known for known in CLAIMS if claim in (None, known.id)])
    if json_:
        typer.echo(json.dumps(as_json(evidence, found, parts), allow_nan=False))
    else:
        console = Console(highlight=False)
        console.print(heading(*parts), markup=False)
        for block in blocks(evidence, found):
            console.print(block)
    wrong = disagreements(*parts)
    if wrong:
        raise QmoeError(f"stored verdicts are not derived again: {'; '.join(wrong)}")
    if export is not None:
        with_verdicts(evidence.small()).write(export)


@data_app.command("list", epilog="Example: qmoe data list --json")
def data_list(json_: Json = False) -> None:
    """The named data sets, and which image sets are not on this machine yet."""
    from qmoe.data import catalogue
    from qmoe.images import IMAGE_SETS, find

    absent = {name for name, images in IMAGE_SETS.items() if find(images) is None}
    if json_:
        rows = [
            {
                "name": entry.name,
                "rows": entry.rows,
                "features": entry.features,
                "classes": entry.classes,
                "options": dict(entry.options),
                "description": entry.description,
                "present": entry.name not in absent,
            }
            for entry in catalogue()
        ]
        typer.echo(json.dumps(rows))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("name", "rows", "features", "classes", "options", "what it is")
    table.columns[0].no_wrap = True
    for entry in catalogue():
        hint = f" (not here yet: qmoe data fetch {entry.name})" if entry.name in absent else ""
        table.add_row(
            entry.name,
            str(entry.rows or "drawn"),
            str(entry.features),
            str(entry.classes),
            ", ".join(f"{key}={value}" for key, value in entry.options.items()),
            entry.description + hint,
        )
    Console().print(table)


@data_app.command("fetch", epilog="Example: qmoe data fetch mnist")
def data_fetch(
    name: Annotated[str, typer.Argument(help="The image set: mnist or fashion-mnist.")],
    url: Annotated[
        str | None, typer.Option("--url", help="A mirror's folder; default the publisher's.")
    ] = None,
    json_: Json = False,
) -> None:
    """Download an image set into the user's cache folder, checked."""
    from qmoe.fetch import fetch
    from qmoe.images import IMAGE_SETS, cache
    from qmoe.progress import choose

    if name not in IMAGE_SETS:
        raise unknown("image set", name, IMAGE_SETS)
    folder = cache() / name
    new = fetch(IMAGE_SETS[name], folder, url=url, progress=choose(wanted=not json_))
    if json_:
        typer.echo(json.dumps({"name": name, "folder": str(folder), "downloaded": list(new)}))
    else:
        typer.echo(f"{name} is in {folder} ({len(new)} files downloaded)")


def main() -> None:
    """The entry point."""
    enter(app, "qmoe", "qmoe --help")


if __name__ == "__main__":
    main()
