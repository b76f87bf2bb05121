"""Study `images`: two pairs of image classes at eight principal components (claim C11).

MNIST 0/1 is the published pair. Of Fashion-MNIST it is T-shirt/top against shirt, registered
before any result: the two classes that are hardest to tell apart, where a router can make a
difference, as trousers against boots leave none to make.
"""

from __future__ import annotations

import numpy as np

from qmoe.ceilings import fit_svc
from qmoe.data import DataSpec, Prepared, pool, prepared
from qmoe.figure import Figure, Measurement
from qmoe.images import IMAGE_SETS, find, read
from qmoe.metrics import ACCURACY_RANGE, mean_score, paired_difference
from qmoe.plan import Plan
from qmoe.studies.families import (
    CONSTANT,
    LINEAR,
    PRODUCT,
    TRIG,
    Family,
    cell,
    mlp,
    quantum,
)
from qmoe.studies.figures import Labels, scored
from qmoe.suite import Setup
from qmoe.train import TrainConfig

SETS = (DataSpec("mnist", classes=(0, 1)), DataSpec("fashion-mnist", classes=(0, 6)))
COMPONENTS = 8
SEEDS = 10
CONFIG = TrainConfig(epochs=20, batch_size=100, evaluate_every=2, dtype="float32")

# Not `dephased`: on a batch of eight features it trains seven times as long as the quantum router,
# and what interference adds is judged on moons.
FAMILIES: tuple[Family, ...] = (
    *(quantum(layers) for layers in (2, 4)),
    *(LINEAR, mlp(16), TRIG, PRODUCT, CONSTANT),
)
# degree 2 would be 5^8 = 390,625 products, far beyond the 20,000 that are written out
LOW_RANK: Family = ("low-rank-trig", {"degree": 2, "rank": 8})


def images(setup: Setup) -> Plan:
    """Quantum and classical routers and ceilings on both pairs, and what PCA alone loses.

    Raises:
        InputError: A set that is not on this machine.
    """
    for data in SETS:
        _check_presence(data)
    few = Setup(setup.root, setup.seeds[:SEEDS], setup.trials)
    common = {"config": CONFIG, "pca": COMPONENTS}
    alone = {"experts": 1, "expert_hidden": 16, "label": "MLP alone h=16", "family": "ceiling"}
    made = []
    for data in SETS:
        made += [cell(few, data, family, **common) for family in FAMILIES]
        approximation = "low-rank trig D=2 r=8 (approximation)"
        made += [
            cell(few, data, LOW_RANK, label=approximation, **common),
            cell(few, data, CONSTANT, **alone, **common),
            cell(few, data, ("svc-rbf", {}), experts=1, **common),
        ]
    lost = tuple(
        Measurement(
            "qmoe.studies.images:pca_loss",
            {"data": str(data), "seeds": len(few.seeds), "root": setup.root},
        )
        for data in SETS
    )
    return Plan("images", tuple(made), lost)


def _check_presence(data: DataSpec) -> None:
    """Fails before anything is trained, with what `read` says of a set that is not there."""
    if find(IMAGE_SETS[data.name]) is None:
        read(IMAGE_SETS[data.name])


def pca_loss(
    data: str, *, components: int = COMPONENTS, seeds: int = SEEDS, root: int = 0
) -> tuple[Figure, ...]:
    """The accuracy that PCA alone loses: one classifier on all pixels and on the components.

    An RBF support vector classifier at its defaults on standardised features, with the splits of
    the study; the intervals are corrected for splits that overlap.
    """
    spec = DataSpec.parse(data)
    source = pool(spec)
    found: dict[int | None, list[float]] = {None: [], components: []}
    overlap = 0.0
    for seed in range(seeds):
        for pca, accuracies in found.items():
            part = prepared(source, "standard", pca, root=root, seed=seed)
            accuracies.append(_svc_accuracy(part))
            overlap = len(part.y_test) / len(part.y_train)
    whole, reduced = (np.array(accuracies) for accuracies in found.values())
    labels: Labels = {"data": str(spec), "classifier": "RBF support vectors"}
    return (
        *(
            scored(
                "accuracy without a router",
                {**labels, "features": features},
                mean_score(values, limits=ACCURACY_RANGE, overlap=overlap),
            )
            for features, values in (("all pixels", whole), (f"{components} components", reduced))
        ),
        scored(
            "accuracy lost by PCA",
            {**labels, "components": components},
            paired_difference(whole, reduced, overlap=overlap),
        ),
    )


def _svc_accuracy(part: Prepared) -> float:
    machine = fit_svc(part.X_train, part.y_train, kernel="rbf")
    return float((machine.predict(part.X_test) == part.y_test).mean())
