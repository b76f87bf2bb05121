"""Checks of what is refused, before anything is spent, and with the right kind of error."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from backends.conformance.bench import Bench, Failed, NotApplicable, inputs
from backends.conformance.specimens import marked, specimen
from backends.registry import load, parse, vendor
from qmoe.circuit import Op
from qmoe.errors import FitError, InputError

WIDE = 1000  # qubits that no target has, where the number of qubits is not known


def width_refused(bench: Bench) -> str:
    """A circuit of one qubit too many is refused by `compile`, as one that does not fit."""
    qubits = bench.qubits or _listed(bench.backend.spec)
    size = WIDE if qubits is None else qubits + 1
    ops = tuple(Op("ry", (q,), (0.5,)) for q in range(size))
    pairs = tuple(Op("cx", (q, q + 1)) for q in range(size - 1))
    circuit = marked(size, ops + pairs, (0, size - 1))
    return _refused(lambda: bench.backend.compile(circuit), FitError, f"{size} qubits")


def features_refused(bench: Bench) -> str:
    """Features of another shape, or not finite, are bad input."""
    circuit = specimen()
    found = bench.compile(circuit)
    _refused(lambda: bench.run(found, np.zeros((2, 5))), InputError, "5 features for 2")
    _refused(lambda: bench.run(found, np.zeros((2, 2)) * np.nan), InputError, "nan")
    exact = bench.exact
    if exact is not None:
        wide = np.zeros((2, 5))
        _refused(lambda: exact.probabilities(found, wide), InputError, "5 features for 2")
    return "wrong shapes and nan"


def shots_refused(bench: Bench) -> str:
    """Counts of no shots are bad input."""
    circuit = specimen()
    found = bench.compile(circuit)
    x = inputs([[0.1, 0.2]], circuit)
    return _refused(lambda: bench.run(found, x, shots=0), InputError, "0 shots")


def options_refused(bench: Bench) -> str:
    """An option that the target does not have is bad input, not ignored."""
    spec = bench.backend.spec
    try:
        load(spec)
    except InputError as error:
        raise NotApplicable("the backend cannot be loaded by its spec") from error
    added = f"{spec},no_such_option=1"
    return _refused(lambda: load(added), InputError, "an option that there is not")


def _listed(spec: str) -> int | None:
    """The qubits of a target, if its vendor lists it; a twin has those of its target."""
    asked = parse(spec)
    if asked.vendor == "twin":
        return _listed(asked.target)
    try:
        rows = {row.spec: row.qubits for row in vendor(asked.vendor).describe()}
    except InputError:  # a backend of somebody's own, under no registered name
        return None
    return rows.get(spec, rows.get(spec.partition(",")[0]))


def _refused(act: Callable[[], object], kind: type[Exception], what: str) -> str:
    try:
        act()
    except kind as error:
        return str(error)
    raise Failed(f"no error for {what}", kind.__name__)
