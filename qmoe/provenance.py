"""Provenance: which command, code, versions and machine a result comes from."""

from __future__ import annotations

import importlib.metadata
import platform
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

import qmoe

DISTRIBUTIONS = (
    *("numpy", "scipy", "scikit-learn", "torch"),
    *("qiskit", "qiskit-aer", "qiskit-ibm-runtime", "amazon-braket-sdk", "cirq-core"),
)
_SECRET = re.compile(r"^--?[\w-]*(token|secret|password|api-?key)[\w-]*", re.IGNORECASE)
_IN_URL = re.compile(r"://[^/@\s]*@")
_GIT_SECONDS = 10.0


class Provenance(BaseModel):
    """What is needed to produce a result again, and to know what produced it.

    `command` is a shell line; `commit` and `dirty` are None outside a checkout of the project;
    `versions` maps distributions to installed versions; `threads` is what the numerical library
    was given (None: unknown); `created` is UTC, ISO 8601 to the second; `seed` is the root seed
    of every random stream.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    command: str
    qmoe: str
    commit: str | None = Field(default=None, pattern=r"^[0-9a-f]{40,64}$")
    dirty: bool | None = None
    python: str
    platform: str
    versions: dict[str, str]
    threads: int | None = Field(default=None, ge=1)
    created: str = Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
    seed: int = Field(ge=0)


def capture(
    seed: int,
    *,
    threads: int | None = None,
    argv: Sequence[str] | None = None,
    now: datetime | None = None,
    checkout: Path | None = None,
    home: Path | None = None,
) -> Provenance:
    """The provenance of this process.

    Args:
        seed: the root seed of the run.
        threads: threads given to the numerical library, for example `torch.get_num_threads()`.
        argv: the command line, program first; default `sys.argv`.
        now: the time of creation, aware; default the clock.
        checkout: the folder that would hold the project's .git; default where qmoe lies.
        home: the folder written as $HOME in the command; default the user's.
    """
    commit, dirty = git_state(checkout or Path(qmoe.__file__).resolve().parent.parent)
    return Provenance(
        command=command_line(sys.argv if argv is None else argv, home or Path.home()),
        qmoe=qmoe.__version__,
        commit=commit,
        dirty=dirty,
        python=platform.python_version(),
        platform=f"{platform.system()} {platform.machine()}",
        versions=installed_versions(),
        threads=threads,
        created=(now or datetime.now(UTC)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        seed=seed,
    )


def command_line(argv: Sequence[str], home: Path) -> str:
    r"""The command as a shell line that leaks neither the home folder nor a secret.

    Paths stay as they were given, but for the program (its name alone) and the home folder, which
    a shell had expanded: it becomes $HOME again.

    >>> command_line(["/opt/venv/bin/qmoe", "run", "--out=/home/ada/my run"], Path("/home/ada"))
    'qmoe run --out="$HOME"\'/my run\''
    >>> command_line(["qmoe", "submit", "--token", "s3cret"], Path("/home/ada"))
    'qmoe submit --token ***'
    >>> command_line(["qmoe", "list", "--ledger", "postgresql://ada:s3cret@host/db"], Path("/x"))
    "qmoe list --ledger 'postgresql://***@host/db'"
    """
    words = [Path(argv[0]).name if argv else "python"]
    hide_next = False
    for word in argv[1:]:
        name, equals, _ = word.partition("=")
        if hide_next:
            words.append("***")
            hide_next = False
        elif _SECRET.match(name):
            words.append(name + "=***" if equals else name)
            hide_next = not equals
        else:
            words.append(_quoted(_IN_URL.sub("://***@", word), str(home)))
    return " ".join(words)


def installed_versions(names: Sequence[str] = DISTRIBUTIONS) -> dict[str, str]:
    """The installed version of each distribution, read without importing it."""
    found = {}
    for name in names:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def git_state(checkout: Path) -> tuple[str | None, bool | None]:
    """The commit of a checkout and whether tracked files differ from it; (None, None) elsewhere.

    A folder inside somebody else's repository, such as a virtual environment kept in one, does
    not count: its commit would say nothing about this code.
    """
    top = _git(checkout, "rev-parse", "--show-toplevel")
    if top is None or Path(top).resolve() != checkout.resolve():
        return None, None
    commit = _git(checkout, "rev-parse", "--verify", "HEAD")
    status = _git(checkout, "status", "--porcelain", "--untracked-files=no")
    if commit is None or status is None:
        return None, None
    return commit, bool(status)


def _git(folder: Path, *arguments: str) -> str | None:
    command = ["git", "--no-optional-locks", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_GIT_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _quoted(word: str, home: str) -> str:
    before, found, after = word.partition(home)
    starts = before == "" or before.endswith("=")
    if len(home) > 1 and found and starts and (after == "" or after.startswith("/")):
        return (shlex.quote(before) if before else "") + '"$HOME"' + (after and shlex.quote(after))
    return shlex.quote(word)
