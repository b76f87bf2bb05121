"""How the commands about hardware reach services, and how they print."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Way:
    """How the commands reach services, and how they print.

    Attributes:
        call_timeout: Seconds that one call of a service may take; None is the adapter's own.
        settle: Seconds before a search for a job of uncertain fate.
        as_json: Whether results are printed as JSON.
    """

    call_timeout: float | None = None
    settle: float = 30.0
    as_json: bool = False

    def target(self, spec: str) -> str:
        """The spec with the time limit, which is no part of a target's name."""
        if self.call_timeout is None:
            return spec
        return f"{spec},call_timeout={self.call_timeout:g}"

    def print(self, tree: dict[str, Any], lines: list[str]) -> None:
        """What was found, as JSON or as text."""
        print(json.dumps(tree, allow_nan=False) if self.as_json else "\n".join(lines))

    def tell(self, line: str) -> None:
        """A line while something is going on; silent where JSON was asked for."""
        if not self.as_json:
            print(line, flush=True)
