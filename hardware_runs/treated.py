"""Treatments: what can be done between a trained router and its answers on a noisy target.

All treatments of one router get the same budget, inputs times shots. What they calibrate is
charged by `backends.execute`, what a refit measures is charged here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from backends import load
from backends.base import Compiled
from backends.disturb import Disturbed
from backends.execute import Executed, Overhead, execute
from backends.mitigation import Plain
from backends.mitigation import load as mitigation
from hardware_runs.recommend import RAW
from hardware_runs.scores import Asked, retained
from qmoe.agreement import shot_floor
from qmoe.bench import bench_of
from qmoe.data import Prepared
from qmoe.refit import refit
from qmoe.retrained import Retrained
from qmoe.routed import RoutedCircuit

Array = NDArray[np.float64]

REFIT_ROWS, REFIT_SHARE = 100, 0.2
"""Training inputs of a refit, and its share of the budget."""


class Checkpoint(NamedTuple):
    """One trained router with the data of its seed."""

    routed: RoutedCircuit
    data: Prepared


def checkpoints(groups: Sequence[Retrained]) -> tuple[Checkpoint, ...]:
    """The models of retrained groups one by one, in the order of their seeds."""
    made: dict[int, Checkpoint] = {}
    for group in groups:
        classes = group.model.experts.num_classes
        rows = group.weights.double().numpy()
        for entry, trial, weights in zip(group.entries, group.settings, rows, strict=True):
            data = bench_of(group.cell, trial.scaler).part(entry.seed)
            model = group.cell.spec(data.X_train.shape[1], classes, trial).build()
            made[entry.seed] = Checkpoint(RoutedCircuit(model, weights), data)
    return tuple(made[position] for position in sorted(made))


@dataclass(frozen=True, slots=True)
class Treatment:
    """What is done on the way from a trained router to its answers on a target.

    Attributes:
        mitigation: A text of `backends.mitigation.load`.
        trained: Whether the circuit was trained through the noise of the target.
        refitted: Whether the experts were trained again on what the target measured.
        null: A router that has nothing to say: "shuffled" inputs or "random" weights.
        exact: No target at all, for comparison: what a refit gains where there is no noise is
            no gain over noise.
    """

    mitigation: str = RAW
    trained: bool = False
    refitted: bool = False
    null: str = ""
    exact: bool = False

    @property
    def real(self) -> bool:
        """Whether it is something to do on a target."""
        return not (self.null or self.exact)

    @property
    def name(self) -> str:
        """The words joined by +; `none` for the raw target."""
        words = ["exact"] if self.exact else []
        words += [self.mitigation] if self.mitigation != RAW else []
        words += ["trained-for-device"] * self.trained + ["refit"] * self.refitted
        words += [f"null: {self.null}"] if self.null else []
        return "+".join(words) or RAW


@dataclass(frozen=True, slots=True)
class Part:
    """Inputs of one kind and the calibration that they meet."""

    name: str
    calibration: str
    backend: Disturbed
    inputs: int

    def rows(self, data: Prepared) -> tuple[Array, NDArray[np.int64]]:
        """The first of its inputs, with their labels."""
        X, y = getattr(data, f"X_{self.name}"), getattr(data, f"y_{self.name}")
        return X[: self.inputs], y[: self.inputs]


@dataclass(frozen=True, slots=True)
class Setting:
    """One treatment of one router: what was compiled, the shots, and whose random streams."""

    compiled: Compiled
    treatment: Treatment
    shots: int
    key: tuple[int, int, int]

    def seed(self, purpose: int) -> int:
        """The seed of one purpose: no two treatments, routers or parts share their shots."""
        root, *rest = self.key
        state = np.random.SeedSequence(root, spawn_key=(*rest, purpose)).generate_state(1)
        return int(state[0])


@dataclass(frozen=True, slots=True)
class Seen:
    """What one router did under one treatment on one part; the overhead has a refit in it."""

    accuracy: float
    exact: float
    retention: float | None
    distance: float
    floor: float
    agreement: float
    clipped: float
    overhead: Overhead


def both(
    setting: Setting, parts: Sequence[Part], clean: Checkpoint, trained: Checkpoint
) -> Iterator[tuple[Part, Seen]]:
    """Validation, then test; a refit is made once, before both, under calibration A."""
    treatment, shots = setting.treatment, setting.shots
    used = (trained if treatment.trained else clean).routed
    data = clean.data
    for part in parts:
        routed, left, spent = used, shots, Overhead(0, 0, 0.0)
        if treatment.refitted:
            # the refit is paid for by the inputs that are answered afterwards
            rows = min(REFIT_ROWS, len(data.X_train))
            each = int(REFIT_SHARE * shots * part.inputs / rows)
            left = shots - math.ceil(rows * each / part.inputs)
            X, y = data.X_train[:rows], data.y_train[:rows]
            measured = _executed(setting, parts[0].backend, routed, X, each, purpose=0)
            spent = measured.overhead
            again = refit(
                routed.model, routed.weights[None], X[None], y[None], measured.probabilities[None]
            )
            routed = RoutedCircuit(routed.model, again[0])
        X, y = part.rows(data)
        got = _executed(setting, part.backend, routed, X, left, purpose=1 + parts.index(part))
        yield part, _seen(clean.routed, routed, X, y, got, spent)


def _executed(
    setting: Setting, backend: Disturbed, routed: RoutedCircuit, X: Array, shots: int, purpose: int
) -> Executed:
    seed = setting.seed(purpose)
    rng = np.random.default_rng(seed)
    angles, features = routed.angles, routed.features(X)
    if setting.treatment.null == "random":
        angles = rng.uniform(-np.pi, np.pi, len(angles))
    if setting.treatment.null == "shuffled":
        features = rng.permutation(features)
    if setting.treatment.exact:
        cpu = load("torch")
        return execute(cpu, cpu.compile(routed.template), Plain(), features, None, seed)
    ready = setting.compiled.bind_weights(angles)
    treated = mitigation(setting.treatment.mitigation)
    return execute(backend, ready, treated, features, shots, seed)


def _seen(
    clean: RoutedCircuit,
    routed: RoutedCircuit,
    X: Array,
    y: NDArray[np.int64],
    got: Executed,
    before: Overhead,
) -> Seen:
    spent = got.overhead
    asked, best = Asked.of(routed, X, y), Asked.of(clean, X, y)
    accuracy, exact = asked.score("accuracy", got.probabilities), best.score("accuracy", best.ideal)
    even = float((clean.even(X).probabilities.argmax(1) == y).mean())
    return Seen(
        accuracy=accuracy,
        exact=exact,
        retention=retained(accuracy, exact, even),
        distance=asked.score("total variation", got.probabilities),
        floor=float(shot_floor(asked.ideal, max(1, spent.shots // len(X))).mean()),
        agreement=asked.score("top-1 agreement", got.probabilities),
        clipped=got.clipped,
        overhead=Overhead(
            before.circuits + spent.circuits, before.shots + spent.shots, spent.gamma
        ),
    )
