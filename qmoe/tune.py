"""Training a cell: all trials and all seeds as batched programs, a choice on validation per seed.

The test part is scored once, for the chosen trial of each seed alone.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from qmoe import data
from qmoe.arrays import Floats, Ints
from qmoe.bench import Bench
from qmoe.catalogue import DataSpec
from qmoe.cell import SVC, Cell, CellResult, Chosen, choice
from qmoe.data import Prepared
from qmoe.epochs import Examples, steps_in
from qmoe.errors import InputError
from qmoe.metrics import expert_load, routing_entropy
from qmoe.moe import MixtureOfExperts
from qmoe.train import Trained, examples, train
from qmoe.trial import Trial

TOGETHER = 32  # models in one program: enough to share the overhead, few enough for the cache
MOST_NUMBERS = 2**26  # prepared rows held at once: half a gigabyte
_WORST = 1e6  # a cross-entropy beyond is written as this


class Entry(NamedTuple):
    """One model to train: the position of its trial and of its seed."""

    trial: int
    seed: int


class _Group(NamedTuple):
    """Models that trained together."""

    entries: tuple[Entry, ...]
    model: MixtureOfExperts
    trained: Trained
    correct: Int64[Ints, " entry"]
    loss: Float64[Floats, " entry"]


def bench_of(cell: Cell, scaler: str) -> Bench:
    """The data of a cell under one scaler, prepared once per process."""
    sizes = None if cell.sizes is None else tuple(cell.sizes)
    return _bench(cell.data, cell.protocol, cell.root, cell.seeds, cell.pca, sizes, scaler)


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
    trials, entries = _entries(cell, like)
    if cell.protocol == "notebook" and len(trials) > 1:
        raise InputError(
            got=f"{len(trials)} trials in the notebook protocol",
            expected="one: it has no validation part to choose on",
            do="use protocol controlled",
        )
    if cell.router in SVC:
        if cell.protocol == "notebook" or cell.like is not None:
            raise InputError(
                got=f"{cell.router} in the notebook protocol or with another cell's choice",
                expected="its own trials on a validation part",
                do="use a cell of protocol controlled",
            )
        return _tune_svc(cell, trials, started, progress)
    groups = list(_train_all(cell, trials, entries, device, progress))
    shape = (len(trials), len(cell.seeds))
    correct, loss = np.full(shape, -1), np.full(shape, math.nan)
    for group in groups:
        for entry, right, nats in zip(group.entries, group.correct, group.loss, strict=True):
            correct[entry], loss[entry] = right, round(min(float(nats), _WORST), 6)
    held_out = cell.protocol != "notebook"
    tables = _tables(correct, loss) if held_out else ((), ())
    chosen = tuple(
        choice(*tables, i) if held_out else next(e.trial for e in entries if e.seed == i)
        for i in range(len(cell.seeds))
    )
    scores = _score_chosen(cell, trials, groups, chosen, device)
    first = bench_of(cell, trials[chosen[0]].scaler)
    benches = [bench_of(cell, trials[t].scaler) for t in chosen]
    model = groups[0].model
    router = model.router
    return CellResult(
        **_identity(cell, first, benches, trials, searched=searched(cell)),
        router=cell.label or router.label,
        family=cell.family or router.family,
        router_parameters=router.counts.actual,
        router_parameters_paper=router.counts.paper,
        model_parameters=model.parameters,
        frozen_numbers=router.counts.frozen,
        multiply_adds=router.cost.multiply_adds + model.experts.multiply_adds,
        circuits=router.cost.circuits,
        validation_correct=tables[0],
        validation_loss=tables[1],
        chosen=chosen,
        warnings=router.warnings,
        seconds=time.perf_counter() - started,
        **scores,
    )


def searched(cell: Cell) -> int:
    """How many trials were searched for each seed: none anew where another cell's are reused."""
    return 0 if cell.like is not None else len(cell.trials)


def _entries(cell: Cell, like: CellResult | None) -> tuple[tuple[Trial, ...], tuple[Entry, ...]]:
    seeds = range(len(cell.seeds))
    if cell.like is None:
        trials = cell.trials
        return trials, tuple(Entry(t, i) for t in range(len(trials)) for i in seeds)
    if like is None or like.key != cell.like.key:
        raise ValueError("got no result of the cell whose choice is reused; train that one first")
    trials = tuple(Trial(**trial.model_dump()) for trial in like.trials)
    return trials, tuple(Entry(like.chosen[i], i) for i in seeds)


def _train_all(
    cell: Cell,
    trials: Sequence[Trial],
    entries: Sequence[Entry],
    device: str,
    progress: Callable[[int], None] | None,
) -> Iterable[_Group]:
    done = 0
    for gate in dict.fromkeys(trial.gate for trial in trials):
        alike = [entry for entry in entries if trials[entry.trial].gate == gate]
        size = _together(cell, trials[alike[0].trial]) if alike else 1
        for i in range(0, len(alike), size):
            group = alike[i : i + size]
            yield _train_group(cell, trials, group, device)
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
    cell: Cell, trials: Sequence[Trial], entries: Sequence[Entry], device: str
) -> _Group:
    config = replace(cell.config, device=device)
    settings = [trials[entry.trial] for entry in entries]
    first = bench_of(cell, settings[0].scaler)
    # the scales come with the trials, one per entry, and not with the model
    plain = replace(settings[0], init_scale=1.0, embedding_scale=1.0)
    model = cell.spec(first.num_features, first.num_classes, plain).build()
    seeds = [cell.seeds[entry.seed] for entry in entries]
    held_out = first.held_out
    parts = {
        name: _stacked(cell, settings, entries, name, device)
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
    correct, loss, _ = _score(model, trained.weights, shown, settings)
    return _Group(tuple(entries), model, trained, correct, loss)


def _stacked(
    cell: Cell, settings: Sequence[Trial], entries: Sequence[Entry], part: str, device: str
) -> Examples:
    """The features and labels of one part, an entry each (seed, feature, row)."""
    benches = [bench_of(cell, trial.scaler) for trial in settings]
    prepared = [bench.part(e.seed) for bench, e in zip(benches, entries, strict=True)]
    X = np.ascontiguousarray(np.stack([getattr(p, f"X_{part}").T for p in prepared]))
    y = np.stack([getattr(p, f"y_{part}") for p in prepared])
    return examples(X, y, replace(cell.config, device=device))


def _score(
    model: MixtureOfExperts,
    weights: Float[Tensor, "entry weight"],
    part: Examples,
    settings: Sequence[Trial],
) -> tuple[Int64[Ints, " entry"], Float64[Floats, " entry"], Float64[Floats, "entry expert batch"]]:
    scales = part.features.new_tensor([trial.embedding_scale for trial in settings])
    prepared = model.prepare(part.features, part.features * scales[:, None, None])
    out = model.output(weights, prepared)
    log_p = out.logits.log_softmax(1)
    loss = -log_p.gather(1, part.labels.unsqueeze(1)).mean((1, 2))
    right = (out.logits.argmax(1) == part.labels).sum(1)
    gates = out.gate_weights.double().cpu().numpy()
    return right.cpu().numpy(), loss.double().nan_to_num(_WORST).cpu().numpy(), gates


def _score_chosen(
    cell: Cell,
    trials: Sequence[Trial],
    groups: Sequence[_Group],
    chosen: Sequence[int],
    device: str,
) -> dict[str, Any]:
    """Everything that is told of the chosen trial of each seed, as fields of a CellResult."""
    n = len(cell.seeds)
    held_out = bench_of(cell, trials[chosen[0]].scaler).held_out
    out: dict[str, Any] = {name: [None] * n for name in _OF_THE_CHOSEN}
    first: tuple[float, ...] = ()
    for group in groups:
        picked = [k for k, e in enumerate(group.entries) if chosen[e.seed] == e.trial]
        if not picked:
            continue
        entries = [group.entries[k] for k in picked]
        settings = [trials[e.trial] for e in entries]
        weights, trained = group.trained.weights[picked], group.trained
        figures = {}
        for part in ("train", "test") if held_out else ("train",):
            stacked = _stacked(cell, settings, entries, part, device)
            figures[part] = _score(group.model, weights, stacked, settings)
        right, nats, gates = figures["test" if held_out else "train"]
        entropy, load = np.asarray(routing_entropy(gates)), expert_load(gates)
        curve = trained.curve
        for j, (k, entry) in enumerate(zip(picked, entries, strict=True)):
            i = entry.seed
            bench = bench_of(cell, trials[entry.trial].scaler)
            out["train_correct"][i] = int(figures["train"][0][j])
            if held_out:
                out["test_correct"][i] = int(right[j])
                out["loss_test"][i] = min(float(nats[j]), _WORST)
            scored = bench.part(i).y_test if held_out else bench.part(i).y_train
            out["majority"][i] = int(np.bincount(scored).max())
            out["features_clipped"][i] = int(sum(bench.part(i).clipped))
            out["epochs_kept"][i] = int(trained.best_epoch[k])
            out["epochs_run"][i] = int(trained.stopped_epoch[k])
            out["routing_entropy"][i] = round(float(entropy[j]), 9)
            out["expert_load"][i] = tuple(round(float(v), 9) for v in load[j])
            out["curve_loss"][i] = [_finite(v) for v in curve.train_loss[:, k]]
            if held_out:
                rows = len(bench.part(i).y_validation)
                counts = np.rint(curve.validation_accuracy[:, k] * rows)
                out["curve_validation_correct"][i] = counts.astype(int).tolist()
            if i == 0:
                first = tuple(group.trained.weights[k].double().cpu().tolist())
    points = max((g.trained.curve.epochs for g in groups), key=len).tolist()
    curves = {
        name: tuple(zip(*(_longer(row, len(points)) for row in out.pop(name)), strict=True))
        for name in ("curve_loss", "curve_validation_correct")
        if held_out or name == "curve_loss"
    }
    absent = () if held_out else ("test_correct", "loss_test", "curve_validation_correct")
    return {
        **{name: tuple(v) for name, v in out.items() if name not in absent},
        **curves,
        "curve_epochs": tuple(points),
        "first_weights": first,
        "steps_per_epoch": steps_in(
            len(bench_of(cell, trials[0].scaler).part(0).y_train), cell.config.batch_size
        ),
    }


_OF_THE_CHOSEN = (
    *("train_correct", "test_correct", "loss_test", "majority", "features_clipped"),
    *(
        "epochs_kept",
        "epochs_run",
        "routing_entropy",
        "expert_load",
        "curve_loss",
        "curve_validation_correct",
    ),
)


def _longer(row: list[Any], length: int) -> list[Any]:
    """A curve that stopped early stays at its last point."""
    return row + row[-1:] * (length - len(row))


def _finite(value: float) -> float | None:
    return round(float(value), 9) if math.isfinite(value) else None


def _tables(
    correct: Int64[Ints, "trial seed"], loss: Float64[Floats, "trial seed"]
) -> tuple[tuple[tuple[int | None, ...], ...], tuple[tuple[float | None, ...], ...]]:
    return (
        tuple(tuple(int(v) if v >= 0 else None for v in row) for row in correct),
        tuple(tuple(float(v) if math.isfinite(v) else None for v in row) for row in loss),
    )


def _identity(
    cell: Cell,
    first: Bench,
    benches: Sequence[Bench],
    trials: Sequence[Trial],
    *,
    searched: int,
) -> dict[str, Any]:
    """Fields of a CellResult that say what was trained on what."""
    part = first.part(0)
    digests = tuple(bench.part(i).digest for i, bench in enumerate(benches))
    rows = {"train": len(part.y_train)}
    if first.held_out:
        rows |= {"validation": len(part.y_validation), "test": len(part.y_test)}
    return {
        "key": cell.key,
        "cell": cell.to_dict(),
        "protocol": cell.protocol,
        "dataset": part.name,
        "dataset_digest": hashlib.sha256("".join(digests).encode()).hexdigest(),
        "digests": digests,
        "population": first.population,
        "experts": cell.experts,
        "rows": rows,
        "classes": first.num_classes,
        "seeds": cell.seeds,
        "trials": tuple(Chosen(**trial.to_dict()) for trial in trials),
        "searched": searched,
    }


def _tune_svc(
    cell: Cell,
    trials: Sequence[Trial],
    started: float,
    progress: Callable[[int], None] | None,
) -> CellResult:
    from qmoe.ceilings import multiply_adds, tune_svc

    benches = {scaler: bench_of(cell, scaler) for scaler in {t.scaler for t in trials}}
    parts: dict[str, Sequence[Prepared]] = {name: b.parts for name, b in benches.items()}
    kernel = cell.router.removeprefix("svc-")
    tuned = tune_svc(parts, trials, kernel, progress)
    chosen = tuple(int(t) for t in tuned.chosen)
    first = benches[trials[chosen[0]].scaler]
    used = [benches[trials[t].scaler] for t in chosen]
    vectors = int(np.median(tuned.support_vectors))
    correct = tuple(tuple(int(v) for v in row) for row in tuned.validation_correct)
    return CellResult(
        **_identity(cell, first, used, trials, searched=len(trials)),
        router=cell.label or f"SVC {kernel} kernel",
        family=cell.family or "ceiling",
        router_parameters=0,
        router_parameters_paper=0,
        model_parameters=vectors,
        frozen_numbers=0,
        multiply_adds=multiply_adds(vectors, first.num_features, first.num_classes),
        circuits=0,
        validation_correct=correct,
        # a support vector classifier has no cross-entropy: ties go to the earlier trial
        validation_loss=tuple(tuple(0.0 for _ in row) for row in correct),
        chosen=chosen,
        train_correct=tuple(int(v) for v in tuned.train_correct),
        test_correct=tuple(int(v) for v in tuned.test_correct),
        features_clipped=tuple(int(sum(b.part(i).clipped)) for i, b in enumerate(used)),
        epochs_kept=(0,) * len(cell.seeds),
        epochs_run=(0,) * len(cell.seeds),
        steps_per_epoch=0,
        routing_entropy=(0.0,) * len(cell.seeds),
        expert_load=((1.0,),) * len(cell.seeds),
        seconds=time.perf_counter() - started,
    )


@lru_cache(maxsize=12)
def _bench(
    source: DataSpec,
    protocol: str,
    root: int,
    seeds: tuple[int, ...],
    pca: int | None,
    sizes: tuple[int, int, int] | None,
    scaler: str,
) -> Bench:
    if protocol == "notebook":
        return Bench.notebook(root=root, seeds=seeds, scaler=scaler)
    same = None
    if pca is not None and scaler != _FIRST:
        same = _bench(source, protocol, root, seeds, pca, sizes, _FIRST)
    return Bench.controlled(
        source,
        root=root,
        seeds=seeds,
        scaler=scaler,
        pca=pca,
        sizes=None if sizes is None else data.Sizes(*sizes),
        like=same,
    )


_FIRST = "[0, pi]"  # the scaler whose PCA the others borrow
