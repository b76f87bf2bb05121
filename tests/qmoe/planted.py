"""Results as training would give them, with figures planted where a test wants them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from qmoe.cell import CellResult
from qmoe.evidence import Evidence
from qmoe.figure import Figure, Figures
from qmoe.provenance import Provenance
from qmoe.trial import search

PROVENANCE = Provenance(
    command="qmoe run paper",
    qmoe="0.1.0",
    python="3.11.2",
    platform="Linux x86_64",
    versions={},
    created="2025-01-02T03:04:05Z",
    seed=0,
)
ROWS = {"train": 200, "validation": 200, "test": 5000}
IMAGE_ROWS = {"train": 2000, "validation": 1000, "test": 2000}
POINTS = tuple(range(10, 201, 10))


def key(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:20]


def accuracies(mean: float, seeds: int, spread: float = 0.003, stream: int = 0) -> list[float]:
    """Figures with exactly this mean, up to the rounding to counts."""
    drawn = np.random.default_rng(stream).normal(size=seeds)
    if seeds > 1:
        drawn = (drawn - drawn.mean()) / drawn.std(ddof=1)
    return (mean + spread * drawn).tolist()


def cell(
    dataset: str,
    router: str,
    test: Sequence[float],
    *,
    steps: Sequence[float] = (),
    experts: int = 4,
    trials: int = 12,
    parameters: int = 4,
    family: str = "",
    **changes: Any,
) -> CellResult:
    """A cell with these test accuracies; `steps` is when each seed reaches validation .9."""
    n = len(test)
    image = "mnist" in dataset
    rows = IMAGE_ROWS if image else ROWS
    validation = rows["validation"]
    # trial t is best for seed t mod trials
    correct = [
        [validation * 9 // 10 + (5 if i % trials == t else 0) for i in range(n)]
        for t in range(trials)
    ]
    reached = steps or [50.0] * n
    fields: dict[str, Any] = {
        "key": key(dataset, router, experts, trials, n, changes.get("protocol")),
        "cell": {"data": dataset, "router": router, "training": {"epochs": 200}},
        "router": router,
        "family": family or router.split()[0].lower(),
        "protocol": "controlled",
        "dataset": dataset,
        "dataset_digest": key(dataset, n),
        "population": "this data set, new split" if image else "new data + new init",
        "experts": experts,
        "rows": rows,
        "classes": 2,
        "router_parameters": parameters,
        "router_parameters_paper": parameters,
        "model_parameters": parameters + 6 * experts,
        "frozen_numbers": 0,
        "multiply_adds": 20,
        "circuits": 1,
        "seeds": list(range(n)),
        "trials": [trial.to_dict() for trial in search(trials)],
        "searched": trials,
        "validation_correct": correct,
        "validation_loss": [[0.2] * n for _ in range(trials)],
        "chosen": [i % trials for i in range(n)],
        "train_correct": [rows["train"] - 1] * n,
        "test_correct": [round(rows["test"] * a) for a in test],
        "loss_test": [0.1] * n,
        "features_clipped": [0] * n,
        "epochs_kept": [200] * n,
        "epochs_run": [200] * n,
        "steps_per_epoch": 1,
        "routing_entropy": [0.5] * n,
        "expert_load": [[1 / experts] * experts for _ in range(n)],
        "curve_epochs": POINTS,
        "curve_loss": [[1 / point] * n for point in POINTS],
        "curve_validation_correct": [
            [validation * 9 // 10 - (point < at) for at in reached] for point in POINTS
        ],
        "first_weights": [0.25] * 10,
        "digests": ["0" * 64] * n,
    }
    # strict models take tuples, which JSON lists are read as
    return CellResult.model_validate(_tuples(fields | changes))


def measured(*figures: Figure) -> Figures:
    return Figures(key=key(*figures), call="qmoe.planted:figures", options={}, figures=figures)


def evidence(*parts: CellResult | Figures, studies: dict[str, Any] | None = None) -> Evidence:
    return Evidence(
        provenance=PROVENANCE,
        results=tuple(p for p in parts if isinstance(p, CellResult)),
        figures=tuple(p for p in parts if isinstance(p, Figures)),
        studies=studies or {},
    )


def _tuples(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _tuples(v) for name, v in value.items()}
    return tuple(_tuples(v) for v in value) if isinstance(value, list | tuple) else value
