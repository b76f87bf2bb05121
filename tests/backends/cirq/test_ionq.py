"""IonQ's own client against a small service on the loopback interface."""

import contextlib
import json
import math
import os
import socket
import subprocess
import sys
import threading
import time
import traceback
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

import backends
from backends.base import Compiled
from backends.cirq import ionq, ionq_service
from backends.queued import BusyError, JobRef, Limits, Program, Queued, RefusedError
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
from tests.services import started

pytestmark = pytest.mark.xdist_group("cirq")

ROOT = Path(__file__).parents[3]
KEY = "canary-5f2c"
DEVICE = "cirq:ionq.qpu.forte-1"
SHOTS = 4000
SINCE = datetime(2026, 1, 1, tzinfo=UTC)
SURE = {"400": RefusedError, "404": RefusedError, "401": CredentialsError, "429": BusyError}
UNSURE = {
    "500": UnreachableError,
    "503": UnreachableError,
    "timeout": UnreachableError,
    "stall": UnreachableError,
    "cut": UnreachableError,
    "lost": UnreachableError,
    "malformed": QmoeError,
}
CARRIED_OUT = ("stall", "cut", "lost", "malformed")
THETA = np.linspace(0.3, 2.0, 4)
X = np.random.default_rng(5).uniform(0, np.pi, size=(5, 2))
RESUME = """
import json, sys
import backends
from backends.queued import JobRef
ref = JobRef.from_dict(json.loads(sys.argv[1]))
found = backends.load(ref.spec).fetch(ref)
print(json.dumps({row: counts.tolist() for row, counts in found.items()}))
"""


def posts(stand):
    """What was sent to make jobs, so far."""
    return [each["body"] for each in stand.requests() if each["method"] == "POST"]


@pytest.fixture(scope="module")
def stand():
    with started.service("ionq", KEY) as running:
        yield running


@pytest.fixture(autouse=True)
def environment(stand, monkeypatch):
    for name in (*ionq.KEYS, *ionq.HOSTS):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("IONQ_API_KEY", KEY)
    monkeypatch.setenv("IONQ_REMOTE_HOST", stand.url)
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
    before = len(posts(stand))
    counts = backend.run(compiled, X, SHOTS, seed=3)
    assert counts.shape == (5, 4)
    assert (counts.sum(1) == SHOTS).all()
    assert close(counts, router)
    (sent,) = posts(stand)[before:]
    assert len(sent["body"]["circuits"]) == len(X)
    assert sent["body"]["gateset"] == "native"
    assert (sent["target"], sent["shots"]) == ("qpu.forte-1", str(SHOTS))


def test_compiled_with_free_weights_is_bound_later():
    backend = backends.load(DEVICE)
    circuit = reupload(2, 2)
    compiled = backend.compile(circuit)
    with pytest.raises(InputError, match="free weights"):
        backend.submit([Program(compiled, X)], 10, tag="t")
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
    ref = backend.submit([Program(backend.compile(router), X)], 50, tag="t")
    found = backend.fetch(ref)
    assert all(counts.sum() == 50 for counts in found.values())
    assert not close(np.array([*found.values()]), router)  # rounding would be no shots
    again = backend.fetch(ref)
    assert all((again[row] == found[row]).all() for row in found)
    other = backend.fetch(backend.submit([Program(backend.compile(router), X)], 50, tag="t"))
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
    ref = backend.submit([Program(backend.compile(router), X)], SHOTS, tag="plan-1")
    text = json.dumps(ref.to_dict())
    assert KEY not in text
    command = [sys.executable, "-W", "ignore", "-c", RESUME, text]
    done = subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, check=True)
    found = json.loads(done.stdout)
    assert [found[str(row)] for row in range(5)] == [
        counts.tolist() for counts in backend.fetch(ref).values()
    ]
    assert close(np.array([*found.values()]), router)


def test_programs_share_one_post_and_rows_are_numbered_over_them(stand, router):
    backend = backends.load(DEVICE)
    compiled = backend.compile(router)
    flip = backend.emit(Circuit(2, (Op("x", (0,)),), (1, 0)), compiled)
    folded = backend.emit(compiled.native.folded(3), compiled)
    before = len(posts(stand))
    programs = [Program(compiled, X[:2]), Program(flip, np.zeros((2, 0))), Program(folded, X[2:])]
    ref = backend.submit(programs, SHOTS, tag="plan-2")
    assert len(posts(stand)) == before + 1
    assert stand.jobs()[-1] == {"id": ref.id, "tag": "plan-2", "rows": 7}
    assert (ref.spec, ref.rows, ref.shots, ref.tag) == (DEVICE, 7, SHOTS, "plan-2")
    found = backend.fetch(ref)
    assert list(found) == list(range(7))
    assert close(np.array([found[row] for row in (0, 1, 4, 5, 6)]), router)
    assert [found[row].tolist() for row in (2, 3)] == [[0, SHOTS, 0, 0]] * 2


def test_programs_that_cannot_share_a_job_are_refused_before_anything_is_sent(stand, router):
    backend = backends.load(DEVICE)
    compiled = backend.compile(router)
    other = backend.compile(Circuit(1, (Op("x", (0,)),), (0,)))
    before = len(posts(stand))
    for programs, words in (
        ([Program(compiled, X), Program(other, np.zeros((1, 0)))], "measure different qubits"),
        ([Program(compiled, X), Program(compiled, X[:, :1])], "features"),
        ([Program(compiled, X), Program(compiled, X[:0])], "no inputs"),
        ([], "no inputs"),
    ):
        with pytest.raises(InputError, match=words):
            backend.submit(programs, 10, tag="t")
    with pytest.raises(InputError, match="shots"):
        backend.submit([Program(compiled, X)], 0, tag="t")
    assert len(posts(stand)) == before


@pytest.mark.parametrize("kind", [*SURE, *UNSURE])
def test_what_goes_wrong_with_a_new_job_says_whether_it_may_exist(stand, router, kind):
    backend = backends.load(f"{DEVICE},call_timeout=1")
    ready = [Program(backend.compile(router), X)]
    before = len(stand.jobs())
    stand.behave(faults=[{"call": "create", "kind": kind, "seconds": 1.5}])
    with pytest.raises(QmoeError) as caught:
        backend.submit(ready, 10, tag=f"fault-{kind}")
    assert type(caught.value) is (SURE | UNSURE)[kind]
    assert "\n" not in str(caught.value)
    assert KEY not in "".join(traceback.format_exception(caught.value))
    time.sleep(0.3)  # a client that repeats does so after a tenth of a second
    accepted = [job["id"] for job in stand.jobs()[before:]]
    assert len(accepted) == (kind in CARRIED_OUT)
    assert list(backend.find(f"fault-{kind}", SINCE)) == accepted
    stand.behave()
    ref = backend.submit(ready, 10, tag=f"fault-{kind}")
    assert list(backend.find(f"fault-{kind}", SINCE)) == [*accepted, ref.id]


def test_a_job_is_found_by_its_tag_alone_once_and_late(stand, router):
    backend = backends.load(DEVICE)
    ready = [Program(backend.compile(router), X[:1])]
    stand.behave(late=2)
    ref = backend.submit(ready, 10, tag="late-1")
    other = backend.submit(ready, 10, tag="late-10")
    assert [backend.find("late-1", SINCE) for _ in range(3)] == [(), (), (ref.id,)]
    stand.behave(twice=True)
    assert backend.find("late-10", SINCE) == (other.id,)
    assert backend.find("late", SINCE) == ()


def test_all_pages_of_the_list_are_searched_once(stand, router, monkeypatch):
    backend = backends.load(DEVICE)
    ready = [Program(backend.compile(router), X[:1])]
    ids = [backend.submit(ready, 10, tag=f"page-{k % 4}").id for k in range(5)]
    stand.behave(page=2)
    before = len(stand.requests())
    assert backend.find("page-0", SINCE) == (ids[0], ids[4])
    assert len(stand.requests()) - before == -(-len(stand.jobs()) // 2)
    monkeypatch.setattr(ionq_service, "PAGES", 1)
    with pytest.raises(QmoeError, match="more than 1 pages of jobs") as caught:
        backend.find("page-0", SINCE)  # also where some are on the first
    assert type(caught.value) is QmoeError


def test_the_circuits_of_a_job_are_not_taken_for_jobs(stand, router):
    backend = backends.load(DEVICE)
    stand.behave(parts=True)
    ref = backend.submit([Program(backend.compile(router), X)], 10, tag="parts")
    assert backend.find("parts", SINCE) == (ref.id,)


def test_a_job_that_was_given_up_is_not_sent_when_the_network_comes_back(monkeypatch, router):
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        monkeypatch.setenv("IONQ_REMOTE_HOST", f"http://127.0.0.1:{server.getsockname()[1]}")
        backend = backends.load(f"{DEVICE},call_timeout=0.6")
        ready = [Program(backend.compile(router), X[:1])]
        full = [socket.socket() for _ in range(4)]  # no further connection is let in
        for each in full:
            each.setblocking(False)
            each.connect_ex(server.getsockname())
        with pytest.raises(UnreachableError):
            backend.submit(ready, 10, tag="t")
        for each in full:
            each.close()
        server.settimeout(2)  # the kernel knocks again one second after the first time
        sent = []
        with contextlib.suppress(TimeoutError):
            while True:
                with server.accept()[0] as connection:
                    connection.settimeout(1)
                    sent.append(connection.recv(4))
        assert b"POST" not in sent


@pytest.mark.parametrize(
    ("call", "endless"), [("status", "500"), ("results", "stall"), ("search", "500")]
)
def test_reads_are_tried_again_and_end_after_their_time(stand, router, call, endless):
    backend = backends.load(f"{DEVICE},call_timeout=1.5")
    ref = backend.submit([Program(backend.compile(router), X[:1])], 10, tag=f"reads-{call}")
    asks = {"status": backend.status, "results": backend.fetch, "search": found_by_tag(backend)}
    expected = repr(asks[call](ref))
    for kind in ("503", "cut", "lost"):
        stand.behave(faults=[{"call": call, "kind": kind, "times": 2}])
        assert repr(asks[call](ref)) == expected
    for kind, times, error in (
        ("429", 1, BusyError),
        ("401", 1, CredentialsError),
        ("malformed", 1, QmoeError),
        (endless, -1, UnreachableError),  # last: a call that was given up asks on for a while
    ):
        stand.behave(faults=[{"call": call, "kind": kind, "times": times, "seconds": 3}])
        with pytest.raises(error) as caught:
            asks[call](ref)
        assert type(caught.value) is error
        assert KEY not in "".join(traceback.format_exception(caught.value))


def found_by_tag(backend):
    return lambda ref: backend.find(ref.tag, SINCE)


def test_a_job_that_could_not_be_cancelled_goes_on(stand, router):
    backend = backends.load(DEVICE)
    ready = [Program(backend.compile(router), X[:1])]
    for kind, error in (("400", RefusedError), ("401", CredentialsError), ("malformed", QmoeError)):
        stand.behave(hold=True, faults=[{"call": "cancel", "kind": kind}])
        ref = backend.submit(ready, 10, tag="t")
        with pytest.raises(QmoeError) as caught:
            backend.cancel(ref)
        assert type(caught.value) is error
        assert backend.status(ref) == ("cancelled" if kind == "malformed" else "submitted")
    stand.behave(hold=True, faults=[{"call": "cancel", "kind": "lost"}])
    ref = backend.submit(ready, 10, tag="t")
    backend.cancel(ref)  # asked for again
    assert backend.status(ref) == "cancelled"


def test_a_time_limit_belongs_to_the_process_not_to_the_job(router):
    backend = backends.load(f"{DEVICE},call_timeout=5,timeout=9,simplify=false")
    assert backend.spec == f"{DEVICE},simplify=false"
    ref = backend.submit([Program(backend.compile(router), X[:1])], 10, tag="t")
    assert ref.spec == backend.spec
    with pytest.raises(InputError, match="call_timeout=soon"):
        backends.load(f"{DEVICE},call_timeout=soon")


def test_what_ionq_does_not_say_is_not_known(router):
    backend = backends.load(DEVICE)
    assert (backend.account, backend.idempotent) == ("ionq", False)
    assert backend.limits() == Limits()
    assert backend.left() is None
    cost = backend.cost([5, 1], 100)
    assert (cost.money, cost.seconds) == (None, None)
    assert "IonQ" in cost.note
    ref = backend.submit([Program(backend.compile(router), X[:1])], 10, tag="t")
    assert backend.usage(ref) is None


def test_a_slow_job_and_one_that_is_held_end_later(stand, router):
    backend = backends.load(DEVICE)
    ready = [Program(backend.compile(router), X)]
    stand.behave(slow=2)
    ref = backend.submit(ready, 10, tag="t")
    assert [backend.status(ref) for _ in range(3)] == ["submitted", "submitted", "done"]
    stand.behave(hold=True)
    held = backend.submit(ready, SHOTS, tag="t")
    assert (backend.status(held), backend.fetch(held)) == ("submitted", {})
    stand.behave()
    assert close(np.array([*backend.fetch(held).values()]), router)


@pytest.mark.parametrize(
    ("call", "reply"),
    [
        ("create", {}),
        ("create", {"id": 3}),
        ("create", ["job-0"]),
        ("create", None),
        ("create", {"id": ""}),
        ("status", None),
        ("status", [1]),
        ("status", "done"),
        ("status", {"id": "job-0", "status": "failed", "failure": "melted"}),
        ("status", {"id": "job-0", "status": "failed", "failure": ["melted"]}),
        ("results", [1]),
        ("results", {"a": {"0": 1.0}, "b": {"0": math.nan}}),
        ("results", {"a": {"0": 1.0}, "b": {"0": math.inf}}),
        ("results", {"a": {"0": 1.0}, "b": {"-1": 1.0}}),
        ("search", {"jobs": [3]}),
        ("search", {"jobs": [{"name": "t"}]}),
        ("search", {"jobs": {"id": "job-0"}}),
        ("status", {}),
        ("status", {"id": "job-0", "status": "melted"}),
        ("status", {"id": "job-0", "status": {"completed": True}}),
        ("status", {"id": "job-0", "status": "completed"}),
        ("status", {"id": "job-0", "status": "completed", "metadata": {"measured": "x"}}),
        ("results", {}),
        ("results", {"0": 0.5}),
        ("results", {"a": {"0": 1.0}, "b": {"0": -1.0, "1": 2.0}}),
        ("results", {"a": {"0": 1.0}, "b": {"zero": 1.0}}),
        ("results", {"a": {"0": 1.0}, "b": 1.0}),
        ("results", {"a": {"0": 1.0}, "b": {"0": "many"}}),
        ("results", {"a": {"0": 1.0}}),
        ("results", {"a": {"0": 1.0}, "b": {"0": 1.0}, "c": {"0": 1.0}}),
        ("search", {}),
        ("search", []),
        ("search", {"jobs": None}),
    ],
)
def test_replies_of_another_form_are_one_line(stand, router, call, reply):
    backend = backends.load(DEVICE)
    ready = [Program(backend.compile(router), X[:2])]
    ref = backend.submit(ready, 10, tag="t")
    stand.behave(says={call: reply})
    asks = {
        "create": lambda ref: backend.submit(ready, 10, tag="t"),
        "search": found_by_tag(backend),
    }
    with pytest.raises(QmoeError) as caught:
        asks.get(call, backend.fetch)(ref)
    assert type(caught.value) is QmoeError
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


def test_a_lost_reply_is_not_sent_again(stand, router):
    backend = backends.load(DEVICE)
    compiled = backend.compile(router)
    stand.behave(lose=True)
    before = len(posts(stand))
    with pytest.raises(UnreachableError, match="job named plan-7 before sending again"):
        backend.submit([Program(compiled, X)], 10, tag="plan-7")
    time.sleep(0.5)  # a retry would come after a tenth of a second
    assert len(posts(stand)) == before + 1


def test_a_job_in_the_queue_can_be_waited_for_and_cancelled(stand, router):
    stand.behave(hold=True)
    backend = backends.load(f"{DEVICE},timeout=0")
    compiled = backend.compile(router)
    with pytest.raises(UnreachableError, match="no result of job job-"):
        backend.run(compiled, X, 10, 0)
    ref = backend.submit([Program(compiled, X)], 10, tag="t")
    assert backend.status(ref) == "submitted"
    assert backend.fetch(ref) == {}
    backend.cancel(ref)
    assert backend.status(ref) == "cancelled"
    with pytest.raises(QmoeError, match="cancelled"):
        backend.fetch(ref)


def test_a_cancelled_job_that_was_done_keeps_its_results(router):
    backend = backends.load(DEVICE)
    ref = backend.submit([Program(backend.compile(router), X)], 10, tag="t")
    backend.cancel(ref)
    assert backend.status(ref) == "done"


def test_a_failed_job_is_one_line_with_the_vendors_words(stand, router):
    stand.behave(fail=f"the ions\nwere lost {KEY}")
    backend = backends.load(DEVICE)
    ref = backend.submit([Program(backend.compile(router), X)], 10, tag="t")
    assert backend.status(ref) == "failed"
    with pytest.raises(QmoeError, match="failed: the ions were lost") as caught:
        backend.fetch(ref)
    assert "\n" not in str(caught.value)
    assert KEY not in str(caught.value)


def test_unknown_jobs_and_refusals_are_one_line_without_the_key(stand, router, monkeypatch):
    backend = backends.load(DEVICE)
    with pytest.raises(InputError, match="job nope"):
        backend.status(JobRef(DEVICE, "nope", 1, 1, "t"))
    compiled = backend.compile(router)
    stand.behave(refuse="too hot", echo=True)
    with pytest.raises(QmoeError, match=r"too hot .*'Authorization': 'apiKey \.{3}'") as caught:
        backend.submit([Program(compiled, X)], 10, tag="t")
    assert KEY not in str(caught.value)
    stand.behave(echo=True)
    monkeypatch.setenv("IONQ_API_KEY", "wrong-canary")
    other = backends.load(DEVICE)
    with pytest.raises(CredentialsError) as refused:
        other.submit([Program(other.compile(router), X)], 10, tag="t")
    assert refused.value.exit_code == 3
    assert "wrong-canary" not in str(refused.value) + repr(other) + repr(vars(other))


def test_no_error_quotes_the_key_and_a_time_out_is_no_refusal(stand, router):
    backend = backends.load(DEVICE)
    ready = [Program(backend.compile(router), X[:1])]
    for status, error in ((403, CredentialsError), (429, BusyError), (408, QmoeError)):
        stand.behave(refuse="no", status=status, echo=True)
        with pytest.raises(QmoeError) as caught:
            backend.submit(ready, 10, tag="t")
        assert type(caught.value) is error
        assert KEY not in "".join(traceback.format_exception(caught.value))


def test_a_port_that_nobody_listens_on_is_unreachable(monkeypatch, router):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setenv("IONQ_REMOTE_HOST", f"http://127.0.0.1:{taken.getsockname()[1]}")
        backend = backends.load(DEVICE)
        with pytest.raises(UnreachableError) as caught:
            backend.submit([Program(backend.compile(router), X)], 10, tag="t")
        assert caught.value.exit_code == 4
        with pytest.raises(UnreachableError):
            backend.status(JobRef(DEVICE, "j", 1, 1, "t"))


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


@pytest.mark.parametrize("variable", ionq.HOSTS)
@pytest.mark.parametrize(
    ("host", "target", "source"),
    [
        ("https://api.ionq.co", "qpu.forte-1", "device"),
        ("https://api.ionq.co/v0.3", "simulator", "hosted-simulator"),
        ("https://ionq.example.org", "qpu.forte-1", "loopback"),
        ("https://api.ionq.co.example.org", "qpu.forte-1", "loopback"),
        ("https://example.org/api.ionq.co", "qpu.forte-1", "loopback"),
        ("https://api.ionq.co@example.org", "qpu.forte-1", "loopback"),
        ("https://api.ionq.co:8443", "qpu.forte-1", "loopback"),
        ("http://localhost:8000", "simulator", "loopback"),
        ("http://127.0.0.1:8000", "qpu.forte-1", "loopback"),
    ],
)
def test_only_the_vendors_own_host_is_a_device(monkeypatch, variable, host, target, source):
    monkeypatch.delenv("IONQ_REMOTE_HOST")
    monkeypatch.setenv(variable, host)
    assert backends.load(f"cirq:ionq.{target}").source == source


def test_without_a_host_it_is_the_vendors_own_and_the_first_variable_wins(
    stand, monkeypatch, router
):
    monkeypatch.delenv("IONQ_REMOTE_HOST")
    assert backends.load(DEVICE).source == "device"
    monkeypatch.setenv("CIRQ_IONQ_REMOTE_HOST", stand.url)
    monkeypatch.setenv("IONQ_REMOTE_HOST", "https://api.ionq.co")
    backend = backends.load(DEVICE)
    assert backend.source == "loopback"
    before = len(posts(stand))
    backend.submit([Program(backend.compile(router), X[:1])], 10, tag="t")
    assert len(posts(stand)) == before + 1  # it goes where the source says


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
        backend.submit([Program(compiled, np.zeros((0, 2)))], 10, tag="t")
