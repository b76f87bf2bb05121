import numpy as np
import pytest
from qiskit import QuantumCircuit, transpile
from qiskit.circuit import Parameter, ParameterVector
from qiskit.quantum_info import Operator

from backends.ibm.circuits import bindings, from_qiskit_native, read_angle, to_qiskit
from qmoe.channel import Channel
from qmoe.circuit import GATES, Circuit, Feature, Op, Sum, Weight, affine
from qmoe.errors import FitError, InputError
from qmoe.simulate import reference
from tests.qmoe.strategies import same_up_to_phase

pytestmark = pytest.mark.xdist_group("ibm")


@pytest.mark.parametrize("name", [gate for gate, row in GATES.items() if not row.is_mark])
@pytest.mark.parametrize("angles", [(0.3, -1.1, 2.0), (np.pi, 0.0, -np.pi / 2)])
def test_every_gate_has_qiskits_matrix_in_our_order_of_qubits(name, angles):
    row = GATES[name]
    qubits = tuple(range(row.num_qubits))
    op = Op(name, qubits, angles[: row.num_angles])
    ours = row.unitary(*op.angles)
    made = to_qiskit(Circuit(len(qubits), (op,), (0,)), measure=False)
    theirs = Operator(made.reverse_bits()).data
    assert same_up_to_phase(ours, theirs)


def test_the_bitstring_read_as_a_number_is_the_outcome_index():
    from qiskit.providers.basic_provider import BasicSimulator

    circuit = Circuit(4, (Op("x", (2,)), Op("mark_layer", ()), Op("x", (1,))), (2, 0, 3))
    made = to_qiskit(circuit)
    counts = BasicSimulator().run(made, shots=7, seed_simulator=1).result().get_counts()
    assert {int(bits, 2): count for bits, count in counts.items()} == {0b100: 7}
    assert "mark_layer" not in made.count_ops()
    names = [instruction.operation.name for instruction in made.data]
    assert names.index("barrier") == names.index("measure") - 1


def test_angles_come_back_affine():
    angle = Sum((Feature(1, 0.5), Feature(11, -2.0), Weight(0)), 0.25)
    circuit = Circuit(1, (Op("rz", (0,), (angle,)),), (0,), 12, 3)
    native, physical = from_qiskit_native(to_qiskit(circuit, [6], 9), 12, 3)
    assert (native, physical) == (circuit, (6,))


def test_an_angle_that_is_not_affine_is_refused():
    a, b = Parameter("a"), Parameter("b")
    known = {a: Feature(0), b: Feature(1)}
    assert read_angle(2 * (a - 0.5) - b / 4, known) == Sum((Feature(0, 2), Feature(1, -0.25)), -1)
    assert read_angle(a - a, known) == 0.0
    for angle in (a * b, a.sin(), a**2 + b):
        with pytest.raises(InputError, match="multiples of parameters"):
            read_angle(angle, known)


def test_bindings_follow_the_circuits_own_parameters():
    ops = tuple(Op("ry", (0,), (Feature(k),)) for k in (10, 2, 0))
    made = to_qiskit(Circuit(1, ops, (0,), 11))
    x = np.arange(22.0).reshape(2, 11)
    values = bindings(made, x)
    assert values.tolist() == [[0, 2, 10], [11, 13, 21]]
    bound = made.assign_parameters(dict(zip(made.parameters, values[1], strict=True)))
    assert [float(i.operation.params[0]) for i in bound.data[:3]] == [21.0, 13.0, 11.0]
    assert bindings(to_qiskit(Circuit(1, (), (0,), 2)), np.zeros((5, 2))).shape == (5, 0)


def test_what_a_transpiler_does_is_read_back_with_the_same_distribution():
    circuit = Circuit(
        3,
        (
            Op("ry", (0,), (Feature(0),)),
            Op("h", (1,)),
            Op("cx", (0, 2)),
            Op("rzz", (2, 1), (Sum((Feature(1, 3.0), Weight(0)), 1.0),)),
            Op("rx", (2,), (Weight(1, -0.5),)),
        ),
        (2, 0),
        2,
        2,
    )
    done = transpile(
        to_qiskit(circuit, [3, 1, 0], 4),
        basis_gates=["rz", "sx", "x", "cz"],
        optimization_level=2,
        seed_transpiler=0,
    )
    native, physical = from_qiskit_native(done, 2, 2)
    assert physical == (0, 1, 3)
    assert any(affine(a).features and affine(a).weights for op in native.ops for a in op.angles)
    rng = np.random.default_rng(0)
    for _ in range(5):
        theta, x = rng.uniform(-3, 3, 2), rng.uniform(-3, 3, 2)
        ours = reference.probabilities(circuit, theta, x)
        assert np.allclose(reference.probabilities(native, theta, x), ours, atol=1e-12)


def test_a_gate_that_we_do_not_know_does_not_fit():
    made = QuantumCircuit(3, 1)
    made.ccx(0, 1, 2)
    with pytest.raises(FitError, match="ccx"):
        from_qiskit_native(made)


def test_a_channel_keeps_its_first_qubit_most_significant():
    # X on the second qubit with chance 1/4, as a channel on (2, 0): it flips qubit 0.
    x = np.array([[0, 1], [1, 0]])
    kraus = [np.sqrt(0.75) * np.eye(4), 0.5 * np.kron(np.eye(2), x)]
    channel = Channel.from_kraus((2, 0), kraus)
    made = to_qiskit(Circuit(3, (), (0,)), steps=[channel], measure=False)
    from qiskit.quantum_info import DensityMatrix

    state = DensityMatrix.from_label("000").evolve(made)
    assert np.allclose([state.probabilities([q])[1] for q in range(3)], [0.25, 0, 0], atol=1e-12)


def test_parameters_are_called_x_and_theta():
    made = to_qiskit(Circuit(1, (Op("ry", (0,), (Sum((Feature(0), Weight(1))),)),), (0,), 1, 2))
    assert [p.name for p in made.parameters] == ["theta[1]", "x[0]"]
    assert ParameterVector("x", 1)[0].name == made.parameters[1].name
