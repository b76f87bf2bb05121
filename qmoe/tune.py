"""Training a cell: all trials and all seeds as batched programs, a choice on validation per seed.

The test part is scored once, for the chosen trial of each seed alone.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch

from qmoe.bench import bench_of
from qmoe.ceilings import svc_cell
from qmoe.cell import SVC, Cell, CellResult, choice
from qmoe.errors import InputError
from qmoe.moe import MixtureOfExperts
from qmoe.train import train
from qmoe.trial import Trial
from qmoe.tuned import WORST, Entry, Group, identity, score, score_chosen, stacked, tables

Changed = Callable[[MixtureOfExperts], MixtureOfExperts]
TOGETHER = 32  # models in one program: enough to share the overhead, few enough for the cache
MOST_NUMBERS = 2**26  # prepared rows held at once: half a gigabyte


def tune(
    cell: Cell,
    like: CellResult | None = None,
    *,
    device: str = "cpu",
    progress: Callable[[int], None] | None = None,
) -> CellResult:
    """Trains every trial of a cell for every seed and scores the chosen ones.

    Args:
        cell: The task.
        like: The result of `cell.like`.
        device: A torch device.
        progress: Called with the number of models done.

    Raises:
        InputError: A model that cannot be, or data that are not there.
    """
    started = time.perf_counter()
    trials, entries = entries_of(cell, like)
    if cell.protocol == "notebook" and len(trials) > 1:
        raise InputError(
            got=f"{len(trials)} trials in the notebook protocol",
            expected="one: it has no validation part to choose on",
            do="use protocol controlled",
        )
    if cell.router in SVC:
        return svc_cell(cell, progress)
    groups = list(train_all(cell, trials, entries, device, progress))
    shape = (len(trials), len(cell.seeds))
    correct, loss = np.full(shape, -1), np.full(shape, math.nan)
    for group in groups:
        for entry, right, nats in zip(group.entries, group.correct, group.loss, strict=True):
            correct[entry], loss[entry] = right, round(min(float(nats), WORST), 6)
    held_out = cell.protocol != "notebook"
    rights, losses = tables(correct, loss) if held_out else ((), ())
    chosen = tuple(
        choice(rights, losses, i) if held_out else next(e.trial for e in entries if e.seed == i)
        for i in range(len(cell.seeds))
    )
    scores = score_chosen(cell, trials, groups, chosen, device)
    first = bench_of(cell, trials[chosen[0]].scaler)
    benches = [bench_of(cell, trials[t].scaler) for t in chosen]
    model = groups[0].model
    router = model.router
    return CellResult(
        **identity(cell, first, benches, trials, searched=searched(cell)),
        router=cell.label or router.label,
        family=cell.family or router.family,
        router_parameters=router.counts.actual,
        router_parameters_paper=router.counts.paper,
        model_parameters=model.parameters,
        frozen_numbers=router.counts.frozen,
        multiply_adds=router.cost.multiply_adds + model.experts.multiply_adds,
        circuits=router.cost.circuits + model.experts.circuits,
        validation_correct=rights,
        validation_loss=losses,
        chosen=chosen,
        warnings=router.warnings,
        seconds=time.perf_counter() - started,
        **scores,
    )


def searched(cell: Cell) -> int:
    """How many trials were searched for each seed: none anew where another cell's are reused."""
    return 0 if cell.like is not None else len(cell.trials)


def entries_of(cell: Cell, like: CellResult | None) -> tuple[tuple[Trial, ...], tuple[Entry, ...]]:
    """The trials of a cell, and every model to train: a trial and a seed, by their positions.

    Raises:
        ValueError: The cell reuses the choice of another, whose result is not given.
    """
    seeds = range(len(cell.seeds))
    if cell.like is None:
        trials = cell.trials
        return trials, tuple(Entry(t, i) for t in range(len(trials)) for i in seeds)
    if like is None or like.key != cell.like.key:
        raise ValueError("got no result of the cell whose choice is reused; train that one first")
    trials = tuple(Trial(**trial.model_dump()) for trial in like.trials)
    return trials, tuple(Entry(like.chosen[i], i) for i in seeds)


def train_all(
    cell: Cell,
    trials: Sequence[Trial],
    entries: Sequence[Entry],
    device: str = "cpu",
    progress: Callable[[int], None] | None = None,
    changed: Changed | None = None,
) -> Iterator[Group]:
    """The entries of a cell in groups that train as one program: of one gate, as many as fit.

    changed: what is trained in place of the cell's model; it takes the same weights.
    """
    done = 0
    for gate in dict.fromkeys(trial.gate for trial in trials):
        alike = [entry for entry in entries if trials[entry.trial].gate == gate]
        size = _together(cell, trials[alike[0].trial]) if alike else 1
        for i in range(0, len(alike), size):
            group = alike[i : i + size]
            yield _train_group(cell, trials, group, device, changed)
            done += len(group)
            if progress is not None:
                progress(done)


def _together(cell: Cell, trial: Trial) -> int:
    """How many models of a cell train as one program: fewer where a router's rows are many."""
    bench = bench_of(cell, trial.scaler)
    model = cell.spec(bench.num_features, bench.num_classes, trial).build()
    rows = model.prepare(torch.zeros(1, bench.num_features, 1, dtype=torch.float64)).rows.shape[1]
    numbers = rows * len(bench.part(0).y_train)
    return max(1, min(TOGETHER, MOST_NUMBERS // numbers))


def _train_group(
    cell: Cell,
    trials: Sequence[Trial],
    entries: Sequence[Entry],
    device: str,
    changed: Changed | None,
) -> Group:
    config = replace(cell.config, device=device)
    settings = [trials[entry.trial] for entry in entries]
    first = bench_of(cell, settings[0].scaler)
    # the scales come with the trials, one per entry, and not with the model
    plain = replace(settings[0], init_scale=1.0, embedding_scale=1.0)
    model = cell.spec(first.num_features, first.num_classes, plain).build()
    if changed is not None:
        model = changed(model)
    seeds = [cell.seeds[entry.seed] for entry in entries]
    held_out = first.held_out
    parts = {
        name: stacked(cell, settings, entries, name, device)
        for name in (("train", "validation") if held_out else ("train",))
    }
    trained = train(
        model,
        parts["train"],
        parts.get("validation"),
        config,
        root=cell.root,
        seeds=seeds,
        trials=settings,
    )
    shown = parts.get("validation", parts["train"])
    correct, loss, _ = score(model, trained.weights, shown, settings)
    return Group(tuple(entries), model, trained, correct, loss)
