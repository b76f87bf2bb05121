"""The kernel that a router's circuit embeds data with (claim C6), and how large its space is.

One rotation by x_j per qubit and then any circuit whatever: the overlap of two inputs' states is
|<psi(x)|psi(z)>|^2 = prod_j cos^2((x_j - z_j) / 2), because a unitary that both share drops out.
It has no trainable number and costs one product per feature.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Complex128, Float64
from numpy.typing import NDArray

from qmoe.arrays import Floats
from qmoe.circuit import Circuit
from qmoe.errors import InputError
from qmoe.simulate.reference import MAX_QUBITS, final_state

_ROWS = 512  # rows of a Gram matrix at a time, which bounds what is needed beside it


def product_kernel(
    X: Float64[Floats, "row feature"], Z: Float64[Floats, "other feature"], scale: float = 1.0
) -> Float64[Floats, "row other"]:
    """prod_j cos^2(scale (x_j - z_j) / 2): features in radians, `scale` the inverse bandwidth.

    >>> product_kernel(np.array([[0.0, 0.0]]), np.array([[0.0, 0.0], [0.0, np.pi / 2]])).round(12)
    array([[1. , 0.5]])
    """
    gram = np.ones((len(X), len(Z)))
    right = [_amplitudes(scale * z) for z in Z.T]
    for i in range(0, len(X), _ROWS):
        for x, z in zip(X[i : i + _ROWS].T, right, strict=True):
            gram[i : i + _ROWS] *= np.square(_amplitudes(scale * x) @ z.T)
    return gram


def overlap_kernel(
    circuit: Circuit, X: Float64[Floats, "row feature"], Z: Float64[Floats, "other feature"]
) -> Float64[Floats, "row other"]:
    """|<psi(x)|psi(z)>|^2 of the states before measurement, simulated one input at a time.

    Raises:
        InputError: Weights that are still free, or features or qubits that do not fit.
    """
    if circuit.num_weights:
        raise InputError(
            got=f"a circuit with {circuit.num_weights} free weights",
            expected="a circuit of features only",
            do="call bind_weights first",
        )
    if circuit.num_qubits > MAX_QUBITS:
        raise InputError(
            got=f"a circuit of {circuit.num_qubits} qubits",
            expected=f"at most {MAX_QUBITS}",
            do="take fewer features, or the closed form",
        )
    for rows in (X, Z):
        if rows.shape[1] != circuit.num_features:
            raise InputError(
                got=f"{rows.shape[1]} features",
                expected=f"{circuit.num_features}, as the circuit embeds",
                do="pass one column per feature",
            )
    overlaps = _states(circuit, X).conj() @ _states(circuit, Z).T
    return np.asarray(np.abs(overlaps) ** 2, dtype=np.float64)


def feature_map(
    X: Float64[Floats, "row feature"], scale: float = 1.0
) -> Float64[Floats, "row product"]:
    """The space of the product kernel, written out: its inner products are the kernel's values.

    Products over the features of {1, cos x, sin x} / sqrt(2), the last feature fastest: 3^d
    columns, the rows of the trig-product router of degree 1.

    Raises:
        InputError: More columns than that router may have.
    """
    import torch

    from qmoe.routers.trig import num_rows, trig_rows

    num_rows(X.shape[1], 1)
    angles = torch.from_numpy(np.ascontiguousarray(scale * X.T)).unsqueeze(0)
    columns: Floats = trig_rows(angles, 1)[0].T.numpy() * 2.0 ** (-X.shape[1] / 2)
    return columns


class Dimension(NamedTuple):
    """How large a kernel's space is: in principle, as these rows fill it, and in effect.

    products: 3^d, the number of linearly independent functions in the product kernel (the 2^d
    amplitudes of a state are not its features, their products are).
    rank: directions that the rows span, in double precision; at most the smaller of `products`
    and the number of rows.
    effective: the participation ratio of the Gram matrix, as `effective_rank`.
    """

    products: int
    rank: int
    effective: float


def dimension(X: Float64[Floats, "row feature"], scale: float = 1.0) -> Dimension:
    """The dimensions of the product kernel on some rows.

    Raises:
        InputError: More than 9 features, whose map is not written out.

    >>> dimension(np.array([[0.0], [1.0], [2.0], [3.0]])).rank
    3
    """
    columns = feature_map(X, scale)
    rank = int(np.linalg.matrix_rank(columns))
    return Dimension(columns.shape[1], rank, effective_rank(product_kernel(X, X, scale)))


def effective_rank(gram: Float64[Floats, "row row"]) -> float:
    """The participation ratio (sum v)^2 / sum v^2 of a Gram matrix's eigenvalues v.

    1 where all rows look alike to the kernel, the number of rows where each is like itself only:
    there a kernel can memorise and not generalise. The mean is not removed.

    >>> effective_rank(np.eye(3)), effective_rank(np.ones((3, 3)))
    (3.0, 1.0)
    """
    # trace and squared Frobenius norm are the two sums, without an eigendecomposition
    return float(np.trace(gram) ** 2 / np.square(gram).sum())


def _amplitudes(angles: Float64[Floats, " row"]) -> Float64[Floats, "row 2"]:
    """The state of one qubit after RY: inner products are cosines of half the difference."""
    return np.stack([np.cos(angles / 2), np.sin(angles / 2)], axis=1)


def _states(
    circuit: Circuit, X: Float64[Floats, "row feature"]
) -> Complex128[NDArray[np.complex128], "row amplitude"]:
    return np.stack([final_state(circuit, features=x).reshape(-1) for x in X])
