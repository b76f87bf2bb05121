"""Claims about numbers: a calculation or a count decides, read from stored figures."""

from __future__ import annotations

from collections import defaultdict

from qmoe.claims.claim import Claim, Counted, NotStoredError
from qmoe.evidence import Evidence

PUBLISHED_ETA = {"quantum": 7.14, "classical": 2.79}
HALF_A_DIGIT = 0.005


def eta(evidence: Evidence, claim: Claim) -> Counted:
    """C3: whether one reading of accuracy / log(1 + P) gives both published figures.

    A reading is a base of the logarithm and a unit of the accuracy, with the accuracies and
    parameters that were published beside the two figures.
    """
    readings: dict[tuple[str, str], dict[str, float]] = defaultdict(dict)
    for figure in evidence.figures_named("eta by the stated formula"):
        if figure.value is not None:
            reading = str(figure.labels.get("base")), str(figure.labels.get("accuracy in"))
            readings[reading][str(figure.labels.get("router"))] = figure.value
    whole = {key: found for key, found in readings.items() if found.keys() == PUBLISHED_ETA.keys()}
    if not whole:
        raise NotStoredError("readings of eta")

    def missed(reading: tuple[str, str]) -> float:
        return max(abs(whole[reading][name] - value) for name, value in PUBLISHED_ETA.items())

    nearest = min(whole, key=missed)
    agree = sum(missed(reading) <= HALF_A_DIGIT for reading in whole)
    base, unit = nearest
    return Counted(
        (agree > 0,),
        (
            f"nearest of {len(whole)} readings, base {base} and accuracy in {unit}: "
            f"{whole[nearest]['quantum']:.2f} against {whole[nearest]['classical']:.2f}",
        ),
        f"{agree} of {len(whole)} readings of the formula, with the accuracies and parameters "
        "published beside them, give both figures.",
    )


def adjoint_passes(evidence: Evidence, claim: Claim) -> Counted:
    """C9: whether the adjoint gradient's passes over the circuit do not grow with P."""
    passes: dict[int, float] = {}
    for figure in evidence.figures_named("passes per gradient"):
        parameters = figure.labels.get("parameters")
        if figure.labels.get("method") != "adjoint" or figure.value is None:
            continue
        if isinstance(parameters, int):
            passes[parameters] = figure.value
    if len(passes) < 2:
        raise NotStoredError("gradient costs at two numbers of parameters or more")
    constant = len(set(passes.values())) == 1
    text = ", ".join(f"P = {p}: {passes[p]:g}" for p in sorted(passes))
    return Counted(
        (constant,),
        (f"passes over the circuit for one adjoint gradient of one input: {text}",),
        f"From P = {min(passes)} to {max(passes)} the number of passes "
        f"{'stays the same' if constant else 'changes'}; each pass applies every gate, so that "
        "the work grows with the circuit, and the method needs the simulated state, which a "
        "device does not give.",
    )
