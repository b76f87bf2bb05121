"""Targets that compile again what they are sent do not fold, and say so before anything runs."""

from __future__ import annotations

import numpy as np
import pytest

from backends.conformance import verify
from backends.disturb import Disturbed
from backends.exact import ExactBackend
from backends.execute import execute
from backends.mitigation import load
from backends.twin import Twin
from qmoe.ansatz import paper
from qmoe.errors import InputError


class Opaque(ExactBackend):
    foldable = False

    def run(self, *_: object) -> object:  # type: ignore[override]
        raise AssertionError("something ran")

    probabilities = run  # type: ignore[assignment]


@pytest.mark.parametrize(
    "name", ["zne", "rescale", "twirl", "pec", "mitiq.zne", "readout+zne", "zne+rescale"]
)
def test_what_changes_the_native_circuit_is_unsupported(name: str) -> None:
    pytest.importorskip("mitiq") if name.startswith("mitiq") else None
    backend = Opaque("reference")
    for target in (backend, Disturbed(backend, ()), Twin(backend)):
        compiled = target.compile(paper(2, 1).bind_weights([0.1, 0.2]))
        with pytest.raises(InputError, match="unsupported"):
            execute(target, compiled, load(name), np.zeros((3, 2)), 1000, 0)


def test_the_conformance_suite_leaves_out_what_is_not_promised() -> None:
    class Plain(ExactBackend):
        foldable = False

    found = {outcome.name: outcome.status for outcome in verify(Plain("reference"))}
    assert found["folds pass"] == found["twirls pass"] == "not applicable"
    assert "failed" not in found.values()
