"""Study `trainability`: the published failure signatures and their cures (claim C10).

The deep circuit is trained from its usual start, from one ten times smaller, and layer by layer.
What is meant to fail stands beside it, untuned: learning rates that are far too high, and eight
experts with and without the load-balancing loss.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

from qmoe.cell import Cell, CellResult
from qmoe.data import DataSpec
from qmoe.failures import PLATEAU_RATE, Training, collapse, imbalance, oscillation
from qmoe.figure import Figure, Measurement
from qmoe.metrics import wilson
from qmoe.plan import Plan
from qmoe.studies.families import CONFIG, LINEAR, MOONS, Family, cell, quantum
from qmoe.studies.figures import Labels, scored
from qmoe.suite import Setup
from qmoe.trainability import COSTS, decay_rate, gradient_variance
from qmoe.trial import INIT_SCALES, Trial

DEEP = 12
RATES = (0.05, 1.0, 3.0)
EXPERTS = 8
LOAD_BALANCE = (0.0, 0.01)
QUBITS = (2, 4, 6, 8, 10)
MAJORITY: Final = 0.5
"""The larger class of moons, which are drawn half and half."""

# more experts than outcomes of two qubits: a learned map from outcomes to experts
MANY: Family = (
    "quantum",
    {"layers": 2, "outcome_map": "adapter", "num_qubits": 2, "measured": (0, 1)},
)
CROWDED: tuple[tuple[str, Family], ...] = (("quantum L=2", MANY), ("linear", LINEAR))


def trainability(setup: Setup) -> Plan:
    """The deep circuit with and without cures, planted failures, and gradients over qubits."""
    made = tuple(part for data in MOONS for part in (*_cures(setup, data), *_planted(setup, data)))
    variance = Measurement(
        "qmoe.studies.trainability:gradient_variances",
        {"qubits": list(QUBITS), "layers": DEEP, "root": setup.root},
    )
    return Plan("trainability", made, (variance,))


def _cures(setup: Setup, data: DataSpec) -> Iterator[Cell]:
    """The same trials for all, but for how the weights start."""
    for scale in INIT_SCALES:
        yield _deep(setup, data, f"init {scale:g}", scale)
    layerwise = replace(CONFIG, layerwise=True)
    yield _deep(setup, data, "layer-wise", INIT_SCALES[0], config=layerwise)


def _deep(setup: Setup, data: DataSpec, name: str, scale: float, **changes: Any) -> Cell:
    trials = tuple(replace(trial, init_scale=scale) for trial in setup.trials)
    label = f"quantum L={DEEP} {name}"
    return cell(setup, data, quantum(DEEP), trials=trials, label=label, **changes)


def _planted(setup: Setup, data: DataSpec) -> Iterator[Cell]:
    """One trial each, so that no search can choose the failure away."""
    for rate in RATES:
        label, trial = f"quantum L=2 rate {rate:g}", Trial(learning_rate=rate)
        # looked at in every epoch: an oscillation can be as short as two
        config = replace(CONFIG, evaluate_every=1)
        yield cell(setup, data, quantum(2), trials=(trial,), config=config, label=label)
    for name, family in CROWDED:
        for factor in LOAD_BALANCE:
            yield cell(
                setup,
                data,
                family,
                experts=EXPERTS,
                trials=(Trial(),),
                load_balance=factor,
                label=f"{name} E={EXPERTS} load balance {factor:g}",
            )


def gradient_variances(
    qubits: Sequence[int] = QUBITS,
    *,
    layers: int = DEEP,
    init_scales: Sequence[float] = INIT_SCALES,
    samples: int = 200,
    root: int = 0,
) -> tuple[Figure, ...]:
    """The variance of one gradient at initial weights by number of qubits, and its decay rate."""
    out = []
    for cost in COSTS:
        for scale in init_scales:
            labels: Labels = {"cost": cost, "init scale": scale, "layers": layers}
            found = {
                n: gradient_variance(
                    n, layers, init_scale=scale, cost=cost, samples=samples, root=root
                )
                for n in qubits
            }
            out += [
                scored("gradient variance", {**labels, "qubits": n}, score)
                for n, score in found.items()
            ]
            note = f"a barren plateau above {PLATEAU_RATE:.3f}"
            rate = decay_rate(found)
            out.append(scored("decay rate of the variance per qubit", labels, rate, note=note))
    return tuple(out)


def failure_shares(results: Sequence[CellResult], majority: float = MAJORITY) -> tuple[Figure, ...]:
    """How many models show each failure, with Wilson intervals.

    Of the chosen models by all detectors on the evaluated part; of all trials, chosen or not, the
    share near chance on validation, as a search hides what it does not choose.

    majority: the share of the largest class in the data of the results.
    """
    out: list[Figure] = []
    for result in results:
        labels: Labels = {
            "dataset": result.dataset,
            "router": result.router,
            "experts": result.experts,
        }
        trained = [Training.of(result, i, majority) for i in range(len(result.seeds))]
        found = Counter(
            name
            for training in trained
            for name, detector in _DETECTORS.items()
            if detector(training) is not None
        )
        out += [
            scored(f"share of seeds: {name}", labels, wilson(found[name], len(trained)))
            for name in _DETECTORS
        ]
        counts = [n for row in result.validation_correct for n in row if n is not None]
        if counts:
            rows = result.rows["validation"]
            tried = [replace(trained[0], accuracy=n / rows, rows=rows) for n in counts]
            near = sum(collapse(training) is not None for training in tried)
            out.append(
                scored(
                    "share of all trials: collapse near chance", labels, wilson(near, len(tried))
                )
            )
    return tuple(out)


_DETECTORS = {
    "collapse near chance": collapse,
    "expert imbalance": imbalance,
    "oscillation": oscillation,
}
