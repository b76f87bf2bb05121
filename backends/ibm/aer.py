"""Aer as a target: exact without noise, with a noise model of our own, or with a snapshot's."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from backends.base import Compiled, Counts, Probabilities, check_features, sample
from backends.compiled import compiled
from backends.ibm import layout, snapshots
from backends.ibm.calibration import Calibration
from backends.ibm.circuits import bindings, to_qiskit
from backends.registry import require
from qmoe.circuit import Circuit
from qmoe.errors import FitError, InputError, QmoeError
from qmoe.noise import NoiseModel
from qmoe.record import Source
from qmoe.simplify import compact

if TYPE_CHECKING:
    from backends.registry import Spec

MOST_QUBITS = {"aer": 24, "dm": 12, "snapshot": 12}  # memory: 2^n and 4^n numbers of 16 bytes


def exact(
    circuit: Any,
    measured: Sequence[int],
    features: NDArray[np.float64],
    *,
    method: str = "density_matrix",
    noise_model: Any = None,
) -> Probabilities:
    """Exact outcome probabilities (batch, 2^m), big-endian, in double precision.

    Args:
        circuit: A QuantumCircuit of `to_qiskit` without measurement.
        measured: Its measured qubits, most significant bit first.
        features: (batch, d).
        method: Aer's, "statevector" or "density_matrix".
        noise_model: Aer's, or None.
    """
    from qiskit_aer import AerSimulator

    if not len(features):
        return np.zeros((0, 2 ** len(measured)))
    run = circuit.copy()
    run.save_probabilities(list(measured[::-1]))
    columns = bindings(run, features).T.tolist()
    # Without parameters Aer would run the one circuit once whatever the batch.
    binds = [dict(zip(run.parameters, columns, strict=True))] if columns else None
    simulator = AerSimulator(method=method, noise_model=noise_model)
    result = simulator.run(run, parameter_binds=binds, shots=1).result()
    if not result.success:
        raise QmoeError(f"Aer failed: {result.status}")
    found = [result.data(k)["probabilities"] for k in range(len(features) if columns else 1)]
    return np.broadcast_to(np.array(found), (len(features), 2 ** len(measured))).copy()


class AerBackend:
    """`ibm:aer` and `ibm:dm`: the circuit as given, every gate and mark kept.

    `ibm:aer` is noise-free; `ibm:dm` has the channels of a NoiseModel after the gates where it
    places them, sent to Aer as superoperators, and its readout error as a confusion matrix.
    """

    source: Source = "exact"

    def __init__(self, spec: str, kind: str, noise: NoiseModel | None) -> None:
        self.spec, self._kind, self._noise = spec, kind, noise

    def compile(self, circuit: Circuit) -> Compiled:
        """The circuit as given, and where noise acts."""
        check_width(self.spec, self._kind, circuit)
        noise = self._noise
        return compiled(
            self.spec,
            circuit,
            [str(qubit) for qubit in range(circuit.num_qubits)],
            noisy=circuit.ops if noise is None else noise.place(circuit),
            confusion=None if noise is None else noise.confusion(circuit.measured),
        )

    def emit(self, native: Circuit, like: Compiled) -> Compiled:
        """The circuit as given."""
        layout.check_like(native, like)
        return self.compile(native)

    def probabilities(self, compiled: Compiled, features: ArrayLike) -> Probabilities:
        """Probabilities (batch, 2^m), readout error included."""
        x = check_features(compiled, features)
        native = compiled.native
        circuit = to_qiskit(native, steps=compiled.noisy, measure=False)
        method = "statevector" if self._kind == "aer" else "density_matrix"
        return _read(exact(circuit, native.measured, x, method=method), compiled)

    def run(self, compiled: Compiled, features: ArrayLike, shots: int, seed: int) -> Counts:
        """Counts (batch, 2^m), drawn from the exact probabilities."""
        return sample(self.probabilities(compiled, features), shots, seed)


class SnapshotBackend:
    """A device as it was calibrated once, in Aer: `ibm:fake_NAME`.

    Gate errors as Aer's from_backend, readout asymmetric from the calibration; both cut to the
    used qubits.
    """

    source: Source = "snapshot"

    def __init__(self, spec: str, name: str, *, seeds: int, level: int, simplify: bool) -> None:
        self.spec = spec
        self._name, self._seeds, self._level, self._simplify = name, seeds, level, simplify

    @cached_property
    def _calibration(self) -> Calibration:
        return snapshots.calibration(self._name)

    def compile(self, circuit: Circuit) -> Compiled:
        """The circuit simplified, unless the spec says otherwise, and transpiled."""
        given = circuit.simplify() if self._simplify else circuit
        check_width(self.spec, "snapshot", compact(given)[0])  # routing may add a few
        found = layout.fit(
            self.spec, given, self._calibration, seeds=self._seeds, level=self._level
        )
        check_width(self.spec, "snapshot", found.native)
        return found

    def emit(self, native: Circuit, like: Compiled) -> Compiled:
        """The native circuit on the qubits of `like`, as it is."""
        return layout.emit(self.spec, native, like, self._calibration)

    def probabilities(self, compiled: Compiled, features: ArrayLike) -> Probabilities:
        """Probabilities (batch, 2^m) of Aer's own noise model, readout error included."""
        x = check_features(compiled, features)
        calibration, native = self._calibration, compiled.native
        if compiled.calibrated_at != calibration.calibrated_at:
            raise InputError(
                got=f"a circuit compiled for the calibration of {compiled.calibrated_at}",
                expected=f"that of {calibration.calibrated_at}, which is installed",
                do="compile it again",
            )
        model = calibration.noise_model(native, layout.physical_qubits(compiled))
        circuit = to_qiskit(native, measure=False)
        return _read(exact(circuit, native.measured, x, noise_model=model), compiled)

    def run(self, compiled: Compiled, features: ArrayLike, shots: int, seed: int) -> Counts:
        """Counts (batch, 2^m), drawn from the exact probabilities."""
        return sample(self.probabilities(compiled, features), shots, seed)


def check_width(spec: str, kind: str, circuit: Circuit) -> None:
    """Refuses what does not fit into memory."""
    limit = MOST_QUBITS[kind]
    if circuit.num_qubits > limit:
        raise FitError(
            got=f"a circuit of {circuit.num_qubits} qubits",
            expected=f"at most {limit} in the exact simulation of {spec}",
            do="simplify it or use fewer qubits",
        )


def load(spec: Spec) -> AerBackend | SnapshotBackend:
    """The simulator or snapshot that a spec names."""
    if spec.target in ("aer", "dm"):
        noise = NoiseModel.parse(spec.options) if spec.target == "dm" else None
        if noise is None:
            spec.only()
        require("ibm", "qiskit_aer")
        return AerBackend(str(spec), spec.target, noise)
    spec.only("seeds", "level", "simplify")
    require("ibm", "qiskit_aer")
    snapshots.check(spec.target)
    return SnapshotBackend(
        str(spec),
        spec.target,
        seeds=_whole(spec, "seeds", 4, range(1, 101)),
        level=_whole(spec, "level", 3, range(4)),
        simplify=_flag(spec, "simplify"),
    )


def _whole(spec: Spec, key: str, default: int, allowed: range) -> int:
    text = spec.options.get(key, str(default))
    if not text.isdecimal() or int(text) not in allowed:
        raise InputError(
            got=f"{key}={text} in target {spec}",
            expected=f"a whole number from {allowed[0]} to {allowed[-1]}",
            do=f"write {key}={default}",
        )
    return int(text)


def _flag(spec: Spec, key: str) -> bool:
    text = spec.options.get(key, "true")
    if text not in ("true", "false"):
        raise InputError(
            got=f"{key}={text} in target {spec}",
            expected="true or false",
            do=f"write {key}=false or leave it out",
        )
    return text == "true"


def _read(true: Probabilities, compiled: Compiled) -> Probabilities:
    """What is read where `true` is: p_read = confusion @ p_true, row by row."""
    return true if compiled.confusion is None else true @ compiled.confusion.T
