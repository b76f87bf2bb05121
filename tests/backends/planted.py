"""A small sound backend, and backends that each break exactly one of its promises.

The sound one is a noisy device of six qubits in plain numpy: density matrices and Kraus
operators, where the suite multiplies Pauli-transfer matrices.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from backends.base import Compiled, TargetInfo, check_features, compiled, sample
from backends.registry import Spec
from qmoe.channel import Channel
from qmoe.circuit import Circuit, Op, Sum, affine, angle_of, negate
from qmoe.errors import FitError
from qmoe.record import Source
from qmoe.simplify import compact
from qmoe.simulate.reference import op_matrix

QUBITS = 6
READ = np.array([[0.99, 0.03], [0.01, 0.97]])  # [read, true]
LOSS = {1: 0.002, 2: 0.02}  # chance of a Pauli that is not the identity, by gate width
PI = float(np.pi)


def depolarizing(qubits: tuple[int, ...], chance: float) -> Channel:
    size = 4 ** len(qubits)
    shrink = 1 - chance * size / (size - 1)
    return Channel(qubits, np.diag([1.0] + [shrink] * (size - 1)))


class Sound:
    """Depolarizing noise after each gate, and asymmetric readout."""

    source: Source = "synthetic"
    spec = "planted"

    def compile(self, circuit: Circuit) -> Compiled:
        if circuit.num_qubits > QUBITS:
            raise FitError(got=f"{circuit.num_qubits} qubits", expected=f"{QUBITS}", do="use fewer")
        native, old = compact(circuit)
        return self.made(native, [f"w{qubit}" for qubit in old])

    def emit(self, native: Circuit, like: Compiled) -> Compiled:
        return self.made(native, like.physical)

    def made(self, native: Circuit, physical: Any) -> Compiled:
        return compiled(
            self.spec,
            native,
            physical,
            noisy=self.noisy(native),
            confusion=self.confusion(len(native.measured)),
            calibrated_at="2026-01-02T03:04:05+00:00",
        )

    def noisy(self, native: Circuit) -> list[Op | Channel]:
        steps: list[Op | Channel] = []
        for op in native.ops:
            steps.append(op)
            if not op.is_mark:
                steps.append(depolarizing(op.qubits, LOSS[len(op.qubits)]))
        return steps

    def confusion(self, measured: int) -> Any:
        matrix = np.ones((1, 1))
        for _ in range(measured):
            matrix = np.kron(matrix, READ)
        return matrix

    def probabilities(self, compiled: Compiled, features: Any) -> Any:
        x = check_features(compiled, features)
        rows = [self.row(compiled, each) for each in x]
        return np.array(rows).reshape(len(x), compiled.num_outcomes) @ compiled.confusion.T

    def row(self, compiled: Compiled, x: Any) -> Any:
        native = compiled.native
        n = native.num_qubits
        rho = np.zeros((2,) * (2 * n), dtype=complex)
        rho[(0,) * (2 * n)] = 1
        for step in self.executed(compiled):
            if isinstance(step, Channel):
                rho = sum(_sandwich(k, step.qubits, rho) for k in _kraus(step))
            elif not step.is_mark:
                rho = _sandwich(op_matrix(step, np.zeros(0), x), step.qubits, rho)
        density = np.einsum(rho, [*range(n), *range(n)], [*range(n)]).real
        others = tuple(set(range(n)) - set(native.measured))
        order = np.argsort(np.argsort(native.measured))
        return density.sum(axis=others).transpose(order).reshape(-1)

    def executed(self, compiled: Compiled) -> Any:
        """What is really run; a sound backend runs what it says."""
        return compiled.noisy

    def run(self, compiled: Compiled, features: Any, shots: int, seed: int) -> Any:
        return sample(self.probabilities(compiled, features), shots, seed)


_cache: dict[Channel, Any] = {}


def _kraus(channel: Channel) -> Any:
    if channel not in _cache:
        _cache[channel] = channel.kraus()
    return _cache[channel]


def _sandwich(matrix: Any, qubits: tuple[int, ...], rho: Any) -> Any:
    k, n = len(qubits), rho.ndim // 2
    for axes, tensor in ((qubits, matrix), (tuple(q + n for q in qubits), matrix.conj())):
        gate = tensor.reshape((2,) * (2 * k))
        rho = np.moveaxis(np.tensordot(gate, rho, axes=(range(k, 2 * k), axes)), range(k), axes)
    return rho


def _reversed_bits(p: Any) -> Any:
    m = p.shape[1].bit_length() - 1
    return p.reshape(len(p), *(2,) * m).transpose(0, *range(m, 0, -1)).reshape(p.shape)


def _with_angles(circuit: Circuit, change: Any) -> Circuit:
    ops = tuple(replace(op, angles=tuple(map(change, op.angles))) for op in circuit.ops)
    return replace(circuit, ops=ops)


class CountsOnly:
    """The sound backend, which keeps its probabilities to itself."""

    spec = Sound.spec
    source: Source = "synthetic"

    def __init__(self) -> None:
        inner = Sound()
        inner.spec = self.spec
        self.compile, self.emit, self.draw = inner.compile, inner.emit, inner.run

    def run(self, compiled: Compiled, features: Any, shots: int, seed: int) -> Any:
        return self.draw(compiled, features, shots, seed)


class FarAway(CountsOnly):
    """The same behind a queue; it counts what it is asked to run."""

    spec = "planted:far"
    source: Source = "device"
    account = "planted"
    idempotent = False

    def __init__(self) -> None:
        super().__init__()
        self.rows = self.shots = 0

    def run(self, compiled: Compiled, features: Any, shots: int, seed: int) -> Any:
        counts = super().run(compiled, features, shots, seed)
        self.rows += len(counts)
        self.shots += int(counts.sum())
        return counts

    def submit(self, *args: Any, **named: Any) -> Any:
        raise AssertionError("the suite runs circuits; it never leaves jobs behind")

    limits = cost = left = find = status = fetch = cancel = usage = submit


class Deaf(Sound):
    """Loads with any option."""

    spec = "planted:deaf"


class ThirdParty:
    """A vendor as an entry point names it."""

    def load(self, spec: Spec) -> Any:
        if spec.target == "deaf":
            return Deaf()
        spec.only()
        backend = FarAway() if spec.target == "far" else Sound()
        backend.spec = str(spec)
        return backend

    def targets(self) -> tuple[str, ...]:
        return ("planted:sound",)

    def describe(self) -> tuple[TargetInfo, ...]:
        return (TargetInfo("planted:sound", "synthetic", QUBITS),)


VENDOR = ThirdParty()


class ReversedBits(Sound):
    def probabilities(self, compiled, features):
        return _reversed_bits(super().probabilities(compiled, features))


class ReversedBitsInBatches(Sound):
    def probabilities(self, compiled, features):
        p = super().probabilities(compiled, features)
        return p if len(p) == 1 else _reversed_bits(p)


class ReversedBitsInCounts(Sound):
    def run(self, compiled, features, shots, seed):
        return _reversed_bits(super().run(compiled, features, shots, seed))


class MeasuredSorted(Sound):
    def compile(self, circuit):
        return super().compile(replace(circuit, measured=tuple(sorted(circuit.measured))))


class MeasuredSortedWhenRun(Sound):
    def row(self, compiled, x):
        native = replace(compiled.native, measured=tuple(sorted(compiled.native.measured)))
        return super().row(replace(compiled, native=native), x)


class IdleQubitsForgotten(Sound):
    """Idle qubits go, and the measured ones are not renumbered for it."""

    def compile(self, circuit):
        used = sorted({q for op in circuit.ops for q in op.qubits}) or [0]
        new = {q: k for k, q in enumerate(used)}
        ops = tuple(replace(op, qubits=tuple(new[q] for q in op.qubits)) for op in circuit.ops)
        measured = tuple(dict.fromkeys(min(q, len(used) - 1) for q in circuit.measured))
        native = replace(circuit, num_qubits=len(used), ops=ops, measured=measured)
        return self.made(native, [f"w{q}" for q in used])


class NothingToDo(Sound):
    """Fails on a circuit without gates."""

    def compile(self, circuit):
        if all(op.is_mark for op in circuit.ops):
            raise ValueError("no gates")
        return super().compile(circuit)


class RotationTurnedBack(Sound):
    """One gate with the wrong sign, on native and noise alike."""

    def compile(self, circuit):
        turn = {"rz": negate}
        ops = tuple(
            replace(op, angles=tuple(map(turn.get(op.gate, lambda a: a), op.angles)))
            for op in circuit.ops
        )
        return super().compile(replace(circuit, ops=ops))


class ControlOnTheWrongSide(Sound):
    def executed(self, compiled):
        return [
            Op("cx", s.qubits[::-1]) if isinstance(s, Op) and s.gate == "cx" else s
            for s in compiled.noisy
        ]


class ScaleDropped(Sound):
    def compile(self, circuit):
        return super().compile(_with_angles(circuit, _unscaled))


def _unscaled(angle: Any) -> Any:
    part = affine(angle)
    signs = {index: float(np.sign(scale)) for index, scale in part.features.items()}
    return angle_of(signs, part.weights, part.offset)


class OffsetDropped(Sound):
    def compile(self, circuit):
        return super().compile(
            _with_angles(circuit, lambda a: Sum(a.terms) if isinstance(a, Sum) else a)
        )


class MarksCount(Sound):
    """Takes a mark for a gate."""

    def compile(self, circuit):
        ops = tuple(Op("x", (0,)) if op.is_mark else op for op in circuit.ops)
        return super().compile(replace(circuit, ops=ops))


class RowsReversed(Sound):
    def probabilities(self, compiled, features):
        return super().probabilities(compiled, features)[::-1]


class RowsReversedInCounts(Sound):
    def run(self, compiled, features, shots, seed):
        return super().run(compiled, features, shots, seed)[::-1]


class OneRowSqueezed(Sound):
    def run(self, compiled, features, shots, seed):
        counts = super().run(compiled, features, shots, seed)
        return counts[0] if len(counts) == 1 else counts


class NoRowsFail(Sound):
    def probabilities(self, compiled, features):
        return np.stack([super(NoRowsFail, self).probabilities(compiled, [x])[0] for x in features])


class SeedIgnored(Sound):
    def run(self, compiled, features, shots, seed):
        return super().run(compiled, features, shots, 7)


class ClockForASeed(Sound):
    ticks = 0

    def run(self, compiled, features, shots, seed):
        self.ticks += 1
        return super().run(compiled, features, shots, seed + self.ticks)


class OneStreamForAllRows(Sound):
    def run(self, compiled, features, shots, seed):
        p = self.probabilities(compiled, features)
        return np.array([sample([row], shots, seed)[0] for row in p]).reshape(p.shape).astype(int)


class BatchInTheSeed(Sound):
    def run(self, compiled, features, shots, seed):
        return super().run(compiled, features, shots, seed + len(features))


class OneShotLess(Sound):
    def run(self, compiled, features, shots, seed):
        return super().run(compiled, features, max(1, shots - 1), seed)


class ShotsRounded(Sound):
    def run(self, compiled, features, shots, seed):
        return super().run(compiled, features, max(1, shots), seed)


class SharesForCounts(Sound):
    def run(self, compiled, features, shots, seed):
        return super().run(compiled, features, shots, seed) / 1.0


class ReadoutOnlyInProbabilities(Sound):
    def run(self, compiled, features, shots, seed):
        perfect = replace(compiled, confusion=np.eye(compiled.num_outcomes))
        return sample(self.probabilities(perfect, features), shots, seed)


class SumsOff(Sound):
    def probabilities(self, compiled, features):
        return super().probabilities(compiled, features) * (1 + 5e-6)


class FoldsCancelled(Sound):
    def emit(self, native, like):
        return super().emit(native.simplify(), like)


class TwirlsCancelled(Sound):
    """Cancels pairs of x, y and z alone."""

    def emit(self, native, like):
        ops: list[Op] = []
        for op in native.ops:
            if op.gate in "xyz" and ops and ops[-1] == op:
                ops.pop()
            else:
                ops.append(op)
        return super().emit(replace(native, ops=tuple(ops)), like)


class EmitMoves(Sound):
    def emit(self, native, like):
        return self.made(native, [f"v{name}" for name in like.physical])


class EmitSchedulesAnew(Sound):
    """Adds the noise of one more idle moment."""

    def emit(self, native, like):
        made = super().emit(native, like)
        return replace(made, noisy=(*made.noisy, depolarizing((0,), 0.001)))


class NoiseMissing(Sound):
    """Says it has noise, and runs without."""

    def executed(self, compiled):
        return compiled.native.ops


class NoiselessSnapshot(Sound):
    """Claims a calibration, and has no noise but readout error."""

    def noisy(self, native):
        return list(native.ops)


class NoiseDoubled(Sound):
    def executed(self, compiled):
        return [s for step in compiled.noisy for s in [step] * (1 + isinstance(step, Channel))]


class ReadoutTwice(Sound):
    def probabilities(self, compiled, features):
        return super().probabilities(compiled, features) @ compiled.confusion.T


class OneNoiselessGate(Sound):
    """Runs one-qubit gates without their noise."""

    def executed(self, compiled):
        return [s for s in compiled.noisy if isinstance(s, Op) or len(s.qubits) == 2]


def _shorter(circuit: Circuit) -> Circuit:
    gates = tuple(op for op in circuit.ops if not op.is_mark)
    return replace(circuit, ops=gates[:-1])


class NoiseBesideNative(Sound):
    """Lists the noise of another circuit."""

    def noisy(self, native):
        return super().noisy(_shorter(native))


class ConfusionTransposed(Sound):
    def confusion(self, measured):
        return super().confusion(measured).T


class TwoQubitGatesMiscounted(Sound):
    def made(self, native, physical):
        made = super().made(native, physical)
        return replace(made, two_qubit_gates=made.two_qubit_gates + 1)


class FidelityOfGatesOnly(Sound):
    def made(self, native, physical):
        made = super().made(native, physical)
        return replace(made, expected_fidelity=made.expected_fidelity / 0.98)


class OneNameForAll(Sound):
    def made(self, native, physical):
        return super().made(native, ["w"] * len(physical))


class DateOfAnotherKind(Sound):
    def made(self, native, physical):
        return replace(super().made(native, physical), calibrated_at="2 Jan 2026")


class NativeIsNotWhatRuns(Sound):
    """Reads back a circuit that lacks its last gate."""

    def made(self, native, physical):
        made = super().made(native, physical)
        return replace(made, native=_shorter(native))


class CompilesBySeed(Sound):
    ticks = 0

    def compile(self, circuit):
        self.ticks += 1
        made = super().compile(circuit)
        return replace(made, physical=tuple(f"{name}.{self.ticks}" for name in made.physical))


class NotInJson(Sound):
    """Keeps what it needs outside the compiled circuit."""

    def __init__(self):
        self.kept = []

    def made(self, native, physical):
        self.kept.append(super().made(native, physical))
        return self.kept[-1]

    def probabilities(self, compiled, features):
        if not any(compiled is each for each in self.kept):
            raise KeyError("never compiled here")
        return super().probabilities(compiled, features)


class WeightsFrozen(Sound):
    """Puts zeros in where weights are free."""

    def compile(self, circuit):
        return super().compile(circuit.bind_weights([0.0] * circuit.num_weights))


class FreeWeightsAreZero(Sound):
    def run(self, compiled, features, shots, seed):
        return super().run(
            compiled.bind_weights([0.0] * compiled.native.num_weights), features, shots, seed
        )


class TemplateOfOneCompile(Sound):
    def made(self, native, physical):
        return replace(super().made(native, physical), template="0" * 64)


class FeaturesCut(Sound):
    def probabilities(self, compiled, features):
        x = np.nan_to_num(np.asarray(features, dtype=float))[:, : compiled.native.num_features]
        return super().probabilities(compiled, x)


class AnyWidth(Sound):
    def compile(self, circuit):
        if circuit.num_qubits > QUBITS:
            return self.made(circuit, [f"w{q}" for q in range(circuit.num_qubits)])
        return super().compile(circuit)


class WidthIsABug(Sound):
    """Notices too many qubits as an index error."""

    def compile(self, circuit):
        if circuit.num_qubits > QUBITS:
            raise IndexError("list index out of range")
        return super().compile(circuit)


# each fault with the checks that must find it
FAULTS: Mapping[type[Sound], tuple[str, ...]] = {
    ReversedBits: ("bit order", "bit order batched", "measured subsets"),
    ReversedBitsInBatches: ("bit order batched",),
    ReversedBitsInCounts: ("bit order", "bit order batched", "counts follow"),
    MeasuredSorted: ("measured subsets",),
    MeasuredSortedWhenRun: ("measured subsets",),
    IdleQubitsForgotten: ("idle qubits",),
    NothingToDo: ("small circuits",),
    RotationTurnedBack: ("every gate",),
    ControlOnTheWrongSide: ("every gate",),
    ScaleDropped: ("feature scales",),
    OffsetDropped: ("feature scales",),
    MarksCount: ("weights bound late",),
    RowsReversed: ("row order", "bit order batched"),
    RowsReversedInCounts: ("row order", "counts follow"),
    OneRowSqueezed: ("batch lengths",),
    NoRowsFail: ("batch lengths",),
    SeedIgnored: ("seeds",),
    ClockForASeed: ("seeds",),
    OneStreamForAllRows: ("row streams",),
    BatchInTheSeed: ("row streams",),
    OneShotLess: ("row sums",),
    ShotsRounded: ("shots refused",),
    SharesForCounts: ("row sums",),
    ReadoutOnlyInProbabilities: ("counts follow",),
    SumsOff: ("probabilities are rows",),
    FoldsCancelled: ("folds pass", "twirls pass"),
    TwirlsCancelled: ("twirls pass",),
    EmitMoves: ("emit changes nothing",),
    EmitSchedulesAnew: ("emit changes nothing",),
    NoiseMissing: ("noise of one qubit", "noise of two qubits", "random circuits"),
    NoiselessSnapshot: ("noise of one qubit", "noise of two qubits"),
    NoiseDoubled: ("noise of one qubit", "noise of two qubits"),
    ReadoutTwice: ("bit order", "noise of one qubit"),
    OneNoiselessGate: ("noise of one qubit",),
    NoiseBesideNative: ("noise is on native",),
    ConfusionTransposed: ("noise is on native",),
    TwoQubitGatesMiscounted: ("figures",),
    FidelityOfGatesOnly: ("figures",),
    OneNameForAll: ("figures",),
    DateOfAnotherKind: ("figures",),
    NativeIsNotWhatRuns: ("native equals circuit",),
    CompilesBySeed: ("compiles alike",),
    NotInJson: ("json round trip",),
    WeightsFrozen: ("free weights refused",),
    FreeWeightsAreZero: ("free weights refused",),
    TemplateOfOneCompile: ("template is kept",),
    FeaturesCut: ("features refused",),
    AnyWidth: ("width refused",),
    WidthIsABug: ("width refused",),
}
