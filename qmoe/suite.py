"""Suites: named lists of steps, and what a step is given to work with.

A step is a function named by its dotted path and imported when it runs. It reads nothing but its
`Context` and options and leaves Records (and maps, checkpoints) in the run's folder.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib import import_module, resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from qmoe.errors import InputError, unknown
from qmoe.progress import Advance, Progress
from qmoe.provenance import Provenance
from qmoe.record import damaged
from qmoe.rundir import RunWriter, read_bounded

MAX_BYTES = 2**18
MOST_SEEDS = 100_000


class Step(BaseModel):
    """One step: `module:function` in a room of this project, and its keyword options."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # a suite file names the project's own steps and cannot reach other installed code
    call: Annotated[
        str, Field(pattern=r"^(qmoe|backends|hardware_runs)(\.[a-z_0-9]+)+:[a-z_0-9]+$")
    ]
    options: dict[str, str | int | float | bool] = {}


class Suite(BaseModel):
    """A named list of steps with the number of paired seeds they run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1]
    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,40}$")]
    description: str = ""
    seeds: Annotated[int, Field(ge=1, le=MOST_SEEDS)] = 30
    steps: Annotated[tuple[Step, ...], Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class Context:
    """What a step works with: where results go, which seeds, how to show progress."""

    writer: RunWriter
    provenance: Provenance
    root: int
    seeds: tuple[int, ...]
    device: str
    progress: Progress

    def task(self, title: str, total: int) -> AbstractContextManager[Advance]:
        """A task with a bar where there is a terminal."""
        return self.progress(title, total)


def shipped() -> tuple[str, ...]:
    """The names of the suites that come with the project."""
    folder = resources.files("qmoe") / "suites"
    return tuple(sorted(p.name[:-5] for p in folder.iterdir() if p.name.endswith(".toml")))


def load(name: str) -> Suite:
    """A shipped suite by name, or one from a TOML file.

    Raises:
        InputError: No such suite, or a file that is damaged, newer or holds unknown keys.
    """
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    if name in shipped():
        text = (resources.files("qmoe") / "suites" / f"{name}.toml").read_text("utf-8")
    elif name.endswith(".toml"):
        text = read_bounded(Path(name), MAX_BYTES).decode("utf-8", errors="replace")
    else:
        raise unknown("suite", name, shipped())
    try:
        return Suite.model_validate(tomlkit.parse(text).unwrap())
    except TOMLKitError as error:
        raise InputError(
            got=f"suite {name} that is not TOML ({error})",
            expected="a suite file",
            do="correct that line",
        ) from error
    except ValidationError as error:
        raise damaged(f"suite {name}", error) from error


def seed_range(count: int) -> tuple[int, ...]:
    """The seeds 0 to count - 1.

    Raises:
        InputError: Fewer than one.
    """
    if not 1 <= count <= MOST_SEEDS:
        raise InputError(
            got=f"{count} seeds", expected=f"from 1 to {MOST_SEEDS}", do="pass --seeds 30"
        )
    return tuple(range(count))


def execute(
    steps: Sequence[tuple[Callable[..., None], Mapping[str, Any]]],
    *,
    name: str,
    provenance: Provenance,
    seeds: int,
    device: str,
    progress: Progress,
    out: Path | None,
) -> Path:
    """Runs steps into a new run folder, which appears whole or not at all; returns the folder."""
    chosen = seed_range(seeds)
    with RunWriter(name, provenance, out=out) as writer:
        context = Context(writer, provenance, provenance.seed, chosen, device, progress)
        for step, options in steps:
            step(context, **options)
    return writer.out


def resolve(dotted: str) -> Callable[..., None]:
    """The function behind `module:function`."""
    module, _, name = dotted.partition(":")
    step: Callable[..., None] = getattr(import_module(module), name)
    return step
