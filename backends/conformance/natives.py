"""Checks of what `compile` gives: native circuit, noise in order, figures, weights."""

from __future__ import annotations

from datetime import datetime

import numpy as np

from backends.base import Compiled
from backends.compiled import depth
from backends.conformance.bench import (
    NATIVE,
    Bench,
    Failed,
    NotApplicable,
    close,
    inputs,
    same_native,
)
from backends.conformance.predict import gates_alone, ideal
from backends.conformance.specimens import (
    bound_weights,
    random_circuit,
    random_inputs,
    specimen,
    weighted,
)
from qmoe.channel import Channel
from qmoe.circuit import GATES, Circuit
from qmoe.errors import QmoeError


def native_equals_circuit(bench: Bench) -> str:
    """The native circuit, read back and simulated without noise, is the circuit."""
    rng, said = bench.rng(), ""
    for circuit in (specimen(), random_circuit(rng)):
        x = random_inputs(circuit, rng)
        said = same_native(bench.compile(circuit), circuit, x)
    return said


def noise_is_on_native(bench: Bench) -> str:
    """The gates in `noisy` alone have the distribution of the native circuit."""
    circuit = specimen()
    found = bench.compile(circuit)
    if found.noisy is None:
        raise NotApplicable("the noise is not known")
    x = random_inputs(circuit, bench.rng())
    said = close(ideal(gates_alone(found), x), ideal(found.native, x), NATIVE, "gates in noisy")
    size = found.num_outcomes
    if found.confusion is not None:
        sums = np.asarray(found.confusion).sum(0)
        if found.confusion.shape != (size, size) or not np.allclose(sums, 1, atol=1e-9):
            raise Failed(
                f"confusion {found.confusion.shape} with column sums {sums.round(4).tolist()}",
                f"{(size, size)}, [read, true], columns that sum to 1",
            )
    return said


def figures(bench: Bench) -> str:
    """Two-qubit gates, depth, expected fidelity, qubit names and date fit what was compiled."""
    circuit = specimen()
    found = bench.compile(circuit)
    native = found.native
    pairs = sum(GATES[op.gate].num_qubits == 2 for op in native.ops)
    one = [name for name, gate in GATES.items() if gate.num_qubits == 1]
    least, most = depth(native, one), depth(native)
    names = found.physical
    for name, got, expected, right in (
        ("spec", found.spec, repr(bench.backend.spec), found.spec == bench.backend.spec),
        ("two_qubit_gates", found.two_qubit_gates, str(pairs), found.two_qubit_gates == pairs),
        ("depth", found.depth, f"{least} to {most}", least <= found.depth <= most),
        (
            "physical",
            names,
            f"{native.num_qubits} names that differ",
            len(set(names)) == len(names) == native.num_qubits,
        ),
        (
            "num_features",
            native.num_features,
            str(circuit.num_features),
            native.num_features == circuit.num_features,
        ),
        (
            "measured",
            native.measured,
            f"{len(circuit.measured)} qubits",
            len(native.measured) == len(circuit.measured),
        ),
    ):
        if not right:
            raise Failed(f"{name} {got}", expected)
    _fidelity(found)
    if found.calibrated_at is not None:
        try:
            datetime.fromisoformat(found.calibrated_at)
        except ValueError as error:
            raise Failed(f"calibrated_at {found.calibrated_at!r}", "ISO 8601") from error
    return f"{pairs} two-qubit gates, depth {found.depth}, on {', '.join(names)}"


def json_round_trip(bench: Bench) -> str:
    """A compiled circuit comes back equal from its JSON text, and answers the same."""
    circuit = specimen()
    found = bench.compile(circuit)
    text = found.to_json()
    again = Compiled.from_json(text)
    if again != found:
        raise Failed("another compiled circuit from its JSON text", "an equal one")
    x = random_inputs(circuit, bench.rng())
    if bench.exact is not None:
        p = bench.exact.probabilities
        close(np.asarray(p(again, x)), np.asarray(p(found, x)), NATIVE, "answers after JSON")
    return f"{len(text)} characters"


def compiles_alike(bench: Bench) -> str:
    """Compiling a circuit again gives the same gates on the same qubits."""
    first, again = bench.compile(specimen()), bench.backend.compile(specimen())
    if first != again:
        raise Failed("another compiled circuit the second time", "the same")
    return f"template {again.template[:12]} twice"


def weights_bound_late(bench: Bench) -> str:
    """Weights may be put in after compiling; the answers are those of the bound circuit."""
    circuit = weighted()
    weights = bound_weights(circuit)
    template = circuit.bind_weights(weights)
    found = bench.compile(circuit).bind_weights(weights)
    x = random_inputs(circuit, bench.rng())
    same_native(found, template, x)
    said = bench.follows(found, x)
    bench.answers(template, x)
    return said


def template_is_kept(bench: Bench) -> str:
    """The template digest is that of the native circuit with weights free, whatever they are."""
    circuit = weighted()
    found = bench.compile(circuit)
    digests = {found.bind_weights(bound_weights(circuit, k)).template for k in range(2)}
    if digests != {found.template} or found.template != found.native.digest:
        raise Failed(
            f"template {found.template[:12]}, bound {', '.join(d[:12] for d in sorted(digests))}",
            f"{found.native.digest[:12]} for all",
        )
    return f"{found.template[:12]} before and after"


def free_weights_refused(bench: Bench) -> str:
    """A compiled circuit with weights still free is not run."""
    circuit: Circuit = weighted()
    found = bench.compile(circuit)
    if found.native.num_weights != circuit.num_weights:
        raise Failed(
            f"{found.native.num_weights} weights after compiling", f"{circuit.num_weights}"
        )
    try:
        bench.run(found, inputs([[0.1, 0.2]], circuit))
    except QmoeError as error:
        return str(error)
    raise Failed("counts of a circuit with free weights", "an error that says to bind them")


def _fidelity(found: Compiled) -> None:
    stated = found.expected_fidelity
    if found.noisy is None:
        if stated is not None:
            raise Failed(f"expected fidelity {stated:.4f} of unknown noise", "None")
        return
    product = 1.0 if found.confusion is None else float(np.mean(np.diag(found.confusion)))
    for step in found.noisy:
        if isinstance(step, Channel):
            product *= float(np.trace(step.ptm)) / len(step.ptm)
    if stated is None or abs(stated - product) > NATIVE:
        raise Failed(f"expected fidelity {stated}", f"{product:.9f} from the channels")
