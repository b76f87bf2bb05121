"""Specs, vendors and what is said of those that are not there."""

from __future__ import annotations

import sys
from importlib import metadata

import pytest

from backends import load
from backends.devices import listing
from backends.exact import ExactBackend
from backends.registry import Spec, absent, parse, require, vendors
from qmoe.errors import InputError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("reference", Spec("reference")),
        ("ibm:fake_boston", Spec("ibm", "fake_boston")),
        ("ibm:dm,depolarizing=0.02,placement=gate",
         Spec("ibm", "dm", {"depolarizing": "0.02", "placement": "gate"})),
        ("braket:arn:aws:braket:eu-north-1::device/qpu/iqm/Garnet",
         Spec("braket", "arn:aws:braket:eu-north-1::device/qpu/iqm/Garnet")),
        ("twin:ibm:fake_boston,seeds=3", Spec("twin", "ibm:fake_boston,seeds=3")),
    ],
)  # fmt: skip
def test_a_spec_is_read_and_written(text, expected):
    assert parse(text) == expected
    assert str(parse(text)) == text


@pytest.mark.parametrize(
    "text",
    ["ibm:dm,depolarizing", "ibm:dm,=1", "ibm:dm,a=1,a=2", "ibm:$(rm)", "ibm:a b", "", "ibm:x;y"],
)
def test_another_text_is_one_line(text):
    with pytest.raises(InputError) as caught:
        load(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "near"),
    [("refrence", "'reference'"), ("brakett:sv", "'braket'"), ("torch,speed=9", "none")],
)
def test_a_wrong_name_is_answered_with_the_nearest(text, near):
    with pytest.raises(InputError, match=near):
        load(text)


def test_a_missing_package_names_the_extra():
    with pytest.raises(InputError, match=r"pip install 'qmoe-bench\[ibm\]'"):
        require("ibm", "no_such_package_at_all")


def test_a_package_that_is_broken_inside_is_not_called_missing(tmp_path, monkeypatch):
    (tmp_path / "broken_sdk.py").write_text("import no_such_dependency")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="no_such_dependency"):
        require("ibm", "broken_sdk")


def test_a_vendor_without_its_package_says_so_in_the_listing(monkeypatch):
    monkeypatch.setitem(sys.modules, "qiskit", None)
    monkeypatch.setattr("backends.registry.find_spec", lambda name: None)
    (row,) = listing("ibm")
    assert "pip install 'qmoe-bench[ibm]'" in row.note
    assert absent("twin:ibm:fake_boston") == absent("ibm:aer") != absent("torch")


def test_an_entry_point_adds_a_vendor(monkeypatch):
    class Lab:
        @staticmethod
        def load(spec):
            spec.only("seed")
            return ExactBackend("reference")

        @staticmethod
        def describe():
            return ()

    monkeypatch.setitem(sys.modules, "lab_plugin", Lab)
    point = metadata.EntryPoint("lab", "lab_plugin", "qmoe.backends")
    real = metadata.entry_points

    def points(**wanted):
        return (point,) if wanted == {"group": "qmoe.backends"} else real(**wanted)

    monkeypatch.setattr(metadata, "entry_points", points)
    assert "lab" in vendors()
    assert load("lab:anything,seed=1").spec == "reference"
    with pytest.raises(InputError, match="'seed'"):
        load("lab:anything,sead=1")
    assert listing("lab") == ()


def test_an_entry_point_that_cannot_be_loaded_is_one_line(monkeypatch):
    point = metadata.EntryPoint("lab", "no_such_plugin:thing", "qmoe.backends")
    monkeypatch.setattr(metadata, "entry_points", lambda **wanted: (point,))
    with pytest.raises(InputError, match="no_such_plugin"):
        load("lab:x")
