"""What a cell chose, trained again: the weights behind its stored scores.

A result keeps scores and no weights. Training repeats bit by bit, so that the weights come back
by doing it again, as it was or with some field of the cell changed, such as noise on the circuit.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float
from torch import Tensor

from qmoe.bench import bench_of
from qmoe.cell import Cell, CellResult
from qmoe.epochs import Examples
from qmoe.errors import QmoeError
from qmoe.moe import MixtureOfExperts
from qmoe.trial import Trial
from qmoe.tune import Changed, entries_of, train_all
from qmoe.tuned import Entry, score, stacked


@dataclass(frozen=True, slots=True, eq=False)
class Retrained:
    """The chosen models of some seeds of a cell, those that train as one program.

    Attributes:
        cell: What they were trained as.
        entries: The trial and the position of the seed of each, one per row of the weights.
        settings: The trial of each.
        model: The model that all of them are, but for their embedding scales.
        weights: Their numbers.
    """

    cell: Cell
    entries: tuple[Entry, ...]
    settings: tuple[Trial, ...]
    model: MixtureOfExperts
    weights: Float[Tensor, "entry weight"]

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seed of each model."""
        return tuple(self.cell.seeds[entry.seed] for entry in self.entries)

    @property
    def positions(self) -> list[int]:
        """Where the seed of each model stands among the seeds of the cell."""
        return [entry.seed for entry in self.entries]

    def part(self, name: str) -> Examples:
        """The rows of one part ("train", "validation", "test") of each model's seed."""
        rows = stacked(self.cell, self.settings, self.entries, name, "cpu")
        scales = rows.features.new_tensor([trial.embedding_scale for trial in self.settings])
        return rows._replace(seen=rows.features * scales[:, None, None])

    def changed(self, **changes: Any) -> MixtureOfExperts:
        """The model of a cell that differs in some fields; it takes the same weights."""
        bench = bench_of(self.cell, self.settings[0].scaler)
        # the embedding scales come with the rows, as in training
        trial = replace(self.settings[0], embedding_scale=1.0)
        other = replace(self.cell, **changes)
        return other.spec(bench.num_features, bench.num_classes, trial).build()


def retrained(
    cell: Cell,
    result: CellResult,
    *,
    through: Changed | None = None,
    positions: Iterable[int] | None = None,
    **changes: Any,
) -> tuple[Retrained, ...]:
    """The chosen trial of every seed, trained again; one program per gate that was chosen.

    through: what to train in place of the cell's model, with equal weights. positions: which of
    the seeds, by position; None is all. changes: fields of the cell to train with other values.
    The data and the choice stay.

    Raises:
        ValueError: The result of another cell.
        QmoeError: With nothing changed, scores other than the stored ones.
    """
    changes = {name: v for name, v in changes.items() if v != getattr(cell, name)}
    again = replace(cell, trials=(), like=cell, **changes)
    if through is not None:  # the compiled engine knows the models of this project alone
        again = replace(again, config=replace(again.config, engine="auto"))
    trials, entries = entries_of(again, result)
    if positions is not None:
        wanted = set(positions)
        entries = tuple(entry for entry in entries if entry.seed in wanted)
    groups = tuple(
        Retrained(
            again,
            group.entries,
            tuple(trials[entry.trial] for entry in group.entries),
            group.model,
            group.trained.weights,
        )
        for group in train_all(again, trials, entries, changed=through)
    )
    if not changes and through is None:
        for group in groups:
            _check(group, result)
    return groups


def _check(group: Retrained, result: CellResult) -> None:
    part, stored = (
        ("test", result.test_correct) if result.held_out else ("train", result.train_correct)
    )
    right, _, _ = score(group.model, group.weights, group.part(part), group.settings)
    wrong = np.flatnonzero(right != np.asarray(stored)[group.positions])
    if len(wrong):
        k = int(wrong[0])
        raise QmoeError(
            f"training {result.router} on {result.dataset} again gave {right[k]} right answers for "
            f"seed {group.seeds[k]} and not the stored {stored[group.entries[k].seed]}; "
            "run the study again on one machine"
        )
