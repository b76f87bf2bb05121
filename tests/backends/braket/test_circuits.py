"""Circuits to Braket and back, and the engine's answers, against LocalSimulator."""

import math

import numpy as np
import pytest
from braket.circuits import Circuit as BraketCircuit
from braket.circuits import FreeParameter
from braket.devices import LocalSimulator
from hypothesis import given, settings

from backends.braket import circuits, engine
from qmoe.ansatz import paper
from qmoe.channel import Channel
from qmoe.circuit import GATES, Circuit, Feature, Op, Sum, Weight
from qmoe.errors import FitError, InputError
from tests.qmoe.strategies import angles

pytestmark = pytest.mark.xdist_group("braket")

IQM, IONQ = ("prx", "cz"), ("gpi", "gpi2", "zz")


@pytest.mark.parametrize("name", [name for name, row in GATES.items() if not row.is_mark])
def test_every_gate_is_the_one_of_the_table(name):
    row = GATES[name]
    values = (0.7, -1.9, 2.3)[: row.num_angles]
    op = Op(name, tuple(range(row.num_qubits))[::-1], values)
    made = BraketCircuit(circuits.to_instructions(op, range(2)))
    expected = row.unitary(*values)
    if row.num_qubits == 2:  # the first qubit of the op is the second of the register
        swap = np.eye(4)[[0, 2, 1, 3]]
        expected = swap @ expected @ swap
    overlap = np.trace(made.to_unitary().conj().T @ expected) / len(expected)
    assert abs(overlap) == pytest.approx(1, abs=1e-12)


def test_what_is_read_back_is_what_was_written():
    free = Sum((Feature(0, 0.3), Feature(1), Weight(2, -1 / 3)), 1.1)
    ops = (
        Op("mark_layer", ()),
        Op("phased_xz", (1,), (free, 0.0, Sum((Feature(1, 0.7),), -2.0))),
        Op("cz", (0, 1)),
        Op("phased_xz", (0,), (Weight(0), 0.0, 0.1)),
    )
    circuit = Circuit(2, ops, (1, 0), 3, 4)
    for verbatim in (True, False):
        made = circuits.to_braket(circuit, (12, 7), native=IQM, verbatim=verbatim)
        again = circuits.from_braket(made, (12, 7), num_features=3, num_weights=4)
        assert again == Circuit(2, ops[1:], (1, 0), 3, 4)
    pulses = (Op("phased_xz", (0,), (math.pi, 0.0, free)), Op("rzz", (1, 0), (math.pi / 2,)))
    circuit = Circuit(2, (*pulses, Op("phased_xz", (1,), (math.pi / 2, 0.0, 0.4))), (0,), 2, 3)
    made = circuits.to_braket(circuit, native=IONQ, verbatim=True)
    assert circuits.from_braket(made, (0, 1), num_features=2, num_weights=3) == circuit


@settings(max_examples=40)
@given(angle=angles(3, 3))
def test_angles_pass_unchanged(angle):
    assert circuits.read_angle(circuits.parameter(angle)) == Op("rz", (0,), (angle,)).angles[0]


@pytest.mark.parametrize(
    "angle",
    [FreeParameter("x0") ** 2, FreeParameter("y0"), FreeParameter("x0") * FreeParameter("x1")],
)
def test_an_angle_that_is_not_affine_is_refused(angle):
    with pytest.raises(InputError, match="expected a sum of numbers and of multiples"):
        circuits.from_braket(BraketCircuit().rx(0, angle), (0,), num_features=2, num_weights=0)


def test_gates_and_noise_without_a_counterpart_are_refused():
    counts = {"num_features": 0, "num_weights": 0}
    with pytest.raises(InputError, match="the Braket gate Swap"):
        circuits.from_braket(BraketCircuit().swap(0, 1), (0, 1), **counts)
    with pytest.raises(InputError, match="with noise"):
        circuits.from_braket(BraketCircuit().h(0).bit_flip(0, 0.1), (0,), **counts)
    for gates, op in (
        (IQM, Op("phased_xz", (0,), (0.3, 0.2, 0.1))),
        (IONQ, Op("phased_xz", (0,), (0.3, 0.0, 0.1))),
        (IONQ, Op("phased_xz", (0,), (Feature(0), 0.0, 0.1))),
    ):
        with pytest.raises(FitError, match="compile the circuit for the device first"):
            circuits.to_instructions(op, (0,), gates)


def test_noise_is_read_as_channels_with_the_first_qubit_first():
    made = BraketCircuit().amplitude_damping(3, 0.2).kraus([5, 3], _asymmetric())
    first, second = circuits.read_steps(made, {3: 0, 5: 1})
    assert first == Channel.from_kraus(
        (0,), [[[1, 0], [0, math.sqrt(0.8)]], [[0, math.sqrt(0.2)], [0, 0]]]
    )
    assert second.qubits == (1, 0)
    np.testing.assert_allclose(
        second.ptm, Channel.from_kraus((0, 1), _asymmetric()).ptm, atol=1e-15
    )


@pytest.mark.parametrize("noisy", [False, True])
@pytest.mark.parametrize("measured", [(0, 1, 2), (2, 0), (1,), (3, 1)])
def test_the_engine_gives_what_the_local_simulator_gives(noisy, measured):
    """By OpenQASM, on sparse qubits in another order; qubit 3 is idle."""
    labels = (4, 9, 2, 5)
    circuit = BraketCircuit()
    for step in circuits.to_braket(_mixed(), labels, measure=False).instructions:
        circuit.add_instruction(step)
        if noisy and len(step.target) == 1:
            circuit.amplitude_damping(step.target[0], 0.1).depolarizing(step.target[0], 0.02)
        elif noisy:
            circuit.kraus(list(step.target), _asymmetric())
    x = np.random.default_rng(1).uniform(-3, 3, (3, 2))
    p = engine.probabilities(circuit, labels, measured, x)
    device = LocalSimulator("braket_dm" if noisy else "braket_sv")
    for row, got in zip(x, p, strict=True):
        bound = circuit.make_bound_circuit(circuits.inputs(row)).i(5).probability()
        result = device.run(bound, shots=0).result()
        # of all qubits, sorted: given three targets [4, 9, 2] the SDK permutes the wrong way round
        axes = [sorted(labels).index(labels[q]) for q in measured]
        expected = np.einsum(result.values[0].reshape([2] * 4), range(4), axes).ravel()
        np.testing.assert_allclose(got, expected, atol=1e-12)


def test_no_row_and_no_feature_are_a_batch_too():
    made = circuits.to_braket(paper(2, 1).bind_weights([0.3, 0.4]), measure=False)
    assert engine.probabilities(made, (0, 1), (0,), np.zeros((0, 2))).shape == (0, 2)
    fixed = BraketCircuit().rx(0, 1.2)
    p = engine.probabilities(fixed, (0,), (0,), np.zeros((3, 0)))
    np.testing.assert_allclose(p, [[math.cos(0.6) ** 2, math.sin(0.6) ** 2]] * 3, atol=1e-15)


def _mixed():
    """Three qubits in use of four; two features; no symmetry between the qubits."""
    ops = (
        Op("ry", (0,), (Feature(0),)),
        Op("rx", (1,), (Sum((Feature(1, 0.5), Feature(0, 2.0)), 0.7),)),
        Op("cx", (1, 0)),
        Op("phased_xz", (2,), (0.8, Feature(1), 0.3)),
        Op("ecr", (2, 1)),
        Op("rzz", (0, 2), (Feature(0, -1.0),)),
        Op("sx", (0,)),
    )
    return Circuit(4, ops, (0,), 2)


def _asymmetric():
    """Kraus operators that tell the two qubits apart."""
    lower, p = np.array([[0, 1], [0, 0]]), 0.15
    keep = np.kron(np.diag([1, math.sqrt(1 - p)]), np.eye(2))
    return [keep, math.sqrt(p) * np.kron(lower, np.array([[0, 1], [1, 0]]))]
