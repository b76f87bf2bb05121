import numpy as np
import pytest
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
from qiskit.circuit import Parameter, ParameterVector
from qiskit.circuit.library import efficient_su2, zz_feature_map
from qiskit.quantum_info import Statevector

from backends.ibm.importer import from_qiskit
from qmoe.circuit import Feature, Op, Sum, Weight
from qmoe.errors import InputError
from qmoe.simulate import reference

pytestmark = pytest.mark.xdist_group("ibm")


def theirs(circuit: QuantumCircuit, values) -> np.ndarray:
    """Qiskit's own distribution of the measured bits, as one number."""
    bound = circuit.assign_parameters(values)
    read = {
        bound.find_bit(i.clbits[0]).index: bound.find_bit(i.qubits[0]).index
        for i in bound.data
        if i.operation.name == "measure"
    }
    bound.remove_final_measurements()
    order = [read[bit] for bit in sorted(read)] or None
    return Statevector(bound).probabilities(order)


def own_router() -> tuple[QuantumCircuit, ParameterVector, ParameterVector]:
    x, w = ParameterVector("x", 3), ParameterVector("w", 4)
    circuit = QuantumCircuit(QuantumRegister(3, "a"), ClassicalRegister(2, "out"))
    for k in range(3):
        circuit.ry(np.pi * x[k] + 0.1, k)
    circuit.append(QuantumCircuit(2, name="pair").to_gate(), [0, 1])
    circuit.u(w[0], w[1] - x[2], 0.4, 1)
    circuit.crx(2 * w[2], 0, 2)
    circuit.swap(1, 2)
    circuit.rzz(w[3], 2, 0)
    circuit.barrier()
    circuit.h(0)
    circuit.measure(2, 0)
    circuit.measure(0, 1)
    return circuit, x, w


def test_a_router_of_ones_own_has_the_distribution_that_qiskit_gives_it():
    circuit, x, w = own_router()
    ours = from_qiskit(circuit, weights=("w",))
    assert (ours.num_qubits, ours.measured) == (3, (0, 2))
    assert (ours.num_features, ours.num_weights) == (3, 4)
    rng = np.random.default_rng(0)
    for _ in range(4):
        a, b = rng.uniform(-3, 3, 3), rng.uniform(-3, 3, 4)
        expected = theirs(circuit, {x: a, w: b})
        assert np.allclose(reference.probabilities(ours, b, a), expected, atol=1e-12)


def test_qiskits_own_library_circuits():
    feature_map, ansatz = zz_feature_map(2, reps=1), efficient_su2(2, reps=1)
    circuit = feature_map.compose(ansatz)
    # The feature map multiplies (pi - x0)(pi - x1): not affine, and said so.
    with pytest.raises(InputError, match="multiples of parameters"):
        from_qiskit(circuit, weights=("θ",))
    ours = from_qiskit(ansatz, features=(), weights=("θ",))
    assert (ours.num_features, ours.num_weights, ours.measured) == (0, 8, (1, 0))
    values = np.linspace(-2, 2, 8)
    assert np.allclose(reference.probabilities(ours, values), theirs(ansatz, values), atol=1e-12)


def test_single_parameters_stand_in_the_order_they_are_named():
    circuit = QuantumCircuit(1)
    for name in ("b", "a", "t10", "t9"):
        circuit.ry(Parameter(name), 0)
        circuit.rz(0.5, 0)
    ours = from_qiskit(circuit, features=("b", "a"), weights=("t10", "t9"))
    free = [op.angles[0] for op in ours.ops if op.gate == "ry"]
    assert free == [Feature(0), Feature(1), Weight(0), Weight(1)]


def test_a_vector_counts_as_a_whole_also_where_elements_go_unused():
    x, y = ParameterVector("x", 12), Parameter("y")
    circuit = QuantumCircuit(1)
    circuit.rx(x[11] - y, 0)
    ours = from_qiskit(circuit, features=("x", "y"))
    assert ours.num_features == 13
    assert ours.ops == (Op("rx", (0,), (Sum((Feature(11), Feature(12, -1.0))),)),)


def test_gates_of_the_table_pass_unchanged():
    circuit = QuantumCircuit(2)
    circuit.ecr(1, 0)
    circuit.sx(1)
    circuit.measure_all()
    assert from_qiskit(circuit).ops == (Op("ecr", (1, 0)), Op("sx", (1,)))


def reset(circuit):
    circuit.reset(0)


def measured_midway(circuit):
    circuit.measure(0, 0)
    circuit.x(0)


def measured_twice(circuit):
    circuit.measure([0, 0], [0, 1])


def conditional(circuit):
    circuit.measure(0, 0)
    with circuit.if_test((0, 1)):
        circuit.x(1)


def loop(circuit):
    with circuit.for_loop(range(2)):
        circuit.x(1)


def initialised(circuit):
    circuit.initialize([0, 1], 0)


@pytest.mark.parametrize(
    "spoil", [reset, measured_midway, measured_twice, conditional, loop, initialised]
)
def test_what_is_no_router_circuit_is_refused(spoil):
    circuit = QuantumCircuit(2, 2)
    circuit.h(0)
    spoil(circuit)
    with pytest.raises(InputError) as failure:
        from_qiskit(circuit)
    assert "\n" not in str(failure.value)


def test_a_parameter_that_is_not_named_is_refused_with_the_nearest():
    circuit = QuantumCircuit(1)
    circuit.ry(Parameter("thetta"), 0)
    with pytest.raises(InputError, match="did you mean 'theta'"):
        from_qiskit(circuit)
