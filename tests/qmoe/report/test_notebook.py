"""A run in a notebook: the figures of the page, small, and nothing that runs or loads."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from hardware_runs.outcome import Outcome, Primary, Told, Treated
from qmoe.metrics import Score
from qmoe.report.notebook import LONGEST, MAX_BYTES, blocks_html, outcome_html, run_html
from qmoe.report.rich_tables import Block, Grid
from qmoe.report.words import written
from qmoe.results import comparisons, summary, table
from qmoe.rundir import Run
from tests.qmoe.report import factory
from tests.qmoe.report.test_page import page_of
from tests.qmoe.report.test_rich_tables import parts
from tests.qmoe.test_compare import FOUR, planted

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=y> {{ 7*7 }}"
TAGS = {"div", "p", "strong", "table", "thead", "tbody", "tr", "th", "td", "code"}


class Shown(HTMLParser):
    """Cells by row, paragraphs, and every tag with its attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.rows: list[list[str]] = []
        self.paragraphs: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag == "p":
            self.paragraphs.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data
        elif "p" in self.open:
            self.paragraphs[-1] += data


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return factory.write(tmp_path_factory.mktemp("notebook") / "run", planted(FOUR), (), parts())


def test_figures_are_those_of_the_summary(run: Run) -> None:
    shown = Shown(run_html(run))
    frame = table(run.records)
    expected = [
        [
            row.router,
            written(Score(row.accuracy, row.accuracy_low, row.accuracy_high)),
            str(row.router_parameters),
        ]
        for row in summary(frame).itertuples()
    ]
    assert shown.rows[1 : 1 + len(expected)] == expected
    found = comparisons(frame)
    for row in found[found["verdict"] != ""].itertuples():
        word = f"{row.verdict[0].upper()}{row.verdict[1:]}"
        assert any(text.startswith(f"{row.router}: {word}") for text in shown.paragraphs)
    [target] = [row for row in shown.rows if row[:1] == ["ibm:fake_boston"] and len(row) == 9]
    assert target[1:4] == ["simulated device snapshot", "0.980\xa0[0.960,\xa00.990]", "0.90"]


def test_the_page_says_the_same(run: Run, tmp_path: Path) -> None:
    said = page_of(run, tmp_path / "report").said
    shown = Shown(run_html(run))
    for router, score, _ in shown.rows[1:7]:
        value, interval = score.split("\xa0", 1)
        assert router in said and value in said and " ".join(interval.split()) in said


def test_it_is_small_and_runs_and_loads_nothing(run: Run) -> None:
    text = run_html(run)
    shown = Shown(text)
    assert len(text.encode()) < MAX_BYTES and "Shortened" not in text
    assert shown.tags <= TAGS and shown.attributes <= {"style", "scope"}
    assert not re.search(r"url\(|https?:|<style|<script", text)


def test_hostile_names_are_text(tmp_path: Path) -> None:
    records = [factory.record(HOSTILE, seed, dataset=HOSTILE) for seed in range(3)]
    shown = Shown(run_html(factory.write(tmp_path / "run", records)))
    assert shown.tags <= TAGS and shown.attributes <= {"style", "scope"}
    assert shown.rows[1][0] == HOSTILE
    assert any(text.startswith(HOSTILE) for text in shown.paragraphs)


def test_what_does_not_fit_is_left_out_and_said() -> None:
    rows = tuple((f"{i}" + "<" * 190, "0.9") for i in range(500))
    block = Block("&" * 199, Grid(("router", "accuracy"), rows), ("'" * 5000,) * 100)
    text = blocks_html("<" * 300, (block,) * 9, "qmoe report x")
    assert len(text.encode()) < MAX_BYTES and "Shortened." in text
    shown = Shown(text)
    assert shown.rows[1] == list(rows[0])
    assert "'" * (LONGEST - 1) + "…" in shown.paragraphs


def test_a_run_of_nothing_is_only_its_name(tmp_path: Path) -> None:
    shown = Shown(run_html(factory.write(tmp_path / "run", [])))
    assert shown.rows == [] and shown.paragraphs[0] == "Run run, suite quick"


def test_an_outcome_has_its_treatments_and_its_verdict() -> None:
    score = Score(0.9, 0.88, 0.92)
    told = tuple(Told(0.9, exact, 0.5, 0.04, 0.02, 0.9) for exact in (0.95, 0.97))
    treated = Treated(HOSTILE, score, score, None, score, 0.02, score, 0.0, 10, 2, 1.0, told)
    primary = Primary("none", "worse", "it is -0.05", score, 0.95, 0.01, 2)
    outcome = Outcome(
        plan="p1",
        target="lab:x",
        suite="first",
        sources=("loopback",),
        treatments={HOSTILE: treated},
        nulls=(),
        repeats=(),
        primary=primary,
        departures=("a block is left out",),
        changes={},
    )
    shown = Shown(outcome_html(outcome))
    assert shown.rows[1] == [HOSTILE, written(score), "0.960", "–", "0.900", "0.020"]
    assert "device minus exact: worse: it is −0.05" in shown.paragraphs
    assert "first on lab:x (loopback)" in shown.paragraphs
    assert shown.tags <= TAGS
