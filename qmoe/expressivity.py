"""What a router circuit can express: which routing functions, and which states.

"Expressivity" has two readings. A router is a function from inputs to outcome distributions, and
the claim that more layers are more expressive is about these functions: `function_space` counts
their dimensions, exactly. In the literature on ansatz circuits the word is *expressibility*
(arXiv 1905.10876): how close the states over random weights come to uniform ones; it knows
neither inputs nor measurement, and stands beside the other for comparison.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float64

from qmoe.angles import affine, angle_of, whole
from qmoe.ansatz import build
from qmoe.arrays import Floats
from qmoe.circuit import Angle, Circuit
from qmoe.gradient_cost import shifted
from qmoe.metrics import Score, mean_score
from qmoe.routers.quantum import QuantumRouter
from qmoe.routers.trig import extract
from qmoe.seeds import stream
from qmoe.simulate.program import Program

NEGLIGIBLE = 1e-10  # singular values below this times the largest are rounding
BINS = 75  # as in arXiv 1905.10876


@dataclass(frozen=True, slots=True)
class FunctionSpace:
    """Dimensions of the functions from inputs to expert probabilities that a router can be.

    Attributes:
        layers: Circuit layers.
        parameters: Weights of the circuit.
        freedoms: Directions in which weights move the function at generic weights, the rank of
            its Jacobian: how many of the weights count.
        span: Dimension of the linear space that the functions of all weights span.
        most: The most that any circuit with these uploads could span: (E - 1) rows + 1, as
            probabilities sum to 1.
    """

    layers: int
    parameters: int
    freedoms: int
    span: int
    most: int


def function_space(
    num_features: int, layers: int, *, experts: int = 4, ansatz: str = "paper", root: int = 0
) -> FunctionSpace:
    """The dimensions by numerical rank of the exact trigonometric coefficients.

    Each function is a table of coefficients (`qmoe.routers.trig.extract`), so ranks of tables are
    ranks of functions. Weights are random: ranks there are the generic ones, which only a set of
    measure zero falls short of. One `paper` layer on two qubits already has every row in each of
    its outcomes; what further layers add is the ways in which outcomes hang together.

    Raises:
        InputError: A size out of range, an unknown ansatz, or more than 20,000 rows.
    """
    router = QuantumRouter(num_features, experts, layers=layers, ansatz=ansatz)
    angles = router.circuit.num_weights
    rng = stream(root, 0, "init")
    centre = router.init(rng)[:angles]
    up, down = _tables(router, shifted(centre)).reshape(2, angles, -1)
    rows = _tables(router, centre[None]).shape[1] // experts
    most = (experts - 1) * rows + 1
    anywhere = np.stack([router.init(rng) for _ in range(most)])
    return FunctionSpace(
        layers=layers,
        parameters=angles,
        freedoms=_rank(up - down),
        span=_rank(_tables(router, anywhere)),
        most=most,
    )


def expressibility(
    num_qubits: int,
    layers: int,
    *,
    ansatz: str = "paper",
    pairs: int = 5000,
    bins: int = BINS,
    root: int = 0,
    level: float = 0.95,
) -> Score:
    """KL divergence (nats) of the fidelities of random states from those of uniform ones.

    Lower is more expressible. Fidelities of `pairs` pairs of weight vectors, uniform over the
    circle, at input 0, in `bins` equal bins, against Haar's (N - 1) (1 - F)^(N - 2) with N = 2^n.
    The interval is Student's on the mean log ratio (delta method); the estimate stands too high
    by about (occupied bins - 1) / (2 pairs), as every plug-in entropy does. Circuits of real
    gates, such as `paper`, cannot come below `real_limit`.

    Raises:
        InputError: A size below 1, fewer than 2 pairs, or an unknown ansatz.
    """
    whole(bins, "number of bins", 1)
    found = fidelities(num_qubits, layers, ansatz=ansatz, pairs=pairs, root=root)
    index = np.minimum((found * bins).astype(np.int64), bins - 1)
    share = np.bincount(index, minlength=bins) / len(index)
    with np.errstate(divide="ignore"):
        ratio = np.log(share) - _log_haar(num_qubits, bins)
    return mean_score(ratio[index], level)


def fidelities(
    num_qubits: int, layers: int, *, ansatz: str, pairs: int, root: int
) -> Float64[Floats, " pair"]:
    """|<psi(a)|psi(b)>|^2 of pairs of random weights: P(0...0) after U(a), then U(b) undone."""
    whole(pairs, "number of pairs", 2)
    there = build(ansatz, num_qubits, layers)
    count = there.num_weights
    back = [
        replace(op, angles=tuple(_moved(a, count) for a in op.angles)) for op in there.inverse().ops
    ]
    both = Circuit(num_qubits, (*there.ops, *back), there.measured, there.num_features, 2 * count)
    program = Program(both)
    weights = torch.from_numpy(
        stream(root, num_qubits, "init").uniform(-np.pi, np.pi, (pairs, 2 * count))
    )
    zero = torch.zeros(1, num_qubits, 1, dtype=weights.dtype)
    found, _ = program.forward(weights, program.prepare(zero))
    return found[:, 0, 0].clamp(0, 1).numpy()


def real_limit(num_qubits: int, bins: int = BINS) -> float:
    """The divergence (nats) that uniform *real* states have: their F is Beta(1/2, (N - 1) / 2)."""
    from scipy.special import betainc

    edges = np.linspace(0, 1, whole(bins, "number of bins", 1) + 1)
    share = np.diff(betainc(0.5, (2**num_qubits - 1) / 2, edges))
    return float(share @ (np.log(share) - _log_haar(num_qubits, bins)))


def _log_haar(num_qubits: int, bins: int) -> Float64[Floats, " bin"]:
    """Logarithms of the shares of Haar-random pairs: from one bin's edge to the next.

    (1 - a)^d - (1 - b)^d with d = N - 1, in a form that does not vanish in the last bins.
    """
    below, above = np.arange(bins) / bins, np.arange(1, bins + 1) / bins
    power = 2**num_qubits - 1
    with np.errstate(divide="ignore"):
        gone = power * (np.log1p(-above) - np.log1p(-below))
    return np.asarray(power * np.log1p(-below) + np.log(-np.expm1(gone)))


def _tables(
    router: QuantumRouter, weights: Float64[Floats, "setting weight"]
) -> Float64[Floats, "setting entry"]:
    return extract(router, torch.from_numpy(weights)).flatten(1).numpy()


def _rank(matrix: Float64[Floats, "row column"]) -> int:
    values = np.linalg.svd(matrix, compute_uv=False)
    return int((values > NEGLIGIBLE * values[0]).sum())


def _moved(angle: Angle, by: int) -> Angle:
    """The angle with every weight's index raised."""
    part = affine(angle)
    raised = {index + by: scale for index, scale in part.weights.items()}
    return angle_of(part.features, raised, part.offset)
