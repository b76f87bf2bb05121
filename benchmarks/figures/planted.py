"""Whether the gate flags what it should: ten times nothing, planted errors, planted improvements.

    python -m benchmarks.figures.planted                           # about half an hour
    python -m benchmarks.figures.planted --quick                   # A/A at one parameter set each
    python -m benchmarks.figures.planted --summary docs/planted.md

A planted error is an edit of a copy of this commit's packages; the gate then compares the copy
with this commit, and both must be told apart by the benchmark that is there for it, by no other.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from benchmarks.bench import run
from benchmarks.compared import Finding, Measured, compare, margin_of
from benchmarks.gate import LEFT, ROUNDS, TIMED, checkout, measured

RUNS = 10
FLAGGED = ("worse", "slower", "lost", "failed")
BETTER = ("better", "faster")


class Edit(NamedTuple):
    """A text of a file, which has to be there once, and what takes its place."""

    path: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Plant:
    """An error.

    Attributes:
        edits: What makes it.
        asked: Regular expression of the benchmarks that are run.
        seen: Of those that have to flag it, each at one parameter set at least; no other may.
    """

    name: str
    edits: tuple[Edit, ...]
    asked: str
    seen: tuple[str, ...]


PROGRAM = "qmoe/simulate/program.py"
FORWARD = "        return self.engine(weights.dtype, weights.device).forward(weights, prepared)\n"
BACKWARD = (
    "        return self.engine(weights.dtype, weights.device).backward(weights, saved, grad)"
    ".weights\n"
)
PLANTS = (
    Plant(
        "a simulator three times slower",
        tuple(
            Edit(PROGRAM, text, "        for _ in range(2):\n    " + repeated + text)
            for text, repeated in (
                (FORWARD, FORWARD.replace("return ", "")),
                (BACKWARD, BACKWARD.replace("return ", "")),
            )
        ),
        r"runtime\.RouterStep|accuracy\.ErrorToBest|size\.Compiled.*willow",
        (r"runtime\.RouterStep",),
    ),
    Plant(
        "the wrong bit order",
        (
            Edit(
                PROGRAM,
                FORWARD,
                FORWARD.replace("return ", "out, saved = ")
                + "        width = len(self.circuit.measured)\n"
                + "        little = [int(f'{i:0{width}b}'[::-1], 2) for i in range(2**width)]\n"
                + "        return out[:, little], saved\n",
            ),
        ),
        r"accuracy\.Error|noise\.To|noise\.Twin|size\.Compiled.*willow",
        (r"accuracy\.ErrorRate.*quantum", r"accuracy\.ErrorToBestControl"),
    ),
    Plant(
        "a training step a tenth as long",
        (
            Edit(
                "qmoe/epochs.py",
                "learning_rates.to(weights).unsqueeze(1)",
                "learning_rates.div(10).to(weights).unsqueeze(1)",
            ),
        ),
        r"accuracy\.|noise\.To",
        (r"accuracy\.TrainedError",),
    ),
    Plant(
        "noise that the engine leaves out",
        (
            Edit(
                "qmoe/simulate/factors.py",
                "        return [Fixed(op.qubits, op.ptm)]\n",
                "        return []\n",
            ),
        ),
        r"accuracy\.ErrorToBest|noise\.To|noise\.Twin|size\.Compiled.*willow",
        (r"noise\.TwinToVendor", r"noise\.ToClosedForm"),
    ),
    Plant(
        "noise that the model does not place",
        (
            Edit(
                "qmoe/noise.py",
                "        return tuple(steps)\n",
                "        return tuple(step for step in steps if isinstance(step, Op))\n",
            ),
        ),
        r"accuracy\.ErrorToBest|noise\.To|size\.Compiled.*willow",
        (r"noise\.ToClosedForm",),
    ),
)


@dataclass(frozen=True, slots=True)
class Line:
    """What came of one comparison, and whether that is right."""

    what: str
    compared: int
    flagged: tuple[str, ...]
    right: bool


def nothing(base: Path, head: Path, runs: int, *, one: bool) -> Iterator[Line]:
    """Equal packages in turns, every deterministic figure of each run beside the one before."""
    wanted = rf"^(?!{TIMED}|{LEFT}|accuracy\.TrainedError)"
    before = run(base, only=wanted, one=one) if runs else {}
    for k in range(runs):
        after = run((head, base)[k % 2], only=wanted, one=one)
        findings = compare(Measured(before, after, {}), margin_of)
        # bit by bit: the gate itself lets a rounding pass
        same = after == before and all(each.verdict == "same" for each in findings)
        yield Line(f"nothing ({k + 1})", len(findings), flagged(findings), same and bool(findings))
        before = after


def planted(plant: Plant, tree: Path, clean: Path, rounds: int) -> Iterator[Line]:
    """The error, and its undoing, which improves what the error made worse.

    What got better with the error, by chance, is left out of the undoing.
    """
    for edit in plant.edits:
        apply(edit, tree)
    worse = compare(measured(clean, tree, only=plant.asked, rounds=rounds), margin_of)
    names = flagged(worse)
    seen = all(any(re.match(each, name) for name in names) for each in plant.seen)
    only = all(any(re.match(each, name) for each in plant.seen) for name in names)
    yield Line(plant.name, len(worse), names, seen and only)
    asked = "|".join(plant.seen)
    lucky = {each.label for each in worse if each.verdict in BETTER}
    undone = compare(measured(tree, clean, only=asked, rounds=rounds), margin_of)
    better = [each for each in undone if each.label not in lucky]
    found = any(each.verdict in BETTER for each in better)
    names = flagged(better)
    yield Line(f"undone: {plant.name}", len(better), names, found and not names)


def apply(edit: Edit, tree: Path) -> None:
    """Edits a file.

    Raises:
        ValueError: The text is not there once.
    """
    path = tree / edit.path
    text = path.read_text("utf-8")
    if text.count(edit.old) != 1:
        raise ValueError(f"{edit.path} has the text {text.count(edit.old)} times: {edit.old!r}")
    path.write_text(text.replace(edit.old, edit.new), "utf-8")


def flagged(findings: Sequence[Finding]) -> tuple[str, ...]:
    """What the gate says got worse, whether or not it fails for it."""
    return tuple(each.label for each in findings if each.verdict in FLAGGED)


def table(lines: Sequence[Line], seconds: float) -> str:
    """Markdown, a row for each comparison."""
    rows = [
        "# What the gate flags",
        "",
        f"`python -m benchmarks.figures.planted`, {seconds / 60:.0f} min. Each row compares two "
        "copies of one commit: equal ones, ones with a planted error, and the same the other way "
        "round, which is an improvement.",
        "",
        "| planted | figures compared | flagged | as it should be |",
        "|---|---|---|---|",
    ]
    for line in lines:
        kinds: dict[str, int] = {}
        for name in line.flagged:
            kind = name.partition("(")[0]
            kinds[kind] = kinds.get(kind, 0) + 1
        told = ", ".join(f"{kind} ({count})" for kind, count in kinds.items()) or "nothing"
        rows.append(f"| {line.what} | {line.compared} | {told} | {'yes' if line.right else 'NO'} |")
    return "\n".join(rows) + "\n"


def main() -> int:
    """Compares, prints, and returns 1 where something is not as it should be."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.figures.planted",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="A/A at one parameter set each")
    parser.add_argument("--runs", type=int, default=RUNS, help="A/A comparisons (default 10)")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="of times (default 5)")
    parser.add_argument("--only", default="", metavar="REGEX", help="planted errors to match")
    parser.add_argument("--summary", type=Path, help="a Markdown file to write")
    given = parser.parse_args()
    start = time.monotonic()
    lines = []
    with ExitStack() as folders:
        base, head = (folders.enter_context(checkout("HEAD")) for _ in range(2))
        found = [nothing(base, head, given.runs, one=given.quick)]
        for plant in PLANTS:
            if re.search(given.only, plant.name):
                tree = folders.enter_context(checkout("HEAD"))
                found.append(planted(plant, tree, base, given.rounds))
        for each in found:
            for line in each:
                lines.append(line)
                says = "as it should be" if line.right else "NOT as it should be"
                names = ", ".join(line.flagged) or "nothing"
                print(f"{line.what}: {line.compared} compared, flagged {names}: {says}", flush=True)
    text = table(lines, time.monotonic() - start)
    if given.summary is not None:
        given.summary.write_text(text, "utf-8")
    print("\n" + text, end="")
    return 0 if all(line.right for line in lines) else 1


if __name__ == "__main__":
    sys.exit(main())
