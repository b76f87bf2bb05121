"""A circuit onto a device: transpiled once with its parameters free, best layout of several."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from backends.checks import check_like
from backends.compiled import Compiled, compiled
from backends.ibm.calibration import VIRTUAL, Calibration, cut, usable
from backends.ibm.circuits import from_qiskit_native, to_qiskit
from qmoe.circuit import Circuit, Op
from qmoe.errors import FitError
from qmoe.simplify import compact


def fit(
    spec: str, circuit: Circuit, calibration: Calibration, *, seeds: int = 4, level: int = 3
) -> Compiled:
    """The circuit in native gates on the qubits where least goes wrong.

    The transpiler runs once for each of its seeds 0, 1, ... and the result of the highest
    expected fidelity is kept, readout of the measured qubits included; the first of equals.

    Args:
        spec: The target's name.
        circuit: Features and weights free or bound; qubits that nothing happens to are left out.
        calibration: The device.
        seeds: How many layouts to compare.
        level: qiskit's optimization level, 0 to 3.

    Raises:
        FitError: More qubits than the device has working ones.
    """
    from qiskit import transpile
    from qiskit.transpiler import TranspilerError

    small, _ = compact(circuit)
    qubits = usable(calibration.target)
    if small.num_qubits > len(qubits):
        raise FitError(
            got=f"a circuit of {small.num_qubits} qubits",
            expected=f"at most {len(qubits)} connected ones that work on {spec}",
            do="use fewer qubits or a larger device",
        )
    target = cut(calibration.target, qubits)
    source = to_qiskit(small)
    found: dict[tuple[Circuit, tuple[int, ...]], Compiled] = {}
    for seed in range(seeds):
        try:
            done = transpile(source, target=target, optimization_level=level, seed_transpiler=seed)
        except TranspilerError as error:
            raise FitError(
                got=f"a circuit that the transpiler cannot place ({error.message})",
                expected=f"one that fits {spec}",
                do="use fewer qubits or gates",
            ) from error
        native, places = from_qiskit_native(done, small.num_features, small.num_weights)
        physical = tuple(qubits[place] for place in places)
        if (native, physical) not in found:
            found[native, physical] = _made(spec, native, physical, calibration)
    return max(found.values(), key=lambda each: each.expected_fidelity or 0.0)


def emit(spec: str, native: Circuit, like: Compiled, calibration: Calibration) -> Compiled:
    """A changed native circuit on the qubits of `like`, nothing optimised; y and z are lowered.

    Raises:
        InputError: Another number of qubits than `like` has.
        FitError: A gate that the device does not have on these qubits.
    """
    check_like(native, like)
    ops = tuple(each for op in native.ops if not op.is_mark for each in _lowered(op))
    return _made(spec, replace(native, ops=ops), physical_qubits(like), calibration)


def physical_qubits(compiled: Compiled) -> tuple[int, ...]:
    """The numbers of a compiled circuit's physical qubits."""
    return tuple(map(int, compiled.physical))


def _lowered(op: Op) -> tuple[Op, ...]:
    """Y and Z by the virtual RZ, equal in action: the device has RZ, SX and X."""
    if op.gate not in ("y", "z"):
        return (op,)
    turn = Op("rz", op.qubits, (math.pi,))
    return (turn,) if op.gate == "z" else (turn, Op("x", op.qubits))


def _made(
    spec: str, native: Circuit, physical: Sequence[int], calibration: Calibration
) -> Compiled:
    target = cut(calibration.target, physical)
    for op in native.ops:
        if not target.instruction_supported(op.gate, op.qubits):
            on = tuple(physical[qubit] for qubit in op.qubits)
            raise FitError(
                got=f"{op.gate} on qubits {on} of {spec}",
                expected=f"one of {', '.join(sorted(target.operation_names))} where they work",
                do="compile the circuit instead of emitting it",
            )
    noisy, confusion = calibration.noisy(native, physical)
    return compiled(
        spec,
        native,
        [str(qubit) for qubit in physical],
        # Aer takes a gate without a reported error for a perfect one: better to know nothing
        noisy=noisy if calibration.reported(native, physical) else None,
        confusion=confusion,
        calibrated_at=calibration.calibrated_at,
        virtual=VIRTUAL,
    )
