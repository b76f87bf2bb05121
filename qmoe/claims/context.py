"""What stands beside a verdict: exploratory figures, which get no verdict word.

Intervals are at 95 %, not corrected for their number.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

from qmoe.cell import CellResult
from qmoe.claims.claim import MOONS, Claim, Context, NotStoredError, Pair
from qmoe.claims.compared import (
    HORIZON,
    accuracy,
    both,
    named,
    one,
    paired,
    steps_to_target,
    unequal,
)
from qmoe.columns import QUANTUM
from qmoe.eta import STATED, efficiencies
from qmoe.evidence import Evidence
from qmoe.figure import Figure
from qmoe.metrics import ACCURACY_RANGE, mean_score, paired_difference
from qmoe.record import Scalar
from qmoe.stats import BestControl, best_control
from qmoe.survival import time_to_target

_NO_CONTROL = (QUANTUM, "ceiling", "single")


def best_controls(evidence: Evidence, claim: Claim) -> Sequence[str]:
    """The first router of each data set against the control that validation chose per seed."""
    return tuple(_best_controls(evidence, claim))


def _best_controls(evidence: Evidence, claim: Claim) -> Iterator[str]:
    for pair in {pair.dataset: pair for pair in claim.pairs}.values():
        try:
            router = one(evidence, claim, pair.dataset, pair.router)
        except NotStoredError:
            continue
        best = best_of(evidence, router)
        if best is None:
            continue
        difference = paired_difference(router.accuracy, best.test, overlap=router.overlap)
        score = mean_score(best.test, limits=ACCURACY_RANGE, overlap=router.overlap)
        often = sorted(best.often.items(), key=lambda item: -item[1])
        names = ", ".join(f"{name} {count} times" for name, count in often if count)
        yield (
            f"{pair.dataset}: best of {len(best.often)} controls, chosen on validation per seed "
            f"({names}) {score}; {pair.router} minus it {difference:+.3f}"
        )


def best_of(evidence: Evidence, router: CellResult) -> BestControl | None:
    """The controls of a router, chosen from on validation per seed; None where there are none."""
    controls = {r.router: r for r in _like(evidence, router) if _is_control(r)}
    if not controls:
        return None
    return best_control(
        {name: r.validation_accuracy for name, r in controls.items()},
        {name: r.accuracy for name, r in controls.items()},
        {name: r.router_parameters for name, r in controls.items()},
    )


def against(*controls: str) -> Context:
    """The first router of each data set against further controls."""

    def lines(evidence: Evidence, claim: Claim) -> Sequence[str]:
        found = []
        for control in controls:
            for pair in {pair.dataset: pair for pair in claim.pairs}.values():
                try:
                    a, b = both(evidence, claim, Pair(pair.dataset, pair.router, control))
                except NotStoredError:
                    continue
                found.append(_difference(pair.dataset, a, b))
        return found

    return lines


def smallest_mlp(evidence: Evidence, claim: Claim) -> Sequence[str]:
    """The smallest MLP router that the router under test is not shown to be better than."""
    found = []
    for pair in claim.pairs:
        try:
            router = one(evidence, claim, pair.dataset, pair.router)
        except NotStoredError:
            continue
        deep = [r for r in _like(evidence, router) if r.family == "mlp"]
        for mlp in sorted(deep, key=lambda r: r.router_parameters):
            ratio = mlp.router_parameters / router.router_parameters
            difference = paired_difference(router.accuracy, mlp.accuracy, overlap=router.overlap)
            if difference.low <= 0:
                found.append(
                    f"smallest of {len(deep)} MLP routers not below {router.router}, "
                    f"{ratio:.3g} times its parameters: {_difference(pair.dataset, router, mlp)}"
                )
                break
    return found


def published_protocol(evidence: Evidence, claim: Claim) -> Sequence[str]:
    """The published protocol, repeated: accuracy on the training data, two experts."""
    found = [r for r in evidence.results if r.protocol == "notebook"]
    if not found:
        return ()
    order = sorted(found, key=lambda r: (r.router_parameters, r.router))
    scores = ", ".join(f"{named(r.router, r.router_parameters)} {accuracy(r)}" for r in order)
    return (f"published protocol, accuracy on the training data, 2 experts: {scores}",)


def measured_eta(evidence: Evidence, claim: Claim) -> Sequence[str]:
    """Accuracy / ln(1 + router parameters) as measured, and the readings that turn the order."""
    found = []
    for dataset in MOONS:
        cells = []
        for name in ("quantum L=2", "linear", "constant"):
            with suppress(NotStoredError):
                cells.append(one(evidence, claim, dataset, name))
        etas = [e for e in efficiencies(cells) if e.router == "quantum L=2" and e.eta is not None]
        other = {e.reading: e for e in efficiencies(cells) if e.router == "linear"}
        if not etas or not other:
            continue
        stated = next(e for e in etas if e.reading == STATED)
        turned = [" / ".join(e.reading) for e in etas if "linear" in e.flipped]
        found.append(
            f"{dataset}: accuracy / ln(1 + P) of quantum L=2 (P = {stated.parameters}) "
            f"{stated.eta} against linear (P = {other[STATED].parameters}) {other[STATED].eta}; "
            f"the order turns in {len(turned)} of {len(etas)} readings"
            + (f": {', '.join(turned)}" if turned else "")
        )
    return found


def never_there(*others: str) -> Context:
    """Of each router and some others: mean and median step, and how many seeds never arrive."""

    def lines(evidence: Evidence, claim: Claim) -> Sequence[str]:
        sets = dict.fromkeys(pair.dataset for pair in claim.pairs)
        further = ((dataset, name) for dataset in sets for name in others)
        found = []
        for dataset, name in (*_routers(claim), *further):
            try:
                times = steps_to_target(one(evidence, claim, dataset, name))
            except NotStoredError:
                continue
            arrived = time_to_target(times, float(HORIZON))
            found.append(
                f"{dataset}: {name} mean {arrived.restricted:.1f} steps, "
                f"median {arrived.median:g}; share of seeds that never arrive {arrived.never}"
            )
        return found

    return lines


def failures(evidence: Evidence, claim: Claim) -> Sequence[str]:
    """The share of all trials near chance, and of chosen models with a sign of failure."""
    from qmoe.studies.trainability import failure_shares

    found: list[Figure] = []
    for dataset, name in _routers(claim):
        try:
            found += failure_shares([one(evidence, claim, dataset, name)])
        except NotStoredError:
            continue
    return [
        f"{f.labels['dataset']}: {f.labels['router']} {f.name} {_value(f)}"
        for f in found
        if "chance" in f.name
    ]


def figures(name: str, **labels: Scalar) -> Context:
    """Every stored figure of a name and these labels, on one line."""

    def lines(evidence: Evidence, claim: Claim) -> Sequence[str]:
        found = [f for f in evidence.figures_named(name) if labels.items() <= f.labels.items()]
        return [_together(found)] if found else []

    return lines


def _together(found: Sequence[Figure]) -> str:
    """Figures of one name: labels that all share are said once."""
    first = found[0]
    shared = {
        key: value
        for key, value in first.labels.items()
        if all(f.labels.get(key, f) == value for f in found)
    }
    notes = {f.note for f in found}
    once = [*([first.note] if len(notes) == 1 and first.note else []), *_labels(shared)]
    values = []
    for f in found:
        own = ", ".join(_labels({k: v for k, v in f.labels.items() if k not in shared}))
        note = f" ({f.note})" if len(notes) > 1 and f.note else ""
        values.append((f"{own}: " if own else "") + _value(f) + note)
    about = f" ({', '.join(once)})" if once else ""
    return f"{first.name}{about}: {'; '.join(values)}"


def _labels(labels: Mapping[str, Scalar]) -> list[str]:
    return [f"{key} {value}" for key, value in labels.items()]


def _value(figure: Figure) -> str:
    """A figure with its interval and unit."""
    text = "none" if figure.value is None else f"{figure.value:.4g}"
    if figure.low is not None and figure.high is not None:
        text += f" [{figure.low:.4g}, {figure.high:.4g}]"
    return f"{text} {figure.unit}".rstrip()


def _routers(claim: Claim) -> tuple[tuple[str, str], ...]:
    """Every data set and router of a claim's pairs once."""
    sides = ((p.dataset, name) for p in claim.pairs for name in (p.router, p.control))
    return tuple(dict.fromkeys(sides))


def _difference(dataset: str, a: CellResult, b: CellResult) -> str:
    difference = paired_difference(a.accuracy, b.accuracy, overlap=a.overlap)
    first, second = (f"{named(r.router, r.router_parameters)} {accuracy(r)}" for r in (a, b))
    return f"{dataset}: {first} against {second}: difference {difference:+.3f}"


def _like(evidence: Evidence, router: CellResult) -> Iterator[CellResult]:
    """Cells that could stand in a comparison with a router: same data, experts and budget."""
    for r in evidence.results:
        same = (r.experts, r.protocol, r.cell.get("pca")) == (
            *(router.experts, router.protocol),
            router.cell.get("pca"),
        )
        if same and paired(r, router) and not unequal(r, router):
            yield r


def _is_control(result: CellResult) -> bool:
    # a quantum router trained in a subspace is still one
    return result.family not in _NO_CONTROL and " of quantum" not in result.router
