"""Checks of what a backend answers: bit order, gates, angles, registers, random circuits."""

from __future__ import annotations

import math

import numpy as np

from backends.conformance.bench import NATIVE, NOISY, Bench, Failed, NotApplicable
from backends.conformance.predict import is_noisy
from backends.conformance.specimens import marked, random_circuit, random_inputs, specimen
from qmoe.circuit import GATES, Angle, Circuit, Feature, Op, Sum

ANGLES = (0.3, -2.0, math.pi / 2, math.pi, 0.0, 5.5)  # beyond one turn, negative, special ones
MANY = 1_000_000  # shots, where they are drawn from exact probabilities and cost nothing


def bit_order(bench: Bench) -> str:
    """One input: the first measured qubit is the most significant bit."""
    ops = (Op("x", (0,)), Op("ry", (1,), (0.9,)), Op("ry", (2,), (Feature(0),)))
    circuit = marked(3, ops, (0, 1, 2), 1)
    return bench.answers(circuit, [[0.4]], counted=True)


def bit_order_batched(bench: Bench) -> str:
    """Many inputs at once: row r, prepared as the bits of r, is read as outcome r."""
    circuit = marked(3, [Op("ry", (q,), (Feature(q),)) for q in range(3)], (0, 1, 2), 3)
    bits = np.array([[row >> 2 & 1, row >> 1 & 1, row & 1] for row in range(8)])
    return bench.answers(circuit, math.pi * bits, counted=True)


def measured_subsets(bench: Bench) -> str:
    """Any subset of the qubits is measured, in any order."""
    said = ""
    for measured in ((2, 0), (1,), (0, 2, 1), (2, 1, 0)):
        said = bench.answers(specimen(measured), [[0.7, -1.1], [2.0, 0.4]])
    return f"4 subsets; the last: {said}"


def idle_qubits(bench: Bench) -> str:
    """Qubits that no gate acts on are left alone, and read 0 where they are measured."""
    ops = (Op("ry", (3,), (Feature(0),)), Op("cx", (3, 1)), Op("ry", (1,), (0.5,)))
    said = ""
    for measured in ((3, 1), (0, 3, 1)):
        said = bench.answers(marked(5, ops, measured, 1), [[0.8], [2.2]])
    return f"2 circuits; the last: {said}"


def small_circuits(bench: Bench) -> str:
    """No gates, one qubit, no features: each is a circuit."""
    turned = Op("ry", (0,), (1.0,))
    for circuit in (marked(1, (), (0,)), marked(2, (), (1, 0), 2), marked(1, [turned], (0,))):
        bench.answers(circuit, np.zeros((2, circuit.num_features)))
    return "empty, empty with two unused features, one gate without features"


def every_gate(bench: Bench) -> str:
    """Every gate of the table, on both orders of its qubits, at free and at fixed angles."""
    names = [name for name, gate in GATES.items() if not gate.is_mark]
    for name in names:
        circuit = _around(name)
        turns = np.resize(ANGLES, (len(ANGLES), max(1, circuit.num_features)))
        turns += 0.1 * np.arange(turns.shape[1])
        try:
            bench.answers(circuit, turns[:, : circuit.num_features])
        except Failed as fault:
            raise Failed(f"gate {name}: {fault.got}", fault.expected) from fault
    return f"{len(names)} gates at {len(ANGLES)} free and 2 fixed angles"


def feature_scales(bench: Bench) -> str:
    """Angles such as 2 x0 - x1 / 2 + 0.7: scales, signs, sums and offsets count."""
    angles: tuple[Angle, ...] = (
        Feature(0, 2.0),
        Feature(1, -0.5),
        Sum((Feature(0, -1.0), Feature(1, 0.5)), 0.7),
        Sum((Feature(1),), -math.pi),
    )
    ops = []
    for k, angle in enumerate(angles):
        ops += [Op("ry", (k % 2,), (angle,)), Op("rz", (k % 2,), (angle,)), Op("cx", (0, 1))]
        ops += [Op("rx", (0,), (0.4,)), Op("ry", (1,), (-0.9,))]
    return bench.answers(marked(2, ops, (0, 1), 2), [[0.3, 0.9], [-2.5, 4.0], [0, 0]])


def random_circuits(bench: Bench) -> str:
    """Seeded random circuits of every kind of gate, with marks."""
    rng, said = bench.rng(), ""
    for _ in range(3):
        circuit = random_circuit(rng)
        said = bench.answers(circuit, random_inputs(circuit, rng))
    return f"3 circuits; the last: {said}"


def probabilities_are_rows(bench: Bench) -> str:
    """Exact probabilities: one row per input, none negative, each row summing to 1."""
    exact = bench.exact
    if exact is None:
        raise NotApplicable("the backend gives counts only")
    circuit = specimen()
    found = bench.compile(circuit)
    p = np.asarray(exact.probabilities(found, random_inputs(circuit, bench.rng())))
    least, off = float(p.min()), float(np.abs(p.sum(1) - 1).max())
    # calibrated channels keep the trace only to about nine digits
    allowed = NOISY if is_noisy(found) else NATIVE
    if p.dtype != np.float64 or least < -NATIVE or not off <= allowed:
        raise Failed(
            f"{p.dtype}, least {least:.1e}, sums off by {off:.1e}",
            f"float64, none negative, sums of 1 within {allowed:g}",
        )
    return f"least {least:.1e}, sums off by {off:.0e}"


def counts_follow(bench: Bench) -> str:
    """Counts are drawn from the outcome distribution, readout error included."""
    circuit = specimen()
    x = random_inputs(circuit, bench.rng())
    shots = bench.shots if bench.exact is None else MANY
    return bench.follows(bench.compile(circuit), x, counted=True, shots=shots)


def _around(name: str) -> Circuit:
    """A circuit whose outcomes show all of a gate: in free angles, then twice in fixed ones."""
    row = GATES[name]
    count, size = row.num_angles, row.num_qubits or 0
    free = tuple(Feature(k) for k in range(count))
    ops = [*_mixed(0), Op(name, tuple(range(size)), free), *_mixed(1)]
    for k, angle in enumerate((math.pi / 2, -0.8)):
        fixed = tuple(angle + 0.3 * j for j in range(count))
        ops += [Op(name, tuple(reversed(range(size))), fixed), *_mixed(2 + k)]
    return marked(2, ops, (0, 1), count)


def _mixed(k: int) -> tuple[Op, ...]:
    """Turns about two axes, so that no phase stays hidden."""
    return tuple(
        Op(gate, (qubit,), (angle + 0.17 * k + 0.41 * qubit,))
        for qubit in range(2)
        for gate, angle in (("ry", 0.9), ("rz", 1.3), ("rx", -0.6))
    )
