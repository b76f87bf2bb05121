"""One asv run in this environment, and what came of each benchmark.

asv ends well when a benchmark is n/a, and when none was there; here both are told apart.

    python -m benchmarks.bench                # every benchmark at one parameter set
    python -m benchmarks.bench --only size    # those whose name matches

Results are saved in `.asv/results`, where `asv publish` finds them. Exit code 1: none ran, one
failed, or one was skipped without saying why.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from benchmarks.common import ALL, ONE

ROOT = Path(__file__).resolve().parents[1]
CONF = "asv.conf.json"
QUICK = ("--quick",)

State = Literal["measured", "told", "silent", "failed"]

_REASON = re.compile(r"asv: skipped: NotImplementedError\((['\"])(.+)\1\)")
_BENCHMARK = re.compile(r"^\[ *[\d.]+%\] ·+ ([\w.]+)")
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


def run(
    tree: Path,
    *,
    only: str = "",
    options: Sequence[str] = QUICK,
    one: bool = True,
    results: Path | None = None,
    say: Callable[[str], object] = lambda line: None,
) -> Outcomes:
    """What comes of this checkout's benchmarks with the packages of a tree.

    Args:
        tree: Folder that holds the packages to measure; dependencies are those of this python.
        only: Regular expression that `module.Class.benchmark(parameters)` has to match.
        options: More options of `asv run`.
        one: One parameter set of each benchmark.
        results: Folder to which the results are added.
        say: Is given every line that asv prints.

    Raises:
        QmoeError: asv ended without a list of benchmarks.
    """
    with tempfile.TemporaryDirectory() as folder:
        _configured(Path(folder))
        # The second one is for what a benchmark starts as a process of its own.
        path = {"ASV_PYTHONPATH": str(tree), "PYTHONPATH": str(tree), ONE: "1" if one else ""}
        environment = {**os.environ, **path}
        if one:
            environment.pop(ALL, None)
        if not Path("~/.asv-machine.json").expanduser().exists():
            _asv(("machine", "--yes"), Path(folder), environment, lambda line: None)
        chosen = ("--bench", only) if only else ()
        given = ("run", "--python=same", "--set-commit-hash", "HEAD", "--show-stderr")
        printed = _asv((*given, *options, *chosen), Path(folder), environment, say)
        saved = Path(folder, "results")
        if not (saved / "benchmarks.json").exists():
            raise _unlisted(printed)
        listed = _tree(saved / "benchmarks.json")
        rows: dict[str, Any] = {}
        for file in saved.glob("*/*-existing-*.json"):
            rows |= _tree(file)["results"]
        if results is not None and rows:
            _add(saved, results)
    return outcomes(listed, rows, printed, only)


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


def _configured(folder: Path) -> None:
    """This checkout's configuration with its results in a folder of their own."""
    conf = _tree(ROOT / CONF)
    here = {"repo": str(ROOT), "benchmark_dir": str(ROOT / conf["benchmark_dir"])}
    # A checkout of one commit has no branch of that name.
    conf |= here | {"branches": ["HEAD"]}
    conf |= {f"{name}_dir": str(folder / name) for name in ("env", "results", "html")}
    (folder / CONF).write_text(json.dumps(conf), "utf-8")


def _asv(
    arguments: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    say: Callable[[str], object],
) -> str:
    """What asv printed. Its exit code says less than its results."""
    command = (sys.executable, "-m", "asv", "--config", str(folder / CONF), *arguments)
    with subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    ) as process:
        lines = []
        for line in process.stdout or ():
            say(line.rstrip("\n"))
            lines.append(line)
    return "".join(lines)


def _unlisted(printed: str) -> Exception:
    from qmoe.errors import ExplainedError, InputError

    lines = [line.strip() for line in printed.splitlines() if line.strip()] or ["no output"]
    if "No module named asv" in printed:
        kind, do = InputError, "install the extra: pip install -c constraints.txt -e '.[bench]'"
        return kind(got="no asv", expected="asv beside qmoe-bench", do=do)
    do = "run `asv check --python=same`"
    return ExplainedError(got=f"asv: {lines[-1]}", expected="a list of benchmarks", do=do)


def _add(saved: Path, results: Path) -> None:
    """Adds results to those of other commits.

    A list of one parameter set each does not take the place of a full one: pages would lose the
    history of all others.
    """
    known = results / "benchmarks.json"
    listed = _tree(saved / known.name)
    old = _tree(known) if known.exists() else {}
    for name, benchmark in listed.items():
        same = name in old and name != "version" and old[name]["version"] == benchmark["version"]
        listed[name] = old[name] if same else benchmark
    shutil.copytree(saved, results, dirs_exist_ok=True)
    known.write_text(json.dumps(listed, indent=4, sort_keys=True) + "\n", "utf-8")


def _tree(path: Path) -> dict[str, Any]:
    tree: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return tree


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs every benchmark; the exit code."""
    from qmoe.errors import QmoeError

    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", default="", metavar="REGEX", help="names to match")
    parser.add_argument("--thinned", action="store_true", help="all sets of `asv run`, not one")
    given = parser.parse_args(arguments)
    start = time.monotonic()
    try:
        found = run(
            ROOT,
            only=given.only,
            one=not given.thinned,
            results=ROOT / ".asv" / "results",
            say=lambda line: print(line, flush=True),
        )
    except QmoeError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(summary(found), f"in {time.monotonic() - start:.0f} s")
    wrong = complaints(found)
    for line in wrong:
        print(f"failed: {line}", file=sys.stderr)
    return 1 if wrong else 0


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


if __name__ == "__main__":
    sys.exit(main())
