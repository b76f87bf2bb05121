"""Pauli twirling: equal circuits, and the noise that is left of them on average."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import backends
from backends.compiled import two_qubit_gates
from backends.execute import execute
from backends.mitigation import Job, Run, load
from backends.mitigation.paulis import digits, gates, images, moved
from backends.mitigation.twirl import Twirl, twirled, two_qubit
from qmoe.agreement import total_variation
from qmoe.ansatz import paper, reupload
from qmoe.channel import Channel, transfer_matrix
from qmoe.circuit import GATES, Circuit, Feature, Op
from qmoe.errors import InputError
from qmoe.noise import NoiseModel
from qmoe.simulate import reference
from tests.backends.mitigation.by_hand import probabilities as exact
from tests.backends.mitigation.simulated import Noisy
from tests.qmoe.strategies import EXAMPLES, circuits, values

X = np.array([[0.3, 1.2], [2.0, 0.4]])
COHERENT = NoiseModel(over_rotation2=0.4)
QUARTER = np.array([[np.pi / 2]])
RAW_APART = 0.15  # raw and twirled values of COHERENT differ by more
PAULIS = [np.eye(2), *(GATES[name].unitary() for name in "xyz")]
CLIFFORD = [
    Op("cz", (0, 1)),
    Op("cx", (0, 1)),
    Op("ecr", (0, 1)),
    *(Op("rzz", (0, 1), (k * np.pi / 2,)) for k in (-1, 1, 2)),
]


def bound(n: int = 2, layers: int = 2, seed: int = 0) -> Circuit:
    circuit = paper(n, layers)
    return circuit.bind_weights(
        np.random.default_rng(seed).uniform(-np.pi, np.pi, circuit.num_weights)
    )


def diagonal(steps: Any) -> list[Any]:
    """The same list, of every channel the Pauli part only."""
    return [
        Channel(step.qubits, np.diag(np.diag(step.ptm))) if isinstance(step, Channel) else step
        for step in steps
    ]


def mixed(seed: int) -> Channel:
    """A random two-qubit channel, far from a Pauli channel."""
    rng = np.random.default_rng(seed)
    shape = (12, 4)
    isometry, _ = np.linalg.qr(rng.normal(size=shape) + 1j * rng.normal(size=shape))
    return Channel.from_kraus((0, 1), isometry.reshape(3, 4, 4))


@pytest.mark.parametrize("op", CLIFFORD, ids=str)
def test_the_table_is_conjugation_by_the_gate(op: Op) -> None:
    unitary = GATES[op.gate].unitary(*op.angles)
    table = images(op)
    assert table is not None
    assert sorted(table) == list(range(16))
    for pauli, image in enumerate(table):
        p, q = (np.kron(*(PAULIS[d] for d in digits(k, 2))) for k in (pauli, image))
        back = q @ unitary @ p
        phase = np.vdot(unitary, back) / 4
        assert abs(phase) == pytest.approx(1, abs=1e-12)
        np.testing.assert_allclose(back, phase * unitary, atol=1e-12)


@given(st.floats(-7, 7))
def test_a_rotation_by_no_quarter_turn_has_no_table(angle: float) -> None:
    quarters = angle / (np.pi / 2)
    table = images(Op("rzz", (0, 1), (angle,)))
    if abs(quarters - round(quarters)) > 1e-3:
        assert table is None
    assert images(Op("rzz", (0, 1), (Feature(0),))) is None


@given(circuits(num_weights=0), st.data())
@EXAMPLES
def test_paulis_moved_to_the_end_flip_bits_and_change_signs_only(
    circuit: Circuit, data: Any
) -> None:
    where = st.tuples(st.integers(0, circuit.num_qubits - 1), st.integers(0, 3))
    placed = data.draw(
        st.dictionaries(st.integers(0, len(circuit.ops)), st.lists(where, max_size=3), max_size=4)
    )
    inserted: list[Op] = []
    for place in range(len(circuit.ops) + 1):
        for qubit, pauli in placed.get(place, ()):
            inserted += gates((qubit,), (pauli,))
        inserted += circuit.ops[place : place + 1]
    after, flips = moved(circuit, placed)
    assert [(op.gate, op.qubits) for op in after.ops] == [
        (op.gate, op.qubits) for op in circuit.ops
    ]
    _, x = values(circuit)
    x = x[:2]
    with_gates = reference.probabilities(replace(circuit, ops=tuple(inserted)), (), x)
    mask = int("".join(map(str, flips)), 2)
    without = reference.probabilities(after, (), x)[:, np.arange(with_gates.shape[1]) ^ mask]
    np.testing.assert_allclose(without, with_gates, atol=1e-12)


@pytest.mark.parametrize("spec", ["reference", "ibm:fake_boston", "ibm:fake_brisbane"])
def test_variants_are_the_same_circuit_with_as_many_two_qubit_gates(spec: str) -> None:
    backend = backends.load(spec)
    circuit = reupload(3, 2).bind_weights(np.linspace(-2, 2, 6))
    native = backend.compile(circuit).native
    x = np.random.default_rng(3).uniform(0, np.pi, (3, 3))
    ideal = reference.probabilities(native, (), x)
    runs = Twirl(16).expand((Run(native),), np.random.default_rng(0))
    assert len({run.circuit for run in runs}) > 1
    for run in runs:
        assert two_qubit_gates(run.circuit) == two_qubit_gates(native)
        np.testing.assert_allclose(
            reference.probabilities(run.circuit, (), x), ideal, rtol=0, atol=1e-12
        )


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("op", CLIFFORD[:4], ids=str)
def test_over_all_paulis_a_gate_has_the_diagonal_of_its_noise(op: Op, seed: int) -> None:
    rng = np.random.default_rng(seed)
    turns = tuple(Op("phased_xz", (q,), tuple(rng.uniform(-3, 3, 3))) for q in (0, 1))
    noise = mixed(seed)
    core = Circuit(2, (*turns, op, *turns), (0, 1))
    total = np.zeros((1, 4))
    for pauli in range(16):
        steps: list[Any] = list(twirled(core, [pauli]).ops)
        steps.insert(steps.index(op) + 1, noise)
        total += exact(steps, np.zeros((1, 0)), core) / 16
    kept = [*turns, op, *diagonal([noise]), *turns]
    np.testing.assert_allclose(total, exact(kept, np.zeros((1, 0)), core), atol=1e-12)
    plain = exact([*turns, op, noise, *turns], np.zeros((1, 0)), core)
    assert np.abs(total - plain).max() > 0.01


@pytest.fixture(scope="module")
def enumerated() -> Any:
    """Two CZs in a row that both turn too far: values of all 256 variants, by circuit."""
    turns = tuple(Op("ry", (q,), (Feature(0),)) for q in (0, 1))
    pair = (Op("cz", (0, 1)),) * 2
    circuit = Circuit(2, (*turns, *pair, *turns), (0, 1), 1)
    variants = (twirled(circuit, drawn) for drawn in itertools.product(range(16), repeat=2))
    return circuit, {each: exact(COHERENT.place(each), QUARTER, circuit) for each in variants}


def test_the_mean_of_all_variants_is_the_twirled_channel(enumerated: Any) -> None:
    circuit, found = enumerated
    noisy = COHERENT.place(circuit)
    left = exact(diagonal(noisy), QUARTER, circuit)
    np.testing.assert_allclose(np.mean(list(found.values()), axis=0), left, atol=1e-12)
    assert np.abs(left - exact(noisy, QUARTER, circuit)).max() > RAW_APART


def test_random_variants_converge_to_it(enumerated: Any) -> None:
    circuit, found = enumerated
    count = 1500
    twirl = Twirl(count)
    runs = twirl.expand((Run(circuit),), np.random.default_rng(5))
    (left,), (mean,) = twirl.combine(runs, [found[run.circuit] for run in runs])
    expected = np.mean(list(found.values()), axis=0)
    # Hoeffding for every cell at once, values in [0, 1]
    limit = np.sqrt(np.log(2 * expected.size / 1e-9) / (2 * count))
    assert limit < RAW_APART
    assert np.abs(mean - expected).max() < limit
    assert (left.path, left.share, left.coefficient, left.label) == (
        (),
        pytest.approx(1),
        pytest.approx(1),
        "",
    )


class Single(Noisy):
    """Noise after every gate but x, y, z."""

    def compile(self, circuit: Circuit) -> Any:
        made = super().compile(circuit)
        steps: list[Any] = []
        for op in circuit.ops:
            alone = replace(circuit, ops=(op,))
            steps += alone.ops if op.gate in "xyz" else self.noise.place(alone)
        return replace(made, noisy=tuple(steps))


def test_it_does_nothing_for_coherent_error_of_one_qubit_gates() -> None:
    backend = Single(NoiseModel(over_rotation=0.2))
    compiled = backend.compile(bound())
    raw = execute(backend, compiled, load("none"), X, None, 0).quasi
    found = execute(backend, compiled, load("twirl,variants=20"), X, None, 0).quasi
    np.testing.assert_allclose(found, raw, atol=1e-12)
    assert total_variation(raw, reference.probabilities(bound(), (), X)).max() > 0.05


def errors(circuit: Circuit, noise: NoiseModel, x: Any) -> tuple[float, float]:
    """Mean total variation to the ideal: raw, and with every channel twirled."""
    steps, ideal = noise.place(circuit), reference.probabilities(circuit, (), x)
    raw, left = exact(steps, x, circuit), exact(diagonal(steps), x, circuit)
    return float(total_variation(raw, ideal).mean()), float(total_variation(left, ideal).mean())


def test_alone_it_hurts_where_its_own_gates_cost_more_than_it_takes_away() -> None:
    """Total variation .013 raw, .024 twirled: CZs that turn by 6 % too far, Paulis at .2 %."""
    noise = NoiseModel(over_rotation2=0.06, depolarizing=0.002)
    x = np.random.default_rng(1).uniform(-np.pi, np.pi, (1, 4))
    found = []
    for seed in range(5):
        circuit = bound(4, 2, seed)
        ideal = reference.probabilities(circuit, (), x)
        runs = Twirl(8).expand((Run(circuit),), np.random.default_rng(seed))
        each = [exact(noise.place(run.circuit), x, circuit) for run in runs]
        raw = exact(noise.place(circuit), x, circuit)
        found.append([total_variation(v, ideal).mean() for v in (raw, np.mean(each, axis=0))])
    raw, left = np.mean(found, axis=0)
    assert left > 1.5 * raw


def test_it_helps_where_coherent_error_adds_up() -> None:
    """Ten CZs in a row: amplitudes of equal sign add up, chances of a flip do not."""
    turn = (Op("ry", (0,), (np.pi / 2,)), Op("ry", (1,), (np.pi / 2,)))
    circuit = Circuit(2, (*turn, *[Op("cz", (0, 1))] * 10, *turn), (0, 1))
    raw, left = errors(circuit, NoiseModel(over_rotation2=0.05), np.zeros((1, 0)))
    assert left < 0.6 * raw


def test_gates_that_are_no_clifford_gates_and_targets_that_compile_again_are_refused() -> None:
    circuit = Circuit(2, (Op("rzz", (0, 1), (0.3,)),), (0,))
    job = Job(Noisy(NoiseModel()).compile(circuit), None, True, "simulated:noisy")
    with pytest.raises(InputError, match=r"rzz with angles \(0.3,\)"):
        load("twirl").on(job)
    free = Circuit(2, (Op("rzz", (0, 1), (Feature(0),)),), (0,), 1)
    with pytest.raises(InputError, match="Feature"):
        load("twirl").on(replace(job, compiled=Noisy(NoiseModel()).compile(free)))
    fine = replace(job, compiled=Noisy(NoiseModel()).compile(bound()))
    assert load("twirl").on(fine) == load("twirl")
    with pytest.raises(InputError, match="unsupported"):
        load("twirl").on(replace(fine, foldable=False))


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("twirl,variants=0", ">= 1"),
        ("twirl,variants=-3", "whole number"),
        ("twirl,variants=2.5", "whole number"),
        ("twirl,variant=3", "did you mean 'variants'"),
        ("twril", "did you mean 'twirl'"),
    ],
)
def test_bad_options_are_told(text: str, match: str) -> None:
    with pytest.raises(InputError, match=match):
        load(text)


def test_the_name_loads_an_equal_one() -> None:
    assert load("twirl").name == "twirl,variants=8"
    assert load(load("twirl,variants=3").name) == Twirl(3)


@pytest.mark.parametrize("text", ["readout+twirl", "twirl+zne", "zne+twirl", "readout+zne+twirl"])
def test_chains_come_back_to_one_run_and_keep_the_budget(text: str) -> None:
    backend, circuit = Noisy(COHERENT), bound()
    compiled = backend.compile(circuit)
    mitigation = load(text).on(Job(compiled, X, True, backend.spec))
    runs = mitigation.expand((Run(circuit),), np.random.default_rng(2))
    assert sum(run.share for run in runs) == pytest.approx(1)
    again = [Run.from_dict(json.loads(json.dumps(run.to_dict()))) for run in runs]
    assert again == list(runs)
    found = [
        exact(
            backend.compile(run.circuit).noisy, np.zeros((1, 0)) if run.single else X, run.circuit
        )
        for run in again
    ]
    (left,), (quasi,) = mitigation.combine(again, found)
    assert (left.path, left.label, left.scale) == ((), "", 1.0)
    assert left.share == pytest.approx(1)
    np.testing.assert_allclose(quasi.sum(1), 1, atol=1e-12)


def test_equal_seeds_give_equal_circuits() -> None:
    def drawn(seed: int) -> list[Circuit]:
        rng = np.random.default_rng(seed)
        return [run.circuit for run in Twirl(4).expand((Run(bound(3, 3)),), rng)]

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)
    assert len(list(two_qubit(drawn(1)[0]))) == 6
    assert transfer_matrix([PAULIS[1]]).shape == (4, 4)


def test_runs_out_of_order_are_refused() -> None:
    runs = Twirl(2).expand((Run(bound()),), np.random.default_rng(0))
    blank = [np.full((1, 4), 0.25)] * 2
    with pytest.raises(InputError, match="in the order of expand"):
        Twirl(2).combine(runs[::-1], blank)
