"""One asv run in this environment, and what came of each benchmark.

    python -m benchmarks.bench                # every benchmark at one parameter set
    python -m benchmarks.bench --only size    # those whose name matches

Results are saved in `.asv/results`, where `asv publish` finds them. Exit code 1: none ran, one
failed, or one was skipped without saying why.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.common import ALL, ONE
from benchmarks.outcomes import Outcomes, complaints, outcomes, summary

ROOT = Path(__file__).resolve().parents[1]
CONF = "asv.conf.json"
QUICK = ("--quick",)


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


if __name__ == "__main__":
    sys.exit(main())
