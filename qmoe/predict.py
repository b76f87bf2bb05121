"""Prediction: what one trained model says of rows of scaled features."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Float64

from qmoe.arrays import Floats

if TYPE_CHECKING:
    from qmoe.moe import MixtureOfExperts

_ROWS = 4096  # evaluated at a time, which bounds the memory of wide circuits


class Answer(NamedTuple):
    """Class probabilities and gate weights of some rows; each row of either sums to 1."""

    probabilities: Float64[Floats, "row class"]
    gate_weights: Float64[Floats, "row expert"]


def evaluate(
    model: MixtureOfExperts,
    weights: Float64[Floats, " weight"],
    X: Float64[Floats, "row feature"],
) -> Answer:
    """The answer to rows of scaled features (radians), in double precision; at least one row."""
    import torch

    numbers = torch.tensor(weights).unsqueeze(0)
    probabilities, gates = [], []
    for i in range(0, len(X), _ROWS):
        features = torch.from_numpy(np.ascontiguousarray(X[i : i + _ROWS].T)).unsqueeze(0)
        out = model.output(numbers, model.prepare(features))
        probabilities.append(out.logits[0].softmax(0).T.numpy())
        gates.append(out.gate_weights[0].T.numpy())
    return Answer(np.concatenate(probabilities), np.concatenate(gates))
