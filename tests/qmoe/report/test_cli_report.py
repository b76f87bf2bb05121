"""Command report: any set of runs, a paper, what changed; every mistake is one line."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from qmoe.cli import app
from qmoe.entry import enter
from qmoe.rundir import Run
from tests.qmoe.report import factory


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """Two runs of the same routers, another data set in the third, below `runs`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("QMOE_LEDGER", str(tmp_path / "ledger"))
    for name, place, seeds in (("a", 0, 3), ("b", 0, 4), ("c", 2, 3)):
        records = factory.study(seeds, ("linear", "quantum L=2"), factory.PLACES[place:][:1])
        factory.write(tmp_path / "runs" / name, records, [("linear", factory.routing_map())])
    return tmp_path


def called(*words):
    return CliRunner().invoke(app, ["report", *words])


def refused(capsys, monkeypatch, *words):
    """Exit code and words of the real entry point."""
    monkeypatch.setattr("sys.argv", ["qmoe", "report", *words])
    with pytest.raises(SystemExit) as ended:
        enter(app, "qmoe", "qmoe --help")
    said = capsys.readouterr().err.strip()
    assert "\n" not in said and "Traceback" not in said
    return ended.value.code, said


def test_one_run_gets_its_page_beside_it(runs):
    done = called("a", "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.output)
    assert told["runs"] == ["a"] and {row["router"] for row in told["summary"]} == {
        *("linear", "quantum L=2")
    }
    assert (runs / "runs/a/report/index.html").is_file()


def test_several_runs_get_one_page_of_their_own(runs):
    done = called("a", "c", "--all-maps", "--paper", "paper")
    assert done.exit_code == 0, done.output
    text = (runs / "runs/report/index.html").read_text(encoding="utf-8")
    assert "run a" in text and "run c" in text and "Runs stand apart" in text
    assert len(list((runs / "runs/report/maps").glob("*.svg"))) == 2
    assert (runs / "paper/main.tex").is_file() and list((runs / "paper/figures").glob("*.pdf"))
    assert Run.open("latest", runs / "runs").id == "c"  # a report is no run


def test_what_changed_is_told_and_written(runs):
    done = called("--compare", "a", "b", "--out", "changed")
    assert done.exit_code == 0, done.output
    assert "unchanged: 2" in done.output  # seeds that both have are the same records
    assert (runs / "changed/changes.html").is_file()
    told = json.loads(called("--compare", "a", "b", "--json").output)
    assert told["changes"]


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["nosuch"], "run 'nosuch'"),
        (["0123456789abcdef"], "plan '0123456789abcdef'"),
        (["a", "a"], "run a twice"),
        (["--compare", "a", "c"], "in common"),
        (["--compare", "a", "b", "--paper", "x"], "--compare"),
        (["--compare", "a", "nosuch"], "nosuch"),
        (["a", "--out", "file"], "report folder file"),
        (["a", "--paper", "file"], "folder file"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(runs, capsys, monkeypatch, words, part):
    (runs / "file").write_text("")
    code, said = refused(capsys, monkeypatch, *words)
    assert code == 2
    assert part in said
