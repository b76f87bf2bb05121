"""What came out of an experiment, as plain values: every one is computed from raw counts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hardware_runs.answers import Block
from qmoe.metrics import Score, mean_score


@dataclass(frozen=True, slots=True)
class Told:
    """One router under one treatment, in one repeat or over all.

    Attributes:
        accuracy: On its inputs.
        exact: That of the same router without noise and shots, on the same inputs.
        retention: Routing retention; None where an even gate answers as well.
        distance: Mean total variation to the ideal router.
        floor: What shots alone would make of that.
        agreement: How often the same expert is asked first.
        fidelity: Mean Hellinger fidelity to the ideal router.
        loads: Mean gate weight of each expert.
        confusion: [ideal][asked]: the share of inputs by first expert; they sum to 1.
    """

    accuracy: float
    exact: float
    retention: float | None
    distance: float
    floor: float
    agreement: float
    fidelity: float = math.nan
    loads: tuple[float, ...] = ()
    confusion: tuple[tuple[float, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Treated:
    """A treatment over all routers: means with 95 % intervals over routers.

    `by_router` has the routers in the order of the plan, each averaged over repeats.
    """

    name: str
    accuracy: Score
    difference: Score
    retention: Score | None
    distance: Score
    floor: float
    agreement: Score
    clipped: float
    shots: int
    circuits: int
    gamma: float
    by_router: tuple[Told, ...]

    @property
    def fidelity(self) -> Score:
        """Hellinger fidelity, over routers."""
        return mean_score([each.fidelity for each in self.by_router], limits=(0.0, 1.0))

    @property
    def loads(self) -> tuple[Score, ...]:
        """Mean gate weight of each expert, over routers; experts as each router numbers them."""
        columns = zip(*(each.loads for each in self.by_router), strict=True)
        return tuple(mean_score(list(column), limits=(0.0, 1.0)) for column in columns)

    @property
    def confusion(self) -> NDArray[np.float64]:
        """Shares of inputs by first expert [ideal, asked], mean over routers."""
        return np.asarray(np.mean([each.confusion for each in self.by_router], axis=0))


@dataclass(frozen=True, slots=True)
class Null:
    """A router that has nothing to say, on some of the inputs: its accuracy, and the real one's."""

    name: str
    accuracy: float
    routed: float
    inputs: int


@dataclass(frozen=True, slots=True)
class Repeat:
    """One repeat: figures of the primary treatment, and of the sentinels, in their time."""

    number: int
    blocks: tuple[Block, ...]
    accuracy: float
    distance: float
    by_block: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Primary:
    """The registered comparison: the treatment's accuracy minus the exact router's."""

    treatment: str
    word: str
    reason: str
    difference: Score
    level: float
    margin: float
    routers: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """Everything that an experiment says.

    Attributes:
        plan: Its id.
        sources: Where results came from.
        treatments: By name, those that could be computed.
        nulls: The null routers.
        repeats: In their order.
        primary: None where nothing counts.
        departures: What was not as planned.
        changes: Repeats at which the raw figures changed, by figure.
    """

    plan: str
    target: str
    suite: str
    sources: tuple[str, ...]
    treatments: Mapping[str, Treated]
    nulls: tuple[Null, ...]
    repeats: tuple[Repeat, ...]
    primary: Primary | None
    departures: tuple[str, ...]
    changes: Mapping[str, tuple[int, ...]]

    def _repr_html_(self) -> str:
        """What a notebook shows of it."""
        from qmoe.report.notebook import outcome_html

        return outcome_html(self)

    def to_dict(self) -> dict[str, Any]:
        """JSON values; ends that are not known are None."""
        tree: dict[str, Any] = _plain(asdict(self))
        return tree


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(each) for each in value]
    if isinstance(value, float) and value != value:
        return None
    return value
