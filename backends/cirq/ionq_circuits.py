"""Native circuits for IonQ as Cirq circuits that the client can send."""

from __future__ import annotations

import math
from typing import Any

from qmoe.circuit import Circuit, affine


def to_ionq(native: Circuit) -> Any:
    """A native circuit without free angles in the gates of cirq_ionq; their angles are in turns."""
    import cirq
    import cirq_ionq

    line = cirq.LineQubit.range(native.num_qubits)
    operations = []
    for op in native.ops:
        qubits = [line[q] for q in op.qubits]
        if op.gate == "rzz":
            gate = cirq_ionq.ZZGate(theta=affine(op.angles[0]).offset / math.tau)
        else:
            size, _, axis = (affine(angle).offset for angle in op.angles)
            kind = cirq_ionq.GPIGate if size > 2 else cirq_ionq.GPI2Gate  # pi or pi/2
            gate = kind(phi=axis / math.tau % 1.0)
        operations.append(gate.on(*qubits))
    return cirq.Circuit(*operations, cirq.measure(*(line[q] for q in native.measured), key="m"))
