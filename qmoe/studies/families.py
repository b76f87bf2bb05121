"""Families of routers as studies name them, and the cell of a family in the controlled protocol."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from qmoe.cell import Cell
from qmoe.data import DataSpec
from qmoe.suite import Setup
from qmoe.train import TrainConfig

Family = tuple[str, Mapping[str, Any]]
"""A router's name and its options."""

CONFIG = TrainConfig(epochs=200, evaluate_every=10)
MOONS = (DataSpec("moons", noise=0.1), DataSpec("moons", noise=0.2))

LINEAR: Family = ("linear", {})
CONSTANT: Family = ("constant", {})
TRIG: Family = ("trig-product", {"degree": 1})
PRODUCT: Family = ("product", {})


def mlp(hidden: int) -> Family:
    """The deep classical router with that many hidden units."""
    return "mlp", {"hidden": hidden}


def quantum(layers: int) -> Family:
    """The router under test: ansatz `paper`."""
    return "quantum", {"layers": layers}


def dephased(layers: int) -> Family:
    """The same circuit without interference."""
    return "dephased", {"layers": layers}


def cell(setup: Setup, data: DataSpec, which: Family, **changes: Any) -> Cell:
    """The tuned cell of a family: every trial of the setup, `CONFIG`, four experts."""
    name, options = which
    wanted = {"config": CONFIG, "trials": setup.trials, **changes}
    return Cell(data, name, options, seeds=setup.seeds, root=setup.root, **wanted)


def cells(
    setup: Setup, data: Iterable[DataSpec], families: Iterable[Family], **changes: Any
) -> tuple[Cell, ...]:
    """`cell` for every data set and family."""
    chosen = tuple(families)
    return tuple(cell(setup, each, family, **changes) for each in data for family in chosen)
