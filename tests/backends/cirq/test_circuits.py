"""Circuits to Cirq and back, and in Willow's gates, against the numpy reference."""

import math

import cirq
import numpy as np
import pytest
import sympy

from backends.cirq.circuits import (
    from_cirq_native,
    lowered,
    phased,
    read_angle,
    resolvers,
    to_cirq,
)
from qmoe.ansatz import notebook, paper, reupload
from qmoe.circuit import GATES, Circuit, Feature, Op, Sum, Weight
from qmoe.errors import FitError, InputError
from qmoe.simulate import reference

pytestmark = pytest.mark.xdist_group("cirq")

NAMED = {"x_0": Feature(0), "theta_0": Weight(0)}


def random_circuit(rng, num_qubits=3, length=30):
    """A circuit of all gates, with free, affine and fixed angles, measured in some order."""
    angles = (
        lambda: float(rng.uniform(-4, 4)),
        lambda: Feature(int(rng.integers(2)), float(rng.uniform(-2, 2))),
        lambda: Weight(int(rng.integers(2))),
        lambda: Sum((Feature(1, 0.5), Weight(0, -1.0)), math.pi / 3),
        lambda: math.pi * int(rng.integers(-2, 3)) / 2,
    )
    ops = []
    for _ in range(length):
        row = GATES[str(rng.choice([name for name, row in GATES.items() if not row.is_mark]))]
        qubits = tuple(map(int, rng.permutation(num_qubits)[: row.num_qubits]))
        ops.append(Op(row.name, qubits, tuple(rng.choice(angles)() for _ in range(row.num_angles))))
    measured = tuple(map(int, rng.permutation(num_qubits)[: rng.integers(1, num_qubits + 1)]))
    return Circuit(num_qubits, tuple(ops), measured, 2, 2)


CIRCUITS = [
    paper(3, 2),
    notebook(3, 2),
    reupload(2, 2, measured=(1,)),
    Circuit(2, (), (1, 0)),
    Circuit(1, (Op("h", (0,)), Op("mark_layer", ())), (0,)),
    *(random_circuit(np.random.default_rng(seed)) for seed in range(12)),
]


def inputs(circuit, rows=2):
    rng = np.random.default_rng(0)
    return rng.normal(size=circuit.num_weights), rng.normal(size=(rows, circuit.num_features))


def read_back(circuit, qubits, like):
    counts = {"num_features": like.num_features, "num_weights": like.num_weights}
    return from_cirq_native(circuit, qubits, **counts)


@pytest.mark.parametrize("circuit", CIRCUITS)
def test_export_is_the_circuit_as_cirq_simulates_it(circuit):
    theta, x = inputs(circuit, 1)
    qubits = cirq.LineQubit.range(circuit.num_qubits)
    body = to_cirq(circuit.bind_weights(theta), qubits)[:-1]
    final = cirq.Simulator(dtype=np.complex128).simulate(body, resolvers(x)[0], qubit_order=qubits)
    state = final.final_state_vector.reshape((2,) * circuit.num_qubits)
    seen = np.einsum(abs(state) ** 2, list(range(circuit.num_qubits)), circuit.measured).ravel()
    np.testing.assert_allclose(seen, reference.probabilities(circuit, theta, x[0]), atol=1e-12)


@pytest.mark.parametrize("circuit", CIRCUITS)
def test_reading_back_keeps_the_distribution_and_is_a_fixed_point(circuit):
    theta, x = inputs(circuit)
    qubits = cirq.GridQubit.rect(1, circuit.num_qubits)
    read = read_back(to_cirq(circuit, qubits), qubits, circuit)
    np.testing.assert_allclose(
        reference.probabilities(read, theta, x),
        reference.probabilities(circuit, theta, x),
        atol=1e-12,
    )
    assert read.measured == circuit.measured
    assert read_back(to_cirq(read, qubits), qubits, circuit) == read


@pytest.mark.parametrize("circuit", CIRCUITS)
def test_phased_keeps_the_distribution_in_two_gates_with_z_carried_along(circuit):
    theta, x = inputs(circuit)
    made = phased(circuit)
    assert {op.gate for op in made.ops} <= {"phased_xz", "cz"}
    assert all(op.angles[1] == 0 for op in made.ops if op.gate == "phased_xz")
    np.testing.assert_allclose(
        reference.probabilities(made, theta, x),
        reference.probabilities(circuit, theta, x),
        atol=1e-12,
    )


def test_phased_merges_turns_about_one_axis_and_drops_what_cancels():
    circuit = Circuit(
        2,
        (
            Op("rz", (0,), (Weight(0),)),
            Op("ry", (0,), (Feature(0),)),
            Op("ry", (0,), (0.25,)),
            Op("cx", (0, 1)),
            Op("cx", (1, 0)),
            Op("x", (1,)),
            Op("rx", (1,), (-math.pi,)),
        ),
        (0, 1),
        1,
        1,
    )
    made = phased(circuit)
    assert [op.gate for op in made.ops].count("cz") == 2
    first = made.ops[0]
    assert first.angles == (
        Sum((Feature(0),), 0.25),
        0.0,
        Sum((Weight(0, -1.0),), math.pi / 2),
    )
    # H on the target before each CZ, and after the second; H on 1 after the first; X X is gone
    assert [op.qubits for op in made.ops if op.gate == "phased_xz"] == [
        (0,),
        (1,),
        (1,),
        (0,),
        (0,),
    ]


def test_a_qubit_waits_in_its_ground_state_not_in_superposition():
    circuit = Circuit(
        2, (Op("h", (1,)), *(Op("x", (0,)) for _ in range(3)), Op("cz", (0, 1))), (0, 1)
    )
    made = to_cirq(circuit, cirq.LineQubit.range(2))
    assert [len(moment) for moment in made] == [1, 1, 2, 1, 1]
    assert made[2][cirq.q(1)] == cirq.H(cirq.q(1))


def test_one_measurement_in_the_order_of_measured():
    circuit = Circuit(3, (Op("x", (2,)),), (2, 0))
    made = to_cirq(circuit, cirq.LineQubit.range(3), key="out")
    result = cirq.Simulator().run(made, repetitions=5)
    assert result.histogram(key="out") == {2: 5}  # qubit 2 is the most significant bit


def test_z_is_a_physical_gate_when_it_is_lowered_one_to_one():
    native = Circuit(2, (Op("z", (0,)), Op("cz", (0, 1)), Op("y", (1,)), Op("x", (0,))), (0, 1))
    made = lowered(native)
    assert [op.gate for op in made.ops] == ["phased_xz", "cz", "phased_xz", "phased_xz"]
    for before, after in zip(native.ops, made.ops, strict=True):
        ours, theirs = (reference.op_matrix(op, np.zeros(0), np.zeros(0)) for op in (before, after))
        assert abs(np.trace(ours.conj().T @ theirs)) == pytest.approx(len(ours), abs=1e-12)
    with pytest.raises(FitError, match="the gate ry on qubits"):
        lowered(Circuit(1, (Op("ry", (0,), (0.1,)),), (0,)))


def test_angles_that_are_not_affine_are_refused():
    x, theta = sympy.symbols("x_0 theta_0")
    assert read_angle((2 * x - theta + sympy.pi) / sympy.pi, NAMED) == Sum(
        (Feature(0, 2.0), Weight(0, -1.0)), math.pi
    )
    for bad in (x * theta, x**2, sympy.sin(x), sympy.Symbol("y")):
        with pytest.raises(InputError, match="multiples of x_0, theta_0"):
            read_angle(bad, NAMED)


def test_a_gate_outside_the_table_is_named():
    qubits = cirq.LineQubit.range(2)
    with pytest.raises(InputError, match="ISWAP"):
        read_back(cirq.Circuit(cirq.ISWAP(*qubits)), qubits, Circuit(2, (), (0,)))
