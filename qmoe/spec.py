"""What a model is built from, as a plain value: what checkpoints, records and commands name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from qmoe.angles import finite, whole
from qmoe.errors import InputError, unknown

if TYPE_CHECKING:
    from qmoe.experts import Experts
    from qmoe.moe import MixtureOfExperts

EXPERT_KINDS = ("linear", "quantum")


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A router by name with its options, a gate and experts.

    Attributes:
        router: A name of `qmoe.routers.ROUTERS`.
        options: Options of that router, JSON values only.
        num_features: Columns of the scaled data.
        num_classes: Classes to tell apart, at least 2.
        num_experts: 1 is the single-expert control.
        gate: "probability", "softmax", "temperature", or "auto": probability where the router
            emits probabilities, else softmax.
        top_k: Keep only the k largest gate weights of each sample; None keeps all.
        load_balance: Factor of the load-balancing loss.
        init_scale: Factor of the router's starting numbers.
        embedding_scale: Factor of the features that the router sees.
        expert_hidden: Hidden units of each expert; None keeps the experts linear.
        expert_kind: "linear", or "quantum" (`qmoe.quantum_experts`).
        expert_noise: Options of a `qmoe.noise.NoiseModel` for quantum experts; "" is none.
    """

    router: str
    num_features: int
    num_classes: int
    num_experts: int = 4
    options: Mapping[str, Any] = field(default_factory=dict)
    gate: str = "auto"
    top_k: int | None = None
    load_balance: float = 0.0
    init_scale: float = 1.0
    embedding_scale: float = 1.0
    expert_hidden: int | None = None
    expert_kind: str = "linear"
    expert_noise: str = ""

    def __post_init__(self) -> None:
        whole(self.num_features, "number of features", 1)
        whole(self.num_classes, "number of classes", 2)
        whole(self.num_experts, "number of experts", 1)
        if finite(self.load_balance, "load-balance factor") < 0:
            raise InputError(
                got=f"load-balance factor {self.load_balance}", expected=">= 0", do="raise it"
            )
        for name in ("init_scale", "embedding_scale"):
            if finite(getattr(self, name), name.replace("_", " ")) <= 0:
                raise InputError(
                    got=f"{name.replace('_', ' ')} {getattr(self, name)}",
                    expected="> 0",
                    do="raise it",
                )
        if self.expert_hidden is not None:
            whole(self.expert_hidden, "hidden units of an expert", 1)
        if self.expert_kind not in EXPERT_KINDS:
            raise unknown("kind of experts", self.expert_kind, EXPERT_KINDS)
        quantum = self.expert_kind == "quantum"
        if quantum and self.expert_hidden is not None:
            raise InputError(
                got=f"quantum experts with {self.expert_hidden} hidden units",
                expected="hidden units in linear experts only",
                do="leave one of the two out",
            )
        if self.expert_noise and not quantum:
            raise InputError(
                got=f"noise {self.expert_noise!r} for experts that are no circuits",
                expected="it with quantum experts only",
                do="leave it out, or give it to the router",
            )

    def build(self, *, autograd: bool = False) -> MixtureOfExperts:
        """The model; `autograd` trains it by the plain route instead of hand-written gradients.

        Raises:
            InputError: An unknown router, option or gate, or a combination that cannot be.
        """
        from qmoe.gating import Gate
        from qmoe.moe import MixtureOfExperts
        from qmoe.routers import build

        router = build(self.router, self.num_features, self.num_experts, **self.options)
        kind = self.gate
        if kind == "auto":
            kind = "probability" if router.emits == "probabilities" else "softmax"
        return MixtureOfExperts(
            router,
            self._experts(),
            Gate(kind, router.emits, self.num_experts, top_k=self.top_k),
            load_balance=self.load_balance,
            init_scale=self.init_scale,
            embedding_scale=self.embedding_scale,
            autograd=autograd,
        )

    def _experts(self) -> Experts:
        from qmoe.experts import LinearExperts, MLPExperts
        from qmoe.quantum_experts import QuantumExperts

        sizes = (self.num_features, self.num_experts, self.num_classes)
        if self.expert_kind == "quantum":
            return QuantumExperts(*sizes, noise=self.expert_noise or None)
        if self.expert_hidden is not None:
            return MLPExperts(*sizes, hidden=self.expert_hidden)
        return LinearExperts(*sizes)

    def to_dict(self) -> dict[str, Any]:
        """JSON values only; `from_dict` reads them back.

        Later additions at their defaults are left out: a description from before them is written
        as it was.
        """
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        values["options"] = dict(self.options)
        return {key: v for key, v in values.items() if v != _ADDED.get(key, ...)}

    @classmethod
    def from_dict(cls, data: object) -> ModelSpec:
        """The spec that `to_dict` wrote; anything else is an error.

        Raises:
            InputError: Missing or unknown keys, or values of the wrong type.
        """
        keys = set(cls.__dataclass_fields__)
        if not isinstance(data, dict) or not keys - set(_ADDED) <= set(data) <= keys:
            raise InputError(
                got="a model description with other keys",
                expected=f"exactly {', '.join(sorted(keys - set(_ADDED)))}",
                do="use a checkpoint that this version wrote",
            )
        texts = ("router", "gate", "expert_kind", "expert_noise")
        for key, kind in (*((key, str) for key in texts), ("options", dict)):
            if not isinstance(data.get(key, _ADDED.get(key)), kind):
                raise InputError(
                    got=f"{key} {data[key]!r} in a model description",
                    expected=kind.__name__,
                    do="use a checkpoint that this version wrote",
                )
        return cls(**data)


_ADDED: Mapping[str, Any] = {
    "init_scale": 1.0,
    "embedding_scale": 1.0,
    "expert_hidden": None,
    "expert_kind": "linear",
    "expert_noise": "",
}
