"""How a command line ends: a user's mistake is one line on standard error and an exit code."""

from __future__ import annotations

import sys
from typing import NoReturn

import typer
from typer.exceptions import TyperException

from qmoe.errors import QmoeError


def enter(app: typer.Typer, name: str, help_: str) -> NoReturn:
    """Runs the commands and ends the process.

    name: What stands before an error. help_: What to call for help.
    """
    try:
        code = app(standalone_mode=False)
    except QmoeError as error:
        _stop(name, str(error), error.exit_code)
    except TyperException as error:
        _stop(name, f"{error.format_message()} (see: {help_})", error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        _stop(name, "interrupted", 130)
    except OSError as error:
        _stop(name, f"{error.strerror or error}: {error.filename or ''}".rstrip(": "), 1)
    sys.exit(code if isinstance(code, int) else 0)


def _stop(name: str, message: str, code: int) -> NoReturn:
    print(f"{name}: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(code)
