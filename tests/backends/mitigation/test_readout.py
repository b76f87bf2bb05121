"""Readout error is undone exactly where its model holds, and visibly not where it does not."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import backends
from backends.execute import execute
from backends.mitigation import Job, Run, load, project
from backends.mitigation.readout import MOST_FULL, Readout, check_confusion
from qmoe import readout
from qmoe.agreement import total_variation
from qmoe.ansatz import paper
from qmoe.circuit import Circuit, Feature, Op
from qmoe.errors import InputError
from qmoe.noise import NoiseModel
from qmoe.simulate import reference
from tests.backends.mitigation.simulated import Noisy

RNG = np.random.default_rng(0)


def bound(n: int = 3, layers: int = 2, **options: Any) -> Circuit:
    circuit = paper(n, layers, **options)
    return circuit.bind_weights(np.linspace(-2, 1, circuit.num_weights))


def inputs(count: int, n: int = 3) -> Any:
    return np.random.default_rng(5).uniform(-np.pi, np.pi, (count, n))


def treated(backend: Any, circuit: Circuit, text: str, x: Any, shots: Any = None) -> Any:
    return execute(backend, backend.compile(circuit), load(text), x, shots, 11)


CHANCES = st.floats(0, 0.3)


@settings(max_examples=25)
@given(
    st.lists(st.tuples(CHANCES, CHANCES), min_size=1, max_size=3),
    st.sampled_from(["readout", "readout,kind=full"]),
    st.data(),
)
def test_independent_error_is_undone_exactly(errors: Any, text: str, data: Any) -> None:
    """Each measured qubit has its own two errors; the measured qubits are any, in any order."""
    measured = tuple(data.draw(st.permutations(range(3)))[: len(errors)])
    confusion = readout.independent([up for up, _ in errors], [down for _, down in errors])
    circuit = bound(measured=measured)
    x = inputs(2)
    found = treated(Noisy(NoiseModel(), confusion), circuit, text, x)
    ideal = reference.probabilities(circuit, (), x)
    np.testing.assert_allclose(found.quasi, ideal, atol=1e-10)


def test_correlated_error_is_undone_by_full_and_not_by_tensored() -> None:
    noise = NoiseModel(read_1_of_0=0.03, read_0_of_1=0.08, readout_pair=0.05)
    circuit, x = bound(), inputs(4)
    ideal = reference.probabilities(circuit, (), x)
    full = treated(Noisy(noise), circuit, "readout,kind=full", x)
    np.testing.assert_allclose(full.quasi, ideal, atol=1e-10)
    tensored = treated(Noisy(noise), circuit, "readout", x)
    assert total_variation(tensored.quasi, ideal).min() > 0.005


@pytest.mark.parametrize("chance", [0.02, 0.1])
def test_what_tensored_leaves_of_a_pair_error(chance: float) -> None:
    """Both bits flip together: <ZI> and <IZ> shrink by 1 - 2c, and <ZZ> not at all.

    Qubit by qubit that looks like chance c for each, so <ZZ> is divided by (1 - 2c)^2 for nothing.
    """
    circuit, x = bound(2), inputs(4, 2)
    ideal = reference.probabilities(circuit, (), x)
    parity = np.array([1, -1, -1, 1])
    found = treated(Noisy(NoiseModel(readout_pair=chance)), circuit, "readout", x)
    grown = (ideal @ parity) * (1 / (1 - 2 * chance) ** 2 - 1)
    np.testing.assert_allclose(found.quasi, ideal + grown[:, None] * parity / 4, atol=1e-10)
    assert np.abs(grown).max() > chance


def test_the_confusion_that_the_target_states_takes_no_shots() -> None:
    noise = NoiseModel(read_1_of_0=0.03, read_0_of_1=0.08, readout_pair=0.05)
    circuit, x = bound(), inputs(4)
    exact = treated(Noisy(noise), circuit, "readout,source=device", x)
    ideal = reference.probabilities(circuit, (), x)
    np.testing.assert_allclose(exact.quasi, ideal, atol=1e-10)
    drawn = treated(Noisy(noise), circuit, "readout,source=device", x, 500)
    assert (drawn.overhead.circuits, drawn.overhead.shots) == (4, 2000)


def test_calibration_is_charged_and_shared_by_all_inputs() -> None:
    circuit, x = bound(), inputs(10)
    found = treated(Noisy(NoiseModel(read_1_of_0=0.1)), circuit, "readout,share=0.2", x, 1000)
    assert found.overhead.shots == 10_000
    assert found.overhead.circuits == 12
    assert [run.shots(1000, 10) for run in found.runs] == [800, 1000, 1000]
    assert [run.label for run in found.runs] == ["", "000", "111"]
    assert sum(run.share for run in found.runs) == pytest.approx(1)


def test_combine_gives_back_what_expand_was_given() -> None:
    """Runs of others keep their places; other calibrations are left alone, training is not."""
    circuit = bound()
    others = Run(Circuit(3, (), (0,)), "calibration", share=0.1, path=("other",))
    training = Run(circuit.bind([0.0] * 3), "training", share=0.3, path=("rescale",), label="1")
    given_ = (Run(circuit, share=0.4), others, training, Run(circuit, share=0.2, row=None))
    step = load("readout,kind=full,share=0.25")
    runs = step.expand(given_, RNG)
    assert sum(run.share for run in runs) == pytest.approx(1)
    assert len(runs) == 4 + 8
    confusion = readout.independent([0.1, 0.2, 0.3], [0.0, 0.1, 0.2])
    true = [np.full((1, 8), 1 / 8) for _ in given_] + [row[None] for row in np.eye(8)]
    read = [p if run is others else p @ confusion.T for run, p in zip(runs, true, strict=True)]
    left, found = step.combine(runs, read)
    assert [(run.circuit, run.role, run.path, run.label) for run in left] == [
        (run.circuit, run.role, run.path, run.label) for run in given_
    ]
    np.testing.assert_allclose([run.share for run in left], [run.share for run in given_])
    np.testing.assert_allclose(found, true[:4], atol=1e-12)


def test_projection_is_that_of_the_corrected_values() -> None:
    circuit, x = bound(), inputs(6)
    backend = Noisy(NoiseModel(read_1_of_0=0.1, read_0_of_1=0.15))
    plain = treated(backend, circuit, "readout", x, 200)
    onto = treated(backend, circuit, "readout,projection=simplex", x, 200)
    assert plain.quasi.min() < -1e-3  # or there were nothing to project
    np.testing.assert_allclose(onto.quasi, project(plain.quasi), atol=1e-12)
    assert onto.clipped == pytest.approx(0, abs=1e-12)


class Untouchable(Noisy):
    """Must not be run."""

    def probabilities(self, compiled: Any, features: Any) -> Any:
        raise AssertionError("ran")


@pytest.mark.parametrize(
    ("confusion", "text", "hint"),
    [
        (None, "readout,source=device", "does not state"),
        (readout.independent([0.1, 0.5], [0.1, 0.5]), "readout,source=device", "qubit 1 of 0 to 1"),
        (readout.independent([0.5, 0.1], [0.495, 0.1]), "readout,source=device", "at most 100"),
    ],
)
def test_a_target_that_cannot_is_refused_before_anything_runs(
    confusion: Any, text: str, hint: str
) -> None:
    with pytest.raises(InputError, match=hint):
        treated(Untouchable(NoiseModel(), confusion), bound(2), text, inputs(2, 2))


def test_full_calibration_of_too_many_qubits_is_refused_before_anything_runs() -> None:
    wide = Circuit(MOST_FULL + 1, (), tuple(range(MOST_FULL + 1)))
    with pytest.raises(InputError, match="use kind=tensored"):
        treated(Untouchable(NoiseModel()), wide, "readout,kind=full", np.zeros((1, 0)))


@pytest.mark.parametrize("text", ["readout", "readout,kind=full", "readout+zne"])
def test_a_confusion_that_is_measured_to_be_singular_names_the_qubit(text: str) -> None:
    confusion = readout.independent([0.1, 0.1, 0.4], [0.1, 0.1, 0.6])
    with pytest.raises(InputError, match=r"worst on measured qubit 2 of 0 to 2.*\[0\.4, 0\.4\]"):
        treated(Noisy(NoiseModel(), confusion), bound(), text, inputs(2))


def test_qubits_that_are_read_in_reverse_can_be_undone() -> None:
    confusion = readout.independent([0.9], [0.95])
    check_confusion(confusion)
    circuit = Circuit(1, (Op("ry", (0,), (Feature(0),)),), (0,), 1)
    x = inputs(3, 1)
    found = treated(Noisy(NoiseModel(), confusion), circuit, "readout", x)
    np.testing.assert_allclose(found.quasi, reference.probabilities(circuit, (), x), atol=1e-10)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("readout,kind=both", "kind of readout 'both'"),
        ("readout,share=0", "between 0 and 1"),
        ("readout,share=1", "between 0 and 1"),
        ("readout,share=nan", "finite"),
        ("readout,share=all", "finite"),
        ("readout,projection=clip", "projection of readout"),
        ("readout,source=guess", "source of readout"),
        ("readout,source=device,kind=full", "no calibration of its own"),
        ("readout,source=device,share=0.1", "no calibration of its own"),
        ("readout,shares=0.1", "did you mean 'share'"),
    ],
)
def test_bad_options_are_one_line_errors(text: str, hint: str) -> None:
    with pytest.raises(InputError) as caught:
        load(text)
    assert hint in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("readout", "readout"),
        ("readout, kind = tensored", "readout"),
        ("readout,share=.1,kind=full", "readout,kind=full,share=0.1"),
        ("readout,projection=simplex,source=device", "readout,projection=simplex,source=device"),
    ],
)
def test_names_are_canonical(text: str, name: str) -> None:
    assert load(text).name == name
    assert load(name) == load(text)


def test_half_a_calibration_is_refused() -> None:
    step = load("readout")
    runs = step.expand((Run(bound()),), RNG)
    with pytest.raises(InputError, match="combine all of it"):
        step.combine(runs[:2], [np.full((1, 8), 1 / 8)] * 2)


def test_two_percent_readout_error_at_equal_shots_is_better_undone() -> None:
    """Total variation to the ideal, paired over inputs, 4,000 shots each, calibration charged.

    Raw: E|X| >= |E X| for each outcome. Corrected: E|X| <= sqrt(E X^2), with the variance of
    A^-1 times multinomial counts, and that of the calibration to first order. So the difference of
    the means is known to lie below a bound, which is negative; what is drawn must lie below it
    but for 5 standard errors.
    """
    shots, chance, n, count = 4000, 0.02, 4, 60
    circuit, x = bound(n), inputs(count, n)
    backend = Noisy(NoiseModel(read_1_of_0=chance, read_0_of_1=chance))
    ideal = reference.probabilities(circuit, (), x)
    confusion = backend.compile(circuit).confusion
    assert confusion is not None
    read, inverse = ideal @ confusion.T, np.linalg.inv(confusion)

    data = np.einsum("ij,bj,ij->bi", inverse, read, inverse) - (read @ inverse.T) ** 2
    variance = data / (0.95 * shots)
    for k in range(2 * n):
        step = np.full(2 * n, chance)
        step[k] += 1e-6
        slope = (readout.independent(step[:n].tolist(), step[n:].tolist()) - confusion) / 1e-6
        error = ideal @ (inverse @ slope).T
        variance += error**2 * chance * (1 - chance) / (0.025 * shots * count)
    at_most = np.sqrt(variance).sum(1) / 2
    at_least = total_variation(read, ideal)
    bound_ = float((at_most - at_least).mean())
    assert bound_ < -0.005

    raw, corrected = (
        total_variation(treated(backend, circuit, text, x, shots).quasi, ideal)
        for text in ("none", "readout")
    )
    better = corrected - raw
    assert better.mean() < bound_ + 5 * better.std(ddof=1) / np.sqrt(count)
    assert better.mean() < -5 * better.std(ddof=1) / np.sqrt(count)


def test_mthree_agrees() -> None:
    """IBM's own inversion of the same confusion; all outcomes are seen, so it leaves none out."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of qiskit, at import
        mthree = pytest.importorskip("mthree", reason="mthree is not installed")
    up, down = (0.03, 0.1, 0.02), (0.08, 0.05, 0.2)
    circuit, x = bound(), inputs(1)
    backend = Noisy(NoiseModel(), readout.independent(up, down))
    compiled = backend.compile(circuit)
    counts = backend.run(compiled, x, 20_000, 1)[0]
    assert counts.min() > 0
    step = load("readout,source=device").on(Job(compiled, x, True, "simulated"))
    runs = step.expand((Run(circuit),), RNG)
    _, (ours,) = step.combine(runs, [counts[None] / 20_000])

    known = mthree.M3Mitigation()
    known.cals_from_matrices(
        [np.array([[1 - u, d], [u, 1 - d]]) for u, d in zip(up, down, strict=True)]
    )
    # qiskit's rightmost bit is its qubit 0: our first measured qubit is its last
    named = {format(k, "03b"): int(each) for k, each in enumerate(counts)}
    theirs = known.apply_correction(named, [2, 1, 0])
    np.testing.assert_allclose(ours[0], [theirs[bits] for bits in sorted(theirs)], atol=1e-6)


def test_a_confusion_of_ones_own_is_used_as_given() -> None:
    confusion = readout.independent([0.1, 0.2, 0.3], [0.0, 0.1, 0.2])
    circuit, x = bound(), inputs(3)
    backend = Noisy(NoiseModel(), confusion)
    backend_says = Noisy(NoiseModel(), readout.independent([0.01] * 3, [0.01] * 3))
    step = Readout(confusion=confusion)
    found = execute(backend, backend_says.compile(circuit), step, x, None, 0)
    wrong = backend_says.probabilities(backend_says.compile(circuit), x)
    np.testing.assert_allclose(found.quasi, np.linalg.solve(confusion, wrong.T).T, atol=1e-12)
    assert step.name == "readout,source=device"
    with pytest.raises(InputError, match="does not state"):
        execute(backend, backend.compile(bound(2)), step, inputs(1, 2), None, 0)


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param("ibm:dm,readout=0.02", marks=pytest.mark.xdist_group("ibm")),
        pytest.param("braket:dm,readout=0.02", marks=pytest.mark.xdist_group("braket")),
        pytest.param("cirq:dm,readout=0.02", marks=pytest.mark.xdist_group("cirq")),
    ],
)
def test_it_is_exact_on_the_vendors_simulators(spec: str) -> None:
    backend: Any = backends.load(spec)
    circuit, x = bound(measured=(2, 0)), inputs(3)
    found = treated(backend, circuit, "readout", x)
    np.testing.assert_allclose(found.quasi, reference.probabilities(circuit, (), x), atol=1e-10)
