"""Claims about noise: breakdown points and losses of accuracy, from stored figures by seed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from jaxtyping import Float64

from qmoe.arrays import Floats
from qmoe.breakdown import Breakdown, breakdown
from qmoe.cell import CellResult
from qmoe.claims.claim import MARGINS, MOONS, Claim, Counted, Metric, NotStoredError, Pair
from qmoe.claims.compared import Comparison, both, one, unequal
from qmoe.claims.context import best_of
from qmoe.evidence import Evidence
from qmoe.metrics import mean_score
from qmoe.record import Scalar
from qmoe.stats import FEWEST, Sample, judge

NAME: Final = "accuracy under noise"
REGISTERED: Final[Mapping[str, Scalar]] = {
    **{"placement": "gate", "convention": "pauli", "trained": "clean", "shots": 0},
    **{"circuit": "as written", "experts": "linear"},
}
"""The labels of the registered figures; the context changes one at a time."""
ROUTER, CONTROL = "quantum L=2", "linear"
QUANTUM_EXPERTS: Final = " quantum experts"
BREAKS, NEAR = 0.025, 2.0
"""The published breakdown point, and the factor within which an interval lies near it."""
LOST_AT: Final = 0.02
DIGITS: Final = 5
"""Of stored figures by seed."""


def curves(
    evidence: Evidence, dataset: str, router: str, **changes: Scalar
) -> dict[float, Float64[Floats, " seed"]]:
    """The accuracy of each seed by strength, with the registered labels but for the changes.

    Raises:
        NotStoredError: There are none, two that differ, or seeds without a figure.
    """
    labels = {**REGISTERED, "dataset": dataset, "router": router, **changes}
    found: dict[float, Float64[Floats, " seed"]] = {}
    for figure in evidence.figures_named(NAME):
        strength = figure.labels.get("strength")
        if not labels.items() <= figure.labels.items() or not isinstance(strength, int | float):
            continue
        values = [v for v in figure.per_seed if v is not None]
        each, at = np.array(values, dtype=np.float64), float(strength)
        if not values or len(values) < len(figure.per_seed):
            raise NotStoredError(f"{NAME} of every seed of {router} on {dataset}")
        if at in found and not np.array_equal(found[at], each):
            raise NotStoredError(f"one {NAME} {at:g} of {router} on {dataset} (there are several)")
        found[at] = each
    if not found or len({len(each) for each in found.values()}) > 1:
        told = "".join(f", {key} {value}" for key, value in changes.items())
        raise NotStoredError(f"{NAME} of {router} on {dataset}{told}")
    return dict(sorted(found.items()))


def broken(
    stored: Mapping[float, Float64[Floats, " seed"]], control: Float64[Floats, " control"]
) -> Breakdown:
    """The breakdown point of stored curves against a control without noise.

    Raises:
        NotStoredError: The curves do not begin at 0, or are of other seeds.
    """
    strengths = np.array(list(stored))
    accuracy = np.stack(list(stored.values()), axis=1)
    if len(strengths) < 2 or strengths[0] != 0 or len(accuracy) != len(control):
        raise NotStoredError(f"{NAME} from 0 upwards, of the seeds of the control")
    return breakdown(strengths, accuracy - np.round(control, DIGITS)[:, np.newaxis])


def tolerance(evidence: Evidence, claim: Claim) -> Counted:
    """C4: whether the advantage is there without noise and breaks down near the published strength.

    On each of the data sets that was measured (the first has to be), it speaks for the claim if
    the advantage breaks and the interval of the breakdown point holds .025 and lies within a
    factor of 2 of it; against it if there is no advantage at zero noise, or the interval excludes
    .025; everything else leaves it open.
    """
    agrees: list[bool | None] = []
    measured, reasons = [], []
    for dataset in MOONS:
        try:
            found, n, why = _registered(evidence, claim, dataset)
        except NotStoredError:
            if dataset == MOONS[0]:
                raise
            continue
        agrees.append(None if why else _near(found))
        measured.append(
            f"{dataset}, {n} seeds: {ROUTER} against {CONTROL}, noise after each gate, trained "
            f"without it, exact probabilities: {found.text}"
        )
        reasons.append(f"{dataset}: {why or found.word}")
    return Counted(
        tuple(agrees),
        tuple(measured),
        f"Predicted was a breakdown point near {BREAKS:g}; found were {'; '.join(reasons)}.",
    )


def _registered(evidence: Evidence, claim: Claim, dataset: str) -> tuple[Breakdown, int, str]:
    """The registered breakdown point, its number of seeds, and why it may not be judged."""
    a, b = both(evidence, claim, Pair(dataset, ROUTER, CONTROL))
    found = broken(curves(evidence, dataset, ROUTER), b.accuracy)
    n, fewest = len(b.seeds), FEWEST[b.population]
    few = f"{n} seeds, where {b.population!r} needs {fewest}" if n < fewest else ""
    return found, n, unequal(a, b) or few


def _near(found: Breakdown) -> bool | None:
    at = found.at
    if found.word == "no advantage at zero noise" or at.high < BREAKS:
        return False
    if at.low > BREAKS and found.up_to > BREAKS:
        return False
    breaks = found.word == "breaks at p [low, high]"
    near = BREAKS / NEAR <= at.low <= BREAKS <= at.high <= BREAKS * NEAR
    return True if breaks and near else None


def lost(evidence: Evidence, claim: Claim) -> tuple[Comparison, ...]:
    """The registered comparisons of accuracy lost between no noise and .02, one Holm family.

    Raises:
        NotStoredError: The evidence lacks a cell or its figures under noise.
    """
    metric: Metric = "accuracy lost to noise"
    sides, samples = [], []
    for pair in claim.losses:
        a, b = both(evidence, claim, pair)
        first, second = (_loss(evidence, pair.dataset, r) for r in (a, b))
        reason = unequal(a, b)
        sample = Sample(pair.name, first, second, a.population, not reason, a.overlap)
        sides.append((pair, a, b, reason))
        samples.append(sample)
    verdicts = judge(samples, MARGINS[metric])
    return tuple(
        Comparison(
            pair,
            metric,
            mean_score(sample.a, overlap=sample.overlap),
            mean_score(sample.b, overlap=sample.overlap),
            a.router_parameters,
            b.router_parameters,
            found.difference,
            replace(found, reason=reason or found.reason),
        )
        for (pair, a, b, reason), sample, found in zip(sides, samples, verdicts, strict=True)
    )


def _loss(evidence: Evidence, dataset: str, cell: CellResult) -> Float64[Floats, " seed"]:
    router = cell.router.removesuffix(QUANTUM_EXPERTS)
    experts = "linear" if router == cell.router else "quantum"
    stored = curves(evidence, dataset, router, experts=experts)
    if not {0.0, LOST_AT} <= stored.keys() or len(stored[0.0]) != len(cell.seeds):
        raise NotStoredError(f"{NAME} 0 and {LOST_AT:g} of {cell.router} on {dataset}")
    return np.asarray(stored[0.0] - stored[LOST_AT])


_CHANGES: Final[tuple[Mapping[str, Scalar], ...]] = (
    *({"placement": name} for name in ("wire", "layer", "end", "notebook")),
    *({"trained": name} for name in ("noise-aware", "temperature")),
    *({"shots": shots} for shots in (100, 1000, 4000)),
    *({"trained": name, "shots": 1000} for name in ("noise-aware", "temperature")),
    {"convention": "lambda"},
    {"circuit": "simplified"},
)
_VARIED: Final[tuple[tuple[str, Mapping[str, Scalar]], ...]] = (
    *((f"quantum L={layers}", {}) for layers in (1, 3, 4, 12)),
    *((ROUTER, changes) for changes in _CHANGES),
)


def tolerances(evidence: Evidence, claim: Claim) -> Sequence[str]:
    """Breakdown points beside the registered one, each with one thing changed."""
    return tuple(_tolerances(evidence, claim))


def _tolerances(evidence: Evidence, claim: Claim) -> Iterator[str]:
    for dataset in MOONS:
        try:
            control = one(evidence, claim, dataset, CONTROL)
            router = one(evidence, claim, dataset, ROUTER)
        except NotStoredError:
            continue
        best = best_of(evidence, router)
        wanted = [(CONTROL, control.accuracy, router, changes) for router, changes in _VARIED]
        if best is not None:
            name = "the best control, chosen on validation per seed"
            wanted.insert(0, (name, best.test, ROUTER, {}))
        for against, accuracy, name, changes in wanted:
            try:
                found = broken(curves(evidence, dataset, name, **changes), accuracy)
            except NotStoredError:
                continue
            told = "".join(f", {key} {value}" for key, value in changes.items())
            yield f"{dataset}: {name}{told} against {against}: {found.text}"
