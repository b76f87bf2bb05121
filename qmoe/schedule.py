"""Layer-wise training: grow the circuit a layer at a time, freeze what is grown, release all.

After arXiv 2006.14904. Layers that are not grown yet stand at angle zero: in the `paper` circuit
they are CZs alone, which the measurement does not see, so the circuit *is* the shallower one.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from qmoe.errors import InputError
from qmoe.moe import MixtureOfExperts
from qmoe.routers.quantum import QuantumRouter


class Layerwise:
    """Which weights of a model move in which epoch.

    The first half of the epochs is shared evenly by the layers: each in its turn moves alone,
    together with everything outside the circuit (adapter, experts, gate). In the second half all
    weights move.

    Raises:
        InputError: A model without layers to grow, or fewer than two epochs per layer.
    """

    def __init__(self, model: MixtureOfExperts, epochs: int) -> None:
        router = model.router
        if not isinstance(router, QuantumRouter):
            raise InputError(
                got=f"layer-wise training of {router.label}",
                expected="a router 'quantum'",
                do="leave it out for this router",
            )
        self.layers = router.layers
        if epochs < 2 * self.layers:
            raise InputError(
                got=f"{epochs} epochs for layer-wise training of {self.layers} layers",
                expected=f"at least {2 * self.layers}",
                do="train longer",
            )
        self.epochs = epochs
        self.angles = router.circuit.num_weights
        self.size = model.size

    def start(self, weights: Float[Tensor, "seed weight"]) -> None:
        """Sets all layers but the first to angle zero, in place."""
        weights[:, self.angles // self.layers : self.angles] = 0

    def moving(self, epoch: int) -> Bool[Tensor, " weight"] | None:
        """The weights that move in an epoch, counted from 1; None where all of them do."""
        growing = self.epochs // 2
        if epoch > growing:
            return None
        layer = (epoch - 1) * self.layers // growing
        each = self.angles // self.layers
        moving = torch.ones(self.size, dtype=torch.bool)
        moving[: self.angles] = False
        moving[layer * each : (layer + 1) * each] = True
        return moving
