"""Checks of `emit`: a changed native circuit passes gate by gate, nothing optimised away."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from backends.base import Compiled, foldable
from backends.conformance.bench import NATIVE, Bench, Failed, NotApplicable, close
from backends.conformance.predict import Reals, ideal
from backends.conformance.specimens import random_inputs, specimen
from qmoe.channel import Channel
from qmoe.circuit import GATES, Circuit, Op


def emit_changes_nothing(bench: Bench) -> str:
    """The native circuit itself, emitted, has the same qubits and the same noise."""
    found = bench.compile(specimen())
    again = bench.backend.emit(found.native, found)
    if again.physical != found.physical:
        raise Failed(f"qubits {again.physical}", f"{found.physical}")
    if not _same_noise(found, again):
        raise Failed("another list of gates and noise", "that of compile")
    return f"{len(again.noisy or ())} gates and channels"


def folds_pass(bench: Bench) -> str:
    """A threefold circuit keeps its gates: three times the two-qubit gates, equal in action."""
    _ours(bench)
    circuit = specimen()
    found = bench.compile(circuit)
    folded = found.native.folded(3)
    again = bench.backend.emit(folded, found)
    _at_least(again, folded)
    if again.two_qubit_gates != 3 * found.two_qubit_gates:
        raise Failed(f"{again.two_qubit_gates} two-qubit gates", f"3 x {found.two_qubit_gates}")
    _passes(bench, again, circuit)
    return f"{again.two_qubit_gates} two-qubit gates from {found.two_qubit_gates}"


def twirls_pass(bench: Bench) -> str:
    """Inserted x, y and z keep the circuit's action; each x and y is a gate, and none cancels."""
    _ours(bench)
    circuit = specimen()
    found = bench.compile(circuit)
    for pauli in "xyz":
        twirled = _twirled(found.native, pauli)
        again = bench.backend.emit(twirled, found)
        _at_least(again, twirled)
        if again.two_qubit_gates != found.two_qubit_gates:
            raise Failed(f"{again.two_qubit_gates} two-qubit gates", f"{found.two_qubit_gates}")
        _passes(bench, again, circuit)
    return f"pairs of x, y and z before {found.two_qubit_gates} two-qubit gates"


def _ours(bench: Bench) -> None:
    if not foldable(bench.backend):
        raise NotApplicable("the target compiles again what it is sent, and says so")


def _twirled(native: Circuit, pauli: str) -> Circuit:
    """A pair of one Pauli on each qubit of each two-qubit gate, before it: equal in action."""
    ops: list[Op] = []
    for op in native.ops:
        if GATES[op.gate].num_qubits == 2:
            ops += [Op(pauli, (qubit,)) for qubit in op.qubits for _ in range(2)]
        ops.append(op)
    if len(ops) == len(native.ops):
        raise Failed("no two-qubit gate in the native circuit", "at least one")
    return replace(native, ops=tuple(ops))


def _at_least(emitted: Compiled, sent: Circuit) -> None:
    got, least = _turns(emitted.native), _turns(sent)
    if got < least:
        raise Failed(f"{got} gates after emit", f"at least the {least} that were sent")


def _turns(circuit: Circuit) -> int:
    """How many gates take time wherever: rotations about Z may be changes of frame."""
    rows = [GATES[op.gate] for op in circuit.ops if not op.is_mark]
    return sum(row.num_qubits == 2 or not row.diagonal for row in rows)


def _passes(bench: Bench, emitted: Compiled, circuit: Circuit) -> None:
    x: Reals = random_inputs(circuit, bench.rng())
    close(ideal(emitted.native, x), ideal(circuit, x), NATIVE, "the emitted circuit")
    bench.follows(emitted, x)


def _same_noise(a: Compiled, b: Compiled) -> bool:
    if a.noisy is None or b.noisy is None:
        return a.noisy is b.noisy
    if a.confusion is None or b.confusion is None:
        alike = a.confusion is b.confusion
    else:
        alike = np.allclose(a.confusion, b.confusion, rtol=0, atol=1e-12)
    return alike and len(a.noisy) == len(b.noisy) and all(map(_same_step, a.noisy, b.noisy))


def _same_step(a: Op | Channel, b: Op | Channel) -> bool:
    if isinstance(a, Channel) and isinstance(b, Channel):
        return a.qubits == b.qubits and np.allclose(a.ptm, b.ptm, rtol=0, atol=1e-12)
    return a == b
