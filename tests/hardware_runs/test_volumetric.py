"""Study `volumetric`: the share of random circuits that is left, against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends import load
from backends.twin import noisy_probabilities
from hardware_runs.studies import volumetric as study
from qmoe.ansatz import paper
from qmoe.errors import InputError
from qmoe.plan import carry_out
from qmoe.simulate import reference
from qmoe.store import Store
from qmoe.suite import setup

SMALL = {"widths": "1 3", "layers": "1 2", "draws": 3, "inputs": 4, "root": 5}


def shares(target: str, **changes) -> dict:
    found = study.on_target(target=target, **(SMALL | changes))
    return {(f.labels["width"], f.labels["layers"]): f for f in found if f.name == "carried"}


@pytest.mark.parametrize("target", ["reference", "cirq:dm"])
def test_without_noise_everything_is_left(target):
    found = shares(target)
    assert set(found) == {(1, 1), (1, 2), (3, 1), (3, 2)}
    for figure in found.values():
        assert figure.value == pytest.approx(1, abs=1e-9)
        assert figure.low is not None and figure.low <= figure.value <= figure.high + 1e-12
        assert figure.labels["source"] == "twin" and figure.labels["target"] == target


def test_nothing_is_left_where_every_qubit_is_wholly_depolarized():
    noise = "placement=end,convention=lambda,depolarizing=1"
    for figure in shares(f"cirq:dm,{noise}").values():
        assert figure.value == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("strength", [0.1, 0.4, 0.9])
def test_one_qubit_keeps_what_depolarizing_and_readout_leave(strength):
    """p -> (1 - s) p + s / 2, and a flip with chance e is the same with s = 2 e."""
    noise = f"placement=end,convention=lambda,depolarizing={strength}"
    flips = f"readout={strength / 2}"
    for options in (noise, flips):
        for figure in shares(f"cirq:dm,{options}", widths="1").values():
            assert figure.value == pytest.approx(1 - strength, abs=1e-9)
            # every draw leaves the same share
            assert figure.low == pytest.approx(figure.high, abs=1e-9)


@given(
    p=st.lists(st.floats(0.01, 1), min_size=8, max_size=8),
    q=st.lists(st.floats(0.01, 1), min_size=8, max_size=8),
    kept=st.floats(0, 1),
)
def test_a_share_is_at_most_one_and_linear_in_what_is_mixed_in(p, q, kept):
    ideal = np.array(p).reshape(2, 4)
    ideal[0, 0] += 1  # away from an even distribution
    ideal /= ideal.sum(1, keepdims=True)
    other = np.array(q).reshape(2, 4)
    other /= other.sum(1, keepdims=True)
    assert study.carried(ideal, ideal) == 1
    assert study.carried(other, ideal) <= 1
    mixed = kept * ideal + (1 - kept) / 4
    assert study.carried(mixed, ideal) == pytest.approx(kept, abs=1e-9)


def test_the_share_is_the_mean_over_draws_of_what_numpy_finds():
    spec, (width, layers, draws, inputs) = "cirq:dm,depolarizing=0.02", (2, 3, 4, 3)
    options = {"draws": draws, "inputs": inputs}
    figure = shares(spec, widths="2", layers="3", **options)[width, layers]
    circuit = paper(width, layers)
    compiled = load(spec).compile(circuit)
    # the documented streams: weights, then inputs
    rng = np.random.default_rng(np.random.SeedSequence(SMALL["root"], spawn_key=(width, layers)))
    weights = rng.uniform(-np.pi, np.pi, (draws, width * layers))
    X = rng.uniform(0, np.pi, (draws, inputs, width))
    each = []
    for w, x in zip(weights, X, strict=True):
        found = noisy_probabilities(compiled.bind_weights(w), x)
        ideal = np.array([reference.probabilities(circuit, w, row) for row in x])
        off = even = 0.0
        for p, q in zip(found, ideal, strict=True):
            off += sum(abs(a - b) for a, b in zip(p, q, strict=True)) / 2
            even += sum(abs(0.25 - b) for b in q) / 2
        each.append(1 - off / even)
    assert figure.value == pytest.approx(np.mean(each), abs=1e-9)
    assert 0 < figure.value < 1 and figure.low < figure.value < figure.high


def test_what_was_compiled_is_told():
    found = study.on_target(target="reference", **SMALL)
    gates = {
        (f.labels["width"], f.labels["layers"]): f.value
        for f in found
        if f.name == "volumetric two-qubit gates"
    }
    assert gates == {(1, 1): 0, (1, 2): 0, (3, 1): 2, (3, 2): 4}
    assert {f.value for f in found if f.name == "volumetric depth" if f.labels["width"] == 1} == {
        2,
        3,
    }


def test_a_circuit_that_does_not_fit_has_its_reason_in_place_of_a_share():
    (figure,) = study.on_target(target="cirq:willow_pink", **(SMALL | {"widths": "11"}))[:1]
    assert figure.name == "carried" and figure.value is None
    assert figure.labels["width"] == 11 and "expected at most 10" in figure.note


def test_one_draw_has_no_interval_and_the_same_call_the_same_figures():
    found = shares("cirq:dm,depolarizing=0.02", draws=1)
    assert all(f.value is not None and f.low is None and f.high is None for f in found.values())
    assert found == shares("cirq:dm,depolarizing=0.02", draws=1)


def test_the_plan_asks_once_per_target_and_leaves_out_what_is_not_there(monkeypatch):
    made = study.volumetric(setup(3, 2, 1))
    assert [m.options["target"] for m in made.measurements] == list(study.TARGETS)
    assert {m.options["root"] for m in made.measurements} == {3} and made.cells == ()
    monkeypatch.setattr("backends.registry.find_spec", lambda name: None)
    (measured,) = study.volumetric(setup(3, 2, 1), targets="ibm:fake_boston").measurements
    done = carry_out(
        [study.volumetric(setup(3, 2, 1), targets="ibm:fake_boston")], store=Store(None)
    )
    (figure,) = done.figures[measured.key].figures
    assert figure.value is None and "pip install 'qmoe-bench[ibm]'" in figure.note


@pytest.mark.parametrize(
    "options",
    [
        {"widths": ""},
        {"widths": "2 0"},
        {"layers": "1 two"},
        {"draws": 0},
        {"inputs": 0},
        {"targets": "refrence"},
    ],
)
def test_bad_options_are_refused(options):
    with pytest.raises(InputError):
        study.volumetric(setup(0, 2, 1), **options)
