"""`twirl`: random Paulis around each two-qubit gate, so that its noise becomes a Pauli channel.

Each variant has P before and G P G^-1 after every two-qubit gate G of the native circuit, and the
values of all variants are averaged (arXiv 1512.01098). What the gate does is unchanged; of its
noise, averaged over all P, the diagonal of the Pauli-transfer matrix is left. Coherent error then
adds up in probability, not in amplitude: that helps where it would have interfered constructively
and hurts where it would have cancelled. Noise of one-qubit gates stays as it is, and the Paulis
are gates with noise of their own wherever x, y, z are: a z is a physical gate on Cirq's Willow.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from backends.mitigation.base import Job, Run, Values
from backends.mitigation.options import Options, check_foldable
from backends.mitigation.paulis import digits, gates, images
from backends.mitigation.weighted import Part, parts, sums
from qmoe.angles import whole
from qmoe.circuit import GATES, Circuit, Op
from qmoe.errors import InputError

TAG = "twirl"
VARIANTS = 8


@dataclass(frozen=True, slots=True)
class Twirl:
    """The mean over `variants` randomly twirled circuits of equal shots.

    Raises:
        InputError: Less than one variant.
    """

    variants: int = VARIANTS

    def __post_init__(self) -> None:
        whole(self.variants, "variants of twirl", 1)

    @property
    def name(self) -> str:
        """What `load` reads."""
        return f"{TAG},variants={self.variants}"

    def on(self, job: Job) -> Twirl:
        """Itself, where the native two-qubit gates are Clifford gates and what runs.

        Raises:
            InputError: They are not.
        """
        check_foldable(job, TAG)
        for op in two_qubit(job.compiled.native):
            if images(op) is None:
                raise InputError(
                    got=f"{op.gate} with angles {op.angles} on {job.spec}",
                    expected="two-qubit gates that take Paulis to Paulis",
                    do="use another mitigation there",
                )
        return self

    def expand(self, runs: tuple[Run, ...], rng: np.random.Generator) -> tuple[Run, ...]:
        """Each run as its variants, training circuits too: they are to have the same noise."""
        out: list[Run] = []
        for run in runs:
            if run.role == "calibration":
                out.append(run)
                continue
            count = len(list(two_qubit(run.circuit)))
            drawn = rng.integers(16, size=(self.variants, count))
            each = 1 / self.variants
            out += parts(
                run, TAG, (Part(twirled(run.circuit, row), each, each) for row in drawn.tolist())
            )
        return tuple(out)

    def combine(
        self, runs: Sequence[Run], values: Sequence[Values]
    ) -> tuple[tuple[Run, ...], tuple[Values, ...]]:
        """Each run of before with the mean of its variants."""
        pairs = [(run, np.mean(found, axis=0)) for run, _, found in sums(runs, values, TAG)]
        return tuple(run for run, _ in pairs), tuple(mean for _, mean in pairs)


def make(options: Mapping[str, str]) -> Twirl:
    """The step of a text's options."""
    return Twirl(Options(TAG, options, ("variants",)).whole("variants", VARIANTS))


def two_qubit(circuit: Circuit) -> Iterator[Op]:
    """The two-qubit gates in order."""
    return (op for op in circuit.ops if GATES[op.gate].num_qubits == 2)


def twirled(circuit: Circuit, paulis: Sequence[int]) -> Circuit:
    """An equal circuit with the given Paulis, 0 to 15, around its two-qubit gates in order.

    >>> [op.gate for op in twirled(Circuit(2, (Op("cz", (0, 1)),), (0,)), [4]).ops]
    ['x', 'cz', 'x', 'z']
    """
    ops: list[Op] = []
    drawn = iter(paulis)
    for op in circuit.ops:
        if GATES[op.gate].num_qubits != 2:
            ops.append(op)
            continue
        table, pauli = images(op), next(drawn)
        if table is None:
            raise ValueError(f"got {op}; expected a Clifford gate")
        before, after = digits(pauli, 2), digits(table[pauli], 2)
        ops += (*gates(op.qubits, before), op, *gates(op.qubits, after))
    return replace(circuit, ops=tuple(ops))
