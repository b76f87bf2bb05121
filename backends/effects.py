"""Disturbances: what a device does that its calibration does not say.

Each is a value with `on(compiled)`, the same circuit with other noise. Only `noisy` and
`confusion` change, and the same gate on the same physical qubits is changed alike in every
circuit of one target: folds, twirls and calibration circuits see one device. No device has two
snapshots among those that the vendors ship; a drifted calibration stands in for a later one.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from backends.compiled import Compiled, Noisy, compiled
from qmoe import channels, readout
from qmoe.angles import finite, whole
from qmoe.channel import Channel
from qmoe.circuit import Op
from qmoe.errors import InputError
from qmoe.noise import NoiseModel

Reals = NDArray[np.float64]


@runtime_checkable
class Disturbance(Protocol):
    """One thing that goes another way than calibrated; `str` is its text, which parses back."""

    def on(self, found: Compiled) -> Compiled:
        """The same circuit with the noise that it really meets; the spec says which.

        Raises:
            InputError: A compiled circuit whose noise is not known.
        """


@dataclass(frozen=True, slots=True)
class Drift:
    """Every noise process stronger or weaker than when it was calibrated.

    Factors exp(strength z) with z standard normal: as likely halved as doubled, 1 at strength 0.
    One belongs to each physical qubit, one to each pair, and one to the readout of each qubit
    (where confusion is no product over qubits, to that of all). They are the qubits', not the
    gates': readout error that stands as a channel looks like a gate's. `strong` uses them.
    """

    strength: float
    seed: int = 0

    def __post_init__(self) -> None:
        if finite(self.strength, "drift") < 0:
            raise InputError(got=f"drift {self.strength:g}", expected=">= 0", do="correct it")
        whole(self.seed, "seed of drift")

    def __str__(self) -> str:
        return _text(self)

    def on(self, found: Compiled) -> Compiled:
        """The circuit on a later day; seeds are days."""
        steps = [
            step if isinstance(step, Op) else Channel(step.qubits, self._stronger(step, found))
            for step in _known(found)
        ]
        return _changed(found, steps, self._read(found), self)

    def _stronger(self, channel: Channel, found: Compiled) -> Reals:
        factor = self._factor("gate", (found.physical[q] for q in channel.qubits))
        return strong(channel.ptm, factor)

    def _read(self, found: Compiled) -> Reals | None:
        if found.confusion is None:
            return None
        names = [found.physical[q] for q in found.native.measured]
        each = _single(found.confusion, len(names))
        if not np.allclose(_together(each), found.confusion, rtol=0, atol=1e-9):
            return strong(found.confusion, self._factor("read", names))
        factors = (self._factor("read", (name,)) for name in names)
        return _together([strong(m, factor) for m, factor in zip(each, factors, strict=True)])

    def _factor(self, what: str, names: Iterable[str]) -> float:
        return float(np.exp(self.strength * _normal(self.seed, what, tuple(sorted(names)))))


@dataclass(frozen=True, slots=True)
class Crosstalk:
    """An RZZ by `angle` radians between each qubit of a two-qubit gate and its neighbours.

    Neighbours are the qubits that share a two-qubit gate with it somewhere in the circuit and
    that this gate leaves out: indices need not follow the couplings of a device. A circuit of two
    qubits has none.
    """

    angle: float

    def __post_init__(self) -> None:
        finite(self.angle, "crosstalk")

    def __str__(self) -> str:
        return _text(self)

    def on(self, found: Compiled) -> Compiled:
        """The circuit with the rotations right after each two-qubit gate."""
        near: defaultdict[int, set[int]] = defaultdict(set)
        for op in found.native.ops:
            if not op.is_mark and len(op.qubits) == 2:
                for q in op.qubits:
                    near[q].update(op.qubits)
        steps: list[Op | Channel] = []
        for step in _known(found):
            steps.append(step)
            if self.angle and isinstance(step, Op) and not step.is_mark and len(step.qubits) == 2:
                pairs = ((q, k) for q in step.qubits for k in sorted(near[q] - {*step.qubits}))
                steps += (channels.zz_crosstalk(pair, self.angle) for pair in pairs)
        return _changed(found, steps, found.confusion, self)


@dataclass(frozen=True, slots=True)
class OverRotation:
    """Gates that turn (1 + excess) times too far, as `qmoe.noise.NoiseModel` has it.

    `one` is the excess of one-qubit gates but for those about Z, `two` that of two-qubit gates.
    Folding cannot see it in gates whose inverse is the same rotation backwards.
    """

    one: float
    two: float = 0.0

    def __post_init__(self) -> None:
        self._model()

    def __str__(self) -> str:
        return _text(self)

    def on(self, found: Compiled) -> Compiled:
        """The circuit with affine angles scaled, and CZ^excess behind a CZ."""
        model = self._model()
        steps: list[Op | Channel] = []
        for step in _known(found):
            if isinstance(step, Op):
                steps += model.place(replace(found.native, ops=(step,)))
            else:
                steps.append(step)
        return _changed(found, steps, found.confusion, self)

    def _model(self) -> NoiseModel:
        return NoiseModel(over_rotation=self.one, over_rotation2=self.two)


@dataclass(frozen=True, slots=True)
class PairedReadout:
    """Two qubits next to each other in `measured` both read wrong, with this chance.

    It comes behind whatever readout error there is, as in `qmoe.noise.NoiseModel`.
    """

    chance: float

    def __post_init__(self) -> None:
        channels.probability(self.chance, "readout error of a pair")

    def __str__(self) -> str:
        return _text(self)

    def on(self, found: Compiled) -> Compiled:
        """The circuit with correlated confusion."""
        count = len(found.native.measured)
        confusion = readout.paired(count, ((k, k + 1) for k in range(count - 1)), self.chance)
        if found.confusion is not None:
            confusion = confusion @ found.confusion
        return _changed(found, _known(found), confusion, self)


KINDS: Mapping[type[Drift | Crosstalk | OverRotation | PairedReadout], tuple[str, ...]] = {
    Drift: ("drift", "seed"),
    Crosstalk: ("crosstalk",),
    OverRotation: ("over_rotation", "over_rotation2"),
    PairedReadout: ("readout_pair",),
}
"""What the fields of each kind are called in a text, in their order."""


def strong(matrix: Reals, factor: float) -> Reals:
    """A channel's (or confusion) matrix whose error is `factor` times as strong.

    Up to 1 the mixture of doing nothing and the channel; beyond, the channel as often as it goes
    in whole and then the mixture. To first order in the error that multiplies it; unlike a
    fractional power it always is a channel (or stochastic). A coherent error that is mixed with
    nothing loses a little coherence.

    >>> strong(np.diag([1.0, 0.9]), 0.5).diagonal().tolist()
    [1.0, 0.95]
    """
    times, part = divmod(factor, 1.0)
    mixture = (1 - part) * np.eye(len(matrix)) + part * matrix
    return np.asarray(np.linalg.matrix_power(matrix, int(times)) @ mixture)


def _text(value: Drift | Crosstalk | OverRotation | PairedReadout) -> str:
    named = zip(KINDS[type(value)], fields(value), strict=True)
    pairs = ((name, getattr(value, field.name), field.default) for name, field in named)
    return ",".join(f"{name}={v!r}" for name, v, default in pairs if v != default)


def _known(found: Compiled) -> Noisy:
    if found.noisy is None:
        raise InputError(
            got=f"{found.spec}, which does not say what its noise is",
            expected="a target with a calibration",
            do="choose another from `qmoe devices`",
        )
    return found.noisy


def _changed(
    found: Compiled, noisy: Iterable[Op | Channel], confusion: Reals | None, by: Disturbance
) -> Compiled:
    spec = f"{found.spec}{'+' if '~' in found.spec else '~'}{by}"
    made = compiled(spec, found.native, found.physical, noisy=noisy, confusion=confusion)
    changed = {name: getattr(made, name) for name in ("spec", "noisy", "expected_fidelity")}
    return replace(found, confusion=confusion, **changed)


def _single(confusion: Reals, count: int) -> list[Reals]:
    """The confusion (2, 2) of each measured qubit while the others are 0 or 1 with equal chance."""
    bits = confusion.reshape((2,) * (2 * count))
    axes = range(2 * count)
    return [
        bits.sum(tuple(k for k in axes if k % count != q)) / 2 ** (count - 1) for q in range(count)
    ]


def _together(each: Iterable[Reals]) -> Reals:
    """The confusion (2^m, 2^m) of qubits that are read independently."""
    up, down = zip(*((matrix[1, 0], matrix[0, 1]) for matrix in each), strict=True)
    return readout.independent(up, down)


@lru_cache(maxsize=4096)
def _normal(seed: int, what: str, names: tuple[str, ...]) -> float:
    """A standard normal number that belongs to these qubits."""
    digest = hashlib.sha256("\n".join((str(seed), what, *names)).encode()).digest()
    return float(np.random.default_rng(int.from_bytes(digest)).standard_normal())
