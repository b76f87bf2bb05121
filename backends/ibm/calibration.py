"""What an IBM device is known to do wrong, cut to the qubits that a circuit uses.

Gate errors are what Aer's NoiseModel.from_backend takes them to be: after each gate the thermal
relaxation of its duration, and depolarizing noise that brings the average infidelity up to the
calibrated one. Aer adds no noise to idle qubits, and a virtual RZ has none. Readout is the
asymmetric one of the calibration (prob_meas1_prep0, prob_meas0_prep1), not the symmetric mean
that from_backend takes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from qmoe import readout
from qmoe.channel import Channel
from qmoe.circuit import GATES, Circuit, Op

On: TypeAlias = tuple[str, tuple[int, ...]]  # a gate and its qubits

DEAD = 0.99  # IBM writes an error of 1 for what does not work
VIRTUAL = frozenset({"rz"})  # a change of frame: takes no time and has no error


@dataclass(frozen=True, slots=True)
class GateError:
    """The noise after one gate: Aer's QuantumError, and its Pauli-transfer matrix (4^k, 4^k)."""

    error: Any
    ptm: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Calibration:
    """A device's gates and errors at one time.

    Attributes:
        target: qiskit's Target with errors and durations (seconds) of each gate on each qubit.
        readout: (chance to read 1 for 0, chance to read 0 for 1) of each qubit of the target.
        calibrated_at: When it was measured, ISO 8601.
    """

    target: Any
    readout: tuple[tuple[float, float], ...]
    calibrated_at: str | None
    _known: dict[On, GateError | None] = field(default_factory=dict, compare=False, repr=False)

    def noisy(
        self, native: Circuit, physical: Sequence[int]
    ) -> tuple[tuple[Op | Channel, ...], NDArray[np.float64]]:
        """The ops each followed by its noise, and the confusion matrix of the measured qubits."""
        noise = self.gate_errors(native, physical)
        steps: list[Op | Channel] = []
        for op in native.ops:
            steps.append(op)
            if (op.gate, op.qubits) in noise:
                # qiskit's last qubit is the most significant, our first one
                steps.append(Channel(op.qubits[::-1], noise[op.gate, op.qubits].ptm))
        return tuple(steps), self.confusion([physical[qubit] for qubit in native.measured])

    def reported(self, native: Circuit, physical: Sequence[int]) -> bool:
        """Whether an error is known for every gate that a native circuit uses."""
        for op in native.ops:
            on = tuple(physical[qubit] for qubit in op.qubits)
            properties = self.target[op.gate].get(on) if op.gate in self.target else None
            if op.gate not in VIRTUAL and (properties is None or properties.error is None):
                return False
        return True

    def noise_model(self, native: Circuit, physical: Sequence[int]) -> Any:
        """Aer's NoiseModel of the gates that a native circuit uses; without readout."""
        from qiskit_aer.noise import NoiseModel

        model = NoiseModel()
        for (gate, qubits), noise in self.gate_errors(native, physical).items():
            model.add_quantum_error(noise.error, gate, qubits)
        return model

    def gate_errors(self, native: Circuit, physical: Sequence[int]) -> dict[On, GateError]:
        """The errors of the gates that a native circuit uses, by the gate on its native qubits."""
        from qiskit.quantum_info import PTM, SuperOp
        from qiskit_aer.noise.device import basic_device_gate_errors

        names = {
            (op.gate, op.qubits): (op.gate, tuple(physical[qubit] for qubit in op.qubits))
            for op in native.ops
        }
        new = [on for on, name in names.items() if name not in self._known]
        self._known.update((names[on], None) for on in new)
        for gate, on, error in basic_device_gate_errors(target=cut(self.target, physical, new)):
            ptm = np.real(PTM(SuperOp(error)).data)
            self._known[names[gate, tuple(on)]] = GateError(error, ptm)
        found = {on: self._known[name] for on, name in names.items()}
        return {on: error for on, error in found.items() if error is not None}

    def confusion(self, measured: Iterable[int]) -> NDArray[np.float64]:
        """(2^m, 2^m), [read, true], of physical qubits that are read independently."""
        up, down = zip(*(self.readout[qubit] for qubit in measured), strict=True)
        return readout.independent(up, down)


def cut(target: Any, qubits: Sequence[int], used: Collection[On] | None = None) -> Any:
    """The target on these qubits alone, numbered from 0: gates we know, dead ones left out.

    used: Gates with their new qubits; what else there is vanishes too.
    """
    from qiskit.transpiler import Target

    place = {qubit: k for k, qubit in enumerate(qubits)}
    known = target.qubit_properties
    small = Target(
        num_qubits=len(place),
        dt=target.dt,
        qubit_properties=None if known is None else [known[qubit] for qubit in qubits],
    )
    for name in sorted(target.operation_names):
        if name == "measure" or name in GATES:
            kept = {
                tuple(place[qubit] for qubit in on): properties
                for on, properties in target[name].items()
                if on is not None and place.keys() >= set(on) and _works(properties)
            }
            if used is not None:
                kept = {on: kept[on] for on in kept if (name, on) in used}
            small.add_instruction(target.operation_from_name(name), kept, name=name)
    return small


def usable(target: Any) -> tuple[int, ...]:
    """The largest connected part of the device whose qubits and gates all work, ascending."""
    working = cut(target, range(target.num_qubits))
    singles: list[set[int]] = []
    links: dict[int, set[int]] = {}
    for name in working.operation_names:
        on = list(working[name])
        if working.operation_from_name(name).num_qubits == 1:
            singles.append({qubit for (qubit,) in on})
        else:
            for a, b in on:
                links.setdefault(a, set()).add(b)
                links.setdefault(b, set()).add(a)
    left = set.intersection(*singles)
    best: set[int] = set()
    while left:
        part, edge = set(), {min(left)}
        while edge:
            part |= edge
            edge = {near for qubit in edge for near in links.get(qubit, ())} & left - part
        best, left = max(best, part, key=len), left - part
    return tuple(sorted(best))


def _works(properties: Any) -> bool:
    error = None if properties is None else properties.error
    return error is None or error < DEAD
