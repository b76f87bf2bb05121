"""Weighted sums of circuits: what Pauli twirling, error cancellation and mitiq come to.

All of them run a few circuits in place of one and add up what was measured with weights that are
known before. The weight stands in `Run.coefficient`, so a sum needs nothing but its runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from backends.mitigation.base import Run, Values, derived, made_by
from qmoe.circuit import Circuit
from qmoe.errors import InputError


@dataclass(frozen=True, slots=True)
class Part:
    """One circuit of a sum: its weight, its share of the shots and its noise scale."""

    circuit: Circuit
    weight: float
    share: float
    scale: float = 1.0
    note: str = ""


def parts(parent: Run, tag: str, made: Iterable[Part]) -> tuple[Run, ...]:
    """The runs of a sum in place of a run; the label ends in `/NUMBER` or `/NUMBER NOTE`."""
    return tuple(
        derived(
            parent,
            tag,
            circuit=part.circuit,
            share=part.share,
            scale=parent.scale * part.scale,
            coefficient=parent.coefficient * part.weight,
            label=f"{parent.label}/{k} {part.note}".rstrip(),
        )
        for k, part in enumerate(made)
    )


def sums(
    runs: Sequence[Run], values: Sequence[Values], tag: str
) -> Iterator[tuple[Run, tuple[Run, ...], tuple[Values, ...]]]:
    """What `parts` replaced, with its parts and their values; a run of others has no parts.

    The circuit and the scale that come back are those of the first part.

    Raises:
        InputError: Runs that `parts` has not made.
    """
    group: list[tuple[Run, Values]] = []
    for run, value in zip(runs, values, strict=True):
        mine = made_by(run, tag)
        if group and not (mine and _number(run, tag) == len(group)):
            yield _closed(group)
            group = []
        if not mine:
            yield run, (), (value,)
        elif _number(run, tag) != len(group):
            raise _damaged(run, tag)
        else:
            group.append((run, value))
    if group:
        yield _closed(group)


def total(weights: Sequence[float], values: Sequence[Values]) -> Values:
    """The weighted sum of values (rows, 2^m), each row's total made 1.

    Weights of finitely many samples do not add up to 1. What the outcomes of a row lack to 1 is
    spread evenly over them, which changes no mean.

    >>> total([2.0, -0.5], [np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]])]).tolist()
    [[1.75, -0.75]]
    """
    out = np.tensordot(np.asarray(weights, dtype=np.float64), np.asarray(values), axes=1)
    return np.asarray(out + (1 - out.sum(1, keepdims=True)) / out.shape[1], dtype=np.float64)


def note(run: Run) -> str:
    """What `parts` noted of the run."""
    return run.label.rpartition("/")[2].partition(" ")[2]


def _closed(
    group: Sequence[tuple[Run, Values]],
) -> tuple[Run, tuple[Run, ...], tuple[Values, ...]]:
    runs, values = zip(*group, strict=True)
    first = runs[0]
    parent = replace(
        first,
        share=sum(run.share for run in runs),
        path=first.path[:-1],
        coefficient=sum(run.coefficient for run in runs),
        label=first.label.rpartition("/")[0],
    )
    return parent, runs, values


def _number(run: Run, tag: str) -> int:
    text = run.label.rpartition("/")[2].partition(" ")[0]
    if not (text.isascii() and text.isdecimal()):
        raise _damaged(run, tag)
    return int(text)


def _damaged(run: Run, tag: str) -> InputError:
    return InputError(
        got=f"a run of {tag} with the label {run.label!r}",
        expected="the runs in the order of expand, all of them",
        do="expand the mitigation again",
    )
