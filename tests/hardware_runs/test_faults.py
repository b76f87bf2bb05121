"""Whatever goes wrong at a service, nothing is lost and nothing paid twice."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.services.loopback import FAMILIES, ROOT


def outcomes(family: str, *options: str, seconds: float) -> list[list[str]]:
    """Family, call, fault, how often and outcome of every case, from a process of its own."""
    command = ["-W", "ignore", "-m", "tests.hardware_runs.faults", "--family", family, *options]
    done = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    found = [line.split("\t") for line in done.stdout.splitlines()]
    assert found and done.returncode in (0, 1), done.stderr[-2000:]
    return found


@pytest.mark.parametrize("family", FAMILIES)
def test_some_faults_end_in_success_or_on_record(family):
    found = outcomes(family, "--pick", "4", "--seed", "10", seconds=400)
    assert len(found) == 4
    assert [each for each in found if each[4] != "collected"] == []


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_every_fault_at_every_call_ends_in_success_or_on_record(family):
    found = outcomes(family, seconds=3500)
    assert len(found) > 50
    assert [each for each in found if each[4] != "collected"] == []
