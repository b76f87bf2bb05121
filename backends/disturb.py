"""A target that is disturbed: calibration A for whoever asks, calibration B for what runs.

`Disturbed` compiles and emits as its target does, so layout, noise and confusion that mitigation
knows stay those of the calibration; what it answers is disturbed. The disturbances are the values
of `backends.effects`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields, replace

from numpy.typing import ArrayLike

from backends.base import Backend, Compiled, Counts, Probabilities, check_features, foldable, sample
from backends.effects import KINDS, Crosstalk, Disturbance, Drift, OverRotation, PairedReadout
from backends.twin import Twin
from qmoe.circuit import Circuit
from qmoe.errors import InputError, unknown
from qmoe.record import Source

__all__ = [
    "Crosstalk",
    "Disturbance",
    "Disturbed",
    "Drift",
    "OverRotation",
    "PairedReadout",
    "disturbed",
    "parse_disturbances",
    "written",
]

NONE = "none"


class Disturbed:
    """A target whose noise has changed since it was calibrated; all of it simulated here.

    Its spec, "ibm:fake_boston~drift=0.3", is a name and loads nothing.
    """

    source: Source = "synthetic"

    def __init__(self, inner: Backend, disturbances: Iterable[Disturbance]) -> None:
        self.inner, self.disturbances = inner, tuple(disturbances)
        self.foldable = foldable(inner)
        self.spec = f"{inner.spec}~{written(self.disturbances)}"
        self._twin = Twin(inner)

    def compile(self, circuit: Circuit) -> Compiled:
        """What the target makes of the circuit: its calibration says nothing of disturbances.

        Raises:
            InputError: The target does not say what its noise is.
        """
        return replace(self._twin.compile(circuit), spec=self.spec)

    def emit(self, native: Circuit, like: Compiled) -> Compiled:
        """What the target makes of a changed native circuit, likewise."""
        return replace(self._twin.emit(native, like), spec=self.spec)

    def probabilities(self, compiled: Compiled, features: ArrayLike) -> Probabilities:
        """Probabilities (batch, 2^m) with disturbed noise and readout."""
        x = check_features(compiled, features)
        found: Probabilities = self._twin.probabilities(disturbed(compiled, self.disturbances), x)
        return found

    def run(self, compiled: Compiled, features: ArrayLike, shots: int, seed: int) -> Counts:
        """Counts (batch, 2^m), drawn from the exact probabilities."""
        return sample(self.probabilities(compiled, features), shots, seed)


def parse_disturbances(text: str) -> tuple[Disturbance, ...]:
    """The disturbances in a text, joined by +, in the order in which they act; "none" is none.

    Raises:
        InputError: An unknown name, one that is missing or given twice, or a bad value.

    >>> parse_disturbances("drift=0.3,seed=1+crosstalk=0.05")
    (Drift(strength=0.3, seed=1), Crosstalk(angle=0.05))
    """
    if text.strip() == NONE:
        return ()
    return tuple(_parsed(part) for part in text.split("+"))


def written(disturbances: Iterable[Disturbance]) -> str:
    """The text that `parse_disturbances` reads back."""
    return "+".join(map(str, disturbances)) or NONE


def disturbed(found: Compiled, disturbances: Iterable[Disturbance]) -> Compiled:
    """A compiled circuit under several disturbances, one after the other."""
    for each in disturbances:
        found = each.on(found)
    return found


def _parsed(part: str) -> Disturbance:
    pairs = [[side.strip() for side in pair.partition("=")] for pair in part.split(",")]
    names = [name for name, _, _ in pairs]
    known = {name: kind for kind, names in KINDS.items() for name in names}
    if names[0] not in known:
        raise unknown("disturbance", names[0], (names[0] for names in KINDS.values()))
    kind = known[names[0]]
    needed, allowed = KINDS[kind][0], KINDS[kind]
    for name, _, value in pairs:
        if name not in allowed:
            raise unknown(f"option of {needed}", name, allowed)
        if names.count(name) > 1 or not value:
            raise _unread(part, f"{name}=VALUE once")
    if needed not in names:
        raise _unread(part, f"{needed}=VALUE too")
    types = {name: int if name == "seed" else float for name in allowed}
    try:
        given = {name: types[name](value) for name, _, value in pairs}
    except ValueError as error:
        raise _unread(part, "numbers, the seed a whole one") from error
    named = zip(allowed, fields(kind), strict=True)
    return kind(**{field.name: given[name] for name, field in named if name in given})  # type: ignore[arg-type]


def _unread(part: str, expected: str) -> InputError:
    do = "write for instance drift=0.3,seed=1+crosstalk=0.05"
    return InputError(got=f"disturbance {part!r}", expected=expected, do=do)
