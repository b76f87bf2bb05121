"""IonQ's own client against a small service on the loopback interface."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import numpy as np
import pytest

import backends
from backends.base import Compiled, JobRef, Queued
from backends.cirq import ionq
from backends.remote import within
from qmoe.ansatz import reupload
from qmoe.circuit import Circuit, Feature, Op
from qmoe.errors import (
    CredentialsError,
    FitError,
    InputError,
    QmoeError,
    UnreachableError,
)
from qmoe.simulate import reference

pytestmark = pytest.mark.xdist_group("cirq")

ROOT = Path(__file__).parents[3]
KEY = "canary-5f2c"
DEVICE = "cirq:ionq.qpu.forte-1"
SHOTS = 4000
THETA = np.linspace(0.3, 2.0, 4)
X = np.random.default_rng(5).uniform(0, np.pi, size=(5, 2))
RESUME = """
import json, sys
import backends
from backends.base import JobRef
ref = JobRef.from_dict(json.loads(sys.argv[1]))
found = backends.load(ref.spec).fetch(ref)
print(json.dumps({row: counts.tolist() for row, counts in found.items()}))
"""


class Stand:
    """The service, and what tests ask of it."""

    def __init__(self, port):
        self.host = f"http://127.0.0.1:{port}"

    def behave(self, **behaviour):
        data = json.dumps(behaviour).encode()
        urllib.request.urlopen(f"{self.host}/_behaviour", data).close()

    def posts(self):
        with urllib.request.urlopen(f"{self.host}/_requests") as reply:
            return [each["body"] for each in json.load(reply) if each["method"] == "POST"]


@pytest.fixture(scope="module")
def stand():
    command = [sys.executable, "-W", "ignore", "-m", "tests.services.ionq", KEY]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Stand(int(process.stdout.readline()))
        finally:
            process.terminate()


@pytest.fixture(autouse=True)
def environment(stand, monkeypatch):
    for name in (*ionq.KEYS, *ionq.HOSTS):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("IONQ_API_KEY", KEY)
    monkeypatch.setenv("IONQ_REMOTE_HOST", stand.host)
    stand.behave()


@pytest.fixture(scope="module")
def router():
    return reupload(2, 2, measured=(1, 0)).bind_weights(THETA)


def exact(circuit, x=X):
    return reference.probabilities(circuit, (), x)


def close(counts, circuit, x=X):
    """Whether counts are the distribution but for rounding: the service does not sample."""
    return abs(counts - exact(circuit, x) * counts.sum(1, keepdims=True)).max() < 1


def test_a_router_runs_in_one_post_of_native_gates(stand, router):
    backend = backends.load(DEVICE)
    assert isinstance(backend, Queued)
    assert (backend.spec, backend.source) == (DEVICE, "loopback")
    compiled = backend.compile(router)
    assert np.allclose(exact(compiled.native), exact(router), rtol=0, atol=1e-9)
    assert compiled.two_qubit_gates == router.simplify().ops.count(Op("cz", (0, 1))) > 0
    assert (compiled.noisy, compiled.expected_fidelity) == (None, None)
    assert Compiled.from_json(compiled.to_json()) == compiled
    before = len(stand.posts())
    counts = backend.run(compiled, X, SHOTS, seed=3)
    assert counts.shape == (5, 4)
    assert (counts.sum(1) == SHOTS).all()
    assert close(counts, router)
    (sent,) = stand.posts()[before:]
    assert len(sent["body"]["circuits"]) == len(X)
    assert sent["body"]["gateset"] == "native"
    assert (sent["target"], sent["shots"]) == ("qpu.forte-1", str(SHOTS))


def test_compiled_with_free_weights_is_bound_later():
    backend = backends.load(DEVICE)
    circuit = reupload(2, 2)
    compiled = backend.compile(circuit)
    with pytest.raises(InputError, match="free weights"):
        backend.submit(compiled, X, 10, tag="t")
    bound = compiled.bind_weights(THETA)
    assert bound.template == compiled.template
    assert close(backend.run(bound, X, SHOTS, 0), circuit.bind_weights(THETA))
    assert backend.emit(compiled.native, compiled) == compiled


@pytest.mark.parametrize("measured", [(0,), (2,), (2, 0), (0, 2, 1), (3, 1)])
def test_outcomes_are_big_endian_over_what_is_measured(measured):
    ops = (
        Op("ry", (0,), (0.4,)),
        Op("ry", (1,), (Feature(0),)),
        Op("cx", (1, 2)),
        Op("ry", (2,), (1.9,)),
        Op("ecr", (2, 0)),
    )
    circuit = Circuit(4, ops, measured, 1)  # qubit 3 idles
    backend = backends.load(DEVICE)
    x = np.array([[0.3], [2.2]])
    assert close(backend.run(backend.compile(circuit), x, SHOTS, 0), circuit, x)


def test_circuits_without_gates_or_features():
    backend = backends.load(DEVICE)
    empty = backend.compile(Circuit(2, (), (1, 0)))
    assert backend.run(empty, np.zeros((2, 0)), 7, 0).tolist() == [[7, 0, 0, 0]] * 2
    one = backend.compile(Circuit(1, (Op("x", (0,)),), (0,)))
    assert backend.run(one, np.zeros((1, 0)), 7, 0).tolist() == [[0, 7]]


def test_folds_run_and_count_three_times(router):
    backend = backends.load(DEVICE)
    compiled = backend.compile(router)
    folded = backend.emit(compiled.native.folded(3), compiled)
    assert folded.two_qubit_gates == 3 * compiled.two_qubit_gates
    assert close(backend.run(folded, X, SHOTS, 0), router)


def test_the_simulator_returns_probabilities_and_shots_are_drawn_here(router):
    backend = backends.load("cirq:ionq.simulator")
    ref = backend.submit(backend.compile(router), X, 50, tag="t")
    found = backend.fetch(ref)
    assert all(counts.sum() == 50 for counts in found.values())
    assert not close(np.array([*found.values()]), router)  # rounding would be no shots
    again = backend.fetch(ref)
    assert all((again[row] == found[row]).all() for row in found)
    other = backend.fetch(backend.submit(backend.compile(router), X, 50, tag="t"))
    assert any((other[row] != found[row]).any() for row in found)


def test_counts_keep_their_sum_where_the_clients_do_not(stand, router):
    backend = backends.load(DEVICE)
    compiled = backend.compile(router)
    stand.behave(round=100)
    assert (backend.run(compiled, X, 100, 0).sum(1) == 100).all()


def test_rows_keep_their_order_when_the_service_lists_children(stand, router):
    stand.behave(shuffle=True)
    backend = backends.load(DEVICE)
    assert close(backend.run(backend.compile(router), X, SHOTS, 0), router)


def test_another_process_fetches_by_the_reference_alone(router):
    backend = backends.load(DEVICE)
    ref = backend.submit(backend.compile(router), X, SHOTS, tag="plan-1")
    text = json.dumps(ref.to_dict())
    assert KEY not in text
    command = [sys.executable, "-W", "ignore", "-c", RESUME, text]
    done = subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, check=True)
    found = json.loads(done.stdout)
    assert [found[str(row)] for row in range(5)] == [
        counts.tolist() for counts in backend.fetch(ref).values()
    ]
    assert close(np.array([*found.values()]), router)


def test_a_lost_reply_is_not_sent_again(stand, router):
    backend = backends.load(DEVICE)
    compiled = backend.compile(router)
    stand.behave(lose=True)
    before = len(stand.posts())
    with pytest.raises(UnreachableError, match="job named plan-7 before sending again"):
        backend.submit(compiled, X, 10, tag="plan-7")
    time.sleep(0.5)  # a retry would come after a tenth of a second
    assert len(stand.posts()) == before + 1


def test_a_job_in_the_queue_can_be_waited_for_and_cancelled(stand, router):
    stand.behave(hold=True)
    backend = backends.load(f"{DEVICE},timeout=0")
    compiled = backend.compile(router)
    with pytest.raises(UnreachableError, match="no result of job job-"):
        backend.run(compiled, X, 10, 0)
    ref = backend.submit(compiled, X, 10, tag="t")
    assert backend.status(ref) == "submitted"
    assert backend.fetch(ref) == {}
    backend.cancel(ref)
    assert backend.status(ref) == "cancelled"
    with pytest.raises(QmoeError, match="cancelled"):
        backend.fetch(ref)


def test_a_cancelled_job_that_was_done_keeps_its_results(router):
    backend = backends.load(DEVICE)
    ref = backend.submit(backend.compile(router), X, 10, tag="t")
    backend.cancel(ref)
    assert backend.status(ref) == "done"


def test_a_failed_job_is_one_line_with_the_vendors_words(stand, router):
    stand.behave(fail=f"the ions\nwere lost {KEY}")
    backend = backends.load(DEVICE)
    ref = backend.submit(backend.compile(router), X, 10, tag="t")
    assert backend.status(ref) == "failed"
    with pytest.raises(QmoeError, match="failed: the ions were lost") as caught:
        backend.fetch(ref)
    assert "\n" not in str(caught.value)
    assert KEY not in str(caught.value)


def test_unknown_jobs_and_refusals_are_one_line_without_the_key(stand, router, monkeypatch):
    backend = backends.load(DEVICE)
    with pytest.raises(InputError, match="job nope"):
        backend.status(JobRef(DEVICE, ("nope",), (1,), 1, "t"))
    compiled = backend.compile(router)
    stand.behave(refuse="too hot", echo=True)
    with pytest.raises(QmoeError, match=r"too hot .*'Authorization': 'apiKey \.{3}'") as caught:
        backend.submit(compiled, X, 10, tag="t")
    assert KEY not in str(caught.value)
    stand.behave(echo=True)
    monkeypatch.setenv("IONQ_API_KEY", "wrong-canary")
    other = backends.load(DEVICE)
    with pytest.raises(CredentialsError) as refused:
        other.submit(other.compile(router), X, 10, tag="t")
    assert refused.value.exit_code == 3
    assert "wrong-canary" not in str(refused.value) + repr(other) + repr(vars(other))


def test_a_port_that_nobody_listens_on_is_unreachable(monkeypatch, router):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setenv("IONQ_REMOTE_HOST", f"http://127.0.0.1:{taken.getsockname()[1]}")
        backend = backends.load(DEVICE)
        with pytest.raises(UnreachableError) as caught:
            backend.submit(backend.compile(router), X, 10, tag="t")
        assert caught.value.exit_code == 4
        with pytest.raises(UnreachableError):
            backend.status(JobRef(DEVICE, ("j",), (1,), 1, "t"))


def test_a_call_without_an_answer_ends_after_its_time():
    with pytest.raises(TimeoutError, match=r"no answer within 0\.05 s"):
        within(0.05, threading.Event().wait)
    with pytest.raises(ZeroDivisionError):
        within(5, lambda: 1 // 0)


def test_the_key_is_asked_for_before_anything_is_sent(monkeypatch):
    assert ionq.missing() is None
    monkeypatch.delenv("IONQ_API_KEY")
    assert ionq.missing() == "CIRQ_IONQ_API_KEY or IONQ_API_KEY"
    with pytest.raises(CredentialsError, match="IONQ_API_KEY"):
        backends.load(DEVICE)
    assert all("set CIRQ_IONQ_API_KEY" in row.note for row in ionq.describe())


def test_mistakes_in_the_spec_are_explained():
    with pytest.raises(InputError, match=r"did you mean 'qpu\.forte-1'"):
        backends.load("cirq:ionq.qpu.forte-2")
    with pytest.raises(InputError, match="did you mean 'timeout'"):
        backends.load(f"{DEVICE},timout=3")
    with pytest.raises(InputError, match="timeout=soon"):
        backends.load(f"{DEVICE},timeout=soon")
    with pytest.raises(InputError, match="simplify"):
        backends.load(f"{DEVICE},simplify=no")


@pytest.mark.parametrize(
    ("host", "target", "source"),
    [
        ("https://api.ionq.co", "qpu.forte-1", "device"),
        ("https://api.ionq.co/v0.3", "simulator", "hosted-simulator"),
        ("https://ionq.example.org", "qpu.forte-1", "loopback"),
        ("http://localhost:8000", "simulator", "loopback"),
    ],
)
def test_only_the_vendors_own_host_is_a_device(monkeypatch, host, target, source):
    monkeypatch.setenv("IONQ_REMOTE_HOST", host)
    assert backends.load(f"cirq:ionq.{target}").source == source


@pytest.mark.parametrize(
    "host", ["http://api.ionq.co", "api.ionq.co", "http://user:pw@example.org"]
)
def test_the_key_is_not_sent_unencrypted_to_other_machines(monkeypatch, host):
    monkeypatch.setenv("IONQ_REMOTE_HOST", host)
    with pytest.raises(InputError, match="the API key is sent there") as caught:
        backends.load(DEVICE)
    assert "pw" not in str(caught.value)


def test_wide_circuits_and_other_natives_are_refused(router):
    backend = backends.load("cirq:ionq.simulator")
    wide = Circuit(30, tuple(Op("h", (q,)) for q in range(30)), tuple(range(30)))
    with pytest.raises(FitError, match="at most 29"):
        backend.compile(wide)
    compiled = backend.compile(router)
    with pytest.raises(InputError, match="native circuit of 1 qubits"):
        backend.emit(Circuit(1, (), (0,)), compiled)
    with pytest.raises(InputError, match="no inputs"):
        backend.submit(compiled, np.zeros((0, 2)), 10, tag="t")
