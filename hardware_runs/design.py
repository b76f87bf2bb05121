"""A suite of hardware experiments: a TOML file that says what is measured, and what decides.

Everything in it is part of a plan's id, but for the description.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from backends.mitigation import load as mitigation
from qmoe.angles import finite, whole
from qmoe.errors import InputError, unknown
from qmoe.rundir import read_bounded

FORMAT = 1
FEWEST_ROUTERS = 8
MAX_BYTES = 2**18
MOST_EXECUTIONS = 2_000_000
UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
FOLD = re.compile(r"fold=(3|5|7|9)")
_REPEATS = re.compile(r"every=(\d+(?:\.\d+)?)([smhd]),count=(\d{1,5})")


@dataclass(frozen=True, slots=True)
class Design:
    """What an experiment measures on whatever target, and what decides.

    Attributes:
        name, version: Of the suite.
        description: What it can and cannot say.
        data: A named data set with its options.
        router: The router under test with its options.
        seeds: Trained routers to pick from; `trials` of each, chosen on validation.
        routers: How many are taken: the first ones ("all") or a seeded draw ("random").
        inputs: Test inputs of each router, `block` of them in a block.
        shots: Of every circuit.
        treatments: `none` and mitigations, or "fold=3": the raw circuit folded.
        nulls: Inputs of each null router in a block.
        every, count: Seconds between repeats of everything, and how many.
        primary: The treatment that is compared with the exact router, in accuracy.
        margin: The largest difference that does not matter.
        limit: A block whose sentinels are further off (total variation) is left out.
        seed: Of every random choice.
    """

    name: str
    version: int
    data: str = "moons,noise=0.1"
    router: str = "quantum,layers=2"
    seeds: int = 8
    trials: int = 1
    routers: int = 8
    rule: Literal["all", "random"] = "all"
    inputs: int = 20
    block: int = 10
    shots: int = 1000
    treatments: tuple[str, ...] = ("none",)
    nulls: int = 1
    every: float = 0.0
    count: int = 1
    primary: str = "none"
    margin: float = 0.01
    limit: float = 0.25
    seed: int = 0
    description: str = ""

    @property
    def blocks(self) -> int:
        """How many blocks a repeat has."""
        return -(-self.inputs // self.block)

    @property
    def circuits(self) -> int:
        """At least so many executions, all repeats together."""
        return self.routers * self.inputs * self.count * len(self.treatments)

    def to_dict(self) -> dict[str, Any]:
        """JSON values, defaults and the description left out."""
        tree = {}
        for item in fields(self):
            value = getattr(self, item.name)
            if item.name != "description" and value != item.default:
                tree[item.name] = list(value) if isinstance(value, tuple) else value
        return tree

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any]) -> Design:
        """The design that `to_dict` wrote; what it reads is not trusted.

        Raises:
            InputError: It is none.
        """
        try:
            given = {**tree}
            every = finite(given.pop("every", 0.0), "seconds between repeats")
            count = whole(given.pop("count", 1), "number of repeats", 1)
            made = replace(
                _File.model_validate({"format": FORMAT, **given}).design(), every=every, count=count
            )
        except (ValidationError, TypeError) as error:
            raise InputError(
                got="a plan whose design cannot be read", expected="what was written", do=_DO
            ) from error
        if not 0 <= every < 1e9 or made.circuits > MOST_EXECUTIONS or "repeats" in given:
            raise InputError(got="a plan with other repeats", expected="every, count", do=_DO)
        return made


_DO = "restore the plan from where it was stored"


class _File(BaseModel):
    """What a suite file holds."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)

    format: Literal[1]
    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,40}$")]
    version: Annotated[int, Field(ge=1, le=10_000)]
    description: Annotated[str, Field(max_length=2000)] = ""
    data: Annotated[str, Field(max_length=200)] = "moons,noise=0.1"
    router: Annotated[str, Field(pattern=r"^quantum(,|$)", max_length=200)] = "quantum,layers=2"
    seeds: Annotated[int, Field(ge=FEWEST_ROUTERS, le=1000)] = 8
    trials: Annotated[int, Field(ge=1, le=100)] = 1
    routers: Annotated[int, Field(ge=FEWEST_ROUTERS, le=1000)] = 8
    rule: Literal["all", "random"] = "all"
    inputs: Annotated[int, Field(ge=2, le=10_000)] = 20  # one cannot be shuffled
    block: Annotated[int, Field(ge=1, le=10_000)] = 10
    shots: Annotated[int, Field(ge=1, le=1_000_000)] = 1000
    treatments: Annotated[tuple[str, ...], Field(strict=False, min_length=1, max_length=20)] = (
        "none",
    )
    nulls: Annotated[int, Field(ge=1, le=1000)] = 1
    repeats: str = "every=0s,count=1"
    primary: str = "none"
    margin: Annotated[float, Field(ge=0, lt=1)] = 0.01
    limit: Annotated[float, Field(gt=0, le=1)] = 0.25
    seed: Annotated[int, Field(ge=0, le=2**31)] = 0

    @field_validator("treatments")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if names[0] != "none" or len(set(names)) < len(names):
            raise ValueError("the first must be 'none', and none may stand twice")
        for name in names:
            if FOLD.fullmatch(name):
                continue
            if any(part.startswith("ibm.") for part in name.split("+")):
                raise ValueError(f"{name!r} applies to whole jobs: it cannot share them")
            if any(part.startswith("mitiq.") for part in name.split("+")):
                raise ValueError(f"{name!r} makes other circuits for every input: too many to plan")
            mitigation(name)  # an InputError is a ValueError, with the nearest match
        return names

    @field_validator("repeats")
    @classmethod
    def _timed(cls, text: str) -> str:
        found = _REPEATS.fullmatch(text)
        if found is None or int(found[3]) < 1:
            raise ValueError(f"got {text!r}; expected every=1h,count=24 (units s, m, h, d)")
        return text

    def design(self, line: Callable[[str], str] = lambda key: "") -> Design:
        """The same as a value.

        line: Where a key stands, as it is said in errors.

        Raises:
            InputError: Fields that do not go together.
        """
        found = _REPEATS.fullmatch(self.repeats)
        assert found is not None
        values = self.model_dump(exclude={"format", "repeats"})
        made = Design(**values, every=float(found[1]) * UNITS[found[2]], count=int(found[3]))
        for wrong, key, expected in (
            (made.routers > made.seeds, "routers", f"at most seeds = {made.seeds}"),
            (made.block > made.inputs, "block", f"at most inputs = {made.inputs}"),
            (made.nulls > made.block, "nulls", f"at most block = {made.block}"),
            (
                made.primary not in made.treatments,
                "primary",
                f"one of the treatments {', '.join(made.treatments)}",
            ),
            (
                made.circuits > MOST_EXECUTIONS,
                "inputs",
                f"at most {MOST_EXECUTIONS:,} circuits of all routers, treatments and repeats",
            ),
        ):
            if wrong:
                raise InputError(
                    got=f"suite {made.name}{line(key)} with {key} = {getattr(made, key)!r}",
                    expected=expected,
                    do="correct the file",
                )
        return made


def shipped() -> tuple[str, ...]:
    """The names of the suites that come with the project."""
    folder = resources.files("hardware_runs") / "suites"
    return tuple(sorted(p.name[:-5] for p in folder.iterdir() if p.name.endswith(".toml")))


def load(name: str) -> Design:
    """A shipped suite by name, or one from a TOML file.

    Raises:
        InputError: No such suite, or a file with a fault: with its line.
    """
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    if name in shipped():
        text = (resources.files("hardware_runs") / "suites" / f"{name}.toml").read_text("utf-8")
    elif name.endswith(".toml"):
        text = read_bounded(Path(name), MAX_BYTES).decode("utf-8", errors="replace")
    else:
        raise unknown("suite", name, shipped())
    try:
        return _File.model_validate(tomlkit.parse(text).unwrap()).design(partial(_line, text))
    except TOMLKitError as error:
        raise InputError(
            got=f"suite {name} that is not TOML ({error})",
            expected="a suite file",
            do="correct that line",
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        key = str(first["loc"][0]) if first["loc"] else ""
        got = f"{name}{_line(text, key)}: {key} {_short(first.get('input'))}"
        raise InputError(
            got=got, expected=first["msg"].removeprefix("Value error, "), do="correct that line"
        ) from error


def _line(text: str, key: str) -> str:
    """Where a key stands in a file; "" where it does not."""
    for number, line in enumerate(text.splitlines(), 1):
        if re.match(rf"\s*[\"']?{re.escape(key)}[\"']?\s*=", line):
            return f" line {number}"
    return ""


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}..."
