"""Study `sensitivity`: does a twin's prediction hold where the noise has what the twin lacks?

On each target some trained routers answer some inputs with some shots, many times, under noise
that the calibration does not say: crosstalk, coherent error, correlated readout, drift. The
share of figures inside the twin's 95 % prediction intervals is the coverage; without a
disturbance it is 95 % but for chance. Beside it stands what is left of the routing when the
native circuit is folded, under the calibrated noise.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from zlib import crc32

import numpy as np

from backends import load
from backends.base import Compiled, sample
from backends.disturb import (
    Crosstalk,
    Disturbance,
    Drift,
    OverRotation,
    PairedReadout,
    disturbed,
)
from backends.registry import absent
from backends.twin import Twin, predict
from hardware_runs.scores import FIGURES, Asked, retained
from hardware_runs.studies.devices import DEVICES
from hardware_runs.treated import Checkpoint, checkpoints
from qmoe.angles import whole
from qmoe.cell import Cell, CellResult
from qmoe.errors import QmoeError
from qmoe.figure import Figure, Measurement
from qmoe.metrics import ACCURACY_RANGE, wilson
from qmoe.plan import Plan
from qmoe.record import Scalar
from qmoe.retrained import retrained
from qmoe.studies.families import MOONS, Family, cell
from qmoe.studies.figures import over_seeds, plain, scored
from qmoe.suite import Setup

DATA = MOONS[1]
"""Noisy enough that answers are not all right, whatever the target does."""

ROUTER: Family = ("quantum", {"layers": 2, "num_qubits": 3})
"""Three qubits are the fewest on which a two-qubit gate has a neighbour to talk to."""

EFFECTS: Mapping[str, tuple[float, ...]] = {
    "none": (0.0,),
    "crosstalk": (0.02, 0.1),
    "coherent error": (0.01, 0.05),
    "correlated readout": (0.005, 0.02),
    "drift": (0.2, 0.5),
}
"""Strengths: radians, excess of every gate, chance of a pair, spread of the logarithm."""

SCALES = (1, 3, 5, 7)
ROUTERS, DRAWS, REPEATS = 8, 5, 399
INPUTS, SHOTS, ROWS = 200, 1000, 1000
FEWEST_REPEATS = 39  # of which a 95 % interval leaves one out on either side


def sensitivity(
    setup: Setup,
    *,
    targets: str = " ".join(DEVICES),
    routers: int = ROUTERS,
    draws: int = DRAWS,
    inputs: int = INPUTS,
    shots: int = SHOTS,
    repeats: int = REPEATS,
    rows: int = ROWS,
) -> Plan:
    """The routers of the first seeds on each target; specs stand between blanks.

    draws: experiments with each router, each on inputs of its own. repeats: simulated experiments
    behind one prediction. rows: inputs of the folded circuits, whose probabilities are exact.
    """
    options = {"draws": draws, "inputs": inputs, "shots": shots, "repeats": repeats, "rows": rows}
    for name, value in {"routers": routers, **options}.items():
        whole(value, name, FEWEST_REPEATS if name == "repeats" else 1)
    of = replace(cell(setup, DATA, ROUTER), seeds=setup.seeds[:routers])
    here = "hardware_runs.studies.sensitivity"
    return Plan(
        "sensitivity",
        (of,),
        tuple(
            Measurement(f"{here}:on_target", {"target": spec, **options}, of)
            if absent(spec) is None
            else Measurement(f"{here}:left_out", {"target": spec})
            for spec in targets.split()
        ),
    )


def left_out(*, target: str) -> tuple[Figure, ...]:
    """A target that cannot run here: a coverage without a value, with what to install."""
    return (plain("prediction coverage", {"target": target}, None, f"not run: {absent(target)}"),)


def on_target(
    *,
    cell: Cell,
    result: CellResult,
    target: str,
    draws: int,
    inputs: int,
    shots: int,
    repeats: int,
    rows: int,
) -> tuple[Figure, ...]:
    """What disturbances do to figures and their predictions on a target, and what folding does.

    Figures: "prediction coverage" with a Wilson interval that takes experiments for independent,
    "effect of the disturbance" (mean change of a figure, exact probabilities) and "retention by
    folding", the last two with a Student interval over routers and the value of each.

    Raises:
        InputError: A target that is not there, or that does not say what its noise is.
        QmoeError: A fold that did not come through whole.
    """
    twin = Twin(load(target))
    routers = checkpoints(retrained(cell, result))
    compiled = twin.compile(routers[0].routed.circuit)  # weights free: one circuit for all
    labels = {"target": target, "router": result.router, "dataset": result.dataset}
    held_out = len(routers[0].data.X_test)
    often = _Often(cell.root, draws, min(inputs, held_out), shots, repeats)
    return (
        *_disturbed(twin, compiled, routers, {**labels, "inputs": often.inputs}, often),
        *_folded(twin, compiled, routers, {**labels, "inputs": min(rows, held_out)}, rows),
    )


@dataclass(frozen=True, slots=True)
class _Often:
    """How often, on how much, and from which root seed."""

    root: int
    draws: int
    inputs: int
    shots: int
    repeats: int


def disturbances(effect: str, strength: float, day: int) -> tuple[Disturbance, ...]:
    """An effect of `EFFECTS` as disturbances; `day` is the seed of a drift."""
    match effect:
        case "crosstalk":
            return (Crosstalk(strength),)
        case "coherent error":
            return (OverRotation(strength, strength),)
        case "correlated readout":
            return (PairedReadout(strength),)
        case "drift":
            return (Drift(strength, day),)
    return ()


def _disturbed(
    twin: Twin,
    compiled: Compiled,
    routers: Sequence[Checkpoint],
    labels: Mapping[str, Scalar],
    often: _Often,
) -> Iterator[Figure]:
    own_key = crc32(str(labels["target"]).encode())
    cases = [(effect, strength) for effect, each in EFFECTS.items() for strength in each]
    inside: defaultdict[tuple[str, float, str], list[bool]] = defaultdict(list)
    change: defaultdict[tuple[str, float, str], list[list[float]]] = defaultdict(list)
    for k, (routed, data) in enumerate(routers):
        found = compiled.bind_weights(routed.angles)
        for effect, strength in cases:
            for name in FIGURES:
                change[effect, strength, name].append([])
        for draw in range(often.draws):
            # every target gets the same inputs, and shots and days of its own
            key = np.random.SeedSequence(often.root, spawn_key=(k, draw))
            rng = np.random.default_rng(key)
            key = np.random.SeedSequence(often.root, spawn_key=(k, draw, own_key))
            asking, shooting, day = map(int, key.generate_state(3))
            rows = rng.choice(len(data.X_test), often.inputs, replace=False)
            asked = Asked.of(routed, data.X_test[rows], data.y_test[rows])
            x = routed.features(asked.X)
            told = partial(predict, found, x, often.shots, seed=asking, repeats=often.repeats)
            expected = {name: told(partial(asked.score, name)) for name in FIGURES}
            calm = {name: asked.score(name, twin.probabilities(found, x)) for name in FIGURES}
            for effect, strength in cases:
                real = disturbed(found, disturbances(effect, strength, day))
                p = twin.probabilities(real, x)
                seen = sample(p, often.shots, shooting) / often.shots
                for name, interval in expected.items():
                    value = asked.score(name, seen)
                    inside[effect, strength, name].append(interval.low <= value <= interval.high)
                    change[effect, strength, name][k].append(asked.score(name, p) - calm[name])
    note = f"{len(routers)} routers x {often.draws} draws of inputs"
    for (effect, strength, name), hits in inside.items():
        own = {**labels, "effect": effect, "strength": strength, "figure": name}
        shot = {**own, "shots": often.shots}
        yield scored("prediction coverage", shot, wilson(sum(hits), len(hits)), note=note)
        if effect != "none":
            means = [float(np.mean(each)) for each in change[effect, strength, name]]
            yield over_seeds("effect of the disturbance", {**own, "shots": 0}, means)


def _folded(
    twin: Twin,
    compiled: Compiled,
    routers: Sequence[Checkpoint],
    labels: Mapping[str, Scalar],
    rows: int,
) -> Iterator[Figure]:
    if not twin.foldable:
        yield plain("retention by folding", labels, None, "unsupported: it compiles what it gets")
        return
    for scale in SCALES:
        emitted = twin.emit(compiled.native.folded(scale), compiled)
        if emitted.two_qubit_gates != scale * compiled.two_qubit_gates:
            raise QmoeError(
                f"{emitted.two_qubit_gates} two-qubit gates on {labels['target']} after folding "
                f"{compiled.two_qubit_gates} by {scale}"
            )
        kept: dict[str, list[float | None]] = {"routing retention": []}
        for routed, data in routers:
            asked = Asked.of(routed, data.X_test[:rows], data.y_test[:rows])
            found = emitted.bind_weights(routed.angles)
            p = twin.probabilities(found, routed.features(asked.X))
            scores = {name: asked.score(name, p) for name in FIGURES}
            best = asked.score("accuracy", asked.ideal)
            even = float((routed.even(asked.X).probabilities.argmax(1) == asked.y).mean())
            kept["routing retention"].append(retained(scores["accuracy"], best, even))
            for name, value in scores.items():
                kept.setdefault(name, []).append(value)
        for name, values in kept.items():
            own = {**labels, "scale": scale, "figure": name, "shots": 0}
            limits = (-math.inf, math.inf) if name == "routing retention" else ACCURACY_RANGE
            yield over_seeds("retention by folding", own, values, limits=limits)
