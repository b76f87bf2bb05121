"""Trained for a device: circuits whose angles were trained through what a target does to them.

The target compiles the circuit once, with its weights free; training runs through that native
circuit and its noise, readout error included, for all seeds in one program. The router then runs
as `compiled.bind_weights(angles)`, on exactly what it was trained on, and is never compiled again.
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy

from backends import load
from backends.base import Compiled
from hardware_runs.treated import Checkpoint, checkpoints
from qmoe.ansatz import paper
from qmoe.bench import bench_of
from qmoe.cell import Cell, CellResult
from qmoe.checkpoint import Checkpoint as Stored
from qmoe.errors import InputError
from qmoe.moe import MixtureOfExperts
from qmoe.predict import evaluate
from qmoe.provenance import Provenance
from qmoe.retrained import retrained
from qmoe.routed import RoutedCircuit
from qmoe.simulate.noisy import NoisyProgram
from qmoe.spec import ModelSpec
from qmoe.trial import Trial


def train_for(
    cell: Cell, result: CellResult, compiled: Compiled, positions: Iterable[int] | None = None
) -> tuple[Checkpoint, ...]:
    """The routers of a cell trained through a compiled circuit and its noise, one per seed.

    Each seed has the trial that was chosen for it, its data, its initial weights and its batches
    from the cell: only the outcomes of the circuit are others, in validation too.

    Args:
        cell: What was trained without the target.
        result: Its result.
        compiled: The circuit of its router as the target compiles it, weights free.
        positions: Which of its seeds, by position; None trains all.

    Raises:
        InputError: A router without a circuit, another circuit, or noise that is not known.
        ValueError: The result of another cell.
    """
    program = _program(compiled)
    groups = retrained(
        cell, result, through=lambda model: _through(model, program), positions=positions
    )
    return checkpoints(groups)


def checkpoint_for(cell: Cell, result: CellResult, target: str, provenance: Provenance) -> Stored:
    """The router of the first seed trained for a target, as it is stored.

    What is stored is the ideal router with the weights that came out: it predicts without the
    target, and without its noise. Metric `accuracy_test` (`accuracy_train` where nothing was held
    out) is what it reaches so, `accuracy_target` what it reaches through the noise.

    Raises:
        InputError: A router without a circuit, no such target, or one whose noise is not known.
    """
    spec = _spec(cell, Trial(**result.trials[result.chosen[0]].model_dump()))
    model = spec.build()
    compiled = load(target).compile(RoutedCircuit(model, model.init(0, 0)).circuit)
    ((routed, data),) = train_for(cell, result, compiled, (0,))
    part = "test" if result.held_out else "train"
    X, y = getattr(data, f"X_{part}"), getattr(data, f"y_{part}")
    there = _through(routed.model, _program(compiled))
    answers = {
        f"accuracy_{part}": evaluate(routed.model, routed.weights, X),
        "accuracy_target": evaluate(there, routed.weights, X),
    }
    return Stored(
        spec=spec,
        weights=routed.weights,
        scaler=data.scaler,
        classes=data.classes,
        seed=result.seeds[0],
        dataset=data.name,
        dataset_digest=data.digest,
        metrics={
            name: float((said.probabilities.argmax(1) == y).mean())
            for name, said in answers.items()
        },
        provenance=provenance,
        trained_for=compiled.spec,
    )


def check(target: str, router: str) -> None:
    """Refuses what cannot be trained for, before anything is trained.

    Raises:
        InputError: A router without a circuit, no such target, or one whose noise is not known.
    """
    if router != "quantum":
        raise InputError(
            got=f"router {router!r} to be trained for {target}",
            expected="a quantum router",
            do="leave out --for, or pass --router quantum",
        )
    _program(load(target).compile(paper(1, 1)))  # of any circuit: what matters is its noise


def _program(compiled: Compiled) -> NoisyProgram:
    """The compiled circuit as something to train through.

    Raises:
        InputError: Its noise is not known.
    """
    if compiled.noisy is None:
        raise InputError(
            got=f"{compiled.spec}, which does not say what its noise is",
            expected="a target with a calibration",
            do="choose another from `qmoe devices`",
        )
    native = compiled.native
    return NoisyProgram(
        compiled.noisy,
        native.measured,
        num_features=native.num_features,
        num_weights=native.num_weights,
        confusion=compiled.confusion,
    )


def _through(model: MixtureOfExperts, program: NoisyProgram) -> MixtureOfExperts:
    """The model with its circuit's outcomes from the program; it takes the same weights.

    Raises:
        InputError: A router without a circuit, or with another one.
    """
    router = RoutedCircuit(model, model.init(0, 0)).router
    other = copy(model)
    other.router = other.fused = router.through(program)
    return other


def _spec(cell: Cell, trial: Trial) -> ModelSpec:
    bench = bench_of(cell, trial.scaler)
    return cell.spec(bench.num_features, bench.num_classes, trial)
