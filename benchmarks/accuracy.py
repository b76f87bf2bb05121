"""Accuracy over the project's history, as error rates: asv takes lower as better.

Figures from stored weights move only if the evaluation does; those from a capped training run
move with the training too.
"""

from __future__ import annotations

import os

from benchmarks.common import ONE, needed, one_thread, thinned
from benchmarks.stored import CONTROLS, DATA, QUANTUM, SEEDS, Stored, cell, load

_NAMES = tuple(DATA)


def _routers(controls: int) -> tuple[str, ...]:
    """The router under test, always, and so many controls."""
    return (QUANTUM,) if os.environ.get(ONE) else (QUANTUM, *thinned(CONTROLS, controls))


class ErrorRate:
    """Error rate on held-out rows, from stored weights: the mean over the seeds."""

    version = "1"
    unit = "error rate"
    timeout = 60.0
    deterministic = True
    param_names = ("data", "router")
    params = (thinned(_NAMES, 3), _routers(3))

    def setup(self, data: str, router: str) -> None:
        self.stored = _stored(data)

    def track_error(self, data: str, router: str) -> float:
        errors = self.stored.errors(router)
        return sum(errors) / len(errors)


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
    params = (thinned(_NAMES, 3),)

    def setup(self, data: str) -> None:
        self.stored = _stored(data)

    def track_difference(self, data: str) -> float:
        quantum = self.stored.errors(QUANTUM)
        control = self.stored.errors(self.stored.best_control())
        return sum(q - c for q, c in zip(quantum, control, strict=True)) / len(quantum)


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
    param_names = ("data", "router")
    params = (thinned(_NAMES, 2), _routers(2))
    epochs = 60

    def setup_cache(self) -> dict[tuple[str, str], float]:
        """The figures of all parameters; none where the commit cannot train them."""
        try:
            tune = needed("qmoe.tune:tune")
        except NotImplementedError:
            return {}  # setup says so
        one_thread()
        found = {}
        for data in self.params[0]:
            for router in self.params[1]:
                result = tune(cell(DATA[data], router, self.epochs, trials=1))
                rows = result.rows["test"] * len(SEEDS)
                found[data, router] = (rows - sum(result.test_correct)) / rows
        return found

    def setup(self, cache: dict[tuple[str, str], float], data: str, router: str) -> None:
        needed("qmoe.tune:tune")

    def track_error(self, cache: dict[tuple[str, str], float], data: str, router: str) -> float:
        return cache[data, router]


def _stored(data: str) -> Stored:
    """The stored weights, on a commit that can evaluate them."""
    for path in ("qmoe.predict:evaluate", "qmoe.scaling:Scaler", "qmoe.spec:ModelSpec"):
        needed(path)
    one_thread()
    return load(data)
