"""Circuits from Cirq and PennyLane against each SDK's own simulation of them."""

import math
import runpy
import sys
from pathlib import Path

import cirq
import numpy as np
import pennylane as qml
import pytest
import sympy

from backends.importers import from_cirq, from_pennylane, from_qiskit
from qmoe.circuit import Feature, Op, Sum, Weight
from qmoe.errors import InputError
from qmoe.simulate import reference

pytestmark = pytest.mark.xdist_group("cirq")

X = sympy.symbols("x_0:4")
THETA = sympy.symbols("theta_0:4")
A, B, C = cirq.LineQubit.range(3)

CIRQ = {
    "rotations": [cirq.ry(X[0]).on(A), cirq.rx(2 * X[1] - THETA[0]).on(B), cirq.rz(0.3).on(A)],
    "powers": [cirq.H(A), cirq.X(B) ** 0.25, cirq.Y(A) ** X[0], cirq.Z(A) ** -0.5, cirq.S(B),
               cirq.H(B) ** 0.3, cirq.X(A) ** 0.5, cirq.T(A), cirq.H(A)],
    "phased": [cirq.PhasedXZGate(x_exponent=X[0], z_exponent=0.1, axis_phase_exponent=THETA[1]).on(
        A), cirq.PhasedXPowGate(exponent=0.4, phase_exponent=X[1]).on(B), cirq.H(A)],
    "pairs": [cirq.H.on_each(A, B, C), cirq.CNOT(A, B), cirq.CZ(B, C) ** X[1], cirq.H(B),
              cirq.ZZ(A, C) ** THETA[0], cirq.CNOT(C, A) ** 0.4, cirq.H(C), cirq.H(A)],
    "decomposed": [cirq.H(A), cirq.ry(X[0]).on(B), cirq.SWAP(A, C), cirq.ISWAP(B, C),
                   cirq.FSimGate(0.3, 0.2).on(A, B), cirq.CCX(A, B, C), cirq.XX(A, C) ** 0.3,
                   cirq.ControlledGate(cirq.rx(0.7)).on(A, C),
                   cirq.MatrixGate(cirq.testing.random_unitary(4, random_state=1)).on(A, B)],
    "tagged": [cirq.rx(X[0]).on(A).with_tags("mine"), cirq.I(B), cirq.H(A).with_tags("t"),
               cirq.CircuitOperation(cirq.FrozenCircuit(cirq.ry(X[1]).on(B), cirq.CZ(A, B))),
               cirq.H(B)],
}  # fmt: skip


@pytest.mark.parametrize("name", CIRQ)
def test_a_cirq_circuit_keeps_its_distribution(name):
    made = cirq.Circuit(CIRQ[name])
    circuit = from_cirq(made)
    rng = np.random.default_rng(3)
    for _ in range(3):
        x, theta = (
            rng.uniform(-3, 3, circuit.num_features),
            rng.uniform(-3, 3, circuit.num_weights),
        )
        values = {f"x_{i}": v for i, v in enumerate(x)}
        values |= {f"theta_{i}": v for i, v in enumerate(theta)}
        simulator = cirq.Simulator(dtype=np.complex128)
        state = simulator.simulate(made, values).final_state_vector
        np.testing.assert_allclose(
            reference.probabilities(circuit, theta, x), abs(state) ** 2, atol=1e-9
        )


def test_cirq_angles_stay_affine_and_gates_stay_gates():
    circuit = from_cirq(cirq.Circuit(CIRQ["rotations"], cirq.CZ(A, B), cirq.H(A)))
    assert circuit.ops[:2] == (
        Op("ry", (0,), (Feature(0),)),
        Op("rx", (1,), (Sum((Feature(1, 2.0), Weight(0, -1.0))),)),
    )
    assert [op.gate for op in circuit.ops[3:]] == ["cz", "h"]
    assert (circuit.num_features, circuit.num_weights) == (2, 1)


def test_cirq_measurements_stand_in_the_order_of_their_keys():
    made = cirq.Circuit(
        cirq.X(A), cirq.ry(0.4).on(C), cirq.measure(A, key="m10"), cirq.measure(C, B, key="m2")
    )
    circuit = from_cirq(made)
    assert circuit.measured == (2, 1, 0)
    inverted = cirq.Circuit(cirq.X(A), cirq.measure(A, B, key="m", invert_mask=(True,)))
    flipped = from_cirq(inverted)
    assert reference.probabilities(flipped)[0] == pytest.approx(1)
    assert cirq.Simulator().run(inverted).histogram(key="m") == {0: 1}


def test_cirq_symbols_by_any_of_the_ways_to_number_them():
    names = ("x0", "x_10", "x[2]", "bias", "w1")
    made = cirq.Circuit(cirq.ry(sympy.Symbol(name)).on(A) for name in names)
    circuit = from_cirq(made, features=("x", "bias"), weights="w")
    assert [op.angles[0] for op in circuit.ops] == [
        Feature(0),
        Feature(10),
        Feature(2),
        Feature(11),
        Weight(1),
    ]
    assert (circuit.num_features, circuit.num_weights) == (12, 2)


@pytest.mark.parametrize(
    ("operations", "message"),
    [
        ([cirq.ry(sympy.Symbol("y_0")).on(A)], "parameter 'y_0'; expected one of theta, x"),
        ([cirq.ControlledGate(cirq.rx(X[1])).on(A, B)], "gates that Cirq can decompose"),
        ([cirq.ry(X[0] * X[1]).on(A)], "multiples of x_0, x_1"),
        ([cirq.depolarize(0.1).on(A)], "the operation depolarize"),
        ([cirq.measure(A, key="k"), cirq.X(B).with_classical_controls("k")], "circuit with"),
        ([cirq.measure(A, key="k"), cirq.X(A)], "a measurement that a gate follows"),
        ([cirq.reset(A)], "the operation reset"),
        ([cirq.XPowGate(dimension=3).on(cirq.LineQid(0, 3))], "the operation"),
    ],
)  # fmt: skip
def test_what_no_circuit_can_say_is_refused_in_cirq(operations, message):
    with pytest.raises(InputError, match=message):
        from_cirq(cirq.Circuit(operations))


def angle_embedding(x, theta):
    qml.AngleEmbedding(x, wires=range(3), rotation="Y")
    qml.StronglyEntanglingLayers(theta, wires=range(3))
    return qml.probs(wires=[2, 0])


def basic_entangler(x, theta):
    qml.AngleEmbedding(2 * x - 0.5, wires=range(3))
    qml.BasicEntanglerLayers(theta, wires=range(3), rotation=qml.RZ)
    for wire in range(3):
        qml.Hadamard(wire)
    return qml.probs(wires=range(3))


def everything(x, theta):
    qml.Hadamard(0)
    qml.S(0)
    qml.SX(1)
    qml.adjoint(qml.T)(0)
    qml.Rot(x[0], theta[0], -theta[1], wires=0)
    qml.PhaseShift(x[1] + theta[2], wires=1)
    qml.IsingZZ(x[2], wires=[0, 1])
    qml.ECR(wires=[2, 1])
    qml.Barrier()
    qml.CRX(theta[3], wires=[1, 2])
    qml.IsingXX(math.pi / 3, wires=[0, 2])
    qml.SWAP(wires=[0, 2])
    qml.Toffoli(wires=[0, 1, 2])
    qml.U3(0.1, x[0], 0.2, wires=1)
    qml.GlobalPhase(0.3)
    return qml.probs(wires=[1, 2, 0])


PENNYLANE = {
    "angle_embedding": (angle_embedding, 3, qml.StronglyEntanglingLayers.shape(2, 3)),
    "basic_entangler": (basic_entangler, 3, qml.BasicEntanglerLayers.shape(2, 3)),
    "everything": (everything, 3, 4),
}


@pytest.mark.parametrize("name", PENNYLANE)
@pytest.mark.parametrize("as_node", [False, True])
def test_a_pennylane_function_keeps_its_distribution(name, as_node):
    function, num_features, shape = PENNYLANE[name]
    node = qml.QNode(function, qml.device("default.qubit", wires=3))
    circuit = from_pennylane(node if as_node else function, num_features, shape)
    rng = np.random.default_rng(4)
    for _ in range(3):
        x, theta = rng.uniform(-3, 3, num_features), rng.uniform(-3, 3, shape)
        np.testing.assert_allclose(
            reference.probabilities(circuit, theta.ravel(), x), node(x, theta), atol=1e-9
        )


def test_pennylane_angles_come_back_exactly():
    circuit = from_pennylane(basic_entangler, 3, (1, 3))
    assert circuit.ops[0] == Op("rx", (0,), (Sum((Feature(0, 2.0),), -0.5),))
    assert circuit.ops[3] == Op("rz", (0,), (Weight(0),))
    assert (circuit.num_features, circuit.num_weights) == (3, 3)
    constant = from_pennylane(lambda: qml.RY(math.pi / 4, wires=0))
    assert constant.ops == (Op("ry", (0,), (math.pi / 4,)),)


def test_pennylane_wires_tapes_and_expectations():
    with qml.queuing.AnnotatedQueue() as queue:
        qml.RX(0.3, wires="b")
        qml.CNOT(wires=["b", "a"])
        qml.probs(wires=["a"])
    tape = qml.tape.QuantumScript.from_queue(queue)
    circuit = from_pennylane(tape)
    assert (circuit.num_qubits, circuit.measured) == (2, (1,))
    device = qml.device("default.qubit", wires=["b", "a"])
    (seen,) = qml.execute([tape], device)
    np.testing.assert_allclose(reference.probabilities(circuit), seen, atol=1e-9)

    def expectations(x):
        qml.RX(x[0], wires=5)
        return [qml.expval(qml.PauliZ(wire)) for wire in (7, 5)]

    assert from_pennylane(expectations, 1).measured == (1, 0)

    def nothing(x):
        qml.RX(x[0], wires=5)
        qml.RX(x[0], wires=1)

    assert from_pennylane(nothing, 1).measured == (0, 1)


def squared(x):
    qml.RX(x[0] ** 2, wires=0)


def branching(x):
    (qml.RX if x[0] > 1.2 else qml.RY)(x[0], wires=0)


def noisy(x):
    qml.RX(x[0], wires=0)
    qml.DepolarizingChannel(0.1, wires=0)


def in_the_middle(x):
    qml.RX(x[0], wires=0)
    qml.cond(qml.measure(0), qml.RX)(x[0], wires=1)


def hermitian(x):
    qml.RX(x[0], wires=0)
    return qml.expval(qml.PauliX(0))


def final_state(x):
    qml.RX(x[0], wires=0)
    return qml.state()


def batched(x):
    qml.RX(np.stack([x[0], x[0]]), wires=0)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (squared, "not affine"),
        (branching, "gates depend on the values"),
        (noisy, "DepolarizingChannel"),
        (in_the_middle, "a function with MidMeasure"),
        (hermitian, "the measurement expval"),
        (final_state, "the measurement state"),
        (batched, "a batch of values in RX"),
    ],
)
def test_what_no_circuit_can_say_is_refused_in_pennylane(function, message):
    with pytest.raises(InputError, match=message):
        from_pennylane(function, 1)


def test_a_missing_package_is_named_with_what_brings_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "pennylane", None)  # as if it were not installed
    with pytest.raises(InputError, match=r"no package pennylane.*pip install 'qmoe-bench\[dev\]'"):
        from_pennylane(squared, 1)


def test_the_qiskit_importer_is_reached_by_the_same_door():
    from qiskit import QuantumCircuit
    from qiskit.circuit import ParameterVector

    mine = QuantumCircuit(2)
    mine.ry(ParameterVector("x", 2)[1], 0)
    assert from_qiskit(mine).ops == (Op("ry", (0,), (Feature(1),)),)


def test_one_router_in_two_languages_is_one_circuit():
    def mine(x, theta):
        qml.RY(x[0], wires=0)
        qml.RY(theta[0] / 2, wires=1)
        qml.CZ(wires=[0, 1])
        return qml.probs(wires=[0, 1])

    theirs = cirq.Circuit(
        cirq.ry(X[0]).on(A), cirq.ry(THETA[0] / 2).on(B), cirq.CZ(A, B), cirq.measure(A, B)
    )
    assert from_pennylane(mine, 1, 1) == from_cirq(theirs)


def test_the_example_runs_on_all_its_targets(capsys):
    path = Path(__file__).parents[2] / "docs" / "examples" / "own_router.py"
    runpy.run_path(str(path))
    rows = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    assert [spec for spec, _ in rows] == [
        "reference",
        "ibm:fake_boston",
        "braket:emulator",
        "cirq:willow_pink",
    ]
    gates = np.array([np.fromstring(text.strip("[]"), sep=" ") for _, text in rows])
    np.testing.assert_allclose(gates.sum(1), 1, atol=1e-9)
    # 1,000 shots of four outcomes and a few percent of noise
    assert np.abs(gates - gates[0]).sum(1).max() / 2 < 0.2
