"""What error mitigation is: circuits to run now, and a way to combine their values later.

`expand` turns the circuits of a job into more of them, `combine` turns what was measured back into
one distribution. Between the two there may be days and another process: every circuit of an
expansion is a `Run`, a plain value with JSON. Values are relative frequencies (or exact
probabilities) of shape (rows, 2^m), after some steps quasi-probabilities.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol, TypeAlias, get_args, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from backends.compiled import Compiled
from qmoe.angles import finite, whole
from qmoe.circuit import Circuit
from qmoe.errors import InputError
from qmoe.serial import circuit_from_dict, circuit_to_dict

Values: TypeAlias = NDArray[np.float64]
Role = Literal["data", "calibration", "training"]

MOST_WORDS = 32
MOST_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Run:
    """One circuit of an expansion.

    Attributes:
        circuit: In native gates. Features are free in "data" runs for all rows; every other run
            has none and is one row.
        role: "data", "calibration" (what the readout does) or "training" (what the gates do).
        scale: The factor by which folding multiplied the noise.
        share: Its part of the whole budget, which is inputs times shots per input.
        path: Which mitigations made it, the last one last.
        coefficient: Its weight in the sum of its mitigation.
        label: What tells the runs of one mitigation apart.
        row: The one input that it is for, bound; None: all of them.
        vendor: What the vendor is asked to do, such as "ibm.dd".
    """

    circuit: Circuit
    role: Role = "data"
    scale: float = 1.0
    share: float = 1.0
    path: tuple[str, ...] = ()
    coefficient: float = 1.0
    label: str = ""
    row: int | None = None
    vendor: tuple[str, ...] = ()

    @property
    def single(self) -> bool:
        """Whether it is one row, whatever the number of inputs."""
        return self.role != "data" or self.row is not None

    def shots(self, shots: int, inputs: int) -> int:
        """Shots of each of its rows, of a budget of `shots` for each of `inputs` inputs."""
        # shares are sums of floats: a third of 3000 is 1000
        whole_budget = shots * (inputs if self.single else 1)
        return int(np.floor(self.share * whole_budget + 1e-6))

    def to_dict(self) -> dict[str, Any]:
        """JSON values, defaults left out; `from_dict` reads them back."""
        tree: dict[str, Any] = {"circuit": circuit_to_dict(self.circuit)}
        for name in self.__dataclass_fields__:
            value = getattr(self, name)
            if name != "circuit" and value != self.__dataclass_fields__[name].default:
                tree[name] = list(value) if isinstance(value, tuple) else value
        return tree

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any]) -> Run:
        """The run that `to_dict` wrote; what it reads is not trusted.

        Raises:
            InputError: Unknown keys, or values of another type.
        """
        if not isinstance(tree, Mapping) or not {"circuit"} <= set(tree) <= set(_FIELDS):
            raise _damaged("other keys")
        values = dict(tree)
        if values.get("role", "data") not in get_args(Role):
            raise _damaged(f"role {values['role']!r}"[:80])
        for name in ("scale", "share", "coefficient"):
            if name in values:
                values[name] = finite(values[name], name)
        if not 0 < values.get("share", 1.0) <= 1 + 1e-9:
            raise _damaged("a share that is none")
        for name in ("path", "vendor"):
            if name in values:
                listed = values[name]
                if not isinstance(listed, list) or len(listed) > MOST_WORDS:
                    raise _damaged(name)
                values[name] = tuple(_text(word, name) for word in listed)
        if "label" in values:
            _text(values["label"], "label")
        if values.get("row") is not None:
            values["row"] = whole(values["row"], "row")
        return cls(**{**values, "circuit": circuit_from_dict(values["circuit"])})


_FIELDS = tuple(Run.__dataclass_fields__)


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """What a mitigation is asked to serve.

    Attributes:
        compiled: The circuit, its weights bound.
        features: (batch, d), radians; None where they are not known yet.
        foldable: Whether the native circuit is what runs; False on targets that compile again.
        spec: The target.
    """

    compiled: Compiled
    features: Values | None
    foldable: bool
    spec: str


@runtime_checkable
class Mitigation(Protocol):
    """A pair of expansion and combination; `load(m.name)` gives an equal one."""

    @property
    def name(self) -> str:
        """What `load` reads."""

    def on(self, job: Job) -> Mitigation:
        """The same, ready for one job; called before anything runs.

        Raises:
            InputError: The target cannot do it.
        """

    def expand(self, runs: tuple[Run, ...], rng: np.random.Generator) -> tuple[Run, ...]:
        """The circuits to run in place of `runs`; shares of each parent add up to its own."""

    def combine(
        self, runs: Sequence[Run], values: Sequence[Values]
    ) -> tuple[tuple[Run, ...], tuple[Values, ...]]:
        """What `expand` was given, with the values that follow from those of its expansion."""


@dataclass(frozen=True, slots=True)
class Plain:
    """`none`: the identity."""

    name: str = "none"

    def on(self, job: Job) -> Plain:
        """Itself."""
        return self

    def expand(self, runs: tuple[Run, ...], rng: np.random.Generator) -> tuple[Run, ...]:
        """The runs themselves."""
        return runs

    def combine(
        self, runs: Sequence[Run], values: Sequence[Values]
    ) -> tuple[tuple[Run, ...], tuple[Values, ...]]:
        """What was measured."""
        return tuple(runs), tuple(values)


@dataclass(frozen=True, slots=True)
class Chain:
    """`A+B`: combines left to right and expands right to left.

    `readout+zne` removes the confusion from every value before it extrapolates, and calibrates
    once for all folds.

    Raises:
        InputError: `readout` stands behind another step, or a step stands twice.
    """

    steps: tuple[Mitigation, ...]

    def __post_init__(self) -> None:
        names = [step.name.partition(",")[0] for step in self.steps]
        if "readout" in names[1:]:
            raise InputError(
                got=f"mitigation {self.name!r}",
                expected="readout in the first place: it undoes what happens last",
                do="write readout+...",
            )
        if len(set(names)) < len(names):
            raise InputError(
                got=f"mitigation {self.name!r}", expected="each step once", do="leave one out"
            )

    @property
    def name(self) -> str:
        """The steps joined by +."""
        return "+".join(step.name for step in self.steps)

    def on(self, job: Job) -> Chain:
        """Every step ready for the job.

        Raises:
            InputError: A step that the target cannot do, or two that undo the same error.
        """
        names = {step.name.partition(",")[0] for step in self.steps}
        if names >= {"readout", "pec"} and job.compiled.confusion is None:
            raise InputError(
                got=f"mitigation {self.name!r} on {job.spec}",
                expected="readout error apart from the noise, which pec inverts as a whole",
                do="write pec alone",
            )
        return Chain(tuple(step.on(job) for step in self.steps))

    def expand(self, runs: tuple[Run, ...], rng: np.random.Generator) -> tuple[Run, ...]:
        """The last step first."""
        for step in reversed(self.steps):
            runs = step.expand(runs, rng)
        return runs

    def combine(
        self, runs: Sequence[Run], values: Sequence[Values]
    ) -> tuple[tuple[Run, ...], tuple[Values, ...]]:
        """The first step first."""
        left, found = tuple(runs), tuple(values)
        for step in self.steps:
            left, found = step.combine(left, found)
        return left, found


def derived(parent: Run, tag: str, **changes: Any) -> Run:
    """A run that the mitigation `tag` makes of another; `share` is taken of the parent's."""
    share = parent.share * changes.pop("share", 1.0)
    return replace(parent, share=share, path=(*parent.path, tag), **changes)


def made_by(run: Run, tag: str) -> bool:
    """Whether the mitigation `tag` made the run, and no other since."""
    return run.path[-1:] == (tag,)


def project(values: ArrayLike) -> Values:
    """Each row's nearest distribution (Euclidean): entries >= 0 that sum to 1.

    Exact, by sorting (Held, Wolfe and Crowder 1974; Duchi et al., ICML 2008).

    >>> project([[0.6, 0.5, -0.1]]).round(6).tolist()
    [[0.55, 0.45, 0.0]]
    """
    v = np.asarray(values, dtype=np.float64)
    ordered = -np.sort(-v, axis=1)
    excess = (ordered.cumsum(1) - 1) / np.arange(1, v.shape[1] + 1)
    kept = (ordered > excess).sum(1)
    out: Values = np.maximum(v - excess[np.arange(len(v)), kept - 1][:, None], 0)
    return out


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str) or len(value) > MOST_CHARACTERS:
        raise _damaged(what)
    return value


def _damaged(got: str) -> InputError:
    return InputError(
        got=f"a run with {got}", expected="what to_dict wrote", do="expand the mitigation again"
    )
