"""Trials: the settings that a search may choose, the same configurations for every family."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from qmoe.angles import finite, whole
from qmoe.errors import InputError, unknown
from qmoe.scaling import RANGES

FEWEST_TRIALS = 12
"""Trials below which a comparison reads `untuned`."""

GATES = ("auto", "temperature")
RATES = (0.02, 0.5)
PENALTIES = (0.1, 1000.0)
INIT_SCALES = (1.0, 0.1)
EMBEDDING_SCALES = (0.25, 0.5, 1.0, 2.0)


@dataclass(frozen=True, slots=True)
class Trial:
    """One configuration; what has no meaning for a family leaves it unchanged.

    Attributes:
        learning_rate: Adam's step size.
        scaler: Scaling of the features, for router and experts.
        init_scale: Factor of the router's starting numbers; .1 is small-variance initialisation.
        gate: "auto" or "temperature": a softmax whose temperature is learned.
        embedding_scale: Factor of the features that the router (not the experts) sees; for a
            kernel, its inverse bandwidth.
        penalty: C of a support vector classifier.
    """

    learning_rate: float = 0.05
    scaler: str = "[0, pi]"
    init_scale: float = 1.0
    gate: str = "auto"
    embedding_scale: float = 1.0
    penalty: float = 1.0

    def __post_init__(self) -> None:
        for name in ("learning_rate", "init_scale", "embedding_scale", "penalty"):
            if finite(getattr(self, name), name.replace("_", " ")) <= 0:
                raise InputError(
                    got=f"{name.replace('_', ' ')} {getattr(self, name)}",
                    expected="> 0",
                    do="raise it",
                )
        if self.scaler not in RANGES:
            raise unknown("scaler", self.scaler, RANGES)

    def to_dict(self) -> dict[str, Any]:
        """JSON values; `Trial(**d)` reads them back."""
        return asdict(self)


def search(count: int, root: int = 0) -> tuple[Trial, ...]:
    """The defaults, then a Latin hypercube over all settings (McKay et al. 1979).

    Rate and penalty are spread evenly over their logarithms; the other settings take each of
    their values about equally often. Every family gets the same list, so none has a search space
    of its own.

    Raises:
        InputError: Fewer than one trial.

    >>> [trial.learning_rate for trial in search(2)][0]
    0.05
    """
    from scipy.stats import qmc

    whole(count, "number of trials", 1)
    points = qmc.LatinHypercube(6, rng=np.random.default_rng(root)).random(count - 1)
    return (Trial(), *(_trial(point) for point in points.tolist()))


def _trial(point: list[float]) -> Trial:
    rate, scaler, init, gate, embedding, penalty = point
    return Trial(
        learning_rate=_logarithmic(rate, RATES),
        scaler=_pick(scaler, tuple(RANGES)),
        init_scale=_pick(init, INIT_SCALES),
        gate=_pick(gate, GATES),
        embedding_scale=_pick(embedding, EMBEDDING_SCALES),
        penalty=_logarithmic(penalty, PENALTIES),
    )


def _logarithmic(share: float, ends: tuple[float, float]) -> float:
    low, high = (math.log(end) for end in ends)
    return float(f"{math.exp(low + share * (high - low)):.3g}")


def _pick(share: float, values: tuple[Any, ...]) -> Any:
    return values[int(share * len(values))]
