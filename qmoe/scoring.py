"""A checkpoint scored on data with known classes."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from qmoe.arrays import Floats
from qmoe.checkpoint import Checkpoint
from qmoe.checkpoint import load as load_checkpoint
from qmoe.data import Dataset, DataSpec
from qmoe.data import load as load_data
from qmoe.errors import InputError
from qmoe.metrics import Score, wilson


@dataclass(frozen=True, slots=True)
class Scoring:
    """The accuracy of a checkpoint on some rows, with its Wilson interval (rows, not seeds)."""

    router: str
    dataset: str
    rows: int
    accuracy: Score

    def __str__(self) -> str:
        return f"{self.router} on {self.dataset}: accuracy {self.accuracy} on {self.rows} rows"

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)


def score(path: Path, data: str, target: str | None, out: Path | None) -> Scoring:
    """Scores the checkpoint in a folder; `out` receives class probabilities, a row per input.

    Raises:
        InputError: A checkpoint or data set that cannot be read, other classes or features, or a
            file that exists.
    """
    checkpoint = load_checkpoint(path)
    spec = DataSpec.parse(data, target)
    if not spec.fixed:
        raise InputError(
            got=f"data {data!r}, which is drawn anew for every seed",
            expected="a .csv or .npz file, or a fixed set",
            do="see: qmoe data list",
        )
    rows = load_data(spec)
    if rows.classes != checkpoint.classes:
        raise InputError(
            got=f"classes {', '.join(rows.classes)} in {rows.name}",
            expected=f"those of the checkpoint: {', '.join(checkpoint.classes)}",
            do="use data with the same classes",
        )
    probabilities = checkpoint.predict_proba(rows.X)
    if out is not None:
        _write(out, checkpoint, rows, probabilities)
    right = int((probabilities.argmax(1) == rows.y).sum())
    label = checkpoint.model().router.label
    return Scoring(label, rows.name, len(rows.y), wilson(right, len(rows.y)))


def _write(out: Path, checkpoint: Checkpoint, rows: Dataset, probabilities: Floats) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["class", "predicted", *(f"p({name})" for name in checkpoint.classes)])
    for label, row in zip(rows.y, probabilities, strict=True):
        predicted = checkpoint.classes[int(row.argmax())]
        writer.writerow([checkpoint.classes[int(label)], predicted, *(repr(float(p)) for p in row)])
    try:
        with out.open("x", encoding="utf-8", newline="") as file:
            file.write(text.getvalue())
    except FileExistsError as error:
        raise InputError(
            got=f"output file {out} that exists", expected="a new file", do="name another --out"
        ) from error
