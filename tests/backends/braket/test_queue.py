"""Tasks at a stand-in for Braket: many programs in one, lost, looked for, faulty, priced."""

import math
import re
import traceback
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from types import SimpleNamespace
from zlib import crc32

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends import load
from backends.braket import aws
from backends.braket import queue as queue_module
from backends.queued import BusyError, Cost, Interval, JobRef, Limits, Program, Queued, RefusedError
from qmoe.ansatz import reupload
from qmoe.circuit import Circuit, Feature, Op
from qmoe.errors import CredentialsError, InputError, QmoeError, UnreachableError
from qmoe.simulate import reference
from tests.services.loopback import ARN, CANARIES, loopback

pytestmark = pytest.mark.xdist_group("braket-queue")

SPEC = f"braket:{ARN}"
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
SURE = (RefusedError, CredentialsError, BusyError, InputError)  # surely not accepted
TASK, SHOT = 0.30, 0.00145  # the stand-in's invented prices


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    with loopback("braket", tmp_path_factory.mktemp("braket")) as started:
        yield started


@pytest.fixture(scope="module")
def module_surroundings(service):
    with pytest.MonkeyPatch.context() as patch:
        for name, value in service.environment.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(autouse=True)
def surroundings(service, module_surroundings):
    service.behave()


@pytest.fixture(scope="module")
def device(service, module_surroundings):
    return load(SPEC)


@pytest.fixture(scope="module")
def hasty(device):
    return load(f"{SPEC},call_timeout=1")


@pytest.fixture(scope="module")
def program(device):
    """Two qubits that read 0 and x: rows of one outcome each."""
    circuit = Circuit(2, (Op("rx", (1,), (Feature(0),)),), (0, 1), 1)
    return Program(device.compile(circuit), np.array([[0.0], [math.pi]]))


@pytest.fixture
def tag(request):
    """A tag that no other test uses."""
    return f"plan-{crc32(request.node.name.encode()):x}-r00"


def one_line(caught):
    """The words of an error, which is one line and gives nothing away."""
    everything = "".join(traceback.format_exception(caught.value))
    assert not [secret for secret in CANARIES if secret in everything]
    assert "\n" not in str(caught.value)
    return str(caught.value)


def tried(call, device, ref):
    """What a call returns; None after an error of one line."""
    try:
        return call(device, ref)
    except QmoeError as error:
        one_line(SimpleNamespace(value=error))
        return None


def forget(device):
    """Makes a device ask again for a task of which it knows that it has ended."""
    device._queue._ended.clear()


def close(counts, probabilities):
    """Whether counts are shots of the distribution, by Bernstein's bound at 1e-9 for all cells."""
    shots = counts.sum()
    log = np.log(2 * probabilities.size / 1e-9)
    spread = 2 * log * shots * probabilities * (1 - probabilities)
    bound = log / 3 + np.sqrt(log**2 / 9 + spread)
    return (abs(counts - shots * probabilities) <= bound).all()


# ---- several programs in one task


def test_rows_are_those_of_the_programs_in_their_order(service, device, tag):
    fixed = Circuit(2, (Op("ry", (0,), (0.9,)), Op("cx", (0, 1))), (0, 1))
    other = Circuit(2, (Op("ry", (1,), (Feature(0),)), Op("x", (0,))), (0, 1), 1)
    x = np.random.default_rng(8).uniform(0, np.pi, size=(3, 2))
    wanted = [(reupload(2, 1).bind_weights([0.3, 1.1]), x), (fixed, np.zeros((2, 0)))]
    wanted.append((other, np.array([[0.2], [2.5]])))
    programs = [Program(device.compile(circuit), rows) for circuit, rows in wanted]
    ref = device.submit(programs, 1000, tag=tag)
    assert (ref.spec, ref.rows, ref.shots, ref.tag) == (SPEC, 7, 1000, tag)
    assert service.accepted(tag) == [{"id": ref.id, "tag": tag, "rows": 7}]
    found = device.fetch(ref)
    assert list(found) == list(range(7))
    expected = np.concatenate([reference.probabilities(c, (), rows) for c, rows in wanted])
    assert all(counts.sum() == 1000 for counts in found.values())
    assert all(close(found[row], expected[row]) for row in range(7))
    assert not close(found[0], expected[6])


def test_changed_circuits_share_a_task_with_the_first(service, device, tag):
    """As experiments send them: on the same qubits, with features, without, and folded."""
    circuit = reupload(2, 1).bind_weights([0.3, 1.1])
    x = np.random.default_rng(8).uniform(0, np.pi, size=(3, 2))
    made = device.compile(circuit)
    fixed = device.emit(made.native.bind(x[2]), made)
    folded = device.emit(made.native.folded(3), made)
    programs = [Program(made, x), Program(fixed, np.zeros((2, 0))), Program(folded, x[:2])]
    ref = device.submit(programs, 1000, tag=tag)
    assert (ref.spec, ref.rows, ref.shots, ref.tag) == (SPEC, 7, 1000, tag)
    assert service.accepted(tag) == [{"id": ref.id, "tag": tag, "rows": 7}]
    found = device.fetch(ref)
    assert list(found) == list(range(7))
    expected = reference.probabilities(circuit, (), x[[0, 1, 2, 2, 2, 0, 1]])
    assert all(counts.sum() == 1000 for counts in found.values())
    assert all(close(found[row], expected[row]) for row in range(7))
    assert not close(found[0], expected[1])


def test_each_program_has_its_own_order_of_outcomes(device, tag):
    """The same state, x on qubit 1, read as 01 and as 10; and its one qubit alone."""
    orders = [(0, 1), (1, 0), (1,)]
    made = [device.compile(Circuit(2, (Op("x", (1,)), Op("cz", (0, 1))), m)) for m in orders]
    ref = device.submit([Program(each, np.zeros((1, 0))) for each in made], 20, tag=tag)
    assert [counts.tolist() for counts in device.fetch(ref).values()] == [
        [0, 20, 0, 0],
        [0, 0, 20, 0],
        [0, 20],
    ]


def test_what_a_device_takes_at_once(device, program, service, tag):
    assert isinstance(device, Queued)
    assert (device.account, device.idempotent, device.source) == ("aws", True, "loopback")
    limits = device.limits()
    assert limits == Limits((1, 20_000), rows=100, total=(1, 200_000))
    assert limits.split([0] * 101, 10)[0] == tuple(range(51))
    assert len(limits.split([0] * 100, 4000)) == 2  # 50 x 4000 shots in one task
    with pytest.raises(InputError, match="at most 100"):
        device.submit([Program(program.compiled, np.zeros((101, 1)))], 10, tag=tag)
    with pytest.raises(InputError, match="1 to 20000"):
        device.submit([program], 20_001, tag=tag)
    with pytest.raises(InputError, match="no inputs"):
        device.submit([], 10, tag=tag)
    with pytest.raises(InputError, match="no inputs"):
        device.submit([Program(program.compiled, np.zeros((0, 1)))], 10, tag=tag)
    assert service.accepted(tag) == []


# ---- the search


def test_tasks_are_found_by_their_tag_alone(device, program, tag):
    assert device.find(tag, LONG_AGO) == ()
    before = datetime.now(timezone(timedelta(hours=-7)))  # of whatever time zone
    refs = [device.submit([program], shots, tag=tag) for shots in (5, 6, 7)]
    device.submit([program], 5, tag=f"{tag}-other")
    device.submit([program], 5, tag=tag[:-1])
    assert sorted(device.find(tag, before)) == sorted(ref.id for ref in refs)
    assert device.find(tag, datetime.now(UTC) + timedelta(seconds=1)) == ()


def test_all_pages_are_read_and_each_task_is_named_once(service, device, program, tag):
    refs = {device.submit([program], shots, tag=tag).id for shots in (5, 6, 7)}
    service.behave(page=1)
    assert set(device.find(tag, LONG_AGO)) == refs
    service.behave(page=2, twice=True)
    found = device.find(tag, LONG_AGO)
    assert set(found) == refs
    assert len(found) == 3


def test_a_task_that_is_listed_late_is_found_later(service, device, program, tag):
    service.behave(late=2)
    ref = device.submit([program], 5, tag=tag)
    assert [device.find(tag, LONG_AGO) for _ in range(3)] == [(), (), (ref.id,)]


def test_a_list_without_an_end_is_no_answer(service, device, tag, monkeypatch):
    monkeypatch.setattr(queue_module, "MOST_PAGES", 3)
    service.behave(answer={"search": {"nextToken": "0"}})
    with pytest.raises(QmoeError, match="more than 3 pages") as caught:
        device.find(tag, LONG_AGO)
    one_line(caught)


def test_other_peoples_tasks_do_no_harm(service, device, tag):
    theirs = [{"quantumTaskArn": "a", "tags": None}, {"quantumTaskArn": "b"}]
    theirs.append({"quantumTaskArn": "c", "tags": {"team": tag, "qmoe": f"{tag}-p00"}})
    service.behave(answer={"search": {"quantumTasks": theirs}})
    assert device.find(tag, LONG_AGO) == ()


# ---- a request for a new task that goes wrong


@pytest.mark.parametrize(
    ("kind", "error"),
    [("400", RefusedError), ("401", CredentialsError), ("404", InputError), ("429", BusyError)],
)
def test_a_refused_task_was_not_accepted(service, device, program, tag, kind, error):
    service.behave(faults=[{"call": "create", "kind": kind, "times": -1}])
    with pytest.raises(error) as caught:
        device.submit([program], 5, tag=tag)
    one_line(caught)
    assert service.accepted(tag) == []


@pytest.mark.parametrize(
    ("kind", "accepted"),
    [
        ("500", 0),
        ("503", 0),
        ("timeout", 0),
        ("stall", 1),
        ("cut", 1),
        ("lost", 1),
        ("malformed", 1),
    ],
)
def test_a_task_in_doubt_is_never_called_refused(
    service, device, hasty, program, tag, kind, accepted
):
    service.behave(faults=[{"call": "create", "kind": kind, "times": -1, "seconds": 2}])
    sender = hasty if kind in ("timeout", "stall") else device
    with pytest.raises(QmoeError) as caught:
        sender.submit([program], 5, tag=tag)
    assert not isinstance(caught.value, SURE)
    assert kind in ("cut", "malformed") or isinstance(caught.value, UnreachableError)
    one_line(caught)
    service.behave()
    ids = tuple(job["id"] for job in service.accepted(tag))
    assert len(ids) == accepted
    assert device.find(tag, LONG_AGO) == ids
    assert device.submit([program], 5, tag=tag).id == service.accepted(tag)[0]["id"]
    assert len(service.accepted(tag)) == 1  # the same task, whoever sends it again


@pytest.mark.parametrize("kind", ["lost", "cut", "503"])
def test_the_client_repeats_a_request_with_the_same_token_only(service, device, program, tag, kind):
    """And then it is the same task: whether the client asks again, or its user."""
    service.behave(faults=[{"call": "create", "kind": kind}])
    with suppress(QmoeError):
        device.submit([program], 5, tag=tag)
    ref = device.submit([program], 5, tag=tag)
    assert [job["id"] for job in service.accepted(tag)] == [ref.id]


@pytest.mark.parametrize("then", ["400", "401", "404", "429"])
def test_a_refusal_of_a_repeated_request_says_nothing_of_the_first(
    service, device, program, tag, then
):
    service.behave(
        faults=[
            {"call": "create", "kind": "lost"},
            {"call": "create", "kind": then, "after": 1, "times": -1},
        ]
    )
    with pytest.raises(QmoeError) as caught:
        device.submit([program], 5, tag=tag)
    assert len(service.accepted(tag)) == 1  # and will be paid
    assert not isinstance(caught.value, SURE)
    one_line(caught)


def test_a_token_stands_for_one_request(service, device, program, tag, monkeypatch):
    monkeypatch.setattr(aws, "token", lambda request: tag)
    ref = device.submit([program], 5, tag=tag)
    assert device.submit([program], 5, tag=tag) == ref
    with pytest.raises(RefusedError, match="token was used before"):
        device.submit([program], 6, tag=tag)
    assert [job["id"] for job in service.accepted(tag)] == [ref.id]


def test_a_token_is_one_of_the_whole_request_and_of_nothing_else(device, program, tag):
    first = device.submit([program], 5, tag=tag)
    changed = Program(program.compiled, program.features + 1e-9)
    others = [
        device.submit([program], 6, tag=tag),
        device.submit([program], 5, tag=f"{tag}-1"),
        device.submit([changed], 5, tag=tag),
        device.submit([program, program], 5, tag=tag),
    ]
    assert len({ref.id for ref in (first, *others)}) == 5
    assert load(f"{SPEC},timeout=1,call_timeout=50").submit([program], 5, tag=tag) == first


@pytest.mark.parametrize("answer", [{"quantumTaskArn": None}, {"quantumTaskArn": ""}])
def test_an_accepted_task_is_in_doubt_whatever_the_reply_says(
    service, device, program, tag, answer
):
    service.behave(answer={"create": answer})
    with pytest.raises(QmoeError) as caught:
        device.submit([program], 5, tag=tag)
    assert not isinstance(caught.value, SURE)
    one_line(caught)
    service.behave()
    assert len(service.accepted(tag)) == len(device.find(tag, LONG_AGO)) == 1


# ---- requests that change nothing


ASKED = {
    "status": lambda device, ref: device.status(ref),
    "results": lambda device, ref: list(device.fetch(ref)),
    "search": lambda device, ref: device.find(ref.tag, LONG_AGO),
    "usage": lambda device, ref: device.usage(ref),
    "cancel": lambda device, ref: device.cancel(ref),
}
REQUEST = {"results": "status", "usage": "status"}  # which request of the service it is


@pytest.mark.parametrize("call", ["status", "results", "search", "usage"])
@pytest.mark.parametrize("kind", ["429", "503", "lost"])
def test_a_question_is_asked_again(service, device, program, tag, call, kind):
    ref = device.submit([program], 5, tag=tag)
    expected = ASKED[call](device, ref)
    forget(device)
    service.behave(faults=[{"call": REQUEST.get(call, call), "kind": kind}])
    assert ASKED[call](device, ref) == expected


@pytest.mark.parametrize("call", ["search", "status", "cancel"])  # all the requests that there are
@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("malformed", QmoeError),
        ("400", RefusedError),
        ("401", CredentialsError),
        ("404", InputError),
        ("503", UnreachableError),
        ("cut", QmoeError),
    ],
)
def test_no_answer_is_one_line(service, device, program, tag, call, kind, error):
    service.behave(hold=call == "cancel")
    ref = device.submit([program], 5, tag=tag)
    forget(device)
    fault = {"call": REQUEST.get(call, call), "kind": kind, "times": -1}
    service.behave(hold=call == "cancel", faults=[fault])
    with pytest.raises(error) as caught:
        ASKED[call](device, ref)
    one_line(caught)


def test_a_service_that_is_busy_is_asked_a_few_times(service, device, tag):
    service.behave(faults=[{"call": "search", "kind": "429", "times": -1}])
    with pytest.raises(BusyError, match="ThrottlingException") as caught:
        device.find(tag, LONG_AGO)
    one_line(caught)


@pytest.mark.parametrize("call", ["status", "search", "results"])
def test_a_silent_service_takes_no_longer_than_allowed(service, device, hasty, program, tag, call):
    """All further attempts of the client together."""
    ref = device.submit([program], 5, tag=tag)
    forget(hasty)
    fault = {"call": REQUEST.get(call, call), "kind": "timeout", "seconds": 9, "times": -1}
    service.behave(faults=[fault])
    with pytest.raises(UnreachableError, match="no answer within 1 s") as caught:
        ASKED[call](hasty, ref)
    one_line(caught)


def test_connecting_has_the_limit_too(service):
    service.behave(faults=[{"call": "connect", "kind": "timeout", "seconds": 9, "times": -1}])
    with pytest.raises(UnreachableError, match=r"no answer within 0\.5 s") as caught:
        load(f"{SPEC},call_timeout=0.5")
    one_line(caught)


def test_the_limit_of_a_call_says_nothing_of_the_target(hasty):
    assert hasty.spec == SPEC
    with pytest.raises(InputError, match="call_timeout"):
        load(f"{SPEC},call_timeout=soon")


# ---- replies that cannot be right


@pytest.mark.parametrize(
    "answer",
    [
        {"status": None},
        {"shots": None},
        {"shots": "many"},
        {"tags": None},
        {"tags": {"qmoe-measured": "one two"}},
        {"outputS3Bucket": None},
        {"outputS3Directory": "elsewhere"},
        {"numSuccessfulShots": -4},
    ],
    ids=lambda answer: "-".join(map(str, *answer.items())) if len(answer) == 1 else "",
)
def test_a_task_that_cannot_be_read_is_one_line(service, device, program, tag, answer):
    ref = device.submit([program], 5, tag=tag)
    forget(device)
    service.behave(answer={"status": answer})
    for call in ("status", "results", "usage"):
        tried(ASKED[call], device, ref)


def stored(device, arn):
    """Where the results of a task lie."""
    found = device._session.get_quantum_task(arn)
    return {"Bucket": found["outputS3Bucket"], "Key": f"{found['outputS3Directory']}/results.json"}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (r".*", ""),
        (r".*", "[]"),
        (r".*", '{"braketSchemaHeader": {"name": "braket.ir.jaqcd.program", "version": "1"}}'),
        (r".*", "\\udcff"),
        (r'"measuredQubits": \[\d+', '"measuredQubits": [77'),
        (r'"measurements": \[.*?\]\]', '"measurements": [[7, 7]]'),
        (r'"measurements": \[.*?\]\]', '"measurements": [[-1, 0]]'),
        (r'"measurements": \[.*?\]\]', '"measurements": [[0]]'),
        (r'"measurements": \[.*?\]\]', '"measurements": []'),
        (r'"measurements": \[.*?\]\]', '"measurementProbabilities": {"00": -1.0}'),
        (r'"measurements": \[.*?\]\]', '"measurementProbabilities": {"ab": 1.0}'),
        (r'"measurements": \[.*?\]\]', '"measurementProbabilities": {}'),
        (r'"programResults": \[.*\], "task', '"programResults": [], "task'),
        (r'"executableResults": \[\{', '"executableResults": [1, {'),
        (r'"requestedShots": \d+', '"requestedShots": "x"'),
    ],
)
def test_results_that_cannot_be_right_are_one_line_or_left_out(device, program, tag, old, new):
    """What is given has the shots that were asked for: whatever else S3 holds is not counted."""
    ref = device.submit([program], 5, tag=tag)
    place = stored(device, ref.id)
    text = device._session.s3_client.get_object(**place)["Body"].read().decode()
    changed = re.sub(old, lambda _: new, text, count=1, flags=re.DOTALL)
    assert changed != text
    body = changed.encode("utf-8", "surrogatepass")
    device._session.s3_client.put_object(**place, Body=body)
    found = tried(lambda device, ref: device.fetch(ref), device, ref) or {}
    assert set(found) <= {0, 1}
    assert all(counts.sum() == 5 and counts.min() >= 0 for counts in found.values())


def test_results_are_bounded(device, program, tag, monkeypatch):
    ref = device.submit([program], 5, tag=tag)
    monkeypatch.setattr(queue_module, "MAX_BYTES", 100)
    with pytest.raises(QmoeError, match="more than") as caught:
        device.fetch(ref)
    one_line(caught)


# ---- held, cancelled, failed


def test_a_held_task_can_be_cancelled_and_a_released_one_ends(service, device, program, tag):
    service.behave(hold=True)
    first, second = (device.submit([program], shots, tag=tag) for shots in (5, 6))
    assert device.status(first) == device.status(second) == "submitted"
    assert device.usage(first) is None
    assert device.fetch(first) == {}
    device.cancel(first)
    assert device.status(first) == "cancelled"
    service.behave()
    assert device.status(second) == "done"
    assert [counts.tolist() for counts in device.fetch(second).values()] == [
        [6, 0, 0, 0],
        [0, 6, 0, 0],
    ]
    device.cancel(second)  # of what has ended nothing is asked
    assert device.status(second) == "done"


def test_a_task_that_ends_while_it_is_cancelled_stays(service, device, program, tag):
    service.behave(slow=1)  # one question, ours: then it is done, and cancelling it a conflict
    ref = device.submit([program], 5, tag=tag)
    device.cancel(ref)
    assert device.status(ref) == "done"


def test_a_slow_task_is_asked_for_again(service, device, program, tag):
    service.behave(slow=2)
    ref = device.submit([program], 5, tag=tag)
    assert [device.status(ref) for _ in range(3)] == ["submitted", "submitted", "done"]


# ---- what it costs


def test_a_set_costs_one_task_or_one_for_each_circuit(device, service):
    cost = device.cost([60, 40], 1000)
    shots = 100 * 1000 * SHOT
    assert cost.money.low == pytest.approx(2 * TASK + shots)
    assert cost.money.high == pytest.approx(100 * TASK + shots)
    assert cost.seconds is None
    assert "price list" in cost.note
    assert "old" in cost.note
    assert device.cost([], 1000).money == Interval(0, 0)
    assert device.left() is None


def test_usage_is_the_price_list_times_what_succeeded(service, device, program, tag):
    ref = device.submit([program], 50, tag=tag)
    for told, counted in [({}, 100), ({"numSuccessfulShots": 50}, 50)]:
        service.behave(answer={"status": told})
        found = device.usage(ref)
        assert found.money.low == pytest.approx(TASK + counted * SHOT)
        assert found.money.high == pytest.approx(2 * TASK + counted * SHOT)
        assert "computed" in found.note
        assert found.seconds is None


def test_no_shots_that_succeeded_are_none(service, device, program, tag):
    ref = device.submit([program], 50, tag=tag)
    service.behave(answer={"status": {"numSuccessfulShots": 0}})
    assert device.usage(ref).money.low == pytest.approx(TASK)


def test_a_failed_task_costs_nothing_by_the_sdks_rule(service, device, program, tag):
    service.behave(fail="too warm")
    ref = device.submit([program], 50, tag=tag)
    found = device.usage(ref)
    assert found == Cost(Interval(0, 0), None, found.note)
    assert "not billed" in found.note


def test_a_price_that_is_not_known_is_no_guess(tmp_path, service, program, device):
    backend = load(SPEC)
    listed = tmp_path / "prices.csv"
    header = "Region Code,DeviceName,Product Family,PricePerUnit,Currency"
    listed.write_text("\n" * 5 + f"{header}\nus-east-1,Garnet,Quantum Task,0.3,USD\n")
    cost = backend.cost([3], 100, listed)
    assert cost.money is None
    assert "0 prices of Sets in us-east-1" in cost.note
    assert backend.cost([3], 100).money is not None  # the vendor's own list names it


# ---- where results come from


@pytest.mark.parametrize(
    "variable",
    [
        "BRAKET_ENDPOINT",
        "AWS_ENDPOINT_URL",
        "AWS_ENDPOINT_URL_BRAKET",
        "AWS_ENDPOINT_URL_S3",
        "AWS_ENDPOINT_URL_STS",
    ],
)
def test_any_address_elsewhere_makes_it_loopback(variable):
    own = ["https://braket.us-east-1.amazonaws.com", "https://s3.us-east-1.amazonaws.com"]
    assert aws.source("QPU", own, {}) == "device"
    assert aws.source("QPU", own, {variable: "http://127.0.0.1:1"}) == "loopback"
    assert aws.source("QPU", own, {variable: ""}) == "device"  # as unset, for botocore too


def test_an_address_elsewhere_in_a_file_makes_it_loopback(tmp_path, monkeypatch, service):
    """botocore reads endpoints from the user's configuration as well."""
    for name in service.environment:
        if "ENDPOINT" in name:
            monkeypatch.delenv(name)
    config = tmp_path / "config"
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))

    def addresses():
        made = aws.session("us-east-1")
        return [client.meta.endpoint_url for client in (made.braket_client, made.s3_client)]

    config.write_text("")
    assert aws.source("QPU", addresses(), {}) == "device"
    for section in ("", "services = here\n[services here]\nbraket =\n  "):
        config.write_text(f"[default]\n{section}endpoint_url = http://127.0.0.1:1\n")
        assert aws.source("QPU", addresses(), {}) == "loopback"


# ---- secrets


def test_a_refusal_that_quotes_the_request_gives_nothing_away(service, device, program, tag):
    service.behave(refuse=["ValidationException", "no:"], echo=True)
    with pytest.raises(RefusedError, match="no:") as caught:
        device.submit([program], 5, tag=tag)
    assert "ecurity" in one_line(caught)  # it did quote the headers
    assert device.find(tag, LONG_AGO) == ()


def test_a_reference_holds_no_secret(device, program, tag):
    ref = device.submit([program], 5, tag=tag)
    assert JobRef.from_dict(ref.to_dict()) == ref
    assert not [secret for secret in CANARIES if secret in repr(ref.to_dict())]


# ---- the tag that says what outcomes are made of


@given(st.lists(st.tuples(st.integers(1, 40), st.permutations([3, 14, 5])), min_size=1, max_size=9))
def test_the_qubits_of_each_row_are_read_as_they_were_written(programs):
    made = [
        Program(
            SimpleNamespace(
                physical=tuple(map(str, range(20))), native=SimpleNamespace(measured=tuple(order))
            ),
            np.zeros((rows, 0)),
        )
        for rows, order in programs
    ]
    text = queue_module.written(made)
    assert queue_module.read(text) == [
        tuple(order) for rows, order in programs for _ in range(rows)
    ]
    assert len(text) <= 256
    assert re.fullmatch(r"[\w .:/=+@-]*", text)


@pytest.mark.parametrize(
    "text", ["", "3 4", "0:3", "1:", "1:3 x", "1:3//1:4", "1000000:3", "1:3\n"]
)
def test_another_tag_is_no_list_of_qubits(text):
    with pytest.raises(ValueError, match="qmoe-measured"):
        queue_module.read(text)


def test_what_a_tag_cannot_hold_is_refused_before_it_is_sent(service, device, program, tag):
    other = device.compile(Circuit(2, (Op("rx", (1,), (Feature(0),)),), (1, 0), 1))
    x = program.features[:1]
    programs = [Program(program.compiled, x), Program(other, x)] * 40
    with pytest.raises(InputError, match="in 80 ways"):
        device.submit(programs, 5, tag=tag)
    assert service.accepted(tag) == []
