"""Study `efficiency`: quantum routers against others of the same size (claims C2, C3, C5, C8).

Subspace training gives a classical router exactly the 2, 4, 6 or 8 parameters that the quantum
one has with 1 to 4 layers; the MLPs show what more parameters buy. The published circuit and the
published MLP controls stand beside each other with two experts, as they were published.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from qmoe.eta import BASES, UNITS, eta
from qmoe.figure import Figure, Measurement
from qmoe.plan import Plan
from qmoe.studies.ablation import NOTEBOOK
from qmoe.studies.families import CONSTANT, LINEAR, MOONS, Family, cells, mlp, quantum
from qmoe.studies.figures import Labels, plain, scored
from qmoe.suite import Setup

LAYERS = (1, 2, 3, 4)
SUBSPACES_OF = ("linear", "mlp:hidden=16")
HIDDEN = (2, 4, 8, 16, 32, 64)

MATCHED: tuple[Family, ...] = tuple(
    # two qubits: two parameters per layer
    ("subspace", {"base": base, "dimension": 2 * layers})
    for layers in LAYERS
    for base in SUBSPACES_OF
)
SIZES: tuple[Family, ...] = (
    *(quantum(layers) for layers in LAYERS),
    *MATCHED,
    *(mlp(hidden) for hidden in HIDDEN),
    *(LINEAR, CONSTANT),
)
PUBLISHED: tuple[Family, ...] = (NOTEBOOK, mlp(2), mlp(4), LINEAR, CONSTANT)


def efficiency(setup: Setup) -> Plan:
    """Matched sizes of four experts, the published circuit with two, eta and expressivity."""
    made = (*cells(setup, MOONS, SIZES), *cells(setup, MOONS, PUBLISHED, experts=2))
    room = {"layers": list(LAYERS), "root": setup.root}
    measured = (
        Measurement("qmoe.studies.efficiency:eta_readings"),
        Measurement("qmoe.studies.efficiency:expressivity", room),
    )
    return Plan("efficiency", made, measured)


class _Published(NamedTuple):
    """A published eta, with the accuracy and the parameters published for it."""

    router: str
    eta: float
    accuracy: float
    parameters: int


CLAIMED: Final = (
    _Published("quantum", 7.14, 0.94, 24),
    _Published("classical", 2.79, 0.65, 12),
)
ACCURACIES: Final = (
    *(0.94, 0.65),  # the claim
    *(0.875, 0.882, 0.877, 0.991, 0.995, 0.996),  # the notebook: MLP routers and quantum
    *(1.0, 0.982, 0.989, 0.994, 0.986, 0.975),  # under noise
    *(0.9934, 0.9948),  # quantum experts on MNIST
)
"""Every accuracy in the paper and its notebooks."""
ROUTERS: Final = (
    *(2, 4, 6, 8),  # n x L on two qubits, L = 1 to 4; 6 is also the single linear map
    *(18, 24),  # the notebook's circuit, without and with its adapter; 24 is also n x L at L = 12
    *(12, 22, 42, 82, 162, 322),  # MLP routers of 2 to 64 hidden units
)
EXPERTS: Final = 12  # two linear maps of two features to two classes
TOLERANCE: Final = 0.005  # the published figures have two decimals


def eta_readings() -> tuple[Figure, ...]:
    """The published etas against what the stated formula gives, read in every way.

    Tried are all bases, fractions and percent, all published accuracies, and P as any published
    router or any such router with its two linear experts, whichever of them belong together.
    """
    return tuple(itertools.chain(_stated(), _searched(), _ratios()))


def _stated() -> Iterator[Figure]:
    """The formula with the very figures published beside it, and the P that it would take."""
    for claim, base, unit in itertools.product(CLAIMED, BASES, UNITS):
        accuracy = round(claim.accuracy * UNITS[unit], 6)
        labels: Labels = {"router": claim.router, "base": base, "accuracy in": unit}
        used = {**labels, "accuracy": accuracy, "parameters": claim.parameters}
        found, needed = eta(accuracy, claim.parameters, base), BASES[base] ** (accuracy / claim.eta)
        yield plain("eta by the stated formula", used, found, f"published: {claim.eta}")
        note = f"published: {claim.parameters}"
        yield plain("parameters that the published eta would take", labels, needed - 1, note)


def _searched() -> Iterator[Figure]:
    """The reading next to each published eta, and how many round to it."""
    counts = sorted({*ROUTERS, *(count + EXPERTS for count in ROUTERS)})
    for claim in CLAIMED:
        tried = [
            (eta(accuracy * UNITS[unit], count, base), accuracy, count, base, unit)
            for accuracy in ACCURACIES
            for count in counts
            for base in BASES
            for unit in UNITS
        ]
        found, accuracy, count, base, unit = min(tried, key=lambda row: abs(row[0] - claim.eta))
        hits = sum(abs(row[0] - claim.eta) <= TOLERANCE for row in tried)
        labels: Labels = {
            "router": claim.router,
            "base": base,
            "accuracy in": unit,
            "accuracy": round(accuracy * UNITS[unit], 6),
            "parameters": count,
        }
        note = f"published: {claim.eta}; {len(tried):,} readings tried"
        yield plain("eta of the closest reading", labels, found, note)
        counted: Labels = {"router": claim.router, "published": claim.eta, "readings": len(tried)}
        yield plain("readings within rounding of the published eta", counted, hits)


def _ratios() -> Iterator[Figure]:
    """Quantum over classical, which no base and no unit can change."""
    first, second = CLAIMED
    stated = eta(first.accuracy, first.parameters) / eta(second.accuracy, second.parameters)
    yield plain("ratio of the published etas", {}, first.eta / second.eta)
    note = "the same in every base and unit"
    yield plain("ratio of the etas by the stated formula", {}, stated, note)


def expressivity(
    layers: Sequence[int] = LAYERS, *, features: int = 2, experts: int = 4, root: int = 0
) -> tuple[Figure, ...]:
    """What layers add to the functions that a router can be, and to the states of its circuit."""
    from qmoe.expressivity import expressibility, function_space, real_limit

    out = []
    for depth in layers:
        space = function_space(features, depth, experts=experts, root=root)
        labels: Labels = {"layers": depth, "features": features, "experts": experts}
        found = expressibility(features, depth, root=root)
        real = f"uniform real states have {real_limit(features):.4f}"
        out += [
            plain("parameters", labels, space.parameters),
            plain("weights that count", labels, space.freedoms, "rank of the Jacobian"),
            plain("function-space dimension", labels, space.span, f"at most {space.most}"),
            scored(
                "divergence of the states from uniform ones",
                {"layers": depth, "qubits": features},
                found,
                unit="nat",
                note=f"expressibility, lower is more expressible; {real}",
            ),
        ]
    return tuple(out)
