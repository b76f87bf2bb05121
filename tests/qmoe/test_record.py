from __future__ import annotations

import json
import math
import subprocess
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from pydantic import ValidationError

import qmoe
from qmoe import provenance
from qmoe.errors import InputError
from qmoe.record import CurvePoint, Record

PROVENANCE = provenance.Provenance(
    command="qmoe run quick",
    qmoe="0.1.0",
    python="3.11.2",
    platform="Linux x86_64",
    versions={"numpy": "2.2.6"},
    created="2025-01-02T03:04:05Z",
    seed=0,
)


def record(**changes: object) -> Record:
    fields: dict[str, object] = {
        "study": "ablation",
        "protocol": "controlled",
        "dataset": "moons noise=0.1",
        "dataset_digest": "sha256:00",
        "population": "new data + new init",
        "router": "quantum L=2",
        "family": "quantum",
        "seed": 3,
        "source": "exact",
        "router_parameters": 5,
        "router_parameters_paper": 4,
        "model_parameters": 29,
        "metrics": {"accuracy_test": 0.98, "steps": 400},
        "rows": {"train": 500, "test": 5000},
        "expert_load": (0.5, 0.25, 0.25, 0.0),
        "curve": (CurvePoint(0, 0.7, 0.5), CurvePoint(10, 0.1, None)),
        "settings": {"experts": 4, "gate": "softmax", "clip": True, "tau": None, "rate": 0.05},
        "warnings": ("ünïcode\nline",),
        "provenance": PROVENANCE,
    }
    return Record.model_validate(fields | changes)


def test_a_record_is_one_line_and_reads_back_equal() -> None:
    line = record().to_json()
    assert "\n" not in line
    again = Record.from_json(line)
    assert again == record()
    assert again.to_json() == line
    assert again.curve[0] == CurvePoint(0, 0.7, 0.5)
    assert again.settings["clip"] is True
    assert type(again.settings["experts"]) is int


def test_a_record_of_format_1_stays_readable() -> None:
    # Written by version 0.1.0. Never regenerate it: a reader stays for every released format.
    golden = (
        '{"curve":[[0,0.7,0.5]],"dataset":"moons","dataset_digest":"sha256:00",'
        '"expert_load":[0.5,0.5],"family":"linear","format":1,"kind":"training",'
        '"metrics":{"accuracy_test":0.98},"model_parameters":36,"population":"init only",'
        '"protocol":"controlled","provenance":{"command":"qmoe run","commit":null,"created":'
        '"2025-01-02T03:04:05Z","dirty":null,"platform":"Linux x86_64","python":"3.11.2",'
        '"qmoe":"0.1.0","seed":0,"threads":null,"versions":{}},"router":"linear",'
        '"router_parameters":12,"router_parameters_paper":12,"rows":{"test":5000},"seed":0,'
        '"settings":{},"source":"exact","study":"ablation","warnings":[]}'
    )
    assert Record.from_json(golden).to_json() == golden


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_figures_that_are_not_finite_are_refused(value: float) -> None:
    with pytest.raises(ValidationError, match="finite"):
        record(metrics={"accuracy_test": value})
    with pytest.raises(ValidationError, match="finite"):
        record(curve=((0, value, None),))
    with pytest.raises(ValidationError):
        record(settings={"rate": value})


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": -1},
        {"seed": 1.0},
        {"seed": True},
        {"source": "hardware"},
        {"population": "everything"},
        {"router": ""},
        {"extra": 1},
        {"metrics": {"accuracy_test": "0.9"}},
        {"settings": {"list": [1]}},
        {"expert_load": (-0.1,)},
    ],
    ids=str,
)
def test_fields_are_strict(changes: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        record(**changes)


def test_a_record_cannot_be_changed() -> None:
    one = record()
    with pytest.raises(ValidationError, match="frozen"):
        one.seed = 4


def edited(**changes: object) -> str:
    return json.dumps(json.loads(record().to_json()) | changes)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (record().to_json()[:-20], "got line 7 that is not JSON"),
        ("[]", "without a format number"),
        (edited(format="1"), "without a format number"),
        (edited(format=True), "without a format number"),
        (edited(format=2), "got line 7 of format 2; expected format 1 or older"),
        (edited(seed="3"), "with seed = '3'"),
        (edited(surprise=1), "with surprise = 1"),
        (edited(router="x" * 500), "with router = 'xxx"),
        (edited(metrics={"loss": 1}).replace('"loss": 1', '"loss": NaN'), "not JSON"),
        (edited(metrics={"loss": 1}).replace('"loss": 1', '"loss": 1e999'), "metrics.loss"),
    ],
)
def test_damaged_lines_are_one_clear_line(text: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        Record.from_json(text, "line 7")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_a_clock_and_a_command_line_come_in_as_arguments() -> None:
    found = provenance.capture(
        7,
        threads=2,
        argv=["/somewhere/bin/qmoe", "train", "--data", "my file.csv"],
        now=datetime(2025, 1, 2, 4, 4, 5, tzinfo=timezone(timedelta(hours=1))),
    )
    assert found.created == "2025-01-02T03:04:05Z"
    assert found.command == "qmoe train --data 'my file.csv'"
    assert (found.seed, found.threads, found.qmoe) == (7, 2, qmoe.__version__)
    assert set(found.versions) == set(provenance.DISTRIBUTIONS)


@pytest.mark.parametrize(
    ("word", "shown"),
    [
        ("/home/ada/data.csv", '"$HOME"/data.csv'),
        ("/home/ada", '"$HOME"'),
        ("--out=/home/ada/x", '--out="$HOME"/x'),
        ("/home/adam/x", "/home/adam/x"),
        ("/mnt/home/ada/x", "/mnt/home/ada/x"),
        ("--api-key=abc", "--api-key=***"),
        ("--ibm-token=abc", "--ibm-token=***"),
        ("a;b", "'a;b'"),
    ],
)
def test_a_command_leaks_no_home_and_no_secret(word: str, shown: str) -> None:
    assert provenance.command_line(["qmoe", word], Path("/home/ada")) == f"qmoe {shown}"


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True)


def test_git_state_of_a_checkout(tmp_path: Path) -> None:
    assert provenance.git_state(tmp_path) == (None, None)
    git(tmp_path, "init", "-q")
    assert provenance.git_state(tmp_path) == (None, None)
    (tmp_path / "file").write_text("1")
    git(tmp_path, "add", "file")
    git(tmp_path, "commit", "-qm", "one")
    commit, dirty = provenance.git_state(tmp_path)
    assert commit is not None
    assert len(commit) == 40
    assert dirty is False
    (tmp_path / "file").write_text("2")
    assert provenance.git_state(tmp_path) == (commit, True)
    inside = tmp_path / "site-packages"
    inside.mkdir()
    assert provenance.git_state(inside) == (None, None)


def test_now_is_utc_by_default() -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    created = datetime.fromisoformat(provenance.capture(0, argv=["qmoe"]).created)
    assert before <= created <= datetime.now(UTC)
