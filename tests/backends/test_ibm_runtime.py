"""Real IBM devices, asked with the real client over a loopback service."""

import json
import logging
import os
import socket
import subprocess
import sys
import traceback
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from backends import load
from backends.base import Compiled
from backends.ibm import account, runtime, sampler
from backends.ibm.circuits import to_qiskit
from backends.queued import BusyError, JobRef, Program, Queued, RefusedError
from qmoe.ansatz import reupload
from qmoe.circuit import Circuit, Feature, Op
from qmoe.errors import CredentialsError, FitError, InputError, QmoeError, UnreachableError
from qmoe.simulate import reference

pytestmark = pytest.mark.xdist_group("ibm")

ROOT = Path(__file__).parents[2]
KEY = "canary-api-key-7d1e"
ACCOUNT = "crn:v1:bluemix:public:quantum-computing:us-east:a/b:c::"
SPEC = "ibm:ibm_boston"
SHOTS = 4000
THETA = np.linspace(0.3, 2.0, 4)
X = np.random.default_rng(5).uniform(0, np.pi, size=(5, 2))
VARIABLES = ("TOKEN", "INSTANCE", "URL", "CHANNEL")
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

    def __init__(self, port):
        self.url = f"http://127.0.0.1:{port}"

    def behave(self, **behaviour):
        data = json.dumps(behaviour).encode()
        urllib.request.urlopen(f"{self.url}/_behaviour", data).close()

    def jobs(self):
        """The bodies of all POSTs of jobs so far."""
        with urllib.request.urlopen(f"{self.url}/_requests") as reply:
            asked = json.load(reply)
        return [
            json.loads(each["body"])
            for each in asked
            if (each["method"], each["path"]) == ("POST", "/jobs")
        ]


def surroundings(patch, url, home):
    """The environment of an account at the service; the flag spares IBM's search for instances."""
    for name in VARIABLES:
        patch.delenv(f"QISKIT_IBM_{name}", raising=False)
    patch.setenv("HOME", str(home))
    patch.setenv("QISKIT_IBM_TOKEN", KEY)
    patch.setenv("QISKIT_IBM_INSTANCE", ACCOUNT)
    patch.setenv("QISKIT_IBM_URL", url)
    patch.setenv("IAM_URL", url)
    patch.setenv("QISKIT_FUNCTIONS_EXPERIMENTAL", "1")


@pytest.fixture(scope="module")
def stand():
    command = [sys.executable, "-W", "ignore", "-m", "tests.services.ibm", KEY]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Stand(int(process.stdout.readline()))
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def device(stand, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        surroundings(patch, stand.url, tmp_path_factory.mktemp("home"))
        return load(SPEC)


@pytest.fixture(scope="module")
def router():
    return reupload(2, 2, measured=(1, 0)).bind_weights(THETA)


@pytest.fixture(scope="module")
def compiled(device, router):
    return device.compile(router)


@pytest.fixture(autouse=True)
def environment(stand, monkeypatch, tmp_path):
    surroundings(monkeypatch, stand.url, tmp_path)
    stand.behave()


@pytest.fixture
def refused(capfd):
    """Collects an error: one line, no secret in it, its traceback, its log or its backend."""

    def check(caught, *others):
        shown = str(caught.value)
        assert "\n" not in shown
        everything = "".join(traceback.format_exception(caught.value)) + "".join(capfd.readouterr())
        everything += "".join(repr(each) + repr(vars(each)) for each in others)
        for secret in (KEY, "eyJ", "wrong-canary"):  # access tokens start with eyJ
            assert secret not in everything
        return shown

    return check


def exact(circuit, x=X):
    return reference.probabilities(circuit, (), x)


def close(counts, circuit, x=X):
    """Whether counts are shots of the distribution, by Bernstein's bound at 1e-9 for all cells."""
    p, shots = exact(circuit, x), counts.sum(1, keepdims=True)
    log = np.log(2 * p.size / 1e-9)
    bound = log / 3 + np.sqrt(log**2 / 9 + 2 * log * shots * p * (1 - p))
    return counts.shape == p.shape and (abs(counts - shots * p) <= bound).all()


# ---- compiling


def test_a_device_is_compiled_for_as_its_snapshot_is(device, compiled, router):
    assert isinstance(device, Queued)
    assert (device.spec, device.source) == (SPEC, "loopback")
    snapshot = load("ibm:fake_boston").compile(router)
    assert compiled.native == snapshot.native
    assert compiled.physical == snapshot.physical
    assert compiled.noisy == snapshot.noisy
    assert np.array_equal(compiled.confusion, snapshot.confusion)
    assert compiled.calibrated_at == "2026-04-17T12:19:24+00:00"  # times of the service are UTC
    assert Compiled.from_json(compiled.to_json()) == compiled
    assert np.allclose(exact(compiled.native), exact(router), rtol=0, atol=1e-9)


def test_what_its_twin_was_compiled_to_runs_on_the_device(device, router):
    free = reupload(2, 2, measured=(1, 0))
    twin = load(f"twin:{SPEC}")
    trained = twin.compile(free).bind_weights(THETA)
    expected = twin.probabilities(trained, X)
    assert 1e-4 < abs(expected - exact(router)).max() < 0.05
    assert close(device.run(trained, X, SHOTS, 0), router)  # the service has no noise


def test_emitted_circuits_keep_qubits_and_gates(device, compiled):
    assert device.emit(compiled.native, compiled) == compiled
    folded = device.emit(compiled.native.folded(3), compiled)
    assert folded.two_qubit_gates == 3 * compiled.two_qubit_gates
    assert folded.physical == compiled.physical


def test_what_does_not_fit_is_refused_before_anything_is_sent(stand, device, compiled):
    before = len(stand.jobs())
    wide = Circuit(157, tuple(Op("sx", (q,)) for q in range(157)), (0, 156), 0)
    with pytest.raises(FitError, match="157 qubits") as caught:
        load(f"{SPEC},simplify=false").compile(wide)
    assert caught.value.exit_code == 6
    free = device.compile(reupload(2, 1))
    with pytest.raises(InputError, match="free weights"):
        device.submit([Program(free, X)], 10, tag="t")
    with pytest.raises(InputError, match="no inputs"):
        device.submit([Program(compiled, X[:0])], 10, tag="t")
    with pytest.raises(InputError, match="shots"):
        device.submit([Program(compiled, X)], 0, tag="t")
    assert len(stand.jobs()) == before
    assert device.run(compiled, X[:0], 10, 0).shape == (0, 4)


def test_a_gate_that_died_since_compiling_is_refused(stand, compiled):
    stand.behave(dead=sorted(map(int, compiled.physical)))
    later = load(SPEC)
    before = len(stand.jobs())
    with pytest.raises(FitError, match="cz on qubits"):
        later.submit([Program(compiled, X)], 10, tag="t")
    assert len(stand.jobs()) == before
    assert later.compile(reupload(2, 1)).physical != compiled.physical


def test_a_device_without_calibration_is_one_line(stand, router):
    stand.behave(uncalibrated=True)
    with pytest.raises(InputError, match="ibm_boston without a calibration"):
        load(SPEC).compile(router)


# ---- running


@pytest.mark.parametrize(("kind", "program"), [("client", "executor"), ("v2", "sampler")])
def test_a_router_runs_in_one_post_with_either_sampler(stand, router, kind, program):
    backend = load(f"{SPEC},sampler={kind},max_execution_time=77,timeout=60")
    assert backend.spec == f"{SPEC},sampler={kind},max_execution_time=77"
    compiled = backend.compile(router)
    before = len(stand.jobs())
    counts = backend.run(compiled, X, SHOTS, seed=3)
    assert (counts.sum(1) == SHOTS).all()
    assert counts.dtype == np.int64
    assert close(counts, router)
    assert not close(counts[:, ::-1], router)
    (sent,) = stand.jobs()[before:]
    assert sent["program_id"] == program
    assert (sent["backend"], sent["tags"], sent["cost"]) == ("ibm_boston", ["qmoe-3"], 77)
    if kind == "client":
        (item,) = sent["params"]["quantum_program"]["items"]
        assert item["circuit_arguments"]["shape"] == [5, 2]
    else:
        assert len(sent["params"]["pubs"]) == 1


def test_the_time_on_the_device_is_limited_without_being_asked(stand, device, compiled):
    device.submit([Program(compiled, X)], 10, tag="t")
    assert stand.jobs()[-1]["cost"] == runtime.MOST_SECONDS


@pytest.mark.parametrize("measured", [(0,), (2, 0), (0, 2, 1), (3, 1)])
def test_outcomes_are_big_endian_over_what_is_measured(device, measured):
    ops = (
        Op("ry", (0,), (0.4,)),
        Op("ry", (1,), (Feature(0),)),
        Op("cx", (1, 2)),
        Op("ry", (2,), (1.9,)),
        Op("ecr", (2, 0)),
    )
    circuit = Circuit(4, ops, measured, 1)  # qubit 3 idles
    x = np.array([[0.3], [2.2]])
    assert close(device.run(device.compile(circuit), x, SHOTS, 0), circuit, x)


@pytest.mark.parametrize("kind", sampler.KINDS)
def test_circuits_without_gates_or_features_keep_their_rows(kind):
    backend = load(f"{SPEC},sampler={kind}")
    bell = Circuit(2, (Op("ry", (0,), (0.9,)), Op("cx", (0, 1))), (0, 1))
    counts = backend.run(backend.compile(bell), np.zeros((3, 0)), SHOTS, 0)
    assert close(counts, bell, np.zeros((3, 0)))
    assert len({tuple(row) for row in counts.tolist()}) == 3  # three draws, not one repeated
    unused = Circuit(2, (Op("x", (0,)),), (1, 0), 1)  # a feature that no gate uses
    assert backend.run(backend.compile(unused), X[:2, :1], 7, 0).tolist() == [[0, 7, 0, 0]] * 2
    empty = backend.compile(Circuit(1, (), (0,)))
    assert backend.run(empty, np.zeros((1, 0)), 7, 0).tolist() == [[7, 0]]


def test_ten_measured_qubits_take_two_bytes_of_a_shot():
    from qiskit.primitives import BitArray, DataBin, SamplerPubResult

    outcomes = np.array([[513, 2, 513], [1023, 0, 256]])
    packed = np.stack([outcomes >> 8, outcomes & 255], axis=-1).astype(np.uint8)
    result = [SamplerPubResult(DataBin(c=BitArray(packed, 10), shape=(2,)))]
    counts = sampler.counts(result, 2)
    assert counts.shape == (2, 1024)
    assert {
        (int(r), int(k)): int(counts[r, k]) for r, k in zip(*np.nonzero(counts), strict=True)
    } == {(0, 513): 2, (0, 2): 1, (1, 1023): 1, (1, 0): 1, (1, 256): 1}
    with pytest.raises(QmoeError, match="of 4 inputs"):
        sampler.counts(result, 4)


def test_rows_sum_to_the_shots_that_there_were(stand, device, compiled):
    stand.behave(shots=3)
    assert (device.run(compiled, X, 100, 0).sum(1) == 97).all()


# ---- the queue


def test_another_process_fetches_by_the_reference_alone(device, compiled, router):
    ref = device.submit([Program(compiled, X)], SHOTS, tag="plan-1")
    text = json.dumps(ref.to_dict())
    assert KEY not in text
    assert (ref.spec, ref.rows, ref.shots, ref.tag) == (SPEC, 5, SHOTS, "plan-1")
    command = [sys.executable, "-W", "ignore", "-c", RESUME, text]
    done = subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, check=True)
    found = json.loads(done.stdout)
    assert done.stderr == b""
    assert [found[str(row)] for row in range(5)] == [
        counts.tolist() for counts in device.fetch(ref).values()
    ]
    assert close(np.array([*found.values()]), router)


@pytest.mark.parametrize("behaviour", [{"after": 504}, {"after": 500}, {"lose": True}])
def test_a_job_whose_reply_is_lost_is_not_sent_again(stand, device, compiled, behaviour):
    stand.behave(**behaviour)
    before = len(stand.jobs())
    with pytest.raises(UnreachableError, match="look for a job tagged plan-7 before") as caught:
        device.submit([Program(compiled, X)], 10, tag="plan-7")
    assert caught.value.exit_code == 4
    assert len(stand.jobs()) == before + 1


def test_a_job_in_the_queue_can_be_waited_for_and_cancelled(stand, compiled):
    stand.behave(status="Queued")
    backend = load(f"{SPEC},timeout=0")
    with pytest.raises(UnreachableError, match=r"no result of job job-[0-9]+ after 0 s"):
        backend.run(compiled, X, 10, 0)
    ref = backend.submit([Program(compiled, X)], 10, tag="t")
    assert backend.status(ref) == "submitted"
    assert backend.fetch(ref) == {}
    backend.cancel(ref)
    assert backend.status(ref) == "cancelled"
    with pytest.raises(QmoeError, match=f"IBM job {ref.id} cancelled"):
        backend.fetch(ref)


@pytest.mark.parametrize(("state", "status"), [("Running", "running"), ("Completed", "done")])
def test_a_job_that_runs_or_ended_says_so_and_its_end_is_no_cancel(
    stand, device, compiled, state, status
):
    stand.behave(status=state)
    ref = device.submit([Program(compiled, X)], 10, tag="t")
    assert device.status(ref) == status
    if status == "done":
        device.cancel(ref)
        assert device.status(ref) == "done"


def test_a_failed_job_is_one_line_with_the_vendors_words(stand, device, compiled, refused):
    stand.behave(status="Failed", reason=f"the fridge\nis warm {KEY}", code=1517)
    ref = device.submit([Program(compiled, X)], 10, tag="t")
    assert device.status(ref) == "failed"
    with pytest.raises(QmoeError, match=r"failed: .*1517.*the fridge is warm") as caught:
        device.fetch(ref)
    refused(caught)
    with pytest.raises(QmoeError, match="the fridge is warm"):
        device.run(compiled, X, 10, 0)


def test_a_job_that_took_too_long_has_failed(stand, device, compiled):
    stand.behave(status="Cancelled", reason="ran too long", code=1305)
    ref = device.submit([Program(compiled, X)], 10, tag="t")
    assert device.status(ref) == "failed"
    with pytest.raises(QmoeError, match="longer than maximum execution time"):
        device.fetch(ref)


@pytest.mark.parametrize("results", ["", "{}", "[1", '{"schema_version": "v9"}', "null"])
def test_results_that_cannot_be_read_are_one_line(stand, device, compiled, results, refused):
    ref = device.submit([Program(compiled, X)], 10, tag="t")
    stand.behave(results=results)
    with pytest.raises(QmoeError) as caught:
        device.fetch(ref)
    assert "results" in refused(caught)


# ---- refusals


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, CredentialsError),
        (403, CredentialsError),
        (404, InputError),
        (429, BusyError),
        (503, UnreachableError),
        (400, RefusedError),
    ],
)
def test_refusals_have_their_exit_codes_and_no_secret(stand, device, status, kind, refused):
    stand.behave(refuse={"GET /jobs/nope": status})
    with pytest.raises(QmoeError) as caught:
        device.status(JobRef(SPEC, "nope", 1, 1, "t"))
    assert type(caught.value) is kind
    assert "nope" in refused(caught, device, device._account)


def test_an_unknown_job_is_bad_input(device, refused):
    with pytest.raises(InputError, match="job nope, which IBM does not know") as caught:
        device.fetch(JobRef(SPEC, "nope", 1, 1, "t"))
    refused(caught)


@pytest.mark.filterwarnings("ignore")  # which the client's warnings must survive
@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        ({"usage": {"usage_limit_reached": True}}, "no more time available"),
        ({"device": {"status": "internal"}}, "has a status of internal"),
    ],
)
def test_what_would_wait_for_ever_is_not_sent(stand, device, compiled, behaviour, words):
    stand.behave(**behaviour)
    before = len(stand.jobs())
    with pytest.raises(QmoeError, match=words):
        device.submit([Program(compiled, X)], 10, tag="t")
    assert len(stand.jobs()) == before


@pytest.mark.filterwarnings("ignore")  # which the client's warnings must survive
@pytest.mark.parametrize(
    ("request_", "status", "kind"),
    [
        ("POST /identity/token", 401, CredentialsError),
        ("POST /identity/token", 503, UnreachableError),
        ("GET /backends", 401, CredentialsError),
        ("GET /backends", 403, CredentialsError),
        ("GET /backends/ibm_boston/configuration", 403, CredentialsError),
    ],
)
def test_what_the_client_swallows_while_loading_is_told(stand, request_, status, kind, refused):
    stand.behave(refuse={request_: status})
    with pytest.raises(QmoeError) as caught:
        load(SPEC)
    assert type(caught.value) is kind
    assert "ibm_boston" in refused(caught)


def test_a_wrong_key_is_refused_and_not_shown(monkeypatch, refused):
    monkeypatch.setenv("QISKIT_IBM_TOKEN", "wrong-canary")
    with pytest.raises(CredentialsError, match="QISKIT_IBM_TOKEN") as caught:
        load(SPEC)
    assert caught.value.exit_code == 3
    refused(caught)


def test_a_port_that_nobody_listens_on_is_unreachable(monkeypatch, refused):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        monkeypatch.setenv("IAM_URL", url)
        monkeypatch.setenv("QISKIT_IBM_URL", url)
        with pytest.raises(UnreachableError) as caught:
            load(SPEC)
    assert caught.value.exit_code == 4
    refused(caught)


def test_a_service_that_keeps_silent_is_not_waited_for(stand, device):
    stand.behave(sleep=0.5)
    with pytest.raises(UnreachableError, match="no answer for job j"):
        device._account.ask("job j", lambda: device._account._client.job("j"), seconds=0.1)


def test_no_filter_stays_at_the_clients_loggers(device):
    with pytest.raises(InputError):
        device.status(JobRef(SPEC, "nope", 1, 1, "t"))
    for name in ("qiskit_ibm_runtime.qiskit_runtime_service", "urllib3.connectionpool"):
        assert logging.getLogger(name).filters == []


# ---- specs, accounts, addresses


def test_credentials_are_asked_for_before_anything_is_sent(monkeypatch, tmp_path):
    assert account.missing() is None
    monkeypatch.delenv("QISKIT_IBM_TOKEN")
    assert "QISKIT_IBM_TOKEN" in (runtime.missing() or "")
    with pytest.raises(CredentialsError, match="QISKIT_IBM_TOKEN") as caught:
        load(SPEC)
    assert caught.value.exit_code == 3
    saved = tmp_path / ".qiskit" / "qiskit-ibm.json"
    saved.parent.mkdir()
    saved.write_text("{}")
    assert account.missing({}, tmp_path) is None


def test_accounts_that_cannot_be_used_are_one_line(monkeypatch, tmp_path, refused):
    monkeypatch.setenv("QISKIT_IBM_INSTANCE", "nobody's")
    with pytest.raises(InputError, match="check QISKIT_IBM_INSTANCE") as caught:
        load(SPEC)
    refused(caught)
    monkeypatch.setenv("QISKIT_IBM_CHANNEL", "local")
    with pytest.raises(CredentialsError, match="QISKIT_IBM_INSTANCE") as caught:
        load(SPEC)
    refused(caught)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("ibm:ibm_bostom", "did you mean 'ibm_boston'"),
        (f"{SPEC},timout=3", "did you mean 'timeout'"),
        (f"{SPEC},timeout=soon", "timeout=soon"),
        (f"{SPEC},sampler=v1", "one of client, v2"),
        (f"{SPEC},max_execution_time=0", "from 1 to 10800"),
        (f"{SPEC},simplify=no", "true or false"),
    ],
)
def test_mistakes_in_the_spec_are_explained(spec, words):
    with pytest.raises(InputError, match=words):
        load(spec)


@pytest.mark.parametrize(
    ("endpoint", "simulated", "environment", "expected"),
    [
        ("https://quantum.cloud.ibm.com/api/v1", False, {}, "device"),
        ("https://eu-de.quantum.cloud.ibm.com/api/v1", False, {}, "device"),
        ("https://private.us-east.quantum.cloud.ibm.com/api/v1", False, {}, "device"),
        (
            "https://quantum.cloud.ibm.com",
            False,
            {"IAM_URL": "https://iam.cloud.ibm.com"},
            "device",
        ),
        ("https://quantum.cloud.ibm.com", True, {}, "hosted-simulator"),
        (
            "https://quantum.cloud.ibm.com",
            False,
            {"IAM_URL": "https://iam.example.org"},
            "loopback",
        ),
        ("http://quantum.cloud.ibm.com", False, {}, "loopback"),
        ("https://quantum.cloud.ibm.com.example.org", False, {}, "loopback"),
        ("https://quantum.cloud.ibm.com@example.org", False, {}, "loopback"),
        ("https://example.org/quantum.cloud.ibm.com", False, {}, "loopback"),
        ("https://quantum.test.cloud.ibm.com", False, {}, "loopback"),
        ("http://127.0.0.1:8000", True, {}, "loopback"),
    ],
)
def test_only_ibms_own_addresses_are_a_device(endpoint, simulated, environment, expected):
    assert account.source(endpoint, simulated, environment) == expected


@pytest.mark.parametrize("variable", ["QISKIT_IBM_URL", "IAM_URL"])
def test_the_key_is_not_sent_unencrypted_to_other_machines(monkeypatch, variable):
    monkeypatch.setenv(variable, "http://user:pw@quantum.example.org")
    with pytest.raises(InputError, match=f"{variable} that is not https") as caught:
        load(SPEC)
    assert "pw" not in str(caught.value)


def test_importing_the_module_loads_no_sdk():
    code = (
        "import backends.ibm.runtime, sys;"
        "assert not {'qiskit', 'qiskit_aer', 'qiskit_ibm_runtime', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, cwd=ROOT)


# ---- the sampler classes where the backend is simulated here


@pytest.fixture(scope="module")
def local():
    from qiskit_ibm_runtime.fake_provider import FakeManilaV2

    native = Circuit(2, (Op("rz", (0,), (Feature(0),)), Op("x", (1,)), Op("cx", (1, 0))), (0, 1), 1)
    return FakeManilaV2(), to_qiskit(native, (0, 1), 5)


def sent(local, **options):
    mode, circuit = local
    return sampler.submit(
        mode, [(circuit, np.zeros((2, 1)))], 50, tags=["t"], max_execution_time=9, **options
    )


@pytest.mark.parametrize("kind", sampler.KINDS)
def test_both_classes_run_on_a_fake_backend(local, kind):
    counts = sampler.counts(sent(local, kind=kind).result(), 2)
    assert counts.shape == (2, 4)
    assert (counts.sum(1) == 50).all()
    assert (counts.argmax(1) == 3).all()


@pytest.mark.parametrize(
    "options", [{"twirling": {"enable_gates": True}}, {"dynamical_decoupling": {"enable": True}}]
)
def test_options_that_would_be_left_out_are_an_error(local, options):
    with pytest.raises(InputError, match="have no effect in local testing mode"):
        sent(local, kind="v2", options=options)


def test_the_other_class_twirls_on_a_fake_backend(local):
    options = {"twirling": {"enable_gates": True, "num_randomizations": 5}}
    counts = sampler.counts(sent(local, options=options).result(), 2)
    assert (counts.sum(1) == 50).all()
    assert (counts.argmax(1) == 3).all()
