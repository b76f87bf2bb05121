"""The local emulator as a target, against the SDK's own runs of it and against numpy."""

import math
from dataclasses import replace

import numpy as np
import pytest

from backends import load
from backends.base import Compiled, sample
from backends.braket import circuits
from backends.conformance.bench import shot_bound
from qmoe.ansatz import paper, reupload
from qmoe.channel import Channel
from qmoe.circuit import Circuit, Feature, Op, Sum, Weight
from qmoe.errors import FitError, InputError
from qmoe.simulate import reference
from tests.backends.oracle import read_probabilities

pytestmark = pytest.mark.xdist_group("braket")

SPECS = {"iqm": "braket:emulator", "ionq": "braket:emulator,properties=ionq"}
PAIRS = {"iqm": "cz", "ionq": "rzz"}
X = np.random.default_rng(3).uniform(-3, 3, (3, 2))


@pytest.fixture(scope="module", params=SPECS)
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def backend(kind):
    return load(SPECS[kind])


@pytest.fixture(scope="module")
def found(backend):
    return backend.compile(_circuit())


def _circuit():
    """A chain of three in use of five; every outcome of (4, 0, 2) has its own probability."""
    ops = (
        Op("ry", (0,), (Feature(0),)),
        Op("ry", (2,), (Sum((Feature(1, 0.5),), 0.4),)),
        Op("h", (4,)),
        Op("cx", (0, 2)),
        Op("rz", (2,), (Feature(0),)),
        Op("rx", (2,), (0.8,)),
        Op("rzz", (2, 4), (Feature(1, -1.0),)),
        Op("sx", (4,)),
        Op("s", (0,)),
        Op("ry", (0,), (Sum((Feature(1),), -0.6),)),
        Op("x", (0,)),
        Op("y", (2,)),
        Op("phased_xz", (4,), (0.3, Feature(0), 1.0)),
        Op("ry", (4,), (0.5,)),
    )
    return Circuit(5, ops, (4, 0, 2), 2)


def test_the_native_circuit_is_the_circuit_in_native_gates(kind, found):
    gates = {op.gate for op in found.native.ops}
    assert gates == {"phased_xz", PAIRS[kind]}
    assert found.native.num_qubits == 3 and found.native.num_features == 2
    expected = reference.probabilities(_circuit(), (), X)
    assert np.ptp(expected[0]) > 0.1 and len(set(np.round(expected[0], 6))) == 8
    np.testing.assert_allclose(reference.probabilities(found.native, (), X), expected, atol=1e-9)
    sizes = {op.angles[0] for op in found.native.ops if op.gate == "phased_xz"}
    if kind == "ionq":
        assert sizes <= {math.pi / 2, math.pi}


@pytest.mark.parametrize("make", [paper, reupload])
def test_weights_stay_free_and_are_put_in_late(backend, make):
    circuit = make(3, 2)
    weights = np.linspace(-2, 2, circuit.num_weights)
    x = np.random.default_rng(5).uniform(-3, 3, (2, circuit.num_features))
    free = backend.compile(circuit)
    assert free.native.num_weights == circuit.num_weights
    expected = reference.probabilities(circuit, weights, x)
    bound = free.bind_weights(weights)
    np.testing.assert_allclose(reference.probabilities(bound.native, (), x), expected, atol=1e-9)
    assert bound.template == free.template
    np.testing.assert_allclose(
        backend.probabilities(bound, x), read_probabilities(bound, x), atol=1e-12
    )


def test_probabilities_are_the_product_of_what_noisy_lists(backend, found):
    """One input, many, and the rows in order; the numpy product knows nothing of Braket."""
    p = backend.probabilities(found, X)
    np.testing.assert_allclose(p, read_probabilities(found, X), atol=1e-12)
    np.testing.assert_allclose(backend.probabilities(found, X[1:2]), p[1:2], atol=1e-15)
    distance = np.abs(p - reference.probabilities(found.native, (), X)).sum(1) / 2
    assert (distance > 0.005).all()
    assert found.confusion is None


def test_counts_that_the_emulator_draws_itself_follow(backend, found):
    """The SDK's whole way: validation, its noise, OpenQASM, its own sampling, its bit order.

    It takes no seed; a sound emulator exceeds the bound once in a billion runs.
    """
    shots = 4000
    qubits = [int(name) for name in found.physical]
    bound = found.native.bind(X[0])
    gates = backend._calibration.gates
    circuit = circuits.to_braket(bound, qubits, native=gates, verbatim=True)
    result = backend.local.run(circuit, shots=shots).result()
    assert [int(q) for q in result.measured_qubits] == [qubits[q] for q in bound.measured]
    counts = np.zeros(8)
    for key, count in result.measurement_counts.items():
        counts[int(key, 2)] = count
    expected = backend.probabilities(found, X[:1])[0]
    assert np.abs(counts / shots - expected).sum() / 2 < shot_bound(8, shots)


def test_the_noise_is_what_the_properties_say(kind, backend, found):
    """Process errors 3/2 (1 - F) and 5/4 (1 - F) after gates, 1 - F before the measurement."""
    known = backend._calibration
    qubits = [int(name) for name in found.physical]
    steps = list(found.noisy)
    flips = {}
    for channel in found.noisy:  # X is kept by a bit flip and by no depolarizing noise
        if isinstance(channel, Channel) and channel.ptm[1, 1] == pytest.approx(1, abs=1e-12):
            after = steps[steps.index(channel) + 1 :]
            assert not any(channel.qubits[0] in step.qubits for step in after)
            steps.remove(channel)
            flips[channel.qubits[0]] = 1 - channel.fidelity
    assert flips == {i: pytest.approx(known.readout[qubits[i]]) for i in range(3)}
    bare = {}
    for step in steps:
        if isinstance(step, Op):
            assert not bare.keys() & set(step.qubits)  # no gate after a gate without noise
            bare |= dict.fromkeys(step.qubits, step)
            continue
        gates = {bare.pop(qubit) for qubit in step.qubits}
        (gate,) = gates
        assert set(step.qubits) == set(gate.qubits)
        if len(step.qubits) == 1:
            expected = 1.5 * known.single[qubits[step.qubits[0]]]
        else:
            expected = 1.25 * known.double[frozenset(qubits[q] for q in step.qubits)]
        assert 1 - step.fidelity == pytest.approx(expected, rel=1e-9)
    assert not bare
    total = math.prod(step.fidelity for step in found.noisy if isinstance(step, Channel))
    assert found.expected_fidelity == pytest.approx(total, rel=1e-12)


def test_a_hundred_gates_lose_what_the_calibration_says(backend, found):
    turn = Op("phased_xz", (1,), (math.pi, 0.0, 0.3))
    single = replace(found.native, ops=(turn,) * 100, measured=(1,))
    again = backend.emit(single, found)
    qubit = int(found.physical[1])
    error, flip = backend._calibration.single[qubit], backend._calibration.readout[qubit]
    kept = (1 - 2 * error) ** 100  # a Pauli error r shrinks the Bloch vector by 1 - 4 r / 3
    expected = (1 + kept * (1 - 2 * flip)) / 2
    assert backend.probabilities(again, X[:1])[0, 0] == pytest.approx(expected, abs=1e-9)


def test_emitting_the_native_circuit_gives_the_same_compiled_circuit(backend, found):
    assert backend.emit(found.native, found) == found
    assert Compiled.from_json(found.to_json()) == found


def test_a_fold_keeps_its_gates(kind, backend, found):
    again = backend.emit(found.native.folded(3), found)
    assert again.two_qubit_gates == 3 * found.two_qubit_gates > 0
    assert len(again.native.ops) == 3 * len(found.native.ops)
    assert again.physical == found.physical
    expected = reference.probabilities(_circuit(), (), X)
    np.testing.assert_allclose(reference.probabilities(again.native, (), X), expected, atol=1e-9)
    assert {op.gate for op in again.native.ops} == {"phased_xz", PAIRS[kind]}


@pytest.mark.parametrize("gate", ["x", "y", "z"])
def test_a_pauli_is_one_gate_and_z_a_change_of_frame(backend, found, gate):
    """Put after the last two-qubit gate of a qubit, it changes the outcome as it should."""
    ops = found.native.ops
    place = 1 + max(i for i, op in enumerate(ops) if len(op.qubits) == 2 and 2 in op.qubits)
    changed = replace(found.native, ops=(*ops[:place], Op(gate, (2,)), *ops[place:]))
    again = backend.emit(changed, found)
    assert len(again.native.ops) == len(ops) + (gate != "z")
    expected = reference.probabilities(changed, (), X)
    assert np.abs(expected - reference.probabilities(found.native, (), X)).max() > 0.05
    np.testing.assert_allclose(reference.probabilities(again.native, (), X), expected, atol=1e-9)


def test_counts_are_drawn_from_the_probabilities(backend, found):
    counts = backend.run(found, X, 500, seed=9)
    assert (counts == sample(backend.probabilities(found, X), 500, 9)).all()


def test_small_circuits(backend):
    empty = backend.compile(Circuit(3, (), (2, 0)))
    assert empty.native.num_qubits == 2 and empty.depth == 0
    flips = [backend._calibration.readout[int(name)] for name in empty.physical]
    expected = np.kron(*([1 - flip, flip] for flip in flips))
    order = empty.native.measured
    if order == (1, 0):
        expected = expected.reshape(2, 2).T.ravel()
    np.testing.assert_allclose(
        backend.probabilities(empty, np.zeros((2, 0))), [expected] * 2, atol=1e-12
    )


def test_too_many_qubits(backend):
    for size, expected in ((11, "at most 10"), (40, "at most 10")):
        ops = tuple(Op("ry", (q,), (0.5,)) for q in range(size))
        with pytest.raises(FitError, match=expected):
            backend.compile(Circuit(size, ops, tuple(range(size))))


def test_a_triangle_fits_only_where_all_are_coupled():
    ops = [Op("cz", pair) for pair in ((0, 1), (1, 2), (0, 2))]
    turns = [Op("ry", (q,), (0.5,)) for q in range(3)]
    circuit = Circuit(3, (*turns, *ops, *turns), (0, 1, 2))
    with pytest.raises(FitError, match=r"two-qubit gates? on qubits \d and \d"):
        load(SPECS["iqm"]).compile(circuit)
    assert load(SPECS["ionq"]).compile(circuit).two_qubit_gates == 3


def test_the_layout_has_the_least_expected_error():
    """Against all ways to put a chain of three on the lattice."""
    backend = load(SPECS["iqm"])
    circuit = paper(3, 2).bind_weights(np.ones(6))
    found = backend.compile(circuit)
    single, double, readout = backend._calibration.costs()
    best = math.inf
    for a in single:
        for b in single:
            for c in single:
                pairs = [frozenset((a, b)), frozenset((b, c))]
                if a == c or not all(pair in double for pair in pairs):
                    continue
                best = min(best, _cost(found.native, (a, b, c), single, double, readout))
    assert _cost(found.native, tuple(map(int, found.physical)), single, double, readout) == best


def _cost(native, qubits, single, double, readout):
    chain = {q for op in native.ops for q in op.qubits if len(op.qubits) == 2}
    assert chain == {0, 1, 2}
    total = [readout[qubits[q]] for q in native.measured]
    for op in native.ops:
        places = [qubits[q] for q in op.qubits]
        pair = frozenset(places)
        total.append(single[places[0]] if len(places) == 1 else double.get(pair, math.inf))
    return math.fsum(total)


def test_simplify_is_an_option():
    circuit = paper(3, 2)
    plain = load("braket:emulator,simplify=false").compile(circuit)
    assert plain.two_qubit_gates == 4 > load("braket:emulator").compile(circuit).two_qubit_gates
    with pytest.raises(InputError, match="simplify"):
        load("braket:emulator,simplify=no")


def test_a_circuit_compiled_for_other_properties_is_refused(found, kind):
    other = load(SPECS["ionq" if kind == "iqm" else "iqm"])
    with pytest.raises((InputError, FitError)):
        other.probabilities(found, X)


def test_gates_that_are_not_native_are_not_emitted(backend, found):
    for op in (Op("h", (0,)), Op("cx", (0, 1))):
        with pytest.raises(FitError, match=f"the gate {op.gate}"):
            backend.emit(replace(found.native, ops=(op,)), found)
    with pytest.raises(InputError, match="a native circuit of 7 qubits"):
        backend.emit(Circuit(7, (), (0,)), found)


def test_the_source_is_synthetic_and_weights_that_are_free_are_refused(backend):
    assert backend.source == "synthetic"
    free = backend.compile(Circuit(1, (Op("ry", (0,), (Weight(0),)),), (0,), 0, 1))
    with pytest.raises(InputError, match="free weights"):
        backend.run(free, np.zeros((1, 0)), 10, 0)
