"""Google's own client against a small Quantum Engine on the loopback interface."""

import json
import math
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import backends
from backends.base import Compiled
from backends.cirq import google
from backends.queued import JobRef, Program, Queued, RefusedError
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
SPEC = "cirq:google/proj/willow_pink"
SHOTS = 20_000
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


class Stand:
    """The service, and what tests ask of it."""

    def __init__(self, port, folder):
        self.endpoint, self.folder = f"127.0.0.1:{port}", folder
        (folder / "requests").touch()

    def behave(self, **behaviour):
        (self.folder / "behaviour.json").write_text(json.dumps(behaviour))

    def asked(self):
        return (self.folder / "requests").read_text().split()


@pytest.fixture(scope="module")
def stand(tmp_path_factory):
    folder = tmp_path_factory.mktemp("google")
    command = [sys.executable, "-W", "ignore", "-m", "tests.services.google", str(folder)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Stand(int(process.stdout.readline()), folder)
        finally:
            process.terminate()


@pytest.fixture(autouse=True)
def environment(stand, monkeypatch, tmp_path):
    monkeypatch.setenv(google.ENDPOINT, stand.endpoint)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    for name in ("GOOGLE_APPLICATION_CREDENTIALS", "GCE_METADATA_HOST"):
        monkeypatch.delenv(name, raising=False)
    stand.behave()


@pytest.fixture(scope="module")
def router():
    return reupload(2, 2, measured=(1, 0)).bind_weights(THETA)


def exact(circuit, x=X):
    return reference.probabilities(circuit, (), x)


def close(counts, circuit, x=X):
    """Whether counts are shots of the distribution, but for a chance of 1e-9 in each row.

    P(L1 distance >= e) <= 2^K exp(-n e^2 / 2) for K outcomes (Weissman et al. 2003).
    """
    want = exact(circuit, x)
    shots = counts.sum(1, keepdims=True)
    bound = np.sqrt(2 / shots * (want.shape[1] * math.log(2) - math.log(1e-9)))
    return (np.abs(counts / shots - want).sum(1, keepdims=True) < bound).all()


def test_a_router_runs_as_one_job_on_the_device_that_the_engine_reports(stand, router):
    backend = backends.load(SPEC)
    assert isinstance(backend, Queued)
    assert (backend.spec, backend.source) == (SPEC, "loopback")
    before = len(stand.asked())
    compiled = backend.compile(router)
    assert np.allclose(exact(compiled.native), exact(router), rtol=0, atol=1e-9)
    assert {op.gate for op in compiled.native.ops} == {"phased_xz", "cz"}
    assert (compiled.noisy, compiled.expected_fidelity, compiled.calibrated_at) == (None,) * 3
    assert Compiled.from_json(compiled.to_json()) == compiled
    counts = backend.run(compiled, X, SHOTS, seed=3)
    assert counts.shape == (5, 4)
    assert (counts.sum(1) == SHOTS).all()
    assert close(counts, router)
    asked = stand.asked()[before:]
    assert asked.count("GetQuantumProcessor") == 1
    assert asked.count("CreateQuantumJob") == 1


def test_the_layout_follows_the_engines_calibration(stand, router):
    stand.behave(calibrated=True)
    compiled = backends.load(SPEC).compile(router)
    shipped = backends.load("cirq:willow_pink").compile(router)
    assert compiled.native == shipped.native
    assert compiled.physical == shipped.physical
    assert compiled.calibrated_at == shipped.calibrated_at


def test_compiled_with_free_weights_is_bound_later():
    backend = backends.load(SPEC)
    circuit = reupload(2, 2)
    compiled = backend.compile(circuit)
    with pytest.raises(InputError, match="free weights"):
        backend.submit([Program(compiled, X)], 10, tag="t")
    bound = compiled.bind_weights(THETA)
    assert bound.template == compiled.template
    assert close(backend.run(bound, X, SHOTS, 0), circuit.bind_weights(THETA))
    assert backend.emit(compiled.native, compiled) == compiled


@pytest.mark.parametrize("measured", [(0,), (2, 0), (0, 2, 1), (3, 1)])
def test_outcomes_are_big_endian_over_what_is_measured(measured):
    ops = (
        Op("ry", (0,), (0.4,)),
        Op("ry", (1,), (Feature(1),)),  # feature 0 is not used
        Op("cx", (0, 1)),
        Op("cx", (1, 2)),
        Op("ry", (2,), (1.9,)),
    )
    circuit = Circuit(4, ops, measured, 2)  # qubit 3 idles
    backend = backends.load(SPEC)
    x = np.array([[9.0, 0.3], [9.0, 2.2]])
    assert close(backend.run(backend.compile(circuit), x, SHOTS, 0), circuit, x)


def test_circuits_without_gates_or_features():
    backend = backends.load(SPEC)
    empty = backend.compile(Circuit(2, (), (1, 0)))
    assert backend.run(empty, np.zeros((2, 0)), 7, 0).tolist() == [[7, 0, 0, 0]] * 2
    one = backend.compile(Circuit(1, (Op("x", (0,)),), (0,)))
    assert backend.run(one, np.zeros((1, 0)), 7, 0).tolist() == [[0, 7]]


def test_folds_run_and_count_three_times(router):
    backend = backends.load(SPEC)
    compiled = backend.compile(router)
    folded = backend.emit(compiled.native.folded(3), compiled)
    assert folded.two_qubit_gates == 3 * compiled.two_qubit_gates
    assert folded.physical == compiled.physical
    assert close(backend.run(folded, X, SHOTS, 0), router)


def test_sending_twice_runs_once(stand, router):
    backend = backends.load(SPEC)
    compiled = backend.compile(router)
    first = backend.submit([Program(compiled, X)], 500, tag="plan-1")
    again = backends.load(f"{SPEC},timeout=5").submit([Program(compiled, X)], 500, tag="plan-1")
    assert again.id == first.id
    same = [backend.fetch(ref) for ref in (first, again)]
    assert all((same[0][row] == same[1][row]).all() for row in range(5))
    assert backend.submit([Program(compiled, X)], 500, tag="plan-2").id != first.id
    folded = backend.emit(compiled.native.folded(3), compiled)
    for program, shots in (
        (Program(compiled, X), 501),
        (Program(compiled, X[::-1]), 500),
        (Program(folded, X), 500),
    ):
        with pytest.raises(RefusedError, match="there already"):
            backend.submit([program], shots, tag="plan-1")


def test_two_runs_with_one_seed_are_two_jobs(router):
    backend = backends.load(SPEC)
    compiled = backend.compile(router)
    first, second = (backend.run(compiled, X, SHOTS, 0) for _ in range(2))
    assert (first != second).any()


def test_a_lost_reply_does_not_run_the_job_again(stand, router):
    backend = backends.load(SPEC)
    compiled = backend.compile(router)
    stand.behave(lose=1)
    before = len(stand.asked())
    ref = backend.submit([Program(compiled, X)], SHOTS, tag="lost")
    assert stand.asked()[before:].count("CreateQuantumJob") == 2  # the second is refused
    assert close(np.array([*backend.fetch(ref).values()]), router)


def test_another_process_fetches_by_the_reference_alone(router):
    backend = backends.load(SPEC)
    ref = backend.submit([Program(backend.compile(router), X)], SHOTS, tag="resumed")
    command = [sys.executable, "-W", "ignore", "-c", RESUME, json.dumps(ref.to_dict())]
    done = subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, check=True)
    found = json.loads(done.stdout)
    assert [found[str(row)] for row in range(5)] == [
        counts.tolist() for counts in backend.fetch(ref).values()
    ]
    assert close(np.array([*found.values()]), router)


def test_a_job_in_the_queue_can_be_waited_for_and_cancelled(stand, router):
    stand.behave(hold=True)
    backend = backends.load(f"{SPEC},timeout=0")
    compiled = backend.compile(router)
    with pytest.raises(UnreachableError, match=r"no result of job qmoe-[0-9a-f]*/run-"):
        backend.run(compiled, X, 10, 0)
    ref = backend.submit([Program(compiled, X)], 10, tag="held")
    assert backend.status(ref) == "submitted"
    assert backend.fetch(ref) == {}
    backend.cancel(ref)
    assert backend.status(ref) == "cancelled"
    with pytest.raises(QmoeError, match="was cancelled"):
        backend.fetch(ref)


def test_a_failed_job_is_one_line_with_the_vendors_words(stand, router):
    stand.behave(fail="the fridge\nis warm")
    backend = backends.load(SPEC)
    ref = backend.submit([Program(backend.compile(router), X)], 10, tag="failing")
    assert backend.status(ref) == "failed"
    with pytest.raises(QmoeError, match=r"failed: SYSTEM_ERROR: the fridge is warm$"):
        backend.fetch(ref)


def test_unknown_processors_and_jobs_and_refusals(stand, router):
    with pytest.raises(InputError, match="did you mean 'willow_pink'"):
        backends.load("cirq:google/proj/willow_blue").compile(router)
    backend = backends.load(SPEC)
    with pytest.raises(InputError, match="got job p/j; expected a job of project proj"):
        backend.status(JobRef(SPEC, "p/j", 1, 1, "t"))
    stand.behave(deny=True)
    with pytest.raises(CredentialsError, match="not with this account") as caught:
        backends.load(SPEC).compile(router)
    assert caught.value.exit_code == 3


def test_a_port_that_nobody_listens_on_is_unreachable(monkeypatch, router):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        endpoint = f"127.0.0.1:{taken.getsockname()[1]}"
        monkeypatch.setenv(google.ENDPOINT, endpoint)
        with pytest.raises(UnreachableError, match=f"no answer of {endpoint}") as caught:
            backends.load(SPEC).compile(router)
        assert caught.value.exit_code == 4


def test_credentials_are_looked_for_before_anything_is_sent(monkeypatch, tmp_path):
    monkeypatch.delenv(google.ENDPOINT)
    assert google.missing() == "GOOGLE_APPLICATION_CREDENTIALS"
    with pytest.raises(CredentialsError, match="GOOGLE_APPLICATION_CREDENTIALS"):
        backends.load(SPEC)
    (row,) = google.describe()
    assert "set GOOGLE_APPLICATION_CREDENTIALS" in row.note
    path = tmp_path / "application_default_credentials.json"
    path.write_text('{"refresh_token": "canary"}')
    assert google.missing() is None
    backend = backends.load(SPEC)
    assert backend.source == "device"
    assert "canary" not in repr(vars(backend))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "nowhere"))
    assert google.missing() == "GOOGLE_APPLICATION_CREDENTIALS"


def test_credentials_that_are_none_are_one_line(monkeypatch, router, tmp_path):
    monkeypatch.delenv(google.ENDPOINT)
    (tmp_path / "application_default_credentials.json").write_text('{"type": "canary"}')
    with pytest.raises(CredentialsError) as caught:
        backends.load(SPEC).compile(router)
    assert "\n" not in str(caught.value)


def test_mistakes_in_the_spec_are_explained(monkeypatch):
    for target in ("google/proj", "google/proj/", "google/a/b/c"):
        with pytest.raises(InputError, match="google/PROJECT/PROCESSOR"):
            backends.load(f"cirq:{target}")
    with pytest.raises(InputError, match="did you mean 'timeout'"):
        backends.load(f"{SPEC},timout=3")
    for endpoint in ("quantum.example.org:443", "127.0.0.1", "127.0.0.1:80/x"):
        monkeypatch.setenv(google.ENDPOINT, endpoint)
        with pytest.raises(InputError, match="unset it to reach Google"):
            backends.load(SPEC)


def test_circuits_that_do_not_fit_are_refused_before_anything_is_sent(stand, router):
    backend = backends.load(SPEC)
    compiled = backend.compile(router)
    before = len(stand.asked())
    star = Circuit(6, tuple(Op("cx", (0, q)) for q in range(1, 6)), tuple(range(6)))
    free = Circuit(6, tuple(Op("h", (q,)) for q in range(6)) + star.ops, star.measured)
    with pytest.raises(FitError, match="couplings can hold"):
        backend.compile(free)
    wide = Circuit(106, tuple(Op("h", (q,)) for q in range(106)), tuple(range(106)))
    with pytest.raises(FitError, match="at most 105"):
        backend.compile(wide)
    with pytest.raises(FitError, match="gate h"):
        backend.emit(Circuit(2, (Op("h", (0,)),), (0,)), compiled)
    with pytest.raises(InputError, match="native circuit of 1 qubits"):
        backend.emit(Circuit(1, (), (0,)), compiled)
    with pytest.raises(InputError, match="no inputs"):
        backend.submit([Program(compiled, np.zeros((0, 2)))], 10, tag="t")
    assert len(stand.asked()) == before
