"""Errors a user can cause or meet, each with the exit code that the command line ends with.

A message is one line: what was got, what is expected, what to do. The command line prints it
without a traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable


class QmoeError(Exception):
    """A failure that is explained in one line; `exit_code` is what the command line returns."""

    exit_code = 1


class ExplainedError(QmoeError):
    """A failure in three parts: what was got, what is expected, what to do."""

    def __init__(self, *, got: str, expected: str, do: str) -> None:
        super().__init__(" ".join(f"got {got}; expected {expected}; {do}".split()))
        self._parts = (got, expected, do)

    def __reduce__(self) -> tuple[Callable[..., ExplainedError], tuple[object, ...]]:
        """How an error comes back from a worker process."""
        return _again, (type(self), *self._parts)


class InputError(ExplainedError, ValueError):
    """Bad input from a user: an unknown name, a value out of range, a damaged file.

    >>> print(InputError(got="layers=-1", expected="a whole number >= 1", do="pass layers=2"))
    got layers=-1; expected a whole number >= 1; pass layers=2
    """

    exit_code = 2


class CredentialsError(ExplainedError):
    """Credentials that a service needs and that are missing or refused; never shows any."""

    exit_code = 3


class UnreachableError(ExplainedError):
    """A service that cannot be reached or has not answered in time."""

    exit_code = 4


class FitError(ExplainedError):
    """A circuit that does not fit the device: too wide, or with a gate that it does not have."""

    exit_code = 6


def _again(kind: type[ExplainedError], got: str, expected: str, do: str) -> ExplainedError:
    return kind(got=got, expected=expected, do=do)


def unknown(what: str, name: str, known: Iterable[str]) -> InputError:
    """The error for a name that is not in a registry, with the nearest match.

    >>> print(unknown("router", "lineer", ["linear", "constant"]))
    got router 'lineer'; expected one of constant, linear; did you mean 'linear'?
    """
    choices = sorted(known)
    close = difflib.get_close_matches(name, choices, n=1)
    do = f"did you mean {close[0]!r}?" if close else "choose one of these"
    return InputError(got=f"{what} {name!r}", expected=f"one of {', '.join(choices)}", do=do)
