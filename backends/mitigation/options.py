"""What follows a step's name in a mitigation's text, and the checks that steps share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from backends.mitigation.base import Job
from qmoe.angles import finite
from qmoe.errors import InputError, unknown


@dataclass(frozen=True, slots=True)
class Options:
    """The options of one step, as text by key.

    Raises:
        InputError: An option that the step does not have; with the nearest match.
    """

    step: str
    given: Mapping[str, str]
    known: tuple[str, ...]

    def __post_init__(self) -> None:
        for key in self.given:
            if key not in self.known:
                raise unknown(f"option of {self.step}", key, self.known)

    def text(self, key: str, default: str) -> str:
        """The text as it stands."""
        return self.given.get(key, default)

    def whole(self, key: str, default: int) -> int:
        """A whole number >= 0."""
        text = self.given.get(key, str(default))
        if not (text.isascii() and text.isdecimal()):
            raise self._bad(key, "a whole number", f"{key}={default}")
        return int(text)

    def number(self, key: str, default: float) -> float:
        """A finite number."""
        try:
            return finite(float(self.given.get(key, default)), key)
        except ValueError as error:
            raise self._bad(key, "a finite number", f"{key}={default:g}") from error

    def _bad(self, key: str, expected: str, example: str) -> InputError:
        got = f"{key}={self.given[key]} in {self.step}"
        return InputError(got=got[:120], expected=expected, do=f"write {example}")


def named(step: str, options: Iterable[tuple[str, object, object]]) -> str:
    """The canonical text of a step: its options (key, value, default), defaults left out.

    >>> named("readout", [("kind", "full", "tensored"), ("share", 0.05, 0.05)])
    'readout,kind=full'
    """
    return ",".join([step, *(f"{key}={value}" for key, value, other in options if value != other)])


def check_choice(what: str, value: str, choices: Iterable[str]) -> None:
    """Refuses a word that is none of the choices, with the nearest match."""
    if value not in choices:
        raise unknown(what, value, choices)


def check_part(what: str, value: float) -> None:
    """Refuses a part of the shots that leaves nothing for one side."""
    if not 0 < value < 1:
        raise InputError(
            got=f"{what} {value:g}",
            expected="a part of all shots, between 0 and 1",
            do="leave it out or write for instance share=0.1",
        )


def check_foldable(job: Job, step: str) -> None:
    """Refuses a target that would compile a changed native circuit again.

    Raises:
        InputError: Such a target: what is inserted there may be simplified away.
    """
    if not job.foldable:
        raise InputError(
            got=f"{step} on {job.spec}, which compiles what it is sent: unsupported",
            expected="a target whose native circuit is what runs",
            do="use none or readout there",
        )
