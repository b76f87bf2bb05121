"""Cells: one family of routers on one data set under one budget; what a study is made of.

A cell is a value with a content hash. Studies that ask for equal cells share one training, and a
run that was interrupted goes on with the cells it lacks.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Annotated, Any, Final, Literal

import numpy as np
from jaxtyping import Float64
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from qmoe.arrays import Floats
from qmoe.catalogue import DataSpec
from qmoe.record import Population, check_format, damaged
from qmoe.spec import ModelSpec
from qmoe.train import TrainConfig
from qmoe.trial import FEWEST_TRIALS, Trial

FORMAT: Final = 1
SVC = ("svc-rbf", "svc-product")
"""Ceilings that are no Mixture of Experts; every other name is a router's."""


@dataclass(frozen=True, slots=True)
class Cell:
    """What to train: a family, its data, how long, and the trials to choose from.

    Attributes:
        data: Which data; ignored by protocol "notebook", which has its own.
        router: A name of `qmoe.routers.ROUTERS`, or of `SVC`.
        options: Options of that router.
        experts: Number of experts.
        trials: Each is trained for each seed; validation chooses one per seed.
        like: A cell whose choice, per seed, is trained here in place of `trials`.
        seeds, root: The paired seeds and the root seed of their streams.
        protocol: "controlled" or "notebook".
        config: How long and in which batches (its learning rate is the trials').
        gate, top_k, load_balance, expert_hidden, expert_kind, expert_noise: As in `ModelSpec`;
            a trial with gate "temperature" overrides the gate.
        pca: Components, where the features are reduced first.
        sizes: Rows of train, validation and test; None takes the data's defaults.
        label, family: In place of the router's own.
    """

    data: DataSpec
    router: str
    options: Mapping[str, Any] = field(default_factory=dict)
    experts: int = 4
    trials: tuple[Trial, ...] = (Trial(),)
    like: Cell | None = None
    seeds: tuple[int, ...] = (0,)
    root: int = 0
    protocol: str = "controlled"
    config: TrainConfig = field(default_factory=TrainConfig)
    gate: str = "auto"
    top_k: int | None = None
    load_balance: float = 0.0
    expert_hidden: int | None = None
    expert_kind: str = "linear"
    expert_noise: str = ""
    pca: int | None = None
    sizes: tuple[int, int, int] | None = None
    label: str = ""
    family: str = ""

    def to_dict(self) -> dict[str, Any]:
        """JSON values, defaults left out (but for what names the cell)."""
        out: dict[str, Any] = {"data": str(self.data), "router": self.router}
        if self.data.path is not None:
            out["path"] = str(self.data.path)
        training = {f.name: getattr(self.config, f.name) for f in fields(TrainConfig)}
        out["training"] = {
            key: v
            for key, v in training.items()
            if key != "device" and v != getattr(TrainConfig(), key)
        }
        out["trials"] = [trial.to_dict() for trial in self.trials]
        out["like"] = None if self.like is None else self.like.key
        out["seeds"] = list(self.seeds)
        for name in _PLAIN:
            value = getattr(self, name)
            if value != _DEFAULTS[name]:
                out[name] = _json(value)
        return {key: v for key, v in out.items() if v not in (None, {})}

    @property
    def key(self) -> str:
        """The content hash: equal cells have equal keys."""
        text = json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:20]

    @property
    def models(self) -> int:
        """How many models training it takes."""
        return len(self.seeds) * (1 if self.like is not None else len(self.trials))

    def spec(self, num_features: int, num_classes: int, trial: Trial) -> ModelSpec:
        """The model of one trial."""
        return ModelSpec(
            router=self.router,
            num_features=num_features,
            num_classes=num_classes,
            num_experts=self.experts,
            options=self.options,
            gate=self.gate if trial.gate == "auto" else trial.gate,
            top_k=self.top_k,
            load_balance=self.load_balance,
            init_scale=trial.init_scale,
            embedding_scale=trial.embedding_scale,
            expert_hidden=self.expert_hidden,
            expert_kind=self.expert_kind,
            expert_noise=self.expert_noise,
        )


def _json(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _json(v) for key, v in value.items()}
    return list(value) if isinstance(value, tuple) else value


_PLAIN = (
    *("options", "experts", "root", "protocol", "gate", "top_k", "load_balance"),
    *("expert_hidden", "expert_kind", "expert_noise", "pca", "sizes", "label", "family"),
)
_DEFAULTS: Mapping[str, Any] = {
    f.name: {} if f.name == "options" else f.default for f in fields(Cell) if f.name in _PLAIN
}

Count = Annotated[int, Field(ge=0)]
PerSeed = tuple[Count, ...]
Share = Annotated[float, Field(ge=0)]


class Chosen(BaseModel):
    """A trial as it is stored."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    learning_rate: float
    scaler: str
    init_scale: float
    gate: str
    embedding_scale: float
    penalty: float


class CellResult(BaseModel):
    """What training a cell gave, for all seeds and all trials.

    Counts of right answers are out of `rows`; validation figures are indexed [trial][seed], None
    where a trial was not trained for a seed (a cell that reuses another one's choice). `chosen`
    is the trial of each seed with the most right answers on validation (ties: lower validation
    cross-entropy in nats, then the earlier trial); everything below it belongs to the chosen
    one. `majority` counts the largest class of the scored part. Without a validation part there
    is one trial. Curves are indexed [point][seed].
    Parameters are trainable numbers; frozen numbers are random ones that never train.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    format: Literal[1] = FORMAT
    key: Annotated[str, Field(pattern=r"^[0-9a-f]{20}$")]
    cell: dict[str, Any]
    router: str
    family: str
    protocol: str
    dataset: str
    dataset_digest: str
    digests: tuple[str, ...] = ()
    population: Population
    experts: Count
    rows: dict[str, Count]
    classes: Count
    router_parameters: Count
    router_parameters_paper: Count
    model_parameters: Count
    frozen_numbers: Count
    multiply_adds: Count
    circuits: Count
    seeds: PerSeed
    trials: tuple[Chosen, ...]
    searched: Count
    validation_correct: tuple[tuple[Count | None, ...], ...] = ()
    validation_loss: tuple[tuple[float | None, ...], ...] = ()
    chosen: PerSeed
    train_correct: PerSeed
    test_correct: PerSeed = ()
    loss_test: tuple[float, ...] = ()
    majority: PerSeed = ()
    features_clipped: PerSeed
    epochs_kept: PerSeed
    epochs_run: PerSeed
    steps_per_epoch: Count
    routing_entropy: tuple[Share, ...]
    expert_load: tuple[tuple[Share, ...], ...]
    curve_epochs: tuple[Count, ...] = ()
    curve_loss: tuple[tuple[float | None, ...], ...] = ()
    curve_validation_correct: tuple[tuple[Count, ...], ...] = ()
    first_weights: tuple[float, ...] = ()
    warnings: tuple[str, ...] = ()
    seconds: Share = 0.0

    @model_validator(mode="after")
    def _fits(self) -> CellResult:
        n, trials = len(self.seeds), len(self.trials)
        per_seed = (self.chosen, self.train_correct, self.expert_load)
        tables = (*self.validation_correct, *self.validation_loss)
        if any(len(v) != n for v in (*per_seed, *tables)) or len(self.test_correct) not in (0, n):
            raise ValueError(f"figures for another number of seeds than {n}")
        if any(len(t) not in (0, trials) for t in (self.validation_correct, self.validation_loss)):
            raise ValueError(f"figures for another number of trials than {trials}")
        if any(t >= trials for t in self.chosen):
            raise ValueError("a chosen trial that is not there")
        if self.validation_correct and self.chosen != self.choose():
            raise ValueError("a choice that validation did not make")
        return self

    @property
    def held_out(self) -> bool:
        """Whether a test part was held out; otherwise accuracy is that on the training data."""
        return bool(self.test_correct)

    @property
    def accuracy(self) -> Float64[Floats, " seed"]:
        """The headline accuracy of each seed."""
        part = "test" if self.held_out else "train"
        counts = self.test_correct if self.held_out else self.train_correct
        return np.asarray(counts, dtype=np.float64) / self.rows[part]

    @property
    def validation_accuracy(self) -> Float64[Floats, " seed"]:
        """The validation accuracy of the chosen trial of each seed; nan without that part."""
        if not self.validation_correct:
            return np.full(len(self.seeds), np.nan)
        picked = [self.validation_correct[t][i] for i, t in enumerate(self.chosen)]
        return np.asarray(picked, dtype=np.float64) / self.rows["validation"]

    @property
    def overlap(self) -> float:
        """Test rows over training rows where seeds are new splits of one data set, else 0."""
        if self.population != "this data set, new split":
            return 0.0
        return self.rows["test"] / self.rows["train"]

    @property
    def tuned(self) -> bool:
        """Whether enough trials were searched for a verdict."""
        return self.searched >= FEWEST_TRIALS

    def choose(self) -> tuple[int, ...]:
        """The trial of each seed that validation chooses."""
        return tuple(
            choice(self.validation_correct, self.validation_loss, i) for i in range(len(self.seeds))
        )

    def small(self) -> CellResult:
        """Without what no verdict needs: loss curves, weights, the digests of single seeds."""
        return self.model_copy(update={"curve_loss": (), "first_weights": (), "digests": ()})

    @classmethod
    def from_json(cls, text: str | bytes, place: str) -> CellResult:
        """The result in a JSON text.

        Raises:
            InputError: It is damaged, newer, or its figures do not fit together.
        """
        check_format(text, FORMAT, place)
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise damaged(place, error) from error


def choice(
    correct: tuple[tuple[int | None, ...], ...],
    loss: tuple[tuple[float | None, ...], ...],
    seed: int,
) -> int:
    """The trial with the most right answers; ties go to the lower loss, then to the earlier."""
    order = [
        (-row[seed], lost[seed], t)  # type: ignore[operator]
        for t, (row, lost) in enumerate(zip(correct, loss, strict=True))
        if row[seed] is not None
    ]
    return int(min(order)[2])
