"""Checks that the noise is really on: what a hundred repeated gates lose, and what they must."""

from __future__ import annotations

import numpy as np

from backends.compiled import compiled
from backends.conformance.bench import NOISY, Bench, Failed, NotApplicable, close
from backends.conformance.predict import is_noisy, predicted
from backends.conformance.specimens import marked, random_inputs, specimen
from backends.registry import load, parse
from qmoe.circuit import Circuit, Op
from qmoe.noise import NoiseModel
from qmoe.record import Source

SCALE = 101  # fold U to U (U^-1 U)^50: a hundred repetitions that do nothing but lose
LEAST = 1e-3  # total variation that these must cost on a calibrated target
CALIBRATED: tuple[Source, ...] = ("snapshot", "synthetic", "device")


def noise_of_one_qubit(bench: Bench) -> str:
    """A hundred one-qubit gates lose what the calibration says; without noise, nothing."""
    return _loss(bench, marked(1, [Op("ry", (0,), (0.8,))], (0,)))


def noise_of_two_qubits(bench: Bench) -> str:
    """A hundred two-qubit gates lose what the calibration says; without noise, nothing."""
    return _loss(bench, marked(2, [Op("ry", (0,), (0.8,)), Op("cx", (0, 1))], (0, 1)))


def noise_of_the_spec(bench: Bench) -> str:
    """A noise model in the spec (ibm:dm,depolarizing=0.01) acts as qmoe.noise places it."""
    spec = parse(bench.backend.spec)
    if spec.target != "dm" or bench.exact is None:
        raise NotApplicable("no noise model in the spec")
    model, circuit = NoiseModel.parse(spec.options), specimen()
    names = [str(qubit) for qubit in range(circuit.num_qubits)]
    placed = compiled(
        bench.backend.spec,
        circuit,
        names,
        noisy=model.place(circuit),
        confusion=model.confusion(circuit.measured),
    )
    x = random_inputs(circuit, bench.rng())
    p = np.asarray(bench.exact.probabilities(bench.compile(circuit), x))
    return close(p, predicted(placed, x), NOISY)


def _loss(bench: Bench, circuit: Circuit) -> str:
    found = bench.compile(circuit)
    again = bench.backend.emit(found.native.folded(SCALE), found)
    x = np.zeros((1, 0))
    # against the circuit unfolded, so that readout error is no part of the loss
    lost = float(np.abs(predicted(again, x) - predicted(found, x)).sum() / 2)
    known = again.noisy is not None or bench.backend.source != "device"
    if _calibrated(bench) and known and lost < LEAST:
        raise Failed(f"a loss of {lost:.1e} to {SCALE - 1} repetitions", f"at least {LEAST:g}")
    if not is_noisy(again) and lost > NOISY:
        raise Failed(f"a loss of {lost:.1e} without noise", "none")
    if bench.slack(again):
        raise NotApplicable("the noise of the day is not known")
    return f"loses {lost:.4f}; {bench.follows(again, x)}"


def _calibrated(bench: Bench) -> bool:
    """Whether the target claims a calibration; a twin claims that of its target."""
    backend = bench.backend
    if backend.source == "twin":
        return load(parse(backend.spec).target).source in CALIBRATED
    return backend.source in CALIBRATED
