"""Study `noise`: how much noise a router tolerates, by depth, placement and training (C4, C8, C12).

Strengths are per gate (per place, where a placement has other places). Each router is scored as it
was trained without noise (`clean`), as it was trained under each strength (`noise-aware`), and so
trained with a learned temperature, which is then fitted to outcomes of as many shots as it is
scored with (`temperature`): exact probabilities would let it undo almost any noise. Controls have
no noise, and stand beside them as ordinary cells on the same data and seeds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from qmoe.cell import Cell, CellResult
from qmoe.data import DataSpec
from qmoe.errors import unknown
from qmoe.figure import Figure, Measurement
from qmoe.metrics import ACCURACY_RANGE
from qmoe.plan import Plan
from qmoe.retrained import retrained
from qmoe.studies.ablation import NOTEBOOK
from qmoe.studies.families import (
    CONSTANT,
    LINEAR,
    MOONS,
    PRODUCT,
    TRIG,
    Family,
    cell,
    cells,
    mlp,
    quantum,
)
from qmoe.studies.figures import Labels, over_seeds
from qmoe.suite import Setup
from qmoe.tolerance import depolarizing, kept, under
from qmoe.train import TrainConfig
from qmoe.trial import Trial
from qmoe.tune import tune

STRENGTHS = (0.0, 0.005, 0.01, 0.02, 0.025, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2)
TUNED_AT = 0.02
LAYERS = (1, 2, 3, 4, 12)
PRIMARY = 2
"""The layers of the primary comparison, and of what is not done for all layers."""
PLACEMENTS = ("gate", "wire", "notebook")
ONLY_PRIMARY = ("layer", "end")
SHOTS = (100, 1000, 4000)
USUAL = 1000
TRAINED = ("clean", "noise-aware", "temperature")
CONTROLS: tuple[Family, ...] = (LINEAR, mlp(4), mlp(16), TRIG, PRODUCT, CONSTANT)

PUBLISHED: Mapping[float, float] = {
    **{0.0: 1.0, 0.02: 0.982, 0.05: 0.989, 0.1: 0.994, 0.15: 0.986, 0.2: 0.975}
}
"""Training accuracy by strength as published, one initialisation each."""
READINGS = {"notebook": "as coded", "gate": "as described"}
PUBLISHED_CONFIG = TrainConfig(epochs=20, batch_size=32, evaluate_every=20)


def noise(
    setup: Setup,
    *,
    layers: Sequence[int] = LAYERS,
    strengths: Sequence[float] = STRENGTHS,
    placements: Sequence[str] = (*PLACEMENTS, *ONLY_PRIMARY),
    shots: Sequence[int] = SHOTS,
    data: Sequence[DataSpec] = MOONS,
) -> Plan:
    """Controls, quantum routers tuned with and without noise, and what noise leaves of them.

    The first data set gets the whole grid, the others the primary comparison: two layers, noise
    after each gate.
    """
    first, *others = data
    measured: list[Measurement] = []
    for depth in layers:
        clean = cell(setup, first, quantum(depth))
        for placement in placements:
            if depth == PRIMARY or placement not in ONLY_PRIMARY:
                measured += _trainings(setup, clean, placement, strengths, shots)
        measured.append(_measured(clean, "clean", "gate", strengths, simplified=True))
    for each in others:
        measured += _trainings(setup, cell(setup, each, quantum(PRIMARY)), "gate", strengths, shots)
    primary = cell(setup, first, quantum(PRIMARY))
    measured.append(_measured(primary, "clean", "gate", strengths, convention="lambda"))
    whole = replace(primary, expert_kind="quantum", label=f"quantum L={PRIMARY} quantum experts")
    measured.append(_measured(whole, "clean", "gate", strengths))
    measured += (
        Measurement(
            "qmoe.studies.noise:published",
            {"placement": placement, "seeds": list(setup.seeds), "root": setup.root},
        )
        for placement in READINGS
    )
    made = (
        *cells(setup, data, CONTROLS),
        *cells(setup, (first,), (quantum(depth) for depth in layers)),
        *cells(setup, others, (quantum(PRIMARY),)),
    )
    return Plan("noise", made, tuple(measured))


def _trainings(
    setup: Setup,
    clean: Cell,
    placement: str,
    strengths: Sequence[float],
    shots: Sequence[int],
) -> Iterator[Measurement]:
    """One router under one placement, trained in three ways.

    Every number of shots with placement `gate`, and with two layers for those in full; elsewhere
    exact, and the usual number for the temperature. Training at strength 0 takes the clean cell's
    choice.
    """
    depth = clean.options["layers"]
    every = placement == "gate" or (depth == PRIMARY and placement not in ONLY_PRIMARY)
    at = cell(
        setup,
        clean.data,
        ("quantum", {**clean.options, "noise": depolarizing(placement, TUNED_AT)}),
        label=f"quantum L={depth} tuned at {placement} {TUNED_AT}",
    )
    more = {"regret": placement == "gate" and depth == PRIMARY}
    yield _measured(clean, "clean", placement, strengths, shots=shots if every else (), **more)
    without = [strength for strength in strengths if not strength]
    noisy = [strength for strength in strengths if strength]
    for trained in TRAINED[1:]:
        few = [count for count in shots if count == USUAL] if trained == "temperature" else []
        wanted = shots if every else few
        for of, part in ((clean, without), (at, noisy)):
            if part:
                yield _measured(of, trained, placement, part, shots=wanted, **more)


def _measured(
    of: Cell, trained: str, placement: str, strengths: Sequence[float], **options: Any
) -> Measurement:
    given = {"trained": trained, "placement": placement, "strengths": list(strengths), **options}
    if "shots" in given:
        given["shots"] = list(given["shots"])
    return Measurement("qmoe.studies.noise:under_noise", given, of)


def under_noise(
    *,
    cell: Cell,
    result: CellResult,
    trained: str,
    placement: str,
    strengths: Sequence[float],
    shots: Sequence[int] = (),
    convention: str = "pauli",
    simplified: bool = False,
    regret: bool = False,
) -> tuple[Figure, ...]:
    """Accuracy, routing retention and (if wanted) regret of a cell's chosen routers under noise.

    Scored on the test part, exact (label `shots` 0) and with each number of shots. Retention and
    regret are told exact, retention with the usual number of shots too where there is regret.
    The ideal router of a retention is run, and where training changes trained, without noise.

    Raises:
        InputError: An unknown training, placement or convention.
        QmoeError: Training did not repeat.
    """
    if trained not in TRAINED:
        raise unknown("training", trained, TRAINED)
    gate: dict[str, Any] = {"gate": "temperature"} if trained == "temperature" else {}
    models = retrained(cell, result, **under(cell, ""), **gate)
    ideal = None if trained == "clean" else kept(models, "")[0].accuracy
    labels: dict[str, Any] = {
        "dataset": str(cell.data),
        "router": f"quantum L={cell.options['layers']}",
        "layers": cell.options["layers"],
        "placement": placement,
        "convention": convention,
        "trained": trained,
        "circuit": "simplified" if simplified else "as written",
        "experts": cell.expert_kind,
    }
    out = []
    for strength in strengths:
        text = depolarizing(placement, strength, convention)
        if trained != "clean":
            models = retrained(cell, result, **under(cell, text), **gate)
        found = kept(models, text, shots, refit=trained == "temperature", simplified=simplified)
        for count, figures in found.items():
            each = figures if ideal is None else figures._replace(ideal=ideal)
            told: Labels = {**labels, "strength": strength, "shots": count}
            out.append(_figure("accuracy under noise", told, each.accuracy.tolist()))
            if count == 0 or (regret and count == USUAL):
                out.append(_figure("routing retention under noise", told, each.retention))
            if count == 0 and regret:
                out.append(_figure("regret under noise", told, each.regret))
    return tuple(out)


def published(
    *,
    placement: str,
    seeds: Sequence[int],
    root: int,
    strengths: Sequence[float] = tuple(PUBLISHED),
) -> tuple[Figure, ...]:
    """The published noise experiment, retrained at every strength, over many initialisations.

    Two experts, 20 epochs in batches of 32, accuracy on the training data. Placement `notebook`
    is what the code does, `gate` what the text says.
    """
    name, options = NOTEBOOK
    out = []
    for strength in strengths:
        text = depolarizing(placement, strength)
        made = Cell(
            MOONS[0],
            name,
            {**options, "noise": text} if text else options,
            experts=2,
            trials=(Trial(learning_rate=0.05),),
            seeds=tuple(seeds),
            root=root,
            protocol="notebook",
            config=PUBLISHED_CONFIG,
        )
        labels: Labels = {
            "router": "quantum notebook L=3 z",
            "reading": READINGS[placement],
            "placement": placement,
            "strength": strength,
        }
        note = f"published: {PUBLISHED[strength]:.3f}" if strength in PUBLISHED else ""
        found = tune(made).accuracy.tolist()
        out.append(_figure("training accuracy under noise", labels, found, note))
    return tuple(out)


def _figure(name: str, labels: Labels, per_seed: Sequence[float | None], note: str = "") -> Figure:
    retained = name.startswith("routing retention")
    limits = (-math.inf, math.inf) if retained else ACCURACY_RANGE
    return over_seeds(name, labels, per_seed, note=note, limits=limits)
