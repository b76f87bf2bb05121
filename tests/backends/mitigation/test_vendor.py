"""What IBM is asked to do itself: only on its real devices, and in the job that is sent."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import backends
from backends.execute import execute
from backends.ibm import sampler
from backends.ibm.circuits import to_qiskit
from backends.mitigation import Job, Run, load
from backends.queued import Program
from qmoe.ansatz import reupload
from qmoe.circuit import Circuit, Feature, Op
from qmoe.errors import InputError
from tests.backends.test_ibm_runtime import SPEC, environment, stand  # noqa: F401

pytestmark = pytest.mark.xdist_group("ibm")

X = np.random.default_rng(5).uniform(0, np.pi, size=(3, 2))


@pytest.fixture(scope="module")
def router() -> Circuit:
    return reupload(2, 2, measured=(1, 0)).bind_weights(np.linspace(0.3, 2.0, 4))


def last(stand: Any) -> Any:  # noqa: F811
    return stand.jobs()[-1]["params"]


def gates(sent: Any) -> set[str]:
    """The names in the circuit of a job of the client-side sampler."""
    from ibm_quantum_schemas.executor.version_2_0 import ParamsModel

    program = ParamsModel.model_validate(sent).quantum_program
    return {each.operation.name for each in program.circuits.to_python()[0].data}


def options(sent: Any) -> Any:
    return sent["quantum_program"]["passthrough_data"]["post_processor"]["options"]


def test_nothing_is_asked_for_unless_told(stand: Any, router: Circuit) -> None:  # noqa: F811
    device = backends.load(SPEC)
    compiled = device.compile(router)
    device.submit([Program(compiled, X)], 100, tag="t")
    sent = options(last(stand))
    assert not sent["dynamical_decoupling"]["enable"]
    assert not sent["twirling"]["enable_gates"]
    assert "delay" not in gates(last(stand))
    both = device.with_options(("ibm.dd", "ibm.twirl"))
    assert both is not device
    device.submit([Program(compiled, X)], 100, tag="t")  # the first one is as it was
    assert not options(last(stand))["dynamical_decoupling"]["enable"]


def test_decoupling_is_asked_of_the_client_side_sampler(stand: Any, router: Circuit) -> None:  # noqa: F811
    device = backends.load(SPEC)
    compiled = device.compile(router)
    device.with_options(("ibm.dd",)).submit([Program(compiled, X)], 100, tag="t")
    sent = options(last(stand))
    assert sent["dynamical_decoupling"]["enable"]
    assert sent["dynamical_decoupling"]["sequence_type"] == "XX"
    assert not sent["twirling"]["enable_gates"]
    assert "delay" in gates(last(stand))  # it is scheduled before it is sent


def test_twirling_is_asked_of_the_client_side_sampler(stand: Any, router: Circuit) -> None:  # noqa: F811
    stand.behave(status="Queued")  # the stand-in runs no randomised circuits
    device = backends.load(SPEC)
    compiled = device.compile(router)
    device.with_options(("ibm.twirl",)).submit([Program(compiled, X)], 1000, tag="t")
    sent = last(stand)
    asked = options(sent)["twirling"]
    assert (asked["enable_gates"], asked["enable_measure"]) == (True, False)
    (item,) = sent["quantum_program"]["items"]
    assert item["item_type"] == "samplex"
    # 32 randomizations of 31 shots: never more than the 1000 that are paid for
    assert (asked["num_randomizations"], sent["quantum_program"]["shots"]) == (32, 31)


def test_both_are_asked_of_samplerv2(stand: Any, router: Circuit) -> None:  # noqa: F811
    stand.behave(status="Queued")
    device = backends.load(f"{SPEC},sampler=v2")
    compiled = device.compile(router)
    device.with_options(("ibm.dd", "ibm.twirl")).submit([Program(compiled, X)], 64, tag="t")
    sent = last(stand)
    assert sent["options"]["dynamical_decoupling"] == {"enable": True, "sequence_type": "XX"}
    assert sent["options"]["twirling"] == {
        "enable_gates": True,
        "num_randomizations": 32,
        "shots_per_randomization": 2,
    }
    assert sent["pubs"][0][2] == 64
    device.submit([Program(compiled, X)], 64, tag="t")
    assert not {"dynamical_decoupling", "twirling"} & set(last(stand)["options"])


def test_an_unknown_wish_is_told() -> None:
    with pytest.raises(InputError, match=r"did you mean 'ibm\.dd'"):
        backends.load(SPEC).with_options(("ibm.d",))


@pytest.mark.parametrize("features", [0, 1])
@pytest.mark.parametrize("shots", [50, 7])
def test_rows_of_twirled_circuits_are_never_longer_than_told(features: int, shots: int) -> None:
    """On a fake backend, where the client-side sampler twirls: three rows, all of equal length."""
    from qiskit_ibm_runtime.fake_provider import FakeManilaV2

    angle = Feature(0) if features else 0.0
    native = Circuit(
        2, (Op("rz", (0,), (angle,)), Op("x", (1,)), Op("cx", (1, 0))), (0, 1), features
    )
    job = sampler.submit(
        FakeManilaV2(),
        [(to_qiskit(native, (0, 1), 5), np.zeros((3, features)))],
        shots,
        tags=["t"],
        max_execution_time=9,
        asked=("ibm.twirl",),
    )
    counts = sampler.counts(job.result(), 3)
    assert counts.sum(1).tolist() == [shots // min(32, shots) * min(32, shots)] * 3
    assert (counts.argmax(1) == 3).all()


def test_the_pipeline_sends_what_a_run_asks_for(stand: Any, router: Circuit) -> None:  # noqa: F811
    device = backends.load(f"{SPEC},timeout=60")
    compiled = device.compile(router)
    before = len(stand.jobs())
    found = execute(device, compiled, load("readout+ibm.dd"), X, 400, 0)
    sent = [options(job["params"])["dynamical_decoupling"] for job in stand.jobs()[before:]]
    assert len(sent) == len(found.runs) == 3
    assert sent[0]["enable"]
    assert [run.vendor for run in found.runs if run.role == "data"] == [("ibm.dd",)]
    np.testing.assert_allclose(found.quasi.sum(1), 1)


@pytest.mark.parametrize("text", ["ibm.dd", "ibm.twirl"])
@pytest.mark.parametrize(
    "spec", ["ibm:fake_boston", "ibm:aer", "twin:ibm:ibm_boston", "reference", "braket:sv"]
)
def test_only_real_devices_of_ibm_take_them(text: str, spec: str, router: Circuit) -> None:
    job = Job(backends.load("reference").compile(router), None, True, spec)
    with pytest.raises(InputError, match=f"got {text} on {spec}; expected a real device"):
        load(text).on(job)


def test_runs_carry_the_wish_and_lose_it_again(router: Circuit) -> None:
    compiled = backends.load("reference").compile(router)
    job = Job(compiled, None, True, "ibm:ibm_boston")
    step = load("ibm.dd+ibm.twirl").on(job)
    start = Run(compiled.native)
    runs = step.expand((start, Run(compiled.native.bind([0, 0]), "calibration")), None)  # type: ignore[arg-type]
    assert set(runs[0].vendor) == {"ibm.dd", "ibm.twirl"}
    assert runs[1].vendor == ()
    assert Run.from_dict(json.loads(json.dumps(runs[0].to_dict()))) == runs[0]
    blank = [np.full((1, 4), 0.25)] * 2
    left, values = step.combine(runs, blank)
    assert left[0] == start
    assert values[0] is blank[0]


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("ibm.ddd", r"did you mean 'ibm\.dd'"),
        ("ibm.twril", r"did you mean 'ibm\.twirl'"),
        ("ibm.dd,sequence=XY4", "option of ibm.dd 'sequence'"),
        ("ibm.dd+readout", "readout in the first place"),
    ],
)
def test_bad_names_and_options_are_told(text: str, match: str) -> None:
    with pytest.raises(InputError, match=match):
        load(text)
    assert load(load("ibm.dd").name) == load("ibm.dd")
