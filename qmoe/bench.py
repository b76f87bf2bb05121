"""One data set in one protocol, for all seeds, ready for any model.

`controlled`: every seed draws or splits its own data, choices are made on validation, the test
part is scored once. `notebook`: the published protocol, one data set, no part held out, so its
accuracy is that on the training data and seeds differ in their initialisation alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from qmoe import data
from qmoe.catalogue import DataSpec
from qmoe.cell import Cell
from qmoe.record import Population


@dataclass(frozen=True, slots=True)
class Bench:
    """Data of all seeds with the protocol that says how to use them.

    `parts` has one entry per seed, or a single one that all seeds share.
    """

    source: data.DataSpec | data.Dataset
    protocol: str
    population: Population
    parts: tuple[data.Prepared, ...]
    seeds: tuple[int, ...]
    root: int
    scaler: str
    held_out: bool
    sizes: data.Sizes | None = None

    @classmethod
    def controlled(
        cls,
        source: data.DataSpec | data.Dataset,
        *,
        root: int,
        seeds: Sequence[int],
        scaler: str = "[0, pi]",
        pca: int | None = None,
        sizes: data.Sizes | None = None,
        like: Bench | None = None,
    ) -> Bench:
        """Own data per seed for synthetic sets, own stratified split for fixed ones.

        like: the same data under another scaler, which lends its PCA.
        """
        lent = None if like is None else like.parts
        parts = data.prepared_seeds(
            source, scaler, pca, root=root, seeds=seeds, sizes=sizes, like=lent
        )
        fixed = parts[0].fixed if parts else source.fixed
        population: Population = "this data set, new split" if fixed else "new data + new init"
        return cls(
            source, "controlled", population, tuple(parts), tuple(seeds), root, scaler, True, sizes
        )

    @classmethod
    def notebook(
        cls, *, root: int, seeds: Sequence[int], scaler: str = "[0, pi]", rows: int = 1000
    ) -> Bench:
        """The published moons, scaled on all rows, scored on the rows trained on."""
        part, source = data.prepared_notebook(rows, scaler), data.notebook_moons(rows)
        return cls(source, "notebook", "init only", (part,), tuple(seeds), root, scaler, False)

    @property
    def num_features(self) -> int:
        """Columns after scaling and PCA."""
        return self.parts[0].X_train.shape[1]

    @property
    def num_classes(self) -> int:
        """Classes of the data set."""
        return len(self.parts[0].classes)

    def part(self, index: int) -> data.Prepared:
        """The data of the seed at `index` of `seeds`."""
        return self.parts[index if len(self.parts) > 1 else 0]

    def points(self, index: int) -> data.Dataset:
        """The points that a seed is scored on, in their own units."""
        if isinstance(self.source, data.Dataset) and not self.held_out:
            return self.source
        return data.splits(
            self.source, root=self.root, seed=self.seeds[index], sizes=self.sizes
        ).test


def bench_of(cell: Cell, scaler: str) -> Bench:
    """The data of a cell under one scaler, prepared once per process."""
    sizes = None if cell.sizes is None else tuple(cell.sizes)
    return _bench(cell.data, cell.protocol, cell.root, cell.seeds, cell.pca, sizes, scaler)


@lru_cache(maxsize=12)
def _bench(
    source: DataSpec,
    protocol: str,
    root: int,
    seeds: tuple[int, ...],
    pca: int | None,
    sizes: tuple[int, int, int] | None,
    scaler: str,
) -> Bench:
    if protocol == "notebook":
        return Bench.notebook(root=root, seeds=seeds, scaler=scaler)
    same = None
    if pca is not None and scaler != _FIRST:
        same = _bench(source, protocol, root, seeds, pca, sizes, _FIRST)
    return Bench.controlled(
        source,
        root=root,
        seeds=seeds,
        scaler=scaler,
        pca=pca,
        sizes=None if sizes is None else data.Sizes(*sizes),
        like=same,
    )


_FIRST = "[0, pi]"  # the scaler whose PCA the others borrow
