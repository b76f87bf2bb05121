"""The values that pass between targets and the rest: samples, compiled circuits, jobs."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

import backends
from backends.base import (
    Backend,
    Compiled,
    Exact,
    check_features,
    compiled,
    sample,
)
from backends.compiled import gate_fidelities
from backends.queued import JobRef, wait
from qmoe.ansatz import paper
from qmoe.channel import Channel
from qmoe.circuit import Circuit, Feature, Op, Weight
from qmoe.errors import FitError, InputError, QmoeError, UnreachableError

X = np.array([[0.3, -1.2], [2.0, 0.7], [0.0, 0.1]])
LOSS = Channel((0,), np.diag([1.0, 0.9, 0.9, 0.9]))
PAIR = Channel((0, 1), np.diag([1.0, *[0.8] * 15]))


def noisy() -> Compiled:
    native = Circuit(2, (Op("ry", (0,), (Weight(0),)), Op("cz", (0, 1))), (1, 0), 2, 1)
    confusion = np.full((4, 4), 0.02) + 0.92 * np.eye(4)
    steps = (native.ops[0], LOSS, native.ops[1], PAIR)
    return compiled("lab:one", native, ("a", "b"), noisy=steps, confusion=confusion)


class TestSamples:
    def test_rows_sum_to_the_shots_and_repeat_from_their_seed(self):
        p = np.array([[0.25, 0.75], [1.0, 0.0], [0.5, 0.5]])
        counts = sample(p, 1000, seed=3)
        assert counts.dtype == np.int64 and counts.shape == (3, 2)
        assert (counts.sum(1) == 1000).all() and counts[1].tolist() == [1000, 0]
        assert (counts == sample(p, 1000, seed=3)).all()
        assert (counts != sample(p, 1000, seed=4)).any()
        assert (counts != sample(p, 1000, seed=3, run=1)).any()

    def test_a_batch_in_parts_has_the_same_rows(self):
        p = np.random.default_rng(0).dirichlet(np.ones(4), size=7)
        parts = [sample(p[:3], 50, 9), sample(p[3:], 50, 9, first=3)]
        assert (np.concatenate(parts) == sample(p, 50, 9)).all()

    def test_frequencies_lie_near_the_probabilities(self):
        p = np.array([[0.1, 0.2, 0.3, 0.4]])
        shots = 100_000
        # McDiarmid: P(|x/n - p| >= t) <= 2 exp(-2 n t^2); four outcomes, failure below 1e-9
        bound = np.sqrt(np.log(8e9) / (2 * shots))
        assert np.abs(sample(p, shots, 5) / shots - p).max() < bound

    @pytest.mark.parametrize("p", [[[0.5, 0.6]], [[-0.1, 1.1]], [0.5, 0.5], [[np.nan, 1.0]]])
    def test_what_is_no_distribution_is_refused(self, p):
        with pytest.raises(InputError):
            sample(p, 10, 0)

    def test_no_shots_are_refused(self):
        with pytest.raises(InputError, match="shots"):
            sample([[1.0, 0.0]], 0, 0)


class TestCompiled:
    def test_its_figures_are_computed(self):
        made = noisy()
        assert (made.depth, made.two_qubit_gates) == (2, 1)
        expected = (1 + 3 * 0.9) / 4 * (1 + 15 * 0.8) / 16 * 0.94
        assert made.expected_fidelity == pytest.approx(expected, rel=1e-12)
        assert made.template == made.native.digest

    def test_virtual_gates_have_no_depth(self):
        ops = (Op("rz", (0,), (0.1,)), Op("sx", (0,)), Op("rz", (0,), (0.2,)), Op("sx", (0,)))
        native = Circuit(1, ops, (0,))
        assert compiled("a", native, ("0",), noisy=None, virtual={"rz"}).depth == 2
        assert compiled("a", native, ("0",), noisy=None).depth == 4

    def test_unknown_noise_has_no_fidelity(self):
        native = Circuit(1, (Op("x", (0,)),), (0,))
        made = compiled("a", native, ("0",), noisy=None)
        assert made.expected_fidelity is None and gate_fidelities(made) == ()

    def test_fidelities_belong_to_the_gate_before(self):
        rows = {(r.gate, r.qubits): r.fidelity for r in gate_fidelities(noisy())}
        assert rows == pytest.approx({("ry", (0,)): 3.7 / 4, ("cz", (0, 1)): 13 / 16})

    def test_the_json_text_reads_back_equal(self):
        made = noisy()
        again = Compiled.from_json(made.to_json())
        assert again == made and again.to_json() == made.to_json()
        assert again.noisy == made.noisy
        assert_allclose(again.confusion, made.confusion, rtol=0, atol=0)

    def test_weights_put_in_leave_gates_layout_and_template(self):
        made = noisy()
        bound = made.bind_weights([0.5])
        assert bound.native == made.native.bind_weights([0.5])
        assert bound.noisy[0] == Op("ry", (0,), (0.5,)) and bound.noisy[1:] == made.noisy[1:]
        assert (bound.template, bound.physical) == (made.template, made.physical)
        assert bound != made

    @pytest.mark.parametrize(
        "change",
        [
            {"format": 2},
            {"format": True},
            {"physical": ["a"]},
            {"physical": [1, 2]},
            {"surprise": 1},
            {"confusion": [[1.0]]},
            {"confusion": [[2.0, 0, 0, 0]] + [[-1.0 / 3, 1, 1, 1]] * 3},
            {"depth": "deep"},
            {"native": 3},
            {"noisy": [{"gate": "x", "qubits": [7]}]},
            {"noisy": [{"qubits": [0], "ptm": [[1.0]]}]},
            {"noisy": [3]},
        ],
    )
    def test_a_damaged_text_is_one_line(self, change):
        tree = json.loads(noisy().to_json()) | change
        with pytest.raises(InputError) as caught:
            Compiled.from_json(json.dumps(tree))
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("text", ["", "[]", "{}", "{", "[" * 100_000, '{"format": 1}'])
    def test_another_text_is_one_line(self, text):
        with pytest.raises(InputError):
            Compiled.from_json(text)


class TestFeatures:
    def test_they_are_checked(self):
        made = noisy().bind_weights([0.1])
        assert check_features(made, X.tolist()).shape == (3, 2)
        for wrong in (X[0], X[:, :1], np.where(X > 1, np.nan, X)):
            with pytest.raises(InputError):
                check_features(made, wrong)

    def test_free_weights_are_refused(self):
        with pytest.raises(InputError, match="bind_weights"):
            check_features(noisy(), X)


@pytest.mark.parametrize("spec", ["reference", "torch"])
class TestOwnSimulators:
    def test_they_are_targets(self, spec):
        backend = backends.load(spec)
        assert isinstance(backend, Backend) and isinstance(backend, Exact)
        assert (backend.spec, backend.source) == (spec, "exact")

    def test_they_agree_and_count(self, spec):
        circuit = paper(2, 2, measured=(1, 0)).bind_weights([0.4, -1.0, 2.0, 0.3])
        backend = backends.load(spec)
        made = backend.compile(circuit)
        p = backend.probabilities(made, X)
        other = backends.load("reference")
        assert_allclose(p, other.probabilities(other.compile(circuit), X), atol=1e-12)
        counts = backend.run(made, X, 500, 1)
        assert (counts == sample(p, 500, 1)).all()
        assert backend.probabilities(made, np.zeros((0, 2))).shape == (0, 4)
        assert backend.emit(made.native, made) == made

    def test_too_many_qubits_do_not_fit(self, spec):
        wide = Circuit(25, (Op("x", (24,)),), (24,))
        with pytest.raises(FitError, match="25 qubits"):
            backends.load(spec).compile(wide)

    def test_a_native_circuit_of_another_size_is_refused(self, spec):
        backend = backends.load(spec)
        made = backend.compile(Circuit(2, (Op("ry", (0,), (Feature(0),)),), (0,), 1))
        with pytest.raises(InputError):
            backend.emit(Circuit(1, (), (0,), 1), made)


class Queue:
    """A queue that answers with the given statuses, one after the other."""

    spec, source = "lab:queue", "loopback"

    def __init__(self, *statuses, rows=(0, 1)):
        self.statuses, self.rows = iter(statuses), rows

    def status(self, ref):
        return next(self.statuses)

    def fetch(self, ref):
        return {row: np.array([row, 10 - row]) for row in self.rows}


class TestWaiting:
    REF = JobRef("lab:queue", "job-7", 2, 10, "tag")

    def wait(self, queue, timeout=5.0):
        times = itertools.count()
        return wait(
            queue, self.REF, timeout=timeout, poll=1.0, sleep=lambda s: None, clock=times.__next__
        )

    def test_rows_come_in_order(self):
        counts = self.wait(Queue("submitted", "running", "done", rows=(1, 0)))
        assert counts.tolist() == [[0, 10], [1, 9]]

    def test_a_job_that_takes_too_long_is_named(self):
        with pytest.raises(UnreachableError, match="job-7"):
            self.wait(Queue(*["running"] * 20))

    @pytest.mark.parametrize("queue", [Queue("cancelled"), Queue("done", rows=(0,))])
    def test_rows_that_are_missing_are_an_error(self, queue):
        with pytest.raises(QmoeError, match="job-7"):
            self.wait(queue)

    def test_a_reference_reads_back(self):
        again = JobRef.from_dict(json.loads(json.dumps(self.REF.to_dict())))
        assert again == self.REF
        for wrong in ({}, self.REF.to_dict() | {"rows": [1, 1]}, self.REF.to_dict() | {"shots": 0}):
            with pytest.raises(InputError):
                JobRef.from_dict(wrong)


def test_replacing_a_value_keeps_equality_by_content():
    made = noisy()
    assert replace(made, confusion=made.confusion.copy()) == made
    assert replace(made, confusion=None) != made
    assert hash(replace(made, confusion=None)) == hash(made)
