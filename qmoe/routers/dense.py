"""A linear map with bias for many seeds, from one flat weight vector per seed, with its gradient.

Weights of one seed: the (out, in) matrix row by row, then the `out` biases.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def size(num_in: int, num_out: int) -> int:
    """Numbers in one map."""
    return num_out * (num_in + 1)


def multiply_adds(num_in: int, num_out: int) -> int:
    """What one input costs: the products of the matrix; the sums start from the biases."""
    return num_out * num_in


def forward(
    weights: Float[Tensor, "seed weight"], rows: Float[Tensor, "s row batch"], num_out: int
) -> Float[Tensor, "seed out batch"]:
    """W rows + b."""
    num_in = rows.shape[1]
    matrix = weights[:, : num_out * num_in].unflatten(1, (num_out, num_in))
    bias = weights[:, num_out * num_in :].unsqueeze(2)
    if rows.shape[0] == 1:  # one product instead of one per seed
        return torch.matmul(matrix, rows[0]) + bias
    return torch.baddbmm(bias, matrix, rows.expand(matrix.shape[0], -1, -1))


def backward(
    rows: Float[Tensor, "s row batch"], grad: Float[Tensor, "seed out batch"]
) -> Float[Tensor, "seed weight"]:
    """The gradient to the weights."""
    to_matrix = torch.matmul(grad, (rows[0] if rows.shape[0] == 1 else rows).mT)
    return torch.cat([to_matrix.flatten(1), grad.sum(2)], 1)


def backward_rows(
    weights: Float[Tensor, "seed weight"], grad: Float[Tensor, "seed out batch"], num_in: int
) -> Float[Tensor, "seed row batch"]:
    """The gradient to the rows."""
    num_out = grad.shape[1]
    matrix = weights[:, : num_out * num_in].unflatten(1, (num_out, num_in))
    return torch.matmul(matrix.mT, grad)
