"""A router circuit ready to run: pruned to its light cone, laid out in layers, on one engine.

`Program` is what routers and the trainer hold; `probabilities` is the plain function over it.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, cast

import torch
from jaxtyping import Float, Num
from torch import Tensor
from torch.autograd.function import once_differentiable

from qmoe.circuit import Circuit
from qmoe.errors import InputError
from qmoe.noise import NoiseModel
from qmoe.simplify import compact, prune, simplify
from qmoe.simulate.adjoint import AdjointEngine
from qmoe.simulate.fused import FusedEngine
from qmoe.simulate.layers import layered
from qmoe.simulate.states import Gradients

FUSED_QUBITS = 6  # up to here one matrix per block wins over gate groups (measured at batch 256)
MOST_QUBITS = 24


class Program:
    """A circuit's outcome probabilities for many seeds and inputs, with hand-written gradients.

    Shapes are batch last: weights (seed, P), features (1 | seed, d, batch), probabilities
    (seed, 2^m, batch), outcome index big-endian over `circuit.measured`. Angles in radians.
    The dtype (float32 or float64) and the device are those of the weights.

    method: "fused", "adjoint", or "auto" by the number of active qubits.
    """

    def __init__(self, circuit: Circuit, *, method: str = "auto") -> None:
        if method not in ("auto", "fused", "adjoint"):
            raise InputError(
                got=f"method {method!r}", expected="auto, fused or adjoint", do="leave it at auto"
            )
        active, self.qubits = compact(prune(circuit))
        n = active.num_qubits
        if n > MOST_QUBITS:
            raise InputError(
                got=f"{n} qubits in the light cone of {len(circuit.measured)} measured ones",
                expected=f"at most {MOST_QUBITS}",
                do="measure fewer qubits or use fewer layers",
            )
        self.circuit = circuit
        self.method = ("fused" if n <= FUSED_QUBITS else "adjoint") if method == "auto" else method
        self.num_outcomes = 2 ** len(circuit.measured)
        # gate groups gain from merging RY(x) RY(theta); the fused block wants them apart
        self.layered = layered(active if self.method == "fused" else simplify(active))
        self._engines: dict[tuple[torch.dtype, torch.device], FusedEngine | AdjointEngine] = {}

    def engine(self, dtype: torch.dtype, device: torch.device) -> FusedEngine | AdjointEngine:
        """The engine with its constants on one device and in one precision."""
        key = (dtype, device)
        if key not in self._engines:
            if dtype not in (torch.float32, torch.float64):
                raise InputError(
                    got=f"weights of {dtype}", expected="float32 or float64", do="convert them"
                )
            kind = FusedEngine if self.method == "fused" else AdjointEngine
            self._engines[key] = kind(self.layered, dtype, device)
        return self._engines[key]

    def prepare(self, features: Float[Tensor, "s feature batch"]) -> Num[Tensor, "s row batch"]:
        """What the weights do not touch, computed once for a data set: the embedded states."""
        return self.engine(features.dtype, features.device).prepare(features)

    def forward(
        self, weights: Float[Tensor, "seed weight"], prepared: Num[Tensor, "s row batch"]
    ) -> tuple[Float[Tensor, "seed outcome batch"], Any]:
        """Probabilities from prepared features, and what `backward` needs."""
        return self.engine(weights.dtype, weights.device).forward(weights, prepared)

    def backward(
        self, weights: Float[Tensor, "seed weight"], saved: Any, grad: Float[Tensor, "seed o b"]
    ) -> Float[Tensor, "seed weight"]:
        """The gradient to the weights from the cotangent of the probabilities."""
        return self.engine(weights.dtype, weights.device).backward(weights, saved, grad).weights

    def __call__(
        self, weights: Float[Tensor, "seed weight"], features: Float[Tensor, "s feature batch"]
    ) -> Float[Tensor, "seed outcome batch"]:
        """Probabilities that autograd can follow to weights and features (once)."""
        return cast(Tensor, _Probabilities.apply(weights, features, self))  # type: ignore[no-untyped-call]


class _Probabilities(torch.autograd.Function):
    """The hand-written gradients as one autograd node."""

    @staticmethod
    def forward(ctx: Any, weights: Tensor, features: Tensor, program: Program) -> Tensor:
        engine = program.engine(weights.dtype, weights.device)
        out, saved = engine.forward_features(weights.detach(), features.detach())
        ctx.engine, ctx.saved = engine, saved
        ctx.save_for_backward(weights, features)
        return out.expand(max(weights.shape[0], features.shape[0]), -1, -1).contiguous()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        weights, features = ctx.saved_tensors
        wanted = bool(ctx.needs_input_grad[1])
        g: Gradients = ctx.engine.backward(
            weights, ctx.saved, grad.contiguous(), need_features=wanted
        )
        to_features = None
        if wanted:
            to_features = torch.zeros_like(features)
            if g.features is not None:
                shared = features.shape[0] == 1
                to_features = g.features.sum(0, keepdim=True) if shared else g.features
        return g.weights, to_features, None


@lru_cache(maxsize=64)
def _program(circuit: Circuit) -> Program:
    return Program(circuit)


def probabilities(
    circuit: Circuit,
    weights: Float[Tensor, "*seed weight"],
    features: Float[Tensor, "*s batch feature"],
    *,
    noise: NoiseModel | None = None,
) -> Float[Tensor, "*out batch outcome"]:
    """Outcome probabilities of a router circuit, differentiable in weights and features.

    weights: (P,) or (seed, P), radians; features: (batch, d) or (seed, batch, d); noise acts on
    the circuit as given.
    Returns (batch, 2^m), or (seed, batch, 2^m) if either input has a seed axis; the outcome index
    is big-endian over `circuit.measured`, in its order. float32 or float64, on the weights' device.

    >>> from qmoe.ansatz import paper
    >>> circuit = paper(2, 1, measured=(0,))
    >>> x = torch.tensor([[0.0, 0.0], [torch.pi, 0.0]], dtype=torch.float64)
    >>> probabilities(circuit, torch.zeros(2, dtype=torch.float64), x).round(decimals=6).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    if noise is not None:
        from qmoe.simulate.transfer import transfer_probabilities  # which builds on this module

        return transfer_probabilities(
            noise.place(circuit),
            circuit.num_qubits,
            circuit.measured,
            weights,
            features,
            num_features=circuit.num_features,
            num_weights=circuit.num_weights,
            confusion=noise.confusion(circuit.measured),
        )
    w, x, batched = with_seeds(circuit, weights, features)
    # strided views would slow down whatever reads them, here and in the backward pass
    out = _program(circuit)(w, x).transpose(1, 2).contiguous()
    return out if batched else out[0]


def with_seeds(
    circuit: Circuit, weights: Tensor, features: Tensor
) -> tuple[Float[Tensor, "seed weight"], Float[Tensor, "s feature batch"], bool]:
    """Both inputs with a seed axis and the batch last, and whether either had a seed axis.

    Raises:
        InputError: A shape that does not fit the circuit, or numbers of seeds that differ.
    """
    if weights.ndim not in (1, 2) or weights.shape[-1] != circuit.num_weights:
        raise InputError(
            got=f"weights of shape {tuple(weights.shape)}",
            expected=f"({circuit.num_weights},) or (seed, {circuit.num_weights})",
            do="pass one weight per free parameter",
        )
    if features.ndim not in (2, 3) or features.shape[-1] != circuit.num_features:
        raise InputError(
            got=f"features of shape {tuple(features.shape)}",
            expected=f"(batch, {circuit.num_features}) or (seed, batch, {circuit.num_features})",
            do="pass one column per feature",
        )
    w = weights if weights.ndim == 2 else weights.unsqueeze(0)
    x = features if features.ndim == 3 else features.unsqueeze(0)
    if w.shape[0] != x.shape[0] and 1 not in (w.shape[0], x.shape[0]):
        raise InputError(
            got=f"{w.shape[0]} seeds of weights and {x.shape[0]} of features",
            expected="the same number, or one of the two shared",
            do="leave out the seed axis of what all seeds share",
        )
    if w.shape[0] < x.shape[0]:
        w = w.expand(x.shape[0], -1)
    x = x.to(w.dtype).transpose(1, 2).contiguous()
    return w, x, weights.ndim == 2 or features.ndim == 3
