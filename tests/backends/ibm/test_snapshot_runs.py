"""Routers on snapshots: compiled once, read back, noisy as Aer's own model of the device is."""

import itertools

import numpy as np
import pytest
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel

from backends import load
from backends.compiled import Compiled
from backends.ibm import snapshots
from backends.ibm.circuits import to_qiskit
from qmoe.ansatz import paper, reupload
from qmoe.channel import Channel
from qmoe.circuit import Circuit, Feature, Op, Sum, Weight, affine
from qmoe.errors import FitError, InputError
from qmoe.simulate import reference
from tests.backends import oracle
from tests.qmoe.strategies import spread, values

pytestmark = pytest.mark.xdist_group("ibm")

DEVICES = {"boston": "cz", "torino": "cz", "strasbourg": "ecr"}
ODD = Circuit(
    5,  # qubit 1 is idle
    (
        Op("ry", (0,), (Sum((Feature(0, 2.0), Weight(0)), 0.5),)),
        Op("h", (4,)),
        Op("cx", (4, 2)),
        Op("rzz", (0, 2), (Feature(1, -0.5),)),
        Op("phased_xz", (2,), (Weight(1), 0.3, Feature(2))),
        Op("rx", (3,), (Weight(2),)),
        Op("ecr", (3, 4)),
        Op("s", (3,)),
        Op("sx", (3,)),
    ),
    (3, 0, 4),
    3,
    3,
)


@pytest.fixture(scope="module", params=DEVICES)
def backend(request):
    return load(f"ibm:fake_{request.param}")


@pytest.fixture(scope="module")
def boston():
    return load("ibm:fake_boston")


@pytest.fixture(scope="module")
def router(backend):
    return backend.compile(paper(4, 2))


def test_native_has_the_distribution_of_the_circuit(backend):
    for circuit in (paper(3, 2, measured=(2, 0)), reupload(2, 2), ODD):
        theta, x = values(circuit)
        compiled = backend.compile(circuit)
        native = compiled.native
        assert (native.num_features, native.num_weights) == (len(x[0]), len(theta))
        ours = reference.probabilities(circuit, theta, x)
        assert spread(reference.probabilities(native, theta, x), ours) < 1e-9
        assert {op.gate for op in native.ops} <= {"sx", "x", "rz", DEVICES[backend.spec[9:]]}
        assert any(affine(a).weights for op in native.ops for a in op.angles)
        qubits = {q for op in native.ops for q in op.qubits} | set(native.measured)
        assert qubits == set(range(native.num_qubits)) and len(compiled.physical) == len(qubits)


def test_every_gate_stands_where_the_device_has_it(backend, router):
    target = snapshots.calibration(backend.spec[4:]).target
    for op in router.native.ops:
        on = tuple(int(router.physical[q]) for q in op.qubits)
        assert target.instruction_supported(op.gate, on)


def test_probabilities_are_those_of_the_channels_read(backend, router):
    rng = np.random.default_rng(0)
    compiled = router.bind_weights(rng.uniform(-3, 3, 8))
    x = rng.uniform(-3, 3, (5, 4))
    found = backend.probabilities(compiled, x)
    # Aer turns relaxation into Kraus operators to about nine digits.
    assert np.abs(found - oracle.read_probabilities(compiled, x)).sum(1).max() / 2 < 1e-8
    assert np.allclose(found.sum(1), 1, atol=1e-9)
    clean = reference.probabilities(paper(4, 2), rng.uniform(-3, 3, 8) * 0, x)
    assert np.abs(found - clean).sum(1).min() > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("name", ["Boston", "Torino", "Strasbourg"])
def test_noise_is_what_aer_makes_of_the_whole_device(name):
    """The package's own device and full noise model, with asymmetric readout drawn by Aer."""
    from qiskit_ibm_runtime import fake_provider

    device, backend = getattr(fake_provider, f"Fake{name}")(), load(f"ibm:fake_{name.lower()}")
    router = backend.compile(paper(4, 2))
    theta, x = np.linspace(-2, 2, 8), np.array([[0.3, -1.0, 2.0, 0.7]])
    compiled = router.bind_weights(theta)
    physical = [int(name) for name in compiled.physical]
    native = compiled.native.bind(x[0])
    whole = NoiseModel.from_backend(device)
    used = {(op.gate, tuple(physical[q] for q in op.qubits)) for op in native.ops}
    model = NoiseModel(basis_gates=whole.basis_gates)
    for gate, on in used:
        if gate == "rz":
            continue
        model.add_quantum_error(whole._local_quantum_errors[gate][on], gate, on)
    made = to_qiskit(native, physical, max(physical) + 1)  # measured: readout of Aer itself
    for qubit, row in enumerate(device.properties().qubits):
        value = {each.name: each.value for each in row}
        up, down = value["prob_meas1_prep0"], value["prob_meas0_prep1"]
        model.add_readout_error([[1 - up, up], [down, 1 - down]], [qubit])
    simulator = AerSimulator(method="density_matrix", noise_model=model)
    shots = 200_000
    counts = simulator.run(made, shots=shots, seed_simulator=3).result().get_counts()
    seen = np.zeros(16)
    for bits, count in counts.items():
        seen[int(bits, 2)] = count / shots
    found = backend.probabilities(compiled, x)[0]
    # Six standard deviations of each frequency.
    assert (np.abs(seen - found) < 6 * np.sqrt(found * (1 - found) / shots) + 1e-9).all()


def test_readout_is_the_asymmetric_one_of_the_calibration(backend):
    compiled = backend.compile(Circuit(2, (Op("x", (0,)),), (0, 1)))
    readout = snapshots.calibration(backend.spec[4:]).readout
    (up, down), (other, _) = (readout[int(compiled.physical[q])] for q in compiled.native.measured)
    first, second = [[1 - up, down], [up, 1 - down]], [1 - other, other]
    assert np.allclose(compiled.confusion[:, 2], np.kron(np.array(first)[:, 1], second))
    assert np.allclose(compiled.confusion[:, 0], np.kron(np.array(first)[:, 0], second))
    assert up != down


@pytest.mark.parametrize("measured", list(itertools.permutations(range(3), 2)))
def test_outcomes_are_big_endian_over_measured_single_and_batched(boston, measured):
    circuit = Circuit(3, (Op("x", (0,)), Op("ry", (1,), (Feature(0),))), measured, 1)
    compiled = boston.compile(circuit)
    x = np.array([[0.0], [np.pi], [0.0]])
    bits = [{0: 1, 1: k, 2: 0} for k in (0, 1, 0)]
    expected = [2 * each[measured[0]] + each[measured[1]] for each in bits]
    assert boston.probabilities(compiled, x).argmax(1).tolist() == expected
    assert boston.probabilities(compiled, x[1:2]).argmax(1).tolist() == expected[1:2]
    assert boston.run(compiled, x, 300, 0).argmax(1).tolist() == expected


def test_noise_grows_with_repeated_gates_as_the_calibration_says(backend):
    base = backend.compile(Circuit(1, (Op("x", (0,)),), (0,)))
    long = backend.emit(Circuit(1, (Op("x", (0,)),) * 100, (0,)), base)
    channel = base.noisy[-1]
    assert isinstance(channel, Channel) and 0 < 1 - channel.fidelity < 0.01
    r = np.array([1.0, 0, 0, 1.0])
    for _ in range(100):
        r = channel.ptm @ (np.array([1, 1, -1, -1]) * r)
    assert r[3] < 1 - 1e-3
    expected = base.confusion @ [(1 + r[3]) / 2, (1 - r[3]) / 2]
    assert np.allclose(backend.probabilities(long, np.zeros((1, 0))), expected, atol=1e-8)


def test_what_is_emitted_is_what_was_compiled(backend, router):
    assert backend.emit(router.native, router) == router
    folded = backend.emit(router.native.folded(3), router)
    assert folded.two_qubit_gates == 3 * router.two_qubit_gates
    assert folded.physical == router.physical
    theta, x = np.linspace(-1, 1, 8), np.full((1, 4), 0.4)
    ideal = reference.probabilities(router.native, theta, x)
    assert spread(reference.probabilities(folded.native, theta, x), ideal) < 1e-12
    off = [
        np.abs(backend.probabilities(each.bind_weights(theta), x) - ideal).sum()
        for each in (router, folded)
    ]
    assert off[1] > off[0] > 0


def test_paulis_are_lowered_one_to_one(backend, router):
    gates = (Op("y", (0,)), Op("z", (1,)), Op("x", (2,)), Op("mark_layer", ()))
    changed = Circuit(4, (*gates, *router.native.ops), router.native.measured, 4, 8)
    found = backend.emit(changed, router)
    before = [op for op in found.native.ops if op.gate == "x"]
    assert len(found.native.ops) == len(router.native.ops) + 4  # y is rz and x
    assert len(before) >= 2 and found.two_qubit_gates == router.two_qubit_gates
    theta, x = np.linspace(-1, 1, 8), np.full((1, 4), 0.4)
    ideal = reference.probabilities(changed, theta, x)
    assert spread(reference.probabilities(found.native, theta, x), ideal) < 1e-12


def test_what_the_device_does_not_have_is_not_emitted(backend, router):
    with pytest.raises(FitError, match="h on qubits"):
        backend.emit(Circuit(4, (Op("h", (0,)),), (0,)), router)
    gate = DEVICES[backend.spec[9:]]
    apart = [
        (a, b)
        for a, b in itertools.permutations(range(4), 2)
        if not any(set(op.qubits) == {a, b} for op in router.native.ops)
    ]
    with pytest.raises(FitError, match=gate):
        backend.emit(Circuit(4, (Op(gate, apart[0]),), (0,)), router)
    with pytest.raises(InputError, match="3 qubits"):
        backend.emit(Circuit(3, (), (0,)), router)


def test_the_last_cz_survives_where_nothing_is_simplified(boston):
    as_given = load("ibm:fake_boston,simplify=false")
    # Diagonal gates before the measurement are invisible but noisy: transpilers drop them
    # unless a barrier stands there.
    for layers in (1, 2):
        found = as_given.compile(paper(2, layers))
        assert found.two_qubit_gates == layers
        assert boston.compile(paper(2, layers)).two_qubit_gates == layers - 1
    assert load("ibm:fake_boston").compile(paper(4, 2)).two_qubit_gates == 3


def test_the_layout_is_the_best_of_all_lines():
    """Every line of three qubits, scored by its calibrated errors alone."""
    backend = load("ibm:fake_torino")
    compiled = backend.compile(paper(3, 2))
    cal = snapshots.calibration("fake_torino")
    links, error_1q = {}, {q: p.error for (q,), p in cal.target["sx"].items()}
    for (a, b), properties in cal.target["cz"].items():
        links.setdefault(a, {})[b] = properties.error

    def score(line):
        total = 1.0
        for q in line:
            total *= (1 - 1.5 * error_1q[q]) ** 4 * (1 - sum(cal.readout[q]) / 2)
        for a, b in itertools.pairwise(line):
            total *= 1 - 1.25 * links[a][b]
        return total

    lines = [
        (a, b, c) for a in links for b in links[a] for c in links[b] if c != a and b in error_1q
    ]
    scores = sorted(score(line) for line in lines)
    mine = max(score(line) for line in lines if sorted(map(str, line)) == sorted(compiled.physical))
    assert mine > 0.998 * scores[-1]
    assert mine > scores[int(0.99 * len(scores))]


def test_too_many_qubits_do_not_fit():
    with pytest.raises(FitError, match="5 connected"):
        load("ibm:fake_lima").compile(paper(6, 2))
    with pytest.raises(FitError, match="at most 12 on ibm:fake_boston"):
        load("ibm:fake_boston,seeds=1,level=1").compile(paper(13, 2))


def test_features_and_weights_may_be_absent(boston):
    bare = boston.compile(Circuit(3, (), (2,)))
    assert bare.native.num_qubits == 1 and bare.native.ops == ()
    found = boston.probabilities(bare, np.zeros((2, 0)))
    assert np.allclose(found, [bare.confusion[:, 0]] * 2)
    assert boston.probabilities(bare, np.zeros((0, 0))).shape == (0, 2)
    fixed = boston.compile(Circuit(2, (Op("h", (0,)), Op("cx", (0, 1))), (0, 1)))
    assert boston.run(fixed, np.zeros((3, 0)), 50, 1).sum(1).tolist() == [50] * 3
    with pytest.raises(InputError, match="free weights"):
        boston.probabilities(boston.compile(paper(2, 2)), np.zeros((1, 2)))


def test_a_stored_circuit_runs_as_before_and_not_on_another_calibration(boston):
    compiled = boston.compile(paper(2, 2)).bind_weights([0.1, 0.2, 0.3, 0.4])
    again = Compiled.from_json(compiled.to_json())
    x = np.array([[1.0, 2.0]])
    assert again == compiled
    assert boston.probabilities(again, x).tolist() == boston.probabilities(compiled, x).tolist()
    with pytest.raises(InputError, match="calibration of"):
        load("ibm:fake_torino").probabilities(compiled, x)


def test_compiling_twice_gives_the_same(backend, router):
    assert load(backend.spec).compile(paper(4, 2)) == router


def test_same_seed_same_counts(boston):
    compiled = boston.compile(paper(2, 2)).bind_weights([0.1, 0.2, 0.3, 0.4])
    x = np.array([[1.0, 2.0], [0.0, 1.0]])
    first, other = boston.run(compiled, x, 100, 7), boston.run(compiled, x, 100, 8)
    assert first.tolist() == boston.run(compiled, x, 100, 7).tolist() != other.tolist()


@pytest.mark.slow
@pytest.mark.parametrize("name", snapshots.names())
def test_every_snapshot_runs_a_router(name):
    backend = load(f"ibm:{name}")
    theta, x = np.array([0.4, -1.0, 0.7, 2.0]), np.array([[0.5, -0.5], [2.0, 1.0]])
    template = backend.compile(paper(2, 2))
    assert backend.emit(template.native, template) == template
    compiled = template.bind_weights(theta)
    ideal = reference.probabilities(paper(2, 2), theta, x)
    assert compiled.two_qubit_gates == 1
    assert spread(reference.probabilities(compiled.native, (), x), ideal) < 1e-9
    found = backend.probabilities(compiled, x)
    assert spread(found, oracle.read_probabilities(compiled, x)) < 1e-6
    assert 1e-4 < np.abs(found - ideal).sum(1).max() < 0.4
