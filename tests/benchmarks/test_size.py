"""Tracked sizes: those of the circuits themselves, the same in every process."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys

import pytest

from backends import load
from benchmarks import size
from benchmarks.common import needed
from qmoe import ansatz
from tests.services.loopback import ROOT

EVERY = list(itertools.product(size.TARGETS, size.CIRCUITS))
SOME = EVERY[3:6]  # one target's, for another process


def figures(which: list[tuple[str, str]]) -> list[tuple[object, ...]]:
    """Figures of some circuits and of every treatment, in their order."""
    found = []
    for target, circuit in which:
        compiled = size.Compiled()
        compiled.setup(target, circuit)
        gates, depth = (f(target, circuit) for f in (compiled.track_two_qubit_gates,
                                                     compiled.track_depth))  # fmt: skip
        found.append((target, circuit, gates, depth))
    for treatment in size.TREATMENTS:
        treated = size.Treatment()
        treated.setup(treatment)
        tracked = (treated.track_circuits, treated.track_shots, treated.track_gamma)
        found.append((treatment, *(track(treatment) for track in tracked)))
    return found


@pytest.mark.slow
@pytest.mark.usefixtures("unchecked")
def test_figures_are_those_of_the_circuits_and_of_every_process():
    found = figures(EVERY)
    for (target, circuit), (*_, gates, depth) in zip(EVERY, found, strict=False):
        name, qubits, layers = size.CIRCUITS[circuit]
        native = load(target).compile(getattr(ansatz, name)(qubits, layers)).native
        wide = [op for op in native.ops if len(op.qubits) == 2]
        assert gates == len(wide) <= depth * qubits // 2
    raw = found[len(EVERY)]
    assert raw == ("none", size.INPUTS, size.INPUTS * size.SHOTS, 1.0)
    for _, circuits, shots, gamma in found[len(EVERY) + 1 :]:
        assert circuits >= size.INPUTS and shots <= size.INPUTS * size.SHOTS and gamma >= 1
    code = "from tests.benchmarks.test_size import SOME, figures; print(figures(SOME))"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stdout.strip() == str([*found[3:6], *found[len(EVERY) :]])


def test_what_a_commit_lacks_is_no_failure():
    with pytest.raises(NotImplementedError, match=r"no qmoe\.ansatz:gone"):
        needed("qmoe.ansatz:gone")
