"""Tracked benchmarks asked as asv asks them."""

from __future__ import annotations

from typing import Any


def tracked(kind: Any, *which: Any) -> tuple[Any, ...]:
    """Every figure that a class of benchmarks tracks at one parameter set, in order of names."""
    one = type(kind.__name__, (kind,), {"params": tuple((each,) for each in which)})()
    cache = one.setup_cache()
    one.setup(cache, *which)
    names = sorted(name for name in dir(kind) if name.startswith("track_"))
    return tuple(getattr(one, name)(cache, *which) for name in names)
