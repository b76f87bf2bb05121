"""Suites of hardware experiments: what comes along, and what is said of a file with a fault."""

from __future__ import annotations

import json
import tomllib
from dataclasses import fields, replace
from fnmatch import fnmatch
from importlib import resources
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware_runs.design import Design, load, shipped
from tests.hardware_runs.planned import DESIGN, refused

ROOT = Path(__file__).parents[2]
SMALLEST = 'format = 1\nname = "mine"\nversion = 1\n'
TREATMENTS = ("readout", "zne", "readout+zne", "rescale", "twirl", "fold=3", "fold=7")


def said(call, *arguments):
    """What is said of something that is refused."""
    text = refused(lambda: call(*arguments))
    assert text
    return text


def of_file(tmp_path, text):
    path = tmp_path / "suite.toml"
    path.write_text(text)
    return load(str(path))


def test_the_suites_that_come_along():
    names = {f"device-{size}" for size in ("smoke", "small", "paper", "retention")}
    assert set(shipped()) == names
    for name in shipped():
        found = load(name)
        assert found.name == name and found.version >= 1 and found.description
        assert found.routers >= 8 and found.nulls >= 1 and found.blocks > 1
    assert load("device-retention").treatments == ("none", "fold=3", "fold=5", "fold=7")
    paper = load("device-paper")
    assert (paper.rule, paper.every, paper.count) == ("random", 3600.0, 3)
    smoke = load("device-smoke")
    assert smoke.routers * smoke.inputs * smoke.shots * smoke.count < 10_000


def test_the_wheel_ships_them():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    patterns = settings["tool"]["setuptools"]["package-data"]["hardware_runs"]
    for path in (ROOT / "hardware_runs" / "suites").iterdir():
        assert any(fnmatch(f"suites/{path.name}", pattern) for pattern in patterns)


def test_what_a_file_leaves_out_is_the_default(tmp_path):
    assert of_file(tmp_path, SMALLEST) == Design("mine", 1)
    assert Design("mine", 1).to_dict() == {"name": "mine", "version": 1}


def test_a_shipped_file_is_read_as_one_of_ones_own(tmp_path):
    for name in shipped():
        text = (resources.files("hardware_runs") / "suites" / f"{name}.toml").read_text()
        assert of_file(tmp_path, text) == load(name)


@pytest.mark.parametrize(
    ("repeats", "every", "count"),
    [
        ("every=90s,count=2", 90, 2),
        ("every=1.5m,count=3", 90, 3),
        ("every=1h,count=24", 3600, 24),
        ("every=30d,count=1", 2_592_000, 1),
    ],
)
def test_repeats(tmp_path, repeats, every, count):
    found = of_file(tmp_path, f'{SMALLEST}repeats = "{repeats}"\n')
    assert (found.every, found.count) == (every, count)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("seeds = 7", "7"),
        ("routers = 3", "greater than or equal to 8"),
        ("shots = 0", "0"),
        ("nulls = 0", "0"),
        ("margin = nan", "finite"),
        ("limit = 0", "greater than 0"),
        ('rule = "best"', "'all' or 'random'"),
        ('router = "mlp,hidden=4"', "quantum"),
        ('treatments = ["readout"]', "'none'"),
        ('treatments = ["none", "readout", "readout"]', "twice"),
        ('treatments = ["none", "readuot"]', "'readout'"),
        ('treatments = ["none", "zne+readout"]', "readout"),
        ('treatments = ["none", "fold=2"]', "fold"),
        ('treatments = ["none", "ibm.dd"]', "whole jobs"),
        ('treatments = ["none", "readout+ibm.twirl"]', "whole jobs"),
        ('repeats = "every=1y,count=2"', "every=1h,count=24"),
        ('repeats = "every=1h,count=0"', "every=1h,count=24"),
        ("shoots = 100", "shoots"),
        ("inputs = 1", "greater than or equal to 2"),
        ("nulls = true", "integer"),
        ('shots = "1000"', "integer"),
        ("seeds = 9.0", "integer"),
        ("count = 2", "count"),
    ],
)
def test_a_fault_is_named_with_its_line(tmp_path, line, words):
    text = said(of_file, tmp_path, f"{SMALLEST}# and more\n{line}\ntrials = 2\n")
    assert "line 5" in text and words in text


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("routers = 9", "at most seeds = 8"),
        ("block = 21", "at most inputs = 20"),
        ("nulls = 11", "at most block = 10"),
        ('primary = "readout"', "one of the treatments none"),
        ('inputs = 10000\nrepeats = "every=1h,count=99"', "at most 2,000,000 circuits"),
    ],
)
def test_faults_of_two_lines_together(tmp_path, line, words):
    text = said(of_file, tmp_path, f"{SMALLEST}{line}\n")
    assert words in text and "line 4" in text


def test_other_faults(tmp_path):
    assert "line 4" in said(of_file, tmp_path, SMALLEST + "shots = = 3\n")
    assert "line 1: format 2" in said(
        of_file, tmp_path, SMALLEST.replace("format = 1", "format = 2")
    )
    assert "version" in said(of_file, tmp_path, 'format = 1\nname = "mine"\n')
    assert "'device-smoke'" in said(load, "device-smke")
    assert "nowhere.toml" in said(load, str(tmp_path / "nowhere.toml"))
    (tmp_path / "large.toml").write_text("# " + "x" * 2**19)
    assert "large.toml" in said(load, str(tmp_path / "large.toml"))
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe\x00")
    said(load, str(tmp_path / "bytes.toml"))


@st.composite
def designs(draw):
    """Any design that a file can hold."""
    inputs = draw(st.integers(2, 60))
    block = draw(st.integers(1, inputs))
    treatments = ("none", *draw(st.lists(st.sampled_from(TREATMENTS), unique=True, max_size=4)))
    seeds = draw(st.integers(8, 40))
    return replace(
        DESIGN,
        version=draw(st.integers(1, 99)),
        seeds=seeds,
        routers=draw(st.integers(8, seeds)),
        rule=draw(st.sampled_from(["all", "random"])),
        inputs=inputs,
        block=block,
        nulls=draw(st.integers(1, block)),
        shots=draw(st.integers(1, 10_000)),
        treatments=treatments,
        primary=draw(st.sampled_from(treatments)),
        margin=draw(st.floats(0, 0.5)),
        limit=draw(st.floats(1e-3, 1)),
        every=draw(st.floats(0, 1e6)),
        count=draw(st.integers(1, 30)),
        seed=draw(st.integers(0, 2**31)),
    )


@given(designs())
def test_json_and_back(design):
    tree = json.loads(json.dumps(design.to_dict()))
    assert Design.from_dict(tree) == design
    defaults = {item.name: item.default for item in fields(Design)}
    for name, value in tree.items():
        assert (tuple(value) if isinstance(value, list) else value) != defaults[name]


@given(
    st.sampled_from([item.name for item in fields(Design)]),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    ),
)
def test_whatever_stands_in_a_plan_is_a_design_or_refused_in_one_line(name, value):
    tree = DESIGN.to_dict() | {name: value}
    if not refused(lambda: Design.from_dict(tree)):
        found = Design.from_dict(tree)
        assert Design.from_dict(found.to_dict()) == replace(found, description="")
