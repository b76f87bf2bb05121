"""What is timed is what the benchmark says, and its preparation stays outside."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks import peers, runtime
from benchmarks.common import needed
from qmoe.ansatz import paper
from qmoe.noise import NoiseModel
from qmoe.rundir import Run
from qmoe.simulate import probabilities
from tests.benchmarks.asked import tracked


def autograd(qubits, batch, noise=None):
    """The same step by the public function and autograd."""
    circuit = paper(qubits, runtime.LAYERS)
    weights = torch.linspace(
        -runtime.TURN, 4 * runtime.TURN, circuit.num_weights, dtype=torch.float64
    ).requires_grad_()
    features = torch.linspace(0, 3, qubits * batch, dtype=torch.float64).reshape(qubits, batch).T
    cotangent = torch.linspace(-1, 1, 2**qubits * batch, dtype=torch.float64)
    out = probabilities(circuit, weights, features.contiguous(), noise=noise)
    (gradient,) = torch.autograd.grad((out.T * cotangent.reshape(2**qubits, batch)).sum(), weights)
    return out.detach(), gradient


@pytest.mark.parametrize("qubits", [2, 4])
def test_the_timed_step_is_a_whole_step(qubits):
    for kind, which, batch, noise in (
        (runtime.RouterStep, (qubits, 64), 64, None),
        (runtime.NoisyStep, (qubits,), 256, NoiseModel(depolarizing=runtime.STRENGTH)),
    ):
        timed = kind()
        timed.setup(*which)
        out, gradient = timed.step()
        expected, slope = autograd(qubits, batch, noise)
        torch.testing.assert_close(out[0].T, expected, rtol=0, atol=1e-10)
        torch.testing.assert_close(gradient[0], slope, rtol=0, atol=1e-9)


def test_training_trains_and_compiling_compiles(monkeypatch):
    training = runtime.Training()
    training.setup(3)
    done = training.train()
    assert done.weights.shape[0] == 3 and torch.isfinite(done.weights).all()
    assert len(done.curve.train_loss) >= 1
    timed = runtime.Compile()
    timed.setup("cirq:willow_pink")
    called = []
    inner = timed.backend.compile
    monkeypatch.setattr(
        type(timed.backend), "compile", lambda self, circuit: called.append(inner(circuit))
    )
    timed.time_compile("cirq:willow_pink")
    assert len(called) == 1 and called[0].native.num_qubits == 4


def test_costs_are_positive_and_treatments_cost_more_than_none():
    (seconds,) = tracked(runtime.RunCost, "cirq:willow_pink")
    assert 0 < seconds < 60
    (ratio,) = tracked(runtime.MitigationOverhead, "twirl,variants=4")
    assert ratio > 0  # how much more is the machine's to say


def test_the_page_is_that_of_the_run_with_all_routers(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = runtime.ReportPage()
    folder = page.setup_cache()
    assert len({record.router for record in Run.open(folder).records}) == len(runtime.ROUTERS)
    page.setup(folder)
    assert "<html" in page.render(page.gather((page.run,)))
    page.time_page(folder)
    with pytest.raises(NotImplementedError, match="cannot make the run"):
        page.setup("")


def test_the_command_that_is_timed_answers(capfd):
    start = runtime.CommandStart()
    start.setup()
    import subprocess

    said = subprocess.run(start.command, capture_output=True, text=True, check=True).stdout
    assert "report" in said and capfd.readouterr().out == ""


def test_what_a_commit_lacks_is_no_failure(monkeypatch):
    monkeypatch.delattr("qmoe.ansatz.paper")
    with pytest.raises(NotImplementedError, match=r"no qmoe\.ansatz:paper"):
        runtime.RouterStep().setup(2, 64)
    with pytest.raises(NotImplementedError, match=r"no qmoe\.ansatz:paper"):
        tracked(runtime.RunCost, "cirq:willow_pink")


class Rows:
    """A peer's row as the scripts give it."""

    def __init__(self, name, ratio, note=""):
        self.name, self.ratio, self.note = name, ratio, note


def test_ratios_are_ours_over_theirs_and_missing_peers_are_told():
    assert peers._ratio([Rows("a", None), Rows("b", 4.0)], "b") == 0.25
    with pytest.raises(NotImplementedError, match="not installed"):
        peers._ratio([Rows("b", None, "not installed (jax): pip install ...")], "b")
    with pytest.raises(ValueError, match="refused: differs"):
        peers._ratio([Rows("b", None, "refused: differs from ours by 1e-3")], "b")


def test_the_peers_are_those_of_the_script():
    names = [peer.name for peer in needed("benchmarks.figures.speed.peers:ROUTER_PEERS")]
    assert list(peers.ROUTER_PEERS) == names
    training = needed("benchmarks.figures.speed.training:JAX")
    assert (
        training,
        needed("benchmarks.figures.speed.training:PENNYLANE"),
    ) == peers.TRAINING_PEERS


def test_a_small_ratio_is_a_number():
    measure = needed("benchmarks.figures.speed.router:measure")
    found = needed("benchmarks.figures.speed.peers:ROUTER_PEERS")
    work = needed("benchmarks.figures.speed.workloads:RouterWork")(2, 1, 4)
    name = found[0].name
    ratio = peers._ratio(measure(work, rounds=1, peers=found[:1]), name)
    assert np.isfinite(ratio) and ratio > 0
