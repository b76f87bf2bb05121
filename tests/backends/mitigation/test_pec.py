"""Probabilistic error cancellation: exact under its own model, and where it must fail."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import backends
from backends.execute import execute
from backends.mitigation import Job, Run, load
from backends.mitigation.paulis import digits, gates, moved, signs
from backends.mitigation.pec import Cancellation, flipped, inverses, quasi_probabilities
from backends.mitigation.weighted import total
from qmoe import channels
from qmoe.agreement import total_variation
from qmoe.ansatz import paper
from qmoe.channel import Channel
from qmoe.circuit import Circuit, Feature, Op
from qmoe.errors import InputError
from qmoe.noise import NoiseModel
from qmoe.simulate import reference
from tests.backends.mitigation.by_hand import probabilities as exact
from tests.backends.mitigation.simulated import Noisy

X = np.array([[0.7]])
SMALL = Circuit(
    2,
    (
        Op("ry", (0,), (Feature(0),)),
        Op("ry", (1,), (1.1,)),
        Op("cz", (0, 1)),
        Op("rx", (1,), (0.8,)),
    ),
    (1, 0),
    1,
)
IDEAL = reference.probabilities(SMALL, (), X)


def bound(n: int = 2, layers: int = 2) -> Circuit:
    circuit = paper(n, layers)
    return circuit.bind_weights(np.linspace(-1, 2, circuit.num_weights))


def expectation(told: Any, happening: Any) -> Any:
    """The mean over all Paulis of all channels that are told, each run under what happens.

    told, happening: A circuit to its noisy list.
    """
    found = inverses(replace(Noisy(NoiseModel()).compile(SMALL), noisy=told(SMALL)))
    weights: Counter[tuple[Circuit, tuple[int, ...]]] = Counter()
    for drawn in itertools.product(*(range(len(each.quasi)) for each in found)):
        placed: dict[int, list[tuple[int, int]]] = {}
        weight = 1.0
        for each, pauli in zip(found, drawn, strict=True):
            weight *= each.quasi[pauli]
            here = placed.setdefault(each.place, [])
            here += zip(each.qubits, digits(pauli, len(each.qubits)), strict=True)
        weights[moved(SMALL, placed)] += weight
    out = np.zeros((1, 4))
    for (circuit, flips), weight in weights.items():
        bits = "".join(map(str, flips))
        out += weight * flipped(exact(happening(circuit), X, SMALL), bits)
    return out


@given(
    st.integers(0, 2**32 - 1).map(lambda seed: np.random.default_rng(seed).dirichlet([9, 1, 1, 1]))
)
def test_the_quasi_probabilities_undo_a_pauli_channel(chances: Any) -> None:
    chances = 0.5 * chances + [0.5, 0, 0, 0]  # no eigenvalue at 0
    channel = channels.pauli(0, *chances[1:])
    quasi = quasi_probabilities(channel)
    assert quasi.sum() == pytest.approx(1, abs=1e-12)
    together = np.zeros(4)
    for (a, p), (b, q) in itertools.product(enumerate(chances), enumerate(quasi)):
        together[a ^ b] += p * q
    np.testing.assert_allclose(together, [1, 0, 0, 0], atol=1e-12)


@pytest.mark.parametrize("wires", [1, 2, 3])
def test_of_depolarizing_noise_they_are_those_of_the_formula(wires: int) -> None:
    """eta of arXiv 1612.02058 with epsilon = q 4^k / (4^k - 1)."""
    q, size = 0.03, 4**wires
    epsilon = q * size / (size - 1)
    found = quasi_probabilities(channels.depolarizing(range(wires), q))
    other = -epsilon / (1 - epsilon) / size
    np.testing.assert_allclose(found[1:], other, atol=1e-14)
    assert found[0] == pytest.approx(1 - (size - 1) * other, abs=1e-14)


def test_two_paulis_commute_where_the_sign_says_so() -> None:
    each = [Channel.from_unitary((0, 1), np.eye(4))]
    for pauli in range(1, 16):
        ops = gates((0, 1), digits(pauli, 2))
        matrix = np.kron(*(_matrix(ops, q) for q in (0, 1)))
        each.append(Channel.from_unitary((0, 1), matrix))
    np.testing.assert_allclose([np.diag(one.ptm) for one in each], signs(2), atol=1e-12)


def _matrix(ops: Any, qubit: int) -> Any:
    for op in ops:
        if op.qubits == (qubit,):
            return reference.op_matrix(op, np.zeros(0), np.zeros(0))
    return np.eye(2)


@pytest.mark.parametrize(
    "noise",
    [
        NoiseModel(depolarizing=0.05),
        NoiseModel(placement="wire", px=0.03, py=0.01, pz=0.05),
        NoiseModel(placement="end", depolarizing=0.2),
        NoiseModel(depolarizing2=0.3),
        NoiseModel(placement="end", phase_damping=0.2, px=0.1),
    ],
    ids=str,
)
def test_all_samples_together_recover_the_ideal_from_pauli_noise(noise: NoiseModel) -> None:
    raw = exact(noise.place(SMALL), X, SMALL)
    assert np.abs(raw - IDEAL).max() > 0.01
    np.testing.assert_allclose(expectation(noise.place, noise.place), IDEAL, atol=1e-10)


def test_all_samples_together_fail_on_decay_which_is_no_pauli_channel() -> None:
    noise = NoiseModel(placement="wire", amplitude_damping=0.1)
    off = np.abs(expectation(noise.place, noise.place) - IDEAL).max()
    assert off > 0.03


def test_all_samples_together_fail_on_coherent_error() -> None:
    noise = NoiseModel(over_rotation2=0.4)
    off = np.abs(expectation(noise.place, noise.place) - IDEAL).max()
    assert off > 0.03


def test_all_samples_together_leave_the_noise_that_was_not_told() -> None:
    """Twice the noise: as much is left as the model takes for all."""
    told, twice = NoiseModel(px=0.05), NoiseModel(px=0.095)  # px twice: 2 p (1 - p)
    left = expectation(told.place, twice.place)
    np.testing.assert_allclose(left, exact(told.place(SMALL), X, SMALL), atol=1e-10)
    assert np.abs(left - IDEAL).max() > 0.01


def test_samples_come_to_the_ideal_as_gamma_says() -> None:
    noise = NoiseModel(depolarizing=0.06)
    backend = Noisy(noise)
    compiled = backend.compile(SMALL)
    count = 40000
    ready = Cancellation(count).on(Job(compiled, X, True, backend.spec))
    expected = 1.0
    for wires in (1, 1, 2, 1):
        epsilon = 0.06 * 4**wires / (4**wires - 1)
        expected *= (1 + epsilon * (1 - 2 / 4**wires)) / (1 - epsilon)
    assert ready.gamma == pytest.approx(expected, abs=1e-12)
    runs = ready.expand((Run(SMALL),), np.random.default_rng(3))
    assert len(runs) < count / 100  # equal circuits are one run
    assert sum(run.share for run in runs) == pytest.approx(1)
    assert sum(abs(run.coefficient) for run in runs) == pytest.approx(ready.gamma)
    assert min(run.coefficient for run in runs) < 0
    measured = [exact(noise.place(run.circuit), X, SMALL) for run in runs]
    (left,), (quasi,) = load("pec").combine(runs, measured)  # in another process: no job needed
    # a sample's term is within gamma of 0: Hoeffding for every cell at once
    limit = ready.gamma * np.sqrt(2 * np.log(2 * 4 / 1e-9) / count)
    assert np.abs(quasi - IDEAL).max() < limit
    assert np.abs(exact(noise.place(SMALL), X, SMALL) - IDEAL).max() > limit
    assert quasi.sum() == pytest.approx(1)
    assert (left.path, left.coefficient, left.label) == ((), 1.0, "")


def test_the_mean_square_error_is_at_most_gamma_squared_over_the_samples() -> None:
    noise = NoiseModel(depolarizing=0.1)
    backend = Noisy(noise)
    compiled = backend.compile(SMALL)
    ready = Cancellation(50).on(Job(compiled, X, True, backend.spec))
    known: dict[Circuit, Any] = {}
    squares = []
    for seed in range(30):
        runs = ready.expand((Run(SMALL),), np.random.default_rng(seed))
        for run in runs:
            if run.circuit not in known:
                known[run.circuit] = exact(noise.place(run.circuit), X, SMALL)
        _, (quasi,) = ready.combine(runs, [known[run.circuit] for run in runs])
        squares.append((quasi - IDEAL)[0] ** 2)
    mean = np.mean(squares, axis=0)
    assert (mean < ready.gamma**2 / 50).all()
    # with less than a hundredth of it the samples could not have been drawn with these signs
    assert mean.max() > ready.gamma**2 / 50 / 100


def test_the_gates_and_their_places_stay() -> None:
    backend = Noisy(NoiseModel(depolarizing=0.05))
    compiled = backend.compile(bound(3, 2))
    ready = load("pec,samples=30").on(Job(compiled, None, True, backend.spec))
    runs = ready.expand((Run(compiled.native),), np.random.default_rng(0))
    shape = [(op.gate, op.qubits) for op in compiled.native.ops]
    assert len(runs) > 5
    for run in runs:
        assert [(op.gate, op.qubits) for op in run.circuit.ops] == shape
        assert len(run.label.split()[-1]) == 3
    again = tuple(Run.from_dict(json.loads(json.dumps(run.to_dict()))) for run in runs)
    assert again == runs


def test_readout_in_front_sees_the_bits_as_they_are_read() -> None:
    noise = NoiseModel(depolarizing=0.05)
    x, circuit = np.array([[0.4, 1.0]]), bound()
    found = []
    for model, text in (
        (noise, "pec,samples=20"),
        (replace(noise, read_1_of_0=0.1, read_0_of_1=0.2), "readout,source=device+pec,samples=20"),
    ):
        backend = Noisy(model)
        found.append(execute(backend, backend.compile(circuit), load(text), x, None, 4).quasi)
    np.testing.assert_allclose(found[1], found[0], atol=1e-10)


def test_it_lowers_the_error_of_a_snapshot_whose_readout_is_corrected() -> None:
    """Gate noise only, as the twin has it: relaxation is no Pauli channel, and small."""
    backend = backends.load("twin:ibm:fake_torino")
    compiled = replace(backend.compile(bound(2, 2)), confusion=None)
    x = np.random.default_rng(0).uniform(0, np.pi, (4, 2))
    ideal = reference.probabilities(compiled.native, (), x)
    ready = Cancellation(1).on(Job(compiled, x, True, backend.spec))
    assert 1 < ready.gamma < 1.2
    # first order in the noise, without sampling: each Pauli by itself
    assert ready.inverses is not None
    terms = Counter({(compiled.native, (0, 0)): 1.0})
    for each in ready.inverses:
        for pauli, weight in enumerate(each.quasi):
            here = tuple(zip(each.qubits, digits(pauli, len(each.qubits)), strict=True))
            terms[moved(compiled.native, {each.place: here})] += weight
        terms[compiled.native, (0, 0)] -= 1
    quasi = sum(
        weight * flipped(exact(_noise_of(compiled, circuit), x, circuit), "".join(map(str, flips)))
        for (circuit, flips), weight in terms.items()
    )
    raw = exact(compiled.noisy, x, compiled.native)
    assert total_variation(quasi, ideal).mean() < 0.5 * total_variation(raw, ideal).mean()


def _noise_of(compiled: Any, circuit: Circuit) -> Any:
    """The noisy list with the ops of a circuit of the same gates."""
    ops = iter(circuit.ops)
    return [next(ops) if isinstance(step, Op) else step for step in compiled.noisy]


def test_what_rows_lack_is_spread_evenly() -> None:
    found = total([0.5], [np.array([[0.2, 0.8], [1.0, 0.0]])])
    np.testing.assert_allclose(found, [[0.35, 0.65], [0.75, 0.25]])


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("pec,samples=0", "samples of pec"),
        ("pec,samples=x", "a whole number"),
        ("pec,limit=0.5", "at least 1"),
        ("pec,limit=inf", "finite"),
        ("pec,sample=3", "did you mean 'samples'"),
        ("pce", "did you mean 'pec'"),
    ],
)
def test_bad_options_are_told(text: str, match: str) -> None:
    with pytest.raises(InputError, match=match):
        load(text)


@pytest.mark.parametrize("text", ["pec,samples=100", "pec,samples=3,limit=7.25"])
def test_the_name_loads_an_equal_one(text: str) -> None:
    assert load(text).name == text
    assert load(load(text).name) == load(text)


def job(noise: NoiseModel, **changes: Any) -> Job:
    backend = Noisy(noise)
    made = replace(backend.compile(bound()), **changes)
    return Job(made, None, True, backend.spec)


def test_what_cannot_be_cancelled_is_refused_before_anything_runs() -> None:
    pec = load("pec")
    with pytest.raises(InputError, match="does not state its noise"):
        pec.on(job(NoiseModel(), noisy=None))
    with pytest.raises(InputError, match=r"gamma is \d+.*at most 50.*pec,limit"):
        pec.on(job(NoiseModel(depolarizing=0.3)))
    assert load("pec,limit=1e9").on(job(NoiseModel(depolarizing=0.3))) is not None
    with pytest.raises(InputError, match="noise that has an inverse"):
        pec.on(job(NoiseModel(px=0.5)))
    with pytest.raises(InputError, match="unsupported"):
        pec.on(replace(job(NoiseModel()), foldable=False))
    with pytest.raises(InputError, match="beside its native gates"):
        pec.on(job(NoiseModel(), noisy=bound().ops[1:]))


@pytest.mark.parametrize("text", ["pec+zne", "pec+twirl,variants=30"])
def test_circuits_whose_noise_is_not_known_are_refused(text: str) -> None:
    backend = Noisy(NoiseModel(depolarizing=0.02))
    with pytest.raises(InputError, match="write it last, as in twirl"):
        execute(backend, backend.compile(bound()), load(text), np.zeros((1, 2)), None, 0)


def test_behind_twirling_it_keeps_the_budget_and_multiplies_the_coefficients() -> None:
    backend = Noisy(NoiseModel(depolarizing2=0.05))
    compiled, x = backend.compile(bound()), np.array([[0.4, 1.0]])
    plain = execute(backend, compiled, load("pec,samples=10"), x, None, 1)
    found = execute(backend, compiled, load("twirl,variants=2+pec,samples=10"), x, None, 1)
    # one-qubit gates are free of noise here, so that variants change nothing
    np.testing.assert_allclose(found.quasi, plain.quasi, atol=1e-10)
    assert found.overhead.gamma == pytest.approx(plain.overhead.gamma)
    assert sum(run.share for run in found.runs) == pytest.approx(1)


def test_training_circuits_of_the_same_gates_are_corrected_too() -> None:
    at = job(NoiseModel(depolarizing=0.05))
    ready = load("pec,samples=5").on(at)
    training = at.compiled.native.bind([0.0, 0.0])
    runs = ready.expand(
        (Run(at.compiled.native, share=0.5), Run(training, "training", share=0.25)),
        np.random.default_rng(0),
    )
    blank = [np.full((1, 4), 0.25)] * len(runs)
    left, found = ready.combine(runs, blank)
    assert [(run.role, run.share) for run in left] == [
        ("data", pytest.approx(0.5)),
        ("training", pytest.approx(0.25)),
    ]
    assert len(found) == 2
    calibration = Run(training, "calibration")
    assert ready.expand((calibration,), np.random.default_rng(0)) == (calibration,)


def test_equal_seeds_give_equal_circuits() -> None:
    ready = load("pec").on(job(NoiseModel(depolarizing=0.05)))

    def drawn(seed: int) -> Any:
        return ready.expand((Run(bound()),), np.random.default_rng(seed))

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)


def test_damaged_labels_are_refused() -> None:
    ready = load("pec").on(job(NoiseModel(depolarizing=0.05)))
    runs = ready.expand((Run(bound()),), np.random.default_rng(1))
    blank = [np.full((1, 4), 0.25)] * len(runs)
    for label, match in (("/0 012", "a bit for each"), ("x", "in the order of expand")):
        with pytest.raises(InputError, match=match):
            ready.combine((replace(runs[0], label=label), *runs[1:]), blank)
