"""A run that is killed at a random point goes on and ends with the same numbers."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from qmoe.evidence import Evidence
from qmoe.results import load

SUITE = """
format = 1
name = "tiny"
seeds = 2
trials = 1
steps = [{ call = "qmoe.studies.ablation:quick" }]
"""
COMMAND = [sys.executable, "-m", "qmoe.cli", "run", "tiny.toml", "--workers", "1"]


def start(folder: Path, out: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*COMMAND, "--out", out],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def finish(folder: Path, out: str) -> None:
    process = start(folder, out)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err.decode()


def numbers(path: Path) -> list:
    results = Evidence.read(path / "evidence.json.gz").results
    return [r.model_copy(update={"seconds": 0.0}) for r in results]


@pytest.mark.parametrize(
    "stop", [pytest.param(signal.SIGINT, marks=pytest.mark.slow), signal.SIGKILL]
)
def test_a_killed_run_goes_on_to_the_same_numbers(tmp_path, stop):
    (tmp_path / "tiny.toml").write_text(SUITE)
    victim = start(tmp_path, "runs/killed")
    give_up = time.monotonic() + 200
    while not list(tmp_path.glob("runs/.unfinished-tiny-*/[!.]*.json")):
        assert victim.poll() is None and time.monotonic() < give_up, victim.communicate()
        time.sleep(0.02)
    time.sleep(random.Random(os.getpid()).uniform(0, 1))
    victim.send_signal(stop)
    _, err = victim.communicate(timeout=60)
    if victim.returncode != 0:  # it may have just finished
        assert not (tmp_path / "runs/killed").exists()
        (store,) = tmp_path.glob("runs/.unfinished-tiny-*")
        kept = {path: path.stat().st_mtime_ns for path in store.glob("[!.]*.json")}
        assert kept
        if stop == signal.SIGINT:
            assert victim.returncode == 130
            assert b"the same command goes on from there" in err and b"Traceback" not in err
        finish(tmp_path, "runs/killed")
    assert not list(tmp_path.glob("runs/.unfinished-*"))
    finish(tmp_path, "runs/whole")
    assert numbers(tmp_path / "runs/killed") == numbers(tmp_path / "runs/whole")
    again, whole = (load(tmp_path / "runs" / name) for name in ("killed", "whole"))
    assert again["accuracy"].tolist() == whole["accuracy"].tolist()
