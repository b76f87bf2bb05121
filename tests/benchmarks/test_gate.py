"""The gate: deterministic figures may not get worse, times are told, nothing is lost in silence."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from benchmarks.figures.planted import PLANTS, Edit, apply
from benchmarks.gate import (
    SLOWER,
    Measured,
    checkout,
    compare,
    main,
    margin_of,
    ratio,
    report,
    verdict,
)
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


def test_equal_times_are_seldom_called_slower():
    # log-normal noise of 30 % on each side: the mean of 5 log ratios has a deviation of .19, and
    # the lower end lies about two below it; log 1.2 = .18, so a call needs about 3 deviations
    rng = np.random.default_rng(5)
    called = 0
    for _ in range(300):
        base, head = np.exp(rng.normal(0, 0.3, (2, 5)))
        found = ratio(list(zip(base, head, strict=True)))
        assert found.low <= found.best <= found.high
        called += found.low > SLOWER
    assert called <= 15


def test_margins_are_the_classes_own():
    assert margin_of(EXACT) is None and margin_of(LOOSE) == 0.02
    assert margin_of("size.Compiled.track_depth('x', 'y')") is None


def test_an_unknown_base_is_one_line_and_exit_code_2(capsys):
    assert main(["no-such-commit"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "no-such-commit" in said and "git log" in said
    assert main(["--only=x", "--", "-x"]) == 2  # not taken for an option of git


def test_a_checkout_has_the_packages_and_not_the_benchmarks():
    if subprocess.run(
        ["git", "-C", ROOT, "rev-parse"], check=False, capture_output=True
    ).returncode:
        pytest.skip("not a git checkout")
    with checkout("HEAD") as tree:
        assert (tree / "qmoe" / "noise.py").exists() and not (tree / "benchmarks").exists()
    assert not tree.exists()


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
def test_ten_equal_runs_and_one_planted_error():
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
