from __future__ import annotations

import pytest

from qmoe.errors import InputError
from qmoe.texts import name_and_options


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("mlp", {}),
        ("mlp,hidden=16", {"hidden": 16}),
        ("a, x = 1.5 ,y=-2", {"x": 1.5, "y": -2}),
        ("a,x=none,y=true,z=False", {"x": "none", "y": True, "z": False}),
        ("a,measured=2/0", {"measured": (2, 0)}),
        ("a,measured=1/", {"measured": (1,)}),
        ("a,path=b/c", {"path": "b/c"}),
    ],
)
def test_values_keep_their_kind(text, options):
    name, found = name_and_options(text, "router")
    assert name in ("mlp", "a")
    assert found == options
    assert [type(v) for v in found.values()] == [type(v) for v in options.values()]


@pytest.mark.parametrize(
    "text", ["mlp,hidden", "mlp,=3", "mlp,hidden=", "mlp,hidden=1,hidden=2", "mlp,"]
)
def test_what_is_no_option_is_refused(text):
    with pytest.raises(InputError, match="router"):
        name_and_options(text, "router")
