"""Routers that other packages add by an entry point."""

from __future__ import annotations

import sys
from importlib import metadata
from types import ModuleType

import pytest

from qmoe.errors import InputError
from qmoe.routers import build
from qmoe.routers.linear import LinearRouter
from qmoe.spec import ModelSpec


class LabRouter(LinearRouter):
    """Somebody's own router."""


@pytest.fixture
def plugin(monkeypatch):
    module = ModuleType("lab_plugin")
    module.LabRouter = LabRouter
    monkeypatch.setitem(sys.modules, "lab_plugin", module)
    points = (
        metadata.EntryPoint("lab", "lab_plugin:LabRouter", "qmoe.routers"),
        metadata.EntryPoint("gone", "no_such_plugin:Router", "qmoe.routers"),
    )
    monkeypatch.setattr(metadata, "entry_points", lambda **wanted: points)


@pytest.mark.usefixtures("plugin")
def test_an_entry_point_adds_a_router():
    assert isinstance(build("lab", 2, 4), LabRouter)
    assert ModelSpec("lab", 2, 2).build().router.label == LinearRouter(2, 4).label


@pytest.mark.usefixtures("plugin")
def test_what_cannot_be_imported_is_one_line():
    with pytest.raises(InputError, match="no_such_plugin"):
        build("gone", 2, 4)


@pytest.mark.usefixtures("plugin")
def test_added_names_are_offered():
    with pytest.raises(InputError, match="'lab'"):
        build("labb", 2, 4)
