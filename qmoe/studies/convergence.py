"""Study `convergence`: steps to a target, and what a gradient costs (claims C9, C13).

Steps to a target are read from the stored validation curves, so all cells are those of the other
studies. What a gradient costs is counted, not timed.
"""

from __future__ import annotations

from collections.abc import Sequence

from qmoe.figure import Figure, Measurement
from qmoe.plan import Plan
from qmoe.studies.families import CONSTANT, LINEAR, MOONS, TRIG, cells, mlp, quantum
from qmoe.studies.figures import Labels, plain
from qmoe.suite import Setup

LAYERS = (1, 2, 4, 8, 16)


def convergence(setup: Setup) -> Plan:
    """Quantum and classical routers on moons with the floor of any target; cost of a gradient."""
    return Plan(
        "convergence",
        cells(setup, MOONS, (quantum(2), LINEAR, mlp(16), TRIG, CONSTANT)),
        (
            Measurement(
                "qmoe.studies.convergence:gradient_cost",
                {"layers": list(LAYERS), "root": setup.root},
            ),
        ),
    )


def gradient_cost(
    layers: Sequence[int] = LAYERS, *, qubits: int = 2, inputs: int = 1, root: int = 0
) -> tuple[Figure, ...]:
    """Circuit executions, passes over the gates and gates of one gradient, by method and size."""
    from qmoe.gradient_cost import gradient_costs

    out = []
    for depth in layers:
        for cost in gradient_costs(qubits, depth, inputs=inputs, root=root):
            labels: Labels = {
                "method": cost.method,
                "parameters": cost.parameters,
                "inputs": cost.inputs,
                "runs on a device": cost.runs_on_device,
            }
            note = "" if cost.runs_on_device else "no device can run a state backwards"
            out += [
                plain("circuit executions per gradient", labels, cost.executions, note),
                plain("passes per gradient", labels, cost.passes),
                plain("gates per gradient", labels, cost.gates),
                plain("largest error of the gradient", labels, cost.error),
            ]
    return tuple(out)
