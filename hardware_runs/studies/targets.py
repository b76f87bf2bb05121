"""Study `targets`: one trained router, as it is, on every target that needs no account.

The checkpoint is that of the first seed, not of the best one. Every target sees the same test
inputs; only the spec changes. Accuracy speaks of these inputs and of this one router.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from backends import load
from backends.base import Backend, Compiled, Exact
from backends.registry import absent
from qmoe.agreement import retention, shot_floor, total_variation
from qmoe.angles import whole
from qmoe.cell import Cell, CellResult
from qmoe.errors import InputError
from qmoe.figure import Figure, Measurement
from qmoe.metrics import mean_score, wilson
from qmoe.plan import Plan
from qmoe.record import Scalar
from qmoe.routed import RoutedCircuit
from qmoe.rows import first_model
from qmoe.studies.families import MOONS, cell, quantum
from qmoe.studies.figures import plain, scored
from qmoe.suite import Setup

CPU = "torch"
TARGETS = ("reference", "ibm:fake_boston", "braket:emulator", "cirq:willow_pink")
INPUTS = 200
SHOTS = 1000


def targets(
    setup: Setup,
    *,
    targets: str = " ".join((CPU, *TARGETS)),
    inputs: int = INPUTS,
    shots: int = SHOTS,
) -> Plan:
    """The quantum router of suite `quick` on each target; specs stand between blanks.

    The first comparison is with the same router exact on this CPU, without shots.
    """
    whole(inputs, "inputs", 1)
    whole(shots, "shots", 1)
    of = cell(setup, MOONS[0], quantum(2))
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
            for spec in targets.split()
        ),
    )


def left_out(*, target: str) -> tuple[Figure, ...]:
    """A target that cannot run here: an accuracy without a value, with what to install."""
    return (plain("target accuracy", {"target": target}, None, f"not run: {absent(target)}"),)


def on_target(
    *, cell: Cell, result: CellResult, target: str, inputs: int, shots: int
) -> tuple[Figure, ...]:
    """What the router of the first seed does on a target; `shots` 0 takes exact probabilities.

    Figures, all with the label `target`: accuracy, routing retention, total variation to the
    ideal router with its shot floor, top-1 agreement, two-qubit gates, depth, expected fidelity.

    Raises:
        InputError: A target that is not there, or one that has no exact probabilities.
    """
    backend = load(target)
    model, weights, part = first_model(cell, result)
    routed = RoutedCircuit(model, weights)
    X, y = part.X_test[:inputs], part.y_test[:inputs]
    features = routed.features(X)
    cpu = load(CPU)
    ideal = _exact(cpu, cpu.compile(routed.template), features)

    compiled = backend.compile(routed.template)
    if shots:
        counts = backend.run(compiled, features, shots, cell.root)
        outcomes = counts / counts.sum(1, keepdims=True)
    else:
        outcomes = _exact(backend, compiled, features)

    answer, best, even = routed.answer(X, outcomes), routed.answer(X, ideal), routed.even(X)
    right = [said.probabilities.argmax(1) == y for said in (answer, best, even)]
    agree = answer.gate_weights.argmax(1) == best.gate_weights.argmax(1)
    floor = shot_floor(ideal, shots).mean() if shots else 0.0
    labels: dict[str, Scalar] = {
        "target": target,
        "source": "sampled" if shots and backend.source == "exact" else backend.source,
        "router": model.router.label,
        "dataset": part.name,
        "seed": result.seeds[0],
        "inputs": len(X),
        "shots": shots,
    }
    n = len(X)

    def figures() -> Iterator[Figure]:
        yield scored("target accuracy", labels, wilson(int(right[0].sum()), n))
        kept = retention(right[0], right[1], right[2], cell.root)
        if kept is None:
            yield plain("routing retention", labels, None, "an even gate answers as well")
        else:
            yield scored("routing retention", labels, kept)
        distance = mean_score(total_variation(outcomes, ideal), limits=(0.0, 1.0))
        yield scored("total variation", labels, distance)
        yield plain("shot floor", labels, float(floor))
        yield scored("top-1 agreement", labels, wilson(int(agree.sum()), n))
        yield plain("two-qubit gates", labels, compiled.two_qubit_gates)
        yield plain("depth", labels, compiled.depth)
        yield plain(
            "expected fidelity", labels, compiled.expected_fidelity, compiled.calibrated_at or ""
        )
        yield plain("qubits", labels, compiled.native.num_qubits, " ".join(compiled.physical))

    return tuple(figures())


def _exact(
    backend: Backend, compiled: Compiled, features: NDArray[np.float64]
) -> NDArray[np.float64]:
    if not isinstance(backend, Exact):
        raise InputError(
            got=f"{compiled.spec} without shots", expected="a simulated target", do="ask for shots"
        )
    return np.asarray(backend.probabilities(compiled, features), dtype=np.float64)
