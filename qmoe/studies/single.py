"""One router on one data set: what `qmoe train` runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qmoe.bench import Bench, measure
from qmoe.data import DataSpec
from qmoe.spec import ModelSpec
from qmoe.studies.comparison import keep
from qmoe.suite import Context
from qmoe.train import TrainConfig


def single(
    context: Context,
    *,
    source: str,
    target: str | None,
    router: str,
    options: Mapping[str, Any],
    experts: int,
    gate: str,
    top_k: int | None,
    load_balance: float,
    scaler: str,
    pca: int | None,
    config: TrainConfig,
) -> None:
    """Trains the router in the controlled protocol and keeps records, map and checkpoint."""
    bench = Bench.controlled(
        DataSpec.parse(source, target),
        root=context.root,
        seeds=context.seeds,
        scaler=scaler,
        pca=pca,
    )
    spec = ModelSpec(
        router,
        bench.num_features,
        bench.num_classes,
        experts,
        options,
        gate,
        top_k,
        load_balance,
    )
    with context.task(router, config.epochs) as advance:
        measured = measure(
            bench,
            spec,
            config,
            study="train",
            provenance=context.provenance,
            progress=advance,
        )
    keep(context, bench, measured)
