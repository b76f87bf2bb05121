"""Whether this working tree is worse than a base commit, measured side by side on this machine.

    python -m benchmarks.gate main             # exit code 1: a figure of stored weights got worse
    python -m benchmarks.gate HEAD~3 --only size --rounds 9

Base and head take turns, both with this checkout's benchmarks, stored weights and versions of
dependencies. Figures that are the same in every run of a commit (`deterministic = True`) must not
get worse. The others fail nothing: a figure that training moves is flagged beyond its class's
`margin`, and what `runtime` times is measured in rounds and flagged where the whole interval of
the ratio lies beyond 1.2. `peers` are left to the history: they stay the same on both sides.
"""

from __future__ import annotations

import argparse
import importlib
import io
import math
import shutil
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

from benchmarks.bench import QUICK, ROOT, run
from benchmarks.outcomes import Outcome, Outcomes

ROUNDS = 5
FLOAT_TOLERANCE = 1e-12
"""Of a deterministic figure that is no count."""
SLOWER = 1.2
"""The ratio of times beyond which a whole interval has to lie: shared machines swing."""
TIMED, LEFT = r"runtime\.", r"peers\."
"""Names of what is measured in rounds, and of what is not compared."""
SAMPLES = ("-a", "rounds=1", "-a", "repeat=3")
RESAMPLES = 2000

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
    """Figures of both trees, and times in rounds, at one parameter set each."""
    figures = rf"^(?!{TIMED}|{LEFT})(?=.*(?:{only}))"
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
    import numpy as np

    logs = np.log([head / base for base, head in pairs])
    drawn = np.random.default_rng(0).choice(logs, (RESAMPLES, len(logs))).mean(1)
    low, high = np.exp(np.quantile(drawn, (0.025, 0.975)))
    return Ratio(float(low), float(np.exp(logs.mean())), float(high))


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
        # The benchmarks of both sides are this checkout's.
        shutil.rmtree(Path(folder, "benchmarks"), ignore_errors=True)
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
    findings = compare(found, margin_of)
    print(report(findings))
    wrong = verdict(found, findings)
    for line in wrong:
        print(f"failed: {line}", file=sys.stderr)
    return 1 if wrong else 0


def _progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
