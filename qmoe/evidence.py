"""Evidence: every cell with all its trials and every figure of a run, as one checked file.

The same form holds a run's own results and the committed ones behind the claims ledger, so that
a verdict is derived again from either by the same code.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from collections.abc import Iterator, Sequence
from importlib import resources
from operator import attrgetter
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from qmoe.cell import CellResult
from qmoe.errors import InputError, QmoeError
from qmoe.figure import Figure, Figures
from qmoe.provenance import Provenance
from qmoe.record import check_format, damaged
from qmoe.rundir import ROOT, Run, read_bounded

FORMAT: Final = 1
NAME: Final = "evidence.json.gz"
MAX_PACKED_BYTES = 32 * 2**20
MAX_BYTES = 128 * 2**20
LEDGER: Final = "ledger"
COMMITTED: Final = ("paper.json.gz", "noise.json.gz")
"""The committed evidence, in this folder of the package; the first has to be there."""
BY_SEED: Final = ("accuracy under noise",)
"""The figures whose values by seed verdicts rest on."""

Part = TypeVar("Part", CellResult, Figures)
Rounded = tuple[float | None, float | None, float | None]
"""A figure with the ends of its interval, rounded; None where it is not known."""


class StoredVerdict(BaseModel):
    """A verdict as it was printed: what deriving it again has to give.

    `words` and `figures` are those of the registered comparisons, by their names.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    verdict: str
    words: dict[str, str] = {}
    figures: dict[str, Rounded] = {}


class Evidence(BaseModel):
    """What a run found, by content: results and figures sorted by key, and who asked for them.

    `studies` maps a study to the keys of its cells and measurements. `verdicts` is by claim, and
    empty until they were derived.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    format: Literal[1] = FORMAT
    provenance: Provenance
    results: tuple[CellResult, ...] = ()
    figures: tuple[Figures, ...] = ()
    studies: dict[str, tuple[Annotated[str, Field(pattern=r"^[0-9a-f]{20}$")], ...]] = {}
    verdicts: dict[str, StoredVerdict] = {}

    @field_validator("results", "figures", mode="after")
    @classmethod
    def _sorted(cls, parts: tuple[Part, ...]) -> tuple[Part, ...]:
        # worker processes finish in any order
        return tuple(sorted(parts, key=attrgetter("key")))

    @model_validator(mode="after")
    def _complete(self) -> Evidence:
        keys = [*(r.key for r in self.results), *(f.key for f in self.figures)]
        if len(set(keys)) < len(keys):
            raise ValueError("a part that is there twice")
        lost = {key for asked in self.studies.values() for key in asked} - set(keys)
        if lost:
            raise ValueError(f"no part {min(lost)}, which a study asked for")
        return self

    @property
    def command(self) -> str:
        """The shell line that found it."""
        return self.provenance.command

    @property
    def digest(self) -> str:
        """The sha256 over the content, as hex."""
        return _digest(self.model_dump(mode="json"))

    def small(self) -> Evidence:
        """Without what no verdict needs: other values by seed; for cells see `CellResult.small`."""
        results = tuple(r.small() for r in self.results)
        figures = tuple(
            f.model_copy(update={"figures": tuple(map(_small, f.figures))}) for f in self.figures
        )
        return self.model_copy(update={"results": results, "figures": figures})

    def find(
        self, *, dataset: str, router: str, experts: int, protocol: str = "controlled"
    ) -> tuple[CellResult, ...]:
        """Every cell with these names; several where studies trained it in different ways."""
        wanted = (dataset, router, experts, protocol)
        return tuple(
            r for r in self.results if (r.dataset, r.router, r.experts, r.protocol) == wanted
        )

    def asked_by(self, study: str) -> frozenset[str]:
        """The keys of what a study asked for; none where it did not run."""
        return frozenset(self.studies.get(study, ()))

    def figures_named(self, name: str) -> Iterator[Figure]:
        """Every figure of that name, with its labels, in the order of its measurement."""
        return (f for found in self.figures for f in found.figures if f.name == name)

    def to_bytes(self) -> bytes:
        """The file's content: equal evidence gives equal bytes."""
        content = self.model_dump(mode="json")
        text = _canonical({**content, "sha256": _digest(content)})
        return gzip.compress(text.encode(), mtime=0)

    def write(self, path: Path) -> None:
        """Writes the file; it appears whole or not at all.

        Raises:
            InputError: There is no folder to write it to.
        """
        if not path.parent.is_dir():
            raise InputError(
                got=f"file {path}", expected="a folder that is there", do="make the folder first"
            )
        partial = path.with_name(f".{path.name}.partial")
        partial.write_bytes(self.to_bytes())
        partial.replace(path)

    @classmethod
    def read(cls, path: Path) -> Evidence:
        """The evidence in a file.

        Raises:
            InputError: There is no file, or it is damaged, too large or newer.
            QmoeError: It is whole, but a stored choice is not the one that validation made.
        """
        return cls.from_bytes(read_bounded(path, MAX_PACKED_BYTES), str(path))

    @classmethod
    def from_bytes(cls, data: bytes, place: str) -> Evidence:
        """The evidence in a file's content; errors as in `read`."""
        text = _unpacked(data, place)
        check_format(text, FORMAT, place)
        content = json.loads(text)
        stored = content.pop("sha256", None)
        if stored != _digest(content):
            raise InputError(
                got=f"{place} whose content does not have the digest it names",
                expected="evidence as qmoe wrote it",
                do="restore the file or run the command again",
            )
        try:
            return cls.model_validate_json(_canonical(content))
        except ValidationError as error:
            raise _not_chosen(content, error, place) or damaged(place, error) from error


def parts_of(run: str | None, root: Path = ROOT) -> tuple[Evidence, ...]:
    """The evidence of a run (its folder, its id, or "latest"), in a file, or all that is committed.

    Raises:
        InputError: There is none, or it is damaged; as `Evidence.read`.
    """
    if run is None:
        return _committed()
    if Path(run).is_file():
        return (Evidence.read(Path(run)),)
    return (Evidence.read(Run.open(run, root).path / NAME),)


def of_run(run: str | None, root: Path = ROOT) -> Evidence:
    """The same as one; errors as in `parts_of` and `united`."""
    return united(parts_of(run, root))


def united(parts: Sequence[Evidence]) -> Evidence:
    """Several runs' evidence as one, without verdicts: these are each part's own.

    A cell or measurement of several runs is taken from the first. The provenance is that of the
    first run.

    Raises:
        QmoeError: Two runs have different counts or figures for one.
    """
    first, *others = parts
    if not others:
        return first
    studies: dict[str, tuple[str, ...]] = {}
    for part in parts:
        for study, asked in part.studies.items():
            studies[study] = tuple(dict.fromkeys((*studies.get(study, ()), *asked)))
    return Evidence(
        provenance=first.provenance,
        results=_once([r for part in parts for r in part.results]),
        figures=_once([f for part in parts for f in part.figures]),
        studies=studies,
    )


def _once(found: Sequence[Part]) -> tuple[Part, ...]:
    kept: dict[str, Part] = {}
    for part in found:
        if _content(kept.setdefault(part.key, part)) != _content(part):
            raise QmoeError(f"two runs differ in what they found for part {part.key}")
    return tuple(kept.values())


def _content(part: Part) -> object:
    """What a verdict rests on; not how long it took, nor how long what it measured took."""
    if isinstance(part, Figures):
        return tuple(figure for figure in part.figures if figure.unit != "s")
    return part.seeds, part.chosen, part.validation_correct, part.test_correct, part.train_correct


def _small(figure: Figure) -> Figure:
    return figure if figure.name in BY_SEED else figure.model_copy(update={"per_seed": ()})


def evidence_of(run: Run) -> Evidence | None:
    """The evidence of a run; None for one without.

    Raises:
        InputError: It is damaged or was written by a newer version.
    """
    path = run.path / NAME
    return Evidence.read(path) if path.is_file() else None


def _committed() -> tuple[Evidence, ...]:
    folder = resources.files("qmoe").joinpath(LEDGER)
    first, *others = (folder.joinpath(name) for name in COMMITTED)
    if not first.is_file():
        raise InputError(
            got="an installation without the committed evidence",
            expected=f"the file {LEDGER}/{COMMITTED[0]} in the package",
            do="name a run: qmoe claims latest",
        )
    files = (first, *(file for file in others if file.is_file()))
    return tuple(Evidence.from_bytes(f.read_bytes(), f"the committed {f.name}") for f in files)


def _canonical(content: Any) -> str:
    return json.dumps(
        content, sort_keys=True, allow_nan=False, ensure_ascii=False, separators=(",", ":")
    )


def _digest(content: Any) -> str:
    return hashlib.sha256(_canonical(content).encode()).hexdigest()


def _unpacked(data: bytes, place: str) -> bytes:
    """The text of a gzip'd file, never more than `MAX_BYTES` of it."""
    reader = zlib.decompressobj(wbits=31)  # gzip's container
    try:
        text = reader.decompress(data, MAX_BYTES)
    except zlib.error as error:
        problem = f"that is not gzip ({error})"
    else:
        if reader.eof and not reader.unused_data:
            return text
        if reader.unconsumed_tail:
            problem = f"of more than {MAX_BYTES} bytes"
        else:
            problem = "that goes on after its end" if reader.eof else "that is cut short"
    raise InputError(
        got=f"{place} {problem}",
        expected="evidence as qmoe wrote it",
        do="restore the file or run the command again",
    )


def _not_chosen(content: Any, error: ValidationError, place: str) -> QmoeError | None:
    """The error for whole evidence with a choice that its own validation counts contradict."""
    for misfit in error.errors(include_url=False):
        if "a choice that validation did not make" in misfit["msg"]:
            cell = content["results"][misfit["loc"][1]]
            names = f"{cell['router']} on {cell['dataset']} (cell {cell['key']})"
            return QmoeError(f"{place}: the stored choice of {names} is not what validation chose")
    return None
