"""What all tracked benchmarks share: parameters thinned by rule, and names an old commit may lack.

asv starts a process for every parameter set. Figures that one process finds faster than as many
processes import torch are collected in `setup_cache`.

asv imports the suite beside older commits, so nothing of the project is imported here or at the
top of a benchmark module.
"""

from __future__ import annotations

import importlib
import itertools
import os
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

ALL = "QMOE_BENCH_ALL"
"""Environment variable: set, every parameter is run."""
ONE = "QMOE_BENCH_ONE"
"""Environment variable: set, one parameter set of each benchmark is run."""

Value = TypeVar("Value")
Cache = Mapping[tuple[Any, ...], Any]
"""What `collected` found, as asv hands it from `setup_cache` to a benchmark."""


def thinned(values: Sequence[Value], keep: int | None = None, seed: int = 0) -> tuple[Value, ...]:
    """A seeded choice of `keep` values (None: all) in their order: the same on every commit.

    >>> thinned(range(10), 3)
    (0, 6, 9)
    """
    if os.environ.get(ALL):
        return tuple(values)
    keep = 1 if os.environ.get(ONE) else min(keep or len(values), len(values))
    chosen = sorted(random.Random(seed).sample(range(len(values)), keep))
    return tuple(values[place] for place in chosen)


def needed(path: str) -> Any:
    """What a dotted name stands for: `package.module:attribute`.

    Raises:
        NotImplementedError: This commit has none; asv then reports the benchmark as n/a.
    """
    module, _, attribute = path.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise NotImplementedError(f"this commit has no {path}") from error


def backend(spec: str) -> Any:
    """The target that a spec names.

    Raises:
        NotImplementedError: This commit has none of its vendor.
    """
    vendor, colon, _ = spec.removeprefix("twin:").partition(":")
    if colon:
        needed(f"backends.{vendor}:load")
    if spec.startswith("twin:"):
        needed("backends.twin:Twin")
    return needed("backends:load")(spec)


def collected(
    params: Sequence[Sequence[Any]], figure: Callable[..., Value]
) -> dict[tuple[Any, ...], Value | str]:
    """The figure of every parameter set; in its place, the reason why there is none here."""
    found: dict[tuple[Any, ...], Value | str] = {}
    for each in itertools.product(*params):
        try:
            found[each] = figure(*each)
        except NotImplementedError as error:
            found[each] = str(error)
    return found


def told(cache: Mapping[tuple[Any, ...], Any], *which: Any) -> None:
    """What a benchmark's setup says of a parameter set that has no figure.

    Raises:
        NotImplementedError: With the reason, so that asv shows n/a.
    """
    if isinstance(cache[which], str):
        raise NotImplementedError(cache[which])


def one_thread() -> None:
    """Torch on one thread: figures and times do not depend on the number of cores."""
    import torch

    torch.set_num_threads(1)
