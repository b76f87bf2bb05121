"""Study `interference`: what quantum amplitudes add to routing (claims C6, C7, C14).

The dephased circuit has the same weights and no interference, the unentangled one no
entanglement, the product router neither. The kernel of the embedding stands for itself in a
support vector classifier. C14 asks over four shapes of data whether the circuit untangles more
than a linear map does, of the features or of their trigonometric products.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qmoe.data import DataSpec, draw
from qmoe.figure import Figure, Measurement
from qmoe.plan import Plan
from qmoe.scaling import Scaler
from qmoe.seeds import stream
from qmoe.studies.families import (
    CONSTANT,
    LINEAR,
    MOONS,
    PRODUCT,
    TRIG,
    Family,
    cells,
    dephased,
    mlp,
    quantum,
)
from qmoe.studies.figures import Labels, plain
from qmoe.suite import Setup
from qmoe.trial import EMBEDDING_SCALES

LAYERS = (1, 2, 3, 4)
COHERENCE: tuple[Family, ...] = (
    *(quantum(layers) for layers in LAYERS),
    *(dephased(layers) for layers in LAYERS),
    PRODUCT,
    # further layers of it add nothing
    ("unentangled", {"layers": 2}),
)
KERNELS: tuple[Family, ...] = (("svc-product", {}), ("svc-rbf", {}))
SHAPES = (
    MOONS[0],
    DataSpec("circles"),
    DataSpec("rings", rings=3),
    DataSpec("spirals", arms=3),
)
UNTANGLING: tuple[Family, ...] = (quantum(2), LINEAR, TRIG, mlp(16), CONSTANT)

KERNEL_FEATURES = (2, 3, 4, 5, 6)


def interference(setup: Setup) -> Plan:
    """With and without interference on moons, the kernel by itself, and four shapes of data."""
    made = (
        *cells(setup, MOONS, COHERENCE),
        *cells(setup, MOONS, KERNELS, experts=1),
        *cells(setup, SHAPES, UNTANGLING),
    )
    measured = (
        Measurement(
            "qmoe.studies.interference:kernel_closed_form",
            {"layers": list(LAYERS), "root": setup.root},
        ),
        Measurement(
            "qmoe.studies.interference:kernel_dimension",
            {"features": list(KERNEL_FEATURES), "root": setup.root},
        ),
    )
    # moons with noise .1 are one of the shapes too
    return Plan("interference", tuple({cell.key: cell for cell in made}.values()), measured)


def kernel_closed_form(
    layers: Sequence[int] = LAYERS, *, qubits: int = 4, rows: int = 40, root: int = 0
) -> tuple[Figure, ...]:
    """The largest deviation of simulated state overlaps from the closed form, by depth.

    Weights and inputs are random: the overlap does not depend on the weights at all.
    """
    from qmoe.ansatz import paper
    from qmoe.kernels import overlap_kernel, product_kernel

    out = []
    for depth in layers:
        rng = stream(root, depth, "init")
        circuit = paper(qubits, depth)
        bound = circuit.bind_weights(rng.uniform(-np.pi, np.pi, circuit.num_weights))
        X, Z = rng.uniform(-np.pi, np.pi, (2, rows, qubits))
        off = np.abs(overlap_kernel(bound, X, Z) - product_kernel(X, Z)).max()
        out.append(
            plain(
                "largest deviation of simulated overlaps from the closed form",
                {"layers": depth, "qubits": qubits, "pairs": rows**2},
                off,
                "prod_j cos^2((x_j - z_j) / 2), whatever the weights",
            )
        )
    return tuple(out)


def kernel_dimension(
    features: Sequence[int] = KERNEL_FEATURES, *, rows: int = 500, root: int = 0
) -> tuple[Figure, ...]:
    """How large the kernel's space is, on moons by embedding scale and on random angles by size."""
    from qmoe.kernels import dimension

    moons = draw(MOONS[0], rows, stream(root, 0, "data")).X
    angles = Scaler.fit(moons, "[0, pi]").transform(moons).X
    cases = [(angles, scale, str(MOONS[0])) for scale in EMBEDDING_SCALES]
    for count in features:
        drawn = stream(root, count, "init").uniform(0, np.pi, (rows, count))
        cases.append((drawn, 1.0, "uniform in [0, pi]"))
    out = []
    for X, scale, source in cases:
        found = dimension(X, scale)
        labels: Labels = {
            "data": source,
            "features": X.shape[1],
            "embedding scale": scale,
            "rows": rows,
        }
        out += [
            plain("kernel feature dimension", labels, found.products, "3^d"),
            plain("kernel rank on the rows", labels, found.rank),
            plain("effective rank of the kernel", labels, found.effective, "participation ratio"),
        ]
    return tuple(out)
