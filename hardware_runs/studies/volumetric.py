"""Study `volumetric`: up to which width and depth a target carries router circuits.

Random weights and inputs in the routers' own ansatz, all qubits measured. What is left of a
circuit is 1 - TV(target, ideal) / TV(uniform, ideal): 1 on an ideal target, 0 where it answers as
even noise would, below 0 where worse. From 2/3 on a target is said to carry the width and depth;
the number is the convention of quantum volume (arXiv 1811.12926), where it bounds another share,
that of heavy outputs. Probabilities are exact, from the noise that the target states: no shots,
and nothing of what a calibration leaves out.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float64

from backends import load
from backends.registry import absent
from backends.twin import Twin
from qmoe.agreement import total_variation
from qmoe.angles import whole
from qmoe.ansatz import paper
from qmoe.arrays import Floats
from qmoe.errors import FitError, InputError
from qmoe.figure import Figure, Measurement
from qmoe.metrics import mean_score
from qmoe.plan import Plan
from qmoe.record import Scalar
from qmoe.studies.figures import plain, scored
from qmoe.suite import Setup

TARGETS = ("ibm:fake_boston", "braket:emulator", "cirq:willow_pink")
WIDTHS = (2, 3, 4, 5)
LAYERS = (1, 2, 4, 8, 16)
DRAWS = 10
INPUTS = 10


def volumetric(
    setup: Setup,
    *,
    targets: str = " ".join(TARGETS),
    widths: str = " ".join(map(str, WIDTHS)),
    layers: str = " ".join(map(str, LAYERS)),
    draws: int = DRAWS,
    inputs: int = INPUTS,
) -> Plan:
    """Every width with every number of layers on each target; lists stand between blanks.

    draws: of weights, uniform over the circle; the interval is over them. inputs: of every draw,
    uniform in [0, pi] as scaled features are.
    """
    options = {
        "widths": " ".join(map(str, _numbers(widths, "widths"))),
        "layers": " ".join(map(str, _numbers(layers, "layers"))),
        "draws": whole(draws, "draws", 1),
        "inputs": whole(inputs, "inputs", 1),
        "root": setup.root,
    }
    here = "hardware_runs.studies.volumetric"
    return Plan(
        "volumetric",
        measurements=tuple(
            Measurement(f"{here}:on_target", {"target": spec, **options})
            if absent(spec) is None
            else Measurement(f"{here}:left_out", {"target": spec})
            for spec in targets.split()
        ),
    )


def left_out(*, target: str) -> tuple[Figure, ...]:
    """A target that cannot run here: a share without a value, with what to install."""
    return (plain("carried", {"target": target}, None, f"not run: {absent(target)}"),)


def on_target(
    *, target: str, widths: str, layers: str, draws: int, inputs: int, root: int
) -> tuple[Figure, ...]:
    """What a target carries: the share that is left, and what it compiled, per width and layers.

    Figures: "carried", without a value and with the reason where a circuit does not fit;
    "volumetric depth" and "volumetric two-qubit gates" where it does. Weights and inputs are the
    same on every target.

    Raises:
        InputError: A target that is not there, or one that does not say what its noise is.
    """
    twin = Twin(load(target))
    return tuple(
        figure
        for width in _numbers(widths, "widths")
        for depth in _numbers(layers, "layers")
        for figure in _at(twin, width, depth, draws, inputs, root)
    )


def _at(
    twin: Twin, width: int, layers: int, draws: int, inputs: int, root: int
) -> Iterator[Figure]:
    import torch

    from qmoe.simulate import probabilities

    labels: dict[str, Scalar] = {
        "target": twin.inner.spec,
        "source": twin.source,
        "width": width,
        "layers": layers,
        "draws": draws,
        "inputs": inputs,
    }
    circuit = paper(width, layers)
    try:
        compiled = twin.compile(circuit)
    except FitError as error:
        yield plain("carried", labels, None, str(error))
        return
    rng = np.random.default_rng(np.random.SeedSequence(root, spawn_key=(width, layers)))
    weights = rng.uniform(-np.pi, np.pi, (draws, circuit.num_weights))
    features = rng.uniform(0, np.pi, (draws, inputs, width))
    found = twin.probabilities(compiled, features, weights)
    ideal = probabilities(circuit, torch.from_numpy(weights), torch.from_numpy(features)).numpy()
    shares = [carried(p, q) for p, q in zip(found, ideal, strict=True)]
    yield scored("carried", labels, mean_score(shares, limits=(-np.inf, 1.0)))
    yield plain("volumetric depth", labels, compiled.depth)
    yield plain("volumetric two-qubit gates", labels, compiled.two_qubit_gates)


def carried(found: Float64[Floats, "row outcome"], ideal: Float64[Floats, "row outcome"]) -> float:
    """1 - TV(found, ideal) / TV(uniform, ideal), of distances summed over inputs.

    Sums, because an input whose ideal distribution happens to be even would have any ratio.

    >>> carried(np.array([[0.75, 0.25]]), np.array([[1.0, 0.0]]))
    0.5
    """
    even = np.full_like(ideal, 1 / ideal.shape[1])
    return float(1 - total_variation(found, ideal).sum() / total_variation(even, ideal).sum())


def _numbers(text: str, what: str) -> tuple[int, ...]:
    """Whole numbers from 1 on, between blanks."""
    words = text.split()
    if not words or not all(word.isdecimal() and int(word) for word in words):
        raise InputError(
            got=f"{what} {text!r}",
            expected="whole numbers from 1 on, between blanks",
            do="write 2 3 4",
        )
    return tuple(map(int, words))
