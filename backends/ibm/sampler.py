"""The one place that knows IBM's sampler classes: circuits with many inputs in, counts out.

There are two, and they differ in local mode and on the wire. The rule is fixed, not guessed from
what is installed: the client-side `executor_sampler.Sampler` ("client"), which the vendor keeps;
`SamplerV2` ("v2"), deprecated since qiskit-ibm-runtime 0.50, only for who asks for it, as long as
it exists. Without options both send the circuit as it is: no twirling, no dynamical decoupling.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.registry import require
from qmoe.errors import InputError, QmoeError

KINDS = ("client", "v2")
VENDOR = ("ibm.dd", "ibm.twirl")
"""What both can be asked to do: dynamical decoupling (XX), twirling of two-qubit gates."""
RANDOMIZATIONS = 32  # of each row under twirling, as IBM's own "auto" has it
REGISTER = "c"  # the classical register of `to_qiskit`
MOST_BITS = 24  # of an outcome: a reply that claims more would fill the memory


def submit(
    mode: Any,
    circuits: Sequence[tuple[Any, NDArray[np.float64]]],
    shots: int,
    *,
    tags: Sequence[str],
    max_execution_time: int,
    options: Mapping[str, Any] | None = None,
    kind: str = KINDS[0],
    asked: Sequence[str] = (),
) -> Any:
    """The vendor's job of one PUB for each circuit; `counts` reads its result.

    Args:
        mode: A backend of the SDK, or a session or batch on one.
        circuits: QuantumCircuits of `to_qiskit` in gates of the device, each with its values
            (batch, parameter), in the order of `circuit.parameters`. One without parameters is a
            PUB for each of its rows.
        shots: For each row.
        tags: Kept with the job.
        max_execution_time: Seconds of the device after which it is stopped.
        options: More of the sampler's own, such as {"twirling": {"enable_gates": True}}.
        kind: One of KINDS.
        asked: Of VENDOR.

    Raises:
        InputError: The backend is simulated here, and SamplerV2 would leave options out silently.
    """
    pubs: list[tuple[Any, ...]] = []
    for circuit, values in circuits:
        if len(circuit.parameters):
            pubs.append((circuit, values))
        else:
            pubs += [(circuit,)] * len(values)
    each = shots
    chosen = {
        **(options or {}),
        "max_execution_time": max_execution_time,
        "environment": {"job_tags": list(tags)},
    }
    if "ibm.dd" in asked:
        chosen["dynamical_decoupling"] = {"enable": True, "sequence_type": "XX"}
    if "ibm.twirl" in asked:
        # left to itself, IBM rounds the shots up
        count = min(RANDOMIZATIONS, shots)
        chosen["twirling"] = {
            "enable_gates": True,
            "num_randomizations": count,
            "shots_per_randomization": shots // count,
        }
        each = shots // count * count
    with _strict():
        return _sampler(kind)(mode=mode, options=chosen).run(pubs, shots=each)


def counts(result: Any, rows: int) -> NDArray[np.int64]:
    """Counts (rows, 2^m) of the result of a job, big-endian as qiskit's bitstrings are read.

    Rows are those of its PUBs one after the other.

    Raises:
        QmoeError: It is no result of `submit`, or of another number of rows.
    """
    found = []
    try:
        for pub in result:
            bits = pub.data[REGISTER]
            if not 0 < bits.num_bits <= MOST_BITS:
                raise ValueError(f"outcomes of {bits.num_bits} bits")
            packed = np.asarray(bits.array, dtype=np.int64)  # (..., shot, byte), last byte lowest
            outcome = packed @ 256 ** np.arange(packed.shape[-1])[::-1]
            for row in outcome.reshape(-1, outcome.shape[-1]):
                found.append(np.bincount(row, minlength=2 ** int(bits.num_bits)))
        made = np.array(found, dtype=np.int64)
    except (AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
        raise QmoeError(f"the job's results are not those of {rows} inputs") from error
    if len(made) != rows:
        raise QmoeError(f"the job's results are not those of {rows} inputs, but of {len(made)}")
    return made


@contextmanager
def _strict() -> Iterator[None]:
    """The sampler classes' warnings: one is expected, one means that options were left out."""
    with warnings.catch_warnings():
        # chosen on purpose, see the rule above
        warnings.filterwarnings("ignore", message="The SamplerV2 class is deprecated")
        warnings.filterwarnings("error", message="Options .* no effect in local testing mode")
        try:
            yield
        except UserWarning as warning:
            if "local testing mode" not in str(warning):
                raise
            raise InputError(
                got=f"a simulated backend and a sampler that leaves out what it cannot: {warning}",
                expected="all options in effect",
                do=f"take the sampler {KINDS[0]!r}",
            ) from warning


def _sampler(kind: str) -> Any:
    if kind == "v2":
        return require("ibm", "qiskit_ibm_runtime").SamplerV2
    return require("ibm", "qiskit_ibm_runtime.executor_sampler").Sampler
