"""Whether this working tree is worse than a base commit, measured side by side on this machine.

    python -m benchmarks.gate main             # exit code 1: a figure of stored weights got worse
    python -m benchmarks.gate HEAD~3 --only size --rounds 9

Base and head take turns, both with this checkout's benchmarks and this python's dependencies.
Figures that are the same in every run of a commit (`deterministic = True`) must not get worse;
others are reported. Times are ratios with an interval and fail nothing: machines are noisy.
"""

from __future__ import annotations

import argparse
import importlib
import io
import math
import subprocess
import sys
import tarfile
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from benchmarks.bench import QUICK, ROOT, Outcome, Outcomes, run

ROUNDS = 5
FLOAT_TOLERANCE = 1e-12
"""Of a deterministic figure that is no count."""
TIMED = r"[\w.]*\btime(raw)?_\w+"
"""asv's names of what it times."""
SAMPLES = ("-a", "rounds=1", "-a", "repeat=3")
RESAMPLES = 2000

Verdict = Literal["worse", "better", "same", "lost", "new", "n/a", "failed"]


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
    """Time of head over time of base: geometric mean of the rounds, 95 % bootstrap interval."""

    low: float
    best: float
    high: float


class Measured(NamedTuple):
    """What was measured of base and head in turns; times one pair each round."""

    base: Outcomes
    head: Outcomes
    times: Mapping[str, Sequence[tuple[Outcome, Outcome]]]


def measured(
    base: Path,
    head: Path,
    *,
    only: str = "",
    rounds: int = ROUNDS,
    one: bool = False,
    say: Callable[[str], object] = lambda line: None,
) -> Measured:
    """Figures of both trees, and times at one parameter set each, which take most of the hours."""
    figures = rf"^(?!{TIMED})(?=.*(?:{only}))"
    timed = rf"^(?={TIMED})(?=.*(?:{only}))"
    say("figures of base, then of head")
    first, second = (run(tree, only=figures, options=QUICK, one=one) for tree in (base, head))
    times = defaultdict(list)
    for each in range(rounds):
        say(f"times, round {each + 1} of {rounds}")
        trees = (base, head) if each % 2 == 0 else (head, base)
        found = {tree: run(tree, only=timed, options=SAMPLES) for tree in trees}
        if not found[head] and not found[base]:
            break
        for label in found[base].keys() | found[head].keys():
            absent = Outcome("silent", note="absent")
            pair = (found[base].get(label, absent), found[head].get(label, absent))
            times[label].append(pair)
    return Measured(first, second, times)


def compare(found: Measured, deterministic: Callable[[str], bool]) -> list[Finding]:
    """A finding of every benchmark and parameter set, in the order of their names."""
    findings = []
    for label in sorted(found.base.keys() | found.head.keys()):
        absent = Outcome("silent", note="absent")
        base, head = found.base.get(label, absent), found.head.get(label, absent)
        exact = deterministic(label)
        findings.append(_unmeasured(label, base, head) or _figure(label, base, head, exact))
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
    import numpy as np

    logs = np.log([head / base for base, head in pairs])
    drawn = np.random.default_rng(0).choice(logs, (RESAMPLES, len(logs))).mean(1)
    low, high = np.exp(np.quantile(drawn, (0.025, 0.975)))
    return Ratio(float(low), float(np.exp(logs.mean())), float(high))


def deterministic(label: str) -> bool:
    """What the benchmark's class, or the function itself, says of its figures.

    >>> deterministic("accuracy.ErrorRate.track_error('moons-0.1', 'constant')")
    True
    """
    path = label.partition("(")[0].split(".")
    at: object = importlib.import_module(f"benchmarks.{path[0]}")
    said = False
    for name in path[1:]:
        at = getattr(at, name)
        said = bool(getattr(at, "deterministic", said))
    return said


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


def _figure(label: str, base: Outcome, head: Outcome, exact: bool) -> Finding:
    counts = isinstance(base.figure, int) and isinstance(head.figure, int)
    tolerance = 0 if counts else FLOAT_TOLERANCE
    change = head.figure - base.figure
    says: Verdict = "same" if abs(change) <= tolerance else "worse" if change > 0 else "better"
    text = f"{_number(base.figure)} -> {_number(head.figure)}"
    return Finding(label, says, exact and says == "worse", text)


def _time(label: str, pairs: Sequence[tuple[Outcome, Outcome]]) -> Finding:
    found = ratio([(base.figure, head.figure) for base, head in pairs])
    says: Verdict = "worse" if found.low > 1 else "better" if found.high < 1 else "same"
    base = math.exp(sum(math.log(each.figure) for each, _ in pairs) / len(pairs))
    interval = f"{found.best:.2f} times [{found.low:.2f}, {found.high:.2f}]"
    return Finding(label, says, False, f"{interval} the base's {base:.3g} s, {len(pairs)} rounds")


def _number(figure: float) -> str:
    return str(figure) if isinstance(figure, int) else f"{figure:.6g}"


def report(findings: Sequence[Finding], exact: Callable[[str], bool]) -> str:
    """Findings as lines, what got worse first; what stayed the same is only counted."""
    order: tuple[Verdict, ...] = ("failed", "lost", "worse", "better", "new", "n/a")
    lines = []
    for each in sorted(findings, key=lambda each: not each.fails):
        timed = "times [" in each.text
        if each.verdict == "same" and not timed:
            continue
        free = each.verdict == "worse" and not each.fails
        why = "  (reported only)" if free else ""
        lines.append(f"{each.verdict:7} {each.label}  {each.text}{why}")
    counts = Counter(each.verdict for each in findings)
    held = sum(exact(each.label) for each in findings)
    total = ", ".join(f"{counts[name]} {name}" for name in (*order, "same") if counts[name])
    return "\n".join([*lines, f"{len(findings)} compared, {held} of them exactly: {total}"])


@contextmanager
def checkout(base: str) -> Iterator[Path]:
    """A folder with the files of a commit, for as long as it is needed.

    Raises:
        InputError: Not a commit of this repository.
    """
    git = ("git", "-C", str(ROOT))
    name = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{base}^{{commit}}")
    known = subprocess.run([*git, *name], check=False, capture_output=True, text=True)
    if known.returncode:
        from qmoe.errors import InputError

        do = "fetch it, or see `git log`"
        raise InputError(got=f"base {base!r}", expected="a commit of this repository", do=do)
    packed = subprocess.run(
        [*git, "archive", "--format=tar", known.stdout.strip()], capture_output=True, check=True
    )
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as files:
            files.extractall(folder, filter="data")
        yield Path(folder)


def main(arguments: Sequence[str] | None = None) -> int:
    """Compares; the exit code."""
    from qmoe.errors import QmoeError

    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("base", help="a commit, branch or tag")
    parser.add_argument("--only", default="", metavar="REGEX", help="names to match")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="of times (default 5)")
    parser.add_argument("--one", action="store_true", help="one parameter set of each benchmark")
    given = parser.parse_args(arguments)
    try:
        with checkout(given.base) as base:
            found = measured(
                base, ROOT, only=given.only, rounds=given.rounds, one=given.one, say=_progress
            )
    except QmoeError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    findings = compare(found, deterministic)
    print(report(findings, deterministic))
    wrong = verdict(found, findings)
    for line in wrong:
        print(f"failed: {line}", file=sys.stderr)
    return 1 if wrong else 0


def _progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
