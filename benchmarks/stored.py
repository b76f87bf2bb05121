"""Stored weights: every router of suite `quick`, trained once on each small data set.

One JSON file per data set holds all that its figures need: the held-out rows in their own units,
and for each router and seed the model's description, the scaler, the weights (radians), and the
validation error. Reading trains nothing and draws nothing. `SHA256SUMS` beside them holds their
digests, as `sha256sum --check` reads them; a file that was altered or swapped is refused.

    python -m benchmarks.stored            # the error rates of what is stored
    python -m benchmarks.stored --write    # trains anew: every figure's history starts again

The project is imported where it is used: asv imports this module beside older commits too.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import fsum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from qmoe.cell import Cell
    from qmoe.errors import InputError
    from qmoe.moe import MixtureOfExperts

FORMAT: Final = 1
FOLDER = Path(__file__).with_name("weights")
SUMS = "SHA256SUMS"
MAX_BYTES = 2**17
SEEDS = (0, 1, 2)
EPOCHS = 200
SIZES = (1000, 500, 600)  # rows of train, validation, test; a fixed set has its own
TRIALS = 2  # enough for a choice; a verdict would need more
DIGITS = 6  # of a weight or a coordinate: a millionth of a radian


class Source(NamedTuple):
    """A data set as `DataSpec` reads it, every option named: the defaults may move."""

    data: str
    pca: int | None = None


DATA: Mapping[str, Source] = {
    "moons-0.1": Source("moons,noise=0.1"),
    "moons-0.2": Source("moons,noise=0.2"),
    "circles": Source("circles,noise=0.1"),
    "spirals": Source("spirals,arms=2,noise=0.05"),
    "wine": Source("wine", pca=2),
}
QUANTUM = "quantum L=2"
"""The router under test; every other one is a control."""
ROUTERS: Mapping[str, tuple[str, Mapping[str, int]]] = {
    QUANTUM: ("quantum", {"layers": 2}),
    "linear": ("linear", {}),
    "MLP h=4": ("mlp", {"hidden": 4}),
    "MLP h=16": ("mlp", {"hidden": 16}),
    "trig-product D=1": ("trig-product", {"degree": 1}),
    "product": ("product", {}),
    "dephased L=2": ("dephased", {"layers": 2}),
    "constant": ("constant", {}),
}
CONTROLS = tuple(name for name in ROUTERS if name != QUANTUM)


@dataclass(frozen=True, slots=True)
class Model:
    """One router of one seed.

    Attributes:
        spec, scaler: As `ModelSpec` and `Scaler` write them.
        weights: Router, experts, gate.
        validation_error: Of the trial that validation chose.
    """

    spec: Mapping[str, Any]
    scaler: Mapping[str, Any]
    weights: Sequence[float]
    validation_error: float

    def build(self, changes: Mapping[str, Any] | None = None) -> MixtureOfExperts:
        """The model, some of its router's options changed."""
        from qmoe.spec import ModelSpec

        options = {**self.spec["options"], **(changes or {})}
        return ModelSpec.from_dict({**self.spec, "options": options}).build()

    def scaled(self, X: Sequence[Sequence[float]]) -> NDArray[np.float64]:
        """Rows in their own units as the model takes them (radians)."""
        from qmoe.scaling import Scaler

        return Scaler.from_dict(self.scaler).transform(np.array(X, dtype=np.float64)).X

    def wrong(
        self,
        X: Sequence[Sequence[float]],
        y: Sequence[int],
        changes: Mapping[str, Any] | None = None,
    ) -> int:
        """How many rows, in their own units, the exact engine puts into another class."""
        from qmoe.predict import evaluate

        weights = np.array(self.weights, dtype=np.float64)
        answer = evaluate(self.build(changes), weights, self.scaled(X))
        return int((answer.probabilities.argmax(1) != np.array(y)).sum())


@dataclass(frozen=True, slots=True)
class Stored:
    """What is stored of one data set: held-out rows of each seed, and the models of each router."""

    name: str
    seeds: tuple[int, ...]
    X: Sequence[Sequence[Sequence[float]]]
    y: Sequence[Sequence[int]]
    routers: Mapping[str, tuple[Model, ...]]

    def errors(self, router: str, changes: Mapping[str, Any] | None = None) -> tuple[float, ...]:
        """The held-out error rate of each seed, some of the router's options changed."""
        return tuple(
            model.wrong(X, y, changes) / len(y)
            for model, X, y in zip(self.routers[router], self.X, self.y, strict=True)
        )

    def best_control(self) -> str:
        """The control with the lowest mean validation error; the first of equal ones."""

        def validated(router: str) -> float:
            return fsum(model.validation_error for model in self.routers[router])

        return min((name for name in self.routers if name != QUANTUM), key=validated)


def load(name: str, folder: Path = FOLDER) -> Stored:
    """What is stored of a data set of `DATA`.

    Raises:
        InputError: No such file, or one that is not as it was written.
    """
    path = folder / f"{name}.json"
    data = _read(path)
    if hashlib.sha256(data).hexdigest() != _sums(folder).get(path.name):
        raise _refused(f"{path} that is not as it was written", f"its digest in {SUMS}")
    tree = json.loads(data)
    if (tree.get("format"), tree.get("name")) != (FORMAT, name):
        found = f"format {tree.get('format')!r} of {tree.get('name')!r}"
        raise _refused(f"{path} with {found}", f"format {FORMAT} of {name!r}")
    return Stored(
        name,
        tuple(tree["seeds"]),
        tree["X"],
        tree["y"],
        {key: tuple(Model(**model) for model in row) for key, row in tree["routers"].items()},
    )


def _sums(folder: Path) -> dict[str, str]:
    """Digest by file name."""
    lines = _read(folder / SUMS).decode("ascii", errors="replace").splitlines()
    return {name: digest for digest, _, name in (line.partition("  ") for line in lines)}


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise _refused(f"{path} ({error.strerror or error})", "a file of stored weights") from error
    if len(data) > MAX_BYTES:
        raise _refused(f"a larger {path}", f"at most {MAX_BYTES} bytes")
    return data


def _refused(got: str, expected: str) -> InputError:
    from qmoe.errors import InputError

    return InputError(got=got, expected=expected, do="restore benchmarks/weights from git")


def write(folder: Path = FOLDER, data: Mapping[str, Source] = DATA, epochs: int = EPOCHS) -> None:
    """Trains every router on each data set and stores the result."""
    folder.mkdir(exist_ok=True)
    sums = []
    for name, source in data.items():
        text = json.dumps(trained(name, source, epochs), separators=(",", ":"), allow_nan=False)
        path = folder / f"{name}.json"
        path.write_text(text + "\n", "utf-8", newline="\n")
        sums.append(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n")
    (folder / SUMS).write_text("".join(sums), "ascii", newline="\n")


def trained(name: str, source: Source, epochs: int) -> dict[str, Any]:
    """JSON values of one data set, trained anew."""
    from qmoe.bench import bench_of
    from qmoe.trial import Trial

    cells = {router: cell(source, router, epochs) for router in ROUTERS}
    bench = bench_of(cells[QUANTUM], Trial().scaler)
    tests = [bench.points(i) for i in range(len(SEEDS))]
    return {
        "format": FORMAT,
        "name": name,
        "data": str(cells[QUANTUM].data),
        "seeds": SEEDS,
        "X": [test.X.round(DIGITS).tolist() for test in tests],
        "y": [test.y.tolist() for test in tests],
        "routers": {router: _models(each) for router, each in cells.items()},
    }


def cell(source: Source, router: str, epochs: int, trials: int = TRIALS) -> Cell:
    """The task of training one router on one data set."""
    from qmoe.cell import Cell
    from qmoe.data import DataSpec
    from qmoe.train import TrainConfig
    from qmoe.trial import search

    which, options = ROUTERS[router]
    data = DataSpec.parse(source.data)
    return Cell(
        data,
        which,
        options,
        trials=search(trials),
        seeds=SEEDS,
        config=TrainConfig(epochs=epochs),
        pca=source.pca,
        sizes=None if data.fixed else SIZES,
    )


def _models(each: Cell) -> list[dict[str, Any]]:
    """The chosen model of every seed, in the order of the seeds."""
    from qmoe.bench import bench_of
    from qmoe.retrained import retrained
    from qmoe.tune import tune

    result = tune(each)
    found: dict[int, dict[str, Any]] = {}
    for group in retrained(each, result):
        for at, trial, weights in zip(group.positions, group.settings, group.weights, strict=True):
            bench = bench_of(each, trial.scaler)
            found[at] = {
                "spec": each.spec(bench.num_features, bench.num_classes, trial).to_dict(),
                "scaler": bench.part(at).scaler.to_dict(),
                "weights": [round(number, DIGITS) for number in weights.tolist()],
                "validation_error": float(1 - result.validation_accuracy[at]),
            }
    return [found[at] for at in range(len(each.seeds))]


def main(arguments: Sequence[str] | None = None) -> None:
    """The error rates of what is stored, written anew first if asked."""
    import torch

    parser = argparse.ArgumentParser(prog="python -m benchmarks.stored", description=__doc__)
    parser.add_argument("--write", action="store_true", help="train and store everything anew")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    if given.write:
        write(given.folder)
    for name in DATA:
        found = load(name, given.folder)
        for router in ROUTERS:
            mark = "  best control by validation" if router == found.best_control() else ""
            print(f"{name:10} {router:17} {np.mean(found.errors(router)):.4f}{mark}")


if __name__ == "__main__":
    main()
