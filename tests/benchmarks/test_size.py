"""Tracked sizes: those of the circuits themselves, the same in every process."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys

import pytest
import torch

from backends import load
from benchmarks import size
from benchmarks.common import needed
from qmoe import ansatz
from tests.benchmarks.asked import tracked
from tests.services.loopback import ROOT


def figures() -> list[tuple[object, ...]]:
    """One figure of every kind, for another process."""
    target = "cirq:willow_pink"
    return [
        tracked(size.Compiled, target, "paper n=4 L=2"),
        tracked(size.Treatment, target, "pec,samples=16"),
        tracked(size.StepMemory, "ideal", (2, 256)),
        tracked(size.StepMemory, "noisy", (3, 256)),
    ]


@pytest.mark.usefixtures("unchecked")
def test_two_processes_find_the_same():
    code = "from tests.benchmarks.test_size import figures; print(figures())"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stdout.strip() == str(figures())


@pytest.mark.slow
@pytest.mark.usefixtures("unchecked")
def test_gates_and_depth_are_those_of_the_native_circuit():
    for target, circuit in itertools.product(size.TARGETS, size.CIRCUITS):
        name, qubits, layers = size.CIRCUITS[circuit]
        native = load(target).compile(getattr(ansatz, name)(qubits, layers)).native
        wide = [op for op in native.ops if len(op.qubits) == 2]
        depth, gates = tracked(size.Compiled, target, circuit)
        assert gates == len(wide) <= depth * qubits // 2


@pytest.mark.usefixtures("unchecked")
def test_treatments_stay_within_their_budget():
    target = "cirq:willow_pink"
    raw = tracked(size.Treatment, target, "none")
    assert raw == (size.INPUTS, 1.0, size.INPUTS * size.SHOTS)
    for treatment in size.TREATMENTS[1:]:
        circuits, gamma, shots = tracked(size.Treatment, target, treatment)
        assert circuits >= size.INPUTS and shots <= size.INPUTS * size.SHOTS and gamma >= 1
    # two variants of each input, folded once and thrice: 3/2 and -1/2
    circuits, gamma, _ = tracked(size.Treatment, target, "zne")
    assert circuits == 2 * size.INPUTS and gamma == pytest.approx(2)


def test_bytes_are_at_least_what_the_result_needs_and_grow_with_the_batch(monkeypatch):
    found = {}
    for batch in (64, 128):
        for engine in ("ideal", "noisy"):
            (found[engine, batch],) = tracked(size.StepMemory, engine, (3, batch))
            assert found[engine, batch] > size.SEEDS * 2**3 * batch * 8  # the outcomes
    assert 1.5 < found["ideal", 128] / found["ideal", 64] < 2.1


def test_a_tensor_held_during_the_step_counts_and_one_made_before_does_not():
    before = torch.ones(1000, dtype=torch.float64)

    def step() -> None:
        torch.ones(300, dtype=torch.float64)
        held = torch.ones(500, dtype=torch.float64)
        del held
        before.add_(1)

    assert [change for change in size._changes(step) if abs(change) > 1000] == [
        *(2400, -2400),
        *(4000, -4000),
    ]


def test_what_a_commit_lacks_is_no_failure(monkeypatch):
    with pytest.raises(NotImplementedError, match=r"no qmoe\.ansatz:gone"):
        needed("qmoe.ansatz:gone")
    monkeypatch.delattr("qmoe.ansatz.paper")
    for kind, which in (
        (size.Compiled, (size.TARGETS[0], "paper n=2 L=2")),
        (size.Treatment, (size.TARGETS[0], "none")),
        (size.StepMemory, ("ideal", (2, 256))),
    ):
        with pytest.raises(NotImplementedError, match=r"no qmoe\.ansatz:paper"):
            tracked(kind, *which)
