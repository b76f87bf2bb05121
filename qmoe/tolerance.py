"""What noise leaves of trained routers: accuracy, routing retention and regret, seed by seed.

Four answers to the same inputs are compared, all with the same experts: those of the router under
noise, exact or sampled; of the same router without noise; of equal gate weights; and of whichever
expert is right.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

from qmoe.agreement import LEAST_ROOM
from qmoe.arrays import Floats
from qmoe.cell import Cell
from qmoe.epochs import Examples
from qmoe.errors import InputError
from qmoe.noise import NoiseModel
from qmoe.retrained import Retrained
from qmoe.routers.quantum import QuantumRouter
from qmoe.seeds import stream
from qmoe.temperature import with_temperature

TRAINING_SHOTS = 1  # the replicate of the stream "shots" that training inputs are sampled from


class Kept(NamedTuple):
    """Accuracies of each seed: under noise, without it, with equal gate weights, at best."""

    accuracy: Float64[Floats, " seed"]
    ideal: Float64[Floats, " seed"]
    even: Float64[Floats, " seed"]
    best: Float64[Floats, " seed"]

    @property
    def retention(self) -> tuple[float | None, ...]:
        """Routing retention; None where the ideal router has less than `LEAST_ROOM` over even."""
        room = self.ideal - self.even
        kept = self.accuracy - self.even
        return tuple(
            float(k / r) if r >= LEAST_ROOM else None for k, r in zip(kept, room, strict=True)
        )

    @property
    def regret(self) -> tuple[float, ...]:
        """What always asking the best expert would add."""
        return tuple((self.best - self.accuracy).tolist())


class Noisy:
    """Retrained models under one noise model, which acts on quantum experts too.

    noise: the text of a `NoiseModel`; "" for none. simplified: whether it acts on the simplified
    circuit in place of the ansatz as written.

    Raises:
        InputError: A router that is no circuit with outcome probabilities.
    """

    def __init__(self, models: Retrained, noise: str, *, simplified: bool = False) -> None:
        self.models = models
        self.model = models.changed(**under(models.cell, noise, simplified=simplified))
        self.router = _circuit(self.model.router)
        self.routing, self.experts, _ = models.weights.split(self.model.sizes, 1)
        self.test = models.part("test")
        with torch.no_grad():
            self.opinions, _ = self.model.experts.forward(self.experts, self.test.features)
        share = torch.full_like(self.opinions[:, :, 0], 1 / self.opinions.shape[1])
        self.even = self._accuracy(share)
        right = (self.opinions.argmax(2) == self.test.labels.unsqueeze(1)).any(1)
        self.best = _mean(right)
        self.outcomes = self._outcomes(self.router, self.test)
        plain = _circuit(models.changed(**under(models.cell, "")).router)
        self.ideal = self._accuracy(self._gates(self._outcomes(plain, self.test), models.weights))

    def kept(self, shots: int = 0, *, refit: bool = False) -> Kept:
        """The four accuracies on the test part; no shots are exact probabilities.

        refit: whether each seed's temperature is fitted to training inputs of as many shots.
        """
        outcomes, weights = self.outcomes, self.models.weights
        if shots:
            outcomes = self._sampled(outcomes, shots)
            if refit:
                train = self.models.part("train")
                seen = self._sampled(self._outcomes(self.router, train), shots, TRAINING_SHOTS)
                weights = with_temperature(self.model, weights, train.features, train.labels, seen)
        return Kept(
            self._accuracy(self._gates(outcomes, weights)), self.ideal, self.even, self.best
        )

    def _outcomes(
        self, router: QuantumRouter, part: Examples
    ) -> Float[Tensor, "seed outcome batch"]:
        assert part.seen is not None
        angles = self.routing[:, : router.circuit.num_weights].contiguous()
        with torch.no_grad():
            return router.program.forward(angles, router.program.prepare(part.seen))[0]

    def _sampled(
        self, outcomes: Float[Tensor, "seed outcome batch"], shots: int, replicate: int = 0
    ) -> Float[Tensor, "seed outcome batch"]:
        cell = self.models.cell
        rngs = [stream(cell.root, seed, "shots", replicate) for seed in self.models.seeds]
        return sampled(outcomes, shots, rngs)

    def _gates(
        self,
        outcomes: Float[Tensor, "seed outcome batch"],
        weights: Float[Tensor, "seed weight"],
    ) -> Float[Tensor, "seed expert batch"]:
        gate = weights.split(self.model.sizes, 1)[2]
        with torch.no_grad():
            return self.model.gate.forward(gate, self.router.from_outcomes(self.routing, outcomes))[
                0
            ]

    def _accuracy(self, gates: Float[Tensor, "seed expert batch"]) -> Float64[Floats, " seed"]:
        logits = (gates.unsqueeze(2) * self.opinions).sum(1)
        return _mean(logits.argmax(1) == self.test.labels)


def kept(
    models: Sequence[Retrained],
    noise: str,
    shots: Sequence[int] = (),
    *,
    refit: bool = False,
    simplified: bool = False,
) -> Mapping[int, Kept]:
    """`Noisy.kept` of all seeds in their order, by number of shots; 0 is exact.

    models: all groups of one cell.
    """
    groups = [Noisy(group, noise, simplified=simplified) for group in models]
    order = np.argsort([i for group in models for i in group.positions])
    out = {}
    for count in (0, *shots):
        parts = [group.kept(count, refit=refit) for group in groups]
        out[count] = Kept(*(np.concatenate(figure)[order] for figure in zip(*parts, strict=True)))
    return out


def under(cell: Cell, noise: str, *, simplified: bool = False) -> dict[str, Any]:
    """The fields of a quantum cell that put it under noise, or under none."""
    options = {k: v for k, v in cell.options.items() if k not in ("noise", "simplified")}
    if noise:
        options["noise"] = noise
        if simplified:
            options["simplified"] = True
    changes: dict[str, Any] = {"options": options}
    if cell.expert_kind != "linear":
        changes["expert_noise"] = noise
    return changes


def depolarizing(placement: str, strength: float, convention: str = "pauli") -> str:
    """The text of the noise model that `under` takes; "" at strength 0.

    >>> depolarizing("gate", 0.02)
    'placement=gate,depolarizing=0.02'
    """
    model = NoiseModel(placement, convention, strength)
    return str(model) if strength else ""


def sampled(
    outcomes: Float[Tensor, "seed outcome batch"], shots: int, rngs: Sequence[np.random.Generator]
) -> Float[Tensor, "seed outcome batch"]:
    """Relative frequencies of as many shots of every input, each seed from its own generator."""
    out = np.empty(outcomes.shape)
    for frequencies, exact, rng in zip(out, outcomes.double().numpy(), rngs, strict=True):
        rows = np.clip(exact.T, 0.0, None)  # rounding may leave -1e-17
        frequencies[:] = rng.multinomial(shots, rows / rows.sum(1, keepdims=True)).T / shots
    return torch.from_numpy(out).to(outcomes)


def _circuit(router: object) -> QuantumRouter:
    if not isinstance(router, QuantumRouter) or router.readout != "probabilities":
        raise InputError(
            got=f"router {getattr(router, 'label', router)!r}",
            expected="a circuit with readout 'probabilities'",
            do="study the noise of a quantum router",
        )
    return router


def _mean(right: Tensor) -> Float64[Floats, " seed"]:
    return np.asarray(right.double().mean(1).numpy())
