"""The gate: deterministic figures may not get worse, times are told, nothing is lost in silence."""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from benchmarks.accuracy import ErrorRate, ErrorToBestControl, TrainedError
from benchmarks.compared import (
    SLOWER,
    Measured,
    compare,
    margin_of,
    ratio,
    report,
    verdict,
)
from benchmarks.figures.planted import PLANTS, Edit, apply
from benchmarks.gate import checkout, main, raised, versions
from benchmarks.outcomes import Outcome
from tests.services.loopback import ROOT

EXACT = "accuracy.ErrorRate.track_error('moons-0.1', 'linear')"
LOOSE = "accuracy.TrainedError.track_error('moons-0.1', 'linear')"
TIMED = "runtime.RouterStep.time_step(2, 64)"


def judged(label, base, head, times=()):
    figures = ({label: base}, {label: head}) if not times else ({}, {})
    found = Measured(*figures, {label: times} if times else {})
    findings = compare(found, margin_of)
    return findings, verdict(found, findings)


def of(figure):
    return Outcome("measured", figure)


@pytest.mark.parametrize(
    ("label", "base", "head", "says", "fails"),
    [
        (EXACT, 0.1, 0.1, "same", False),
        (EXACT, 0.1, 0.1 + 1e-13, "same", False),
        (EXACT, 0.1, 0.1 + 1e-9, "worse", True),
        (EXACT, 0.1, 0.09, "better", False),
        (EXACT, 0.0, -0.01, "better", False),
        (EXACT, -0.02, -0.01, "worse", True),
        (EXACT, 10**15, 10**15 + 1, "worse", True),
        (LOOSE, 0.1, 0.119, "same", False),
        (LOOSE, 0.1, 0.13, "worse", False),
        (LOOSE, 0.1, 0.07, "better", False),
    ],
)
def test_only_deterministic_figures_fail_and_only_where_they_get_worse(
    label, base, head, says, fails
):
    (finding,), wrong = judged(label, of(base), of(head))
    assert (finding.verdict, finding.fails, bool(wrong)) == (says, fails, fails)
    text = report([finding])
    assert ("(reported only)" in text) == (says == "worse" and not fails)


ABSENT, TOLD, BROKEN = Outcome("silent", note="n/a"), Outcome("told", note="why"), Outcome("failed")


@pytest.mark.parametrize(
    ("base", "head", "says", "fails"),
    [
        (of(1.0), TOLD, "lost", True),
        (of(1.0), ABSENT, "failed", True),
        (of(1.0), BROKEN, "failed", True),
        (ABSENT, of(1.0), "failed", True),
        (TOLD, of(1.0), "new", False),
        (BROKEN, of(1.0), "new", False),
        (TOLD, TOLD, "n/a", True),  # and so nothing ran
    ],
)
def test_what_is_not_measured_is_said_and_fails_unless_the_base_lacks_it(base, head, says, fails):
    for label, times in ((EXACT, ()), (TIMED, ((base, head),))):
        (finding,), wrong = judged(label, base, head, times)
        assert finding.verdict == says and bool(wrong) == fails


def test_nothing_to_compare_fails():
    assert verdict(Measured({}, {}, {}), []) == ["no benchmark ran"]


@pytest.mark.parametrize(
    ("factor", "says"), [(1.0, "same"), (3.0, "slower"), (1 / 3, "faster"), (1.1, "same")]
)
def test_times_are_ratios_of_rounds_and_never_fail(factor, says):
    rng = np.random.default_rng(3)
    drift = rng.uniform(0.5, 2.0, 5)  # a machine that others use: both sides of a round alike
    swing = rng.uniform(0.97, 1.03, (2, 5))
    pairs = [(of(d * a), of(d * b * factor)) for d, a, b in zip(drift, *swing, strict=True)]
    (finding,), wrong = judged(TIMED, None, None, pairs)
    assert finding.verdict == says and not wrong and "5 rounds" in finding.text


@pytest.mark.parametrize("rounds", [2, 3, 5, 9])
@pytest.mark.parametrize("true", [1.0, 3.0])
def test_intervals_hold_the_true_ratio_as_often_as_they_say(rounds, true):
    # log-normal noise: t is exact, so the count is binomial, n = 2000, p = .95: deviation 9.7
    rng = np.random.default_rng(rounds)
    held = 0
    for _ in range(2000):
        base, head = np.exp(rng.normal(0, 0.3, (2, rounds)))
        found = ratio(list(zip(base, true * head, strict=True)))
        assert found.low < found.best < found.high
        held += found.low <= true <= found.high
    assert abs(held - 1900) < 4.5 * 9.75


def test_one_round_says_nothing_and_more_say_more():
    assert ratio([(1.0, 3.0)]) == (0.0, pytest.approx(3), math.inf)
    (finding,), _ = judged(TIMED, None, None, [(of(1.0), of(30.0))])
    assert finding.verdict == "same"
    # by hand: logs 0 and log 4, mean log 2, deviation of the mean log 2, t = 12.706
    found = ratio([(1.0, 1.0), (1.0, 4.0)])
    assert found.best == pytest.approx(2)
    assert found.high == pytest.approx(2 * 2**12.7062, rel=1e-4)


def test_equal_times_are_seldom_called_slower():
    # the lower end lies above 1 in 2.5 % of 400, deviation 3.1; above 1.2 less often still
    rng = np.random.default_rng(5)
    called = 0
    for _ in range(400):
        base, head = np.exp(rng.normal(0, 0.3, (2, 5)))
        called += ratio(list(zip(base, head, strict=True))).low > SLOWER
    assert called <= 10 + 4.5 * 3.1


def test_a_figure_beside_itself_is_the_same_whatever_it_is():
    rng = np.random.default_rng(9)
    figures = [0, 7, 10**15, 0.0, -0.02, 1e-300, *rng.normal(size=20).tolist()]
    for label in (EXACT, LOOSE):
        for figure in figures:
            (finding,), wrong = judged(label, of(figure), of(figure))
            assert finding.verdict == "same" and not wrong


def test_margins_are_the_classes_own():
    assert margin_of(EXACT) is None and margin_of(LOOSE) == 0.02
    assert margin_of("size.Compiled.track_depth('x', 'y')") is None


def test_an_unknown_base_is_one_line_and_exit_code_2(capsys):
    assert main(["no-such-commit"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "no-such-commit" in said and "git log" in said
    assert main(["--only=x", "--", "-x"]) == 2  # not taken for an option of git
    capsys.readouterr()
    assert main(["HEAD", "--rounds", "1"]) == 2
    assert "got --rounds 1; expected at least 2" in capsys.readouterr().err


def test_versions_are_read_from_source_and_are_those_of_the_classes():
    source = (ROOT / "benchmarks" / "accuracy.py").read_text("utf-8")
    assert versions(source) == {
        kind.__name__: kind.version for kind in (ErrorRate, ErrorToBestControl, TrainedError)
    }
    assert versions("") == versions("version = '3'") == {}


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A repository of its own with this tree's benchmarks, and what commits it."""
    if shutil.which("git") is None:
        pytest.skip("no git")
    unwanted = shutil.ignore_patterns("__pycache__", "figures")
    shutil.copytree(ROOT / "benchmarks", tmp_path / "benchmarks", ignore=unwanted)
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@example.org"]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "one"]):
        subprocess.run([*git, *command], check=True)
    monkeypatch.setattr("benchmarks.gate.ROOT", tmp_path)
    monkeypatch.setattr("benchmarks.gate.GIT", ("git", "-C", str(tmp_path)))
    return tmp_path / "benchmarks"


def test_a_raised_version_and_other_weights_are_named(repository):
    assert raised("HEAD") == []
    path = repository / "size.py"
    before, after = path.read_text("utf-8").split("class Treatment", 1)
    path.write_text(before + "class Treatment" + after.replace('"1"', '"2"', 1), "utf-8")
    (line,) = raised("HEAD")
    assert line.startswith("version size.Treatment: 1 at the base, 2 here")
    new = "class New:\n    version = '1'\n"  # the base has no such module: no version was raised
    (repository / "new.py").write_text(new, "utf-8")
    with (repository / "weights" / "SHA256SUMS").open("a") as file:
        file.write("0\n")
    assert len(raised("HEAD")) == 2 and "other stored weights" in raised("HEAD")[1]


@pytest.fixture
def tree():
    """A checkout of this commit."""
    git = ["git", "-C", str(ROOT), "rev-parse"]
    if subprocess.run(git, check=False, capture_output=True).returncode:
        pytest.skip("not a git checkout")
    with checkout("HEAD") as folder:
        yield folder
    assert not folder.exists()


def test_a_checkout_has_the_packages_and_not_the_benchmarks(tree):
    assert (tree / "qmoe" / "noise.py").exists() and not (tree / "benchmarks").exists()


def test_a_checkout_takes_nothing_from_the_installed_project(tree):
    shutil.rmtree(tree / "backends" / "cirq")
    code = "import backends.registry; print(backends.__file__); import backends.cirq"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tree.parent,
        env={**os.environ, "PYTHONPATH": str(tree)},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == str(tree / "backends" / "__init__.py")
    assert "No module named 'backends.cirq'" in done.stderr


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.name)
def test_every_planted_error_still_has_its_place_and_stays_python(plant, tmp_path):
    for edit in plant.edits:
        path = tmp_path / edit.path
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.write_text((ROOT / edit.path).read_text("utf-8"), "utf-8")
        apply(edit, tmp_path)
        compile(path.read_text("utf-8"), str(path), "exec")
        with pytest.raises(ValueError, match="0 times"):
            apply(Edit(edit.path, "no such text", ""), tmp_path)


@pytest.mark.slow
def test_equal_runs_and_one_planted_error():
    command = [sys.executable, "-m", "benchmarks.figures.planted", "--quick", "--runs", "2"]
    done = subprocess.run(
        [*command, "--only", "does not place"],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        timeout=1500,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "noise.ToClosedForm" in done.stdout
