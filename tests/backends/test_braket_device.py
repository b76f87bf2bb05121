"""Devices of Amazon Braket, asked with the real client over a loopback service."""

from __future__ import annotations

import json
import math
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backends import load
from backends.braket import aws
from backends.braket.calibration import SHIPPED
from backends.braket.device import Device
from backends.braket.queue import MEASURED
from backends.braket.tasks import PROGRAM_SET
from backends.queued import BusyError, JobRef, Program, Queued, RefusedError
from qmoe.ansatz import paper
from qmoe.circuit import Circuit, Feature, Op
from qmoe.errors import CredentialsError, FitError, InputError, QmoeError, UnreachableError
from qmoe.simulate import reference

pytestmark = pytest.mark.xdist_group("braket")

ROOT = Path(__file__).parents[2]
SECRETS = ("CANARYKEYID", "canary-secret", "canary-token")
SV1 = "arn:aws:braket:::device/quantum-simulator/amazon/sv1"
SETS = "arn:aws:braket:us-east-1::device/qpu/iqm/Sets"  # takes program sets
TASKS = "arn:aws:braket:us-east-1::device/qpu/iqm/Tasks"  # takes one circuit a task
IONQ = "arn:aws:braket:us-east-1::device/qpu/ionq/Traps"
ARIA = "arn:aws:braket:us-east-1::device/qpu/ionq/Aria"  # with gates that are not known
ANYWHERE = "arn:aws:braket:::device/qpu/iqm/Anywhere"  # which does not say its region
ASLEEP = "arn:aws:braket:us-east-1::device/qpu/iqm/Asleep"
PI = math.pi


# ---- without a service


@pytest.mark.parametrize(
    ("kind", "endpoints", "environment", "expected"),
    [
        ("QPU", ["https://braket.us-east-1.amazonaws.com"], {}, "device"),
        ("QPU", ["https://braket-fips.us-west-2.amazonaws.com"], {}, "device"),
        ("SIMULATOR", ["https://braket.eu-west-2.amazonaws.com"], {}, "hosted-simulator"),
        ("QPU", ["http://braket.us-east-1.amazonaws.com"], {}, "loopback"),
        ("QPU", ["https://127.0.0.1"], {}, "loopback"),
        ("QPU", ["https://braket.us-east-1.amazonaws.com.example.org"], {}, "loopback"),
        ("QPU", ["https://abc.execute-api.us-east-1.amazonaws.com"], {}, "loopback"),
        ("QPU", ["https://braket.us-east-1.amazonaws.com@example.org"], {}, "loopback"),
        ("QPU", ["https://s3.amazonaws.com", "http://localhost"], {}, "loopback"),
        ("QPU", ["https://s3.amazonaws.com"], {"BRAKET_ENDPOINT": "x"}, "loopback"),
        ("QPU", ["https://s3.amazonaws.com"], {"AWS_ENDPOINT_URL_S3": "x"}, "loopback"),
        ("QPU", ["https://s3.amazonaws.com"], {"AWS_ENDPOINT_URL": "x"}, "loopback"),
    ],
)
def test_results_are_a_devices_only_at_amazons_own_addresses(
    kind, endpoints, environment, expected
):
    assert aws.source(kind, endpoints, environment) == expected


def test_missing_credentials_are_named(tmp_path):
    said = aws.missing({}, tmp_path)
    assert said is not None
    assert "AWS_ACCESS_KEY_ID" in said
    assert "AWS_PROFILE" in said
    assert aws.missing({"AWS_ACCESS_KEY_ID": "a"}, tmp_path) == said
    assert aws.missing({"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}, tmp_path) is None
    assert aws.missing({"AWS_PROFILE": "p"}, tmp_path) is None
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws/credentials").touch()
    assert aws.missing({}, tmp_path) is None


@pytest.mark.parametrize("target", ["arn:aws:braket", "arn:aws:s3:::bucket", "arn:aws:braket:x"])
def test_a_device_is_named_by_an_arn(target):
    with pytest.raises(InputError, match="ARN"):
        load(f"braket:{target}")


# ---- over loopback


@dataclass
class Cloud:
    """Braket's stand-in and moto's S3 and STS, with the environment that leads there."""

    url: str
    environment: dict[str, str]

    def behave(self, **behaviour: Any) -> None:
        asked = urllib.request.Request(
            f"{self.url}/_behaviour", json.dumps(behaviour).encode(), method="POST"
        )
        urllib.request.urlopen(asked).close()

    def created(self, tag: str | None = None) -> list[dict[str, Any]]:
        """The requests for tasks so far, each client token once."""
        with urllib.request.urlopen(f"{self.url}/_requests") as reply:
            asked = [each["body"] for each in json.load(reply) if each["path"] == "/quantum-task"]
        mine = {
            body["clientToken"]: body | {"action": json.loads(body["action"])}
            for body in asked
            if tag in (None, body["tags"]["qmoe"])
        }
        return list(mine.values())


def service_properties(shots: tuple[int, int]) -> dict[str, Any]:
    """What is said of a service that is always open and is asked often."""
    return {
        "braketSchemaHeader": {
            "name": "braket.device_schema.device_service_properties",
            "version": "1",
        },
        "executionWindows": [
            {
                "executionDay": "Everyday",
                "windowStartHour": "00:00:00",
                "windowEndHour": "23:59:59",
            }
        ],
        "shotsRange": shots,
        "getTaskPollIntervalMillis": 20,
    }


def simulator() -> dict[str, Any]:
    """The capabilities of a hosted simulator."""
    schema = "braket.device_schema.simulators.gate_model_simulator"
    operations = ["x", "y", "z", "h", "s", "v", "rx", "ry", "rz", "cnot", "cz", "zz"]
    return {
        "braketSchemaHeader": {"name": f"{schema}_device_capabilities", "version": "1"},
        "service": service_properties((0, 100_000)),
        "action": {
            "braket.ir.openqasm.program": {
                "actionType": "braket.ir.openqasm.program",
                "version": ["1"],
                "supportedOperations": operations,
                "supportedResultTypes": [],
            }
        },
        "paradigm": {
            "braketSchemaHeader": {"name": f"{schema}_paradigm_properties", "version": "1"},
            "qubitCount": 3,
        },
        "deviceParameters": {},
    }


def processor(kind: str, *, sets: bool = False, gates: list[str] | None = None) -> dict[str, Any]:
    """The capabilities of one of the shipped synthetic processors, as a service reports them."""
    tree: dict[str, Any] = json.loads(SHIPPED[kind].read_text())
    tree["service"] |= service_properties((1, 20_000))
    tree["paradigm"]["nativeGateSet"] = gates or tree["paradigm"]["nativeGateSet"]
    tree["action"].pop(PROGRAM_SET, None)
    if sets:
        tree["action"][PROGRAM_SET] = {
            "actionType": PROGRAM_SET,
            "version": ["1"],
            "maximumExecutables": 3,
            "maximumTotalShots": 20_000,
        }
    return tree


@pytest.fixture(scope="module")
def cloud(tmp_path_factory) -> Iterator[Cloud]:
    folder = tmp_path_factory.mktemp("devices")
    for arn, kind, status, capabilities in [
        (SV1, "SIMULATOR", "ONLINE", simulator()),
        (SETS, "QPU", "ONLINE", processor("iqm", sets=True)),
        (TASKS, "QPU", "ONLINE", processor("iqm")),
        (IONQ, "QPU", "ONLINE", processor("ionq")),
        (ARIA, "QPU", "ONLINE", processor("ionq", gates=["GPI", "GPI2", "MS"])),
        (ANYWHERE, "QPU", "ONLINE", processor("iqm")),
        (ASLEEP, "QPU", "OFFLINE", processor("iqm")),
    ]:
        reply = {
            "deviceArn": arn,
            "deviceName": arn.rpartition("/")[2],
            "providerName": "a provider",
            "deviceType": kind,
            "deviceStatus": status,
            "deviceCapabilities": capabilities,
        }
        (folder / f"{reply['deviceName']}.json").write_text(json.dumps(reply))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    storage = f"http://127.0.0.1:{port}"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    moto = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], **quiet
    )
    service = subprocess.Popen(
        [sys.executable, "-m", "tests.services.braket", "--s3", storage, "--devices", str(folder)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    try:
        assert service.stdout is not None
        url = f"http://127.0.0.1:{int(service.stdout.readline())}"
        wait_until_open(port)
        names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
        environment = {
            **dict(zip(names, SECRETS, strict=True)),
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_CONFIG_FILE": str(folder / "none"),
            "AWS_SHARED_CREDENTIALS_FILE": str(folder / "none"),
            "BRAKET_ENDPOINT": url,
            "AWS_ENDPOINT_URL_S3": storage,
            "AWS_ENDPOINT_URL_STS": storage,
        }
        yield Cloud(url, environment)
    finally:
        for process in (service, moto):
            process.terminate()
            process.wait()
        assert service.stdout is not None
        service.stdout.close()


def wait_until_open(port: int) -> None:
    for _ in range(600):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise TimeoutError(port)


@pytest.fixture
def here(cloud, monkeypatch) -> Iterator[Cloud]:
    """The service, behaving as usual, with the environment set."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "AMZN_", "BRAKET_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name, value in cloud.environment.items():
        monkeypatch.setenv(name, value)
    cloud.behave()
    yield cloud
    cloud.behave()


@pytest.fixture
def known(here, loaded) -> Callable[[str], Device]:
    """The device of an ARN, loaded once."""

    def find(arn: str) -> Device:
        if arn not in loaded:
            loaded[arn] = load(f"braket:{arn}")
        return loaded[arn]

    return find


@pytest.fixture(scope="module")
def loaded() -> dict[str, Device]:
    return {}


def router() -> Circuit:
    """A trained router on two qubits."""
    circuit = paper(2, 2)
    weights = np.random.default_rng(7).uniform(-PI, PI, circuit.num_weights)
    return circuit.bind_weights(weights)


# three qubits of which each outcome has its own pattern: x = (a, b) in {0, pi} reads a, b, 1
ASYMMETRIC = Circuit(
    3,
    (Op("rx", (0,), (Feature(0),)), Op("rx", (1,), (Feature(1),)), Op("x", (2,))),
    (1, 2, 0),
    num_features=2,
)
ROWS = [[0.0, 0.0], [PI, 0.0], [0.0, PI], [PI, PI], [0.0, 0.0], [PI, 0.0], [0.0, PI]]
OUTCOMES = [0b010, 0b011, 0b110, 0b111, 0b010, 0b011, 0b110]


def send(backend: Queued, made: Compiled, x: Any, shots: int, tag: str) -> list[JobRef]:
    """The jobs of all rows, as few as the device allows."""
    parts = backend.limits().split([0] * len(x), shots)
    return [
        backend.submit([Program(made, np.array([x[k] for k in part]))], shots, tag=f"{tag} {n}")
        for n, part in enumerate(parts)
    ]


def rows(backend: Queued, refs: list[JobRef]) -> list[Any]:
    """The counts of all rows, in order."""
    found = [backend.fetch(ref) for ref in refs]
    for each, ref in zip(found, refs, strict=True):
        assert sorted(each) == list(range(ref.rows))
    return [each[row] for each in found for row in sorted(each)]


def sure(counts: Any, shots: int) -> list[int]:
    """The outcome of each row, where each has one only."""
    table = np.asarray(counts)
    assert (table.max(1) == shots).all()
    assert (table.sum(1) == shots).all()
    return [int(k) for k in table.argmax(1)]


@pytest.mark.parametrize("arn", [SETS, TASKS, IONQ, SV1])
def test_a_router_gives_its_distribution(here, known, arn):
    backend = known(arn)
    circuit = router()
    x = np.random.default_rng(1).uniform(-PI, PI, (4, 2))
    shots = 2000
    counts = backend.run(backend.compile(circuit), x, shots, 0)
    assert counts.shape == (4, 2 ** len(circuit.measured))
    assert (counts.sum(1) == shots).all()
    expected = reference.probabilities(circuit, (), x)
    # Hoeffding for every entry at once, wrong once in 1e9
    bound = math.sqrt(math.log(2 * counts.size / 1e-9) / (2 * shots))
    assert np.abs(counts / shots - expected).max() < bound
    assert backend.source == "loopback"
    assert isinstance(backend, Queued)


@pytest.mark.parametrize("arn", [SETS, TASKS, IONQ])
def test_native_circuits_go_in_verbatim_boxes_on_the_compiled_qubits(here, known, arn):
    backend = known(arn)
    made = backend.compile(router())
    folded = backend.emit(made.native.folded(3), made)
    for tag, each in (("plain", made), ("folded", folded)):
        ref = backend.submit([Program(each, np.array([[0.3, 0.4]]))], 10, tag=f"{arn[-5:]} {tag}")
        (body,) = here.created(ref.tag)
        action = body["action"]
        (source,) = [p["source"] for p in action.get("programs", [action])]
        assert "#pragma braket verbatim" in source
        wires = {int(found) for found in re.findall(r"\$(\d+)", source)}
        assert wires == {int(name) for name in each.physical}
        two = re.findall(r"^(?:cz|zz\(.*\)|ms\(.*\)) \$\d+, \$\d+;$", source, re.MULTILINE)
        assert len(two) == each.two_qubit_gates
    assert folded.two_qubit_gates == 3 * made.two_qubit_gates > 0


def test_program_sets_are_split_by_the_devices_limits(here, known):
    backend = known(SETS)
    refs = send(backend, backend.compile(ASYMMETRIC), ROWS, 50, "split")
    sent = [body for n in range(3) for body in here.created(f"split {n}")]
    assert [ref.rows for ref in refs] == [3, 2, 2]
    assert [len(body["action"]["programs"]) for body in sent] == [3, 2, 2]
    assert [body["shots"] for body in sent] == [150, 100, 100]
    assert sure(rows(backend, refs), 50) == OUTCOMES
    with pytest.raises(InputError, match="at most 3"):
        backend.submit([Program(backend.compile(ASYMMETRIC), np.array(ROWS))], 50, tag="x")


def test_without_program_sets_each_row_is_a_task(here, known):
    backend = known(TASKS)
    refs = send(backend, backend.compile(ASYMMETRIC), ROWS, 50, "rows")
    sent = [body for n in range(7) for body in here.created(f"rows {n}")]
    assert [ref.rows for ref in refs] == [1] * 7
    assert len({ref.id for ref in refs}) == 7
    assert [body["shots"] for body in sent] == [50] * 7
    assert all('"disableQubitRewiring": true' in body["deviceParameters"] for body in sent)
    assert sure(rows(backend, refs), 50) == OUTCOMES


@pytest.mark.parametrize(
    ("arn", "behaviour"),
    [
        (SETS, {"ascending": True, "files": True}),
        (SETS, {"probabilities": True}),
        (TASKS, {"ascending": True}),
        (SV1, {"ascending": True, "probabilities": True}),
    ],
    ids=["a set in files", "probabilities of a set", "tasks", "probabilities of tasks"],
)
def test_the_bit_order_is_the_circuits_however_results_are_written(here, known, arn, behaviour):
    here.behave(**behaviour)
    backend = known(arn)
    refs = send(backend, backend.compile(ASYMMETRIC), ROWS, 30, "order " + "+".join(behaviour))
    assert sure(rows(backend, refs), 30) == OUTCOMES


def in_a_new_process(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_another_process_fetches_by_reference_and_repeats_without_paying(here):
    backend = load(f"braket:{SETS},timeout=9")
    made = backend.compile(ASYMMETRIC)
    x = np.array(ROWS[:3])
    ref = backend.submit([Program(made, x)], 20, tag="resumed")
    out = in_a_new_process(f"""
import json
import numpy as np
from backends import load
from backends.base import Compiled
from backends.queued import JobRef, Program
ref = JobRef.from_dict(json.loads({json.dumps(json.dumps(ref.to_dict()))}))
backend = load(ref.spec)
assert backend.status(ref) == "done"
made = Compiled.from_json({made.to_json()!r})
again = backend.submit([Program(made, np.array({x.tolist()!r}))], 20, tag="resumed")
counts = backend.fetch(ref)
print(json.dumps([again == ref, [counts[row].tolist() for row in range(3)]]))
""")
    same, counts = json.loads(out)
    assert same
    assert sure(counts, 20) == OUTCOMES[:3]
    assert len(here.created("resumed")) == 1
    other = backend.submit([Program(made, x)], 20, tag="another")
    swapped = backend.submit([Program(made, x[::-1])], 20, tag="resumed")
    assert len({ref.id, other.id, swapped.id}) == 3


def test_a_device_whose_region_is_looked_for_takes_nothing_twice(here):
    """The SDK makes a session of its own for the region where it finds the device."""
    refs = []
    for _ in range(2):
        here.behave(faults=[{"call": "connect", "kind": "404"}])  # not in the user's own region
        backend = load(f"braket:{ANYWHERE}")
        assert backend._session.region != "us-east-1"
        job = [Program(backend.compile(ASYMMETRIC), np.array(ROWS[:1]))]
        refs.append(backend.submit(job, 20, tag="anywhere"))
    assert refs[0] == refs[1]
    assert len(here.created("anywhere")) == 1
    assert sure(rows(backend, refs[:1]), 20) == OUTCOMES[:1]


def test_each_task_and_each_shot_costs(here, known, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("BRAKET_PRICE_OFFERS_URL", f"{here.url}/prices.csv")
    one, sets, hosted = (known(arn).cost([1, 1], 50) for arn in (TASKS, SETS, SV1))
    assert one.money.low == one.money.high == pytest.approx(2 * 0.30 + 100 * 0.00145)
    assert sets.money == one.money  # a set of one circuit is a task
    assert hosted.money is None
    assert "billed by their time" in hosted.note
    simulator = known(SV1)
    job = [Program(simulator.compile(router()), np.full((1, 2), 0.25))]
    assert simulator.usage(simulator.submit(job, 10, tag="hosted")) is None


def test_run_again_finds_the_first_runs_tasks_and_another_seed_makes_new_ones(here, known):
    backend = known(SV1)
    made = backend.compile(router())
    x = [[0.1, 0.2]]
    before = len(here.created())
    first = backend.run(made, x, 500, 3)
    assert (backend.run(made, x, 500, 3) == first).all()
    assert len(here.created()) == before + 1
    backend.run(made, x, 500, 4)
    assert len(here.created()) == before + 2


def test_a_failed_task_speaks_in_the_vendors_words(here, known):
    here.behave(fail="the laser is off")
    backend = known(TASKS)
    made = backend.compile(ASYMMETRIC)
    with pytest.raises(QmoeError, match=r"quantum-task/\d+ failed: the laser is off"):
        backend.run(made, ROWS[:2], 11, 0)
    sets = known(SETS)
    job = [Program(sets.compile(ASYMMETRIC), np.array(ROWS[:2]))]
    ref = sets.submit(job, 11, tag="failed")
    assert sets.status(ref) == "failed"
    with pytest.raises(QmoeError, match="the laser is off"):
        sets.fetch(ref)


def test_what_is_there_is_given_when_a_circuit_of_a_set_fails(here, known):
    here.behave(lose=1)
    backend = known(SETS)
    job = [Program(backend.compile(ASYMMETRIC), np.array(ROWS[:3]))]
    ref = backend.submit(job, 12, tag="partial")
    found = backend.fetch(ref)
    assert sorted(found) == [0, 2]
    with pytest.raises(QmoeError, match=r"without rows \[1\]"):
        backend.run(backend.compile(ASYMMETRIC), ROWS[:3], 12, 0)
    assert sure([found[0], found[2]], 12) == [OUTCOMES[0], OUTCOMES[2]]


def test_a_wait_ends_and_names_the_task_that_goes_on(here):
    here.behave(hold=True)
    backend = load(f"braket:{SETS},timeout=0.05")
    made = backend.compile(ASYMMETRIC)
    with pytest.raises(UnreachableError, match=r"quantum-task/\d+ after 0.05 s") as caught:
        backend.run(made, ROWS[:2], 14, 0)
    assert caught.value.exit_code == 4
    arn = re.findall(r"arn:\S+quantum-task/\d+", str(caught.value))[0]
    ref = JobRef(backend.spec, arn, 2, 14, "x")
    assert backend.status(ref) == "submitted"
    assert backend.fetch(ref) == {}
    backend.cancel(ref)
    assert backend.status(ref) == "cancelled"
    assert backend.fetch(ref) == {}
    backend.cancel(ref)  # of what has ended nothing is asked


def test_nothing_to_run_costs_nothing(here, known):
    backend = known(SETS)
    made = backend.compile(ASYMMETRIC)
    before = len(here.created())
    assert backend.run(made, np.zeros((0, 2)), 10, 0).shape == (0, 8)
    assert len(here.created()) == before


def test_results_go_to_the_bucket_that_is_named_or_to_brakets_own(here):
    here.behave(hold=True)
    for spec, bucket in [
        (f"braket:{SV1}", "amazon-braket-us-east-1-123456789012"),
        (f"braket:{SV1},bucket=my-own.bucket", "my-own.bucket"),
    ]:
        backend = load(spec)
        assert backend.spec == f"braket:{SV1}"
        job = [Program(backend.compile(router()), np.zeros((1, 2)))]
        backend.submit(job, 10, tag=bucket)
        assert [body["outputS3Bucket"] for body in here.created(bucket)] == [bucket]


def test_hosted_simulators_get_the_circuit_as_it_is(here, known):
    backend = known(SV1)
    circuit = Circuit(9, (Op("x", (7,)), Op("x", (7,)), Op("rzz", (7, 2), (0.5,))), (7, 2))
    made = backend.compile(circuit)
    backend.submit([Program(made, np.zeros((1, 0)))], 10, tag="as it is")
    (body,) = here.created("as it is")
    lines = body["action"]["source"].splitlines()
    gates = [line for line in lines if re.match(r"[a-z]+[( ].*\bq\[", line)]
    assert [re.match(r"\w+", line)[0] for line in gates if "=" not in line] == ["x", "x", "zz"]
    assert "verbatim" not in body["action"]["source"]


def test_what_does_not_fit_is_refused_before_anything_is_sent(here, known):
    before = len(here.created())
    hosted = known(SV1)
    with pytest.raises(FitError, match="4 qubits"):
        hosted.compile(Circuit(4, (), (0, 1, 2, 3)))
    with pytest.raises(FitError, match="ecr"):
        hosted.compile(Circuit(2, (Op("ecr", (0, 1)),), (0,)))
    with pytest.raises(FitError, match=r"GPI, GPI2, MS; expected .*zz"):
        known(ARIA).compile(ASYMMETRIC)
    processor = known(TASKS)
    with pytest.raises(FitError, match="200 qubits"):
        processor.compile(Circuit(200, (), tuple(range(200))))
    made = processor.compile(ASYMMETRIC)
    with pytest.raises(InputError, match="1 to 20000"):
        processor.submit([Program(made, np.array(ROWS[:1]))], 20_001, tag="x")
    with pytest.raises(InputError, match="tag"):
        processor.submit([Program(made, np.array(ROWS[:1]))], 10, tag="a\n")
    asleep = known(ASLEEP)
    with pytest.raises(InputError, match=r"compiled for .*Tasks"):
        asleep.submit([Program(made, np.array(ROWS[:1]))], 10, tag="x")
    made = asleep.compile(ASYMMETRIC)
    with pytest.raises(QmoeError, match="Asleep, which is offline"):
        asleep.submit([Program(made, np.array(ROWS[:1]))], 10, tag="x")
    with pytest.raises(QmoeError, match="Asleep is offline"):
        asleep.run(made, ROWS, 10, 0)
    assert len(here.created()) == before


@pytest.mark.parametrize("option", ["timeout=soon", "timeout=-1", "simplify=maybe", "bucked=a"])
def test_options_are_checked_before_braket_is_asked(here, option):
    with pytest.raises(InputError, match=option.partition("=")[0]):
        load(f"braket:{SV1},{option}")


def test_an_arn_that_braket_does_not_know_is_bad_input(here):
    with pytest.raises(InputError, match="does not know"):
        load("braket:arn:aws:braket:us-east-1::device/qpu/iqm/Nowhere")
    with pytest.raises(InputError, match="does not know"):
        load("braket:arn:aws:braket:::device/quantum-simulator/amazon/sv9")


def test_without_credentials_the_variables_are_named(here, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    with pytest.raises(CredentialsError, match="AWS_ACCESS_KEY_ID") as caught:
        load(f"braket:{SV1}")
    assert caught.value.exit_code == 3
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(CredentialsError, match="AWS_PROFILE"):
        load(f"braket:{SV1}")


def test_without_a_region_the_variable_is_named(here, monkeypatch):
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    with pytest.raises(InputError, match="AWS_DEFAULT_REGION"):
        load(f"braket:{SV1}")
    assert load(f"braket:{SETS}").spec == f"braket:{SETS}"  # this ARN names its region


def test_a_service_out_of_reach_is_unreachable(here, monkeypatch):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv("BRAKET_ENDPOINT", f"http://127.0.0.1:{closed.getsockname()[1]}")
        with pytest.raises(UnreachableError, match="BRAKET_ENDPOINT") as caught:
            load(f"braket:{SV1}")
    assert caught.value.exit_code == 4


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("UnrecognizedClientException", 403, CredentialsError),
        ("AccessDeniedException", 403, CredentialsError),
        ("ValidationException", 400, RefusedError),
        ("DeviceOfflineException", 424, RefusedError),
        ("ThrottlingException", 400, BusyError),
        ("InternalServiceException", 500, UnreachableError),
    ],
)
def test_refusals_are_one_line_without_secrets(here, known, code, status, kind, capfd):
    backend = known(SV1)
    made = backend.compile(router())
    here.behave(refuse=[code, "no:"], status=status, echo=True)
    with pytest.raises(kind, match=rf"{code}: no:") as caught:
        backend.submit([Program(made, np.zeros((1, 2)))], 10, tag=code)
    here.behave(fail=f"the token was {SECRETS[2]}")
    with pytest.raises(QmoeError, match=r"the token was \*\*\*") as failed:
        backend.run(made, [[0.0, 0.0]], 10, status)
    seen = [str(caught.value), str(failed.value), *capfd.readouterr(), backend.spec]
    assert "Authorization" in seen[0] or "authorization" in seen[0]  # it did quote the headers
    assert not [secret for secret in SECRETS for text in seen if secret in text]
    assert "\n" not in seen[0] + seen[1]
    assert type(caught.value) is kind


def test_secrets_are_in_no_request_but_the_signature(here, known):
    backend = known(SV1)
    ref = backend.submit(
        [Program(backend.compile(router()), np.full((1, 2), 0.5))], 10, tag="canary"
    )
    text = json.dumps([here.created(), ref.to_dict(), backend.spec])
    assert not [secret for secret in SECRETS if secret in text]
    assert MEASURED in text
