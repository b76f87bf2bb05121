"""One data set in one protocol, ready for any model; training a model on it gives Records.

`controlled`: every seed draws or splits its own data, choices are made on validation, the test
part is scored once. `notebook`: the published protocol, one data set, no part held out, so its
accuracy is that on the training data and seeds differ in their initialisation alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from torch import Tensor

from qmoe import data
from qmoe.arrays import Floats
from qmoe.epochs import steps_in
from qmoe.metrics import accuracy, expert_load, routing_entropy
from qmoe.moe import MixtureOfExperts, Output
from qmoe.predict import evaluate
from qmoe.provenance import Provenance
from qmoe.record import CurvePoint, Population, Record
from qmoe.routing_map import RoutingMap
from qmoe.spec import ModelSpec
from qmoe.train import TrainConfig, Trained, examples, train

GRID = 80
SHOWN = 400  # points laid over a map


@dataclass(frozen=True, slots=True)
class Bench:
    """Data of all seeds with the protocol that says how to use them.

    `parts` has one entry per seed, or a single one that all seeds share.
    """

    source: data.DataSpec | data.Dataset
    protocol: str
    population: Population
    parts: tuple[data.Prepared, ...]
    seeds: tuple[int, ...]
    root: int
    scaler: str
    held_out: bool
    sizes: data.Sizes | None = None

    @classmethod
    def controlled(
        cls,
        source: data.DataSpec | data.Dataset,
        *,
        root: int,
        seeds: Sequence[int],
        scaler: str = "[0, pi]",
        pca: int | None = None,
        sizes: data.Sizes | None = None,
    ) -> Bench:
        """Own data per seed for synthetic sets, own stratified split for fixed ones."""
        parts = data.prepared_seeds(source, scaler, pca, root=root, seeds=seeds, sizes=sizes)
        fixed = parts[0].fixed if parts else source.fixed
        population: Population = "this data set, new split" if fixed else "new data + new init"
        return cls(
            source, "controlled", population, tuple(parts), tuple(seeds), root, scaler, True, sizes
        )

    @classmethod
    def notebook(cls, *, root: int, seeds: Sequence[int]) -> Bench:
        """The published moons, scaled on all rows, scored on the rows trained on."""
        part, source = data.prepared_notebook(), data.notebook_moons()
        return cls(source, "notebook", "init only", (part,), tuple(seeds), root, "[0, pi]", False)

    @property
    def num_features(self) -> int:
        """Columns after scaling and PCA."""
        return self.parts[0].X_train.shape[1]

    @property
    def num_classes(self) -> int:
        """Classes of the data set."""
        return len(self.parts[0].classes)

    def part(self, index: int) -> data.Prepared:
        """The data of the seed at `index` of `seeds`."""
        return self.parts[index if len(self.parts) > 1 else 0]

    def points(self, index: int) -> data.Dataset:
        """The points that a seed is scored on, in their own units."""
        if isinstance(self.source, data.Dataset) and not self.held_out:
            return self.source
        return data.splits(
            self.source, root=self.root, seed=self.seeds[index], sizes=self.sizes
        ).test


class Measured(NamedTuple):
    """A model trained for every seed of a bench."""

    spec: ModelSpec
    model: MixtureOfExperts
    trained: Trained
    records: tuple[Record, ...]


def measure(
    bench: Bench,
    spec: ModelSpec,
    config: TrainConfig,
    *,
    study: str,
    provenance: Provenance,
    progress: Callable[[int], None] | None = None,
) -> Measured:
    """Trains a model for all seeds of a bench and scores every part it has."""
    model = spec.build()
    stacked = data.stack(bench.parts)
    parts = {"train": examples(stacked.X_train, stacked.y_train, config)}
    if bench.held_out:
        parts["validation"] = examples(stacked.X_validation, stacked.y_validation, config)
        parts["test"] = examples(stacked.X_test, stacked.y_test, config)
    trained = train(
        model,
        parts["train"],
        parts.get("validation"),
        config,
        root=bench.root,
        seeds=bench.seeds,
        progress=progress,
    )
    scored = {
        name: _score(model.output(trained.weights, model.prepare(part.features)), part.labels)
        for name, part in parts.items()
    }
    records = tuple(
        _record(bench, spec, config, model, trained, scored, i, study, provenance)
        for i in range(len(bench.seeds))
    )
    return Measured(spec, model, trained, records)


class _Scored(NamedTuple):
    """Figures of one part, an entry per seed."""

    accuracy: Float[Floats, " seed"]
    loss: Float[Floats, " seed"]
    entropy: Float[Floats, " seed"]
    load: Float[Floats, "seed expert"]
    rows: int


def _score(output: Output, labels: Tensor) -> _Scored:
    labels = labels.expand(len(output.logits), -1)
    log_p = output.logits.log_softmax(1)
    loss = -log_p.gather(1, labels.unsqueeze(1)).mean((1, 2))
    gates = output.gate_weights.double().cpu().numpy()
    return _Scored(
        np.asarray(accuracy(output.logits.argmax(1).cpu().numpy(), labels.cpu().numpy())),
        loss.double().cpu().numpy(),
        np.asarray(routing_entropy(gates)),
        expert_load(gates),
        labels.shape[1],
    )


def _record(
    bench: Bench,
    spec: ModelSpec,
    config: TrainConfig,
    model: MixtureOfExperts,
    trained: Trained,
    scored: dict[str, _Scored],
    i: int,
    study: str,
    provenance: Provenance,
) -> Record:
    part = bench.part(i)
    last = scored["test" if bench.held_out else "train"]
    metrics = {"routing_entropy": float(last.entropy[i])}
    for name, figures in scored.items():
        metrics[f"accuracy_{name}"] = float(figures.accuracy[i])
        metrics[f"loss_{name}"] = float(figures.loss[i])
    steps = steps_in(scored["train"].rows, config.batch_size)
    metrics["epoch_kept"] = float(trained.best_epoch[i])
    metrics["steps"] = float(trained.stopped_epoch[i] * steps)
    metrics["features_clipped"] = float(sum(part.clipped))
    curve = trained.curve
    shown = curve.epochs <= trained.stopped_epoch[i]
    return Record(
        study=study,
        protocol=bench.protocol,
        dataset=part.name,
        dataset_digest=part.digest,
        population=bench.population,
        router=model.router.label,
        family=model.router.family,
        seed=bench.seeds[i],
        source="exact",
        router_parameters=model.router.counts.actual,
        router_parameters_paper=model.router.counts.paper,
        model_parameters=model.size,
        metrics=metrics,
        rows={name: figures.rows for name, figures in scored.items()},
        expert_load=tuple(float(v) for v in last.load[i]),
        curve=tuple(
            CurvePoint(
                int(epoch) * steps,
                float(curve.train_loss[k, i]),
                float(curve.validation_accuracy[k, i]) if bench.held_out else None,
            )
            for k, epoch in enumerate(curve.epochs)
            if shown[k]
        ),
        settings=_settings(bench, spec, config, model),
        warnings=model.router.warnings,
        provenance=provenance,
    )


def _settings(
    bench: Bench, spec: ModelSpec, config: TrainConfig, model: MixtureOfExperts
) -> dict[str, Any]:
    """What was chosen beforehand, flat: router options as `router_NAME`."""
    options = {f"router_{key}": _scalar(value) for key, value in spec.options.items()}
    training = asdict(config)
    training.pop("device")
    return {
        "experts": spec.num_experts,
        "gate": model.gate.kind,
        "top_k": spec.top_k,
        "load_balance": spec.load_balance,
        "scaler": bench.scaler,
        **training,
        **options,
    }


def _scalar(value: object) -> str | int | float | bool | None:
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return str(value)


def routing_map(bench: Bench, measured: Measured, index: int = 0) -> RoutingMap | None:
    """Decision and gate map of one seed over the plane; None unless the data have two features."""
    part = bench.part(index)
    if part.scaler.num_inputs != 2:
        return None
    points = bench.points(index)
    margin = 0.08 * np.ptp(points.X, axis=0)
    low, high = points.X.min(0) - margin, points.X.max(0) + margin
    xs, ys = (low[j] + (np.arange(GRID) + 0.5) / GRID * (high[j] - low[j]) for j in (0, 1))
    grid = np.stack(np.meshgrid(xs, ys), -1).reshape(-1, 2)
    weights = measured.trained.weights[index].double().cpu().numpy()
    answer = evaluate(measured.model, weights, part.scaler.transform(grid).X)
    return RoutingMap(
        extent=(float(low[0]), float(high[0]), float(low[1]), float(high[1])),
        probabilities=answer.probabilities.T.reshape(-1, GRID, GRID),
        gates=answer.gate_weights.T.reshape(-1, GRID, GRID),
        points=points.X[:SHOWN],
        labels=points.y[:SHOWN],
        protocol=bench.protocol,
        dataset=part.name,
        seed=bench.seeds[index],
    )
