"""What mitiq builds and how it combines: zne, pec, lre and ddd. The only file that imports mitiq.

mitiq is GPL-3.0 and optional (https://mitiq.readthedocs.io). Each technique is its own pair of
`construct_circuits` and `combine_results`; scalars only may be passed to the latter: of vectors,
those of pec and ddd silently make one number (seen in mitiq 1.1.0).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np

from backends.compiled import Compiled, gate_fidelities
from backends.mitigation import zne
from backends.mitigation.mitiq_circuits import Given
from backends.mitigation.options import Options, check_choice, named
from backends.mitigation.pec import LIMIT, SAMPLES, check_gamma, check_stated, quasi_probabilities
from backends.registry import require
from qmoe import channels
from qmoe.angles import whole
from qmoe.circuit import GATES, Op
from qmoe.errors import InputError, unknown

CHUNKS = 3
DEGREE = 2
RULES = ("xx", "xyxy", "yy")
NOISES = ("global", "local")

Combine = Callable[[list[float]], float]
Built = tuple[Sequence[Any], Sequence[float], Combine]
"""Circuits of mitiq, the noise scale of each, and how a result for each becomes one."""


class Technique(Protocol):
    """One of mitiq's pairs of construct_circuits and combine_results."""

    @property
    def name(self) -> str:
        """What follows `mitiq.`."""

    def on(self, compiled: Compiled) -> Technique:
        """The same, ready for one circuit."""

    def built(self, given: Given, rng: np.random.RandomState) -> Built:
        """Its circuits of a circuit, and how their results are combined."""


@dataclass(frozen=True, slots=True)
class Folded:
    """mitiq.zne: fold_global or fold_all, then a polynomial fit; options as our `zne`."""

    plan: zne.ZeroNoise

    @property
    def name(self) -> str:
        """Its name and options."""
        return self.plan.name

    def on(self, compiled: Compiled) -> Folded:
        """Itself."""
        return self

    def built(self, given: Given, rng: np.random.RandomState) -> Built:
        """One circuit for each scale."""
        two = require("mitigation", "mitiq.zne")
        fits = require("mitigation", "mitiq.zne.inference")
        scales = [float(scale) for scale in self.plan.scales or ()]

        def extrapolate(at: Sequence[float], results: Sequence[float]) -> float:
            match self.plan.fit:
                case "linear":
                    found = fits.LinearFactory.extrapolate(at, results)
                case "richardson":
                    found = fits.RichardsonFactory.extrapolate(at, results)
                case _:
                    found = fits.PolyFactory.extrapolate(at, results, self.plan.order)
            return float(found)

        made = two.construct_circuits(given.body, scales, _folding(self.plan.folding))
        return made, scales, lambda results: two.combine_results(scales, results, extrapolate)


@dataclass(frozen=True, slots=True)
class Layered:
    """mitiq.lre: chunks of layers folded each by itself, and a multivariate Richardson fit."""

    degree: int = DEGREE
    multiplier: int = 1
    chunks: int = CHUNKS
    folding: str = zne.FOLDINGS[0]

    def __post_init__(self) -> None:
        for key in ("degree", "multiplier", "chunks"):
            whole(getattr(self, key), f"{key} of mitiq.lre", 1)
        check_choice("folding of mitiq.lre", self.folding, zne.FOLDINGS)

    @property
    def name(self) -> str:
        """Its name and options."""
        numbers = f"lre,degree={self.degree},multiplier={self.multiplier},chunks={self.chunks}"
        return named(numbers, [("folding", self.folding, zne.FOLDINGS[0])])

    def on(self, compiled: Compiled) -> Layered:
        """Itself."""
        return self

    def built(self, given: Given, rng: np.random.RandomState) -> Built:
        """One circuit for each vector of scales; the noise scale is the factor in gates."""
        two, body = require("mitigation", "mitiq.lre"), given.body
        if len(body) < self.chunks:
            raise InputError(
                got=f"mitiq.lre,chunks={self.chunks} of a circuit of {len(body)} layers",
                expected="at most one chunk for each layer",
                do="write fewer chunks",
            )
        fold = _folding(self.folding)
        made = two.construct_circuits(body, self.degree, self.multiplier, fold, self.chunks)
        base = sum(1 for _ in body.all_operations())
        scales = [sum(1 for _ in each.all_operations()) / base for each in made]

        def combine(results: list[float]) -> float:
            return float(
                two.combine_results(results, body, self.degree, self.multiplier, self.chunks)
            )

        return made, scales, combine


@dataclass(frozen=True, slots=True)
class Decoupled:
    """mitiq.ddd: pulses in idle windows.

    Native circuits have no delays, so the identities between the pulses are left out and the
    target's scheduler says when they happen.
    """

    rule: str = RULES[0]
    trials: int = 1

    def __post_init__(self) -> None:
        check_choice("rule of mitiq.ddd", self.rule, RULES)
        whole(self.trials, "trials of mitiq.ddd", 1)

    @property
    def name(self) -> str:
        """Its name and options."""
        return named(f"ddd,rule={self.rule}", [("trials", self.trials, 1)])

    def on(self, compiled: Compiled) -> Decoupled:
        """Itself."""
        return self

    def built(self, given: Given, rng: np.random.RandomState) -> Built:
        """The same circuit for each trial: mitiq's rules draw nothing."""
        two = require("mitigation", "mitiq.ddd")
        rule = getattr(two.rules, self.rule)
        made = two.construct_circuits(given.body, rule, num_trials=self.trials)
        return made, [1.0] * len(made), two.combine_results


@dataclass(frozen=True, slots=True)
class Cancelled:
    """mitiq.pec: Paulis drawn and run as gates, for depolarizing noise of each gate's fidelity.

    Unlike our `pec` it inserts gates, which have noise of their own, and takes every channel after
    a gate for depolarizing: "global" on all its qubits, "local" on each.

    Attributes:
        levels: The chance of a Pauli by gate and qubits; `on` reads them from the noise.
    """

    samples: int = SAMPLES
    noise: str = NOISES[0]
    levels: Mapping[tuple[str, tuple[int, ...]], float] | None = None

    def __post_init__(self) -> None:
        whole(self.samples, "samples of mitiq.pec", 1)
        check_choice("noise of mitiq.pec", self.noise, NOISES)

    @property
    def name(self) -> str:
        """Its name and options."""
        return named(f"pec,samples={self.samples}", [("noise", self.noise, NOISES[0])])

    def on(self, compiled: Compiled) -> Cancelled:
        """The same with the levels that follow from the fidelities.

        Raises:
            InputError: The noise is not stated, or more than can be cancelled.
        """
        check_stated(compiled, "mitiq.pec")
        levels, gamma = {}, 1.0
        for each in gate_fidelities(compiled):
            if each.gate in GATES:  # and not "idle"
                wires = len(each.qubits) if self.noise == "local" else 1
                level = max(0.0, 1 - each.fidelity ** (1 / wires))
                assumed = channels.depolarizing(range(len(each.qubits) // wires), level)
                gamma *= np.abs(quasi_probabilities(assumed)).sum() ** (wires * each.count)
                levels[each.gate, each.qubits] = level
        check_gamma(gamma, LIMIT, f"mitiq.pec on {compiled.spec}")
        return replace(self, levels=levels)

    def representation(self, op: Op, given: Given) -> Any:
        """The OperationRepresentation of one op."""
        known = require("mitigation", "mitiq.pec.representations")
        types = require("mitigation", "mitiq.pec")
        level = (self.levels or {}).get((op.gate, op.qubits), 0.0)
        represent = getattr(known, f"represent_operation_with_{self.noise}_depolarizing_noise")
        made = represent(given.alone(op), level)
        # mitiq lists the Paulis in the order of a set of qubits, which differs by process
        pairs = sorted(made.basis_expansion, key=lambda pair: repr(pair[1].circuit))
        weights = [float(weight) for weight, _ in pairs]
        return types.OperationRepresentation(made.ideal, [noisy for _, noisy in pairs], weights)

    def built(self, given: Given, rng: np.random.RandomState) -> Built:
        """One circuit for each sample."""
        two = require("mitigation", "mitiq.pec")
        ops = dict.fromkeys(op for op in given.circuit.ops if not op.is_mark)
        made, chosen, norm = two.construct_circuits(
            given.body,
            [self.representation(op, given) for op in ops],
            num_samples=self.samples,
            random_state=rng,
            full_output=True,
        )

        def combine(results: list[float]) -> float:
            return float(two.combine_results(results, norm, chosen))

        return made, [1.0] * len(made), combine


def technique(name: str, options: Mapping[str, str]) -> Technique:
    """The technique of a name and its options.

    Raises:
        InputError: Another technique or option, or mitiq is not installed.
    """
    if name not in TECHNIQUES:
        raise unknown("technique of mitiq", name, TECHNIQUES)
    made = TECHNIQUES[name](options)
    require("mitigation", "mitiq")
    return made


def _zne(options: Mapping[str, str]) -> Folded:
    plan = zne.make(options)
    if plan.fit == "exponential":
        raise InputError(
            got="mitiq.zne,fit=exponential",
            expected="a fit that is linear in the values: linear, polynomial or richardson",
            do="write zne,fit=exponential for ours",
        )
    return Folded(plan)


def _pec(options: Mapping[str, str]) -> Cancelled:
    read = Options("mitiq.pec", options, ("samples", "noise"))
    return Cancelled(read.whole("samples", SAMPLES), read.text("noise", NOISES[0]))


def _lre(options: Mapping[str, str]) -> Layered:
    read = Options("mitiq.lre", options, ("degree", "multiplier", "chunks", "folding"))
    return Layered(
        read.whole("degree", DEGREE),
        read.whole("multiplier", 1),
        read.whole("chunks", CHUNKS),
        read.text("folding", zne.FOLDINGS[0]),
    )


def _ddd(options: Mapping[str, str]) -> Decoupled:
    read = Options("mitiq.ddd", options, ("rule", "trials"))
    return Decoupled(read.text("rule", RULES[0]), read.whole("trials", 1))


TECHNIQUES: Mapping[str, Callable[[Mapping[str, str]], Technique]] = MappingProxyType(
    {"zne": _zne, "pec": _pec, "lre": _lre, "ddd": _ddd}
)


def _folding(name: str) -> Any:
    scaling = require("mitigation", "mitiq.zne.scaling")
    return scaling.fold_global if name == "global" else scaling.fold_all
