"""The unentangled router: the quantum router's circuit without its two-qubit gates.

Every qubit stays by itself, so the distribution is a product over the measured qubits. All
rotations are about one axis and add up: bit i is 0 with probability cos^2((x_i + sum theta) / 2)
for ansatz `paper`, whose layers therefore add nothing to one (the product router), and with
cos^2((L x_i + sum theta) / 2) for `reupload`, a product of single-qubit data re-uploading circuits
(arXiv 1907.02085).
"""

from __future__ import annotations

from collections.abc import Sequence

from qmoe.routers.quantum import QuantumRouter


class UnentangledRouter(QuantumRouter):
    """A quantum router with entangler "none", counted as a control; angles in radians.

    Without entanglement the light cone is the measured qubits: what they do not embed is unseen.
    """

    family = "unentangled"

    def __init__(
        self,
        num_features: int,
        num_experts: int,
        *,
        layers: int = 2,
        ansatz: str = "paper",
        outcome_map: str = "modulo",
        num_qubits: int | None = None,
        measured: Sequence[int] | None = None,
    ) -> None:
        super().__init__(
            num_features,
            num_experts,
            layers=layers,
            ansatz=ansatz,
            entangler="none",
            outcome_map=outcome_map,
            num_qubits=num_qubits,
            measured=measured,
        )
