"""Checks of counts: rows in order, right sums, and seeds that mean something."""

from __future__ import annotations

import numpy as np

from backends.conformance.bench import Bench, Failed, NotApplicable, inputs, same_shape
from backends.conformance.predict import predicted
from backends.conformance.specimens import random_inputs, specimen

SPREAD = ((0.2, 0.1), (2.9, 0.3), (0.4, 1.5), (2.7, 1.4))  # rows whose answers lie far apart


def row_order(bench: Bench) -> str:
    """Row r of the answer belongs to row r of the features, also after the rows are permuted."""
    circuit = specimen()
    found = bench.compile(circuit)
    x = inputs(SPREAD, circuit)
    for order in ([0, 1, 2, 3], [2, 0, 3, 1]):
        bench.follows(found, x[order], counted=True)
    return "4 rows as given and permuted"


def batch_lengths(bench: Bench) -> str:
    """A batch may be of one row, of many rows and (where it costs nothing) of none."""
    circuit = specimen()
    found = bench.compile(circuit)
    lengths = (1, 7) if bench.queued else (1, 7, 0)
    for batch in lengths:
        x = np.resize(SPREAD, (batch, 2))
        expected = np.zeros((batch, found.num_outcomes))
        same_shape(bench.run(found, x), expected, f"counts of {batch} rows")
        if bench.exact is not None:
            p = bench.exact.probabilities(found, x)
            same_shape(p, expected, f"probabilities of {batch} rows")
    return "batches of " + ", ".join(map(str, lengths))


def row_sums(bench: Bench) -> str:
    """Counts are whole numbers, none negative, and each row sums to the shots."""
    circuit = specimen()
    found = bench.compile(circuit)
    for shots in (1, 101) if not bench.queued else (101,):
        counts = bench.run(found, inputs(SPREAD, circuit), shots=shots)
        kind, sums = np.asarray(counts).dtype, np.asarray(counts).sum(1).tolist()
        if not np.issubdtype(kind, np.integer) or np.min(counts) < 0:
            raise Failed(f"{kind} counts, least {np.min(counts)}", "whole numbers >= 0")
        if set(sums) != {shots}:
            raise Failed(f"row sums {sums}", f"{shots} in each row")
    return f"rows sum to {shots}"


def seeds(bench: Bench) -> str:
    """The same seed gives the same counts, another seed others."""
    if bench.queued:
        raise NotApplicable("a real target takes no seed")
    circuit = specimen()
    found = bench.compile(circuit)
    x = random_inputs(circuit, bench.rng(), 8)
    first, again = (bench.run(found, x, seed=bench.seed) for _ in range(2))
    if not np.array_equal(first, again):
        raise Failed("other counts from the same seed", "the same")
    if np.array_equal(first, bench.run(found, x, seed=bench.seed + 1)):
        raise Failed("the same counts from another seed", "others")
    return "same seed same counts, other seed other counts"


def row_streams(bench: Bench) -> str:
    """Rows are drawn independently, and cutting a batch into parts changes nothing."""
    if bench.exact is None:
        raise NotApplicable("asked of backends whose counts are drawn from exact probabilities")
    circuit = specimen()
    found = bench.compile(circuit)
    x = np.repeat(random_inputs(circuit, bench.rng(), 1), 8, axis=0)
    counts = bench.run(found, x)
    if float(np.sort(predicted(found, x[:1])[0])[-2]) > 0.01 and (counts == counts[0]).all():
        raise Failed("the same counts in 8 equal rows", "each row drawn for itself")
    if not np.array_equal(bench.run(found, x[:3]), counts[:3]):
        raise Failed("other counts for the first 3 rows alone", "those of the whole batch")
    return "8 equal rows differ; the first 3 alone are the same"
