"""A circuit with its weights as further features: one native circuit for all routers."""

from __future__ import annotations

from dataclasses import replace

from qmoe.angles import affine, angle_of
from qmoe.circuit import Circuit, Op


def lifted(circuit: Circuit) -> Circuit:
    """The same circuit with weight i as feature num_features + i.

    Compiled once, it serves every set of weights as one program with an array of numbers.

    >>> from qmoe.ansatz import paper
    >>> lifted(paper(2, 1)).num_features, lifted(paper(2, 1)).num_weights
    (4, 0)
    """
    first = circuit.num_features

    def lift(op: Op) -> Op:
        angles = []
        for part in map(affine, op.angles):
            also = {first + index: scale for index, scale in part.weights.items()}
            angles.append(angle_of({**part.features, **also}, {}, part.offset))
        return Op(op.gate, op.qubits, tuple(angles))

    ops = tuple(lift(op) for op in circuit.ops)
    return replace(circuit, ops=ops, num_features=first + circuit.num_weights, num_weights=0)
