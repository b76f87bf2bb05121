"""Training families of routers on one bench, and what a run keeps of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from qmoe.bench import Bench, Measured, measure, routing_map
from qmoe.checkpoint import Checkpoint, save
from qmoe.progress import Advance
from qmoe.spec import ModelSpec
from qmoe.suite import Context
from qmoe.train import TrainConfig

Family = tuple[str, Mapping[str, Any]]
"""A router's name and its options."""


def compare(
    context: Context,
    bench: Bench,
    families: Sequence[Family],
    config: TrainConfig,
    *,
    num_experts: int,
    title: str,
    study: str = "ablation",
) -> None:
    """Trains each family on a bench; adds records, one map and one checkpoint (the first seed)."""
    specs = [
        ModelSpec(name, bench.num_features, bench.num_classes, num_experts, dict(options))
        for name, options in families
    ]
    config = replace(config, device=context.device)
    with context.task(title, len(specs) * config.epochs) as advance:
        for i, spec in enumerate(specs):
            measured = measure(
                bench,
                spec,
                config,
                study=study,
                provenance=context.provenance,
                progress=partial(_after, advance, i * config.epochs),
            )
            keep(context, bench, measured)


def _after(advance: Advance, done: int, epoch: int) -> None:
    advance(done + epoch)


def keep(context: Context, bench: Bench, measured: Measured) -> None:
    """The records of a measured model, its map and the checkpoint of its first seed.

    The first seed, not the best one: a checkpoint stands for its population.
    """
    for record in measured.records:
        context.writer.add(record)
    label = measured.model.router.label
    shown = routing_map(bench, measured)
    if shown is not None:
        context.writer.add_map(label, shown)
    part, record = bench.part(0), measured.records[0]
    slug = "".join(c if c.isalnum() else "-" for c in f"{bench.protocol}-{part.name}-{label}")
    checkpoint = Checkpoint(
        spec=measured.spec,
        weights=measured.trained.weights[0].double().cpu().numpy(),
        scaler=part.scaler,
        classes=part.classes,
        seed=bench.seeds[0],
        dataset=part.name,
        dataset_digest=part.digest,
        metrics=record.metrics,
        provenance=context.provenance,
    )
    save(context.writer.path(f"checkpoints/{slug}"), checkpoint)
