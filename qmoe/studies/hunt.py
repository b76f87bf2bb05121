"""Study `hunt`: which training of a linear router has the published accuracy of .65?

A grid over what the paper leaves open: experts (one of them is no routing at all), epochs,
learning rate, scaling, bias, a soft or a hard gate, and whether accuracy is that on the training
data, as published, or on a held-out part.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float64
from torch import Tensor

from qmoe.arrays import Floats
from qmoe.bench import Bench
from qmoe.data import stack
from qmoe.epochs import Orders, PlainEpochs
from qmoe.figure import Figure, Measurement
from qmoe.metrics import ACCURACY_RANGE, mean_score
from qmoe.moe import MixtureOfExperts
from qmoe.plan import Plan
from qmoe.scaling import RANGES
from qmoe.spec import ModelSpec
from qmoe.studies.ablation import notebook
from qmoe.studies.families import MOONS
from qmoe.studies.figures import Labels, plain, scored
from qmoe.suite import Setup
from qmoe.train import TrainConfig, examples

PUBLISHED: Final = 0.65
LOW: Final = 0.70
INITIALISATIONS = 5
EXPERTS = (1, 2, 4)
EPOCHS = (1, 2, 5, 10, 30, 100)
RATES = (0.001, 0.01, 0.05, 0.1)
PROTOCOLS = ("notebook", "controlled")
BATCH = 32  # as published


class Setting(NamedTuple):
    """One cell of the grid; the accuracy of `controlled` is on a held-out part."""

    protocol: str
    experts: int
    gate: str
    bias: bool
    scaler: str
    learning_rate: float
    epochs: int


class _Kind(NamedTuple):
    """What the models of one program have in common."""

    protocol: str
    experts: int
    gate: str
    bias: bool


Grid = Mapping[Setting, Float64[Floats, " seed"]]

AS_PUBLISHED: Final = Setting("notebook", 2, "soft", True, "[0, pi]", 0.05, 30)
AMONG: Final[Mapping[str, Callable[[Setting], bool]]] = {
    "all": lambda _: True,
    "notebook": lambda s: s.protocol == "notebook",
    "controlled": lambda s: s.protocol == "controlled",
    "30 epochs or more": lambda s: s.epochs >= 30,
    "30 epochs or more, soft gate, bias": lambda s: s.epochs >= 30 and s.gate == "soft" and s.bias,
}
"""The parts of the grid that are told of, from anything at all to what a paper would do."""


def hunt(setup: Setup) -> Plan:
    """The grid, beside the linear router and the constant gate as they were published."""
    made = tuple(c for c in notebook(setup).cells if c.router in ("linear", "constant"))
    grid = Measurement("qmoe.studies.hunt:closest", {"root": setup.root})
    return Plan("hunt", made, (grid,))


def closest(
    *,
    experts: Sequence[int] = EXPERTS,
    epochs: Sequence[int] = EPOCHS,
    rates: Sequence[float] = RATES,
    scalers: Sequence[str] = tuple(RANGES),
    protocols: Sequence[str] = PROTOCOLS,
    seeds: int = INITIALISATIONS,
    root: int = 0,
) -> tuple[Figure, ...]:
    """The cells whose mean accuracy is next to the published one, and how many come that low.

    Found by looking at the whole grid, so the interval of a closest cell, that of its mean over
    initialisations, does not cover the choice.
    """
    grid = trained(
        experts=experts,
        epochs=epochs,
        rates=rates,
        scalers=scalers,
        protocols=protocols,
        seeds=range(seeds),
        root=root,
    )
    return tuple(_told(grid))


def _told(grid: Grid) -> Iterator[Figure]:
    for among, belongs in AMONG.items():
        part = {setting: found for setting, found in grid.items() if belongs(setting)}
        if not part:
            continue
        mean = {setting: float(found.mean()) for setting, found in part.items()}
        near = min(part, key=lambda setting: abs(mean[setting] - PUBLISHED))
        yield _cell(f"accuracy closest to {PUBLISHED}", {"among": among}, near, part)
        yield _cell("lowest accuracy", {"among": among}, min(part, key=mean.__getitem__), part)
        labels: Labels = {"among": among, "cells": len(part)}
        below = sum(value < LOW for value in mean.values())
        yield plain(f"share of cells below {LOW:.2f}", labels, below / len(part))
        single = np.concatenate(list(part.values()))
        yield plain(f"share of single models below {LOW:.2f}", labels, (single < LOW).mean())
    if AS_PUBLISHED in grid:
        yield _cell("accuracy as published", {}, AS_PUBLISHED, grid)


def _cell(name: str, labels: Mapping[str, str], setting: Setting, grid: Grid) -> Figure:
    score = mean_score(grid[setting], limits=ACCURACY_RANGE)
    note = f"mean of {len(grid[setting])} initialisations"
    return scored(name, {**labels, **setting._asdict()}, score, note=note)


def trained(
    *,
    experts: Sequence[int],
    epochs: Sequence[int],
    rates: Sequence[float],
    scalers: Sequence[str],
    protocols: Sequence[str],
    seeds: Sequence[int],
    root: int,
) -> Grid:
    """The accuracy of every cell and seed; cells that differ in epochs are one training."""
    benches = {
        (protocol, scaler): _bench(protocol, scaler, root, seeds)
        for protocol in protocols
        for scaler in scalers
    }
    entries = tuple(itertools.product(scalers, rates))
    found: dict[Setting, Float64[Floats, " seed"]] = {}
    for kind in _kinds(protocols, experts):
        chosen = {scaler: benches[kind.protocol, scaler] for scaler in scalers}
        for epoch, right in _train(kind, entries, chosen, tuple(epochs), tuple(seeds), root):
            for (scaler, rate), row in zip(entries, right, strict=True):
                found[Setting(*kind, scaler, rate, epoch)] = row
    return found


def _kinds(protocols: Sequence[str], experts: Sequence[int]) -> Iterator[_Kind]:
    for protocol, size, gate, bias in itertools.product(
        protocols, experts, ("soft", "hard"), (True, False)
    ):
        if size > 1 or gate == "soft":  # one expert has nothing to choose
            yield _Kind(protocol, size, gate, bias)


def _bench(protocol: str, scaler: str, root: int, seeds: Sequence[int]) -> Bench:
    if protocol == "notebook":
        return Bench.notebook(root=root, seeds=seeds, scaler=scaler)
    return Bench.controlled(MOONS[0], root=root, seeds=seeds, scaler=scaler)


def _train(
    kind: _Kind,
    entries: Sequence[tuple[str, float]],
    benches: Mapping[str, Bench],
    epochs: Sequence[int],
    seeds: Sequence[int],
    root: int,
) -> Iterator[tuple[int, Float64[Floats, "entry seed"]]]:
    """Accuracies after each of the epochs; one program for all scalers, rates and seeds."""
    top = 1 if kind.gate == "hard" else None
    model = ModelSpec("linear", 2, 2, kind.experts, top_k=top).build()
    every = [(scaler, rate, i) for scaler, rate in entries for i in range(len(seeds))]
    held = stack([benches[scaler].part(i) for scaler, _, i in every])
    rows = examples(held.X_train, held.y_train, TrainConfig())
    scored_on = rows
    if kind.protocol == "controlled":
        scored_on = examples(held.X_test, held.y_test, TrainConfig())
    weights = torch.from_numpy(np.stack([model.init(root, seeds[i]) for *_, i in every]))
    moving = None
    if not kind.bias:
        moving = ~_biases(model)
        weights *= moving
    orders = Orders(rows.labels.shape[1], BATCH, root, [seeds[i] for *_, i in every])
    engine = PlainEpochs(model, weights, rows, orders, weights.new_tensor([r for _, r, _ in every]))
    seen = model.prepare(scored_on.features)
    for epoch in range(1, max(epochs) + 1):
        engine.epoch(moving)
        if epoch in epochs:
            answers = model.output(weights, seen).logits.argmax(1)
            right = (answers == scored_on.labels).double().mean(1)
            yield epoch, right.numpy().reshape(len(entries), len(seeds))


def _biases(model: MixtureOfExperts) -> Bool[Tensor, " weight"]:
    """The biases among a model's numbers: the last ones of the router and of the experts."""
    router, experts, _ = model.sizes
    mask = torch.zeros(model.size, dtype=torch.bool)
    for end, maps in ((router, 1), (router + experts, model.experts.num_classes)):
        mask[end - maps * model.router.num_experts : end] = True
    return mask
