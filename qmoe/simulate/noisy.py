"""A noisy gate list ready to train: what `qmoe.simulate.program.Program` is without noise.

Probabilities are linear in rows that the weights do not touch: in the waves of the features where
all their scales are whole numbers, for one upload also in the embedded states. Rows are computed
once for a data set; a step makes the coefficients, in which no input has a part, and multiplies.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

from qmoe.arrays import Floats
from qmoe.channel import Channel
from qmoe.circuit import Op
from qmoe.simulate import grid
from qmoe.simulate.transfer import Transfer

BATCH = 256  # inputs of a step for which the route is chosen
MOST_ROWS = 20_000  # of an input: beyond, a data set of them does not fit into memory


class _Saved(NamedTuple):
    """What the weights gave with the graph behind it, and the rows that multiply it, if any."""

    leaf: Tensor
    made: Tensor
    rows: Tensor | None


class NoisyProgram:
    """Outcome probabilities of gates and channels in order, for many seeds and inputs.

    Shapes are batch last, as of a `Program`: weights (seed, P), features (1 | seed, d, batch),
    probabilities (seed, 2^m, batch), outcome index big-endian over `measured`. Angles in radians.
    dtype (float32 or float64) and device are those of the weights.

    confusion: (read, 2^m), what is read of the outcomes; None reads them as they are.

    Raises:
        InputError: More qubits in the light cone than can be simulated with noise.
    """

    def __init__(
        self,
        ops: Sequence[Op | Channel],
        measured: Sequence[int],
        *,
        num_features: int,
        num_weights: int,
        confusion: Float64[Floats, "read outcome"] | None = None,
    ) -> None:
        self.ops, self.measured, self.confusion = tuple(ops), tuple(measured), confusion
        self.num_features, self.num_weights = num_features, num_weights
        self.transfer = Transfer(ops, measured, confusion=confusion)
        self.num_outcomes = self.transfer.num_outcomes
        self.rows = self._rows()

    def read(self, matrix: Float64[Floats, "row read"]) -> NoisyProgram:
        """The same circuit with `matrix` times its probabilities in their place."""
        before = np.eye(2 ** len(self.measured)) if self.confusion is None else self.confusion
        return NoisyProgram(
            self.ops,
            self.measured,
            num_features=self.num_features,
            num_weights=self.num_weights,
            confusion=matrix @ before,
        )

    def prepare(self, features: Float[Tensor, "s feature batch"]) -> Float[Tensor, "s row batch"]:
        """What the weights do not touch: waves or states, or the features as they are."""
        if self.rows == "waves":
            assert self.transfer.degrees is not None
            return grid.waves(self.transfer.degrees, features)
        if self.rows == "states":
            states = self.transfer.states(features.new_zeros(1, self.num_weights), features)
            return states.expand(len(features), -1, features.shape[2])
        return features

    def forward(
        self, weights: Float[Tensor, "seed weight"], prepared: Float[Tensor, "s row batch"]
    ) -> tuple[Float[Tensor, "seed outcome batch"], _Saved]:
        """Probabilities from prepared features, and what `backward` needs."""
        with torch.enable_grad():
            leaf = weights.detach().requires_grad_()
            if self.rows == "features":
                made = self.transfer(leaf, prepared)
                return made.detach(), _Saved(leaf, made, None)
            if self.rows == "waves":
                made = self.transfer.coefficients(leaf)
            else:
                made = self.transfer.effects(leaf).mT
            made = made.expand(len(leaf), -1, -1)
        rows = prepared[0] if len(prepared) == 1 else prepared
        return torch.matmul(made.detach(), rows), _Saved(leaf, made, rows)

    def backward(
        self,
        weights: Float[Tensor, "seed weight"],
        saved: _Saved,
        grad: Float[Tensor, "seed outcome batch"],
    ) -> Float[Tensor, "seed weight"]:
        """The gradient to the weights from the cotangent of the probabilities."""
        leaf, made, rows = saved
        if not made.requires_grad:
            return torch.zeros_like(weights)
        to_made = grad if rows is None else torch.matmul(grad, rows.mT)
        to_weights: Tensor = torch.autograd.grad(made, leaf, to_made)[0]
        return to_weights

    def __call__(
        self, weights: Float[Tensor, "seed weight"], features: Float[Tensor, "s feature batch"]
    ) -> Float[Tensor, "seed outcome batch"]:
        """Probabilities that autograd can follow to weights and features."""
        return self.transfer(weights, features)

    def _rows(self) -> str:
        """What probabilities are linear in: "waves", "states", or "features" where in nothing."""
        degrees, weighted = self.transfer.degrees, self.transfer.body.weighted
        few = degrees is not None and grid.size(degrees) <= MOST_ROWS
        if few and (not weighted or self.transfer.grid_pays(BATCH)):
            return "waves"
        if not weighted and 4**self.transfer.factors.num_qubits <= MOST_ROWS:
            return "states"
        return "features"
