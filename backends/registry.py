"""Specs and the backends behind them: a name of a target to the code that runs it.

A spec is "vendor:target,key=value", without shell metacharacters. Third parties add vendors by
the entry-point group `qmoe.backends`: a module or object with `load(spec)`, `targets()` and
`describe()`, as the vendor packages of this room have them.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from types import MappingProxyType
from typing import Any, Protocol, cast

from backends.base import Backend, TargetInfo
from qmoe.errors import InputError, unknown
from qmoe.plugins import added, loaded

GROUP = "qmoe.backends"
VENDORS: Mapping[str, str] = MappingProxyType(
    {
        "reference": "backends.exact",
        "torch": "backends.exact",
        "ibm": "backends.ibm",
        "braket": "backends.braket",
        "cirq": "backends.cirq",
        "twin": "backends.twin",
    }
)
PACKAGES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "ibm": ("qiskit", "qiskit_aer", "qiskit_ibm_runtime"),
        "braket": ("braket",),
        "cirq": ("cirq", "cirq_google"),
    }
)
"""What a vendor's extra, which has the vendor's name, brings."""

_WORD = re.compile(r"^[A-Za-z0-9_./:@+-]+$")


@dataclass(frozen=True, slots=True)
class Spec:
    """A parsed spec; `target` is "" for vendors that are a target themselves."""

    vendor: str
    target: str = ""
    options: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        head = f"{self.vendor}:{self.target}" if self.target else self.vendor
        return ",".join([head, *(f"{key}={value}" for key, value in self.options.items())])

    def only(self, *known: str) -> Spec:
        """This spec, if it has no options but these.

        Raises:
            InputError: It has another one; with the nearest match.
        """
        for key in self.options:
            if key not in known:
                head = str(Spec(self.vendor, self.target))
                if not known:
                    raise InputError(
                        got=f"option {key!r} of {head}", expected="none", do="leave it out"
                    )
                raise unknown(f"option of {head}", key, known)
        return self

    def flag(self, key: str, default: bool = True) -> bool:
        """An option that is true or false.

        Raises:
            InputError: It is neither.
        """
        text = self.options.get(key, str(default).lower())
        if text not in ("true", "false"):
            raise InputError(
                got=f"{key}={text} in target {self}",
                expected="true or false",
                do=f"write {key}=true or {key}=false",
            )
        return text == "true"

    def whole(self, key: str, default: int, allowed: range) -> int:
        """An option that is a whole number in a range.

        Raises:
            InputError: It is none.
        """
        text = self.options.get(key, str(default))
        if not text.isdecimal() or int(text) not in allowed:
            raise InputError(
                got=f"{key}={text} in target {self}",
                expected=f"a whole number from {allowed[0]} to {allowed[-1]}",
                do=f"write {key}={default}",
            )
        return int(text)

    def seconds(self, key: str, default: float) -> float:
        """An option that is a time in seconds.

        Raises:
            InputError: It is no number, negative or infinite.
        """
        text = self.options.get(key, str(default))
        try:
            value = float(text)
        except ValueError:
            value = -1.0
        if not 0 <= value < float("inf"):
            raise InputError(
                got=f"{key}={text} in target {self}",
                expected="seconds >= 0",
                do=f"write {key}={default:g}",
            )
        return value


class Vendor(Protocol):
    """What a vendor's module offers."""

    def load(self, spec: Spec) -> Backend:
        """The backend of one of its targets."""

    def targets(self) -> tuple[str, ...]:
        """The specs that load without an account."""

    def describe(self) -> tuple[TargetInfo, ...]:
        """The same with qubits, gates and errors."""


def parse(text: str) -> Spec:
    """The spec in a text.

    >>> parse("ibm:dm,depolarizing=0.02").options
    {'depolarizing': '0.02'}
    """
    head, *pairs = text.strip().split(",")
    vendor, _, target = head.partition(":")
    if vendor == "twin":  # what follows is a whole spec with options of its own
        return Spec("twin", text.strip().partition(":")[2])
    options = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not (key and equals and value) or key in options:
            raise InputError(
                got=f"{pair!r} in target {text!r}",
                expected="key=value, each key once",
                do="write vendor:target,key=value",
            )
        options[key] = value
    for word in (head, *options, *options.values()):
        if not _WORD.match(word):
            raise InputError(
                got=f"target {text!r}",
                expected="letters, digits and _ . / : @ + -",
                do="write vendor:target,key=value",
            )
    return Spec(vendor, target, options)


def load(text: str) -> Backend:
    """The backend that a spec names.

    Raises:
        InputError: No such vendor, target or option, or an SDK that is not installed.

    >>> load("reference").spec
    'reference'
    """
    spec = parse(text)
    return vendor(spec.vendor).load(spec)


def vendor(name: str) -> Vendor:
    """The module of a vendor.

    Raises:
        InputError: No such vendor, or a third party's entry point that cannot be loaded.
    """
    if name in VENDORS:
        return cast(Vendor, import_module(VENDORS[name]))
    if name not in vendors():
        raise unknown("target", name, vendors())
    return cast(Vendor, loaded(GROUP, name))


def vendors() -> tuple[str, ...]:
    """The names of all vendors, third parties included."""
    return tuple(dict.fromkeys((*VENDORS, *added(GROUP))))


def absent(text: str) -> str | None:
    """How to install what a target needs and is not there; None if all is. Imports nothing.

    Raises:
        InputError: No such vendor.

    >>> absent("reference") is None
    True
    """
    if text == "twin":  # of whatever else is there
        return None
    spec = parse(text)
    if spec.vendor == "twin":
        return absent(spec.target)
    if spec.vendor not in vendors():
        raise unknown("target", spec.vendor, vendors())
    if all(find_spec(package) for package in PACKAGES.get(spec.vendor, ())):
        return None
    return f"pip install 'qmoe-bench[{spec.vendor}]'"


def require(extra: str, module: str) -> Any:
    """A module of a vendor's SDK.

    Raises:
        InputError: It is not installed; with the extra that brings it.
    """
    try:
        with warnings.catch_warnings():
            # google.api_core announces the end of Python 3.11 to whoever imports it
            warnings.filterwarnings("ignore", "You are using a Python version", FutureWarning)
            return import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != module.partition(".")[0]:
            raise
        raise InputError(
            got=f"no package {module.partition('.')[0]}",
            expected=f"the extra {extra!r}",
            do=f"pip install 'qmoe-bench[{extra}]'",
        ) from error
