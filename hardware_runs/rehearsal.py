"""An experiment rehearsed on the twin of a target: trained routers, many inputs, many draws.

What it gives, for each number of shots, are the paired differences in accuracy between two
treatments, from which `hardware_runs.shots` plans.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backends import load
from backends.compiled import Compiled
from backends.execute import execute
from backends.mitigation import GROUPS, MODULES
from backends.mitigation import load as mitigation
from backends.mitigation.base import Mitigation, Run
from backends.remembered import Remembered
from backends.twin import Twin
from hardware_runs.treated import Checkpoint, checkpoints
from hardware_runs.variance import Differences
from qmoe.agreement import shot_floor
from qmoe.retrained import retrained
from qmoe.routed import RoutedCircuit
from qmoe.studies.families import MOONS, cell, quantum
from qmoe.suite import setup
from qmoe.tune import tune

Right = NDArray[np.bool_]

SHOTS = (10, 20, 50, 100, 200, 500, 1000, 2000, 4000, 10_000)
ROUTERS, INPUTS, DRAWS = 30, 2000, 4
FEWER_INPUTS = 200
"""Where there is a mitigation, whose circuits are drawn one by one."""
EXACT = "exact"
RAW = "none"


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a comparison: the twin of a target under a mitigation, with shots or without."""

    twin: Twin
    mitigation: Mitigation
    sampled: bool = True

    def __str__(self) -> str:
        if not self.sampled:
            return EXACT
        name = self.mitigation.name
        return self.twin.inner.spec + ("" if name == RAW else f" with {name}")


@dataclass(frozen=True, slots=True, eq=False)
class Rehearsed:
    """What was rehearsed with one number of shots for each input.

    Attributes:
        shots: That number.
        differences: Right on the first side minus right on the second.
        bias: The mean difference less that without any shots: what so few shots do to accuracy.
        floor: The mean shot floor of the first target.
        shared: Whether the answers to all inputs of a draw have something in common, such as a
            calibration.
        circuits: Circuits of both sides for one input, and those that all inputs share.
        sampled: How many of the two sides take shots.
    """

    shots: int
    differences: Differences
    bias: float
    floor: float
    shared: bool
    circuits: tuple[int, int]
    sampled: int


def sides(target: str, against: str = EXACT) -> tuple[Side, Side]:
    """What is compared on a target.

    against: "exact", the same routers without shots and noise; a mitigation, compared with the
        raw target; or another target.

    Raises:
        InputError: No such target or mitigation.
    """
    raw = mitigation(RAW)
    here = Side(_twin(target), raw)
    if against == EXACT:
        return here, Side(_twin("torch"), raw, sampled=False)
    first = against.partition("+")[0].partition(",")[0]
    if first == RAW or first in MODULES or (first.partition(".")[0] in GROUPS and ":" not in first):
        return Side(here.twin, mitigation(against)), here
    return here, Side(_twin(against), raw)


def routers(count: int, root: int) -> tuple[Checkpoint, ...]:
    """The quantum router of suite `quick`, trained for so many seeds, with the data of each."""
    of = cell(setup(root, count, 1), MOONS[0], quantum(2))
    return checkpoints(retrained(of, tune(of)))


def rehearse(
    compared: tuple[Side, Side],
    trained: Sequence[Checkpoint],
    *,
    seed: int,
    grid: Iterable[int] = SHOTS,
    inputs: int = INPUTS,
    draws: int = DRAWS,
    advance: Callable[[int], None] = lambda done: None,
) -> tuple[Rehearsed, ...]:
    """The differences of each router on the first of its test inputs, for each number of shots.

    Numbers of shots that a mitigation cannot split over its circuits are left out. `advance` is
    told the number of routers done.

    Raises:
        InputError: A target that does not say what its noise is, or a mitigation it cannot do.
    """
    ready = [each.twin.compile(trained[0].routed.circuit) for each in compared]
    exact: list[NDArray[np.int8]] = []
    floors: list[list[float]] = []
    by_shots: dict[int, list[NDArray[np.int8]]] = {}
    runs: tuple[tuple[Run, ...], ...] = ()
    for k, (routed, data) in enumerate(trained):
        X, y = data.X_test[:inputs], data.y_test[:inputs]
        arms = [_Arm.of(*pair, routed, X, y) for pair in zip(compared, ready, strict=True)]
        runs = tuple(arm.runs for arm in arms if arm.side.sampled)
        exact.append(_minus(arms[0].exact, arms[1].exact))
        shots = [s for s in grid if all(run.shots(s, inputs) for each in runs for run in each)]
        floors.append([float(shot_floor(arms[0].probabilities, s).mean()) for s in shots])
        for s in shots:
            first, second = (
                arm.right(s, draws, np.random.SeedSequence(seed, spawn_key=(k, s, a)))
                for a, arm in enumerate(arms)
            )
            by_shots.setdefault(s, []).append(_minus(first, second))
        advance(k + 1)
    ideal = np.mean(exact)
    listed = [run for each in runs for run in each]
    common = sum(run.single and run.row is None for run in listed)
    own = sum(run.row is not None for run in listed)
    circuits = len(listed) - common - own + own // inputs
    floor = np.mean(floors, axis=0)
    return tuple(
        Rehearsed(
            shots=s,
            differences=(found := np.stack(each)),
            bias=float(found.mean() - ideal),
            floor=float(floor[k]),
            shared=any(each.mitigation.name != RAW for each in compared),
            circuits=(circuits, common),
            sampled=len(runs),
        )
        for k, (s, each) in enumerate(by_shots.items())
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Arm:
    """One router on one side."""

    side: Side
    compiled: Compiled
    routed: RoutedCircuit
    X: NDArray[np.float64]
    y: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    exact: Right
    runs: tuple[Run, ...]

    @classmethod
    def of(
        cls,
        side: Side,
        compiled: Compiled,
        routed: RoutedCircuit,
        X: NDArray[np.float64],
        y: NDArray[np.int64],
    ) -> _Arm:
        bound = compiled.bind_weights(routed.angles)
        found = execute(side.twin, bound, side.mitigation, routed.features(X), None, 0)
        exact = _right(routed, X, y, found.probabilities[None])
        return cls(side, bound, routed, X, y, found.probabilities, exact, found.runs)

    def right(self, shots: int, draws: int, key: np.random.SeedSequence) -> Right:
        """Whether each input is answered rightly in each draw (input, draw)."""
        if not self.side.sampled:
            return self.exact
        if self.side.mitigation.name == RAW:
            rng = np.random.default_rng(key)
            size = (draws, len(self.X))
            seen = rng.multinomial(shots, self.probabilities, size=size) / shots
        else:
            seen = np.stack([self._mitigated(shots, int(s)) for s in key.generate_state(draws)])
        return _right(self.routed, self.X, self.y, seen)

    def _mitigated(self, shots: int, seed: int) -> NDArray[np.float64]:
        twin, treated = self.side.twin, self.side.mitigation
        x = self.routed.features(self.X)
        return execute(twin, self.compiled, treated, x, shots, seed).probabilities


def _right(
    routed: RoutedCircuit,
    X: NDArray[np.float64],
    y: NDArray[np.int64],
    outcomes: NDArray[np.float64],
) -> Right:
    """(input, draw) of outcomes (draw, input, 2^m)."""
    draws = len(outcomes)
    answer = routed.answer(np.tile(X, (draws, 1)), outcomes.reshape(-1, outcomes.shape[2]))
    right = answer.probabilities.argmax(1).reshape(draws, -1) == y
    return np.asarray(right.T)


def _minus(first: Right, second: Right) -> NDArray[np.int8]:
    return first.astype(np.int8) - second.astype(np.int8)


def _twin(spec: str) -> Twin:
    found = load(spec)
    return Twin(Remembered(found.inner if isinstance(found, Twin) else found))
