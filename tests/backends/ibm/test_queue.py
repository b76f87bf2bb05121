"""Jobs at a stand-in for IBM: many programs in one, lost, looked for, faulty, priced."""

import json
import time
import traceback
from datetime import UTC, datetime, timedelta, timezone
from zlib import crc32

import numpy as np
import pytest

from backends import load
from backends.ibm import account, failures, runtime, sampler
from backends.queued import BusyError, Cost, Interval, Program, Queued, RefusedError
from qmoe.ansatz import reupload
from qmoe.circuit import Circuit, Feature, Op
from qmoe.errors import CredentialsError, InputError, QmoeError, UnreachableError
from qmoe.simulate import reference
from tests.services.loopback import CANARIES, loopback

pytestmark = pytest.mark.xdist_group("ibm-queue")

SPEC = "ibm:ibm_boston"
X = np.random.default_rng(8).uniform(0, np.pi, size=(3, 2))
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
SURE = (RefusedError, CredentialsError, BusyError, InputError)  # surely not accepted


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    with loopback("ibm", tmp_path_factory.mktemp("ibm")) as started:
        yield started


@pytest.fixture(autouse=True)
def surroundings(service, monkeypatch):
    for name, value in service.environment.items():
        monkeypatch.setenv(name, value)
    service.behave()


@pytest.fixture(scope="module")
def module_surroundings(service):
    with pytest.MonkeyPatch.context() as patch:
        for name, value in service.environment.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="module")
def device(service, module_surroundings):
    return load(SPEC)


@pytest.fixture(scope="module")
def program(device):
    compiled = device.compile(reupload(2, 1).bind_weights([0.3, 1.1]))
    return Program(compiled, X)


@pytest.fixture(scope="module")
def hasty(device, program):
    backend = load(f"{SPEC},call_timeout=50")
    assert backend._account._seconds == 50
    backend.emit(program.compiled.native, program.compiled)  # asks for the calibration
    backend._account._seconds = 2  # for what follows: connecting on a busy machine takes longer
    return backend


@pytest.fixture
def tag(request):
    """A tag that no other test uses."""
    return f"plan-{crc32(request.node.name.encode()):x}-r00"


def one_line(caught):
    """The words of an error, which is one line and gives nothing away."""
    everything = "".join(traceback.format_exception(caught.value))
    assert not [secret for secret in (*CANARIES, "eyJ") if secret in everything]
    assert "\n" not in str(caught.value)
    return str(caught.value)


def close(counts, probabilities):
    """Whether counts are shots of the distribution, by Bernstein's bound at 1e-9 for all cells."""
    shots = counts.sum()
    log = np.log(2 * probabilities.size / 1e-9)
    spread = 2 * log * shots * probabilities * (1 - probabilities)
    bound = log / 3 + np.sqrt(log**2 / 9 + spread)
    return (abs(counts - shots * probabilities) <= bound).all()


# ---- several programs in one job


@pytest.mark.parametrize("kind", sampler.KINDS)
def test_rows_are_those_of_the_programs_in_their_order(service, kind, tag):
    device = load(f"{SPEC},sampler={kind}")
    assert isinstance(device, Queued)
    assert (device.account, device.idempotent) == ("ibm", False)
    fixed = Circuit(2, (Op("ry", (0,), (0.9,)), Op("cx", (0, 1))), (1, 0))
    other = Circuit(2, (Op("ry", (1,), (Feature(0),)), Op("x", (0,))), (0, 1), 1)
    angles = np.array([[0.2], [2.5]])
    wanted = [(reupload(2, 1).bind_weights([0.3, 1.1]), X), (fixed, np.zeros((2, 0)))]
    wanted.append((other, angles))
    programs = [Program(device.compile(circuit), x) for circuit, x in wanted]
    ref = device.submit(programs, 1000, tag=tag)
    assert (ref.rows, ref.shots, ref.tag) == (7, 1000, tag)
    (accepted,) = service.accepted(tag)
    assert (accepted["id"], accepted["rows"]) == (ref.id, 7)
    found = device.fetch(ref)
    assert list(found) == list(range(7))
    expected = np.concatenate([reference.probabilities(c, (), x) for c, x in wanted])
    assert all(counts.sum() == 1000 for counts in found.values())
    assert all(close(found[row], expected[row]) for row in range(7))
    assert not close(found[0], expected[6])
    assert found[3].tolist() != found[4].tolist()  # two draws, not one repeated


def test_a_run_that_is_too_long_for_one_job_takes_several(service, device, program):
    short = load(f"{SPEC},max_execution_time=1")
    most = short.limits().total[1]
    assert 1000 < most < 2000
    counts = short.run(program.compiled, X, most // 2, seed=77)
    assert counts.shape == (3, 4)
    assert (counts.sum(1) == most // 2).all()
    assert [job["rows"] for job in service.accepted("qmoe-77")] == [2, 1]
    with pytest.raises(InputError, match=f"expected 1 to {most}"):
        short.run(program.compiled, X, most + 1, seed=78)
    assert service.accepted("qmoe-78") == []


# ---- the search


def test_jobs_are_found_by_their_tag_alone(service, device, program, tag):
    assert device.find(tag, LONG_AGO) == ()
    before = datetime.now(timezone(timedelta(hours=-7)))  # of whatever time zone
    refs = [device.submit([program], 5, tag=tag) for _ in range(3)]
    device.submit([program], 5, tag=f"{tag}-other")
    assert sorted(device.find(tag, before)) == sorted(ref.id for ref in refs)
    assert device.find(tag, datetime.now(UTC) + timedelta(seconds=1)) == ()


def test_all_pages_are_read_and_each_job_is_named_once(service, device, program, tag, monkeypatch):
    refs = {device.submit([program], 5, tag=tag).id for _ in range(3)}
    service.behave(page=1)
    assert set(device.find(tag, LONG_AGO)) == refs
    service.behave(page=2, twice=True)
    found = device.find(tag, LONG_AGO)
    assert set(found) == refs
    assert len(found) == 3


def test_a_job_that_is_listed_late_is_found_later(service, device, program, tag):
    service.behave(late=2)
    ref = device.submit([program], 5, tag=tag)
    assert [device.find(tag, LONG_AGO) for _ in range(3)] == [(), (), (ref.id,)]


def test_a_list_that_is_cut_is_no_answer(service, device, program, tag):
    device.submit([program], 5, tag=tag)
    service.behave(more=2)
    with pytest.raises(QmoeError, match="ends at 1 of 3") as caught:
        device.find(tag, LONG_AGO)
    one_line(caught)


# ---- a request for a new job that goes wrong


@pytest.mark.parametrize(
    ("kind", "error"),
    [("400", RefusedError), ("401", CredentialsError), ("404", InputError), ("429", BusyError)],
)
def test_a_refused_job_was_not_accepted(service, device, program, tag, kind, error):
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
def test_a_job_in_doubt_is_never_called_refused(
    service, device, hasty, program, tag, kind, accepted
):
    service.behave(faults=[{"call": "create", "kind": kind, "times": 1, "seconds": 4}])
    sender = hasty if kind in ("timeout", "stall") else device
    with pytest.raises(UnreachableError, match=f"look for a job tagged {tag} before") as caught:
        sender.submit([program], 5, tag=tag)
    assert not isinstance(caught.value, SURE)
    one_line(caught)
    ids = tuple(job["id"] for job in service.accepted(tag))  # a second request would have got one
    assert len(ids) == accepted
    assert device.find(tag, LONG_AGO) == ids


@pytest.mark.parametrize("answer", [{"backend": "ibm_elsewhere"}, {"id": None}, {"id": ""}])
def test_an_accepted_job_is_in_doubt_whatever_the_reply_says(service, device, program, tag, answer):
    service.behave(answer=answer)
    with pytest.raises(QmoeError) as caught:
        device.submit([program], 5, tag=tag)
    assert not isinstance(caught.value, SURE)
    assert tag in one_line(caught)
    assert len(service.accepted(tag)) == len(device.find(tag, LONG_AGO)) == 1


def test_nothing_is_sent_after_a_call_was_given_up(service, hasty, program, tag):
    # what the client asks before it sends the job; without a limit it would send it in the end
    service.behave(faults=[{"call": "connect", "kind": "stall", "seconds": 3}])
    with pytest.raises(UnreachableError, match="no answer for a job"):
        hasty.submit([program], 5, tag=tag)
    time.sleep(2)
    assert service.accepted(tag) == []
    assert hasty.find(tag, LONG_AGO) == ()  # and the next call has its own time


@pytest.mark.filterwarnings("ignore")  # which the client's warnings must survive
def test_a_device_that_rests_is_busy(service, device, program, tag):
    service.behave(device={"status": "internal"})
    with pytest.raises(BusyError, match="has a status of internal"):
        device.submit([program], 5, tag=tag)
    assert service.accepted(tag) == []


@pytest.mark.parametrize("status", failures.UNDECIDED)
def test_a_request_that_was_given_up_on_the_way_is_in_doubt(service, device, program, tag, status):
    service.behave(after=status)
    with pytest.raises(UnreachableError, match=f"look for a job tagged {tag}"):
        device.submit([program], 5, tag=tag)
    assert len(service.accepted(tag)) == 1


# ---- requests that change nothing


ASKED = {
    "status": lambda device, ref: device.status(ref),
    "results": lambda device, ref: device.fetch(ref),
    "search": lambda device, ref: device.find(ref.tag, LONG_AGO),
    "usage": lambda device, ref: device.usage(ref),
}


@pytest.mark.parametrize("call", ASKED)
@pytest.mark.parametrize("kind", ["503", "cut"])
def test_a_question_is_asked_again(service, device, program, tag, call, kind):
    ref = device.submit([program], 5, tag=tag)
    expected = json.dumps(ASKED[call](device, ref), default=_plain)
    service.behave(faults=[{"call": call, "kind": kind}])
    if kind == "cut":  # the reply began: only a whole call can be made again
        with pytest.raises(UnreachableError) as caught:
            ASKED[call](device, ref)
        one_line(caught)
    assert json.dumps(ASKED[call](device, ref), default=_plain) == expected


@pytest.mark.parametrize("call", ASKED)
@pytest.mark.parametrize(("kind", "error"), [("malformed", QmoeError), ("401", CredentialsError)])
def test_no_answer_is_one_line(service, device, program, tag, call, kind, error):
    ref = device.submit([program], 5, tag=tag)
    service.behave(faults=[{"call": call, "kind": kind, "times": -1}])
    with pytest.raises(error) as caught:
        ASKED[call](device, ref)
    one_line(caught)


def test_a_silent_service_takes_no_longer_than_allowed(service, device, hasty, program, tag):
    ref = device.submit([program], 5, tag=tag)
    service.behave(faults=[{"call": "status", "kind": "stall", "seconds": 20, "times": -1}])
    started = time.monotonic()
    with pytest.raises(UnreachableError, match=f"no answer for job {ref.id}"):
        hasty.status(ref)
    assert time.monotonic() - started < 15  # neither the service's 20 s nor CALL_SECONDS


def test_connecting_has_the_limit_too(service):
    service.behave(faults=[{"call": "connect", "kind": "stall", "seconds": 20, "times": -1}])
    started = time.monotonic()
    with pytest.raises(UnreachableError) as caught:
        load(f"{SPEC},call_timeout=0.5")
    one_line(caught)
    assert time.monotonic() - started < 15


def test_the_limit_of_a_call_says_nothing_of_the_target(hasty):
    assert hasty.spec == SPEC
    with pytest.raises(InputError, match="call_timeout"):
        load(f"{SPEC},call_timeout=soon")


# ---- cancelling


def test_a_held_job_can_be_cancelled_and_a_released_one_ends(service, device, program, tag):
    service.behave(hold=True)
    first, second = (device.submit([program], 5, tag=tag) for _ in range(2))
    assert device.status(first) == device.status(second) == "submitted"
    assert device.usage(first) is None or device.usage(first) == Cost(
        None, Interval(2.0, 2.0), "charged by IBM"
    )
    device.cancel(first)
    assert device.status(first) == "cancelled"
    service.behave()
    assert device.status(second) == "done"
    assert sum(counts.sum() for counts in device.fetch(second).values()) == 15


def test_a_job_that_ends_while_it_is_cancelled_stays(service, device, program, tag):
    service.behave(slow=2, refuse={})  # two questions: ours, and the one after the refusal is done
    ref = device.submit([program], 5, tag=tag)
    service.behave(slow=2, refuse={f"POST /jobs/{ref.id}/cancel": 409})
    device.cancel(ref)
    assert device.status(ref) == "done"
    service.behave(hold=True, refuse={f"POST /jobs/{ref.id}/cancel": 409})
    with pytest.raises(RefusedError):
        device.cancel(ref)


# ---- dry runs


def test_a_dry_run_is_no_result(service, device, program, tag):
    service.behave(backend="mock_boston")
    ref = device.submit([program], 5, tag=tag)
    with pytest.raises(QmoeError, match="ran on mock_boston") as caught:
        device.fetch(ref)
    one_line(caught)


def test_a_reply_cannot_fill_the_memory():
    from qiskit.primitives import BitArray, DataBin, SamplerPubResult

    packed = np.zeros((1, 2, 8), dtype=np.uint8)
    result = [SamplerPubResult(DataBin(c=BitArray(packed, 60), shape=(1,)))]
    with pytest.raises(QmoeError, match="not those of 1 inputs"):
        sampler.counts(result, 1)


# ---- what it costs


def test_a_job_costs_what_ibms_guide_says(device):
    """ "2 + 0.00035 x executions" at the usual delay of 250 us, which the device has."""
    assert device._delay == pytest.approx(250e-6)
    for rows, shots in ([60], 2000), ([100, 3], 1000), ([1], 1):
        cost = device.cost(rows, shots)
        guide = sum(2 + 0.00035 * n * shots for n in rows)
        assert cost.money is None
        assert "plan" in cost.note
        assert cost.seconds.low <= guide <= cost.seconds.high
        assert cost.seconds.high < 1.1 * guide + 9 * len(rows)
    assert device.cost([], 10).seconds == Interval(0, 0)
    most = device.limits().total[1]
    largest = device.cost([1], most).seconds
    assert largest.high == pytest.approx(runtime.MOST_SECONDS, abs=0.1)
    assert device.cost([100], most).seconds.high == runtime.MOST_SECONDS  # then IBM stops it


def test_limits_keep_a_job_within_its_own_time():
    limits = [load(f"{SPEC},max_execution_time={n}").limits() for n in (60, 10800)]
    assert limits[0].total[1] == int(50 / 350e-6)
    assert limits[1].total[1] == 10_000_000
    assert limits[0].split([0] * 300, 1000)[0] == tuple(range(100))


def test_usage_is_what_was_charged(service, device, program, tag):
    ref = device.submit([program], 5, tag=tag)
    service.behave(seconds=3.25)
    assert device.usage(ref) == Cost(None, Interval(3.25, 3.25), "charged by IBM")
    for metrics in {"status": "pending", "qpu_charge_time_seconds": 1}, {}, {"quantum_seconds": 4}:
        service.behave(metrics=metrics)
        assert device.usage(ref) is None


@pytest.mark.parametrize("value", ["4", -1, True, None, 1e999, [2]])
def test_usage_that_is_no_number_is_one_line(service, device, program, tag, value):
    ref = device.submit([program], 5, tag=tag)
    service.behave(metrics={"status": "done", "qpu_charge_time_seconds": value})
    with pytest.raises(QmoeError, match="the usage of job") as caught:
        device.usage(ref)
    one_line(caught)


def test_what_is_left_of_the_instance(service, device):
    assert device.left() is None
    service.behave(usage={"usage_limit_seconds": 600, "usage_consumed_seconds": 590.5})
    assert device.left() == 9.5
    service.behave(usage={"usage_limit_seconds": 600, "usage_consumed_seconds": 700})
    assert device.left() == 0
    service.behave(usage={"usage_remaining_seconds": "many"})
    with pytest.raises(QmoeError, match="the usage of the instance") as caught:
        device.left()
    one_line(caught)


# ---- where results come from


@pytest.mark.parametrize("variable", ["QISKIT_IBM_URL", "IAM_URL"])
def test_either_address_elsewhere_makes_it_loopback(variable, service, device):
    assert device.source == "loopback"
    own = "https://quantum.cloud.ibm.com/api/v1"
    url = service.environment["QISKIT_IBM_URL"]
    endpoint = url if variable == "QISKIT_IBM_URL" else own
    environment = {"IAM_URL": url} if variable == "IAM_URL" else {}
    assert account.source(endpoint, False, environment) == "loopback"
    assert account.source(own, False, {}) == "device"


def _plain(value):
    return value.tolist() if isinstance(value, np.ndarray) else repr(value)
