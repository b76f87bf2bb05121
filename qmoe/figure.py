"""Figures that are no accuracy of a trained router: named numbers, and the tasks that find them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from qmoe.dotted import named
from qmoe.record import Scalar, check_format, damaged

if TYPE_CHECKING:
    from qmoe.cell import Cell, CellResult

FORMAT: Final = 1


class Figure(BaseModel):
    """One number with its interval (None where it has none: counts, exact values).

    `name` and `labels` together say which number it is; `unit` is "" for a plain fraction.
    `per_seed` is what each paired seed gave, in their order, where a comparison needs that.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    name: str
    labels: dict[str, Scalar] = {}
    value: float | None
    low: float | None = None
    high: float | None = None
    unit: str = ""
    note: str = ""
    per_seed: tuple[float | None, ...] = ()


class Figures(BaseModel):
    """What one measurement found."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    format: Literal[1] = FORMAT
    key: Annotated[str, Field(pattern=r"^[0-9a-f]{20}$")]
    call: str
    options: dict[str, Any]
    figures: tuple[Figure, ...]
    seconds: float = 0.0

    @classmethod
    def from_json(cls, text: str | bytes, place: str) -> Figures:
        """The figures in a JSON text.

        Raises:
            InputError: It is damaged or newer.
        """
        check_format(text, FORMAT, place)
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise damaged(place, error) from error


@dataclass(frozen=True, slots=True)
class Measurement:
    """A function of this project by its dotted path, with options; it returns `Figure`s.

    `of` is a cell that is trained first; the function then gets it and its result as keywords
    `cell` and `result`.
    """

    call: str
    options: Mapping[str, Any] = field(default_factory=dict)
    of: Cell | None = None

    @property
    def key(self) -> str:
        """The content hash: equal measurements have equal keys."""
        content = [self.call, dict(self.options), *([] if self.of is None else [self.of.key])]
        text = json.dumps(content, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:20]

    def run(self, result: CellResult | None = None) -> Figures:
        """Calls the function; `result` is that of the cell in `of`."""
        import time

        trained = {} if self.of is None else {"cell": self.of, "result": result}
        started = time.perf_counter()
        found = named(self.call)(**trained, **self.options)
        return Figures(
            key=self.key,
            call=self.call,
            options=dict(self.options),
            figures=tuple(found),
            seconds=time.perf_counter() - started,
        )
