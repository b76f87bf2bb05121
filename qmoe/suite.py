"""Suites: named lists of steps, and what a step plans with.

A step is a function named by its dotted path and imported when it runs. From a `Setup` and its
options it makes a `Plan`; `qmoe.execution` carries plans out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from qmoe.angles import whole
from qmoe.dotted import named
from qmoe.errors import InputError, unknown
from qmoe.plan import Plan
from qmoe.record import damaged
from qmoe.rundir import read_bounded
from qmoe.trial import FEWEST_TRIALS, Trial, search

MAX_BYTES = 2**18
MOST_SEEDS = 100_000
MOST_TRIALS = 1000


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
    trials: Annotated[int, Field(ge=1, le=MOST_TRIALS)] = FEWEST_TRIALS
    estimate: bool = False
    steps: Annotated[tuple[Step, ...], Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class Setup:
    """What a study plans with: the root seed, the paired seeds, the trials of every family."""

    root: int
    seeds: tuple[int, ...]
    trials: tuple[Trial, ...]


Study = Callable[..., Plan]
"""A function of a `Setup` and keyword options that returns a plan."""


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


def setup(root: int, seeds: int, trials: int) -> Setup:
    """The setup with seeds 0 to seeds - 1 and that many trials.

    Raises:
        InputError: Fewer than one of either, or too many.
    """
    if not 1 <= trials <= MOST_TRIALS:
        raise InputError(
            got=f"{trials} trials",
            expected=f"from 1 to {MOST_TRIALS}; verdicts need {FEWEST_TRIALS}",
            do=f"pass --trials {FEWEST_TRIALS}",
        )
    return Setup(whole(root, "seed"), seed_range(seeds), search(trials, root))


def resolve(dotted: str) -> Study:
    """The function behind `module:function`."""
    study: Study = named(dotted)
    return study
