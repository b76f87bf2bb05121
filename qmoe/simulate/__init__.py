"""Simulators of router circuits: a numpy reference, and torch engines with gradients.

The names below are loaded on first use, so that `qmoe.simulate.reference` needs no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qmoe.simulate.expectation import Expectations as Expectations
    from qmoe.simulate.expectation import expectations as expectations
    from qmoe.simulate.program import Program as Program
    from qmoe.simulate.program import probabilities as probabilities

_HOME = {
    "Expectations": "qmoe.simulate.expectation",
    "expectations": "qmoe.simulate.expectation",
    "Program": "qmoe.simulate.program",
    "probabilities": "qmoe.simulate.program",
}
__all__ = ["Expectations", "Program", "expectations", "probabilities"]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
