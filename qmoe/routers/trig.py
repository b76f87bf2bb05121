"""The trig-product router: a softmax over the exact function space of a quantum router.

With D uploads of each feature, every outcome probability is a linear combination of products over
the features of {1, cos x, sin x, ..., cos D x, sin D x} (arXiv 2008.08605, arXiv 2206.11740):
(2 D + 1)^d rows. A router that is linear in these rows is the fair classical control, and
`extract` finds the combination that a given quantum router *is*.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

from qmoe.angles import whole
from qmoe.arrays import Floats
from qmoe.circuit import affine
from qmoe.errors import InputError
from qmoe.routers.base import Counts, Emits, uniform
from qmoe.routers.quantum import QuantumRouter

MOST_ROWS = 20_000


def num_rows(num_features: int, degree: int) -> int:
    """(2 D + 1)^d, refused above 20,000 with the count.

    >>> num_rows(2, 1)
    9
    """
    rows = int((2 * degree + 1) ** num_features)
    if rows > MOST_ROWS:
        digits = num_features * math.log10(2 * degree + 1)
        shown = f"{rows:,}" if digits < 15 else f"10^{digits:.0f}"
        raise InputError(
            got=f"{shown} trigonometric rows ({num_features} features of degree {degree})",
            expected=f"at most {MOST_ROWS:,}",
            do="reduce the features with PCA or the degree",
        )
    return rows


def trig_rows(
    features: Float[Tensor, "s feature batch"], degree: int
) -> Float[Tensor, "s row batch"]:
    """Products over the features of (1, cos x, sin x, ..., cos Dx, sin Dx), the last fastest."""
    rows = torch.ones_like(features[:, :1])
    for j in range(features.shape[1]):
        x = features[:, j : j + 1]
        parts = [torch.ones_like(x)]
        for k in range(1, degree + 1):
            parts += [(k * x).cos(), (k * x).sin()]
        rows = (rows.unsqueeze(2) * torch.cat(parts, 1).unsqueeze(1)).flatten(1, 2)
    return rows


class TrigRouter:
    """Logits that are linear in the trigonometric rows; `degree` is the number of uploads."""

    family = "trig-product"
    emits: Emits = "logits"
    warnings: tuple[str, ...] = ()

    def __init__(self, num_features: int, num_experts: int, *, degree: int = 1) -> None:
        self.degree = whole(degree, "degree", 1)
        self.rows = num_rows(num_features, self.degree)
        self.label = f"trig-product D={self.degree}"
        self.num_features, self.num_experts = num_features, num_experts
        self.size = num_experts * self.rows
        self.counts = Counts(self.size, self.size)

    def init(self, rng: np.random.Generator) -> Float64[Floats, " weight"]:
        """Torch's default for a linear layer on these rows."""
        return uniform(rng, self.rows, self.size)

    def __call__(
        self, weights: Float[Tensor, "seed weight"], features: Float[Tensor, "s feature batch"]
    ) -> Float[Tensor, "seed expert batch"]:
        """Logits."""
        return self.forward(weights, self.prepare(features))[0]

    def prepare(self, features: Float[Tensor, "s feature batch"]) -> Float[Tensor, "s row batch"]:
        """The trigonometric rows."""
        return trig_rows(features, self.degree)

    def forward(
        self, weights: Float[Tensor, "seed weight"], prepared: Float[Tensor, "s row batch"]
    ) -> tuple[Float[Tensor, "seed expert batch"], Tensor]:
        """Logits, and the rows."""
        matrix = weights.unflatten(1, (self.num_experts, self.rows))
        return torch.matmul(matrix, prepared[0] if len(prepared) == 1 else prepared), prepared

    def backward(
        self,
        weights: Float[Tensor, "seed weight"],
        saved: Tensor,
        grad: Float[Tensor, "seed expert batch"],
    ) -> Float[Tensor, "seed weight"]:
        """The gradient to the coefficients."""
        return torch.matmul(grad, (saved[0] if len(saved) == 1 else saved).mT).flatten(1)


def uploads(router: QuantumRouter) -> int:
    """How often the circuit embeds its most used feature.

    Raises:
        InputError: A feature scale that is no whole number, so that no finite degree holds it.
    """
    frequency = [0.0] * router.num_features
    for op in router.circuit.ops:
        for angle in op.angles:
            for i, scale in affine(angle).features.items():
                frequency[i] += abs(scale)
                if scale != round(scale):
                    raise InputError(
                        got=f"feature scale {scale}",
                        expected="a whole number",
                        do="extract from a router whose features are embedded unscaled",
                    )
    return max(1, *(round(f) for f in frequency))


def extract(
    router: QuantumRouter, weights: Float[Tensor, "seed weight"]
) -> Float[Tensor, "seed expert row"]:
    """The coefficients C with router(weights, x) = C @ trig_rows(x, uploads(router)), exactly.

    Evaluates the router on a grid of 2 D + 1 angles per feature and inverts the trigonometric
    basis one feature at a time (a discrete Fourier transform in real form).
    """
    degree, d = uploads(router), router.num_features
    num_rows(d, degree)
    side = 2 * degree + 1
    points = torch.arange(side, dtype=weights.dtype, device=weights.device) * (2 * torch.pi / side)
    grid = torch.cartesian_prod(*[points] * d).reshape(-1, d).T.unsqueeze(0)
    values = router(weights.detach(), grid)
    inverse = torch.linalg.inv(trig_rows(points.reshape(1, 1, -1), degree)[0].T)
    table: Tensor = values.unflatten(2, (side,) * d)
    for axis in range(2, 2 + d):
        table = torch.movedim(torch.tensordot(table, inverse, ([axis], [1])), -1, axis)
    return table.flatten(2)
