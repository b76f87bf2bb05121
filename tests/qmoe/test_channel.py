from __future__ import annotations

import json

import cirq
import numpy as np
import pennylane as qml
import pytest
from qiskit.quantum_info import PTM, Kraus, SuperOp
from qiskit_aer.noise import (
    amplitude_damping_error,
    coherent_unitary_error,
    depolarizing_error,
    pauli_error,
    phase_damping_error,
    thermal_relaxation_error,
)

from qmoe.channel import Channel, is_identity
from qmoe.channels import (
    amplitude_damping,
    cz_rotation,
    depolarizing,
    lambda_to_q,
    over_rotation,
    pauli,
    phase_damping,
    q_to_lambda,
    rotation,
    thermal_relaxation,
    zz_crosstalk,
)
from qmoe.errors import InputError
from qmoe.gates import GATES
from qmoe.readout import independent, paired
from tests.qmoe.strategies import same_up_to_phase

pytestmark = pytest.mark.xdist_group("sdks")
PAULIS = [np.eye(2), *(GATES[name].unitary() for name in "xyz")]


def written_out(kraus) -> np.ndarray:
    """The transfer matrix by its definition, entry by entry."""
    k = len(kraus[0]).bit_length() - 1
    paulis = [np.eye(1)]
    for _ in range(k):
        paulis = [np.kron(one, other) for one in paulis for other in PAULIS]
    return np.array(
        [[sum(np.trace(p @ m @ q @ m.conj().T) for m in kraus).real / 2**k for q in paulis]
         for p in paulis]
    )  # fmt: skip


def of_qiskit(error) -> np.ndarray:
    """Qiskit's own transfer matrix, its last qubit most significant."""
    return PTM(SuperOp(error)).data.real


def random_kraus(k: int, seed: int) -> list[np.ndarray]:
    """Three operators cut out of a random isometry."""
    rng = np.random.default_rng(seed)
    wide = rng.normal(size=(3 * 2**k, 2**k)) + 1j * rng.normal(size=(3 * 2**k, 2**k))
    return list(np.linalg.qr(wide)[0].reshape(3, 2**k, 2**k))


CASES = [
    (
        "depolarizing",
        depolarizing((0,), 0.03),
        of_qiskit(depolarizing_error(q_to_lambda(0.03, 1), 1)),
        cirq.depolarize(0.03),
        qml.DepolarizingChannel(0.03, wires=0),
    ),
    (
        "depolarizing on two",
        depolarizing((0, 1), 0.9),
        of_qiskit(depolarizing_error(q_to_lambda(0.9, 2), 2)),
        cirq.depolarize(0.9, n_qubits=2),
        None,
    ),
    (
        "pauli",
        pauli(0, 0.1, 0.2, 0.05),
        of_qiskit(pauli_error([("I", 0.65), ("X", 0.1), ("Y", 0.2), ("Z", 0.05)])),
        cirq.asymmetric_depolarize(0.1, 0.2, 0.05),
        None,
    ),
    (
        "amplitude damping",
        amplitude_damping(0, 0.3),
        of_qiskit(amplitude_damping_error(0.3)),
        cirq.amplitude_damp(0.3),
        qml.AmplitudeDamping(0.3, wires=0),
    ),
    (
        "amplitude damping to a warm state",
        amplitude_damping(0, 0.3, excited=0.2),
        of_qiskit(amplitude_damping_error(0.3, excited_state_population=0.2)),
        cirq.generalized_amplitude_damp(0.8, 0.3),
        qml.GeneralizedAmplitudeDamping(0.3, 0.2, wires=0),
    ),
    (
        "phase damping",
        phase_damping(0, 0.3),
        of_qiskit(phase_damping_error(0.3)),
        cirq.phase_damp(0.3),
        qml.PhaseDamping(0.3, wires=0),
    ),
    (
        "relaxation with t2 < t1",
        thermal_relaxation(0, 50.0, 30.0, 7.0, 0.1),
        of_qiskit(thermal_relaxation_error(50.0, 30.0, 7.0, 0.1)),
        None,
        qml.ThermalRelaxationError(0.1, 50.0, 30.0, 7.0, wires=0),
    ),
    (
        "relaxation with t1 < t2 <= 2 t1",
        thermal_relaxation(0, 50.0, 99.0, 7.0, 0.1),
        of_qiskit(thermal_relaxation_error(50.0, 99.0, 7.0, 0.1)),
        None,
        qml.ThermalRelaxationError(0.1, 50.0, 99.0, 7.0, wires=0),
    ),
    (
        "rotation",
        rotation(0, "y", 0.3),
        of_qiskit(coherent_unitary_error(GATES["ry"].unitary(0.3))),
        cirq.ry(0.3),
        qml.RY(0.3, wires=0),
    ),
    (
        "CZ to a power",
        cz_rotation((0, 1), 0.06),
        of_qiskit(coherent_unitary_error(np.diag([1, 1, 1, np.exp(0.06j * np.pi)]))),
        cirq.CZ**0.06,
        qml.ControlledPhaseShift(0.06 * np.pi, wires=(0, 1)),
    ),
    (
        "crosstalk",
        zz_crosstalk((0, 1), 0.2),
        None,
        cirq.ZZPowGate(exponent=0.2 / np.pi),
        qml.IsingZZ(0.2, wires=(0, 1)),
    ),
]


@pytest.mark.parametrize(("channel", "ibm", "google", "xanadu"), [c[1:] for c in CASES],
                         ids=[c[0] for c in CASES])  # fmt: skip
def test_channels_are_those_of_the_same_name_elsewhere(channel, ibm, google, xanadu):
    others = [] if ibm is None else [ibm]
    if google is not None:
        others.append(written_out(cirq.kraus(google)))
    if xanadu is not None:
        noisy = isinstance(xanadu, qml.operation.Channel)
        others.append(written_out(xanadu.kraus_matrices() if noisy else [xanadu.matrix()]))
    assert others
    for other in others:
        np.testing.assert_allclose(channel.ptm, other, rtol=0, atol=1e-12)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_kraus_operators_give_the_matrix_of_the_definition_and_come_back(k):
    kraus = random_kraus(k, seed=k)
    channel = Channel.from_kraus(range(k), kraus)
    np.testing.assert_allclose(channel.ptm, written_out(kraus), rtol=0, atol=1e-12)
    back = channel.kraus()
    assert len(back) == 3
    np.testing.assert_allclose(written_out(back), channel.ptm, rtol=0, atol=1e-12)
    np.testing.assert_allclose(sum(m.conj().T @ m for m in back), np.eye(2**k), rtol=0, atol=1e-12)


def test_the_first_qubit_is_the_most_significant_of_matrix_and_paulis():
    flip_first = Channel.from_unitary((5, 3), np.kron(GATES["x"].unitary(), np.eye(2)))
    state = np.zeros(16)
    state[4 * 3 + 0] = 1  # <ZI>
    assert (flip_first.ptm @ state)[12] == -1
    state = np.zeros(16)
    state[3] = 1  # <IZ>
    assert (flip_first.ptm @ state)[3] == 1
    assert flip_first.on((1, 0)) == Channel((1, 0), flip_first.ptm)


@pytest.mark.parametrize("k", [1, 2])
def test_process_fidelity_is_qiskits(k):
    from qiskit.quantum_info import process_fidelity

    kraus = random_kraus(k, seed=7 + k)
    expected = process_fidelity(Kraus(kraus))
    assert Channel.from_kraus(range(k), kraus).fidelity == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("k", [1, 2])
def test_the_two_conventions_name_one_channel(k):
    q = 0.02
    strength = q_to_lambda(q, k)
    assert lambda_to_q(strength, k) == pytest.approx(q, abs=1e-17)
    assert strength == pytest.approx({1: 4 / 3, 2: 16 / 15}[k] * q)
    # lambda by its definition: rho -> (1 - lambda) rho + lambda I / 2^k
    expected = (1 - strength) * np.eye(4**k)
    expected[0, 0] = 1
    np.testing.assert_allclose(depolarizing(range(k), q).ptm, expected, rtol=0, atol=1e-15)
    assert depolarizing(range(k), q).fidelity == pytest.approx(1 - q, abs=1e-15)


@pytest.mark.parametrize("gate", ["x", "y", "h", "sx", "s", "cz", "cx", "ecr"])
def test_an_over_rotation_is_a_power_that_adds_up_to_the_gate(gate):
    unitary = GATES[gate].unitary()
    qubits = range(len(unitary) // 2)
    third = over_rotation(qubits, unitary, 1 / 3).ptm
    np.testing.assert_allclose(
        third @ third @ third, Channel.from_unitary(qubits, unitary).ptm, rtol=0, atol=1e-12
    )
    small = over_rotation(qubits, unitary, 1e-3)
    assert 0 < 1 - small.fidelity < 1e-5
    (kraus,) = small.kraus()
    eigenvalues = np.linalg.eigvals(kraus)
    assert np.ptp(np.angle(eigenvalues / eigenvalues[0])) <= 1e-3 * np.pi + 1e-12


def test_a_gate_and_its_excess_turn_too_far_not_too_short():
    quarter = over_rotation((0,), GATES["sx"].unitary(), 0.1)
    total = quarter.ptm @ Channel.from_unitary((0,), GATES["sx"].unitary()).ptm
    expected = Channel.from_unitary((0,), GATES["rx"].unitary(1.1 * np.pi / 2))
    np.testing.assert_allclose(total, expected.ptm, rtol=0, atol=1e-12)
    (kraus,) = over_rotation((0,), GATES["x"].unitary(), 0.1).kraus()
    assert same_up_to_phase(kraus, GATES["rx"].unitary(0.1 * np.pi))


def test_json_gives_back_an_equal_channel_with_an_equal_hash():
    channel = Channel.from_kraus((2, 0), random_kraus(2, seed=0))
    again = Channel.from_dict(json.loads(json.dumps(channel.to_dict())))
    assert again == channel and hash(again) == hash(channel)
    assert again != channel.on((0, 2)) and again != Channel((2, 0), channel.ptm * 1.0000001)
    assert not channel.ptm.flags.writeable
    zero = np.diag([1.0, 1.0, 1.0, -0.0])
    assert Channel((0,), zero) == Channel((0,), np.abs(zero))


@pytest.mark.parametrize(
    "tree",
    [
        None,
        {"qubits": [0]},
        {"qubits": [0], "ptm": np.eye(4).tolist(), "more": 1},
        {"qubits": 0, "ptm": np.eye(4).tolist()},
        {"qubits": [0], "ptm": 1.0},
        {"qubits": [0], "ptm": [[1.0]]},
        {"qubits": [0, 0], "ptm": np.eye(16).tolist()},
        {"qubits": [True], "ptm": np.eye(4).tolist()},
        {"qubits": [-1], "ptm": np.eye(4).tolist()},
        {"qubits": [0, 1, 2, 3], "ptm": np.eye(256).tolist()},
        {"qubits": [0], "ptm": [[1.0] * 4] * 4},
        {"qubits": [0], "ptm": np.diag([1, 2.0, 1, 1]).tolist()},
        {"qubits": [0], "ptm": [[1, 0, 0, 0], [0, float("nan"), 0, 0], [0] * 4, [0] * 4]},
        {"qubits": [0], "ptm": [[1, 0, 0, 0], [0, 10**400, 0, 0], [0] * 4, [0] * 4]},
        {"qubits": [0], "ptm": [[1, 0, 0, 0], ["0", 0, 0, 0], [0] * 4, [0] * 4]},
        {"qubits": [0], "ptm": [[1, 0, 0, 0], [0, 0, 0], [0] * 4, [0] * 4]},
    ],
)
def test_damaged_channels_are_refused(tree):
    with pytest.raises(InputError, match=r"got .*; expected .*; "):
        Channel.from_dict(tree)


def test_a_map_that_is_not_completely_positive_has_no_kraus_operators():
    transpose = Channel((0,), np.diag([1.0, 1.0, -1.0, 1.0]))
    with pytest.raises(InputError, match="completely positive"):
        transpose.kraus()


@pytest.mark.parametrize(
    "make",
    [
        lambda: depolarizing((0,), 1.01),
        lambda: depolarizing((0,), -0.01),
        lambda: depolarizing((0,), float("nan")),
        lambda: pauli(0, 0.5, 0.5, 0.1),
        lambda: pauli(0, -0.5, 0.5, 0.1),
        lambda: amplitude_damping(0, 1.5),
        lambda: amplitude_damping(0, 0.5, excited=2.0),
        lambda: phase_damping(0, -1.0),
        lambda: thermal_relaxation(0, 1.0, 2.1, 1.0),
        lambda: thermal_relaxation(0, 1.0, -1.0, 1.0),
        lambda: thermal_relaxation(0, 1.0, 1.0, -1.0),
        lambda: Channel.from_kraus((0,), [np.eye(2), np.eye(2)]),
        lambda: Channel.from_kraus((0,), []),
        lambda: Channel.from_kraus((0,), [np.eye(4)]),
        lambda: Channel.from_kraus((0,), [np.ones((2, 3))]),
        lambda: independent([1.5], [0.0]),
        lambda: paired(2, [(0, 1)], -0.1),
    ],
)
def test_strengths_without_a_channel_are_refused(make):
    with pytest.raises(InputError, match=r"got .*; expected .*; "):
        make()


def test_full_depolarizing_is_the_uniform_mixture_of_the_other_paulis():
    expected = written_out([p / np.sqrt(3) for p in PAULIS[1:]])
    np.testing.assert_allclose(depolarizing((0,), 1.0).ptm, expected, rtol=0, atol=1e-12)


def test_is_identity_looks_at_every_entry():
    assert is_identity(depolarizing((0, 1), 0.0))
    assert is_identity(rotation(0, "x", 1e-13))
    assert not is_identity(rotation(0, "x", 1e-6))
    assert is_identity(rotation(0, "x", 1e-6), tolerance=1e-5)
    assert not is_identity(amplitude_damping(0, 1e-6))


def test_readout_confusion_counts_bits_from_the_first_measured_qubit():
    matrix = independent([0.1, 0.02], [0.3, 0.04])
    # true 10 read as 01: the first misreads its 1, the second its 0
    assert matrix[0b01, 0b10] == pytest.approx(0.3 * 0.02)
    assert matrix[0b10, 0b01] == pytest.approx(0.1 * 0.04)
    np.testing.assert_allclose(matrix.sum(0), 1, atol=1e-15)


def test_a_misread_pair_flips_both_bits_and_no_others():
    matrix = paired(3, [(0, 1), (1, 2)], 0.1)
    column = matrix[:, 0b000]
    assert column[0b000] == pytest.approx(0.81) and column[0b110] == pytest.approx(0.09)
    assert column[0b011] == pytest.approx(0.09) and column[0b101] == pytest.approx(0.01)
    assert column.sum() == pytest.approx(1)
    # the marginal of the middle qubit is misread whenever exactly one pair is
    assert column[[2, 3, 6, 7]].sum() == pytest.approx(0.18)
