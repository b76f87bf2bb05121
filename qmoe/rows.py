"""The records of a trained cell, one per seed, and what a run shows of its first seed."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float64

from qmoe.arrays import Floats
from qmoe.bench import Bench, bench_of
from qmoe.cell import Cell, CellResult
from qmoe.checkpoint import Checkpoint
from qmoe.data import Prepared
from qmoe.errors import InputError
from qmoe.failures import Training, failures
from qmoe.moe import MixtureOfExperts
from qmoe.predict import evaluate
from qmoe.provenance import Provenance
from qmoe.record import CurvePoint, Record
from qmoe.routing_map import RoutingMap, centres
from qmoe.trial import Trial

GRID = 80
SHOWN = 400  # points laid over a map


def records(
    cell: Cell, result: CellResult, study: str, provenance: Provenance
) -> tuple[Record, ...]:
    """One record per seed, of the trial that validation chose for it."""
    return tuple(_record(cell, result, i, study, provenance) for i in range(len(result.seeds)))


def _record(cell: Cell, result: CellResult, i: int, study: str, provenance: Provenance) -> Record:
    rows = result.rows
    metrics = {
        "accuracy_train": result.train_correct[i] / rows["train"],
        "routing_entropy": result.routing_entropy[i],
        "epoch_kept": float(result.epochs_kept[i]),
        "steps": float(result.epochs_run[i] * result.steps_per_epoch),
        "features_clipped": float(result.features_clipped[i]),
        "frozen_numbers": float(result.frozen_numbers),
        "multiply_adds": float(result.multiply_adds),
        "circuits": float(result.circuits),
    }
    if result.held_out:
        metrics["accuracy_test"] = result.test_correct[i] / rows["test"]
        if result.loss_test:
            metrics["loss_test"] = result.loss_test[i]
    if result.validation_correct:
        metrics["accuracy_validation"] = float(result.validation_accuracy[i])
    return Record(
        study=study,
        protocol=result.protocol,
        dataset=result.dataset,
        dataset_digest=result.digests[i] if result.digests else result.dataset_digest,
        population=result.population,
        router=result.router,
        family=result.family,
        seed=result.seeds[i],
        source="exact",
        router_parameters=result.router_parameters,
        router_parameters_paper=result.router_parameters_paper,
        model_parameters=result.model_parameters,
        metrics=metrics,
        rows=dict(rows),
        expert_load=result.expert_load[i],
        curve=_curve(result, i),
        settings=_settings(cell, result, i),
        warnings=(*result.warnings, *_signs(result, i)),
        provenance=provenance,
    )


def _signs(result: CellResult, i: int) -> tuple[str, ...]:
    """Signs that the training failed; none for what has no learning curve."""
    if not (result.curve_loss and result.majority):
        return ()
    rows = result.rows["test" if result.held_out else "train"]
    return failures(Training.of(result, i, result.majority[i] / rows))


def _curve(result: CellResult, i: int) -> tuple[CurvePoint, ...]:
    points = []
    validated = result.curve_validation_correct
    for k, epoch in enumerate(result.curve_epochs):
        loss = result.curve_loss[k][i] if result.curve_loss else None
        if epoch > result.epochs_run[i] or loss is None:
            break
        right = validated[k][i] / result.rows["validation"] if validated else None
        points.append(CurvePoint(epoch * result.steps_per_epoch, loss, right))
    return tuple(points)


def _settings(cell: Cell, result: CellResult, i: int) -> dict[str, Any]:
    """What was chosen beforehand or on validation, flat: router options as `router_NAME`."""
    trial = result.trials[result.chosen[i]].model_dump()
    gate = trial.pop("gate")
    config = cell.config
    return {
        "experts": cell.experts,
        "gate": cell.gate if gate == "auto" else gate,
        "top_k": cell.top_k,
        "load_balance": cell.load_balance,
        "pca": cell.pca,
        "epochs": config.epochs,
        "batch_size": config.batch_size,
        "patience": config.patience,
        "evaluate_every": config.evaluate_every,
        "layerwise": config.layerwise,
        "dtype": config.dtype,
        "engine": config.engine,
        "trials": result.searched,
        "trial": result.chosen[i],
        **trial,
        **{f"router_{key}": _scalar(value) for key, value in cell.options.items()},
    }


def _scalar(value: object) -> str | int | float | bool | None:
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return str(value)


def checkpoint(cell: Cell, result: CellResult, provenance: Provenance) -> Checkpoint | None:
    """The model of the first seed; None for what is no Mixture of Experts.

    The first seed, not the best one: a checkpoint stands for its population.
    """
    if not result.first_weights:
        return None
    bench, trial = _first(cell, result)
    part = bench.part(0)
    return Checkpoint(
        spec=cell.spec(bench.num_features, bench.num_classes, trial),
        weights=np.asarray(result.first_weights),
        scaler=part.scaler,
        classes=part.classes,
        seed=result.seeds[0],
        dataset=part.name,
        dataset_digest=part.digest,
        metrics=records(cell, result, "checkpoint", provenance)[0].metrics,
        provenance=provenance,
    )


def routing_map(cell: Cell, result: CellResult) -> RoutingMap | None:
    """Decision and gate map of the first seed; None unless the data have two features."""
    bench, _ = _first(cell, result)
    part = bench.part(0)
    if part.scaler.num_inputs != 2 or not result.first_weights:
        return None
    points = bench.points(0)
    margin = 0.08 * np.ptp(points.X, axis=0)
    low, high = points.X.min(0) - margin, points.X.max(0) + margin
    extent = (float(low[0]), float(high[0]), float(low[1]), float(high[1]))
    model, weights, _ = first_model(cell, result)
    answer = evaluate(model, weights, part.scaler.transform(centres(extent, GRID, GRID)).X)
    return RoutingMap(
        extent=extent,
        probabilities=answer.probabilities.T.reshape(-1, GRID, GRID),
        gates=answer.gate_weights.T.reshape(-1, GRID, GRID),
        points=points.X[:SHOWN],
        labels=points.y[:SHOWN],
        protocol=result.protocol,
        dataset=part.name,
        seed=result.seeds[0],
    )


def first_model(
    cell: Cell, result: CellResult
) -> tuple[MixtureOfExperts, Float64[Floats, " weight"], Prepared]:
    """Model, weights and data of the first seed.

    Raises:
        InputError: A cell that is no Mixture of Experts.
    """
    if not result.first_weights:
        raise InputError(
            got=f"{result.router} without stored weights",
            expected="a trained Mixture of Experts",
            do="train it again",
        )
    bench, trial = _first(cell, result)
    model = cell.spec(bench.num_features, bench.num_classes, trial).build()
    return model, np.asarray(result.first_weights), bench.part(0)


def _first(cell: Cell, result: CellResult) -> tuple[Bench, Trial]:
    trial = Trial(**result.trials[result.chosen[0]].model_dump())
    return bench_of(cell, trial.scaler), trial
