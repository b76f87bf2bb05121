"""Pages in a real browser: Debian's chromium, driven by playwright; no browser is downloaded."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")


def chromium() -> str:
    """The browser of this machine; skips the test where there is none, or nothing to drive it."""
    pytest.importorskip("playwright", reason="playwright is not installed (extra dev)")
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("no chromium here")
    return found


@contextmanager
def browser() -> Iterator[Any]:
    """A headless browser."""
    path = chromium()
    from playwright.sync_api import sync_playwright

    # whoever is root has no sandbox to give away
    arguments = ["--disable-dev-shm-usage", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=path, args=arguments)
        try:
            yield started
        finally:
            started.close()


@dataclass
class Opened:
    """A page with what went wrong in it: console messages, requests beyond the file, dialogs."""

    page: Any
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)


@contextmanager
def opened(
    browser: Any, file: Path, *, width: int = 1600, scheme: str = "light", script: bool = True
) -> Iterator[Opened]:
    """A file in a window of its own."""
    context = browser.new_context(
        viewport={"width": width, "height": 1000}, color_scheme=scheme, java_script_enabled=script
    )
    found = Opened(context.new_page())
    url = file.resolve().as_uri()
    found.page.on("console", lambda message: found.said.append(f"{message.type}: {message.text}"))
    found.page.on("pageerror", lambda error: found.said.append(f"error: {error}"))
    found.page.on("dialog", lambda dialog: (found.said.append("dialog"), dialog.dismiss()))
    found.page.on(
        "request",
        lambda request: (
            None
            if request.url.partition("#")[0] == url or request.url.startswith("data:")
            else found.asked.append(request.url)
        ),
    )
    try:
        found.page.goto(url)
        yield found
    finally:
        context.close()
