"""`ibm:aer` and `ibm:dm`: against the reference, a numpy product of transfer matrices, and Aer."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel as AerNoise
from qiskit_aer.noise import ReadoutError, depolarizing_error

from backends import load
from backends.ibm.circuits import to_qiskit
from qmoe.ansatz import notebook, paper, reupload
from qmoe.circuit import Circuit, Feature, Op, Weight
from qmoe.errors import FitError, InputError
from qmoe.simulate import reference
from tests.backends import oracle
from tests.qmoe.strategies import circuits, spread, values

pytestmark = pytest.mark.xdist_group("ibm")


@pytest.fixture(scope="module")
def aer():
    return load("ibm:aer")


@given(circuits())
@settings(max_examples=30, deadline=None)
def test_any_circuit_has_the_distribution_of_the_reference(circuit):
    aer = load("ibm:aer")
    theta, x = values(circuit)
    compiled = aer.compile(circuit).bind_weights(theta)
    assert compiled.native == circuit.bind_weights(theta)
    ours = reference.probabilities(circuit, theta, x)
    assert spread(aer.probabilities(compiled, x), ours) < 1e-12


@pytest.mark.parametrize("measured", list(itertools.permutations(range(3), 2)))
def test_outcomes_are_big_endian_over_measured_single_and_batched(aer, measured):
    # Qubit 0 is set, qubit 1 follows the feature, qubit 2 is idle.
    circuit = Circuit(3, (Op("x", (0,)), Op("ry", (1,), (Feature(0),))), measured, 1)
    compiled = aer.compile(circuit)
    x = np.array([[0.0], [np.pi], [0.0]])
    bits = [{0: 1, 1: k, 2: 0} for k in (0, 1, 0)]
    expected = [2 * each[measured[0]] + each[measured[1]] for each in bits]
    assert aer.probabilities(compiled, x).argmax(1).tolist() == expected
    assert aer.probabilities(compiled, x[1:2]).argmax(1).tolist() == expected[1:2]
    assert (aer.run(compiled, x, 9, 0).argmax(1) == expected).all()


def test_no_gates_no_features_no_rows(aer):
    empty = aer.compile(Circuit(2, (), (1,)))
    assert aer.probabilities(empty, np.zeros((3, 0))).tolist() == [[1, 0]] * 3
    assert aer.probabilities(empty, np.zeros((0, 0))).shape == (0, 2)
    unused = aer.compile(Circuit(1, (Op("x", (0,)),), (0,), 2))
    assert aer.probabilities(unused, np.ones((2, 2))).tolist() == [[0, 1]] * 2
    assert aer.run(unused, np.ones((2, 2)), 5, 0).tolist() == [[0, 5]] * 2


def test_free_weights_and_wide_circuits_are_refused(aer):
    with pytest.raises(InputError, match="bind_weights"):
        aer.probabilities(aer.compile(paper(2, 1)), np.zeros((1, 2)))
    with pytest.raises(FitError, match="25 qubits"):
        aer.compile(Circuit(25, (), (0,)))
    with pytest.raises(FitError, match="13 qubits"):
        load("ibm:dm,depolarizing=0.01").compile(Circuit(13, (), (0,)))


NOISE = (
    "depolarizing=0.03",
    "depolarizing=0.05,convention=lambda,readout=0.02",
    "depolarizing=0.03,depolarizing2=0.06,read_1_of_0=0.01,read_0_of_1=0.05",
    "depolarizing=0.03,placement=wire",
    "amplitude_damping=0.1,excited=0.2,placement=layer",
    "px=0.01,py=0.03,pz=0.02,phase_damping=0.1,placement=end,readout_pair=0.02",
    "depolarizing=0.04,placement=notebook",
    "over_rotation=0.1,over_rotation2=0.2,crosstalk=0.3",
    "t1=10,t2=12,time=1.5",
)


@pytest.mark.parametrize("noise", NOISE)
def test_noise_of_ones_own_is_the_product_of_its_channels(noise):
    backend = load(f"ibm:dm,{noise}")
    for circuit in (paper(3, 2, measured=(2, 0)), reupload(2, 2), notebook(2, 1, measured=(1, 0))):
        theta, x = values(circuit)
        template = backend.compile(circuit)
        assert template.native == circuit
        compiled = template.bind_weights(theta)
        found = backend.probabilities(compiled, x)
        assert spread(found, oracle.read_probabilities(compiled, x)) < 1e-12
        assert np.allclose(found.sum(1), 1, atol=1e-12)
        clean = reference.probabilities(circuit, theta, x)
        assert np.abs(found - clean).sum(1).min() > 1e-3


def test_depolarizing_noise_is_aers_own_of_the_same_strength():
    # Aer's argument is lambda = q 4^k / (4^k - 1).
    backend = load("ibm:dm,depolarizing=0.03,depolarizing2=0.06,read_1_of_0=0.01,read_0_of_1=0.05")
    circuit = paper(3, 2, measured=(1, 2))
    theta, x = values(circuit)
    found = backend.probabilities(backend.compile(circuit).bind_weights(theta), x)
    model = AerNoise()
    model.add_all_qubit_quantum_error(depolarizing_error(0.03 * 4 / 3, 1), ["ry"])
    model.add_all_qubit_quantum_error(depolarizing_error(0.06 * 16 / 15, 2), ["cz"])
    simulator = AerSimulator(method="density_matrix", noise_model=model)
    one = ReadoutError([[0.99, 0.01], [0.05, 0.95]]).probabilities.T
    for row, inputs in zip(found, x, strict=True):
        made = to_qiskit(circuit.bind_weights(theta).bind(inputs), measure=False)
        made.save_probabilities([2, 1])
        true = simulator.run(made).result().data()["probabilities"]
        assert np.allclose(row, np.kron(one, one) @ true, atol=1e-12)


def test_what_is_emitted_is_what_was_compiled():
    backend = load("ibm:dm,depolarizing=0.02,readout=0.01")
    compiled = backend.compile(paper(2, 2).bind_weights([0.1, 0.2, 0.3, 0.4]))
    assert backend.emit(compiled.native, compiled) == compiled
    folded = backend.emit(compiled.native.folded(3), compiled)
    assert folded.two_qubit_gates == 3 * compiled.two_qubit_gates
    assert folded.expected_fidelity < compiled.expected_fidelity
    with pytest.raises(InputError, match="3 qubits"):
        backend.emit(Circuit(3, (), (0,)), compiled)


def test_a_thousand_weights_bound_at_once_keep_their_rows(aer):
    circuit = Circuit(1, (Op("ry", (0,), (Feature(0),)), Op("ry", (0,), (Weight(0),))), (0,), 1, 1)
    x = np.linspace(-3, 3, 1000)[:, None]
    found = aer.probabilities(aer.compile(circuit).bind_weights([0.5]), x)
    assert np.allclose(found[:, 1], np.sin((x[:, 0] + 0.5) / 2) ** 2, atol=1e-12)


def test_options_that_do_not_exist_are_one_line():
    with pytest.raises(InputError, match="did you mean 'depolarizing'"):
        load("ibm:dm,depolarising=0.1")
    with pytest.raises(InputError, match="option 'seeds'"):
        load("ibm:aer,seeds=3")
