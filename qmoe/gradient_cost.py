"""What one gradient costs, counted while it is taken: by circuit executions, or on the state.

The cost is linear in the outcome probabilities, f = sum over inputs and outcomes of v p, as any
loss is once its slope v is known (which takes one more execution per input). On a device only
executions exist. The adjoint method (arXiv 2009.02823) executes no circuit: it runs the state
itself backwards, which a simulator has and a device has not.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from jaxtyping import Float64

from qmoe.angles import affine, whole
from qmoe.ansatz import build
from qmoe.arrays import Floats
from qmoe.circuit import Circuit, Op
from qmoe.gates import GATES, Matrix
from qmoe.seeds import stream
from qmoe.simulate.program import Program, probabilities
from qmoe.simulate.reference import op_matrix

STEP = 1e-6  # finite differences: where truncation and rounding of double precision meet
SPSA_STEP = 0.1

Weights = Float64[Floats, " weight"]
Inputs = Float64[Floats, "batch feature"]
Slope = Float64[Floats, "batch outcome"]


@dataclass(frozen=True, slots=True)
class GradientCost:
    """What one gradient of one method took.

    Attributes:
        method: "parameter shift", "finite differences", "SPSA" or "adjoint".
        parameters: Weights of the circuit.
        inputs: Inputs that the cost sums over.
        executions: Circuits executed; None where a device cannot do it.
        passes: Times that the gates of the circuit were gone through, forwards or backwards.
        gates: Gates applied to a state vector in these passes.
        runs_on_device: Whether the method needs nothing but executions.
        error: Largest deviation from the engine's own gradient: rounding for the exact methods,
            truncation for finite differences, and for SPSA a random direction's noise.
    """

    method: str
    parameters: int
    inputs: int
    executions: int | None
    passes: int
    gates: int
    runs_on_device: bool
    error: float


@dataclass(frozen=True, slots=True)
class GradientTime:
    """Median seconds of the adjoint engine on one machine: to be reported, not relied on."""

    parameters: int
    forward: float
    gradient: float

    @property
    def ratio(self) -> float:
        """The time of value and gradient over that of the value alone."""
        return self.gradient / self.forward


class Executions:
    """Outcome probabilities of a circuit, with a count of the circuits that were executed."""

    def __init__(self, circuit: Circuit) -> None:
        self.circuit, self.count = circuit, 0

    def __call__(
        self, weights: Float64[Floats, "setting weight"], features: Inputs
    ) -> Float64[Floats, "setting batch outcome"]:
        """The distribution of every input at every setting: one execution each."""
        self.count += len(weights) * len(features)
        found = probabilities(self.circuit, torch.from_numpy(weights), torch.from_numpy(features))
        return found.numpy()


class StateVector:
    """A simulator's own view: gates act on state vectors, and are counted."""

    def __init__(self, ops: Iterable[Op]) -> None:
        self.ops = [op for op in ops if not op.is_mark]
        self.passes = self.gates = 0

    def forwards(self) -> Iterator[Op]:
        """The gates in order: one pass."""
        self.passes += 1
        return iter(self.ops)

    def backwards(self) -> Iterator[Op]:
        """The gates from the last: one pass."""
        self.passes += 1
        return reversed(self.ops)

    def apply(self, matrix: Matrix, qubits: tuple[int, ...], state: Matrix) -> Matrix:
        """The state, one axis of length 2 per qubit, after a gate."""
        self.gates += 1
        k = len(qubits)
        gate = matrix.reshape((2,) * (2 * k))
        moved = np.tensordot(gate, state, axes=(range(k, 2 * k), qubits))
        return np.asarray(np.moveaxis(moved, range(k), qubits), dtype=np.complex128)


def parameter_shift(run: Executions, weights: Weights, features: Inputs, slope: Slope) -> Weights:
    """The exact gradient from two executions per weight and input (arXiv 1811.11184).

    Every weight has to turn one gate rx, ry or rz by itself, as in all of `qmoe.ansatz`.
    """
    values = np.einsum("sbo,bo->s", run(shifted(weights), features), slope)
    up, down = values.reshape(2, -1)
    return np.asarray((up - down) / 2)


def shifted(weights: Weights, by: float = np.pi / 2) -> Float64[Floats, "setting weight"]:
    """Each weight moved up by itself, then each moved down: two settings per weight."""
    steps = by * np.eye(len(weights))
    return np.concatenate([weights + steps, weights - steps])


def finite_differences(
    run: Executions, weights: Weights, features: Inputs, slope: Slope
) -> Weights:
    """The gradient by forward differences: one execution per weight, and one more."""
    settings = np.concatenate([weights[None], weights + STEP * np.eye(len(weights))])
    values = np.einsum("sbo,bo->s", run(settings, features), slope)
    return np.asarray((values[1:] - values[0]) / STEP)


def spsa(
    run: Executions,
    weights: Weights,
    features: Inputs,
    slope: Slope,
    rng: np.random.Generator,
) -> Weights:
    """An estimate of the gradient from a single random direction (Spall 1992): two executions.

    It is right on average only (up to the step's square), with a variance that grows with the
    number of weights.
    """
    signs = rng.choice((-1.0, 1.0), len(weights))
    settings = np.stack([weights + SPSA_STEP * signs, weights - SPSA_STEP * signs])
    up, down = np.einsum("sbo,bo->s", run(settings, features), slope)
    return np.asarray((up - down) / (2 * SPSA_STEP) / signs)


def adjoint(
    run: StateVector, circuit: Circuit, weights: Weights, features: Inputs, slope: Slope
) -> Weights:
    """The exact gradient from one pass forwards and one backwards per input, in plain numpy."""
    total = np.zeros(circuit.num_weights)
    for x, v in zip(features, slope, strict=True):
        state: Matrix = np.zeros((2,) * circuit.num_qubits, dtype=np.complex128)
        state[(0,) * circuit.num_qubits] = 1
        for op in run.forwards():
            state = run.apply(op_matrix(op, weights, x), op.qubits, state)
        dual = _observable(circuit, v) * state
        for op in run.backwards():
            undo = op_matrix(op, weights, x).conj().T
            for index, scale in (item for a in op.angles for item in affine(a).weights.items()):
                # a rotation's derivative is half of its half turn: U(a)' = U(pi) U(a) / 2
                turned = run.apply(GATES[op.gate].unitary(np.pi), op.qubits, state)
                total[index] += scale * np.vdot(dual, turned).real
            state = run.apply(undo, op.qubits, state)
            dual = run.apply(undo, op.qubits, dual)
    return total


def gradient_costs(
    num_qubits: int, layers: int, *, ansatz: str = "paper", inputs: int = 1, root: int = 0
) -> tuple[GradientCost, ...]:
    """One gradient at random weights, inputs and slopes by every method, with what it took.

    Raises:
        InputError: A size below 1, or an unknown ansatz.
    """
    whole(inputs, "number of inputs", 1)
    circuit = build(ansatz, num_qubits, layers)
    rng = stream(root, 0, "init")
    weights = rng.uniform(-np.pi, np.pi, circuit.num_weights)
    features = rng.uniform(0, np.pi, (inputs, num_qubits))
    slope = rng.normal(size=(inputs, 2**num_qubits))
    exact = _engine_gradient(circuit, weights, features, slope)
    state = StateVector(circuit.ops)
    found = adjoint(state, circuit, weights, features, slope)
    methods: dict[str, Callable[[Executions, Weights, Inputs, Slope], Weights]] = {
        "parameter shift": parameter_shift,
        "finite differences": finite_differences,
        "SPSA": partial(spsa, rng=rng),
    }
    sizes = (circuit.num_weights, inputs)
    rows = []
    for name, method in methods.items():
        run = Executions(circuit)
        error = float(np.abs(method(run, weights, features, slope) - exact).max())
        # to a simulator an execution is one pass forwards
        gates = run.count * len(state.ops)
        rows.append(GradientCost(name, *sizes, run.count, run.count, gates, True, error))
    error = float(np.abs(found - exact).max())
    rows.append(GradientCost("adjoint", *sizes, None, state.passes, state.gates, False, error))
    return tuple(rows)


def gradient_times(
    num_qubits: int,
    layers: Sequence[int],
    *,
    ansatz: str = "paper",
    inputs: int = 256,
    repeats: int = 5,
    root: int = 0,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[GradientTime, ...]:
    """Time of a gradient against a forward pass by depth, in the engine that trains large circuits.

    clock: seconds.
    """
    whole(inputs, "number of inputs", 1)
    whole(repeats, "number of repeats", 1)
    rows = []
    for depth in layers:
        circuit = build(ansatz, num_qubits, depth)
        program = Program(circuit, method="adjoint")
        rng = stream(root, depth, "init")
        weights = torch.from_numpy(rng.uniform(-np.pi, np.pi, (1, circuit.num_weights)))
        prepared = program.prepare(torch.from_numpy(rng.uniform(0, np.pi, (1, num_qubits, inputs))))
        slope = torch.from_numpy(rng.normal(size=(1, 2**num_qubits, inputs)))
        forward, gradient = [], []
        for _ in range(repeats + 1):
            start = clock()
            _, saved = program.forward(weights, prepared)
            between = clock()
            program.backward(weights, saved, slope)
            forward.append(between - start)
            gradient.append(clock() - start)
        # the first round makes constants that the others find
        medians = (statistics.median(part[1:]) for part in (forward, gradient))
        rows.append(GradientTime(circuit.num_weights, *medians))
    return tuple(rows)


def _engine_gradient(circuit: Circuit, weights: Weights, features: Inputs, slope: Slope) -> Weights:
    program = Program(circuit, method="adjoint")
    theta, x = torch.from_numpy(weights[None]), torch.from_numpy(features.T[None].copy())
    _, saved = program.forward(theta, program.prepare(x))
    to_weights = program.backward(theta, saved, torch.from_numpy(slope.T[None].copy()))
    return to_weights[0].numpy()


def _observable(circuit: Circuit, slope: Float64[Floats, " outcome"]) -> Floats:
    """The slope of each basis state: that of the outcome it reads as; axes as a state's."""
    values = slope.reshape((2,) * len(circuit.measured))
    ascending = values.transpose(np.argsort(circuit.measured))
    others = tuple(set(range(circuit.num_qubits)) - set(circuit.measured))
    return np.asarray(np.expand_dims(ascending, others))
