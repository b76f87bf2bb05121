"""IonQ's native gates: pulses and ZZ, with rotations about Z in the axes."""

import math

import cirq
import cirq_ionq
import numpy as np
import pytest

from backends.cirq.ionq_circuits import to_ionq
from backends.cirq.ionq_results import distributions
from backends.native.phased import phased
from backends.native.pulses import pulses
from backends.remote import apportion
from qmoe.circuit import GATES, Circuit, Feature, Op, Sum
from qmoe.errors import FitError, QmoeError
from qmoe.simulate import reference

pytestmark = pytest.mark.xdist_group("cirq")


def random_circuit(rng, gates=20):
    names = [name for name, row in GATES.items() if not row.is_mark]
    ops = []
    for _ in range(gates):
        row = GATES[names[rng.integers(len(names))]]
        qubits = tuple(int(q) for q in rng.permutation(3)[: row.num_qubits])
        choices = [
            float(rng.uniform(-7, 7)),
            float(rng.integers(-6, 7)) * math.pi / 2,
            Feature(int(rng.integers(2)), 1.5),
            Sum((Feature(0), Feature(1, -1.0)), 0.3),
        ]
        angles = tuple(choices[rng.integers(len(choices))] for _ in range(row.num_angles))
        ops.append(Op(row.name, qubits, angles))
    return Circuit(3, tuple(ops), (2, 0), 2)


@pytest.fixture(scope="module", params=range(6))
def pair(request):
    circuit = random_circuit(np.random.default_rng(request.param))
    return circuit, pulses(phased(circuit))


def zz(circuit):
    return sum(op.gate == "rzz" for op in circuit.ops)


def test_pulses_have_the_distribution_of_the_circuit(pair):
    circuit, native = pair
    x = np.random.default_rng(1).normal(size=(3, 2))
    want = reference.probabilities(circuit, (), x)
    assert np.allclose(reference.probabilities(native, (), x), want, rtol=0, atol=1e-12)
    for op in native.ops:
        assert op.gate == "rzz" or op.angles[:2] in ((math.pi, 0.0), (math.pi / 2, 0.0))


def test_a_native_circuit_passes_unchanged_and_a_fold_keeps_its_gates(pair):
    circuit, native = pair
    assert pulses(native) == native
    folded = pulses(native.folded(3))
    assert zz(folded) == 3 * zz(native)
    assert len(folded.ops) == 3 * len(native.ops)
    x = np.random.default_rng(2).normal(size=(2, 2))
    want = reference.probabilities(circuit, (), x)
    assert np.allclose(reference.probabilities(folded, (), x), want, rtol=0, atol=1e-12)


def test_the_clients_gates_have_the_unitary_of_the_native_circuit(pair):
    native = pair[1].bind([0.4, -1.1])
    sent = to_ionq(native)
    line = cirq.LineQubit.range(3)
    gates = [op for op in sent.all_operations() if not cirq.is_measurement(op)]
    ours = [
        cirq.MatrixGate(GATES[op.gate].unitary(*op.angles)).on(*(line[q] for q in op.qubits))
        for op in native.ops
    ]
    made, want = (cirq.Circuit(ops).unitary(line) for ops in (gates, ours))
    assert cirq.allclose_up_to_global_phase(made, want, atol=1e-9)
    assert cirq_ionq.Serializer().serialize_single_circuit(sent).body["gateset"] == "native"


def test_paulis_are_lowered_one_to_one_and_z_takes_no_time():
    quarter = Op("phased_xz", (0,), (math.pi / 2, 0.0, 0.0))
    twirled = Circuit(1, (Op("x", (0,)), Op("y", (0,)), Op("z", (0,)), quarter), (0,))
    made = pulses(twirled)
    assert [op.angles for op in made.ops] == [
        (math.pi, 0.0, 0.0),
        (math.pi, 0.0, math.pi / 2),
        (math.pi / 2, 0.0, -math.pi),
    ]


def test_other_gates_are_refused():
    with pytest.raises(FitError, match="got the gate h on"):
        pulses(Circuit(1, (Op("h", (0,)),), (0,)))
    with pytest.raises(FitError, match="rzz by pi/2"):
        pulses(Circuit(2, (Op("rzz", (0, 1), (0.3,)),), (0,)))


def test_counts_over_shots_come_back_as_they_were():
    counts = np.random.default_rng(0).multinomial(1000, np.full(64, 1 / 64))
    assert (apportion(counts / 1000, 1000) == counts).all()


def test_rounded_probabilities_keep_the_number_of_shots():
    distribution = np.array([0.0014, 0.0014, 0.0014, 0.9958])
    # rounding each alone: 1 + 1 + 1 + 996 = 999
    assert apportion(distribution, 1000).sum() == 1000
    assert abs(apportion(distribution, 1000) - 1000 * distribution).max() < 1


def test_outcomes_are_read_little_endian_and_given_big_endian():
    job = {"metadata": {"measured": "2,0"}, "id": "j"}
    # qubit 2 is one, qubit 0 is zero, qubit 1 does not matter
    found = distributions({"4": 0.75, "6": 0.25}, job)
    assert found.tolist() == [[0, 0, 1, 0]]


@pytest.mark.parametrize(
    "raw", [{}, {"0": 0.5}, {"a": 1.0}, {"0": -1.0, "1": 2.0}, {"a": {"0": 1.0}, "b": 3}]
)
def test_results_that_are_none_are_one_line(raw):
    with pytest.raises(QmoeError, match="IonQ job j: "):
        distributions(raw, {"metadata": {"measured": "0"}, "id": "j"})
