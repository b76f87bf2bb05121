"""Google's own client against a small Quantum Engine on the loopback interface."""

import json
import math
import os
import socket
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

import backends
from backends.base import Compiled
from backends.cirq import google
from backends.cirq.google_sweep import counts as counted
from backends.queued import BusyError, Cost, JobRef, Limits, Program, Queued, RefusedError
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
from tests.services.faults import KINDS
from tests.services.started import service

pytestmark = pytest.mark.xdist_group("cirq")

ROOT = Path(__file__).parents[3]
SPEC = "cirq:google/proj/willow_pink"
SHOTS = 20_000
SINCE = datetime(2026, 1, 1, tzinfo=UTC)
CANARY = "canary-token-3b7e"
THETA = np.linspace(0.3, 2.0, 4)
X = np.random.default_rng(5).uniform(0, np.pi, size=(5, 2))
USER = {
    "type": "authorized_user",
    "client_id": "id",
    "client_secret": CANARY,
    "refresh_token": CANARY,
}
RESUME = """
import json, sys
import backends
from backends.queued import JobRef
ref = JobRef.from_dict(json.loads(sys.argv[1]))
found = backends.load(ref.spec).fetch(ref)
print(json.dumps({row: counts.tolist() for row, counts in found.items()}))
"""


@pytest.fixture(scope="module")
def stand(tmp_path_factory):
    with service("google", tmp_path_factory.mktemp("google")) as started:
        yield started


@pytest.fixture(autouse=True)
def environment(stand, monkeypatch, tmp_path):
    monkeypatch.setenv(google.ENDPOINT, f"127.0.0.1:{stand.port}")
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    for name in ("GOOGLE_APPLICATION_CREDENTIALS", "GCE_METADATA_HOST"):
        monkeypatch.delenv(name, raising=False)
    stand.behave()


@pytest.fixture(scope="module")
def router():
    return reupload(2, 2, measured=(1, 0)).bind_weights(THETA)


def accepted(stand, name):
    """The rows of each job that was accepted under an id."""
    return [job["rows"] for job in stand.jobs() if job["id"] == name]


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
    before = len(stand.requests())
    compiled = backend.compile(router)
    assert np.allclose(exact(compiled.native), exact(router), rtol=0, atol=1e-9)
    assert {op.gate for op in compiled.native.ops} == {"phased_xz", "cz"}
    assert (compiled.noisy, compiled.expected_fidelity, compiled.calibrated_at) == (None,) * 3
    assert Compiled.from_json(compiled.to_json()) == compiled
    counts = backend.run(compiled, X, SHOTS, seed=3)
    assert counts.shape == (5, 4)
    assert (counts.sum(1) == SHOTS).all()
    assert close(counts, router)
    asked = stand.requests()[before:]
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
    assert again == first
    assert backend.find("plan-1", SINCE) == (first.id,)
    assert accepted(stand, first.id) == [5]
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
    assert accepted(stand, first.id) == [5]


def test_a_program_that_waits_for_another_job_is_not_run(stand, router):
    backend = backends.load(SPEC)
    compiled = backend.compile(router)
    stand.behave(faults=[{"call": "create", "kind": "400", "after": 1}])
    with pytest.raises(RefusedError, match="refused by plan"):
        backend.submit([Program(compiled, X)], 500, tag="half")
    folded = backend.emit(compiled.native.folded(3), compiled)
    with pytest.raises(RefusedError, match=r"program qmoe-[0-9a-f]* is there already, and another"):
        backend.submit([Program(folded, X)], 500, tag="half")
    assert backend.find("half", SINCE) == ()
    ref = backend.submit([Program(compiled, X)], 500, tag="half")
    assert accepted(stand, ref.id) == [5]


def test_two_runs_with_one_seed_are_two_jobs(router):
    backend = backends.load(SPEC)
    compiled = backend.compile(router)
    first, second = (backend.run(compiled, X, SHOTS, 0) for _ in range(2))
    assert (first != second).any()


SURELY_NOT = {
    "400": RefusedError,
    "401": CredentialsError,
    "404": RefusedError,
    "429": BusyError,
}
IN_DOUBT = {"malformed": QmoeError}  # of the others there is no answer
NOT_DONE = (*SURELY_NOT, "500", "503", "timeout")


@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_of_a_new_job_is_a_refusal_or_in_doubt_and_sending_again_runs_it_once(
    stand, router, kind
):
    tag = f"fault-{kind}"
    seconds = ",call_timeout=2" if kind in ("timeout", "stall") else ""
    backend = backends.load(SPEC + seconds)
    assert backend.spec == SPEC
    compiled = backend.compile(router)
    backend.submit([Program(compiled, X)], 50, tag=f"before-{tag}")  # what is read once is read
    stand.behave(faults=[{"call": "create", "kind": kind, "after": 1, "seconds": 4}])
    before = len(stand.requests())
    with pytest.raises(QmoeError) as caught:
        backend.submit([Program(compiled, X)], 50, tag=tag)
    assert type(caught.value) is (SURELY_NOT | IN_DOUBT).get(kind, UnreachableError)
    assert "\n" not in str(caught.value)
    assert stand.requests()[before:].count("CreateQuantumJob") == 1
    patient = backends.load(SPEC)
    found = patient.find(tag, SINCE)
    assert len(found) == (kind not in NOT_DONE)
    ref = patient.submit([Program(compiled, X)], 50, tag=tag)
    assert found in ((), (ref.id,))
    assert patient.find(tag, SINCE) == (ref.id,)
    assert accepted(stand, ref.id) == [5]
    assert len(patient.fetch(ref)) == 5


@pytest.mark.parametrize("kind", ["400", "401", "404", "429", "503", "lost", "malformed"])
def test_a_fault_of_a_new_program_leaves_no_job(stand, router, kind):
    backend = backends.load(SPEC)
    compiled = backend.compile(router)
    stand.behave(faults=[{"call": "create", "kind": kind}])
    with pytest.raises((SURELY_NOT | IN_DOUBT).get(kind, UnreachableError)):
        backend.submit([Program(compiled, X)], 50, tag=f"program-{kind}")
    assert backend.find(f"program-{kind}", SINCE) == ()
    ref = backend.submit([Program(compiled, X)], 50, tag=f"program-{kind}")
    assert accepted(stand, ref.id) == [5]


@pytest.mark.parametrize("kind", ["400", "401", "404", "429"])
def test_a_refusal_to_show_a_job_that_is_there_is_no_refusal_of_the_job(stand, router, kind):
    backend = backends.load(SPEC)
    compiled = backend.compile(router)
    ref = backend.submit([Program(compiled, X)], 50, tag=f"shown-{kind}")
    stand.behave(faults=[{"call": "status", "kind": kind}])
    with pytest.raises(QmoeError, match="is there already, perhaps another one") as caught:
        backend.submit([Program(compiled, X)], 50, tag=f"shown-{kind}")
    assert type(caught.value) is QmoeError
    assert backend.submit([Program(compiled, X)], 50, tag=f"shown-{kind}") == ref


def test_a_job_that_is_found_late_is_in_doubt_until_then(stand, router):
    backend = backends.load(SPEC)
    compiled = backend.compile(router)
    stand.behave(late=2, faults=[{"call": "create", "kind": "lost", "after": 1}])
    with pytest.raises(UnreachableError):
        backend.submit([Program(compiled, X)], 50, tag="late")
    assert backend.find("late", SINCE) == ()
    with pytest.raises(QmoeError, match="perhaps another one"):
        backend.submit([Program(compiled, X)], 50, tag="late")
    (name,) = backend.find("late", SINCE)
    assert accepted(stand, name) == [5]


READS = {"status": "status", "results": "fetch", "cancel": "cancel"}


@pytest.mark.parametrize("call", READS)
@pytest.mark.parametrize("kind", ["429", "500", "503", "cut", "lost", "malformed"])
def test_a_fault_of_a_reading_call_passes_or_is_one_line(stand, router, call, kind):
    backend = backends.load(SPEC)
    stand.behave(hold=call == "cancel")
    tag = f"read-{call}-{kind}"
    ref = backend.submit([Program(backend.compile(router), X)], 50, tag=tag)
    stand.behave(hold=call == "cancel", faults=[{"call": call, "kind": kind}])
    ask = getattr(backend, READS[call])
    said = {"429": (BusyError, "which is busy"), "malformed": (QmoeError, "cannot be read")}
    if kind in said and (call, kind) != ("cancel", "malformed"):  # that answer has nothing in it
        error, words = said[kind]
        with pytest.raises(error, match=words) as caught:
            ask(ref)
        assert "\n" not in str(caught.value)
    ask(ref)  # the client itself asks again where there was no answer
    wanted = "cancelled" if call == "cancel" else "done"
    assert backend.status(ref) == wanted


@pytest.mark.parametrize("call", ["connect", "status", "search", "results"])
@pytest.mark.parametrize("kind", ["timeout", "503"])
def test_a_service_that_stays_away_is_unreachable_within_the_time_limit(stand, router, call, kind):
    backend = backends.load(SPEC)
    compiled = backend.compile(router)
    ref = backend.submit([Program(compiled, X)], 50, tag="away")
    stand.behave(faults=[{"call": call, "kind": kind, "times": -1, "seconds": 4}])
    hasty = backends.load(f"{SPEC},call_timeout=0.5")
    ask = {
        "connect": lambda: hasty.compile(router),
        "status": lambda: hasty.status(ref),
        "search": lambda: hasty.find("away", SINCE),
        "results": lambda: hasty.fetch(ref),
    }[call]
    with pytest.raises(UnreachableError, match=r"no answer of 127\.0\.0\.1"):
        ask()


def test_what_a_job_is_worth_is_not_said(stand, router):
    backend = backends.load(SPEC)
    assert (backend.account, backend.idempotent) == ("google", True)
    assert backend.limits() == Limits(programs=1)
    assert backend.left() is None
    cost = backend.cost([5, 5], 100)
    assert (cost.money, cost.seconds) == (None, None)
    assert "no prices" in cost.note
    assert isinstance(cost, Cost)
    compiled = backend.compile(router)
    ref = backend.submit([Program(compiled, X)], 50, tag="free")
    assert backend.usage(ref) is None
    before = len(stand.jobs())
    with pytest.raises(InputError, match="got 2 circuits in one job; expected one"):
        backend.submit([Program(compiled, X)] * 2, 50, tag="two")
    assert len(stand.jobs()) == before


def test_only_the_tag_and_the_processor_make_the_ids(stand, router):
    backend = backends.load(SPEC)
    compiled = backend.compile(router)
    assert backend.find("nothing", SINCE) == ()
    ref = backend.submit([Program(compiled, X)], 50, tag="found")
    assert backends.load(f"{SPEC},simplify=false").find("found", SINCE) == (ref.id,)
    assert backends.load("cirq:google/other/willow_pink").find("found", SINCE) == ()


def test_a_slow_job_is_waited_for(stand, router):
    backend = backends.load(SPEC)
    compiled = backend.compile(router)
    stand.behave(slow=2)
    ref = backend.submit([Program(compiled, X)], SHOTS, tag="slow")
    seen = [backend.status(ref) for _ in range(3)]
    assert seen == ["submitted", "submitted", "done"]
    assert close(np.array([*backend.fetch(ref).values()]), router)


@pytest.mark.parametrize(
    "says", [[[[0, 1]] * 50] * 4, [[[0, 1]] * 50] * 6, [[[0, 1]] * 49] * 5, [[[0, 1]] * 51] * 5]
)
def test_results_of_other_rows_or_shots_are_refused(stand, router, says):
    backend = backends.load(SPEC)
    ref = backend.submit([Program(backend.compile(router), X)], 50, tag="other")
    stand.behave(says=says)
    with pytest.raises(QmoeError, match=r"returned \d results of .*, not 5 of 50 shots") as caught:
        backend.fetch(ref)
    assert ref.id in str(caught.value)
    stand.behave(says=[[[0, 1]] * 50] * 5)
    assert all(row.tolist() == [0, 50, 0, 0] for row in backend.fetch(ref).values())


def test_results_that_would_fill_the_memory_are_refused():
    ref = JobRef(SPEC, "p/j", 1, 2, "t")
    for width in (27, 62, 64, 2000):
        with pytest.raises(QmoeError, match=f"{width} bits a shot"):
            counted([np.zeros((2, width), dtype=np.uint8)], ref)
    for bits in (np.zeros(2), np.zeros(()), np.zeros((2, 1, 1))):
        with pytest.raises(QmoeError, match="not 1 of 2 shots"):
            counted([bits], ref)


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
    other = backend.submit([Program(compiled, X)], 10, tag="released")
    stand.behave()
    backend.cancel(other)  # has ended: it stays as it is
    assert backend.status(other) == "done"
    assert len(backend.fetch(other)) == 5


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
    stand.behave(faults=[{"call": "connect", "kind": "401", "times": -1}])
    with pytest.raises(CredentialsError, match="refused by plan") as caught:
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
    path.write_text(json.dumps(USER))
    assert google.missing() is None
    backend = backends.load(SPEC)
    assert backend.source == "device"
    assert CANARY not in repr(vars(backend))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "nowhere"))
    assert google.missing() == "GOOGLE_APPLICATION_CREDENTIALS"


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"type": "other", "refresh_token": CANARY}),
        json.dumps({"type": "authorized_user", "refresh_token": CANARY}),
        f'{{"refresh_token": "{CANARY}"',
    ],
)
def test_credentials_that_are_none_are_one_line(monkeypatch, router, tmp_path, text):
    monkeypatch.delenv(google.ENDPOINT)
    (tmp_path / "application_default_credentials.json").write_text(text)
    with pytest.raises(CredentialsError) as caught:
        backends.load(SPEC).compile(router)
    assert "\n" not in str(caught.value)
    assert CANARY not in str(caught.value)


OVERRIDES = {
    "GOOGLE_API_USE_MTLS_ENDPOINT": "always",
    "GOOGLE_API_USE_CLIENT_CERTIFICATE": "true",
    "GOOGLE_CLOUD_UNIVERSE_DOMAIN": "example.org",
    "GOOGLE_CLOUD_PROJECT": "another",
    "GOOGLE_CLOUD_QUOTA_PROJECT": "another",
}


def test_a_device_is_only_what_googles_own_address_says(monkeypatch, tmp_path):
    """Google's client has variables that move it; none moves it away from the address set here."""
    (tmp_path / "application_default_credentials.json").write_text(json.dumps(USER))
    for name, value in OVERRIDES.items():
        monkeypatch.setenv(name, value)
    assert backends.load(SPEC).source == "loopback"
    monkeypatch.delenv(google.ENDPOINT)
    backend = backends.load(SPEC)
    assert backend.source == "device"
    for engine in (backend.processor._engine, backend.processor._once):
        client = engine.context.client.grpc_client
        assert client.api_endpoint == "quantum.googleapis.com"
        assert client.transport.host == "quantum.googleapis.com:443"
        assert engine.project_id == "proj"


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
    before = len(stand.requests())
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
    assert len(stand.requests()) == before
