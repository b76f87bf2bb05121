"""What is told of a trained cell: scores of the chosen trials, and where they come from."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from qmoe.arrays import Floats, Ints
from qmoe.bench import Bench, bench_of
from qmoe.cell import Cell, Chosen
from qmoe.epochs import Examples, steps_in
from qmoe.metrics import expert_load, routing_entropy
from qmoe.moe import MixtureOfExperts
from qmoe.train import Trained, examples
from qmoe.trial import Trial

WORST = 1e6  # a cross-entropy beyond is written as this


class Entry(NamedTuple):
    """One model to train: the position of its trial and of its seed."""

    trial: int
    seed: int


class Group(NamedTuple):
    """Models that trained together."""

    entries: tuple[Entry, ...]
    model: MixtureOfExperts
    trained: Trained
    correct: Int64[Ints, " entry"]
    loss: Float64[Floats, " entry"]


def score(
    model: MixtureOfExperts,
    weights: Float[Tensor, "entry weight"],
    part: Examples,
    settings: Sequence[Trial],
) -> tuple[Int64[Ints, " entry"], Float64[Floats, " entry"], Float64[Floats, "entry expert batch"]]:
    """Right answers, mean cross-entropy (nats) and gate weights of trained models on one part."""
    scales = part.features.new_tensor([trial.embedding_scale for trial in settings])
    prepared = model.prepare(part.features, part.features * scales[:, None, None])
    out = model.output(weights, prepared)
    log_p = out.logits.log_softmax(1)
    loss = -log_p.gather(1, part.labels.unsqueeze(1)).mean((1, 2))
    right = (out.logits.argmax(1) == part.labels).sum(1)
    gates = out.gate_weights.double().cpu().numpy()
    return right.cpu().numpy(), loss.double().nan_to_num(WORST).cpu().numpy(), gates


def stacked(
    cell: Cell, settings: Sequence[Trial], entries: Sequence[Entry], part: str, device: str
) -> Examples:
    """The features and labels of one part, an entry each (seed, feature, row)."""
    benches = [bench_of(cell, trial.scaler) for trial in settings]
    prepared = [bench.part(e.seed) for bench, e in zip(benches, entries, strict=True)]
    X = np.ascontiguousarray(np.stack([getattr(p, f"X_{part}").T for p in prepared]))
    y = np.stack([getattr(p, f"y_{part}") for p in prepared])
    return examples(X, y, replace(cell.config, device=device))


def score_chosen(
    cell: Cell,
    trials: Sequence[Trial],
    groups: Sequence[Group],
    chosen: Sequence[int],
    device: str,
) -> dict[str, Any]:
    """Everything that is told of the chosen trial of each seed, as fields of a CellResult."""
    told: dict[int, dict[str, Any]] = {}
    first: tuple[float, ...] = ()
    for group in groups:
        picked = [k for k, e in enumerate(group.entries) if chosen[e.seed] == e.trial]
        if not picked:
            continue
        told |= _score_picked(cell, trials, group, picked, device)
        for k in picked:
            if group.entries[k].seed == 0:
                first = tuple(group.trained.weights[k].double().cpu().tolist())
    points = max((g.trained.curve.epochs for g in groups), key=len).tolist()
    out = {name: tuple(told[i][name] for i in range(len(cell.seeds))) for name in told[0]}
    for name in _CURVES & set(out):
        rows = (_longer(row, len(points)) for row in out[name])
        out[name] = tuple(zip(*rows, strict=True))
    trained_on = len(bench_of(cell, trials[0].scaler).part(0).y_train)
    return {
        **out,
        "curve_epochs": tuple(points),
        "first_weights": first,
        "steps_per_epoch": steps_in(trained_on, cell.config.batch_size),
    }


_CURVES = {"curve_loss", "curve_validation_correct"}


def _score_picked(
    cell: Cell, trials: Sequence[Trial], group: Group, picked: Sequence[int], device: str
) -> dict[int, dict[str, Any]]:
    """The fields of some models of a group, by the position of their seed."""
    entries = [group.entries[k] for k in picked]
    settings = [trials[e.trial] for e in entries]
    weights, curve = group.trained.weights[picked], group.trained.curve
    held_out = bench_of(cell, settings[0].scaler).held_out
    figures = {}
    for part in ("train", "test") if held_out else ("train",):
        held = stacked(cell, settings, entries, part, device)
        figures[part] = score(group.model, weights, held, settings)
    right, nats, gates = figures["test" if held_out else "train"]
    entropy, load = np.asarray(routing_entropy(gates)), expert_load(gates)
    out = {}
    for j, (k, entry) in enumerate(zip(picked, entries, strict=True)):
        part_of_seed = bench_of(cell, trials[entry.trial].scaler).part(entry.seed)
        labels = part_of_seed.y_test if held_out else part_of_seed.y_train
        fields: dict[str, Any] = {
            "train_correct": int(figures["train"][0][j]),
            "majority": int(np.bincount(labels).max()),
            "features_clipped": int(sum(part_of_seed.clipped)),
            "epochs_kept": int(group.trained.best_epoch[k]),
            "epochs_run": int(group.trained.stopped_epoch[k]),
            "routing_entropy": round(float(entropy[j]), 9),
            "expert_load": tuple(round(float(v), 9) for v in load[j]),
            "curve_loss": [_finite(v) for v in curve.train_loss[:, k]],
        }
        if held_out:
            counts = np.rint(curve.validation_accuracy[:, k] * len(part_of_seed.y_validation))
            fields |= {
                "test_correct": int(right[j]),
                "loss_test": min(float(nats[j]), WORST),
                "curve_validation_correct": counts.astype(int).tolist(),
            }
        out[entry.seed] = fields
    return out


def _longer(row: list[Any], length: int) -> list[Any]:
    """A curve that stopped early stays at its last point."""
    return row + row[-1:] * (length - len(row))


def _finite(value: float) -> float | None:
    return round(float(value), 9) if math.isfinite(value) else None


def tables(
    correct: Int64[Ints, "trial seed"], loss: Float64[Floats, "trial seed"]
) -> tuple[tuple[tuple[int | None, ...], ...], tuple[tuple[float | None, ...], ...]]:
    """Counts and losses as tables with None where a trial was not trained for a seed."""
    return (
        tuple(tuple(int(v) if v >= 0 else None for v in row) for row in correct),
        tuple(tuple(float(v) if math.isfinite(v) else None for v in row) for row in loss),
    )


def identity(
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
