"""What asv finds in the suite: every benchmark says what it is, and importing it costs nothing."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import pkgutil
from pathlib import Path

import pytest

from tests.services.loopback import ROOT

FOLDER = ROOT / "benchmarks"
SUITE = ("accuracy", "noise", "peers", "runtime", "size")
PREFIXES = ("time_", "timeraw_", "track_", "mem_", "peakmem_")
LIGHT = {
    *("__future__", "collections", "functools", "importlib", "itertools", "json", "math", "os"),
    *("pathlib", "random", "statistics", "subprocess", "sys", "tempfile", "time", "typing"),
    *("argparse", "dataclasses", "hashlib", "benchmarks", "numpy"),
}


def kinds():
    for name in SUITE:
        module = importlib.import_module(f"benchmarks.{name}")
        for kind in vars(module).values():
            if inspect.isclass(kind) and any(each.startswith(PREFIXES) for each in dir(kind)):
                yield pytest.param(kind, id=f"{name}.{kind.__name__}")


@pytest.mark.parametrize("kind", list(kinds()))
def test_every_benchmark_says_what_it_is(kind):
    bodies = [getattr(kind, name) for name in dir(kind) if name.startswith(PREFIXES)]
    for body in bodies:
        unit = getattr(body, "unit", getattr(kind, "unit", None))
        assert isinstance(unit, str) and unit
    assert (
        isinstance(kind.version, str) and kind.timeout > 0 and isinstance(kind.deterministic, bool)
    )
    first = inspect.getdoc(kind).splitlines()[0]
    assert first.endswith((".", ":", ",")) and len(first) > 20
    names, params = getattr(kind, "param_names", ()), getattr(kind, "params", ())
    assert len(names) == len(params) and all(params)
    timed = any(name.startswith("time") for name in dir(kind) if name.startswith(PREFIXES))
    assert not (timed and kind.deterministic)
    assert kind.deterministic or kind.__module__ != "benchmarks.size"


def test_no_other_module_holds_benchmarks():
    found = (*PREFIXES, "Time", "Track", "Mem", "PeakMem")
    for path in FOLDER.rglob("*.py"):
        if path.parent == FOLDER and path.stem in SUITE:
            continue
        for node in ast.parse(path.read_text("utf-8")).body:  # asv skips what begins with _
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                methods = [each for each in node.body if isinstance(each, ast.FunctionDef)]
                assert not any(each.name.startswith(PREFIXES) for each in methods), path
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                assert not node.name.startswith(found), path


@pytest.mark.parametrize(
    "name", [*SUITE, "common", "stored", "outcomes", "compared", "bench", "gate"]
)
def test_importing_the_suite_imports_neither_the_project_nor_its_dependencies(name):
    tree = ast.parse((FOLDER / f"{name}.py").read_text("utf-8"))
    for node in tree.body:  # what stands in functions and under TYPE_CHECKING is not among them
        if isinstance(node, ast.Import):
            assert {alias.name.partition(".")[0] for alias in node.names} <= LIGHT | {
                *("ast", "importlib", "io", "shutil", "tarfile", "re", "contextlib")
            }
        if isinstance(node, ast.ImportFrom):
            assert (node.module or "").partition(".")[0] in LIGHT | {"contextlib"}, node.module


def test_asv_imports_these_modules_alone():
    import benchmarks

    found = {each.name for each in pkgutil.walk_packages(benchmarks.__path__)}
    assert found == {*SUITE, "common", "stored", "outcomes", "compared", "bench", "gate"}


def test_the_configuration_is_asvs_and_says_nothing_by_default():
    text = (ROOT / "asv.conf.json").read_text("utf-8")
    conf = json.loads(text)  # asv would take comments
    assert conf["environment_type"] == "virtualenv" and conf["branches"] == ["main"]
    assert "[ibm,braket,cirq,mitigation]" in conf["install_command"][0]
    assert "-c {conf_dir}/constraints.txt" in conf["install_command"][0]
    assert "pythons" not in conf and "matrix" not in conf  # the running python, nothing else
    for key in ("env_dir", "results_dir", "html_dir"):
        assert conf[key].startswith(".asv/")
    assert "/.asv/" in Path(ROOT, ".gitignore").read_text("utf-8").split()


def test_every_tracked_benchmark_is_compared_or_left_to_the_history():
    from benchmarks.compared import margin_of

    for parameter in kinds():
        kind = parameter.values[0]
        module = kind.__module__.partition(".")[2]
        if module not in ("runtime", "peers"):
            margin_of(f"{module}.{kind.__name__}.track_x('a')")
