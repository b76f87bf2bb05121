"""What all tracked benchmarks share: parameters thinned by rule, and names an old commit may lack.

asv imports the suite beside older commits, so nothing of the project is imported here or at the
top of a benchmark module.
"""

from __future__ import annotations

import importlib
import os
import random
from collections.abc import Sequence
from typing import Any, TypeVar

ALL = "QMOE_BENCH_ALL"
"""Environment variable: set, every parameter is run."""
ONE = "QMOE_BENCH_ONE"
"""Environment variable: set, one parameter set of each benchmark is run."""

Value = TypeVar("Value")


def thinned(values: Sequence[Value], keep: int, seed: int = 0) -> tuple[Value, ...]:
    """A seeded choice of `keep` values in their order: the same on every commit.

    >>> thinned(range(10), 3)
    (0, 6, 9)
    """
    if os.environ.get(ALL) or (len(values) <= keep and not os.environ.get(ONE)):
        return tuple(values)
    keep = 1 if os.environ.get(ONE) else keep
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


def one_thread() -> None:
    """Torch on one thread: figures and times do not depend on the number of cores."""
    import torch

    torch.set_num_threads(1)
