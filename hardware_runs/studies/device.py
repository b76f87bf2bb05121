"""Study `device`: what devices keep of a router, and which treatment is worth its shots there.

Every treatment of a target gets the same budget, inputs times shots, with what it calibrates or
refits charged to it. Choices are made on validation inputs under the calibration that everything
was compiled for (A) and scored on test inputs under another one (B): the same device later, whose
errors have drifted while layout, confusion and training are those of A.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from backends import load
from backends.disturb import Disturbed, Drift
from backends.registry import absent
from backends.remembered import Remembered
from hardware_runs.recommend import RAW, recommend
from hardware_runs.studies.devices import DEVICES
from hardware_runs.treated import Part, Seen, Setting, Treatment, both, checkpoints
from hardware_runs.treatments import train_for
from qmoe.angles import whole
from qmoe.cell import Cell, CellResult
from qmoe.figure import Figure, Measurement
from qmoe.metrics import ACCURACY_RANGE
from qmoe.plan import Plan
from qmoe.record import Scalar
from qmoe.retrained import retrained
from qmoe.stats import Sample, judge
from qmoe.studies.families import MOONS, cell, quantum
from qmoe.studies.figures import over_seeds, plain, scored
from qmoe.suite import Setup

VALIDATION, TEST = 200, 500
SHOTS = 1000
DRIFT = 0.3

TREATMENTS = (
    Treatment(),
    *(Treatment(text) for text in ("readout", "zne", "rescale", "twirl,variants=4")),
    Treatment("pec,samples=16"),
    *(Treatment(text) for text in ("readout+zne", "readout+rescale")),
    Treatment(refitted=True),
    Treatment("readout", refitted=True),
    Treatment(trained=True),
    Treatment("readout", trained=True),
    Treatment(trained=True, refitted=True),
    Treatment(exact=True),
    Treatment(exact=True, refitted=True),
    Treatment(null="shuffled"),
    Treatment(null="random"),
)


def device(
    setup: Setup,
    *,
    targets: str = " ".join(DEVICES),
    shots: int = SHOTS,
    validation: int = VALIDATION,
    test: int = TEST,
    drift: float = DRIFT,
) -> Plan:
    """The quantum router of suite `quick` under every treatment on each target.

    targets: specs between blanks. drift: the spread of the logarithm of every error rate between
    calibrations A and B.
    """
    for value, what in ((shots, "shots"), (validation, "inputs"), (test, "inputs")):
        whole(value, what, 1)
    of = cell(setup, MOONS[0], quantum(2))
    options = {"shots": shots, "validation": validation, "test": test, "drift": drift}
    return Plan(
        "device",
        (of,),
        tuple(
            Measurement("hardware_runs.studies.device:on_device", {"target": spec, **options}, of)
            if absent(spec) is None
            else Measurement("hardware_runs.studies.device:left_out", {"target": spec})
            for spec in targets.split()
        ),
    )


def left_out(*, target: str) -> tuple[Figure, ...]:
    """A target that cannot run here: an accuracy without a value, with what to install."""
    return (plain("device accuracy", {"target": target}, None, f"not run: {absent(target)}"),)


def on_device(
    *,
    cell: Cell,
    result: CellResult,
    target: str,
    shots: int,
    validation: int,
    test: int,
    drift: float,
) -> tuple[Figure, ...]:
    """What the routers of all seeds do on a target under every treatment.

    Figures, each with one value per seed: accuracy, routing retention, total variation to the
    ideal router and top-1 agreement by treatment and part; then shots, circuits and gamma of each
    treatment, the recommendation by accuracy and by total variation, and the verdict.
    """
    inner = Remembered(load(target))
    now, later = Disturbed(inner, ()), Disturbed(inner, (Drift(drift, cell.root),))
    routers = checkpoints(retrained(cell, result))
    compiled = inner.compile(routers[0].routed.circuit)  # weights free: one for all
    fitted = train_for(cell, result, compiled)
    parts = (
        Part("validation", "A", now, validation),
        Part("test", f"B: drift {drift:g}", later, test),
    )
    found: dict[tuple[str, str], list[Seen]] = {}
    for seed, clean, trained in zip(result.seeds, routers, fitted, strict=True):
        for k, treatment in enumerate(TREATMENTS):
            setting = Setting(compiled, treatment, shots, (cell.root, seed, k))
            for part, seen in both(setting, parts, clean, trained):
                found.setdefault((part.name, treatment.name), []).append(seen)
    labels: dict[str, Scalar] = {
        "target": target,
        "router": result.router,
        "dataset": result.dataset,
        "shots": shots,
    }
    return tuple(_figures(labels, parts, found))


_NAMES = {
    "device accuracy": "accuracy",
    "device retention": "retention",
    "device total variation": "distance",
    "device top-1 agreement": "agreement",
    "clipped by projection": "clipped",
}


def _figures(
    labels: Mapping[str, Scalar],
    parts: Sequence[Part],
    found: Mapping[tuple[str, str], Sequence[Seen]],
) -> Iterator[Figure]:
    for part in parts:
        where = {**labels, "part": part.name, "calibration": part.calibration}
        where["inputs"] = part.inputs
        for treatment in TREATMENTS:
            seen = found[part.name, treatment.name]
            own = {**where, "treatment": treatment.name}
            for name, field in _NAMES.items():
                limits = (-math.inf, math.inf) if field == "retention" else ACCURACY_RANGE
                yield over_seeds(name, own, [getattr(one, field) for one in seen], limits=limits)
        raw = found[part.name, RAW]
        exact = [one.exact for one in raw]
        yield over_seeds("exact accuracy", where, exact, limits=ACCURACY_RANGE)
        yield over_seeds("device shot floor", where, [one.floor for one in raw])
    for treatment in TREATMENTS:
        spent = found["test", treatment.name][0].overhead
        own = {**labels, "treatment": treatment.name}
        yield plain("treatment circuits", own, spent.circuits)
        yield plain("treatment shots", own, spent.shots)
        yield plain("treatment gamma", own, spent.gamma)
    yield from _recommended(labels, found)
    yield _verdict(labels, found["test", RAW])


def _recommended(
    labels: Mapping[str, Scalar], found: Mapping[tuple[str, str], Sequence[Seen]]
) -> Iterator[Figure]:
    real = [one for one in TREATMENTS if one.real]
    # a distance to its own ideal compares treatments of one and the same router
    same = [one for one in real if not (one.trained or one.refitted)]
    for merit, field, among in (("accuracy", "accuracy", real), ("distance", "distance", same)):
        values = [
            {t.name: [getattr(one, field) for one in found[part, t.name]] for t in among}
            for part in ("validation", "test")
        ]
        best = recommend(*values, lower_is_better=field == "distance")
        note = f"{best.treatment}: {best.reason}"
        yield scored("recommendation", {**labels, "by": merit}, best.difference, note=note)


def _verdict(labels: Mapping[str, Scalar], raw: Sequence[Seen]) -> Figure:
    """Whether the target, untreated, answers as well as the exact router on the same inputs."""
    a, b = (np.array([getattr(one, name) for one in raw]) for name in ("accuracy", "exact"))
    (word,) = judge([Sample(str(labels["target"]), a, b, "new data + new init", tuned=True)])
    note = f"{word.word} ({100 * word.level:.4g} % interval, margin {word.margin:g})"
    return scored("device minus exact accuracy", labels, word.difference, note=note)
