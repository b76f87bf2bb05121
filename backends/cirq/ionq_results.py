"""What IonQ's service returns, as counts: probabilities by little-endian integers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.remote import words
from qmoe.errors import QmoeError

TOLERANCE = 0.02  # probabilities are rounded by the service


def distributions(raw: Mapping[str, Any], job: Mapping[str, Any]) -> NDArray[np.float64]:
    """Probabilities (circuit, 2^m), rows sum to 1; the measured qubits are in the job's metadata.

    Raises:
        QmoeError: Something else than version 0.3 of the API returns.
    """
    try:
        measured = [int(qubit) for qubit in job["metadata"]["measured"].split(",")]
        table = np.array([_marginal(each, measured) for each in _histograms(raw, job)])
        totals = table.sum(1, keepdims=True)
    except (KeyError, TypeError, ValueError, AttributeError, StopIteration) as error:
        raise QmoeError(
            f"IonQ job {job.get('id')}: results that cannot be read ({words(repr(error))})"
        ) from error
    if not ((abs(totals - 1) <= TOLERANCE).all() and (table >= 0).all()):  # nor NaN
        raise QmoeError(
            f"IonQ job {job.get('id')}: probabilities with sums from {totals.min():g} to "
            f"{totals.max():g}"
        )
    return np.asarray(table / totals)


def _histograms(raw: Mapping[str, Any], job: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The distributions of a job in the order of its circuits."""
    if not isinstance(next(iter(raw.values())), Mapping):
        return [raw]  # one circuit
    children = job.get("children") or []
    return [raw[name] for name in (children if set(children) == set(raw) else raw)]


def _marginal(histogram: Mapping[str, Any], measured: Sequence[int]) -> NDArray[np.float64]:
    """Probabilities (2^m,), big-endian over `measured`, of little-endian outcomes."""
    out = np.zeros(2 ** len(measured))
    for name, probability in histogram.items():
        outcome = int(name)
        if outcome < 0:
            raise ValueError(f"outcome {outcome}")
        index = 0
        for qubit in measured:
            index = 2 * index + (outcome >> qubit & 1)
        out[index] += float(probability)
    return out
