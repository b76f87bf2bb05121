"""Figures of study `noise` as it would store them, with losses planted where a test wants them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from qmoe.figure import Figure
from qmoe.metrics import mean_score

STRENGTHS = (0.0, 0.005, 0.01, 0.02, 0.025, 0.03, 0.05, 0.1)
MOONS = "moons(noise=0.1)"


def under_noise(
    clean: Sequence[float],
    loss: Callable[[float], float],
    *,
    dataset: str = MOONS,
    layers: int = 2,
    strengths: Sequence[float] = STRENGTHS,
    name: str = "accuracy under noise",
    spread: float = 0.002,
    **labels: Any,
) -> list[Figure]:
    """Figures of seeds that have `clean` accuracies without noise and lose `loss` on average."""
    about = {
        **{"dataset": dataset, "router": f"quantum L={layers}", "layers": layers},
        **{"placement": "gate", "convention": "pauli", "trained": "clean", "shots": 0},
        **{"circuit": "as written", "experts": "linear"},
        **labels,
    }
    rng = np.random.default_rng(layers)
    out = []
    for strength in strengths:
        noise = spread * rng.normal(size=len(clean)) if strength else np.zeros(len(clean))
        values = np.round(np.asarray(clean) - loss(strength) + noise - noise.mean(), 5)
        score = mean_score(values)
        out.append(
            Figure(
                name=name,
                labels={**about, "strength": strength},
                value=score.value,
                low=score.low,
                high=score.high,
                per_seed=tuple(values.tolist()),
            )
        )
    return out
