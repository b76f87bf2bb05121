"""Settings of every test: one thread, no clocks in hypothesis, no look-ups of cloud metadata."""

from __future__ import annotations

import os
from collections.abc import Iterator

import jaxtyping
import pytest
import torch
from hypothesis import settings

# Vendor SDKs ask a metadata server for credentials unless told otherwise; offline that hangs.
os.environ.setdefault("NO_GCE_CHECK", "true")
os.environ.setdefault("AWS_EC2_METADATA_DISABLED", "true")

# Workers of pytest-xdist share the cores; more threads per worker only slow each other down.
torch.set_num_threads(1)

settings.register_profile("dev", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "dev"))


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Bytes never name a test: packed bytes may hold a clock, and then two workers disagree."""
    return argname if isinstance(val, bytes) else None


@pytest.fixture
def unchecked() -> Iterator[None]:
    """Run-time type checks off: they would take most of the time of thousands of studies."""
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", before)
