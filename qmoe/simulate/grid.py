"""Outcome probabilities as trigonometric polynomials in the features, exactly.

A feature that turns qubits F times over (uses times scale) enters every outcome probability as a
trigonometric polynomial of degree F (arXiv 2008.08605). Its values on 2F + 1 points per feature
give all coefficients; after that an input costs one product, whatever the circuit is.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import cache

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from qmoe.arrays import Floats
from qmoe.simulate.factors import Fixed, Turn

Degrees = dict[int, int]


def degrees(body: Iterable[Fixed | Turn]) -> Degrees | None:
    """The degree in each feature that occurs; None where a scale is no whole number."""
    total: dict[int, float] = {}
    for factor in body:
        if isinstance(factor, Turn) and factor.of_features:
            for index, scale in factor.scales.items():
                if not float(scale).is_integer():
                    return None
                total[index] = total.get(index, 0) + abs(scale)
    return {index: int(degree) for index, degree in sorted(total.items())}


def size(degree: Degrees) -> int:
    """How many points the grid has, and how many coefficients the polynomial."""
    return math.prod(2 * count + 1 for count in degree.values())


def points(degree: Degrees, like: Tensor) -> Float[Tensor, "1 feature point"]:
    """The grid, as a batch of inputs up to the last feature that occurs; that varies fastest."""
    grid = np.zeros((max(degree, default=-1) + 1, size(degree)))
    axes = [np.arange(2 * count + 1) * math.tau / (2 * count + 1) for count in degree.values()]
    for index, column in zip(degree, np.meshgrid(*axes, indexing="ij"), strict=True):
        grid[index] = column.ravel()
    return torch.from_numpy(grid).to(like)[None]


def coefficients(
    degree: Degrees, values: Float[Tensor, "seed outcome point"]
) -> Float[Tensor, "seed outcome point"]:
    """The coefficients of polynomials known by their values on the grid."""
    left = 1
    for count in degree.values():
        width = 2 * count + 1
        solve = torch.from_numpy(_analysis(count)).to(values)
        values = solve @ values.unflatten(2, (left, width, -1))
        values = values.flatten(2)
        left *= width
    return values


def waves(
    degree: Degrees, features: Float[Tensor, "s feature batch"]
) -> Float[Tensor, "s point batch"]:
    """Products of 1, cos kx, sin kx over the features, in the order of the coefficients."""
    total = features.new_ones(len(features), 1, features.shape[2])
    for index, count in degree.items():
        x = features[:, index : index + 1]
        parts = [torch.ones_like(x)]
        for k in range(1, count + 1):
            parts += [(k * x).cos(), (k * x).sin()]
        total = (total.unsqueeze(2) * torch.cat(parts, 1).unsqueeze(1)).flatten(1, 2)
    return total


@cache
def _analysis(degree: int) -> Floats:
    """(2F+1, 2F+1): values on the points of one feature to coefficients of 1, cos, sin, ..."""
    x = np.arange(2 * degree + 1) * math.tau / (2 * degree + 1)
    columns = [np.ones_like(x)]
    for k in range(1, degree + 1):
        columns += [np.cos(k * x), np.sin(k * x)]
    # discrete orthogonality: the transpose, normed
    basis = np.stack(columns)
    return np.ascontiguousarray(basis / (basis**2).sum(1, keepdims=True))
