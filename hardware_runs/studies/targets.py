"""Study `targets`: one trained router, as it is, on every target that needs no account.

The checkpoint is that of the first seed, not of the best one. Every target sees the same test
inputs; only the spec changes, and whether readout errors are mitigated. Accuracy speaks of these
inputs and of this one router.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from time import perf_counter
from typing import TypeVar

from backends import load
from backends.execute import execute
from backends.mitigation import Mitigation, Plain
from backends.mitigation import load as mitigation
from backends.registry import absent
from hardware_runs.scores import Asked
from hardware_runs.studies.answered import Answered, Seconds
from qmoe.angles import whole
from qmoe.cell import Cell, CellResult
from qmoe.figure import Figure, Measurement
from qmoe.plan import Plan
from qmoe.record import Scalar
from qmoe.routed import RoutedCircuit
from qmoe.rows import first_model
from qmoe.studies.families import MOONS, cell, quantum
from qmoe.studies.figures import plain
from qmoe.suite import Setup

CPU = "torch"
IDEAL = (CPU, "reference")
"""Targets that a map would show nothing new of: the router's own is theirs."""
TARGETS = ("reference", "ibm:fake_boston", "braket:emulator", "cirq:willow_pink")
NONE: Mitigation = Plain()
READOUT = "readout"
INPUTS = 200
SHOTS = 1000

T = TypeVar("T")


def targets(
    setup: Setup,
    *,
    targets: str = " ".join((CPU, *TARGETS)),
    inputs: int = INPUTS,
    shots: int = SHOTS,
) -> Plan:
    """The quantum router of suite `quick` on each target; specs stand between blanks.

    The first comparison is with the same router exact on this CPU, without shots. A run shows a
    map of the router on every target with noise that is there.
    """
    whole(inputs, "inputs", 1)
    whole(shots, "shots", 1)
    of, specs = cell(setup, MOONS[0], quantum(2)), targets.split()
    return Plan(
        "targets",
        measurements=tuple(
            Measurement(
                "hardware_runs.studies.targets:on_target",
                {"target": spec, "inputs": inputs, "shots": 0 if spec == CPU else shots},
                of,
            )
            if absent(spec) is None
            else Measurement("hardware_runs.studies.targets:left_out", {"target": spec})
            for spec in specs
        ),
        maps=tuple(
            (of, spec, inputs) for spec in specs if spec not in IDEAL and absent(spec) is None
        ),
    )


def left_out(*, target: str) -> tuple[Figure, ...]:
    """A target that cannot run here: an accuracy without a value, with what to install."""
    return (plain("target accuracy", {"target": target}, None, f"not run: {absent(target)}"),)


def on_target(
    *, cell: Cell, result: CellResult, target: str, inputs: int, shots: int
) -> tuple[Figure, ...]:
    """What the router of the first seed does on a target; `shots` 0 takes exact probabilities.

    With shots, once as it is and once with readout mitigation at the same budget. Figures, all
    with the labels `target` and `mitigation`: accuracy and its paired difference to the same
    router exact, routing retention, total variation to the ideal router with its shot floor,
    Hellinger fidelity, top-1 agreement; which experts were asked in place of which; what the twin
    had predicted; what the compiled circuit is; what the treatment took; and seconds.

    Before any clock starts, one input is compiled, run as it is and answered, on every target
    alike: neither imports nor what torch does once are in the seconds.

    Raises:
        InputError: A target that is not there, or one that has no exact probabilities.
    """
    backend = load(target)
    model, weights, part = first_model(cell, result)
    routed = RoutedCircuit(model, weights)
    asked = Asked.of(routed, part.X_test[:inputs], part.y_test[:inputs])
    features = routed.features(asked.X)
    budget = shots or None
    once = execute(backend, backend.compile(routed.template), NONE, features[:1], budget, cell.root)
    routed.answer(asked.X[:1], once.probabilities)
    labels: dict[str, Scalar] = {
        "target": target,
        "source": "sampled" if shots and backend.source == "exact" else backend.source,
        "router": model.router.label,
        "dataset": part.name,
        "seed": result.seeds[0],
        "inputs": len(asked.X),
        "shots": shots,
        "checkpoint": cell.key,
    }
    compiled, compiling = timed(partial(backend.compile, routed.template))
    figures: list[Figure] = []
    for treatment in (NONE, mitigation(READOUT)) if shots else (NONE,):
        run = partial(execute, backend, compiled, treatment, features, budget, cell.root)
        found, running = timed(run)
        answer, answering = timed(partial(routed.answer, asked.X, found.probabilities))
        seconds = Seconds(compiling, running, answering)
        seen = Answered(asked, compiled, found, answer, shots, seconds, cell.root)
        own = {**labels, "mitigation": treatment.name}
        figures += seen.figures(own, predicted=treatment is NONE)
    return tuple(figures)


def timed(call: Callable[[], T]) -> tuple[T, float]:
    """What a call gives, and how many seconds it took."""
    started = perf_counter()
    found = call()
    return found, perf_counter() - started
