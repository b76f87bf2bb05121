"""A trained quantum router apart from the simulator it was trained on.

A target gives the outcome distribution of the circuit; what the experts make of it stays here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float64

from qmoe.arrays import Floats
from qmoe.circuit import Circuit
from qmoe.errors import InputError
from qmoe.predict import Answer

if TYPE_CHECKING:
    from qmoe.moe import MixtureOfExperts
    from qmoe.routers.quantum import QuantumRouter


@dataclass(frozen=True, slots=True, eq=False)
class RoutedCircuit:
    """The circuit of a trained model, and the model that takes its outcomes.

    Raises:
        InputError: The model's router is no circuit.
    """

    model: MixtureOfExperts
    weights: Float64[Floats, " weight"]

    def __post_init__(self) -> None:
        from qmoe.routers.quantum import QuantumRouter

        if not isinstance(self.model.router, QuantumRouter):
            raise InputError(
                got=f"router {self.model.router.label!r}, which has no circuit",
                expected="a quantum router",
                do="name the checkpoint of one",
            )

    @property
    def router(self) -> QuantumRouter:
        """The router."""
        return self.model.router  # type: ignore[return-value]

    @property
    def circuit(self) -> Circuit:
        """The ansatz, features and weights free."""
        return self.router.circuit

    @property
    def angles(self) -> Float64[Floats, " angle"]:
        """The circuit's trained weights, radians."""
        return self.weights[: self.circuit.num_weights]

    @property
    def template(self) -> Circuit:
        """The circuit with its trained weights put in; features are free."""
        return self.circuit.bind_weights(self.angles)

    def features(self, X: Float64[Floats, "row feature"]) -> Float64[Floats, "row feature"]:
        """The circuit's features, radians, of rows of scaled features."""
        return X * self.model.embedding_scale

    def answer(
        self, X: Float64[Floats, "row feature"], outcomes: Float64[Floats, "row outcome"]
    ) -> Answer:
        """What the model says of rows of scaled features whose outcome distribution is known.

        outcomes: probabilities or relative frequencies (row, 2^m), big-endian over the measured
            qubits.
        """
        import torch

        weights = torch.tensor(self.weights).unsqueeze(0)
        rows = torch.from_numpy(np.ascontiguousarray(outcomes.T)).unsqueeze(0)
        features = torch.from_numpy(np.ascontiguousarray(X.T)).unsqueeze(0)
        routed = self.router.from_outcomes(weights[:, : self.router.size], rows)
        out = self.model.output_of(weights, routed, features)
        return Answer(out.logits[0].softmax(0).T.numpy(), out.gate_weights[0].T.numpy())

    def even(self, X: Float64[Floats, "row feature"]) -> Answer:
        """What the same experts say when every one of them gets the same gate weight."""
        import torch

        weights = torch.tensor(self.weights).unsqueeze(0)
        features = torch.from_numpy(np.ascontiguousarray(X.T)).unsqueeze(0)
        _, experts, _ = weights.split(self.model.sizes, 1)
        with torch.no_grad():
            opinions, _ = self.model.experts.forward(experts, features)
        share = 1 / self.router.num_experts
        gates = np.full((len(X), self.router.num_experts), share)
        return Answer((share * opinions.sum(1))[0].softmax(0).T.numpy(), gates)
