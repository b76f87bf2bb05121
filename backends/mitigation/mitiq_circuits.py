"""Native circuits as mitiq takes them, and the way back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from backends.registry import require
from qmoe.circuit import Circuit, Op


class Given:
    """A native circuit as mitiq takes it, and the way back."""

    def __init__(self, circuit: Circuit) -> None:
        from backends.cirq import circuits

        cirq = require("mitigation", "cirq")
        self.circuit = circuit
        self._read = circuits.read_op
        self._cirq = cirq
        self._qubits = cirq.LineQubit.range(circuit.num_qubits)
        ops = [op for op in circuit.ops if not op.is_mark]
        there = {op: circuits.to_op(op, self._qubits) for op in ops}
        self._there = there
        self.body = cirq.Circuit(there[op] for op in ops)
        # mitiq's inverse of sx, for one, is no native gate: ours is
        self._back = {cirq.inverse(made): op.inverse() for op, made in there.items()}
        self._back |= {made: (op,) for op, made in there.items()}

    def alone(self, op: Op) -> Any:
        """One op of the circuit as a cirq.Circuit."""
        return self._cirq.Circuit(self._there[op])

    def back(self, made: Any) -> Circuit:
        """A circuit of ops of this one, their inverses, and Paulis, in native gates."""
        index = {qubit: k for k, qubit in enumerate(self._qubits)}
        ops: list[Op] = []
        for operation in made.all_operations():
            found = self._back.get(operation) or self._read(operation, index, {})
            if found is None:
                raise ValueError(f"got {operation} from mitiq; expected a gate of ours")
            ops += found
        return replace(self.circuit, ops=tuple(ops))
