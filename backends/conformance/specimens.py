"""The circuits that checks run: small, with every qubit and feature told apart.

All carry marks, without which noise that is placed per layer has no place.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from backends.conformance.predict import Reals
from qmoe.ansatz import paper
from qmoe.circuit import GATES, Angle, Circuit, Feature, Op, Sum


def marked(
    num_qubits: int, ops: Iterable[Op], measured: Iterable[int], num_features: int = 0
) -> Circuit:
    """A circuit of one layer."""
    inside = (Op("mark_embedding", ()), *ops, Op("mark_layer", ()))
    return Circuit(num_qubits, inside, tuple(measured), num_features)


def specimen(measured: Iterable[int] = (0, 1, 2)) -> Circuit:
    """Three qubits, two features, two entangling gates; every outcome has its own probability."""
    ops = (
        *(Op("ry", (q,), (Feature(q, 1.0 + q),)) for q in range(2)),
        Op("ry", (2,), (Sum((Feature(0, -0.5),), 1.9),)),
        Op("cz", (0, 1)),
        Op("rx", (1,), (0.8,)),
        Op("cx", (1, 2)),
        Op("ry", (0,), (0.35,)),
    )
    return marked(3, ops, measured, 2)


def weighted() -> Circuit:
    """A router circuit of two qubits with its weights free."""
    return paper(2, 2)


def bound_weights(circuit: Circuit, k: int = 0) -> Reals:
    """The k-th set of weights for a circuit, radians."""
    return np.asarray(0.4 + k + 1.1 * np.arange(circuit.num_weights))


def random_circuit(rng: np.random.Generator, num_qubits: int = 3, length: int = 10) -> Circuit:
    """A circuit of gates drawn from the whole table, marks too, that measures two qubits."""
    ops = [Op("ry", (q,), (Feature(q % 2),)) for q in range(num_qubits)]
    for name in rng.choice(list(GATES), length):
        row = GATES[name]
        chosen = rng.permutation(num_qubits)[: row.num_qubits or 0]
        angles = tuple(_angle(rng) for _ in range(row.num_angles))
        ops.append(Op(str(name), tuple(map(int, chosen)), angles))
    ops += [Op("rx", (q,), (float(rng.uniform(-3, 3)),)) for q in range(num_qubits)]
    measured = tuple(map(int, rng.permutation(num_qubits)[:2]))
    return marked(num_qubits, ops, measured, 2)


def random_inputs(circuit: Circuit, rng: np.random.Generator, batch: int = 4) -> Reals:
    """Features (batch, d), radians."""
    return rng.uniform(-math.pi, math.pi, (batch, circuit.num_features))


def _angle(rng: np.random.Generator) -> Angle:
    number = float(rng.choice([math.pi, -math.pi / 2, rng.uniform(-7, 7)]))
    scale = float(rng.choice([1.0, -1.0, 0.5, 2.0]))
    options: tuple[Angle, ...] = (
        number,
        Feature(int(rng.integers(2)), scale),
        Sum((Feature(0, scale), Feature(1)), number),
    )
    return options[int(rng.integers(3))]
