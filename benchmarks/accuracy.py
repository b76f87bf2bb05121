"""Accuracy over the project's history, as error rates: asv takes lower as better.

Figures from stored weights move only if the evaluation does; those from a capped training run
move with the training too.
"""

from __future__ import annotations

import os
from typing import Any

from benchmarks.common import ONE, Cache, collected, needed, one_thread, thinned, told
from benchmarks.stored import CONTROLS, DATA, QUANTUM, ROUTERS, SEEDS, cell, load

_NAMES = tuple(DATA)


class ErrorRate:
    """Error rate on held-out rows, from stored weights: the mean over the seeds."""

    version = "1"
    unit = "error rate"
    timeout = 60.0
    deterministic = True
    param_names = ("data", "router")
    params = (thinned(_NAMES), thinned(tuple(ROUTERS)))

    def setup_cache(self) -> Cache:
        return collected(self.params, _error)

    def setup(self, cache: Cache, data: str, router: str) -> None:
        told(cache, data, router)

    def track_error(self, cache: Cache, data: str, router: str) -> Any:
        return cache[data, router]


class ErrorToBestControl:
    """Error rate of the quantum router minus that of the best control, paired by seed.

    Validation chose the control when the weights were stored. Below zero the quantum router errs
    less often; lower is better.
    """

    version = "1"
    unit = "error rate"
    timeout = 60.0
    deterministic = True
    param_names = ("data",)
    params = (thinned(_NAMES),)

    def setup_cache(self) -> Cache:
        return collected(self.params, _to_best_control)

    def setup(self, cache: Cache, data: str) -> None:
        told(cache, data)

    def track_difference(self, cache: Cache, data: str) -> Any:
        return cache[(data,)]


class TrainedError:
    """Error rate on held-out rows after a short training run: the mean over the seeds.

    60 full-batch steps of the default trial, three seeds as one program on one thread. One
    machine repeats it bit by bit; another one may round another way and end elsewhere, so that
    no gate rests on it.
    """

    version = "1"
    unit = "error rate"
    timeout = 300.0
    deterministic = False
    margin = 0.02  # what another way of rounding may change
    param_names = ("data", "router")
    params = (
        thinned(_NAMES, 2),
        (QUANTUM,) if os.environ.get(ONE) else (QUANTUM, *thinned(CONTROLS, 2)),
    )
    epochs = 60

    def setup_cache(self) -> Cache:
        return collected(self.params, self._trained)

    def setup(self, cache: Cache, data: str, router: str) -> None:
        told(cache, data, router)

    def track_error(self, cache: Cache, data: str, router: str) -> Any:
        return cache[data, router]

    def _trained(self, data: str, router: str) -> float:
        tune = needed("qmoe.tune:tune")
        one_thread()
        result = tune(cell(DATA[data], router, self.epochs, trials=1))
        rows = result.rows["test"] * len(SEEDS)
        return float((rows - sum(result.test_correct)) / rows)


def _error(data: str, router: str) -> float:
    _able()
    errors = load(data).errors(router)
    return sum(errors) / len(errors)


def _to_best_control(data: str) -> float:
    _able()
    stored = load(data)
    quantum, control = (stored.errors(name) for name in (QUANTUM, stored.best_control()))
    return sum(q - c for q, c in zip(quantum, control, strict=True)) / len(quantum)


def _able() -> None:
    """One thread, on a commit that can evaluate stored weights."""
    for path in ("qmoe.predict:evaluate", "qmoe.scaling:Scaler", "qmoe.spec:ModelSpec"):
        needed(path)
    one_thread()
