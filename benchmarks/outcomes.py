"""What came of each benchmark of an asv run, at every parameter set that asv listed.

asv ends well when a benchmark is n/a, and when none was there; here both are told apart.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

State = Literal["measured", "told", "silent", "failed"]

_REASON = re.compile(r"asv: skipped: NotImplementedError\((['\"])(.+)\1\)")
_BENCHMARK = re.compile(r"^\[ *[\d.]+%\] ·{3} ([\w.]+)")
_PARAMETERS = "For parameters: "


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a benchmark at one parameter set.

    Attributes:
        state: `told`: n/a, and it said why; `silent`: n/a or absent without a word.
        figure: In the benchmark's unit; NaN unless measured.
        note: The reason of what was not measured.
    """

    state: State
    figure: float = math.nan
    note: str = ""


Outcomes = Mapping[str, Outcome]
"""By `module.Class.benchmark(parameter, ...)`."""


def outcomes(
    listed: Mapping[str, Any], rows: Mapping[str, Sequence[Any]], printed: str, only: str = ""
) -> Outcomes:
    """What came of every parameter set that asv listed, whether or not it has a result.

    Args:
        listed: `benchmarks.json`, of all benchmarks.
        rows: `results` of a file of results: figures in the order of the parameter sets first.
        printed: What `asv run --show-stderr` printed.
        only: As `run` takes it.
    """
    told = dict(_reasons(printed))
    found = {}
    for name, benchmark in listed.items():
        if name == "version":
            continue
        sets = [", ".join(each) for each in itertools.product(*benchmark["params"])]
        labels = [f"{name}({each})" for each in sets] if benchmark["params"] else [name]
        # What asv measured nothing of is null instead of a list.
        figures = (rows[name][:1] or [None])[0] if name in rows else []
        figures = [None] * len(sets) if figures is None else figures
        for label, parameters, figure in itertools.zip_longest(
            labels, sets, figures[: len(sets)], fillvalue="absent"
        ):
            if re.search(only, label):
                found[label] = _outcome(figure, told.get((name, parameters), ""))
    return found


def complaints(found: Outcomes) -> list[str]:
    """What no run may end with, a line each."""
    wrong = [
        f"{label}: {outcome.note}"
        for label, outcome in found.items()
        if outcome.state in ("failed", "silent")
    ]
    if not any(outcome.state == "measured" for outcome in found.values()):
        wrong.append("no benchmark ran")
    return wrong


def _outcome(figure: Any, reason: str) -> Outcome:
    if figure is None:
        return Outcome("failed", note="failed")
    if figure == "absent":
        return Outcome("silent", note="listed, but without a result")
    if not isinstance(figure, int | float):
        return Outcome("failed", note=f"returned {figure!r}; expected a number")
    if math.isnan(figure):
        return Outcome("told", note=reason) if reason else Outcome("silent", note="n/a, no reason")
    return Outcome("measured", figure)


def _reasons(printed: str) -> Iterator[tuple[tuple[str, str], str]]:
    """Benchmark and parameters of all that said why it is n/a."""
    name = parameters = ""
    for line in printed.splitlines():
        if found := _BENCHMARK.match(line):
            name, parameters = found[1], ""
        text = line.partition(_PARAMETERS)[2]
        parameters = text.strip() or parameters
        if found := _REASON.search(line):
            yield (name, parameters), found[2]


def summary(found: Outcomes) -> str:
    """How many of each kind, after a line for each that said why it is n/a."""
    states = [outcome.state for outcome in found.values()]
    told = [f"n/a: {label}: {o.note}" for label, o in found.items() if o.state == "told"]
    kinds: dict[State, str] = {
        "measured": "measured",
        "told": "n/a",
        "failed": "failed",
        "silent": "without a word",
    }
    counts = ", ".join(f"{states.count(state)} {word}" for state, word in kinds.items())
    return "\n".join([*told, counts])
