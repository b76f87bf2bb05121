"""The quantum router: a parameterised circuit whose outcome probabilities choose the expert."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Float64, Num
from torch import Tensor

from qmoe.angles import whole
from qmoe.ansatz import build, check_features
from qmoe.arrays import Floats
from qmoe.circuit import Circuit, affine
from qmoe.errors import InputError, unknown
from qmoe.noise import NoiseModel
from qmoe.routers import dense
from qmoe.routers.base import Cost, Counts, Emits, outcome_bits, uniform
from qmoe.routers.outcomes import OUTCOME_MAPS, outcome_matrix, uneven
from qmoe.simplify import cone_features
from qmoe.simulate.cost import multiply_adds
from qmoe.simulate.expectation import Expectations, z_signs
from qmoe.simulate.noisy import NoisyProgram
from qmoe.simulate.program import Program
from qmoe.texts import options

READOUTS = ("probabilities", "z")


class _Saved(NamedTuple):
    circuit: Any
    outcomes: Tensor


class QuantumRouter:
    """A circuit with angle embedding, trainable layers and a computational-basis measurement.

    readout "probabilities": outcome probabilities over the measured qubits (default: the first
    max(1, ceil(log2 E))), summed per expert by `outcome_map` (default "modulo"), or a learned
    linear `adapter` to logits. readout "z": Pauli-Z expectations (default: of every qubit) and an
    adapter, which is the published code with ansatz "notebook".

    noise: options of a `qmoe.noise.NoiseModel` as text ("placement=wire,depolarizing=0.02"), which
    the outcomes then have, in training too; `simplified` takes gates away before noise is placed,
    and without noise changes no outcome. `circuit` stays the ansatz. Label and `cost` are those
    without noise: noise is what a device adds, no work that a prediction needs.

    Raises:
        InputError: More features than qubits (use PCA), unknown names, more experts than outcomes,
            or a noise model that cannot be.
    """

    family = "quantum"

    def __init__(
        self,
        num_features: int,
        num_experts: int,
        *,
        layers: int = 2,
        ansatz: str = "paper",
        entangler: str | None = None,
        readout: str = "probabilities",
        outcome_map: str | None = None,
        num_qubits: int | None = None,
        measured: Sequence[int] | None = None,
        noise: str | None = None,
        simplified: bool = False,
    ) -> None:
        if readout not in READOUTS:
            raise unknown("readout", readout, READOUTS)
        if outcome_map is None:
            outcome_map = "adapter" if readout == "z" else "modulo"
        if outcome_map not in OUTCOME_MAPS:
            raise unknown("outcome map", outcome_map, OUTCOME_MAPS)
        if readout == "z" and outcome_map != "adapter":
            raise InputError(
                got=f"outcome map {outcome_map!r} with readout 'z'",
                expected="'adapter': expectations are no probabilities to sum",
                do="leave the outcome map out",
            )
        self.num_features, self.num_experts = num_features, num_experts
        self.layers = layers
        self.circuit = router_circuit(
            num_features,
            num_experts,
            layers=layers,
            ansatz=ansatz,
            entangler=entangler,
            num_qubits=num_qubits,
            measured=measured,
            measure_all=readout == "z",
        )
        width = len(self.circuit.measured)
        self.readout = readout
        kind = "" if ansatz == "paper" else f" {ansatz}"
        self.label = f"quantum{kind} L={layers}" + (" z" if readout == "z" else "")
        if entangler == "none":
            self.label += " no entanglement"
        ideal = Expectations(self.circuit) if readout == "z" else Program(self.circuit)
        self.program: Program | Expectations | NoisyProgram = ideal
        if noise is not None:
            self.program = self._read(noisy_program(self.circuit, noise, simplified=simplified))
        self.adapter = outcome_map == "adapter"
        self.emits: Emits = "logits" if self.adapter else "probabilities"
        self.outcome_matrix: Tensor | None = None
        self.warnings = unseen_features(self.circuit)
        if not self.adapter:
            matrix = outcome_matrix(outcome_map, num_experts, width)
            self.warnings += uneven(num_experts, width)
            if not np.array_equal(matrix, np.eye(2**width)):
                self.outcome_matrix = torch.from_numpy(matrix)
        extra = dense.size(self.program.num_outcomes, num_experts) if self.adapter else 0
        self.size = self.circuit.num_weights + extra
        # the paper counts n L rotations for its formulas, and everything for its code
        published = self.size if ansatz == "notebook" else self.circuit.num_weights
        self.counts = Counts(published, self.size)
        parts = [ideal] if isinstance(ideal, Program) else ideal.programs
        cost = sum(multiply_adds(part.circuit) for part in parts)
        if self.adapter:
            cost += dense.multiply_adds(self.program.num_outcomes, num_experts)
        self.cost = Cost(cost, 1)  # whatever is measured commutes: one circuit gives all of it

    def through(self, program: NoisyProgram) -> QuantumRouter:
        """A copy whose outcomes are those of another program with equal weights and features.

        program: probabilities over as many measured qubits as the circuit has, for readout "z"
        too; a device's `Compiled.noisy` for instance, so that training meets its noise.

        Raises:
            InputError: Another number of features, weights or outcomes.
        """
        circuit = self.circuit
        wanted = (circuit.num_features, circuit.num_weights, 2 ** len(circuit.measured))
        found = (program.num_features, program.num_weights, program.num_outcomes)
        if found != wanted:
            raise InputError(
                got="a program of {} features, {} weights and {} outcomes".format(*found),
                expected="{}, {} and {} as the router".format(*wanted),
                do="compile this router's circuit with its weights free",
            )
        other = copy(self)
        other.program = other._read(program)
        return other

    def init(self, rng: np.random.Generator, scale: float = 1.0) -> Float64[Floats, " weight"]:
        """Angles uniform over the circle; torch's default for an adapter."""
        angles = scale * rng.uniform(-np.pi, np.pi, self.circuit.num_weights)
        if not self.adapter:
            return angles
        rest = self.size - self.circuit.num_weights
        adapter = scale * uniform(rng, self.program.num_outcomes, rest)
        return np.concatenate([angles, adapter])

    def __call__(
        self, weights: Float[Tensor, "seed weight"], features: Float[Tensor, "s feature batch"]
    ) -> Float[Tensor, "seed expert batch"]:
        """Expert probabilities, or logits behind an adapter."""
        outcomes = self.program(weights[:, : self.circuit.num_weights].contiguous(), features)
        return self._to_experts(weights, outcomes)

    def prepare(self, features: Float[Tensor, "s feature batch"]) -> Num[Tensor, "s row batch"]:
        """The embedded states."""
        return self.program.prepare(features)

    def forward(
        self, weights: Float[Tensor, "seed weight"], prepared: Num[Tensor, "s row batch"]
    ) -> tuple[Float[Tensor, "seed expert batch"], _Saved]:
        """The output, and what `backward` needs."""
        outcomes, saved = self.program.forward(weights[:, : self.circuit.num_weights], prepared)
        return self._to_experts(weights, outcomes), _Saved(saved, outcomes)

    def backward(
        self,
        weights: Float[Tensor, "seed weight"],
        saved: _Saved,
        grad: Float[Tensor, "seed expert batch"],
    ) -> Float[Tensor, "seed weight"]:
        """The gradient to angles and adapter."""
        angles = weights[:, : self.circuit.num_weights]
        if not self.adapter:
            if self.outcome_matrix is not None:
                grad = torch.matmul(self.outcome_matrix.to(grad).T, grad)
            return self.program.backward(angles, saved.circuit, grad)
        adapter = weights[:, self.circuit.num_weights :]
        to_outcomes = dense.backward_rows(adapter, grad, self.program.num_outcomes)
        to_angles = self.program.backward(angles, saved.circuit, to_outcomes)
        return torch.cat([to_angles, dense.backward(saved.outcomes, grad)], 1)

    def from_outcomes(
        self, weights: Float[Tensor, "seed weight"], outcomes: Float[Tensor, "seed outcome batch"]
    ) -> Float[Tensor, "seed expert batch"]:
        """What `__call__` gives where another target measured the circuit.

        outcomes: probabilities or relative frequencies over all measured qubits, for readout "z"
        too.
        """
        if self.readout == "z":
            signs = z_signs(len(self.circuit.measured)).to(outcomes)
            outcomes = torch.matmul(signs, outcomes)
        return self._to_experts(weights, outcomes)

    def _read(self, program: NoisyProgram) -> NoisyProgram:
        """What the readout makes of a program of probabilities."""
        if self.readout != "z":
            return program
        return program.read(z_signs(len(self.circuit.measured)).numpy())

    def _to_experts(
        self, weights: Float[Tensor, "seed weight"], outcomes: Float[Tensor, "seed outcome batch"]
    ) -> Float[Tensor, "seed expert batch"]:
        if self.adapter:
            adapter = weights[:, self.circuit.num_weights :]
            return dense.forward(adapter, outcomes, self.num_experts)
        if self.outcome_matrix is None:
            return outcomes
        return torch.matmul(self.outcome_matrix.to(outcomes), outcomes)


def router_circuit(
    num_features: int,
    num_experts: int,
    *,
    layers: int,
    ansatz: str,
    entangler: str | None = None,
    num_qubits: int | None = None,
    measured: Sequence[int] | None = None,
    measure_all: bool = False,
) -> Circuit:
    """The ansatz on enough qubits for features and experts; qubits without a feature embed 0."""
    bits = outcome_bits(whole(num_experts, "number of experts", 1))
    n = max(num_features, bits) if num_qubits is None else whole(num_qubits, "number of qubits", 1)
    check_features(num_features, n)
    if measured is None and not measure_all:
        if bits > n:
            raise InputError(
                got=f"{num_experts} experts on {n} qubits",
                expected=f"at least {bits} qubits to measure",
                do="use more qubits, fewer experts or readout 'z'",
            )
        measured = range(bits)
    circuit = build(ansatz, n, layers, entangler=entangler, measured=measured)
    ops = tuple(
        op
        for op in circuit.ops
        if all(i < num_features for angle in op.angles for i in affine(angle).features)
    )
    return replace(circuit, ops=ops, num_features=num_features)


def noisy_program(circuit: Circuit, noise: str, *, simplified: bool = False) -> NoisyProgram:
    """A circuit under the noise model of a text, "placement=gate,depolarizing=0.02".

    Raises:
        InputError: A text that names no noise model, or one that the circuit cannot have.
    """
    model = NoiseModel.parse(options(noise, "noise"))
    program = NoisyProgram(
        model.place(circuit.simplify() if simplified else circuit),
        circuit.measured,
        num_features=circuit.num_features,
        num_weights=circuit.num_weights,
    )
    confusion = model.confusion(circuit.measured)  # not before what is too wide has been refused
    return program if confusion is None else program.read(confusion)


def unseen_features(circuit: Circuit) -> tuple[str, ...]:
    """The warning where measured qubits see only some of the features."""
    seen = len(cone_features(circuit))
    if seen == circuit.num_features:
        return ()
    return (f"only {seen} of {circuit.num_features} features lie in the measured light cone",)
