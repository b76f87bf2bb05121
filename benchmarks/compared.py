"""What two measurements of the same benchmarks say, one of a base and one of a head.

Lower figures are better. Only deterministic figures can fail, those that are the same in every run
of a commit; others are flagged beyond their class's `margin`, times beyond a ratio.
"""

from __future__ import annotations

import importlib
import math
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from math import fsum
from typing import Literal, NamedTuple

from benchmarks.outcomes import Outcome, Outcomes

FLOAT_TOLERANCE = 1e-12
"""Of a deterministic figure that is no count."""
SLOWER = 1.2
"""The ratio of times beyond which a whole interval has to lie: shared machines swing."""

Verdict = Literal["worse", "slower", "better", "faster", "same", "lost", "new", "n/a", "failed"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What the comparison says of one benchmark at one parameter set; lower figures are better.

    Attributes:
        verdict: `lost`: measured of the base only; `new`: of the head only.
        fails: Whether the gate fails for it.
        text: The figures, or why there are none.
    """

    label: str
    verdict: Verdict
    fails: bool
    text: str


class Ratio(NamedTuple):
    """Time of head over time of base: geometric mean of the rounds, 95 % interval.

    Student's t on the logarithms: resampling a handful of rounds makes intervals too short (five
    rounds: 83 % instead of 95 %). One round says nothing: 0 to infinity.
    """

    low: float
    best: float
    high: float


class Measured(NamedTuple):
    """What was measured of base and head in turns; times one pair each round."""

    base: Outcomes
    head: Outcomes
    times: Mapping[str, Sequence[tuple[Outcome, Outcome]]]


def compare(found: Measured, margin: Callable[[str], float | None]) -> list[Finding]:
    """A finding of every benchmark and parameter set, in the order of their names.

    margin: What a figure may change without meaning anything; None: it has to stay as it is.
    """
    findings = []
    for label in sorted(found.base.keys() | found.head.keys()):
        absent = Outcome("silent", note="absent")
        base, head = found.base.get(label, absent), found.head.get(label, absent)
        findings.append(_unmeasured(label, base, head) or _figure(label, base, head, margin(label)))
    for label in sorted(found.times):
        pairs = found.times[label]
        missing = (_unmeasured(label, base, head) for base, head in pairs)
        findings.append(next((each for each in missing if each), None) or _time(label, pairs))
    return findings


def verdict(found: Measured, findings: Collection[Finding]) -> list[str]:
    """Why the gate fails, a line each; none: it does not."""
    wrong = [f"{each.label}: {each.verdict}: {each.text}" for each in findings if each.fails]
    last = {label: pairs[-1][1] for label, pairs in found.times.items()}
    if not any(each.state == "measured" for each in (*found.head.values(), *last.values())):
        wrong.append("no benchmark ran")
    return wrong


def ratio(pairs: Sequence[tuple[float, float]]) -> Ratio:
    """Head over base from the rounds' pairs of times (base, head).

    >>> ratio([(1.0, 2.0), (2.0, 4.0)])
    Ratio(low=2.0, best=2.0, high=2.0)
    """
    from scipy.special import stdtrit  # scipy.stats takes most of a second to import

    logs = [math.log(head / base) for base, head in pairs]
    mean, freedom = fsum(logs) / len(logs), len(logs) - 1
    if not freedom:
        return Ratio(0.0, math.exp(mean), math.inf)
    variance = fsum((each - mean) ** 2 for each in logs) / freedom
    half = float(stdtrit(freedom, 0.975)) * math.sqrt(variance / len(logs))
    return Ratio(*(math.exp(mean + k * half) for k in (-1, 0, 1)))


def margin_of(label: str) -> float | None:
    """What the benchmark's class says that a figure may change; None where it is deterministic.

    >>> margin_of("accuracy.ErrorRate.track_error('moons-0.1', 'constant')")
    >>> margin_of("accuracy.TrainedError.track_error('moons-0.1', 'constant')")
    0.02
    """
    module, name, _ = label.partition("(")[0].split(".")
    kind = getattr(importlib.import_module(f"benchmarks.{module}"), name)
    return None if kind.deterministic else float(kind.margin)


def _unmeasured(label: str, base: Outcome, head: Outcome) -> Finding | None:
    """The finding where a side has no figure; None where both have one."""
    if head.state in ("failed", "silent"):
        return Finding(label, "failed", True, f"head: {head.note}")
    if base.state == "silent":
        return Finding(label, "failed", True, f"base: {base.note}")
    if head.state == "told":
        if base.state == "measured":
            return Finding(label, "lost", True, f"{_number(base.figure)} -> n/a: {head.note}")
        return Finding(label, "n/a", False, head.note)
    if base.state != "measured":
        return Finding(label, "new", False, f"{_number(head.figure)}; base: {base.note}")
    return None


def _figure(label: str, base: Outcome, head: Outcome, margin: float | None) -> Finding:
    counts = isinstance(base.figure, int) and isinstance(head.figure, int)
    allowed = margin if margin is not None else 0 if counts else FLOAT_TOLERANCE
    change = head.figure - base.figure
    says: Verdict = "same" if abs(change) <= allowed else "worse" if change > 0 else "better"
    text = f"{_number(base.figure)} -> {_number(head.figure)}"
    return Finding(label, says, margin is None and says == "worse", text)


def _time(label: str, pairs: Sequence[tuple[Outcome, Outcome]]) -> Finding:
    found = ratio([(base.figure, head.figure) for base, head in pairs])
    says: Verdict = "same"
    if found.low > SLOWER:
        says = "slower"
    elif found.high < 1 / SLOWER:
        says = "faster"
    base = math.exp(sum(math.log(each.figure) for each, _ in pairs) / len(pairs))
    interval = f"{found.best:.2f} times [{found.low:.2f}, {found.high:.2f}]"
    return Finding(label, says, False, f"{interval} the base's {base:.3g}, {len(pairs)} rounds")


def _number(figure: float) -> str:
    return str(figure) if isinstance(figure, int) else f"{figure:.6g}"


def report(findings: Sequence[Finding]) -> str:
    """Findings as lines, what fails first; figures that stayed the same are only counted."""
    lines = []
    for each in sorted(findings, key=lambda each: not each.fails):
        if each.verdict != "same" or "times [" in each.text:
            free = each.verdict in ("worse", "slower") and not each.fails
            why = "  (reported only)" if free else ""
            lines.append(f"{each.verdict:7} {each.label}  {each.text}{why}")
    counts = Counter(each.verdict for each in findings)
    total = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
    return "\n".join([*lines, f"{len(findings)} compared: {total}"])
