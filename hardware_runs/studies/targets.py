"""Study `targets`: one trained router, as it is, on every target that needs no account.

The checkpoint is that of the first seed, not of the best one. Every target sees the same test
inputs; only the spec changes, and whether readout errors are mitigated. Accuracy speaks of these
inputs and of this one router.
"""

from __future__ import annotations

from collections.abc import Iterator

from backends import load
from backends.execute import execute
from backends.mitigation import Mitigation, Plain
from backends.mitigation import load as mitigation
from backends.registry import absent
from qmoe.agreement import retention, shot_floor, total_variation
from qmoe.angles import whole
from qmoe.cell import Cell, CellResult
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
NONE: Mitigation = Plain()
READOUT = "readout"
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

    With shots, once as it is and once with readout mitigation at the same budget. Figures, all
    with the labels `target` and `mitigation`: accuracy, routing retention, total variation to the
    ideal router with its shot floor, top-1 agreement; and what the
    compiled circuit is: two-qubit gates, depth, expected fidelity, qubits.

    Raises:
        InputError: A target that is not there, or one that has no exact probabilities.
    """
    backend = load(target)
    model, weights, part = first_model(cell, result)
    routed = RoutedCircuit(model, weights)
    X, y = part.X_test[:inputs], part.y_test[:inputs]
    features = routed.features(X)
    cpu = load(CPU)
    ideal = execute(cpu, cpu.compile(routed.template), NONE, features, None, cell.root)
    compiled = backend.compile(routed.template)
    best, even = routed.answer(X, ideal.probabilities), routed.even(X)

    def figures(treatment: Mitigation) -> Iterator[Figure]:
        found = execute(backend, compiled, treatment, features, shots or None, cell.root)
        answer = routed.answer(X, found.probabilities)
        right = [said.probabilities.argmax(1) == y for said in (answer, best, even)]
        agree = answer.gate_weights.argmax(1) == best.gate_weights.argmax(1)
        labels: dict[str, Scalar] = {
            "target": target,
            "mitigation": treatment.name,
            "source": "sampled" if shots and backend.source == "exact" else backend.source,
            "router": model.router.label,
            "dataset": part.name,
            "seed": result.seeds[0],
            "inputs": len(X),
            "shots": shots,
        }
        yield scored("target accuracy", labels, wilson(int(right[0].sum()), len(X)))
        kept = retention(right[0], right[1], right[2], cell.root)
        if kept is None:
            yield plain("routing retention", labels, None, "an even gate answers as well")
        else:
            yield scored("routing retention", labels, kept)
        distance = total_variation(found.probabilities, ideal.probabilities)
        yield scored("total variation", labels, mean_score(distance, limits=(0.0, 1.0)))
        # of the raw budget, to which every treatment is held
        floor = shot_floor(ideal.probabilities, shots).mean() if shots else 0.0
        yield plain("shot floor", labels, float(floor))
        yield scored("top-1 agreement", labels, wilson(int(agree.sum()), len(X)))
        yield plain("two-qubit gates", labels, compiled.two_qubit_gates)
        yield plain("depth", labels, compiled.depth)
        yield plain(
            "expected fidelity", labels, compiled.expected_fidelity, compiled.calibrated_at or ""
        )
        yield plain("qubits", labels, compiled.native.num_qubits, " ".join(compiled.physical))

    treatments = (NONE, mitigation(READOUT)) if shots else (NONE,)
    return tuple(figure for each in treatments for figure in figures(each))
