"""Willow's noise, layout and gates against Cirq's own simulators and its virtual engine."""

import dataclasses
import itertools
import math
from statistics import median

import cirq
import numpy as np
import pytest
from cirq_google.engine import virtual_engine_factory

import backends
from backends.cirq import batched, willow
from backends.cirq.circuits import resolvers, to_cirq
from backends.compiled import Compiled
from backends.native.placement import place
from qmoe.ansatz import notebook, paper, reupload
from qmoe.channel import Channel
from qmoe.circuit import Circuit, Feature, Op
from qmoe.errors import FitError, InputError
from qmoe.simulate import reference
from tests.backends import oracle

pytestmark = pytest.mark.xdist_group("cirq")

CIRCUITS = {
    "paper": paper(4, 2),
    "reupload": reupload(3, 2, measured=(2, 0)),
    "notebook": notebook(2, 1),
    "product": paper(3, 1, measured=(1,)),
    "asymmetric": Circuit(
        3, (Op("ry", (0,), (Feature(0),)), Op("x", (1,)), Op("cx", (1, 2))), (2, 0, 1), 1
    ),
    "idle": Circuit(3, (Op("ry", (2,), (Feature(1),)),), (0, 2), 2),
    "empty": Circuit(2, (), (1, 0)),
    "one qubit": Circuit(1, (Op("h", (0,)), Op("rx", (0,), (0.4,))), (0,)),
}


@pytest.fixture(scope="module")
def backend():
    return backends.load("cirq:willow_pink")


@pytest.fixture(scope="module", params=CIRCUITS)
def case(request, backend):
    """A circuit, what it is compiled to with weights in, and inputs."""
    circuit = CIRCUITS[request.param]
    rng = np.random.default_rng(7)
    theta = rng.uniform(-3, 3, circuit.num_weights)
    compiled = backend.compile(circuit)
    return (
        circuit.bind_weights(theta),
        compiled.bind_weights(theta),
        rng.uniform(-3, 3, (3, circuit.num_features)),
    )


@pytest.fixture(scope="module")
def known():
    return willow.calibration()


@pytest.fixture
def on_device(known):
    """A compiled circuit as Cirq's, and its qubits in the order of native."""
    named = {str(qubit): qubit for qubit in known.device.metadata.qubit_set}

    def make(compiled):
        qubits = [named[name] for name in compiled.physical]
        return to_cirq(compiled.native, qubits), qubits

    return make


def test_native_is_the_circuit_in_willows_gates(case, known, on_device):
    circuit, compiled, x = case
    assert {op.gate for op in compiled.native.ops} <= set(willow.BASIS)
    assert len(compiled.native.measured) == len(circuit.measured)
    np.testing.assert_allclose(
        reference.probabilities(compiled.native, (), x),
        reference.probabilities(circuit, (), x),
        atol=1e-9,
    )
    known.device.validate_circuit(on_device(compiled)[0])


def test_probabilities_are_those_of_cirqs_density_matrix_simulator(case, backend, on_device):
    _, compiled, x = case
    executable, qubits = on_device(compiled)
    noisy = backend.noisy_circuit(executable)
    simulator = cirq.DensityMatrixSimulator(dtype=np.complex128)
    wires = list(range(len(qubits)))
    for row, resolver in zip(backend.probabilities(compiled, x), resolvers(x), strict=True):
        final = simulator.simulate(noisy, resolver, qubit_order=qubits).final_density_matrix
        all_outcomes = np.diag(final).real.reshape((2,) * len(qubits))
        seen = np.einsum(all_outcomes, wires, compiled.native.measured).ravel()
        np.testing.assert_allclose(row, seen, rtol=0, atol=1e-12)


def test_the_channels_in_order_give_the_same_distribution(case, backend):
    _, compiled, x = case
    assert compiled.confusion is None
    np.testing.assert_allclose(
        oracle.read_probabilities(compiled, x), backend.probabilities(compiled, x), atol=1e-9
    )


def test_emitting_native_again_changes_nothing(case, backend):
    _, compiled, _ = case
    again = backend.emit(compiled.native, compiled)
    assert again.noisy == compiled.noisy
    assert again.physical == compiled.physical
    assert Compiled.from_json(compiled.to_json()) == compiled


def test_a_fold_is_emitted_gate_by_gate(case, backend):
    circuit, compiled, x = case
    folded = backend.emit(compiled.native.folded(3), compiled)
    assert folded.two_qubit_gates == 3 * compiled.two_qubit_gates
    assert folded.physical == compiled.physical
    ideal = reference.probabilities(circuit, (), x)
    np.testing.assert_allclose(reference.probabilities(folded.native, (), x), ideal, atol=1e-9)
    np.testing.assert_allclose(
        oracle.read_probabilities(folded, x), backend.probabilities(folded, x), atol=1e-9
    )
    if compiled.native.ops:
        assert folded.expected_fidelity < compiled.expected_fidelity < 1


def test_compiling_with_free_weights_and_binding_is_compiling_the_template(backend):
    theta = np.linspace(-2, 2, 8)
    free = backend.compile(paper(4, 2)).bind_weights(theta)
    bound = backend.compile(paper(4, 2).bind_weights(theta))
    assert free.physical == bound.physical
    x = np.random.default_rng(1).uniform(-3, 3, (2, 4))
    np.testing.assert_allclose(
        backend.probabilities(free, x), backend.probabilities(bound, x), atol=1e-12
    )
    assert free.template == backend.compile(paper(4, 2)).template


def test_features_stay_free_and_one_structure_serves_all_inputs(backend):
    compiled = backend.compile(paper(4, 2))
    used = {
        type(a).__name__
        for op in compiled.native.ops
        for angle in op.angles
        for a in getattr(angle, "terms", (angle,))
    }
    assert used == {"Feature", "Weight", "float"}
    assert compiled.two_qubit_gates == 3  # simplify() takes the last layer of CZs away
    assert compiled.calibrated_at == "2024-08-16T08:11:17+00:00"
    as_written = backends.load("cirq:willow_pink,simplify=false").compile(paper(4, 2))
    assert as_written.two_qubit_gates == 6
    assert as_written.spec == "cirq:willow_pink,simplify=false"
    assert as_written.expected_fidelity < compiled.expected_fidelity


def test_many_inputs_are_the_rows_of_few(backend):
    compiled = backend.compile(paper(4, 2).bind_weights(np.linspace(-2, 2, 8)))
    x = np.random.default_rng(2).uniform(-3, 3, (1030, 4))  # more than one chunk
    found = backend.probabilities(compiled, x)
    assert found.shape == (1030, 16)
    np.testing.assert_allclose(found.sum(1), 1, atol=1e-12)
    for row in (0, 1023, 1024, 1029):
        np.testing.assert_allclose(
            backend.probabilities(compiled, x[row : row + 1])[0], found[row], atol=1e-14
        )
    assert backend.probabilities(compiled, x[:0]).shape == (0, 16)


def test_the_virtual_engine_samples_from_these_probabilities(backend, on_device):
    shots = 20_000
    compiled = backend.compile(paper(3, 2).bind_weights(np.linspace(-2, 2, 6)))
    x = np.random.default_rng(3).uniform(-3, 3, (3, 3))
    executable, _ = on_device(compiled)
    engine = virtual_engine_factory.create_default_noisy_quantum_virtual_machine(
        willow.PROCESSOR, simulator_class=cirq.DensityMatrixSimulator, seed=5
    )
    results = engine.get_sampler(willow.PROCESSOR).run_sweep(
        executable, resolvers(x), repetitions=shots
    )
    # P(L1 distance >= e) <= 2^K exp(-n e^2 / 2) for K outcomes (Weissman et al. 2003)
    outcomes, chance = 8, 1e-9
    bound = math.sqrt(2 / shots * (outcomes * math.log(2) - math.log(chance)))
    ideal = reference.probabilities(compiled.native, (), x)
    for exact, noise_free, result in zip(
        backend.probabilities(compiled, x), ideal, results, strict=True
    ):
        histogram = result.histogram(key="m")
        seen = np.array([histogram[k] for k in range(outcomes)]) / shots
        assert np.abs(seen - exact).sum() < bound
        assert np.abs(exact - noise_free).sum() > 1e-3


def test_counts_are_seeded_and_have_all_shots(backend):
    compiled = backend.compile(CIRCUITS["asymmetric"])
    x = np.array([[0.3], [2.0]])
    counts = backend.run(compiled, x, 500, seed=4)
    assert counts.sum(1).tolist() == [500, 500]
    assert counts.tolist() == backend.run(compiled, x, 500, seed=4).tolist()
    assert counts.tolist() != backend.run(compiled, x, 500, seed=5).tolist()
    assert counts[0].argmax() == 0b101  # measured (2, 0, 1): 1 and 2 are excited, 0 hardly is
    assert counts[1].argmax() == 0b111


def test_noise_is_really_on_and_is_what_the_calibration_says(backend, known, on_device):
    repeats = 100
    like = backend.compile(Circuit(1, (Op("x", (0,)),), (0,)))
    emitted = backend.emit(Circuit(1, (Op("x", (0,)),) * repeats, (0,)), like)
    assert len(emitted.native.ops) == repeats
    found = backend.probabilities(emitted, np.zeros((1, 0)))[0]
    qubit = on_device(like)[1][0]
    # Of a depolarizing error X and Y flip, two thirds of it. Part of the calibrated error is
    # relaxation, which flips less, and the readout error is a mean over both outcomes.
    flipped = 0.5 - 0.5 * (1 - 4 / 3 * known.single[qubit]) ** repeats
    assert 0.5 * flipped < found[1] - known.readout[qubit] < 1.5 * flipped


def test_z_costs_on_willow_where_it_is_emitted(backend):
    compiled = backend.compile(paper(2, 2))
    ops = compiled.native.ops
    with_z = backend.emit(dataclasses.replace(compiled.native, ops=(Op("z", (0,)), *ops)), compiled)
    assert len(with_z.native.ops) == len(ops) + 1
    assert with_z.expected_fidelity < compiled.expected_fidelity


def test_the_layout_is_the_best_of_all_placements(known):
    """Against brute force over all orders of a small piece of the device."""
    corner = sorted(known.single)[:12]
    single = {q: known.single[q] for q in corner}
    double = {pair: e for pair, e in known.double.items() if pair <= set(corner)}
    native = Circuit(
        4,
        (
            *(Op("phased_xz", (q,), (0.1, 0.0, 0.0)) for q in (0, 1, 1, 3)),
            *(Op("cz", pair) for pair in ((0, 1), (1, 2), (1, 2))),
        ),
        (3, 1),
    )

    def cost(places):
        total = sum(single[places[op.qubits[0]]] for op in native.ops if op.gate == "phased_xz")
        pairs = [frozenset(places[q] for q in op.qubits) for op in native.ops if op.gate == "cz"]
        if any(pair not in double for pair in pairs):
            return math.inf
        reading = sum(known.readout[places[q]] for q in native.measured)
        return total + sum(double[pair] for pair in pairs) + reading

    best = min(itertools.permutations(corner, 4), key=cost)
    found = place(native, single, double, known.readout)
    assert cost(found) == pytest.approx(cost(best), abs=1e-15)
    assert place(native, single, double, known.readout) == found


def test_what_does_not_fit_is_said_before_anything_runs(backend, known):
    compiled = backend.compile(paper(2, 1))
    with pytest.raises(FitError, match="a two-qubit gate on qubits 1 and 2, beside"):
        backend.compile(paper(3, 2, entangler="ring"))
    pairs = ((1, 3), (3, 4), (4, 1))
    triangle = (*(Op("h", (q,)) for q in (1, 3, 4)), *(Op("cx", pair) for pair in pairs))
    with pytest.raises(FitError, match="a two-qubit gate on qubits 3 and 4, beside"):
        backend.compile(Circuit(5, triangle, (1, 3, 4)))  # in the user's numbers
    with pytest.raises(FitError, match=r"11 active qubits.*at most 10"):
        backend.compile(paper(11, 1))
    wide = Circuit(200, (), tuple(range(200)))
    with pytest.raises(FitError, match=r"200 qubits.*at most 105"):
        place(wide, known.single, known.double, known.readout)
    with pytest.raises(FitError, match="got the gate ry"):
        backend.emit(paper(2, 1), compiled)
    with pytest.raises(InputError, match="native circuit of 3 qubits"):
        backend.emit(paper(3, 1), compiled)
    with pytest.raises(InputError, match="free weights"):
        backend.probabilities(compiled, np.zeros((1, 2)))
    other = dataclasses.replace(compiled.bind_weights([0.0, 0.0]), physical=("0", "1"))
    with pytest.raises(InputError, match="the physical qubit '0'"):
        backend.probabilities(other, np.zeros((1, 2)))


def test_a_gate_without_noise_is_refused():
    op, other = Op("phased_xz", (0,), (1.0, 0.0, 0.0)), Op("cz", (0, 1))
    noise, both = Channel((0,), np.diag([1, 0.9, 0.9, 0.9])), Channel((1,), np.eye(4) * 1.0)
    willow.check_noisy([op, noise, other, noise, both], "t")
    for bare in ([op], [op, other, noise, both], [op, noise, other, noise], [op, op, noise]):
        with pytest.raises(FitError, match="without noise on t"):
            willow.check_noisy(bare, "t")


class NoNoise(cirq.NoiseModel):
    """Tags gates as Google's noise model does, and adds nothing."""

    def noisy_moment(self, moment, system_qubits):
        return cirq.Moment(op.with_tags(willow.PHYSICAL) for op in moment)


def test_a_calibration_that_lacks_a_gate_does_not_compile(known, monkeypatch):
    """As weber's lacks RY and CZ, which its noise model lets pass without noise."""
    silent = dataclasses.replace(known, noise=NoNoise())
    monkeypatch.setattr(willow, "calibration", lambda: silent)
    with pytest.raises(FitError, match=r"phased_xz on qubits .* without noise"):
        backends.load("cirq:willow_pink").compile(paper(2, 2))


def test_the_row_of_devices_has_medians_in_one_convention():
    row = willow.describe()
    factory = virtual_engine_factory
    properties = factory.load_device_noise_properties("willow_pink")
    cz = {
        frozenset(key.qubits): error
        for key, error in properties.gate_pauli_errors.items()
        if key.gate_type is cirq.CZPowGate
    }
    assert row.error_2q == pytest.approx(median(cz.values()) * 4 / 5)
    assert row.error_readout == pytest.approx(
        median(sum(pair) / 2 for pair in properties.readout_errors.values())
    )
    assert (row.qubits, row.source) == (105, "snapshot")
    # average infidelity of a Pauli channel, from Cirq's own Kraus operators
    r = 0.01
    for n in (1, 2):
        d = 2**n
        kraus = cirq.kraus(cirq.depolarize(r, n))
        average = (sum(abs(np.trace(k)) ** 2 for k in kraus) + d) / (d**2 + d)
        assert willow.infidelity(r, n) == pytest.approx(1 - average)


def test_constant_circuits_have_one_distribution_for_all_inputs():
    qubits = cirq.LineQubit.range(2)
    circuit = cirq.Circuit(cirq.X(qubits[1]), cirq.amplitude_damp(0.25).on(qubits[1]))
    found = batched.probabilities(circuit, qubits, (1, 0), np.zeros((3, 0)), mixed=True)
    np.testing.assert_allclose(found, [[0.25, 0, 0.75, 0]] * 3, atol=1e-15)
