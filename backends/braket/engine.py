"""Outcome distributions of Braket circuits, exactly, by Braket's own simulator for many inputs.

LocalSimulator spends nearly all its time on writing and parsing OpenQASM, once for each input;
here its engine is given the operations themselves. With noise a density matrix of n qubits is a
state of 2n, rows before columns, and a channel one matrix on it: the sum of K x conj(K) over its
Kraus operators. A test holds the answers to those of LocalSimulator("braket_dm").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.base import Probabilities
from backends.braket.circuits import read_angle
from qmoe.circuit import affine

MOST_QUBITS = {"sv": 20, "dm": 10}

_Matrix = NDArray[np.complex128]


def probabilities(
    circuit: Any, qubits: Sequence[int], measured: Sequence[int], features: NDArray[np.float64]
) -> Probabilities:
    """Probabilities (batch, 2^m) of a braket.circuits.Circuit of gates and noise.

    Args:
        circuit: Features stand in it as free parameters x0, x1, ...; a measurement and verbatim
            boxes change nothing.
        qubits: All qubits of the register; `measured` are indices into them, most significant
            bit first.
        measured: The measured qubits.
        features: (batch, d), radians.
    """
    from braket.circuits import Noise
    from braket.default_simulator import StateVectorSimulation

    noisy = any(isinstance(each.operator, Noise) for each in circuit.instructions)
    size = len(qubits)
    steps = _steps(circuit, {int(q): i for i, q in enumerate(qubits)}, features, noisy)
    same = all(isinstance(factor, np.ndarray) for step in steps for factor in step.factors)
    out = np.empty((len(features), 2 ** len(measured)))
    for row in range(min(1, len(features)) if same else len(features)):
        simulation = StateVectorSimulation(size * (1 + noisy), 0, 1)
        simulation.evolve(_operations(steps, row, size if noisy else None))
        state = simulation.state_vector
        if noisy:
            diagonal = state.reshape(2**size, 2**size).diagonal().real
        else:
            diagonal = simulation.probabilities
        out[row] = np.einsum(diagonal.reshape((2,) * size), range(size), measured).ravel()
    if same:
        out[1:] = out[:1]
    return out


@dataclass
class _Turn:
    """A gate with angles that depend on the input: angles (batch, number of angles)."""

    gate: Any
    angles: NDArray[np.float64]


@dataclass
class _Step:
    """Factors on the same qubits, in order; of constant neighbours the product."""

    qubits: tuple[int, ...]
    factors: list[_Matrix | _Turn] = field(default_factory=list)

    def add(self, factor: _Matrix | _Turn) -> None:
        if self.factors and isinstance(factor, np.ndarray):
            last = self.factors[-1]
            if isinstance(last, np.ndarray):
                self.factors[-1] = factor @ last
                return
        self.factors.append(factor)

    def matrix(self, row: int, noisy: bool) -> _Matrix:
        """The product for one input; with noise a superoperator."""
        product: _Matrix | None = None
        for factor in self.factors:
            matrix = factor
            if isinstance(matrix, _Turn):
                matrix = matrix.gate(self.qubits, *matrix.angles[row]).matrix
                matrix = _superoperator([matrix]) if noisy else matrix
            product = matrix if product is None else matrix @ product
        assert product is not None
        return product


def _steps(
    circuit: Any, index: dict[int, int], features: NDArray[np.float64], noisy: bool
) -> list[_Step]:
    from braket.circuits import Gate, Noise
    from braket.circuits.translations import BRAKET_GATES
    from braket.default_simulator.gate_operations import BRAKET_GATES as OPERATIONS

    operations = {
        kind: OPERATIONS[name] for name, kind in BRAKET_GATES.items() if name in OPERATIONS
    }
    steps: list[_Step] = []
    last: dict[int, int] = {}  # each qubit's last step
    for instruction in circuit.instructions:
        operator = instruction.operator
        if not isinstance(operator, Gate | Noise):
            continue
        qubits = tuple(index[int(qubit)] for qubit in instruction.target)
        factor: _Matrix | _Turn
        if isinstance(operator, Noise):
            factor = _superoperator(operator.to_matrix())
        else:
            kind = operations[type(operator)]
            columns = [_values(angle, features) for angle in _angles(operator)]
            if any(isinstance(column, np.ndarray) for column in columns):
                factor = _Turn(kind, np.stack(np.broadcast_arrays(*columns), axis=1))
            else:
                matrix = kind(qubits, *columns).matrix
                factor = _superoperator([matrix]) if noisy else matrix
        places = {last.get(qubit) for qubit in qubits}
        place = places.pop() if len(places) == 1 else None
        if place is None or steps[place].qubits != qubits:
            place = len(steps)
            steps.append(_Step(qubits))
            last |= dict.fromkeys(qubits, place)
        steps[place].add(factor)
    return steps


def _operations(steps: Sequence[_Step], row: int, columns: int | None) -> list[Any]:
    """The steps of one input for the engine; columns: where the columns' qubits start, if any."""
    from braket.default_simulator.operation import GateOperation

    class Linear(GateOperation):
        """A linear map, unitary or not."""

        gate_type = None

        def __init__(self, targets: tuple[int, ...], matrix: _Matrix) -> None:
            super().__init__(targets)
            self._given = matrix

        @property
        def _base_matrix(self) -> _Matrix:
            return self._given

    made = []
    for step in steps:
        product = step.matrix(row, columns is not None)
        targets = step.qubits
        if columns is not None:
            targets += tuple(columns + qubit for qubit in step.qubits)
        made.append(Linear(targets, product))
    return made


def _superoperator(kraus: Sequence[_Matrix]) -> _Matrix:
    total: _Matrix = np.sum([np.kron(matrix, matrix.conj()) for matrix in kraus], axis=0)
    return total


def _angles(gate: Any) -> tuple[Any, ...]:
    """The angles of a Braket gate, in the order in which it takes them."""
    if hasattr(gate, "angle_2"):
        return (gate.angle_1, gate.angle_2)
    return (gate.angle,) if hasattr(gate, "angle") else ()


def _values(angle: Any, features: NDArray[np.float64]) -> float | NDArray[np.float64]:
    """An angle for each input: a number, or (batch,) where features are in it."""
    part = affine(read_angle(angle))
    if not part.features:
        return part.offset
    chosen = features[:, list(part.features)]
    values: NDArray[np.float64] = part.offset + chosen @ np.array(list(part.features.values()))
    return values
