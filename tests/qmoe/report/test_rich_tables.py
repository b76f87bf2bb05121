"""The first screen in a terminal: figures whole at any width, and names only names."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console, RenderableType

from qmoe.report.rich_tables import Block, Grid, as_text, blocks, rendered, text_of, visible
from qmoe.report.words import written
from qmoe.results import summary, table
from qmoe.rundir import Run
from tests.qmoe.report import factory, test_device, test_targets
from tests.qmoe.test_compare import FOUR, planted

HOSTILE = "[red]x[/red] \x1b[31m<b>:smile: \u202eevil [link=file:///etc]y[/link]"


def parts():
    targets, devices = test_targets.evidence(), test_device.evidence()
    return targets.model_copy(
        update={
            "figures": (*targets.figures, *devices.figures),
            "studies": targets.studies | devices.studies,
        }
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return factory.write(tmp_path_factory.mktemp("rich") / "run", planted(FOUR), (), parts())


def shown(found, width: int) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None, force_jupyter=False)
    with console.capture() as captured:
        for each in found:
            console.print(each)
    return captured.get()


@pytest.mark.parametrize("width", [60, 100, 120, 200])
def test_no_figure_is_cut_at_any_width(run: Run, width: int) -> None:
    text = shown(rendered(blocks(run)), width)
    assert max(map(cell_len, text.splitlines())) <= width
    assert "…" not in text
    grids = [block.grid for block in blocks(run) if block.grid is not None]
    assert len(grids) == 3
    for grid in grids:
        for row in grid.rows:
            for figure in row[grid.names :]:
                assert figure in text
    for row in summary(table(run.records)).itertuples():
        score = factory_score(row)
        [line] = [line for line in text.splitlines() if line.split("  ")[1:2] == [row.router]]
        assert written(score) in line


def factory_score(row):
    from qmoe.metrics import Score

    return Score(row.accuracy, row.accuracy_low, row.accuracy_high)


def test_a_narrow_console_gets_a_list_per_target(run: Run) -> None:
    narrow, wide = (shown(rendered(blocks(run)), width) for width in (60, 120))
    [line] = [line for line in wide.splitlines() if "ibm:fake_boston" in line and "[" in line][:1]
    assert re.search(r"snapshot +0\.980\s\[0\.960,\s0\.990\] +0\.90 +0\.030 +0\.020 +0\.97", line)
    own = narrow[narrow.index("  ibm:fake_boston") :]
    told = dict(line.split(maxsplit=1) for line in own.splitlines()[1:9])
    assert told["accuracy"].split() == ["0.980", "[0.960,", "0.990]"]
    assert (told["TV"].strip(), told["floor"].strip()) == ("0.030", "0.020")
    assert told["source"].strip() == "simulated device snapshot"


def test_names_are_shown_as_they_are_and_control_nothing(tmp_path: Path) -> None:
    records = [factory.record(HOSTILE, seed, dataset=HOSTILE) for seed in range(3)]
    run = factory.write(tmp_path / "run", records)
    for text in (shown(rendered(blocks(run)), 300), as_text(run, 300)):
        assert visible(HOSTILE) in text and "[red]x[/red]" in text and ":smile:" in text
        assert "\x1b" not in text and "\u202e" not in text
    colours = Console(file=io.StringIO(), width=300, force_terminal=True, color_system="truecolor")
    with colours.capture() as captured:
        for each in rendered(blocks(run)):
            colours.print(each)
    # bold titles and headings are all that a terminal is told
    assert set(re.findall(r"\x1b\[[0-9;]*m", captured.get())) <= {"\x1b[1m", "\x1b[0m"}
    assert "\x1b]8" not in captured.get()


@settings(max_examples=50, deadline=None)
@given(st.text(min_size=1, max_size=30), st.integers(40, 130))
def test_any_name_leaves_its_row_whole(name: str, width: int) -> None:
    figures = ("0.985\xa0[0.979,\xa00.991]", "−0.001")
    grid = Grid(("router", "accuracy", "d"), ((name, *figures),))
    text = shown(rendered(iter([Block("t", grid, ())])), width)
    assert all(figure in text for figure in figures)
    flat = "".join(text.split())
    seen = iter(flat)
    assert all(letter in seen for letter in "".join(visible(name).split()))


def test_text_keeps_sentences_and_titles_on_one_line(run: Run) -> None:
    text = as_text(run)
    for block in blocks(run):
        assert block.title in text.splitlines()
        assert set(block.sentences) <= set(text.splitlines())
    assert "not run: pip install 'qmoe-bench[braket]' <now>" in text
    assert "% interval [+0.02" in text and "device minus exact: −0.050" in text


def test_the_words_are_those_of_the_page(run: Run) -> None:
    first = next(blocks(run))
    words = [line.partition(": ")[2].partition(":")[0] for line in first.sentences[2:]]
    assert words == ["Better", "Worse", "Equivalent", "Better"]
    assert first.sentences[0].startswith("quantum a has the highest mean accuracy, 0.926")


def test_many_groups_leave_the_routers_to_the_page(tmp_path: Path) -> None:
    records = [r for name in "abcd" for r in planted({"quantum a": 0.0}, seeds=2, dataset=name)]
    found = list(blocks(factory.write(tmp_path / "run", records)))
    assert len(found) == 4 and all(block.grid is None for block in found)


def test_a_run_of_nothing_is_empty(tmp_path: Path) -> None:
    assert as_text(factory.write(tmp_path / "run", [])) == ""


def test_a_single_seed_has_no_interval(tmp_path: Path) -> None:
    run = factory.write(tmp_path / "run", [factory.record("linear", 0)])
    assert "no interval" in as_text(run, 60)


def test_renderables_are_richs(run: Run) -> None:
    assert all(isinstance(each, RenderableType) for each in rendered(blocks(run)))
    assert text_of(iter([Block("t", None, ("a", "b"))])) == "t\na\nb\n"
