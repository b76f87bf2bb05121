"""Made-up runs, seeded: what the page must show, without training anything.

`python tests/qmoe/report/factory.py OUT` writes the report of one to a folder.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from qmoe.cell import CellResult, Chosen, choice
from qmoe.evidence import NAME, Evidence
from qmoe.provenance import Provenance
from qmoe.record import CurvePoint, Population, Record
from qmoe.rundir import RoutingMap, Run, RunWriter

# name, family, accuracy on moons, router parameters as the paper counts and as they are
ROUTERS = (
    ("linear", "linear", 0.976, 12, 12),
    ("MLP h=4", "mlp", 0.962, 32, 32),
    ("MLP h=16", "mlp", 0.981, 116, 116),
    ("trig-product D=1", "trig-product", 0.987, 36, 36),
    ("product", "product", 0.979, 2, 2),
    ("dephased L=2", "dephased", 0.981, 4, 5),
    ("constant", "constant", 0.884, 4, 4),
    ("quantum L=2", "quantum", 0.985, 4, 5),
)
PLACES = (
    ("controlled", "moons noise=0.1"),
    ("notebook", "moons noise=0.1"),
    ("controlled", "moons noise=0.2"),
)
NAMES = tuple(name for name, *_ in ROUTERS)

PROVENANCE = Provenance(
    command="qmoe run quick --seed 0",
    qmoe="0.1.0",
    commit="0123456789abcdef0123456789abcdef01234567",
    dirty=False,
    python="3.11.2",
    platform="Linux x86_64",
    versions={"numpy": "2.2.6", "scipy": "1.17.1", "scikit-learn": "1.9.1", "torch": "2.13.0"},
    threads=1,
    created="2025-01-02T03:04:05Z",
    seed=0,
)


def record(
    router: str = "quantum L=2",
    seed: int = 0,
    *,
    protocol: str = "controlled",
    dataset: str = "moons noise=0.1",
    experts: int = 4,
    trials: int = 12,
    **changes: object,
) -> Record:
    """One record; equal arguments give equal records."""
    known = {name: row for name, *row in ROUTERS}
    family, level, paper, actual = known.get(router, ("quantum", 0.97, 4, 5))
    rng = np.random.default_rng([seed, *router.encode(), *protocol.encode(), *dataset.encode()])
    shared = np.random.default_rng([seed, *protocol.encode()]).normal(0, 0.003)
    noisier = 0.04 if "0.2" in dataset else 0.0
    test = float(np.clip(level - noisier + shared + rng.normal(0, 0.006), 0, 1))
    held_out = protocol == "controlled"
    trials = trials if held_out else 1
    metrics = {
        "accuracy_train": float(np.clip(test + rng.normal(0.002, 0.003), 0, 1)),
        "loss_train": float(0.05 + 1.5 * (1 - test)),
        "routing_entropy": float(rng.uniform(0.4, 1.2)),
        "steps": 400.0,
        "features_clipped": float(rng.integers(0, 9)),
        "frozen_numbers": 64.0 if family == "random-fourier" else 0.0,
        "multiply_adds": 8.0 * actual + 24.0,
        "circuits": 1.0 if family in ("quantum", "product", "dephased") else 0.0,
    }
    rows = {"train": 500 if held_out else 1000}
    if held_out:
        metrics["accuracy_validation"] = float(np.clip(test + rng.normal(0, 0.006), 0, 1))
        metrics["accuracy_test"] = test
        rows |= {"validation": 250, "test": 5000}
    population: Population = "new data + new init" if held_out else "init only"
    fields: dict[str, object] = {
        "study": "ablation",
        "protocol": protocol,
        "dataset": dataset,
        "dataset_digest": f"sha256:{seed if held_out else 42:064x}",
        "population": population,
        "router": router,
        "family": family,
        "seed": seed,
        "source": "exact",
        "router_parameters_paper": paper,
        "router_parameters": actual,
        "model_parameters": actual + 24,
        "metrics": metrics,
        "rows": rows,
        "expert_load": tuple(rng.dirichlet(np.full(experts, 4.0)).tolist()),
        "curve": tuple(curve(test, rng, held_out)),
        "settings": {
            "experts": experts,
            "gate": "softmax",
            "learning_rate": 0.05 if trials == 1 else round(0.02 + 0.01 * (seed % 7), 2),
            "steps": 400,
            "trials": trials,
        },
        "provenance": PROVENANCE,
    }
    return Record.model_validate(fields | changes)


def curve(final: float, rng: np.random.Generator, held_out: bool) -> Iterable[CurvePoint]:
    """A falling loss and a rising accuracy."""
    pace = rng.uniform(30, 90)
    for step in range(0, 401, 20):
        left = math.exp(-step / pace)
        validation = float(np.clip(final - 0.45 * left + rng.normal(0, 0.004), 0, 1))
        yield CurvePoint(step, 0.06 + 0.65 * left, validation if held_out else None)


def routing_map(
    router: str = "quantum L=2",
    *,
    protocol: str = "controlled",
    dataset: str = "moons noise=0.1",
    classes: int = 2,
    experts: int = 4,
    size: int = 80,
) -> RoutingMap:
    """A wavy boundary and experts by angle, another one for every router."""
    rng = np.random.default_rng([*router.encode()])
    xs, ys = np.linspace(-1.5, 2.5, size), np.linspace(-1.0, 1.5, size)
    x, y = np.meshgrid(xs, ys)
    height = y - 0.25 - 0.55 * np.sin(2.2 * (x - rng.uniform(0.2, 0.7)))
    scores = np.stack(
        [height * 4 * math.cos(2 * math.pi * k / max(classes, 2)) for k in range(classes)]
    )
    scores += np.stack([x * math.sin(2 * math.pi * k / max(classes, 3)) for k in range(classes)])
    angles = np.arctan2(y - 0.25, x - 0.5) + rng.uniform(0, 3)
    pull = np.stack([3 * np.cos(angles - 2 * math.pi * e / experts) for e in range(experts)])
    angle = rng.uniform(0, math.pi, 150)
    labels = rng.integers(0, classes, 150)
    upper = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    lower = np.stack([1 - np.cos(angle), 0.5 - np.sin(angle)], axis=1)
    points = np.where(labels[:, None] % 2 == 0, upper, lower) + rng.normal(0, 0.1, (150, 2))
    return RoutingMap(
        extent=(-1.5, 2.5, -1.0, 1.5),
        probabilities=softmax(scores),
        gates=softmax(pull),
        points=points,
        labels=labels,
        protocol=protocol,
        dataset=dataset,
        seed=0,
        features=("x", "y"),
    )


def softmax(scores: np.ndarray) -> np.ndarray:
    weights = np.exp(scores - scores.max(axis=0))
    return weights / weights.sum(axis=0)


def search(records: Sequence[Record], trials: int = 12) -> CellResult:
    """The search behind records of one router in one group; its best trial is as good as theirs."""
    first, n = records[0], len(records)
    rng = np.random.default_rng([*first.router.encode(), *first.dataset.encode()])
    best = np.array([r.metrics["accuracy_validation"] for r in records])
    figures = best - rng.exponential(0.02, (trials, n))
    figures[rng.integers(0, trials, n), np.arange(n)] = best
    correct = tuple(tuple(int(v) for v in row) for row in np.rint(figures * 250))
    loss = tuple((0.1,) * n for _ in range(trials))
    settings = Chosen(
        learning_rate=0.05,
        scaler="[0, pi]",
        init_scale=1.0,
        gate="auto",
        embedding_scale=1.0,
        penalty=1.0,
    )
    text = f"{first.router} {first.dataset} {first.settings}"
    return CellResult(
        key=hashlib.sha256(text.encode()).hexdigest()[:20],
        cell={},
        router=first.router,
        family=first.family,
        protocol=first.protocol,
        dataset=first.dataset,
        dataset_digest="0",
        population=first.population,
        experts=int(str(first.settings["experts"])),
        rows=dict(first.rows),
        classes=2,
        router_parameters=first.router_parameters,
        router_parameters_paper=first.router_parameters_paper,
        model_parameters=first.model_parameters,
        frozen_numbers=0,
        multiply_adds=1,
        circuits=0,
        seeds=tuple(r.seed for r in records),
        trials=(settings,) * trials,
        searched=trials,
        validation_correct=correct,
        validation_loss=loss,
        chosen=tuple(choice(correct, loss, i) for i in range(n)),
        train_correct=(1,) * n,
        test_correct=(1,) * n,
        features_clipped=(0,) * n,
        epochs_kept=(1,) * n,
        epochs_run=(1,) * n,
        steps_per_epoch=1,
        routing_entropy=(0.0,) * n,
        expert_load=tuple(r.expert_load for r in records),
    )


def evidence(records: Iterable[Record]) -> Evidence:
    """The evidence with a search behind every router that has a validation part."""
    groups: dict[tuple[object, ...], list[Record]] = {}
    for one in records:
        if "accuracy_validation" in one.metrics:
            place = (one.study, one.dataset, one.router, one.settings["experts"])
            groups.setdefault(place, []).append(one)
    found = {place: search(group) for place, group in groups.items()}
    studies: dict[str, tuple[str, ...]] = {}
    for (study, *_), result in found.items():
        studies[str(study)] = (*studies.get(str(study), ()), result.key)
    return Evidence(provenance=PROVENANCE, results=tuple(found.values()), studies=studies)


def write(
    out: Path,
    records: Iterable[Record],
    maps: Iterable[tuple[str, RoutingMap]] = (),
    searched: Evidence | None = None,
) -> Run:
    """The run with these records, maps and evidence, through the real writer and reader."""
    with RunWriter("quick", PROVENANCE, out=out) as writer:
        for one in records:
            writer.add(one)
        for router, one_map in maps:
            writer.add_map(router, one_map)
        if searched is not None:
            searched.write(writer.path(NAME))
    return Run.open(out)


def study(
    seeds: int = 30,
    routers: Iterable[str] = NAMES,
    places: Iterable[tuple[str, str]] = PLACES,
    **changes: Any,
) -> list[Record]:
    """Every router and seed at each place: protocol and data set."""
    return [
        record(router, seed, protocol=protocol, dataset=dataset, **changes)
        for protocol, dataset in places
        for router in routers
        for seed in range(seeds)
    ]


if __name__ == "__main__":
    import sys
    import tempfile

    from qmoe.report import write_report

    with tempfile.TemporaryDirectory() as folder:
        records = study()
        maps = [(name, routing_map(name)) for name in NAMES]
        whole = write(Path(folder) / "run", records, maps, evidence(records))
        print(write_report(whole, Path(sys.argv[1])))
