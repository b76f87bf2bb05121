"""One router on one data set: what `qmoe train` runs."""

from __future__ import annotations

from typing import Any

from qmoe.cell import Cell
from qmoe.data import DataSpec
from qmoe.plan import Plan
from qmoe.suite import Setup
from qmoe.train import TrainConfig
from qmoe.trial import Trial


def single(
    setup: Setup,
    *,
    source: str,
    target: str | None,
    config: TrainConfig,
    trial: Trial,
    trained_for: str = "",
    **cell: Any,
) -> Plan:
    """The router in the controlled protocol, with map and checkpoint; `cell` as in `Cell`.

    trained_for: A target; the first seed then gets a second checkpoint, trained through its noise.
    With more than one trial in the setup, validation chooses among those instead of `trial`.
    """
    trials = (trial,) if len(setup.trials) == 1 else setup.trials
    made = Cell(
        DataSpec.parse(source, target),
        trials=trials,
        seeds=setup.seeds,
        root=setup.root,
        config=config,
        **cell,
    )
    return Plan("train", (made,), shown=True, trained_for=trained_for)
