"""Where a circuit goes on a device: the physical qubits with the least expected error."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from qmoe.circuit import Circuit
from qmoe.errors import FitError

Pair = frozenset[Any]

# Qubits placed before the best placement so far is taken: seconds of work. Counted, not timed, so
# that the answer is always the same.
MOST_TRIED = 400_000


def place(
    circuit: Circuit,
    single: Mapping[Any, float],
    double: Mapping[Pair, float],
    readout: Mapping[Any, float],
    names: Sequence[int] = (),
) -> tuple[Any, ...]:
    """The physical qubit of each qubit of a circuit of one- and two-qubit gates.

    The cost of a placement is the sum of the errors of its gates and measurements; ties go to
    the qubits that come first. Branch and bound over all placements.

    Args:
        circuit: The circuit in the device's own gates; every two-qubit gate needs a coupling.
        single: Error of a one-qubit gate by physical qubit, for all that may be used.
        double: Error of a two-qubit gate by coupled pair.
        readout: Readout error by physical qubit.
        names: What the user calls each qubit of the circuit, for the message of an error.

    Raises:
        FitError: More qubits than there are, or pairs that no placement couples.
    """
    if circuit.num_qubits > len(single):
        raise FitError(
            got=f"a circuit of {circuit.num_qubits} qubits",
            expected=f"at most {len(single)}",
            do="use fewer qubits or a larger device",
        )
    search = _Search(circuit, single, double, readout)
    search.extend([], frozenset(), 0.0)
    if search.best is None:
        first, second = sorted(names[q] if names else q for q in search.failed)
        raise FitError(
            got=f"a two-qubit gate on qubits {first} and {second}, beside the other pairs",
            expected="pairs that the device's couplings can hold together",
            do="use a chain of neighbours, for instance entangler='chain'",
        )
    return search.best


class _Search:
    """Places qubits one after the other, each next to one already placed where it can be."""

    def __init__(
        self,
        circuit: Circuit,
        single: Mapping[Any, float],
        double: Mapping[Pair, float],
        readout: Mapping[Any, float],
    ) -> None:
        ones = Counter(op.qubits[0] for op in circuit.ops if len(op.qubits) == 1)
        twos = Counter(frozenset(op.qubits) for op in circuit.ops if len(op.qubits) == 2)
        neighbours: dict[int, set[int]] = {q: set() for q in range(circuit.num_qubits)}
        for pair in twos:
            first, second = pair
            neighbours[first].add(second)
            neighbours[second].add(first)
        self.order = _order(neighbours)
        self.earlier = [
            [
                (j, twos[frozenset((q, other))])
                for j, other in enumerate(self.order[:i])
                if other in neighbours[q]
            ]
            for i, q in enumerate(self.order)
        ]
        self.couplings: dict[Any, set[Any]] = {}
        for pair in double:
            first, second = pair
            self.couplings.setdefault(first, set()).add(second)
            self.couplings.setdefault(second, set()).add(first)
        self.physical = sorted(single)
        self.double = double
        self.alone = [
            {
                p: ones[q] * single[p] + (readout[p] if q in circuit.measured else 0.0)
                for p in self.physical
            }
            for q in self.order
        ]
        # what the qubits from i on cost at the least
        least = min(double.values(), default=0.0)
        floors = [
            min(alone.values()) + least * sum(count for _, count in pairs)
            for alone, pairs in zip(self.alone, self.earlier, strict=True)
        ]
        self.floor = [sum(floors[i:]) for i in range(len(floors) + 1)]
        self.best: tuple[Any, ...] | None = None
        self.cost = float("inf")
        self.tried = 0
        self.depth = -1
        self.failed: tuple[int, ...] = ()

    def extend(self, placed: list[Any], used: frozenset[Any], cost: float) -> None:
        """Tries all places of the next qubit, the cheapest first."""
        i = len(placed)
        if i == len(self.order):
            self.best, self.cost = tuple(placed[self.order.index(q)] for q in range(i)), cost
            return
        pairs = self.earlier[i]
        candidates = set(self.physical) - used
        for j, _ in pairs:
            candidates &= self.couplings.get(placed[j], set())
            if not candidates and i > self.depth:
                self.depth = i
                self.failed = (self.order[j], self.order[i])
        priced = [
            (
                self.alone[i][p]
                + sum(count * self.double[frozenset((p, placed[j]))] for j, count in pairs),
                p,
            )
            for p in candidates
        ]
        for extra, p in sorted(priced):
            if cost + extra + self.floor[i + 1] >= self.cost:
                break
            if self.tried >= MOST_TRIED:
                break
            self.tried += 1
            self.extend([*placed, p], used | {p}, cost + extra)


def _order(neighbours: Mapping[int, set[int]]) -> list[int]:
    """The qubits, each after as many of its neighbours as possible."""
    order: list[int] = []
    left = set(neighbours)
    while left:
        following = min(
            left,
            key=lambda q: (-len(neighbours[q] & set(order)), -len(neighbours[q]), q),
        )
        order.append(following)
        left.remove(following)
    return order
