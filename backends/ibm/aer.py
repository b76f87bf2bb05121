"""Aer as a target: exact without noise, with a noise model of our own, or with a snapshot's."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from backends.base import Compiled, Counts, Probabilities, check_features, sample
from backends.checks import check_like, check_width
from backends.compiled import as_given
from backends.ibm import layout, snapshots
from backends.ibm.calibration import Calibration
from backends.ibm.circuits import bindings, to_qiskit
from backends.registry import require
from qmoe.circuit import Circuit
from qmoe.errors import InputError, QmoeError
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
        check_width(circuit.num_qubits, MOST_QUBITS[self._kind], self.spec)
        return as_given(self.spec, circuit, self._noise)

    def emit(self, native: Circuit, like: Compiled) -> Compiled:
        """The circuit as given."""
        check_like(native, like)
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
        # before transpiling, and after it: routing may add a few
        check_width(compact(given)[0].num_qubits, MOST_QUBITS["snapshot"], self.spec)
        found = layout.fit(
            self.spec, given, self._calibration, seeds=self._seeds, level=self._level
        )
        check_width(found.native.num_qubits, MOST_QUBITS["snapshot"], self.spec)
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
        seeds=spec.whole("seeds", 4, range(1, 101)),
        level=spec.whole("level", 3, range(4)),
        simplify=spec.flag("simplify"),
    )


def _read(true: Probabilities, compiled: Compiled) -> Probabilities:
    """What is read where `true` is: p_read = confusion @ p_true, row by row."""
    return true if compiled.confusion is None else true @ compiled.confusion.T
