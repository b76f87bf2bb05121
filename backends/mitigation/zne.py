"""`zne`: noise made stronger by folding native gates, and values extrapolated to none.

Folding (arXiv 2005.10921) happens after compiling, with native inverses: U (U^-1 U)^k of the
whole circuit, or G (G^-1 G)^k gate by gate. Either has exactly `scale` = 2k + 1 times the
two-qubit gates. Linear fits are one weight for each scale; the exponential fit is made on the
Walsh-Hadamard components (expectations of Z strings), which depolarizing noise takes to 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from types import MappingProxyType

import numpy as np

from backends.mitigation.base import Job, Run, Values
from backends.mitigation.options import Options, check_choice, check_foldable, named
from backends.mitigation.weighted import Part, parts, sums
from qmoe.circuit import Circuit
from qmoe.errors import InputError

TAG = "zne"
FITS = ("linear", "polynomial", "richardson", "exponential")
FOLDINGS = ("global", "local")
OF_ONE_FIT: Mapping[str, tuple[str, float]] = MappingProxyType(
    {"order": ("polynomial", 2), "guard": ("exponential", 0.02)}
)
"""Options of one fit only, with their defaults."""

MOST_SCALE = 99


@dataclass(frozen=True, slots=True)
class ZeroNoise:
    """Extrapolation to zero noise from equal shots at each scale.

    Attributes:
        fit: "linear", "polynomial" of degree `order`, "richardson" (through every point) or
            "exponential".
        scales: Odd whole numbers, rising from 1; none: 1/3 for linear, 1/3/5 for the others.
        folding: "global" or "local".
        order: The degree of the polynomial; None: 2.
        guard: An exponential is fitted to components of one sign that are larger than this in
            size; others keep the value of scale 1. None: .02.

    Raises:
        InputError: Another fit or folding, scales that folding cannot make, too few of them, or
            an option of another fit.
    """

    fit: str = "linear"
    scales: tuple[int, ...] = ()
    folding: str = "global"
    order: int | None = None
    guard: float | None = None

    def __post_init__(self) -> None:
        check_choice("fit of zne", self.fit, FITS)
        check_choice("folding of zne", self.folding, FOLDINGS)
        if not self.scales:
            object.__setattr__(self, "scales", (1, 3) if self.fit == "linear" else (1, 3, 5))
        for key, (fit, default) in OF_ONE_FIT.items():
            if self.fit == fit and getattr(self, key) is None:
                object.__setattr__(self, key, default)
            if self.fit != fit and getattr(self, key) is not None:
                raise InputError(
                    got=f"{key}={getattr(self, key):g} with zne,fit={self.fit}",
                    expected=f"it with fit={fit} only",
                    do="leave it out",
                )
        _check_scales(self.scales)
        if not 1 <= self.degree < len(self.scales):
            raise InputError(
                got=f"zne,fit={self.fit} of order {self.degree} with {len(self.scales)} scales",
                expected="an order from 1 to the number of scales less one",
                do="write for instance zne,fit=linear,scales=1/3",
            )
        if self.guard is not None and not 0 <= self.guard < 1:
            raise InputError(
                got=f"guard={self.guard:g} of zne", expected="0 <= guard < 1", do="leave it out"
            )

    @property
    def name(self) -> str:
        """What `load` reads."""
        own = (
            (key, getattr(self, key), default)
            for key, (fit, default) in OF_ONE_FIT.items()
            if fit == self.fit
        )
        step = f"{TAG},fit={self.fit},scales={_text(self.scales)}"
        return named(step, [("folding", self.folding, FOLDINGS[0]), *own])

    @property
    def degree(self) -> int:
        """The degree of the polynomial in the scale, or of the exponent."""
        if self.fit == "richardson":
            return len(self.scales) - 1
        return 1 if self.order is None else self.order

    @property
    def weights(self) -> tuple[float, ...]:
        """The weight of each scale; of an exponential, of values that hardly differ."""
        return tuple(at_zero(self.scales, self.degree).tolist())

    def on(self, job: Job) -> ZeroNoise:
        """Itself, where folds survive."""
        check_foldable(job, TAG)
        return self

    def expand(self, runs: tuple[Run, ...], rng: np.random.Generator) -> tuple[Run, ...]:
        """Each run at every scale; training circuits too, to have the noise that is left."""
        share = 1 / len(self.scales)
        out: list[Run] = []
        for run in runs:
            if run.role == "calibration":
                out.append(run)
                continue
            made = (
                Part(folded(run.circuit, scale, self.folding), weight, share, scale)
                for scale, weight in zip(self.scales, self.weights, strict=True)
            )
            out += parts(run, TAG, made)
        return tuple(out)

    def combine(
        self, runs: Sequence[Run], values: Sequence[Values]
    ) -> tuple[tuple[Run, ...], tuple[Values, ...]]:
        """Each run of before with its values at zero noise."""
        pairs = [
            (run, self.extrapolated(np.stack(found)) if made else found[0])
            for run, made, found in sums(runs, values, TAG)
        ]
        return tuple(run for run, _ in pairs), tuple(found for _, found in pairs)

    def extrapolated(self, values: Values) -> Values:
        """(rows, 2^m) at zero noise from (scale, rows, 2^m)."""
        if self.guard is None:
            return np.asarray(np.tensordot(self.weights, values, axes=1))
        components = exponential(self.scales, walsh_hadamard(values), self.guard)
        return walsh_hadamard(components) / values.shape[-1]


def make(options: Mapping[str, str]) -> ZeroNoise:
    """The step of a text's options."""
    read = Options(TAG, options, ("fit", "scales", *OF_ONE_FIT, "folding"))
    return ZeroNoise(
        fit=read.text("fit", FITS[0]),
        scales=_scales(options["scales"]) if "scales" in options else (),
        folding=read.text("folding", FOLDINGS[0]),
        order=read.whole("order", 0) if "order" in options else None,
        guard=read.number("guard", 0.0) if "guard" in options else None,
    )


def folded(circuit: Circuit, scale: int, folding: str) -> Circuit:
    """A circuit equal in action with `scale` times the two-qubit gates; "global" or "local"."""
    if folding == "global":
        return circuit.folded(scale)
    ops = (step for op in circuit.ops for step in (op, *(*op.inverse(), op) * (scale // 2)))
    return replace(circuit, ops=tuple(ops))


def at_zero(scales: Sequence[float], degree: int) -> Values:
    """The weights (scale,) of the least-squares polynomial at scale 0; they add up to 1.

    >>> at_zero((1, 3), 1).round(12).tolist()
    [1.5, -0.5]
    """
    powers = np.vander(np.asarray(scales, dtype=np.float64), degree + 1, increasing=True)
    return np.asarray(np.linalg.pinv(powers)[0])


def walsh_hadamard(values: Values) -> Values:
    """The sums (..., 2^m) of values under the signs of all Z strings; twice is 2^m times once.

    >>> walsh_hadamard(np.array([0.75, 0.25])).tolist()
    [1.0, 0.5]
    """
    out, size = values, values.shape[-1]
    half = size // 2
    while half:
        pairs = out.reshape(*values.shape[:-1], -1, 2, half)
        even, odd = pairs[..., 0, :], pairs[..., 1, :]
        out = np.stack([even + odd, even - odd], axis=-2).reshape(values.shape)
        half //= 2
    return out


def exponential(scales: Sequence[float], values: Values, guard: float) -> Values:
    """The value at scale 0 of the fit a exp(-b scale) to values (scale, ...), each by itself.

    A straight line through the logarithms, weighted by the values as their errors ask for.
    Where values change their sign, or are not larger than `guard` in size, there is no such
    line: the value of the first scale is returned.
    """
    fits = (values > guard).all(0) | (values < -guard).all(0)
    weight = np.where(fits, np.abs(values), 1.0)
    log = np.log(weight)
    x = np.reshape(np.asarray(scales, dtype=np.float64), (-1,) + (1,) * (values.ndim - 1))
    x_mean, log_mean = ((weight * each).sum(0) / weight.sum(0) for each in (x, log))
    away = x - x_mean
    slope = (weight * away * log).sum(0) / (weight * away**2).sum(0)
    line = np.sign(values[0]) * np.exp(log_mean - slope * x_mean)
    return np.asarray(np.where(fits, line, values[0]))


def _scales(text: str) -> tuple[int, ...]:
    words = text.split("/")
    if not all(word.isascii() and word.isdecimal() and len(word) < 9 for word in words):
        raise _bad_scales(text)
    return tuple(map(int, words))


def _check_scales(scales: Sequence[int]) -> None:
    rising = all(low < high for low, high in pairwise(scales))
    odd = all(isinstance(scale, int) and scale % 2 == 1 for scale in scales)
    if not (scales and odd and rising and scales[0] == 1 and scales[-1] <= MOST_SCALE):
        raise _bad_scales(_text(scales))


def _text(scales: Sequence[int]) -> str:
    return "/".join(map(str, scales))


def _bad_scales(text: str) -> InputError:
    return InputError(
        got=f"scales={text[:80]} of zne",
        expected=f"odd whole numbers, each once, rising from 1 to at most {MOST_SCALE}",
        do="write for instance scales=1/3/5",
    )
