"""Models and data that the tests of training share."""

from __future__ import annotations

import numpy as np
import torch

from qmoe.epochs import Examples
from qmoe.moe import MixtureOfExperts
from qmoe.spec import ModelSpec
from qmoe.train import TrainConfig, examples

SPECS = {
    "quantum": ModelSpec("quantum", 2, 2),
    "quantum temperature": ModelSpec("quantum", 2, 2, gate="temperature", load_balance=0.1),
    "reupload": ModelSpec("quantum", 2, 2, options={"ansatz": "reupload"}, top_k=2),
    "notebook z": ModelSpec("quantum", 2, 2, 2, {"ansatz": "notebook", "readout": "z"}),
    "mlp": ModelSpec("mlp", 2, 2, options={"hidden": 4}),
    "product": ModelSpec("product", 2, 2),
    "dephased": ModelSpec("dephased", 2, 2),
}


def small(seeds: int, rows: int, config: TrainConfig, seed: int = 0) -> Examples:
    """Random features and labels."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(0, np.pi, size=(seeds, 2, rows))
    return examples(x, (x[:, 0] > x[:, 1]).astype(np.int64), config)


def part(data: Examples, seed: int) -> Examples:
    return Examples(data.features[seed : seed + 1], data.labels[seed : seed + 1])


def same_model(
    model: MixtureOfExperts, mine: torch.Tensor, other: torch.Tensor, features: torch.Tensor
) -> None:
    """Whether two trained models say the same, to 1e-10.

    The weights themselves only to 1e-8: where one has no effect its gradient is rounding, around
    1e-17, which Adam divides by its eps of 1e-8 and so walks by 5e-11 a step.
    """
    for a, b in zip(
        *(model.output(w, model.prepare(features)) for w in (mine, other)), strict=True
    ):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-10)
    torch.testing.assert_close(mine, other, rtol=0, atol=1e-8)
