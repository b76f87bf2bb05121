"""Whether this working tree is worse than a base commit, measured side by side on this machine.

    python -m benchmarks.gate main             # exit code 1: a figure of stored weights got worse
    python -m benchmarks.gate HEAD~3 --only size --rounds 9

Base and head take turns, both with this checkout's benchmarks, stored weights and versions of
dependencies; where those differ from the base's, a line says so. Figures that are the same in
every run of a commit (`deterministic = True`) must not get worse. The others fail nothing: a figure
that training moves is flagged beyond its class's `margin`, and what `runtime` times is measured in
rounds and flagged where the whole interval of the ratio lies beyond 1.2. `peers` are left to the
history: they stay the same on both sides.
"""

from __future__ import annotations

import argparse
import ast
import io
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.bench import QUICK, ROOT, run
from benchmarks.compared import Measured, compare, margin_of, report, verdict
from benchmarks.outcomes import Outcome

ROUNDS = 5
TIMED, LEFT = r"runtime\.", r"peers\."
"""Names of what is measured in rounds, and of what is not compared."""
GIT = ("git", "-C", str(ROOT))
ALONE = """\
import sys

# What this commit lacks must not come from a checkout that is installed for editing.
sys.meta_path[:] = [
    each for each in sys.meta_path if "__editable___qmoe" not in getattr(each, "__module__", "")
]
"""
SAMPLES = ("-a", "rounds=1", "-a", "repeat=3")


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


@contextmanager
def checkout(base: str) -> Iterator[Path]:
    """A folder with the files of a commit, for as long as it is needed.

    Raises:
        InputError: Not a commit of this repository.
    """
    name = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{base}^{{commit}}")
    known = subprocess.run([*GIT, *name], check=False, capture_output=True, text=True)
    if known.returncode:
        from qmoe.errors import InputError

        do = "fetch it, or see `git log`"
        raise InputError(got=f"base {base!r}", expected="a commit of this repository", do=do)
    packed = subprocess.run(
        [*GIT, "archive", "--format=tar", known.stdout.strip()], capture_output=True, check=True
    )
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as files:
            files.extractall(folder, filter="data")
        # The benchmarks of both sides are this checkout's.
        shutil.rmtree(Path(folder, "benchmarks"), ignore_errors=True)
        Path(folder, "sitecustomize.py").write_text(ALONE, "utf-8")
        yield Path(folder)


def raised(base: str) -> list[str]:
    """A line for each benchmark whose version is not that of a commit, and for other weights."""
    told = []
    for path in sorted((ROOT / "benchmarks").glob("*.py")):
        before = versions(_shown(base, f"benchmarks/{path.name}"))
        for name, version in versions(path.read_text("utf-8")).items():
            if before.get(name, version) != version:
                told.append(
                    f"version {path.stem}.{name}: {before[name]} at the base, {version} here: its "
                    "history starts again; both sides are measured as it is here"
                )
    sums = "benchmarks/weights/SHA256SUMS"
    if _shown(base, sums) not in ("", (ROOT / sums).read_text("utf-8")):
        told.append("other stored weights than at the base: both sides are measured with these")
    return told


def versions(source: str) -> Mapping[str, str]:
    """The version of each class of benchmarks of a module, which is read and not run.

    >>> versions("class Kind:\\n    version = '2'")
    {'Kind': '2'}
    """
    return {
        kind.name: str(ast.literal_eval(line.value))
        for kind in ast.parse(source).body
        if isinstance(kind, ast.ClassDef)
        for line in kind.body
        if isinstance(line, ast.Assign) and ast.unparse(line.targets[0]) == "version"
    }


def _shown(commit: str, path: str) -> str:
    """A file of a commit; empty where it has none."""
    command = [*GIT, "show", "--end-of-options", f"{commit}:{path}"]
    done = subprocess.run(command, check=False, capture_output=True, encoding="utf-8")
    return "" if done.returncode else done.stdout


def main(arguments: Sequence[str] | None = None) -> int:
    """Compares; the exit code."""
    from qmoe.errors import InputError, QmoeError

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
        if given.rounds < 2:
            do = "leave it out for 5"
            raise InputError(got=f"--rounds {given.rounds}", expected="at least 2", do=do)
        with checkout(given.base) as base:
            other = raised(given.base)
            found = measured(
                base, ROOT, only=given.only, rounds=given.rounds, one=given.one, say=_progress
            )
    except QmoeError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    findings = compare(found, margin_of)
    print("\n".join([*other, report(findings)]))
    wrong = verdict(found, findings)
    for line in wrong:
        print(f"failed: {line}", file=sys.stderr)
    return 1 if wrong else 0


def _progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
