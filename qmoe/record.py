"""Record: what every result carries, versioned; one line of JSON each."""

from __future__ import annotations

import json
from typing import Annotated, Final, Literal, NamedTuple

import pydantic_core
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from qmoe.errors import InputError
from qmoe.provenance import Provenance

FORMAT: Final = 1

Source = Literal[
    "exact",
    "sampled",
    "twin",
    "snapshot",
    "synthetic",
    "hosted-simulator",
    "loopback",
    "device",
]
Population = Literal[
    "new data + new init", "this data set, new split", "init only", "checkpoints on a device"
]

Name = Annotated[str, Field(min_length=1, max_length=200)]
Count = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0)]
Scalar = str | int | float | bool | None


class CurvePoint(NamedTuple):
    """One point of a learning curve; the accuracy is None where there is no validation part."""

    step: int
    train_loss: float
    validation_accuracy: float | None = None


class Record(BaseModel):
    """One router, trained once: what it was, what it scored, and where that comes from.

    `seed` pairs records: within a study, protocol and data set, equal seeds saw equal data.
    `population` says what a seed draws anew. `router` is the name shown, `family` groups names
    ("quantum" marks the routers under test; every other family is a control).

    `metrics` holds finite figures by name: accuracy_train, accuracy_validation, accuracy_test and
    loss_* likewise (fractions and nats; a protocol without a held-out part leaves the name out),
    routing_entropy (bits), steps, features_clipped (counts). A figure that came out nan or
    infinite is left out and named in `warnings`. `rows` holds split sizes by the names train,
    validation, test. `expert_load` is the mean gate weight of each expert, and `settings` what
    was chosen beforehand (experts, gate, scaler, learning_rate, steps, batch, ...).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    format: Literal[1] = FORMAT
    kind: Literal["training"] = "training"
    study: Name
    protocol: Name
    dataset: Name
    dataset_digest: Name
    population: Population
    router: Name
    family: Name
    seed: Count
    source: Source
    router_parameters: Count
    router_parameters_paper: Count
    model_parameters: Count
    metrics: dict[Name, float]
    rows: dict[Name, Count]
    expert_load: tuple[Share, ...]
    curve: tuple[CurvePoint, ...] = ()
    settings: dict[Name, Scalar] = {}
    warnings: tuple[str, ...] = ()
    provenance: Provenance

    def to_json(self) -> str:
        """The record as one line of JSON with sorted keys; `from_json` reads it back equal."""
        # Through pydantic's own dump and not model_dump_json: that one cannot sort keys.
        return json.dumps(
            self.model_dump(mode="json"),
            sort_keys=True,
            allow_nan=False,
            ensure_ascii=False,
            separators=(",", ":"),
        )

    @classmethod
    def from_json(cls, text: str | bytes, place: str = "record") -> Record:
        """The record in one line of JSON.

        Args:
            text: the line.
            place: where it stands, for the error ("records.jsonl line 3").

        Raises:
            InputError: it is damaged, holds what no record holds, or has a newer format.
        """
        check_format(text, FORMAT, place)
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise damaged(place, error) from error


def check_format(text: str | bytes, newest: int, place: str) -> None:
    """Refuses text that is not a JSON object whose "format" this version reads.

    Raises:
        InputError: with what stands there instead.
    """
    try:
        value = pydantic_core.from_json(text, allow_inf_nan=False)
    except ValueError as error:
        raise InputError(
            got=f"{place} that is not JSON ({error})",
            expected="one JSON object",
            do="restore the file or run the command again",
        ) from error
    found = value.get("format") if isinstance(value, dict) else None
    if type(found) is not int or found < 1:
        raise InputError(
            got=f"{place} without a format number",
            expected=f'a JSON object with "format": 1 to {newest}',
            do="check that it was written by qmoe",
        )
    if found > newest:
        raise InputError(
            got=f"{place} of format {found}",
            expected=f"format {newest} or older",
            do="read it with a newer qmoe",
        )


def damaged(place: str, error: ValidationError) -> InputError:
    """The error for content that does not fit its model; it shows the first misfit."""
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "the whole"
    shown = repr(first["input"])
    shown = shown if len(shown) <= 60 else shown[:57] + "..."
    more = error.error_count() - 1
    others = f" and {more} more misfits" if more else ""
    return InputError(
        got=f"{place} with {where} = {shown}{others}",
        expected=first["msg"][0].lower() + first["msg"][1:],
        do="restore the file or run the command again",
    )
