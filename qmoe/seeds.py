"""Named random streams: every draw in the project comes from one of these."""

from __future__ import annotations

from typing import Literal

import numpy as np

Purpose = Literal["data", "init", "batches", "shots"]
_KEYS: dict[Purpose, int] = {"data": 0, "init": 1, "batches": 2, "shots": 3}


def stream(root: int, seed: int, purpose: Purpose, replicate: int = 0) -> np.random.Generator:
    """The generator of one purpose for one seed of a study.

    Streams of different purposes are independent, so a router that draws more initial weights
    than another still sees the same data and the same batches: that is what pairs the seeds.
    replicate: another stream of the same kind; 0 is the one that results come from.

    >>> bool(stream(0, 3, "data").integers(100) == stream(0, 3, "data").integers(100))
    True
    """
    key = (seed, _KEYS[purpose], replicate) if replicate else (seed, _KEYS[purpose])
    return np.random.default_rng(np.random.SeedSequence(root, spawn_key=key))
