"""Plans without training: routers with random numbers, for whatever is tested about plans."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from hardware_runs.design import Design
from hardware_runs.plan import Plan, PlannedRouter
from qmoe.errors import InputError
from qmoe.spec import ModelSpec

DESIGN = Design("device-test", 1, inputs=6, block=3, shots=40, treatments=("none", "readout"))


def refused(call: Callable[[], object]) -> str:
    """What is said of something that is refused, in one line; "" of what is not."""
    try:
        call()
    except InputError as error:
        text = str(error)
        if "\n" in text or len(text) > 5000:
            raise AssertionError(text) from error
        return text
    return ""


def planned(target: str = "planted", seed: int = 0, **changes: Any) -> Plan:
    """A plan of `DESIGN` with changes; its routers see features at different scales."""
    design = replace(DESIGN, **changes)
    routers = tuple(router(design.inputs, seed, k) for k in range(design.routers))
    return Plan(design, target, "", "0.1", routers)


def router(inputs: int, seed: int, number: int) -> PlannedRouter:
    """One of them: two qubits, two layers, four experts."""
    rng = np.random.default_rng([seed, number])
    spec = ModelSpec("quantum", 2, 2, options={"layers": 2}, embedding_scale=1.0 + number / 8)
    return PlannedRouter(
        seed=number,
        model=spec.to_dict(),
        weights=tuple(rng.normal(size=sum(spec.build().sizes)).tolist()),
        X=tuple(map(tuple, rng.uniform(0, np.pi, (inputs, 2)).tolist())),
        y=tuple(rng.integers(0, 2, inputs).tolist()),
    )
