"""The page's only script, and the hash by which its policy allows that one and no other."""

from __future__ import annotations

import base64
import hashlib
from importlib import resources
from typing import NamedTuple


class Script(NamedTuple):
    """Text between the tags, byte for byte, and the source of `script-src` that stands for it."""

    text: str
    source: str


def script() -> Script:
    """The script that sorts and filters tables."""
    text = resources.files("qmoe.report").joinpath("templates/page.js").read_text("utf-8")
    digest = hashlib.sha256(text.encode()).digest()
    return Script(text, f"'sha256-{base64.b64encode(digest).decode('ascii')}'")
