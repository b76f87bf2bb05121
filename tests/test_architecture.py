"""Which room may import which, and what importing a room may not cost."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
# each room with the rooms it may import from; nothing points back
ROOMS = {
    "qmoe": {"qmoe"},
    "backends": {"qmoe", "backends"},
    "hardware_runs": {"qmoe", "backends", "hardware_runs"},
    "benchmarks": {"qmoe", "backends", "hardware_runs", "benchmarks"},
    "tests": {"qmoe", "backends", "hardware_runs", "benchmarks", "tests"},
}
# each vendor's packages, and the file (or folder) that alone may import them
VENDORS = {
    "qiskit": "backends/ibm",
    "qiskit_aer": "backends/ibm",
    "qiskit_ibm_runtime": "backends/ibm",
    "braket": "backends/braket",
    "boto3": "backends/braket",
    "botocore": "backends/braket",
    "cirq": "backends/cirq",
    "cirq_google": "backends/cirq",
    "cirq_ionq": "backends/cirq",
    "grpc": "backends/cirq",
    "google": "backends/cirq",
    "mitiq": "backends/mitigation",
}
HEAVY = ("torch", "mitiq", "sklearn", "pandas", "matplotlib", *VENDORS)


class Import(NamedTuple):
    """One imported top-level package; `late` where it is imported only when something is used."""

    package: str
    line: int
    late: bool


def imports(tree: ast.AST, room: str, late: bool = False) -> Iterator[Import]:
    """Every import of a module; those of functions and of `if TYPE_CHECKING` are late."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name.partition(".")[0], node.lineno, late)
        elif isinstance(node, ast.ImportFrom):
            package = room if node.level else (node.module or "").partition(".")[0]
            yield Import(package, node.lineno, late)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            yield from imports(node, room, True)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for child in node.body:
                yield from imports(ast.Module([child], []), room, True)
            for child in node.orelse:
                yield from imports(ast.Module([child], []), room, late)
        else:
            yield from imports(node, room, late)


def faults(path: str, source: str) -> list[str]:
    """What is wrong with the imports of one file, by its path from the root."""
    room = path.partition("/")[0]
    found = []
    for item in imports(ast.parse(source), room):
        where = f"{path}:{item.line} imports {item.package}"
        if item.package in ROOMS and item.package not in ROOMS[room]:
            found.append(f"{where}: {room} may not")
        if item.package in VENDORS and room not in ("tests", "benchmarks"):
            home = VENDORS[item.package]
            if not (path == f"{home}.py" or path.startswith(f"{home}/")):
                found.append(f"{where}: only {home} may")
        if item.package in VENDORS and room != "tests" and not item.late:
            found.append(f"{where} at import time")
    return found


def files(room: str) -> list[Path]:
    return sorted((ROOT / room).rglob("*.py"))


@pytest.mark.parametrize("room", ROOMS)
def test_arrows_between_rooms_point_one_way(room):
    found = [f for p in files(room) for f in faults(p.relative_to(ROOT).as_posix(), p.read_text())]
    assert files(room)
    assert found == []


@pytest.mark.parametrize(
    ("path", "source", "count"),
    [
        ("qmoe/a.py", "import backends", 1),
        ("qmoe/a.py", "def f():\n    from backends.ibm import X", 1),
        ("qmoe/a.py", "from benchmarks import speed", 1),
        ("qmoe/a.py", "from tests.qmoe import strategies", 1),
        ("qmoe/a.py", "from . import b\nfrom .c import d\nimport qmoe.e, numpy", 0),
        ("backends/a.py", "from hardware_runs import plan", 1),
        ("backends/a.py", "from qmoe.circuit import Circuit", 0),
        ("hardware_runs/a.py", "import backends, qmoe", 0),
        ("backends/ibm.py", "def f():\n    import qiskit", 0),
        ("backends/ibm/runtime.py", "def f():\n    import qiskit.transpiler as t", 0),
        ("backends/ibm.py", "import qiskit", 1),
        ("backends/ibm.py", "try:\n    import qiskit\nexcept ImportError:\n    pass", 1),
        ("backends/ibm.py", "class A:\n    import qiskit", 1),
        ("backends/ibm_extra.py", "def f():\n    import qiskit", 1),
        ("backends/cirq.py", "def f():\n    import qiskit", 1),
        ("qmoe/a.py", "def f():\n    from mitiq import zne", 1),
        ("backends/ibm.py", "if TYPE_CHECKING:\n    import qiskit\nelse:\n    import braket", 2),
        ("benchmarks/a.py", "import cirq", 1),
        ("benchmarks/a.py", "def f():\n    import cirq", 0),
        ("tests/a.py", "import cirq", 0),
    ],
)
def test_the_check_itself_finds_what_it_should(path, source, count):
    assert len(faults(path, source)) == count


def loaded(code: str, forbidden: tuple[str, ...]) -> list[str]:
    """Which of some packages a fresh interpreter has loaded after running `code`."""
    tail = f"import json, sys\nprint(json.dumps([m for m in {forbidden!r} if m in sys.modules]))"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", f"{code}\n{tail}"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return list(json.loads(done.stdout.splitlines()[-1]))


LIGHT = ["circuit", "ansatz", "simplify", "serial", "errors", "seeds", "simulate",
         "simulate.reference", "record"]  # fmt: skip


def test_the_circuit_side_of_the_core_loads_nothing_heavy():
    code = "\n".join(f"import qmoe.{name}" for name in LIGHT)
    assert loaded(code, HEAVY) == []


def test_data_and_metrics_load_no_torch():
    found = loaded("import qmoe.data, qmoe.metrics", ("torch", "mitiq", *VENDORS))
    assert found == []


def test_the_backends_load_nothing_heavy():
    assert loaded("import backends", HEAVY) == []


def test_the_hardware_runs_load_nothing_heavy():
    assert loaded("import hardware_runs", HEAVY) == []


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["devices", "--help"]])
def test_help_loads_nothing_heavy(arguments):
    code = f"""
import sys
sys.argv = ["qmoe", *{arguments!r}]
from qmoe.cli import main
try:
    code = main()
except SystemExit as stop:
    code = stop.code
assert not code, code
"""
    assert loaded(code, HEAVY) == []


def test_a_check_of_loaded_modules_that_can_fail():
    assert loaded("import json, decimal", ("decimal", "torch")) == ["decimal"]
