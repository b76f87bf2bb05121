"""Killed at any moment, an experiment goes on: nothing lost, nothing paid twice."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.services.loopback import FAMILIES

ROOT = Path(__file__).parents[2]


def outcomes(family: str, *options: str, seconds: float) -> list[list[str]]:
    """Family, boundary, occurrence and outcome of every kill, from a process of its own."""
    command = ["-W", "ignore", "-m", "tests.hardware_runs.kills", "--family", family, *options]
    done = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    found = [line.split("\t") for line in done.stdout.splitlines()]
    assert done.returncode in (0, 1), done.stderr[-2000:]
    assert found, done.stderr[-2000:]
    return found


@pytest.mark.parametrize("family", FAMILIES)
def test_after_some_kills_every_job_is_collected_once(family):
    found = outcomes(family, "--pick", "3", "--seed", "6", seconds=300)
    assert len(found) == 3
    assert [each for each in found if each[3] != "collected"] == []


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_after_a_kill_at_every_boundary_every_job_is_collected_once(family):
    found = outcomes(family, seconds=3000)
    assert len(found) >= 50
    assert [each for each in found if each[3] != "collected"] == []
