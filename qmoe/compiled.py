"""Epochs through the compiled kernel, for the models that it covers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from qmoe.arrays import Floats, Ints
from qmoe.epochs import Examples, Orders
from qmoe.experts import LinearExperts
from qmoe.gating import Gate
from qmoe.moe import MixtureOfExperts
from qmoe.routers.quantum import QuantumRouter
from qmoe.simulate.layers import IDENTITY, Layered
from qmoe.simulate.program import Program

# below, compiling costs more than it saves; the choice does not depend on which seeds run
# together, so that a seed takes the same path alone
FEWEST_STEPS = 1000
MOST_QUBITS = 4


class _Model(NamedTuple):
    """A model of the covered kind, taken apart."""

    router: QuantumRouter
    program: Program
    layered: Layered


def taken_apart(model: MixtureOfExperts) -> _Model | None:
    """The parts that the kernel needs, or None for a model that it does not cover.

    Covered: real circuits of at most four qubits with one upload, probabilities without adapter,
    linear experts, any gate without top-k, no load balancing.
    """
    router = model.router
    # the kernel repeats what these very classes do; a subclass may do something else
    kinds = (type(model), type(router), type(model.experts), type(model.gate))
    if kinds != (MixtureOfExperts, QuantumRouter, LinearExperts, Gate):
        return None
    assert isinstance(router, QuantumRouter)
    if model.fused is not router or router.adapter:
        return None
    program = router.program
    if not isinstance(program, Program) or program.method != "fused":
        return None
    plan = program.layered
    one_upload = program.engine(torch.float64, torch.device("cpu")).cacheable
    wires = [slots for layer in plan.layers[1:] for slots in layer.slots]
    simple = all(
        len(slots) <= 1 and (slot.angle is None or len(slot.angle.weights) == 1)
        for slots in wires
        for slot in slots
    )
    head = model.gate.top_k is None and not model.load_balance
    if plan.real and plan.num_qubits <= MOST_QUBITS and one_upload and simple and head:
        return _Model(router, program, plan)
    return None


def covers(model: MixtureOfExperts, weights: Float[Tensor, "seed weight"]) -> bool:
    """Whether the kernel can train this model with these weights (double precision, CPU)."""
    plain = weights.device.type == "cpu" and weights.dtype == torch.float64
    return plain and taken_apart(model) is not None


class CompiledEpochs:
    """The kernel over all seeds, one after the other; same steps as `PlainEpochs`."""

    def __init__(
        self,
        model: MixtureOfExperts,
        weights: Float[Tensor, "seed weight"],
        data: Examples,
        orders: Orders,
        learning_rates: Float[Tensor, " seed"],
    ) -> None:
        from qmoe import kernel

        parts = taken_apart(model)
        if parts is None:
            raise ValueError("got a model that the kernel does not cover; ask `covers` first")
        self.run = kernel.run_epoch
        self.weights, self.orders = weights, orders
        self.rates = np.ascontiguousarray(learning_rates.double().numpy())
        self.mean, self.square = np.zeros(weights.shape), np.zeros(weights.shape)
        self.steps = 0
        self.data = kernel.Data(
            np.ascontiguousarray(model.prepare(data.features, data.seen).rows.numpy()),
            np.ascontiguousarray(data.features.numpy()),
            np.ascontiguousarray(data.labels.numpy()),
        )
        self.block = kernel.Block(*_block(parts.layered))
        codes = {
            "probability": kernel.PROBABILITY,
            "softmax": kernel.SOFTMAX,
            "temperature": kernel.TEMPERATURE,
        }
        experts = model.router.num_experts
        self.head = kernel.Head(
            _expert_of(parts), experts, model.experts.num_classes, codes[model.gate.kind]
        )

    def epoch(self, moving: Bool[Tensor, " weight"] | None = None) -> Float[Tensor, " seed"]:
        """One pass over the data; the mean cross-entropy of its batches. All weights move."""
        if moving is not None:
            raise ValueError("got weights to hold still; expected none: use PlainEpochs")
        if self.orders.full_batch:
            order = np.tile(np.arange(self.orders.rows), (len(self.weights), 1))
        else:
            order = self.orders.next()
        losses = np.empty(len(self.weights))
        self.run(
            self.weights.numpy(),
            self.mean,
            self.square,
            self.steps,
            self.rates,
            self.orders.size,
            order,
            self.data,
            self.block,
            self.head,
            losses,
        )
        self.steps += self.orders.steps
        return torch.from_numpy(losses)


def _block(plan: Layered) -> tuple[Ints, Floats, Floats, Ints, Floats, tuple[int, ...]]:
    """The arrays of `qmoe.kernel.Block` for the layers after the embedding."""
    # what the embedding's own entangler moves is part of the prepared states
    layers, n = plan.layers[1:], plan.num_qubits
    weight = np.full((len(layers), n), -1)
    half = np.zeros((len(layers), n, 2))
    fixed = np.tile(IDENTITY.real, (len(layers), n, 1, 1))
    source = np.tile(np.arange(2**n), (len(layers), 1))
    sign = np.ones((len(layers), 2**n))
    for i, layer in enumerate(layers):
        for q, slot in ((q, slot) for q, slots in enumerate(layer.slots) for slot in slots):
            if slot.angle is None:
                fixed[i, q] = slot.even.real
                continue
            half[i, q, 1] = slot.angle.offset / 2
            ((weight[i, q], scale),) = slot.angle.weights.items()
            half[i, q, 0] = scale / 2
        if layer.entangler.source is not None:
            source[i] = layer.entangler.source
        if layer.entangler.sign is not None:
            sign[i] = layer.entangler.sign
    return weight, half, fixed, source, sign, (0,) * 2**n


def _expert_of(parts: _Model) -> Ints:
    """The expert that each basis state feeds, through the measured qubits and the outcome map."""
    n, measured = parts.layered.num_qubits, parts.layered.measured
    state = np.arange(2**n)
    outcome = np.zeros_like(state)
    for q in measured:
        outcome = 2 * outcome + ((state >> (n - 1 - q)) & 1)
    matrix = parts.router.outcome_matrix
    return outcome if matrix is None else matrix.numpy().argmax(0)[outcome]
