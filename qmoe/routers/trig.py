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
from qmoe.routers import dense
from qmoe.routers.base import Cost, Counts, Emits, uniform
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


def harmonics(
    features: Float[Tensor, "s feature batch"], degree: int
) -> Float[Tensor, "s feature part batch"]:
    """(1, cos x, sin x, ..., cos Dx, sin Dx) of every feature by itself."""
    parts = [torch.ones_like(features)]
    for k in range(1, degree + 1):
        parts += [(k * features).cos(), (k * features).sin()]
    return torch.stack(parts, 2)


def trig_rows(
    features: Float[Tensor, "s feature batch"], degree: int
) -> Float[Tensor, "s row batch"]:
    """Products over the features of (1, cos x, sin x, ..., cos Dx, sin Dx), the last fastest."""
    parts = harmonics(features, degree)
    rows = parts[:, 0]
    for j in range(1, parts.shape[1]):
        rows = (rows.unsqueeze(2) * parts[:, j].unsqueeze(1)).flatten(1, 2)
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
        # every row but 1 and the plain cosines and sines is one product; the row 1 is a bias
        products = self.rows - 1 - 2 * self.degree * num_features
        self.cost = Cost(products + dense.multiply_adds(self.rows - 1, num_experts), 0)

    def init(self, rng: np.random.Generator, scale: float = 1.0) -> Float64[Floats, " weight"]:
        """Torch's default for a linear layer on these rows."""
        return scale * uniform(rng, self.rows, self.size)

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


class Grid:
    """The 2 D + 1 angles per feature at which a trigonometric polynomial of degree D is known.

    points: (1, feature, point), the last feature fastest.
    """

    def __init__(
        self, num_features: int, degree: int, dtype: torch.dtype, device: torch.device
    ) -> None:
        num_rows(num_features, degree)
        side = 2 * degree + 1
        self.shape = (side,) * num_features
        angles = torch.arange(side, dtype=dtype, device=device) * (2 * torch.pi / side)
        points = torch.cartesian_prod(*[angles] * num_features)
        self.points = points.reshape(-1, num_features).T.unsqueeze(0)
        self.inverse = torch.linalg.inv(trig_rows(angles.reshape(1, 1, -1), degree)[0].T)

    def coefficients(
        self, values: Float[Tensor, "seed expert point"]
    ) -> Float[Tensor, "seed expert row"]:
        """The table C with values = C @ trig_rows(points, D); autograd follows.

        Inverts the trigonometric basis one feature at a time (a discrete Fourier transform in
        real form).
        """
        table: Tensor = values.unflatten(2, self.shape)
        for _ in self.shape:  # the first feature's axis goes, its rows come last
            table = torch.tensordot(table, self.inverse, ([2], [1]))
        return table.flatten(2)


def extract(
    router: QuantumRouter, weights: Float[Tensor, "seed weight"]
) -> Float[Tensor, "seed expert row"]:
    """The coefficients C with router(weights, x) = C @ trig_rows(x, uploads(router)), exactly."""
    grid = Grid(router.num_features, uploads(router), weights.dtype, weights.device)
    return grid.coefficients(router(weights.detach(), grid.points))
