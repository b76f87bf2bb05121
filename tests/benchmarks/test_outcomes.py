"""What came of benchmarks is told apart: measured, n/a with a reason, without one, failed."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys

import pytest

from benchmarks.bench import _add, _tree
from benchmarks.common import ALL, ONE, collected, needed, thinned, told
from benchmarks.outcomes import complaints, outcomes, summary

SUITE = """\
class Kind:
    version, unit = "1", "u"
    params, param_names = (("p", "q"), (1, 2)), ("a", "b")

    def setup(self, a, b):
        if (a, b) == ("p", 2):
            raise NotImplementedError("this commit has no x:y")
        if (a, b) == ("q", 2):
            raise NotImplementedError

    def track_x(self, a, b):
        if (a, b) == ("q", 1):
            raise ValueError("broken")
        return 1


class Other:
    version = "1"

    def setup(self):
        raise NotImplementedError("nothing to 'time'")

    def time_y(self):
        pass


class Bad:
    version, unit = "1", "u"

    def setup_cache(self):
        raise ValueError("broken")

    def track_z(self, cache):
        return 3
"""
LISTED = {
    "a.Kind.track_x": {"params": [["'p'", "'q'"], ["1", "2"]], "version": "1"},
    "a.Kind.time_y": {"params": [], "version": "1"},
    "version": 2,
}


def found(rows, printed="", only=""):
    return outcomes(LISTED, rows, printed, only)


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """What a real run of asv left and printed."""
    pytest.importorskip("asv")
    folder = tmp_path_factory.mktemp("toy")
    (folder / "benchmarks").mkdir()
    (folder / "benchmarks" / "__init__.py").touch()
    (folder / "benchmarks" / "a.py").write_text(SUITE)
    conf = {"version": 1, "project": "toy", "repo": ".", "branches": ["HEAD"]}
    conf |= {"environment_type": "virtualenv", "benchmark_dir": "benchmarks"}
    (folder / "asv.conf.json").write_text(json.dumps(conf))
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org"]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "toy"]):
        subprocess.run([*git, *command], cwd=folder, check=True)
    home = {**os.environ, "HOME": str(folder)}
    said = ""
    for given in (
        ("machine", "--yes"),
        ("run", "--python=same", "--set-commit-hash", "HEAD", "--show-stderr", "--quick"),
    ):
        command = [sys.executable, "-W", "ignore", "-m", "asv", *given]
        done = subprocess.run(
            command, cwd=folder, env=home, capture_output=True, text=True, timeout=120, check=False
        )
        said = done.stdout + done.stderr
    (results,) = (folder / "results").glob("*/*-existing-*.json")
    return _tree(folder / "results" / "benchmarks.json"), _tree(results)["results"], said


def test_every_listed_parameter_set_has_an_outcome_and_its_reason(toy):
    got = outcomes(*toy)
    assert {label: (each.state, each.note) for label, each in got.items()} == {
        "a.Kind.track_x('p', 1)": ("measured", ""),
        "a.Kind.track_x('p', 2)": ("told", "this commit has no x:y"),
        "a.Kind.track_x('q', 1)": ("failed", "failed"),
        "a.Kind.track_x('q', 2)": ("silent", "n/a, no reason"),
        "a.Other.time_y": ("told", "nothing to 'time'"),
        "a.Bad.track_z": ("failed", "failed"),
    }
    assert got["a.Kind.track_x('p', 1)"].figure == 1
    wrong = complaints(got)
    assert len(wrong) == 3 and "Bad" in wrong[0] and "'q', 2" in wrong[2]
    assert "1 measured, 2 n/a, 2 failed, 1 without a word" in summary(got)


@pytest.mark.parametrize("rows", [{}, {"a.Kind.track_x": [None]}, {"a.Kind.track_x": [[1, 2]]}])
def test_what_is_listed_and_has_no_result_is_not_forgotten(rows):
    got = found(rows)
    assert len(got) == 5 and complaints(got)
    assert all(each.state in ("failed", "silent") or each.figure in (1, 2) for each in got.values())


def test_nothing_measured_is_a_complaint(toy):
    assert complaints({}) == ["no benchmark ran"]
    got = outcomes(*toy, only="time_y")
    assert list(got) == ["a.Other.time_y"] and complaints(got) == ["no benchmark ran"]
    assert complaints(found({"a.Kind.time_y": [[0.5]]}, only="time_y")) == []


def test_a_figure_that_is_no_number_is_a_failure():
    (got,) = found({"a.Kind.time_y": [["fast"]]}, only="time_y").values()
    assert got.state == "failed" and "'fast'" in got.note


def test_one_parameter_set_does_not_take_the_place_of_a_full_list(tmp_path):
    saved, results = tmp_path / "saved", tmp_path / "results"
    for folder, params in ((results, [["1", "2"]]), (saved, [["1"]])):
        folder.mkdir()
        listed = {"a.b": {"params": params, "version": "1"}, "version": 2}
        (folder / "benchmarks.json").write_text(json.dumps(listed))
    (saved / "machine").mkdir()
    (saved / "machine" / "x.json").write_text("{}")
    _add(saved, results)
    assert _tree(results / "benchmarks.json")["a.b"]["params"] == [["1", "2"]]
    assert (results / "machine" / "x.json").exists()
    listed = {"a.b": {"params": [["3"]], "version": "2"}, "version": 2}
    (saved / "benchmarks.json").write_text(json.dumps(listed))
    _add(saved, results)
    assert _tree(results / "benchmarks.json")["a.b"]["params"] == [["3"]]


def test_choices_are_seeded_in_order_and_all_or_one_on_request(monkeypatch):
    for name in (ALL, ONE):
        monkeypatch.delenv(name, raising=False)
    values = tuple("abcdefgh")
    some = thinned(values, 3)
    assert some == thinned(values, 3) and list(some) == sorted(some) and len(set(some)) == 3
    assert {thinned(values, 3, seed) for seed in range(20)} > {some}
    assert thinned(values) == thinned(values, 99) == values
    monkeypatch.setenv(ONE, "1")
    assert len(thinned(values)) == len(thinned(values, 3)) == 1
    monkeypatch.setenv(ALL, "1")
    assert thinned(values, 3) == values


def test_reasons_are_collected_in_place_of_figures():
    def figure(a, b):
        if b:
            raise NotImplementedError(f"no {a}")
        return 1.5

    cache = collected((("x", "y"), (False, True)), figure)
    assert cache["x", False] == 1.5
    told(cache, "x", False)
    with pytest.raises(NotImplementedError, match="no y"):
        told(cache, "y", True)
    with pytest.raises(NotImplementedError, match=r"no math:gone"):
        needed("math:gone")
    with pytest.raises(NotImplementedError, match=r"no nowhere\.at:all"):
        needed("nowhere.at:all")
    assert needed("math:pi") == math.pi
