"""Braket's tasks as plain values: what a device takes at once, and the counts that come back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.queued import Limits
from backends.remote import apportion
from qmoe.errors import QmoeError

PROGRAM_SET = "braket.ir.openqasm.program_set"


def limits(properties: Any) -> Limits:
    """The limits in a device's properties; without program sets every circuit is a task."""
    fewest, most = properties.service.shotsRange
    action = properties.action.get(PROGRAM_SET)
    if action is None:
        return Limits((fewest, most), rows=1)
    total = (action.minimumTotalShots or 1, action.maximumTotalShots)
    return Limits((fewest, most), rows=action.maximumExecutables, total=total)


def takes_sets(properties: Any) -> bool:
    """Whether a device takes program sets."""
    return properties.action.get(PROGRAM_SET) is not None


def tallies(
    result: Any, orders: Sequence[Sequence[int]], shots: int
) -> list[NDArray[np.int64] | None]:
    """Counts (2^m,) of each circuit of a task, big-endian over its order; None where one failed.

    result: The SDK's result of a task or of a program set.
    orders: The measured qubits of each circuit by the device's own numbers. Results list qubits
        in the device's order, and some devices list all that they have.

    Raises:
        QmoeError, IndexError, TypeError, ValueError: It cannot be a result of these circuits.
    """
    if not hasattr(result, "entries"):
        given = result.measurement_probabilities
        exact = result.measurement_probabilities_copied_from_device
        return [_tally(result, given if exact else None, orders[0], shots)]
    found: list[NDArray[np.int64] | None] = []
    entries = [entry for program in result.entries for entry in program.entries]
    for entry, order in zip(entries, orders, strict=True):
        if hasattr(entry, "measurements"):  # else it is a failure with its reason
            given = entry.probabilities if entry.probabilities_from_device else None
            found.append(_tally(entry, given, order, shots))
        else:
            found.append(None)
    return found


def reasons(result: Any) -> list[str]:
    """Why circuits of a program set failed, in the vendor's words."""
    entries = [entry for program in getattr(result, "entries", ()) for entry in program.entries]
    failures = [getattr(entry, "failureMetadata", None) for entry in entries]
    return [str(failure.failureReason) for failure in failures if failure is not None]


def _tally(
    entry: Any, probabilities: Mapping[str, float] | None, order: Sequence[int], shots: int
) -> NDArray[np.int64]:
    bits: NDArray[np.int64]
    times: NDArray[np.int64]
    if probabilities is None:
        bits = np.asarray(entry.measurements, dtype=np.int64)
        times = np.ones(len(bits), dtype=np.int64)
    else:  # the SDK's own measurements are rounded outcome by outcome and may miss some shots
        bits = np.array([list(map(int, key)) for key in probabilities], dtype=np.int64)
        shares = np.array(list(probabilities.values()))
        times = apportion(shares / shares.sum(), shots)
    columns = [int(qubit) for qubit in entry.measured_qubits]
    if not set(order) <= set(columns):
        raise QmoeError(f"a Braket result has qubits {columns} and not all of {list(order)}")
    chosen = bits[:, [columns.index(qubit) for qubit in order]]
    outcome = chosen @ (2 ** np.arange(len(order))[::-1])
    counts = np.zeros(2 ** len(order), dtype=np.int64)
    np.add.at(counts, outcome, times)
    return counts
