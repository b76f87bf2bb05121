"""The named noise channels, each a function to a `Channel`.

Depolarizing strength is the probability q of a uniformly random non-identity Pauli, as in Cirq,
Braket and PennyLane. Aer's lambda mixes with the maximally mixed state instead; the two are
converted here and nowhere else. Formulas: Nielsen and Chuang, section 8.3.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from jaxtyping import Complex128

from qmoe.angles import finite
from qmoe.channel import Channel
from qmoe.errors import InputError
from qmoe.gates import GATES, Axis, Matrix


def lambda_to_q(strength: float, num_qubits: int) -> float:
    """Aer's lambda, rho -> (1 - lambda) rho + lambda I / 2^k, as the probability q of a Pauli.

    >>> lambda_to_q(0.5, 1)
    0.375
    """
    return strength * (1 - 0.25**num_qubits)


def q_to_lambda(q: float, num_qubits: int) -> float:
    """The inverse of `lambda_to_q`; q = 1 is a lambda beyond 1, which is a channel all the same."""
    return q / (1 - 0.25**num_qubits)


def as_lambda(strength: float, placement: str) -> tuple[float, float]:
    """The ends between which the equally strong share lambda lies, of a Pauli probability.

    The ends are equal where all channels act on one wire; after gates of one and of two qubits
    lambda is 4/3 and 16/15 of the probability.

    >>> as_lambda(0.03, "wire"), as_lambda(0.03, "gate")
    ((0.04, 0.04), (0.032, 0.04))
    """
    wire = q_to_lambda(strength, 1)
    return (q_to_lambda(strength, 2) if placement == "gate" else wire), wire


def depolarizing(qubits: Iterable[int], q: float) -> Channel:
    """A uniformly random non-identity Pauli on k qubits with probability q."""
    named = tuple(qubits)
    kept = 1 - q_to_lambda(probability(q, "depolarizing probability"), len(named))
    return Channel(named, np.diag([1.0, *[kept] * (4 ** len(named) - 1)]))


def pauli(qubit: int, px: float, py: float, pz: float) -> Channel:
    """X, Y or Z with probabilities px, py, pz.

    Raises:
        InputError: A negative one, or a sum above 1.
    """
    for value in (px, py, pz, px + py + pz):
        probability(value, "Pauli probability")
    return Channel((qubit,), np.diag([1, 1 - 2 * (py + pz), 1 - 2 * (px + pz), 1 - 2 * (px + py)]))


def amplitude_damping(qubit: int, gamma: float, excited: float = 0.0) -> Channel:
    """Decay with probability gamma towards a state that is |1> with probability `excited`."""
    kept = 1 - probability(gamma, "damping probability")
    return _relaxation(qubit, kept**0.5, kept, excited)


def phase_damping(qubit: int, gamma: float) -> Channel:
    """Loss of phase: coherences shrink by sqrt(1 - gamma), populations stay."""
    return _relaxation(qubit, (1 - probability(gamma, "damping probability")) ** 0.5, 1.0, 0.0)


def thermal_relaxation(
    qubit: int, t1: float, t2: float, time: float, excited: float = 0.0
) -> Channel:
    """`time` spent idle with relaxation times t1, t2 (one unit for all three; inf is allowed).

    Raises:
        InputError: Times that are not positive, or t2 > 2 t1, which no qubit has.
    """
    for value, name in ((t1, "t1"), (t2, "t2")):
        if not value > 0:
            raise InputError(got=f"{name} {value}", expected="> 0", do="correct it")
    if t2 > 2 * t1:
        raise InputError(
            got=f"t2 {t2} with t1 {t1}", expected="t2 <= 2 t1", do="correct one of them"
        )
    if finite(time, "time") < 0:
        raise InputError(got=f"time {time}", expected=">= 0", do="correct it")
    return _relaxation(qubit, float(np.exp(-time / t2)), float(np.exp(-time / t1)), excited)


def rotation(qubit: int, axis: Axis, angle: float) -> Channel:
    """A coherent rotation error by `angle` radians."""
    return Channel.from_unitary((qubit,), GATES[f"r{axis}"].unitary(angle))


def cz_rotation(qubits: tuple[int, int], excess: float) -> Channel:
    """CZ^excess: what a CZ that turns 1 + excess times too far adds to the ideal one."""
    return over_rotation(qubits, GATES["cz"].unitary(), excess)


def zz_crosstalk(qubits: tuple[int, int], angle: float) -> Channel:
    """An unwanted RZZ(angle), radians, between neighbours."""
    return Channel.from_unitary(qubits, GATES["rzz"].unitary(angle))


def over_rotation(
    qubits: Iterable[int], unitary: Complex128[Matrix, "dim dim"], excess: float
) -> Channel:
    """unitary^excess, what a gate that turns 1 + excess times too far adds to the ideal one."""
    values, vectors = np.linalg.eig(unitary)
    vectors = np.linalg.qr(vectors)[0]  # orthogonal also where eigenvalues coincide
    turns = np.angle(values)
    # The two ends of the branch are one eigenvalue: X, CZ and ECR have -1, and its sign is noise.
    turns[turns < -np.pi + 1e-9] += 2 * np.pi
    power = (vectors * np.exp(1j * excess * turns)) @ vectors.conj().T
    return Channel.from_unitary(qubits, power)


def probability(value: float, what: str) -> float:
    """The value, if it is in [0, 1].

    Raises:
        InputError: It is not; a rounding error beyond the ends passes as the end.
    """
    number = finite(value, what)
    if not -1e-12 <= number <= 1 + 1e-12:
        raise InputError(got=f"{what} {value:g}", expected="0 <= p <= 1", do="correct it")
    return min(max(number, 0.0), 1.0)


def _relaxation(qubit: int, phase: float, population: float, excited: float) -> Channel:
    """Coherences times `phase`, populations times `population` towards the excited fraction."""
    ptm = np.diag([1.0, phase, phase, population])
    ptm[3, 0] = (1 - population) * (1 - 2 * probability(excited, "excited population"))
    return Channel((qubit,), ptm)
