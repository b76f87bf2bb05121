"""The speed benchmark compares like with like: agreement and bookkeeping, never times."""

from __future__ import annotations

import doctest
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from benchmarks.figures.speed import cli, ours, peers, router, rows, timing, training
from benchmarks.figures.speed.workloads import ROUTER_WORKS, RouterWork, Step, StepResult, TrainWork
from qmoe.ansatz import paper
from qmoe.simulate import reference

ROOT = Path(__file__).parents[2]
SMALL = RouterWork(3, 2, 4)
MINIBATCH = TrainWork(seeds=2, batch_size=32, epochs=2, layers=3, points=80)
FULL = TrainWork(seeds=2, batch_size=None, epochs=3, layers=2, points=80)


def needs(*modules: str) -> None:
    absent = peers.missing(*modules)
    if absent:
        pytest.skip(peers.how_to_get(absent))


@dataclass(frozen=True)
class Fake:
    """A router peer whose numbers are ours, moved by `shift`."""

    name: str
    shift: float
    missing: tuple[str, ...] = ()
    largest: int | None = None

    def load(self) -> Callable[[RouterWork], Step]:
        def build(work: RouterWork) -> Step:
            step = ours.router(work)
            return lambda: StepResult(step().probabilities, step().gradient + self.shift)

        return build


@pytest.mark.parametrize("work", [SMALL, RouterWork(2, 3, 5)], ids=lambda w: w.title)
def test_our_two_routes_give_the_probabilities_of_the_reference(work):
    circuit = paper(work.qubits, work.layers, entangler="ring")
    expected = reference.probabilities(circuit, work.weights, work.features)
    plain, cached = ours.router(work)(), ours.router_cached(work)()
    assert np.abs(np.asarray(plain.probabilities) - expected).max() < 1e-12
    assert router.difference(plain, cached) < 1e-12


# PennyLane 0.45 asks JAX for a function that JAX has renamed
@pytest.mark.filterwarnings("ignore:jax.core.is_concrete is deprecated:DeprecationWarning")
@pytest.mark.parametrize("peer", peers.ROUTER_PEERS, ids=lambda p: p.name)
def test_router_peers_agree_with_ours(peer):
    needs(*peer.needs)
    work = RouterWork(2, 2, 3) if "jax" in peer.needs else SMALL  # jit compiles gate by gate
    theirs = peer.load()(work)()
    assert router.difference(ours.router(work)(), theirs) < 1e-10
    assert np.asarray(theirs.probabilities).dtype == np.float64


def test_two_qubits_are_joined_once_and_more_in_a_ring():
    assert [work.pairs for work in ROUTER_WORKS[:2]] == [
        ((0, 1),),
        ((0, 1), (1, 2), (2, 3), (3, 0)),
    ]


@pytest.mark.parametrize("shift", [1e-9, float("nan")])
def test_a_peer_that_differs_is_refused_and_not_timed(shift):
    found = router.measure(SMALL, rounds=1, peers=(Fake("off", shift), Fake("same", 0.0)))
    by_name = {row.name: row for row in found}
    assert list(by_name) == ["ours", "ours, embedding cached", "off", "same"]
    assert by_name["off"].timing is None
    assert by_name["off"].note.startswith("refused")
    assert by_name["same"].difference == 0
    assert by_name["same"].ratio == by_name["same"].timing.median / by_name["ours"].timing.median


def test_a_peer_that_is_absent_or_too_slow_for_the_size_says_so():
    absent, small = Fake("absent", 0.0, missing=("nowhere",)), Fake("small", 0.0, largest=2)
    found = {row.name: row for row in router.measure(SMALL, rounds=1, peers=(absent, small))}
    assert "nowhere" in found["absent"].note
    assert found["small"].note == "not run above 2 qubits"
    assert found["absent"].note in rows.line(found["absent"])


def test_hand_written_jax_trains_to_our_numbers():
    needs("jax")
    from benchmarks.figures.speed import peer_jax

    theirs, mine = peer_jax.Training(MINIBATCH).run(), ours.ours_train(MINIBATCH)
    assert theirs.weights.shape == MINIBATCH.initial.shape == (2, MINIBATCH.num_angles + 24)
    assert np.abs(theirs.weights - mine.weights).max() < 1e-10
    assert np.abs(theirs.losses - mine.losses).max() < 1e-10
    assert np.abs(mine.weights - MINIBATCH.initial).max() > 0.1


def test_training_rows_of_a_full_batch_run():
    needs("jax", "pennylane")
    found = {row.name: row for row in training.measure(FULL, rounds=1)}
    assert list(found) == [training.OURS, training.JAX, training.PENNYLANE]
    for name in (training.JAX, training.PENNYLANE):
        assert found[name].difference < 1e-10, found[name].note
        assert found[name].ratio > 0
    assert "extrapolated from 1 of 3 epochs" in found[training.PENNYLANE].note


def test_training_refuses_a_peer_that_ends_elsewhere(monkeypatch):
    needs("pennylane")
    monkeypatch.setattr(training, "ONE_EPOCH", -1.0)
    monkeypatch.setattr(training, "missing", lambda *needs: ("jax",) if "jax" in needs else ())
    found = {row.name: row for row in training.measure(MINIBATCH, rounds=1)}
    assert found[training.PENNYLANE].note.startswith("refused")
    assert found[training.PENNYLANE].timing is None
    assert found[training.JAX].note.startswith("not installed")


def test_tasks_take_turns_and_short_ones_are_called_more_often():
    ticks = count()
    calls = []
    tasks = {"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}
    found = timing.interleaved(tasks, rounds=2, slice_seconds=3.0, clock=lambda: float(next(ticks)))
    assert calls == ["a", "a", "a", "b", "b", "b"] * 2  # each call takes one tick of three
    assert found["a"] == timing.Timing(median=1.0, low=1.0, high=1.0, calls=6)
    assert doctest.testmod(timing).failed == 0


def test_one_core_comes_before_anything_numerical():
    code = (
        "import os, sys; from benchmarks.figures.speed.timing import THREAD_VARIABLES, one_core;"
        "one_core(); print(*{'numpy', 'torch', 'jax'} & set(sys.modules));"
        "print(*[os.environ[v] for v in THREAD_VARIABLES]);"
        "print(len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else 1)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["", " ".join("1" * len(timing.THREAD_VARIABLES)), "1"]


@pytest.mark.parametrize(
    ("arguments", "got"), [(["--seeds", "0"], "0"), (["--json", "no/such/folder/x"], "no/such")]
)
def test_bad_input_is_one_line_and_exit_code_2(arguments, got, capsys):
    assert cli.main(arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert got in said.err


def test_rows_are_written_as_json_and_a_refusal_is_an_exit_code(monkeypatch, tmp_path, capsys):
    good = rows.Row("router", "w", "ours", timing.Timing(0.002, 0.001, 0.003, 5))
    bad = rows.Row("router", "w", "peer", note="refused: differs")
    monkeypatch.setattr(router, "measure", lambda work, rounds: [good, bad])
    target = tmp_path / "speed.json"
    assert cli.main(["--quick", "--only", "router", "--json", str(target)]) == 1
    written = json.loads(target.read_text())
    assert written["format"] == cli.FORMAT
    assert written["provenance"]["threads"] == 1
    assert [row["name"] for row in written["rows"]] == ["ours", "peer"] * 2
    assert written["rows"][0]["timing"]["median"] == 0.002
    assert "2 ms" in capsys.readouterr().out
