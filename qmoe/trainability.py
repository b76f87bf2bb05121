"""How large the gradient of a router circuit is at its initial weights, and how that falls with n.

A barren plateau (arXiv 1803.11173) is a variance of the gradient over initial weights that falls
exponentially with the number of qubits; which cost is measured decides it as much as the depth
does (arXiv 2001.00550). One number of qubits alone shows none.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Float64

from qmoe.angles import finite, whole
from qmoe.ansatz import build
from qmoe.arrays import Floats
from qmoe.errors import InputError, unknown
from qmoe.metrics import Score, mean_score
from qmoe.seeds import stream
from qmoe.simulate.program import Program

COSTS = ("outcome", "global", "local")


def gradient_variance(
    num_qubits: int,
    layers: int,
    *,
    ansatz: str = "paper",
    init_scale: float = 1.0,
    cost: str = "outcome",
    samples: int = 200,
    root: int = 0,
    level: float = 0.95,
) -> Score:
    """The variance over initial weights of d(cost) / d(first weight), with its interval.

    Args:
        num_qubits: Qubits, and features.
        layers: Layers of the ansatz.
        ansatz: A name of `qmoe.ansatz.ANSATZE`.
        init_scale: Weights are uniform in +-pi times this, as a quantum router's are.
        cost: "outcome": the probability of the first outcome of the first two qubits, as a router
            to four experts reads it; "global": that of all qubits in 0; "local": Z of qubit 0.
        samples: Draws of weights and input, at least 2.
        root: Root seed.
        level: Confidence level of the interval.

    Inputs are uniform over the circle. Negating all angles of the circuit that are not about z
    (or conjugating, for the first weight of `notebook`) turns the gradient's sign and no
    distribution, so its mean is 0 for every `init_scale`: the variance is the mean square.

    Raises:
        InputError: A size or scale out of range, or an unknown name.
    """
    found = gradients(
        num_qubits,
        layers,
        ansatz=ansatz,
        init_scale=init_scale,
        cost=cost,
        samples=samples,
        root=root,
    )
    return mean_square(found, level)


def mean_square(values: Float64[Floats, " sample"], level: float = 0.95) -> Score:
    """The mean of squares with its interval: Student's, carried over to the logarithm.

    By the delta method, as squares are skewed and their mean is never negative.
    """
    plain = mean_score(values**2, level)
    if plain.value == 0:
        return plain
    ratio = math.exp((plain.high - plain.value) / plain.value)
    return Score(plain.value, plain.value / ratio, plain.value * ratio)


def gradients(
    num_qubits: int,
    layers: int,
    *,
    ansatz: str,
    init_scale: float,
    cost: str,
    samples: int,
    root: int,
) -> Float64[Floats, " sample"]:
    """d(cost) / d(first weight) of each draw; arguments as for `gradient_variance`."""
    if cost not in COSTS:
        raise unknown("cost", cost, COSTS)
    if finite(init_scale, "init scale") <= 0:
        raise InputError(got=f"init scale {init_scale}", expected="> 0", do="raise it")
    whole(samples, "number of samples", 2)
    width = {"outcome": 2, "global": num_qubits, "local": 1}[cost]
    circuit = build(ansatz, num_qubits, layers, measured=range(min(width, num_qubits)))
    program = Program(circuit)
    # every n has a stream of its own, so that a fit over n sees independent figures
    angles = stream(root, num_qubits, "init").uniform(-np.pi, np.pi, (samples, circuit.num_weights))
    inputs = stream(root, num_qubits, "data").uniform(-np.pi, np.pi, (samples, num_qubits, 1))
    weights = torch.from_numpy(init_scale * angles)
    out, saved = program.forward(weights, program.prepare(torch.from_numpy(inputs)))
    slope = torch.zeros_like(out)
    slope[:, 0] = 1
    if cost == "local":
        slope[:, 1] = -1
    return program.backward(weights, saved, slope)[:, 0].numpy()


def decay_rate(variances: Mapping[int, Score], level: float = 0.95) -> Score:
    """How fast the variance falls per added qubit: r in variance ~ exp(-r n), natural units.

    The slope of a least-squares line through the logarithms, with its t interval from the
    residuals, which hold both sampling error and what is no exponential. Two numbers of qubits
    have no interval. A two-design loses a local observable's gradient at r = ln 2.

    Raises:
        ValueError: Fewer than two numbers of qubits, or a variance of 0.

    >>> f"{decay_rate({n: Score(2.0 ** -n, math.nan, math.nan) for n in (2, 4, 6)}):.3f}"
    '0.693 [0.693, 0.693]'
    """
    if len(variances) < 2 or any(not v.value > 0 for v in variances.values()):
        raise ValueError(f"got {dict(variances)}; expected two or more variances above 0")
    n = np.array(list(variances), dtype=np.float64)
    logs = np.log([v.value for v in variances.values()])
    spread = n - n.mean()
    slope = float(spread @ logs / (spread @ spread))
    freedom = len(n) - 2
    if freedom == 0:
        return Score(-slope, math.nan, math.nan)
    from scipy.special import stdtrit

    residuals = logs - logs.mean() - slope * spread
    error = math.sqrt(float(residuals @ residuals) / freedom / float(spread @ spread))
    half = float(stdtrit(freedom, 0.5 + level / 2)) * error
    return Score(-slope, -slope - half, -slope + half)
