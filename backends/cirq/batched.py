"""Outcome distributions of cirq.Circuits, exactly, for many inputs at once.

What cirq.Simulator and cirq.DensityMatrixSimulator compute in double precision (tests hold them
together), from Cirq's own unitaries, Kraus operators and tensor products, with one more axis for
the inputs: what no feature enters is combined once for all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.base import Probabilities
from backends.cirq.circuits import resolvers

MOST_QUBITS_PURE = 20
MOST_QUBITS_MIXED = 10
_ENTRIES = 2**18  # of the states of one chunk of inputs: they should stay in the cache


def probabilities(
    circuit: Any,
    qubits: Sequence[Any],
    measured: Sequence[int],
    features: NDArray[np.float64],
    *,
    mixed: bool,
) -> Probabilities:
    """Probabilities (batch, 2^m) of a circuit without its measurement.

    Args:
        circuit: The cirq.Circuit; features stand in it as symbols x_0, x_1, ...
        qubits: Its qubits; `measured` are indices into them, most significant bit first.
        measured: The measured qubits.
        features: (batch, d), radians.
        mixed: Density matrices, for circuits with channels; else state vectors.
    """
    steps = _fused(circuit, {qubit: i for i, qubit in enumerate(qubits)}, mixed)
    num_axes = (2 if mixed else 1) * len(qubits)
    rows = max(1, _ENTRIES >> num_axes)
    out = np.zeros((len(features), 2 ** len(measured)))
    for first in range(0, len(features), rows):
        state = _final(steps, len(qubits), mixed, resolvers(features[first : first + rows]))
        wires, batch = list(range(len(qubits))), len(qubits)
        seen: Any = state if mixed else abs(state) ** 2
        of_all = [*wires, *wires, batch] if mixed else [*wires, batch]
        found = np.einsum(seen, of_all, [batch, *measured]).real
        # where no gate has a feature there is one distribution for all
        out[first : first + rows] = found.reshape(len(found), -1)
    return out


_Step = tuple[tuple[int, ...], Any]  # qubits, and a matrix or a gate with features


def _fused(circuit: Any, index: Mapping[Any, int], mixed: bool) -> list[_Step]:
    """The operations in order, constant neighbours on the same qubits multiplied into one."""
    import cirq

    steps: list[_Step] = []
    last: dict[int, int] = {}  # each qubit's last step
    for operation in circuit.all_operations():
        qubits = tuple(index[q] for q in operation.qubits)
        before = {last.get(q, -1) for q in qubits}
        if cirq.is_parameterized(operation):
            step = operation.gate
        else:
            step = _matrix(operation, mixed)
            position = before.pop() if len(before) == 1 else -1
            if position >= 0 and steps[position][0] == qubits:
                earlier = steps[position][1]
                if isinstance(earlier, np.ndarray):
                    steps[position] = (qubits, step @ earlier)
                    continue
        last |= dict.fromkeys(qubits, len(steps))
        steps.append((qubits, step))
    return steps


def _matrix(value: Any, mixed: bool) -> NDArray[np.complex128]:
    """A gate's or channel's superoperator, on rows and then columns; a gate's unitary if pure."""
    import cirq

    made = cirq.kraus_to_superoperator(cirq.kraus(value)) if mixed else cirq.unitary(value)
    return np.asarray(made, dtype=np.complex128)


def _final(steps: Sequence[_Step], num_qubits: int, mixed: bool, inputs: Sequence[Any]) -> Any:
    """The final states: an axis for each qubit, for mixed ones rows, then columns; then inputs."""
    import cirq

    num_axes = 2 * num_qubits if mixed else num_qubits
    state: Any = np.zeros((2,) * num_axes + (1,), dtype=np.complex128)
    state[(0,) * num_axes] = 1
    for qubits, step in steps:
        axes = [*qubits, *(num_qubits + q for q in qubits)] if mixed else list(qubits)
        shape = (2,) * (2 * len(axes))
        if isinstance(step, np.ndarray):
            state = cirq.targeted_left_multiply(step.reshape(shape), state, axes)
        else:
            each = [_matrix(cirq.resolve_parameters(step, one), mixed) for one in inputs]
            state = _each(np.array(each).reshape(len(each), *shape), state, axes)
    return state


def _each(matrices: Any, state: Any, axes: Sequence[int]) -> Any:
    """cirq.targeted_left_multiply with another matrix for each input."""
    state = np.broadcast_to(state, (*state.shape[:-1], len(matrices)))
    labels = list(range(state.ndim))
    new = [state.ndim + k for k in range(len(axes))]
    after = list(labels)
    for axis, label in zip(axes, new, strict=True):
        after[axis] = label
    places = [labels[-1], *new, *(labels[axis] for axis in axes)]
    return np.einsum(matrices, places, state, labels, after)
