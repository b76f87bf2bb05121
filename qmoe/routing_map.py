"""RoutingMap: what a trained router decides over a plane of inputs, as arrays in one file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import numpy as np
from jaxtyping import Float, Float64
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from qmoe.errors import InputError
from qmoe.record import Name, check_format, damaged

FORMAT: Final = 2
MAX_BYTES = 64 * 2**20
MAX_CHARACTERS = 200  # of a target's spec
_TENSORS = frozenset({"probabilities", "gates", "points", "labels"})
_DO = "restore the file or run the suite again"

Array = NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class RoutingMap:
    """Class probabilities and gate weights on a grid over two features, with points to overlay.

    `extent` is (xmin, xmax, ymin, ymax) in the units of the original features, before scaling:
    the outer edges of the grid. Row 0 is at ymin, column 0 at xmin; values belong to the centres
    of the cells. `probabilities` (K, rows, columns) per class, or (rows, columns) for the second
    of two classes; `gates` (E, rows, columns) sum to 1 over experts; `points` (N, 2) lie in the
    same units and `labels` (N,) are 0..K-1. `protocol`, `dataset` and `seed` name the record that
    it belongs to, `features` the two axes. `target` is the spec of what ran the router, empty for
    the ideal one, and `source` where its answers come from, "twin" where from its known noise.

    Raises:
        ValueError: shapes that do not fit together, or values that are not finite.
    """

    extent: tuple[float, float, float, float]
    # No jaxtyping here: shapes from an untrusted file are checked always, not in tests alone.
    probabilities: Array
    gates: Array
    points: Array
    labels: Array
    protocol: str
    dataset: str
    seed: int
    features: tuple[str, str] = ("feature 1", "feature 2")
    target: str = ""
    source: str = ""

    def __post_init__(self) -> None:
        xmin, xmax, ymin, ymax = self.extent
        if not (np.isfinite(self.extent).all() and xmin < xmax and ymin < ymax):
            raise ValueError(f"got extent {self.extent}; expected xmin < xmax and ymin < ymax")
        dimensions = self.probabilities.ndim, self.gates.ndim, self.points.ndim, self.labels.ndim
        if dimensions[0] not in (2, 3) or dimensions[1:] != (3, 2, 1):
            raise ValueError(f"got arrays of {dimensions} axes; expected (2 or 3, 3, 2, 1)")
        if self.probabilities.shape[-2:] != self.gates.shape[-2:] or 0 in self.gates.shape:
            raise ValueError(
                f"got grids {self.probabilities.shape} and {self.gates.shape}; "
                "expected equal rows and columns"
            )
        if self.points.shape != (self.labels.size, 2):
            raise ValueError(f"got points {self.points.shape}; expected ({self.labels.size}, 2)")
        for array in (self.probabilities, self.gates, self.points):
            if not np.isfinite(array).all():
                raise ValueError("got a map with values that are not finite; expected numbers")

    @property
    def centres(self) -> Float64[Array, "cell 2"]:
        """The inputs that the grid's values belong to, row by row from ymin."""
        return centres(self.extent, *self.gates.shape[1:])

    @property
    def class_probabilities(self) -> Float[Array, "K rows columns"]:
        """The probabilities with an axis for the class, however they are stored."""
        if self.probabilities.ndim == 3:
            return self.probabilities
        return np.stack([1 - self.probabilities, self.probabilities])

    def write(self, path: Path, router: str) -> None:
        """Writes the map of a router as safetensors; grids in single precision."""
        from safetensors.numpy import save_file

        xmin, xmax, ymin, ymax = (float(edge) for edge in self.extent)
        head = _Head(
            router=router,
            extent=(xmin, xmax, ymin, ymax),
            protocol=self.protocol,
            dataset=self.dataset,
            seed=self.seed,
            features=self.features,
            target=self.target,
            source=self.source,
        )
        tensors: dict[str, Array] = {
            "probabilities": np.ascontiguousarray(self.probabilities, dtype=np.float32),
            "gates": np.ascontiguousarray(self.gates, dtype=np.float32),
            "points": np.ascontiguousarray(self.points, dtype=np.float64),
            "labels": np.ascontiguousarray(self.labels, dtype=np.int64),
        }
        save_file(tensors, path, {"qmoe": json.dumps(head.model_dump(mode="json"))})

    @classmethod
    def read(cls, path: Path) -> tuple[str, RoutingMap]:
        """The router's name and the map in a file.

        Raises:
            InputError: the file is missing, too large, damaged or of a newer format.
        """
        from safetensors import SafetensorError, safe_open

        if not path.is_file() or path.stat().st_size > MAX_BYTES:
            raise InputError(
                got=f"no file {path}, or a larger one",
                expected=f"a routing map of at most {MAX_BYTES} bytes",
                do=_DO,
            )
        try:
            with safe_open(path, framework="numpy") as file:
                text = (file.metadata() or {}).get("qmoe", "null")
                tensors = {k: file.get_tensor(k) for k in file.keys() if k in _TENSORS}  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            raise InputError(
                got=f"{path} ({error})", expected="a safetensors file", do=_DO
            ) from error
        check_format(text, FORMAT, str(path))
        return _assemble(path, text, tensors)


def centres(
    extent: tuple[float, float, float, float], rows: int, columns: int
) -> Float64[Array, "cell 2"]:
    """The centres of the cells of a grid over an extent, row by row from ymin."""
    xmin, xmax, ymin, ymax = extent
    xs = xmin + (np.arange(columns) + 0.5) / columns * (xmax - xmin)
    ys = ymin + (np.arange(rows) + 0.5) / rows * (ymax - ymin)
    return np.stack(np.meshgrid(xs, ys), -1).reshape(-1, 2)


class _Head(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    format: Literal[1, 2] = FORMAT
    router: Name
    extent: tuple[float, float, float, float]
    protocol: Name
    dataset: Name
    seed: Annotated[int, Field(ge=0)]
    features: tuple[str, str]
    # format 1 had none
    target: Annotated[str, Field(max_length=MAX_CHARACTERS)] = ""
    source: Annotated[str, Field(max_length=MAX_CHARACTERS)] = ""


def _assemble(path: Path, text: str, tensors: dict[str, Array]) -> tuple[str, RoutingMap]:
    try:
        head = _Head.model_validate_json(text)
    except ValidationError as error:
        raise damaged(str(path), error) from error
    kinds = {name: array.dtype.kind for name, array in tensors.items()}
    if kinds != {"probabilities": "f", "gates": "f", "points": "f", "labels": "i"}:
        raise InputError(
            got=f"{path} with arrays {kinds}",
            expected="probabilities, gates and points of floats, and labels of integers",
            do=_DO,
        )
    try:
        built = RoutingMap(
            extent=head.extent,
            probabilities=tensors["probabilities"],
            gates=tensors["gates"],
            points=tensors["points"],
            labels=tensors["labels"],
            protocol=head.protocol,
            dataset=head.dataset,
            seed=head.seed,
            features=head.features,
            target=head.target,
            source=head.source,
        )
    except ValueError as error:
        raise InputError(got=f"{path}: {error}", expected="a whole routing map", do=_DO) from error
    return head.router, built
