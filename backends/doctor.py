"""What is installed, which credentials are named, where the data are: what `qmoe doctor` shows.

Credentials are looked for by name only; no value is read into a text, and nothing is sent.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import import_module, metadata

from backends.registry import absent, vendors

DISTRIBUTIONS: Mapping[str, tuple[str, ...]] = {
    "ibm": ("qiskit", "qiskit-aer", "qiskit-ibm-runtime"),
    "braket": ("amazon-braket-sdk",),
    "cirq": ("cirq-core", "cirq-google", "cirq-ionq"),
    "mitigation": ("mitiq",),
}
CREDENTIALS: Mapping[str, str] = {
    "ibm:ibm_NAME": "backends.ibm.account",
    "braket:arn:...": "backends.braket.aws",
    "cirq:google/...": "backends.cirq.google",
    "cirq:ionq.TARGET": "backends.cirq.ionq",
}
"""Whose `missing()` knows where a vendor's client looks for credentials."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: what was looked for, whether it is there, and what to do if it is not."""

    what: str
    found: bool
    detail: str


def findings() -> tuple[Finding, ...]:
    """Everything that the targets need, found or not; imports no SDK and asks no service."""
    out = [Finding("python", True, platform.python_version())]
    for extra, names in DISTRIBUTIONS.items():
        versions = {name: _version(name) for name in names}
        there = all(versions.values())
        shown = ", ".join(f"{name} {version}" for name, version in versions.items() if version)
        hint = shown if there else f"pip install 'qmoe-bench[{extra}]'"
        out.append(Finding(f"extra {extra}", there, hint))
    for target, module in CREDENTIALS.items():
        lacking = import_module(module).missing()
        detail = "named" if lacking is None else f"set {lacking}; simulators need none"
        out.append(Finding(f"credentials {target}", lacking is None, detail))
    out += _data()
    usable = [name for name in vendors() if absent(name) is None]
    out.append(Finding("targets", True, ", ".join(usable)))
    return tuple(out)


def tell(as_json: bool) -> None:
    """Prints the findings as lines or as JSON."""
    found = findings()
    if as_json:
        print(json.dumps([asdict(each) for each in found]))
        return
    width = max(len(each.what) for each in found)
    for each in found:
        print(f"{'ok     ' if each.found else 'missing'}  {each.what:{width}}  {each.detail}")


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _data() -> list[Finding]:
    from qmoe.images import IMAGE_SETS, find

    out = []
    for name, images in IMAGE_SETS.items():
        folder = find(images)
        hint = f"qmoe data fetch {name}, or set QMOE_DATA_DIR"
        out.append(Finding(f"data {name}", folder is not None, hint if folder is None else "found"))
    return out
