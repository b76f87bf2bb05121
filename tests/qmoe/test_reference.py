from __future__ import annotations

import cmath

import numpy as np
import pennylane as qml
import pytest
from hypothesis import given

from qmoe.ansatz import notebook, paper, reupload
from qmoe.circuit import GATES, Circuit, Feature, Op, Weight
from qmoe.errors import InputError
from qmoe.simulate.reference import final_state, probabilities
from tests.qmoe.strategies import EXAMPLES, circuits, spread, values

PENNYLANE = {
    "x": qml.PauliX,
    "y": qml.PauliY,
    "z": qml.PauliZ,
    "h": qml.Hadamard,
    "s": qml.S,
    "sx": qml.SX,
    "rx": qml.RX,
    "ry": qml.RY,
    "rz": qml.RZ,
    "cx": qml.CNOT,
    "cz": qml.CZ,
    "rzz": qml.IsingZZ,
}


@pytest.mark.parametrize("name", PENNYLANE)
def test_gate_matrices_are_pennylanes(name):
    row = GATES[name]
    angles = [0.7] * row.num_angles
    oracle = PENNYLANE[name](*angles, wires=range(row.num_qubits or 0))
    assert np.allclose(row.unitary(*angles), qml.matrix(oracle), rtol=0, atol=1e-12)


def test_phased_xz_is_cirqs_definition():
    x, z, axis = 0.7, -1.1, 2.3

    def z_to(angle: float) -> np.ndarray:
        return np.diag([1, cmath.exp(1j * angle)])

    hadamard = GATES["h"].unitary()
    expected = z_to(z) @ z_to(axis) @ (hadamard @ z_to(x) @ hadamard) @ z_to(-axis)
    assert np.allclose(GATES["phased_xz"].unitary(x, z, axis), expected, rtol=0, atol=1e-12)


def _pennylane_paper(x, theta, layers, n, upload_again):
    for layer in range(layers):
        if layer == 0 or upload_again:
            qml.AngleEmbedding(x, wires=range(n), rotation="Y")
        for qubit in range(n):
            qml.RY(theta[layer * n + qubit], wires=qubit)
        for qubit in range(n - 1):
            qml.CZ(wires=(qubit, qubit + 1))


def _pennylane_notebook(x, theta, layers, n):
    qml.AngleEmbedding(x, wires=range(n))
    qml.StronglyEntanglingLayers(theta.reshape(layers, n, 3), wires=range(n))


ORACLES = {
    paper: lambda x, theta, layers, n: _pennylane_paper(x, theta, layers, n, False),
    reupload: lambda x, theta, layers, n: _pennylane_paper(x, theta, layers, n, True),
    notebook: _pennylane_notebook,
}


@pytest.mark.parametrize("ansatz", ORACLES)
@pytest.mark.parametrize(("n", "measured"), [(2, (1, 0)), (2, (0,)), (4, (2, 0, 3)), (4, None)])
def test_ansaetze_are_pennylanes(ansatz, n, measured):
    layers = 4
    circuit = ansatz(n, layers, measured=measured)
    theta, x = values(circuit, seed=n)

    @qml.qnode(qml.device("default.qubit", wires=n))
    def oracle(row):
        ORACLES[ansatz](row, theta, layers, n)
        return qml.probs(wires=circuit.measured)

    expected = np.array([oracle(row) for row in x])
    assert spread(probabilities(circuit, theta, x), expected) < 1e-12


@pytest.mark.parametrize(
    ("flipped", "measured", "outcome"),
    [
        ((0,), (0, 1, 2), 0b100),
        ((2,), (0, 1, 2), 0b001),
        ((0,), (2, 0), 0b01),
        ((0, 1), (2, 1, 0), 0b011),
        ((1,), (1,), 0b1),
        ((2, 0), (1, 2, 0), 0b011),
    ],
)
def test_first_measured_qubit_is_the_most_significant_bit(flipped, measured, outcome):
    circuit = Circuit(3, tuple(Op("x", (q,)) for q in flipped), measured)
    expected = np.zeros(2 ** len(measured))
    expected[outcome] = 1
    assert probabilities(circuit) == pytest.approx(expected)
    assert probabilities(circuit, (), np.empty((2, 0)))[1] == pytest.approx(expected)


def test_first_qubit_of_a_gate_is_the_most_significant_bit():
    circuit = Circuit(2, (Op("x", (1,)), Op("cx", (1, 0))), (0, 1))
    assert probabilities(circuit) == pytest.approx([0, 0, 0, 1])
    circuit = Circuit(2, (Op("x", (0,)), Op("cx", (1, 0))), (0, 1))
    assert probabilities(circuit) == pytest.approx([0, 0, 1, 0])


@EXAMPLES
@given(circuits())
def test_batched_rows_are_the_single_distributions(circuit):
    theta, x = values(circuit)
    batched = probabilities(circuit, theta, x)
    assert batched.sum(axis=1) == pytest.approx(np.ones(3), abs=1e-12)
    assert (batched >= 0).all()
    for row, single in zip(x, batched, strict=True):
        assert spread(probabilities(circuit, theta, row), single) == 0
        bound = circuit.bind_weights(theta).bind(row)
        assert spread(probabilities(bound), single) < 1e-12


def test_an_empty_batch_has_no_rows():
    assert probabilities(paper(2, 1), np.zeros(2), np.empty((0, 2))).shape == (0, 4)


def test_scales_and_offsets_enter_the_angle():
    circuit = Circuit(
        1, (Op("ry", (0,), (Feature(0, 2.0),)), Op("ry", (0,), (Weight(0, -1.0),))), (0,), 1, 1
    )
    expected = np.sin((2 * 0.4 - 0.3) / 2) ** 2
    assert probabilities(circuit, [0.3], [0.4])[1] == pytest.approx(expected, abs=1e-12)


def test_final_state_is_normalised():
    circuit = notebook(3, 2)
    theta, x = values(circuit)
    assert np.linalg.norm(final_state(circuit, theta, x[0])) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize(
    ("circuit", "weights", "features", "message"),
    [
        (paper(21, 1), np.zeros(21), np.zeros(21), "at most 20 in the reference simulator"),
        (paper(2, 1), np.zeros(3), np.zeros(2), r"weights of shape \(3,\)"),
        (paper(2, 1), np.zeros((1, 2)), np.zeros(2), "weights of shape"),
        (paper(2, 1), np.zeros(2), np.zeros((4, 3)), r"expected \(2,\) or \(batch, 2\)"),
        (paper(2, 1), np.zeros(2), np.zeros((1, 1, 2)), "features of shape"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(circuit, weights, features, message):
    with pytest.raises(InputError, match=message):
        probabilities(circuit, weights, features)
