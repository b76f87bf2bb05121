"""What is installed, which credentials are named, where the data are: what `qmoe doctor` shows.

Credentials are looked for by name only; no value is read into a text, and nothing is sent.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

from backends.registry import absent, vendors

DISTRIBUTIONS: Mapping[str, tuple[str, ...]] = {
    "ibm": ("qiskit", "qiskit-aer", "qiskit-ibm-runtime"),
    "braket": ("amazon-braket-sdk",),
    "cirq": ("cirq-core", "cirq-google", "cirq-ionq"),
    "mitigation": ("mitiq",),
}
CREDENTIALS: Mapping[str, tuple[tuple[str, ...], str]] = {
    "ibm:ibm_NAME": (("QISKIT_IBM_TOKEN",), "~/.qiskit/qiskit-ibm.json"),
    "braket:arn:...": (("AWS_ACCESS_KEY_ID", "AWS_PROFILE"), "~/.aws/credentials"),
    "cirq:google/...": (
        ("GOOGLE_APPLICATION_CREDENTIALS",),
        "~/.config/gcloud/application_default_credentials.json",
    ),
    "cirq:ionq.TARGET": (("IONQ_API_KEY", "CIRQ_IONQ_API_KEY"), ""),
}
"""Where each vendor's client looks: environment variables, then a file."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: what was looked for, whether it is there, and what to do if it is not."""

    what: str
    found: bool
    detail: str


def findings(environment: Mapping[str, str], home: Path) -> tuple[Finding, ...]:
    """Everything that the targets need, found or not; imports no SDK and asks no service."""
    out = [Finding("python", True, platform.python_version())]
    for extra, names in DISTRIBUTIONS.items():
        versions = {name: _version(name) for name in names}
        there = all(versions.values())
        shown = ", ".join(f"{name} {version}" for name, version in versions.items() if version)
        hint = shown if there else f"pip install 'qmoe-bench[{extra}]'"
        out.append(Finding(f"extra {extra}", there, hint))
    for target, (variables, file) in CREDENTIALS.items():
        named = [name for name in variables if environment.get(name)]
        place = home / file.removeprefix("~/") if file else None
        if named:
            out.append(Finding(f"credentials {target}", True, f"{named[0]} is set"))
        elif place is not None and place.is_file():
            out.append(Finding(f"credentials {target}", True, f"{file} exists"))
        else:
            ways = " or ".join(variables) + (f", or {file}" if file else "")
            out.append(Finding(f"credentials {target}", False, f"set {ways}; simulators need none"))
    out += _data()
    usable = [name for name in vendors() if absent(name) is None]
    out.append(Finding("targets", True, ", ".join(usable)))
    return tuple(out)


def tell(as_json: bool) -> None:
    """Prints the findings as lines or as JSON."""
    found = findings(os.environ, Path.home())
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
